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
    .opts = opts,
    .conf_size = sizeof(struct relay_endpoint_work_conf),
    .max_args = -1,
    .flags = NK_CMD_EXEC,
    .run = run,
};
