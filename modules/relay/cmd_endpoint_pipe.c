/* SPDX-License-Identifier: MIT */
#include "relay/pipe.h"

static const struct nk_opt opts[] = {
    {.name = "group",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct relay_pipe_conf, group),
     .arg = "GROUP",
     .flags = NK_OPT_REPEAT | NK_OPT_CLI_ONLY,
     .help = "Group to join"},
    {.name = "auto-ack",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct relay_pipe_conf, auto_ack),
     .flags = NK_OPT_CLI_ONLY,
     .help = "Acknowledge objects as soon as their event is written"},
    RELAY_ENDPOINT_NAME_ROW,
    RELAY_ENDPOINT_ROWS,
    NK_OPT_END};

static int run(struct nk_cmd_ctx *ctx)
{
    return relay_pipe_run(ctx);
}

const struct nk_cmd nk_cmd_endpoint_pipe = {
    .synopsis = "[--group GROUP].. [--auto-ack]",
    .summary = "Be the endpoint of a program in any language, over lines of JSON",
    .opts = opts,
    .conf_size = sizeof(struct relay_pipe_conf),
    .run = run,
};
