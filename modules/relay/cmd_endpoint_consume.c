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
        "with status 0. What is known of the object is in the program's environment: OBJECT_GROUP, "
        "OBJECT_KIND, OBJECT_SEQ, OBJECT_TRIES (earlier deliveries), OBJECT_CONTENT (bytes, text, "
        "json, pickle), and where it has them OBJECT_REPLY_TO, OBJECT_CORRELATION, OBJECT_EXPIRES "
        "(ms since 1970), OBJECT_ORIGIN and OBJECT_REASON (dead letters) and OBJECT_HEADER_NAME "
        "for each header.\n"
        "\n"
        "When the program fails, the object goes back to its queue and comes again after --delay; "
        "after max_deliveries of its group it is a dead letter. With --keep-going it is dropped. "
        "On tlspyo's wire nothing can be given back: there a failure ends the worker with status 1 "
        "and leaves the object unacknowledged (a netkit relay gives it to another consumer; a "
        "stock relay has forgotten it), and broadcasts are worked on, too, because the wire does "
        "not tell them apart.\n"
        "\n"
        "A lost connection is made again. When the relay has given an object to somebody else "
        "meanwhile, its program is ended (TERM, KILL after 2 s); so it is when the lease, which is "
        "renewed while a program runs, was lost in any other way. SIGTERM takes no more objects "
        "and lets the programs finish; a second one ends them.",
    .examples = "netkit endpoint consume --group jobs --jobs 4 --exec ./work.sh\n"
                "netkit endpoint consume --group mail --exec sendmail -- -t -i",
    .opts = opts,
    .conf_size = sizeof(struct relay_endpoint_work_conf),
    .max_args = -1,
    .flags = NK_CMD_EXEC,
    .run = run,
};
