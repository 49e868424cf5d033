/* SPDX-License-Identifier: MIT */
#include "relay/admin_ask.h"

static int run(struct nk_cmd_ctx *ctx)
{
    return relay_admin_list(ctx, "groups");
}

const struct nk_cmd nk_cmd_relay_groups = {
    .synopsis = "[-n N]",
    .summary = "Show the groups of the relay that runs in the state directory",
    .description =
        "A line for each group: its members, what is queued, what is with consumers and not "
        "acknowledged yet (leased), whether a broadcast is retained, and what it has counted: "
        "broadcasts, objects produced, delivered out of the queue, dropped for a limit, and given "
        "back by consumers that went away (requeued). With --json one object with all of it.",
    .examples = "netkit relay groups\n"
                "netkit relay groups --json --state-dir /var/lib/netkit",
    .opts = relay_admin_list_opts,
    .conf_size = sizeof(struct relay_admin_list_conf),
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
