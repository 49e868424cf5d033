/* SPDX-License-Identifier: MIT */
/*
 * where - which directory of keys a command is about: --keystore takes the ID of a [keystore ID]
 * section, or a directory.
 */
#ifndef NK_HS_WHERE_H
#define NK_HS_WHERE_H

#include "base/conf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/opt.h"
#include "hs/store.h"

#define HS_KEYSTORE_DEFAULT "default" /* the section that is used when none is named */

/* A section [keystore ID]. */
struct hs_keystore_conf {
    char *dir;
    int format; /* enum hs_store_kind */
};

extern const struct nk_section hs_keystore_section;

/* What was found. */
struct hs_where {
    enum hs_store_kind kind;
    char dir[NK_PATH_MAX];
};

/*
 * hs_where_find - `given` is what stands behind --keystore:
 *
 * - NULL: the section [keystore default], or without it the directory keystore in state_dir;
 * - the ID of a section;
 * - "arti:DIR" or "ctor:DIR": a directory of that kind;
 * - a directory, with a slash or one that exists: tor's when it has .auth_private files or a
 *   service's keys, else arti's. For arti's state directory its keystore is taken.
 *
 * The directory need not exist unless its kind is to be found out. NK_EUSAGE, with the IDs that
 * there are, for another word; NK_ETOOBIG; errors of looking into it.
 */
int hs_where_find(struct hs_where *out, const char *given, const struct nk_conf *ini,
                  const char *state_dir, struct nk_diag *diag);

/* hs_where_look - the same for a directory: what is in it says whose it is. */
int hs_where_look(struct hs_where *out, const char *dir, struct nk_diag *diag);

#endif
