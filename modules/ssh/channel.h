/* SPDX-License-Identifier: MIT */
/*
 * channel - a channel as a stream (core/stream.h): for connections through a server (direct-tcpip),
 * jumps over it, and programs on it that are spoken to, such as SFTP's.
 *
 * NK_CONNECTED comes when the server has opened the channel and, where it was asked for something
 * then, has agreed; NK_CLOSED when it refuses. What arrives as extended data (a program's stderr)
 * is dropped. Each direction ends by itself. Reading gives window back; what is not read stays
 * within it.
 */
#ifndef SSH_CHANNEL_H
#define SSH_CHANNEL_H

#include "base/err.h"
#include "ssh/proto_channels.h"

struct nk_app;
struct nk_stream;

/* What is asked for. Borrowed for the call. */
struct ssh_channel_conf {
    const char *type;
    struct ssh_str data;
    const char *request; /* "subsystem", "exec": to be agreed to before NK_CONNECTED; NULL: nothing.
                          * Has request_text as its only string, of 1..SSH_DATA_MAX bytes */
    const char *request_text;
    const char *peer; /* answer to NK_Q_PEER */
};

/* ssh_channel_dial - open a channel. The stream has to be closed before the connection is, or its
 * channels told (ssh_channels_end). 0, NK_ELIMIT, NK_ECLOSED, -ENOMEM. */
int ssh_channel_dial(struct nk_app *app, struct ssh_channels *c,
                     const struct ssh_channel_conf *conf, struct nk_stream **out,
                     struct nk_diag *diag);

/* ssh_channel_dial_tcp - to host:port as the server resolves and reaches it (RFC 4254 7.2). */
int ssh_channel_dial_tcp(struct nk_app *app, struct ssh_channels *c, const char *host,
                         uint16_t port, struct nk_stream **out, struct nk_diag *diag);

/* ssh_channel_dial_unix - to a socket there (direct-streamlocal@openssh.com). */
int ssh_channel_dial_unix(struct nk_app *app, struct ssh_channels *c, const char *path,
                          struct nk_stream **out, struct nk_diag *diag);

#endif
