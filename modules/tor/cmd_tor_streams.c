/* SPDX-License-Identifier: MIT */
#include "tor/list.h"

static int run(struct nk_cmd_ctx *ctx)
{
    return tor_list_run(ctx, &tor_list_streams);
}

const struct nk_cmd nk_cmd_tor_streams = {
    .synopsis = "[--filter CONDITION]..",
    .summary = "Show tor's streams (same as 'streams list')",
    .opts = tor_list_opts,
    .conf_size = sizeof(struct tor_list_conf),
    .run = run,
};
