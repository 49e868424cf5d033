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

/* clang-format off */
/* Rows of both, for opts of the command. */
#define INSTALL_ROWS(man_help, completion_help)                                                    \
    {.name = "prefix", .type = NK_OPT_STRING, .offset = NK_FIELD(struct install_conf, prefix),     \
     .arg = "TEXT", .def = "nk-", .help = "What the names of the links begin with"},               \
    {.name = "man", .type = NK_OPT_PATH, .offset = NK_FIELD(struct install_conf, man),             \
     .arg = "DIR", .help = (man_help)},                                                            \
    {.name = "completion", .type = NK_OPT_PATH,                                                    \
     .offset = NK_FIELD(struct install_conf, completion), .arg = "DIR", .help = (completion_help)}
/* clang-format on */

/* What the descriptors of both have in common. */
#define INSTALL_COMMAND                                                                            \
    .opts = opts, .conf_size = sizeof(struct install_conf), .min_args = 1, .max_args = 1,          \
    .flags = NK_CMD_NO_CONFIG, .run = run

/* install_all - add (or remove) links, man pages and completion scripts. 0, a negative code, or
 * NK_EXIT_FAILED when some of it failed (each failure was reported). */
int install_all(struct nk_cmd_ctx *ctx, const struct install_conf *conf, bool remove);

#endif
