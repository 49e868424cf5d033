/* SPDX-License-Identifier: MIT */
#include "relay/daemon_read.h"

static const struct nk_opt opts[] = {RELAY_DAEMON_READ_ROWS, NK_OPT_END};

static int run(struct nk_cmd_ctx *ctx)
{
    return relay_daemon_read_run(ctx, DAEMON_ALL);
}

const struct nk_cmd nk_cmd_endpoint_receive_all = {
    .synopsis = "[--name NAME] [--block] [--format FORMAT]",
    .summary = "Take everything out of an endpoint daemon",
    .opts = opts,
    .conf_size = sizeof(struct relay_daemon_read_conf),
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
