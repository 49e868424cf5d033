/* SPDX-License-Identifier: MIT */
/* Answers to requests: `netkit endpoint serve --group g --exec CMD`. */
#include "relay/endpoint_work.h"

static const struct nk_opt opts[] = {
    RELAY_ENDPOINT_WORK_ROWS,
    {.name = "requeue",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct relay_endpoint_work_conf, requeue),
     .flags = NK_OPT_CLI_ONLY,
     .help = "When the program fails, give the request back, to be served again after --delay, "
             "instead of answering that it failed"},
    RELAY_ENDPOINT_NAME_ROW,
    RELAY_ENDPOINT_ROWS,
    NK_OPT_END};

static int run(struct nk_cmd_ctx *ctx)
{
    return relay_endpoint_work(ctx, ctx->conf, true);
}

const struct nk_cmd nk_cmd_endpoint_serve = {
    .synopsis = "--group GROUP.. --exec PROGRAM [-j N] [-n N] [--format FORMAT] [-- ARGUMENT..]",
    .summary = "Answer requests with what a program writes",
    .opts = opts,
    .conf_size = sizeof(struct relay_endpoint_work_conf),
    .max_args = -1,
    .flags = NK_CMD_EXEC,
    .run = run,
};
