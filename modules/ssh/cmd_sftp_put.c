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
    .description =
        "Hosts are looked up in ssh_config(5), their keys in known_hosts, as 'netkit ssh' does.\n\n"
        "PATH is an existing directory, or the new name of a single LOCAL; empty, it is the "
        "user's home. A file has the name NAME.nk-part until it is whole, and then replaces "
        "what had its name. Symbolic links below LOCAL are left out.\n\n"
        "--resume takes for done what is there with the same size and the same last 32 KiB (and "
        "with -p the same time), and goes on with parts that end alike. Without it a part of an "
        "earlier transfer is replaced.",
    .examples = "netkit sftp put report.pdf alice@files.example.org:inbox/\n"
                "netkit sftp put -rp --resume site web:/srv/www  # web is a Host of ssh_config\n"
                "netkit sftp put --connect exec:/usr/lib/openssh/sftp-server report.pdf :/mnt",
    .opts = sftp_cmd_rows,
    .conf_size = sizeof(struct sftp_cmd_conf),
    .min_args = 2,
    .max_args = -1,
    .flags = NK_CMD_EXEC | NK_CMD_NO_CONFIG,
    .run = run,
};
