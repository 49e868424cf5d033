/* SPDX-License-Identifier: MIT */
/* build_cli - what `netkit tor circuits build` and `extend` share. */
#ifndef TOR_BUILD_CLI_H
#define TOR_BUILD_CLI_H

#include "tor/cli.h"

struct tor_build_cli_conf {
    struct tor_cli_conf cli;
    char *purpose;
};

extern const struct nk_opt tor_build_opts[]; /* the first one is --purpose */

/* tor_build_run - run() of both: id NULL makes a new circuit, path NULL lets tor choose. */
int tor_build_run(struct nk_cmd_ctx *ctx, const char *id, const char *path);

#endif
