/* SPDX-License-Identifier: MIT */
/* sftp_link - what `sftp put` and `sftp get` talk to: an endpoint, or the SFTP subsystem of a host.
 */
#ifndef SSH_SFTP_LINK_H
#define SSH_SFTP_LINK_H

#include "base/cmd.h"
#include "base/secret.h"
#include "ssh/dest.h"

struct nk_app;
struct nk_stream;
struct ssh_client;

struct sftp_link_conf {
    char *connect; /* an endpoint; NULL: the host */
    int64_t port;
    struct ssh_dest_conf dest;
};

/* Rows of the options, for a configuration that has a struct sftp_link_conf in field. */
/* clang-format off */
#define SFTP_LINK_ROWS(owner, member)                                                              \
    {.name = "port", .short_name = 'P', .type = NK_OPT_INT, .arg = "PORT", .max = UINT16_MAX,      \
     .offset = NK_FIELD(owner, member.port), .flags = NK_OPT_CLI_ONLY,                             \
     .help = "Port of HOST"},                                                                      \
    SSH_DEST_ROWS(owner, member.dest),                                                             \
    {.name = "connect", .type = NK_OPT_CONNECT, .arg = "CONNECT",                                  \
     .offset = NK_FIELD(owner, member.connect), .flags = NK_OPT_CLI_ONLY,                          \
     .help = "An SFTP server without SSH; HOST may be empty then"}
/* clang-format on */

struct sftp_link {
    const struct nk_cmd_ctx *ctx;
    struct nk_app *app;
    struct ssh_config *config;
    struct ssh_client *client;
    struct nk_secret password;
    /* logged in: the stream to the SFTP server, which is still connecting and is the owner's now */
    void (*ready)(void *owner, struct nk_stream *take_stream);
    /* there is none; or the connection below the stream, which is dead now, has ended. At most once
     */
    void (*failed)(void *owner, int rc, const struct nk_diag *why);
    void *owner;
};

/* sftp_link_open - begin, with ctx, app, ready, failed and owner set; host is [USER@]HOST, with an
 * IPv6 address in brackets. The callbacks may come from inside for an endpoint only. 0 or the
 * error; in both cases end with sftp_link_close, after the stream has been closed. */
int sftp_link_open(struct sftp_link *l, const struct sftp_link_conf *conf, const char *host,
                   struct nk_diag *diag);
void sftp_link_close(struct sftp_link *l);

/* sftp_link_exec - a stream to a program on the host, over the same connection. NK_ECLOSED: there
 * is none; errors of ssh_channel_dial. */
int sftp_link_exec(struct sftp_link *l, const char *command, struct nk_stream **out,
                   struct nk_diag *diag);

#endif
