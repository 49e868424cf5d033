/* SPDX-License-Identifier: MIT */
#include "tor/socks_cli.h"

static int run(struct nk_cmd_ctx *ctx)
{
    return tor_socks_cli_lookup(ctx, true);
}

extern const struct nk_cmd nk_cmd_tor_ptr;
const struct nk_cmd nk_cmd_tor_ptr = {
    .synopsis = "[--socks ADDR] [--isolate NAME] ADDRESS..",
    .summary = "Look the names of addresses up through Tor",
    .opts = tor_socks_cli_opts,
    .conf_size = sizeof(struct tor_socks_cli_conf),
    .min_args = 1,
    .max_args = -1,
    .flags = NK_CMD_EXEC,
    .run = run,
};
