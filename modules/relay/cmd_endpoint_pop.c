/* SPDX-License-Identifier: MIT */
#include "relay/daemon_read.h"

static const struct nk_opt opts[] = {RELAY_DAEMON_MAX_ROW, RELAY_DAEMON_READ_ROWS, NK_OPT_END};

static int run(struct nk_cmd_ctx *ctx)
{
    return relay_daemon_read_run(ctx, DAEMON_POP);
}

const struct nk_cmd nk_cmd_endpoint_pop = {
    .synopsis = "[--name NAME] [-n N] [--block] [--format FORMAT]",
    .summary = "Take the oldest objects out of an endpoint daemon",
    .description =
        "Prints the oldest objects that wait in the daemon, at most N (default 1), oldest first. "
        "When there is none it prints nothing (with --json an empty list) and ends with status 0; "
        "with --block it waits for the first one, with --timeout at most for so long (status "
        "75).\n\n"
        "The objects are acknowledged to the relay when the output has been written; if that "
        "fails they stay in the daemon.",
    .examples = "netkit endpoint pop                    # one object, if there is one\n"
                "netkit endpoint pop --block --timeout 10s --format raw > task\n"
                "netkit endpoint pop -n 100 --json      # a list of up to a hundred",
    .opts = opts,
    .conf_size = sizeof(struct relay_daemon_read_conf),
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
