/* SPDX-License-Identifier: MIT */
#include "relay/daemon_read.h"

static const struct nk_opt opts[] = {RELAY_DAEMON_MAX_ROW, RELAY_DAEMON_READ_ROWS, NK_OPT_END};

static int run(struct nk_cmd_ctx *ctx)
{
    return relay_daemon_read_run(ctx, DAEMON_LAST);
}

const struct nk_cmd nk_cmd_endpoint_get_last = {
    .synopsis = "[--name NAME] [-n N] [--block] [--format FORMAT]",
    .summary = "Take the newest objects out of an endpoint daemon and drop the others",
    .opts = opts,
    .conf_size = sizeof(struct relay_daemon_read_conf),
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
