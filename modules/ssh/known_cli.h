/* SPDX-License-Identifier: MIT */
/* What the `netkit ssh-key known-hosts` commands share. */
#ifndef SSH_KNOWN_CLI_H
#define SSH_KNOWN_CLI_H

#include "base/cmd.h"
#include "base/file.h"
#include "ssh/known_hosts.h"

struct ssh_known_conf {
    char *file; /* NULL: ~/.ssh/known_hosts */
    int64_t port;
    bool hash, ca, revoked;
};

#define SSH_KNOWN_FILE_ROW                                                                         \
    {                                                                                              \
        .name = "file", .short_name = 'f', .type = NK_OPT_STRING, .arg = "FILE",                   \
        .offset = NK_FIELD(struct ssh_known_conf, file),                                           \
        .help = "The file; ~/.ssh/known_hosts without it"                                          \
    }
#define SSH_KNOWN_PORT_ROW                                                                         \
    {                                                                                              \
        .name = "port", .short_name = 'p', .type = NK_OPT_INT, .arg = "PORT", .def = "22",         \
        .min = 1, .max = UINT16_MAX, .offset = NK_FIELD(struct ssh_known_conf, port),              \
        .help = "The host's port; also as [HOST]:PORT"                                             \
    }

/* ssh_known_cli_file - the file's path. */
int ssh_known_cli_file(struct nk_cmd_ctx *ctx, char out[NK_PATH_MAX]);

/* ssh_known_cli_host - an argument HOST or [HOST]:PORT in its parts; port: where it says none.
 * false: neither. */
bool ssh_known_cli_host(const char *arg, uint16_t port, char host[SSH_KNOWN_HOST_MAX + 1],
                        uint16_t *out);

/* ssh_known_cli_name - what the argument HOST or [HOST]:PORT is called in files. */
int ssh_known_cli_name(struct nk_cmd_ctx *ctx, const char *arg, char out[SSH_KNOWN_NAME_SIZE]);

/* ssh_known_cli_show - print all entries, or those that include the name: the whole command. */
int ssh_known_cli_show(struct nk_cmd_ctx *ctx, const char *name);

/* ssh_known_cli_done - say how many lines were changed, and end. */
int ssh_known_cli_done(struct nk_cmd_ctx *ctx, const char *file, int changes);

#endif
