/* SPDX-License-Identifier: MIT */
/* One program per object: `netkit endpoint consume --group g --exec CMD`. */
#include "relay/endpoint_work.h"

static const struct nk_opt opts[] = {RELAY_ENDPOINT_WORK_ROWS, RELAY_ENDPOINT_NAME_ROW,
                                     RELAY_ENDPOINT_ROWS, NK_OPT_END};

static int run(struct nk_cmd_ctx *ctx)
{
    return relay_endpoint_work(ctx, ctx->conf, false);
}

const struct nk_cmd nk_cmd_endpoint_consume = {
    .synopsis = "--group GROUP.. --exec PROGRAM [-j N] [-n N] [--delay TIME] [--keep-going] "
                "[--format FORMAT] [-- ARGUMENT..]",
    .summary = "Run a program for each object of a group",
    .description =
        "A worker: asks for as many objects as it has programs to run (--jobs), runs the program "
        "with the object as its standard input, and acknowledges the object when the program ends "
        "with status 0. The object's group, number, content and headers are in the program's "
        "environment: OBJECT_GROUP, OBJECT_SEQ, OBJECT_TRIES, OBJECT_CONTENT, OBJECT_HEADER_..\n"
        "\n"
        "When the program fails, the object goes back to its queue and comes again after --delay; "
        "after max_deliveries of its group it is a dead letter. With --keep-going it is dropped. "
        "On tlspyo's wire nothing can be given back: there a failure ends the worker with status 1 "
        "and leaves the object unacknowledged (a netkit relay gives it to another consumer; a "
        "stock relay has forgotten it), and broadcasts are worked on, too, because the wire does "
        "not tell them apart.\n"
        "\n"
        "A lost connection is made again; the objects in work are finished, and may then be given "
        "to somebody a second time. SIGTERM lets the programs finish first.",
    .examples = "netkit endpoint consume --group jobs --jobs 4 --exec ./work.sh\n"
                "netkit endpoint consume --group mail --exec sendmail -- -t -i",
    .opts = opts,
    .conf_size = sizeof(struct relay_endpoint_work_conf),
    .max_args = -1,
    .flags = NK_CMD_EXEC,
    .run = run,
};
