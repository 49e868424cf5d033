/* SPDX-License-Identifier: MIT */
#include "tor/list.h"

static int run(struct nk_cmd_ctx *ctx)
{
    return tor_list_run(ctx, &tor_list_streams);
}

const struct nk_cmd nk_cmd_tor_streams_list = {
    .synopsis = "[--filter CONDITION]..",
    .summary = "Show tor's streams",
    .description =
        "A line for each stream: its number, state, the circuit it is attached to (0: none), and "
        "its destination. Who asked for it is told by events only: netkit tor events stream.",
    .examples = "netkit tor streams list --filter circuit=12 --json",
    .opts = tor_list_opts,
    .conf_size = sizeof(struct tor_list_conf),
    .run = run,
};
