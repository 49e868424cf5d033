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
    .description =
        "Each FILE (standard input when there is neither a file nor --text) is one object. Every "
        "member of the group gets it, the sender too if it is one; the relay keeps the last one "
        "and "
        "gives it to whoever joins later.\n"
        "\n"
        "With --name they are sent through that endpoint daemon. The command ends with status 0 "
        "once the relay has acknowledged everything. When the "
        "connection is lost before, it says how many objects are in doubt and repeats none of "
        "them.",
    .examples = "netkit endpoint broadcast --to workers --text 'new weights'  # a str\n"
                "netkit endpoint broadcast --to workers weights.bin           # a bytes object",
    .opts = relay_endpoint_broadcast_opts,
    .conf_size = sizeof(struct relay_endpoint_send_conf),
    .max_args = -1,
    .run = run,
};
