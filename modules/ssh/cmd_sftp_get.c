/* SPDX-License-Identifier: MIT */
#include "ssh/sftp_cmd.h"

static int run(struct nk_cmd_ctx *ctx)
{
    return sftp_cmd_run(ctx, false);
}

extern const struct nk_cmd nk_cmd_sftp_get;
const struct nk_cmd nk_cmd_sftp_get = {
    .synopsis = "[-r] [-p] [--resume] [--sync] --connect CONNECT HOST:PATH.. LOCAL",
    .summary = "Copy files and directories from an SFTP server",
    .description =
        "LOCAL is an existing directory, or the new name of a single PATH. A file has the name "
        "NAME.nk-part until it is whole, and then replaces what had its name. Symbolic links "
        "below PATH are left out; names that are not those of a file, and links here that lead "
        "out of LOCAL, are refused.\n\n"
        "--resume takes for done what is here with the same size and the same last 32 KiB (and "
        "with -p the same time), and goes on with parts that end alike. Without it a part of an "
        "earlier transfer is replaced.",
    .examples = "netkit sftp get --connect unix:/run/sftp.sock :inbox/report.pdf .\n"
                "netkit sftp get -r --connect exec:/usr/lib/openssh/sftp-server :/srv/site backup",
    .opts = sftp_cmd_rows,
    .conf_size = sizeof(struct sftp_cmd_conf),
    .min_args = 2,
    .max_args = -1,
    .flags = NK_CMD_EXEC | NK_CMD_NO_CONFIG,
    .run = run,
};
