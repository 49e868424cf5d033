/* SPDX-License-Identifier: MIT */
#include "tor/build_cli.h"

static int run(struct nk_cmd_ctx *ctx)
{
    return tor_build_run(ctx, NULL, ctx->argc > 0 ? ctx->argv[0] : NULL);
}

const struct nk_cmd nk_cmd_tor_circuits_build = {
    .synopsis = "[auto|PATH] [--purpose P]",
    .summary = "Make a circuit and wait until it is built",
    .description =
        "PATH is relays with commas between, nicknames or fingerprints, '*' for any: a guard in "
        "the "
        "first place, an exit in the last, chosen by bandwidth. Without it, or with 'auto', tor "
        "chooses.\n"
        "\n"
        "Prints the circuit's number and its relays, or why it failed (status 69). It waits for "
        "--timeout, at most a minute when nothing else is said.",
    .examples = "netkit tor circuits build\n"
                "netkit tor circuits build 'myguard,*,myexit' --purpose controller",
    .opts = tor_build_opts,
    .conf_size = sizeof(struct tor_build_cli_conf),
    .max_args = 1,
    .run = run,
};
