/* SPDX-License-Identifier: MIT */
/* install - what `netkit install` and `netkit uninstall` share. */
#ifndef NK_SERVICE_INSTALL_H
#define NK_SERVICE_INSTALL_H

#include "service/links.h"

struct install_conf {
    char *prefix;
    bool relative, hard, symbolic, force;
    char *man, *completion;
};

/* install_all - add (or remove) links, man pages and completion scripts. 0, a negative code, or
 * NK_EXIT_FAILED when some of it failed (each failure was reported). */
int install_all(struct nk_cmd_ctx *ctx, const struct install_conf *conf, bool remove);

#endif
