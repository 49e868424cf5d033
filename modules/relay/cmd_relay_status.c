/* SPDX-License-Identifier: MIT */
#include "relay/admin_ask.h"

static int run(struct nk_cmd_ctx *ctx)
{
    static const char *const words[] = {"status"};
    return relay_admin_run(ctx, words, 1);
}

const struct nk_cmd nk_cmd_relay_status = {
    .synopsis = "",
    .summary = "Show what the relay that runs in the state directory is doing",
    .description =
        "Prints a JSON object: where it listens, its engine, connections, groups, objects that "
        "are queued, in flight and retained, and everything it counts. It is the same whether the "
        "relay was started by 'netkit run' (whose 'netkit status' shows it, too) or by 'netkit "
        "relay'.",
    .examples = "netkit relay status",
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
