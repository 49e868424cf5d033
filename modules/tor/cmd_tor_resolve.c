/* SPDX-License-Identifier: MIT */
#include "tor/socks_cli.h"

static int run(struct nk_cmd_ctx *ctx)
{
    return tor_socks_cli_lookup(ctx, false);
}

extern const struct nk_cmd nk_cmd_tor_resolve;
const struct nk_cmd nk_cmd_tor_resolve = {
    .synopsis = "[--socks ADDR] [--isolate NAME] NAME..",
    .summary = "Look names up through Tor",
    .opts = tor_socks_cli_opts,
    .conf_size = sizeof(struct tor_socks_cli_conf),
    .min_args = 1,
    .max_args = -1,
    .flags = NK_CMD_EXEC,
    .run = run,
};
