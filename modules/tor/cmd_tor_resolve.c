/* SPDX-License-Identifier: MIT */
#include "tor/socks_cli.h"

static int run(struct nk_cmd_ctx *ctx)
{
    return tor_socks_cli_lookup(ctx, false);
}

extern const struct nk_cmd nk_cmd_tor_resolve;
const struct nk_cmd nk_cmd_tor_resolve = {
    .synopsis = "[--socks ADDR] [--isolate NAME] NAME..",
    .summary = "Look names up through Tor",
    .description =
        "An exit of tor asks the DNS, this machine does not. Prints the address, for several names "
        "the name in front of it, in the order of the names; tor gives one address per name. "
        "Addresses and localhost are their own answer; onion addresses have no other address.\n\n"
        "A name gets 90 seconds, or --timeout. The exit status is that of the first name that was "
        "not found.",
    .examples = "netkit tor resolve example.com\n"
                "netkit tor resolve --json a.example b.example --socks /run/tor/socks",
    .opts = tor_socks_cli_opts,
    .conf_size = sizeof(struct tor_socks_cli_conf),
    .min_args = 1,
    .max_args = -1,
    .flags = NK_CMD_EXEC,
    .run = run,
};
