/* SPDX-License-Identifier: MIT */
/*
 * place - a directory that keys live in: locked, and its files read and written so that tor and
 * arti never see half of one.
 *
 * Files are opened by their directory's descriptor and without following links, have to be regular
 * and small, and are written as a temporary file that is forced to the disk and then gets its name;
 * what exists is not replaced unless that is asked for. When root writes into somebody else's
 * directory (that of the tor daemon's user), what it makes belongs to the directory's owner:
 * otherwise the daemon could not read it.
 */
#ifndef NK_HS_PLACE_H
#define NK_HS_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"

#define HS_PLACE_FILE_MAX ((size_t)65536) /* bytes of a file: far more than any key has */
#define HS_PLACE_FILES_MAX 100000         /* names in a directory: a bound, not a feature */

enum hs_place_flags {
    HS_PLACE_CREATE = 1,   /* make the directory and those above it, mode 0700 */
    HS_PLACE_LOCK = 2,     /* hold its flock; NK_ELOCKED when another process does */
    HS_PLACE_OVERWRITE = 4 /* hs_place_write: replace a file */
};

/* An open directory. {.fd = -1} is a closed one. */
struct hs_place {
    int fd;
    uid_t uid; /* its owner */
    gid_t gid;
    mode_t mode;
    char path[NK_PATH_MAX];
};

/* hs_place_open - open the directory at path; flags: CREATE, LOCK. The lock goes with the place. 0,
 * -errno (-ENOENT, -ENOTDIR), NK_ELOCKED; then *p is closed. */
int hs_place_open(struct hs_place *p, const char *path, unsigned flags, struct nk_diag *diag);

/* hs_place_sub - the same for a directory within one; its name may be several, with slashes. With
 * CREATE each is made in its parent and belongs to its parent's owner. Links are not followed. */
int hs_place_sub(struct hs_place *out, const struct hs_place *in, const char *name, unsigned flags,
                 struct nk_diag *diag);

/* hs_place_close - close it; safe on a closed one. */
void hs_place_close(struct hs_place *p);

/* hs_place_has - is there anything of that name? */
bool hs_place_has(const struct hs_place *p, const char *name);

/* hs_place_read - append the file `name` to out, which needs room for a byte more. 0, -ENOENT and
 * other -errno, -ELOOP for a link, -EINVAL for what is no regular file, NK_ETOOBIG. Permissions are
 * trust.h's to judge. */
int hs_place_read(const struct hs_place *p, const char *name, struct nk_buf *out,
                  struct nk_diag *diag);

/* hs_place_write - write a file of mode 0600; flags: OVERWRITE. -EEXIST and untouched when there is
 * anything of that name and OVERWRITE is not given; a link is replaced, not followed. On failure
 * the place is as it was. */
int hs_place_write(const struct hs_place *p, const char *name, unsigned flags, const void *bytes,
                   size_t n, struct nk_diag *diag);

/* hs_place_remove - remove a file, and have that on the disk. -ENOENT when there is none. */
int hs_place_remove(const struct hs_place *p, const char *name, struct nk_diag *diag);

/* hs_place_drop - remove directories of `name` (as of hs_place_sub) that are empty, from the last
 * one upwards; others are left. */
void hs_place_drop(const struct hs_place *p, const char *name);

/* Names of a directory, sorted; free with hs_names_clear. */
struct hs_names {
    char **v;
    size_t n;
};

/* hs_place_list - every name but "." and "..". 0, -errno, NK_ETOOBIG, -ENOMEM; then out is empty.
 */
int hs_place_list(const struct hs_place *p, struct hs_names *out, struct nk_diag *diag);
void hs_names_clear(struct hs_names *l);

/* hs_names_add - append a copy of a name. 0, NK_ETOOBIG (HS_PLACE_FILES_MAX), -ENOMEM. */
int hs_names_add(struct hs_names *l, const char *name);

/* hs_is_leftover - is it the name of a temporary file, as an interrupted write leaves it? */
bool hs_is_leftover(const char *name);

#endif
