/* SPDX-License-Identifier: MIT */
/* outputs - where `netkit hs new` and `netkit hs convert` put keys: files in every form, and
 * directories of tor and arti. */
#ifndef NK_HS_OUTPUTS_H
#define NK_HS_OUTPUTS_H

#include "base/cmd.h"
#include "base/file.h"
#include "hs/items.h"

/* Places that are no files; numbered behind the forms. */
enum hs_to {
    HS_TO_CTOR_DIR = HS_FORMATS, /* tor's HiddenServiceDir */
    HS_TO_CLIENT_DIR,            /* tor's ClientOnionAuthDir */
    HS_TO_KEYSTORE,              /* arti's keystore, or a [keystore ID] */
    HS_TOS
};

extern const char *const hs_to_names[]; /* by enum hs_format and enum hs_to; ends with NULL */

/* What to write, and where. */
struct hs_output {
    int to;              /* enum hs_format or enum hs_to */
    const char *path;    /* a file or "-"; a directory; a keystore's ID */
    const char *service; /* the name of an identity in arti's keystore, or NULL */
};

/* What was written. */
typedef void hs_written_fn(void *arg, const struct hs_found *key, const char *path);

/*
 * hs_outputs_write - write keys, all of them or, when something about them is wrong, none; written
 * is called for each one. Several keys are possible in directories (identities then get one each,
 * named after their address) and in mkp224o's YAML. Nothing that exists is replaced. With --dry-run
 * everything is checked and nothing is written. NK_EUNSUPPORTED: a key does not have what the form
 * holds; NK_EUSAGE: too many keys, a name is missing; -EEXIST; errors of writing.
 */
int hs_outputs_write(struct nk_cmd_ctx *ctx, const struct hs_output *o,
                     const struct hs_items *items, hs_written_fn *written, void *arg);

#endif
