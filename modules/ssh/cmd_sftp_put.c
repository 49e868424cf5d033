/* SPDX-License-Identifier: MIT */
#include "ssh/sftp_cmd.h"

static int run(struct nk_cmd_ctx *ctx)
{
    return sftp_cmd_run(ctx, true);
}

extern const struct nk_cmd nk_cmd_sftp_put;
const struct nk_cmd nk_cmd_sftp_put = {
    .synopsis = "[-r] [-p] [--resume] [--sync] [OPTION..] LOCAL.. HOST:PATH",
    .summary = "Copy files and directories to an SFTP server",
    .opts = sftp_cmd_rows,
    .conf_size = sizeof(struct sftp_cmd_conf),
    .min_args = 2,
    .max_args = -1,
    .flags = NK_CMD_EXEC | NK_CMD_NO_CONFIG,
    .run = run,
};
