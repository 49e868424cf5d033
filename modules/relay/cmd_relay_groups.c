/* SPDX-License-Identifier: MIT */
#include "relay/admin_ask.h"

static int run(struct nk_cmd_ctx *ctx)
{
    return relay_admin_list(ctx, "groups");
}

const struct nk_cmd nk_cmd_relay_groups = {
    .synopsis = "[-n N]",
    .summary = "Show the groups of the relay that runs in the state directory",
    .opts = relay_admin_list_opts,
    .conf_size = sizeof(struct relay_admin_list_conf),
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
