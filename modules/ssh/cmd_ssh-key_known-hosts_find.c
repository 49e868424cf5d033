/* SPDX-License-Identifier: MIT */
#include "ssh/known_cli.h"

static const struct nk_opt opts[] = {SSH_KNOWN_FILE_ROW, SSH_KNOWN_PORT_ROW, NK_OPT_END};

static int run(struct nk_cmd_ctx *ctx)
{
    char name[SSH_KNOWN_NAME_SIZE];
    int rc = ssh_known_cli_name(ctx, ctx->argv[0], name);
    return rc < 0 ? rc : ssh_known_cli_show(ctx, name);
}

extern const struct nk_cmd nk_cmd_ssh_key_known_hosts_find;
const struct nk_cmd nk_cmd_ssh_key_known_hosts_find = {
    .synopsis = "[-f FILE] [-p PORT] HOST [--json]",
    .summary = "Find the keys that a known_hosts file has for a host",
    .opts = opts,
    .conf_size = sizeof(struct ssh_known_conf),
    .min_args = 1,
    .max_args = 1,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
