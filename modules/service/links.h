/* SPDX-License-Identifier: MIT */
/*
 * links - the symlinks, man pages and completion scripts of `netkit install` and `uninstall`.
 *
 * Nothing of somebody else is ever touched: a link counts as ours when it leads to this binary, a
 * text file when it carries our mark. Replacing is atomic (temporary name, then rename).
 */
#ifndef NK_SERVICE_LINKS_H
#define NK_SERVICE_LINKS_H

#include <stdbool.h>
#include <sys/stat.h>
#include "base/cmd.h"
#include "base/file.h"

/* One installation or removal. */
struct links {
    const char *dir;
    const char *prefix;
    bool relative, hard, force, dry_run, quiet;
    char self[NK_PATH_MAX]; /* this binary, absolute, no symlinks */
    struct stat self_stat;
    char target[NK_PATH_MAX]; /* what the links contain */
    int done, failed;         /* counts of what was reported */
    const char *name;         /* of the command, for reports */
};

/* links_init - find this binary (/proc/self/exe; without /proc through argv[0] and PATH) and the
 * text of the links. l->dir, prefix and the flags are set by the caller. 0, -errno (diag). */
int links_init(struct links *l, const char *argv0, struct nk_diag *diag);

/* The commands that are linked by default, as far as they exist; NULL-terminated. */
extern const char *const links_default[];
bool links_exists(const char *name);

/* links_add / links_remove - one link named prefix + name. Each prints a line and counts. */
void links_add(struct links *l, const char *name);
void links_remove(struct links *l, const char *name);

/* links_put_file / links_drop_file - one generated text file dir/name. */
void links_put_file(struct links *l, const char *dir, const char *name, const void *p, size_t n);
void links_drop_file(struct links *l, const char *dir, const char *name);

#endif
