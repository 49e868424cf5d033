/* SPDX-License-Identifier: MIT */
#include "tor/build_cli.h"

static int run(struct nk_cmd_ctx *ctx)
{
    return tor_build_run(ctx, ctx->argv[0], ctx->argv[1]);
}

const struct nk_cmd nk_cmd_tor_circuits_extend = {
    .synopsis = "ID PATH",
    .summary = "Make a circuit longer and wait until it is built",
    .opts = tor_build_opts + 1, /* without --purpose, which tor takes for new ones only */
    .conf_size = sizeof(struct tor_build_cli_conf),
    .min_args = 2,
    .max_args = 2,
    .run = run,
};
