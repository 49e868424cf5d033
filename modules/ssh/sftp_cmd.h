/* SPDX-License-Identifier: MIT */
/* What `sftp put` and `sftp get` share: their options, the connection, how far they are. */
#ifndef SSH_SFTP_CMD_H
#define SSH_SFTP_CMD_H

#include <stdbool.h>

#include "ssh/sftp_link.h"

struct sftp_cmd_conf {
    bool recursive, resume, preserve, sync;
    struct sftp_link_conf link;
};

extern const struct nk_opt sftp_cmd_rows[];

/* sftp_cmd_run - put: the words are LOCAL.. HOST:PATH, else HOST:PATH.. LOCAL. The exit status. */
int sftp_cmd_run(struct nk_cmd_ctx *ctx, bool put);

#endif
