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
    .description =
        "Prints the newest objects that wait in the daemon, at most N (default 1), the oldest of "
        "them first, and forgets every older one: for those who only want the latest state. "
        "Produced objects are forgotten, too. When there is none it prints nothing (with --json "
        "an empty list) and ends with status 0; with --block it waits for the first one, with "
        "--timeout at most for so long (status 75).",
    .examples = "netkit endpoint get-last --name trainer --format raw > weights.bin",
    .opts = opts,
    .conf_size = sizeof(struct relay_daemon_read_conf),
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
