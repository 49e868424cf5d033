/* SPDX-License-Identifier: MIT */
#include "relay/admin_ask.h"

static int run(struct nk_cmd_ctx *ctx)
{
    return relay_admin_list(ctx, "endpoints");
}

const struct nk_cmd nk_cmd_relay_endpoints = {
    .synopsis = "[-n N]",
    .summary = "Show the connections of the relay that runs in the state directory",
    .description =
        "A line for each connection: its number, its peer, its wire, whether it is encrypted, the "
        "bytes that wait for it (backlog), the deliveries that it has not acknowledged, how many "
        "objects came from it (in) and went to it (out), since when it is there (UTC), and its "
        "groups. With --json one object with all of it.",
    .examples = "netkit relay endpoints\n"
                "netkit relay endpoints --json -n 0",
    .opts = relay_admin_list_opts,
    .conf_size = sizeof(struct relay_admin_list_conf),
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
