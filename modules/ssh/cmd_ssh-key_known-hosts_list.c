/* SPDX-License-Identifier: MIT */
#include "ssh/known_cli.h"

static const struct nk_opt opts[] = {SSH_KNOWN_FILE_ROW, NK_OPT_END};

static int run(struct nk_cmd_ctx *ctx)
{
    return ssh_known_cli_show(ctx, NULL);
}

extern const struct nk_cmd nk_cmd_ssh_key_known_hosts_list;
const struct nk_cmd nk_cmd_ssh_key_known_hosts_list = {
    .synopsis = "[-f FILE] [--json]",
    .summary = "List the host keys in a known_hosts file",
    .opts = opts,
    .conf_size = sizeof(struct ssh_known_conf),
    .min_args = 0,
    .max_args = 0,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
