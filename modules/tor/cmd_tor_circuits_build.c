/* SPDX-License-Identifier: MIT */
#include "tor/build_cli.h"

static int run(struct nk_cmd_ctx *ctx)
{
    return tor_build_run(ctx, NULL, ctx->argc > 0 ? ctx->argv[0] : NULL);
}

const struct nk_cmd nk_cmd_tor_circuits_build = {
    .synopsis = "[auto|PATH] [--purpose P]",
    .summary = "Make a circuit and wait until it is built",
    .opts = tor_build_opts,
    .conf_size = sizeof(struct tor_build_cli_conf),
    .max_args = 1,
    .run = run,
};
