/* SPDX-License-Identifier: MIT */
#include "relay/endpoint_send.h"

static int run(struct nk_cmd_ctx *ctx)
{
    const struct relay_endpoint_counts none = {.def = -1, .min = -1, .max = -1};
    return relay_endpoint_send(ctx, &none);
}

const struct nk_cmd nk_cmd_endpoint_broadcast = {
    .synopsis = "--to GROUP.. [--text TEXT].. [--as TYPE] [--lines] [FILE..|-]",
    .summary = "Send objects to every member of a group",
    .opts = relay_endpoint_broadcast_opts,
    .conf_size = sizeof(struct relay_endpoint_send_conf),
    .max_args = -1,
    .run = run,
};
