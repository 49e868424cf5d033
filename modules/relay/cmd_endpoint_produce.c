/* SPDX-License-Identifier: MIT */
#include "relay/endpoint_send.h"

#define COPIES_MAX 1000000000 /* per object; the relay stores a number, not copies */

static int run(struct nk_cmd_ctx *ctx)
{
    const struct relay_endpoint_counts copies = {.def = 1, .min = 1, .max = COPIES_MAX};
    return relay_endpoint_send(ctx, &copies);
}

const struct nk_cmd nk_cmd_endpoint_produce = {
    .synopsis = "--to GROUP[=N].. [--text TEXT].. [--as TYPE] [--lines] [FILE..|-]",
    .summary = "Put objects into the queue of a group",
    .opts = relay_endpoint_produce_opts,
    .conf_size = sizeof(struct relay_endpoint_send_conf),
    .max_args = -1,
    .run = run,
};
