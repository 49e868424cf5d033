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
    .description =
        "Each FILE (standard input when there is neither a file nor --text) is one object. It "
        "waits "
        "in the group's queue until a member asks for it (notify); with GROUP=N, N members get one "
        "each. To name a group that itself ends in =NUMBER, add another =N.\n"
        "\n"
        "With --name they are sent through that endpoint daemon. The command ends with status 0 "
        "once the relay has acknowledged everything. When the "
        "connection is lost before, it says how many objects are in doubt and repeats none of "
        "them.",
    .examples = "seq 100 | netkit endpoint produce --to jobs --lines --as str  # a hundred jobs\n"
                "netkit endpoint produce --to workers=8 task.bin               # eight copies",
    .opts = relay_endpoint_produce_opts,
    .conf_size = sizeof(struct relay_endpoint_send_conf),
    .max_args = -1,
    .run = run,
};
