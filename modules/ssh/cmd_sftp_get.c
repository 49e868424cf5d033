/* SPDX-License-Identifier: MIT */
#include "ssh/sftp_cmd.h"

static int run(struct nk_cmd_ctx *ctx)
{
    return sftp_cmd_run(ctx, false);
}

extern const struct nk_cmd nk_cmd_sftp_get;
const struct nk_cmd nk_cmd_sftp_get = {
    .synopsis = "[-r] [-p] [--resume] [--sync] [OPTION..] HOST:PATH.. LOCAL",
    .summary = "Copy files and directories from an SFTP server",
    .description =
        "Hosts are looked up in ssh_config(5), their keys in known_hosts, as 'netkit ssh' does.\n\n"
        "LOCAL is an existing directory, or the new name of a single PATH. A file has the name "
        "NAME.nk-part until it is whole, and then replaces what had its name. Symbolic links "
        "below PATH are left out; names that are not those of a file, and links here that lead "
        "out of LOCAL, are refused.\n\n"
        "--resume takes for done what is here with the same size and the same last 32 KiB (and "
        "with -p the same time), and goes on with parts that end alike. Without it a part of an "
        "earlier transfer is replaced.",
    .examples = "netkit sftp get alice@files.example.org:inbox/report.pdf .\n"
                "netkit sftp get -rp --resume web:/srv/www site  # web is a Host of ssh_config\n"
                "netkit sftp get --connect exec:/usr/lib/openssh/sftp-server :/mnt/report.pdf .",
    .opts = sftp_cmd_rows,
    .conf_size = sizeof(struct sftp_cmd_conf),
    .min_args = 2,
    .max_args = -1,
    .flags = NK_CMD_EXEC | NK_CMD_NO_CONFIG,
    .run = run,
};
