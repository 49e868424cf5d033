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

#include "base/buf.h"
#include "base/err.h"
#include "ssh/proto_channels.h"

struct nk_app;
struct nk_stream;

enum { SSH_CHANNEL_PEER_MAX = 300 }; /* bytes of a peer's name, cut to fit */

/* What is asked for. Borrowed for the call. */
struct ssh_channel_conf {
    const char *type;
    struct ssh_str data;
    const char *request; /* "subsystem", "exec": to be agreed to before NK_CONNECTED; NULL: nothing.
                          * Has request_text as its only string, of 1..SSH_DATA_MAX bytes */
    const char *request_text;
    const char *peer; /* answer to NK_Q_PEER */
};

/* Channels that wait for a connection, the first one first. Zeroed at birth; empty at the end
 * (ssh_channel_queue_fail). */
struct ssh_channel_queue {
    struct ssh_channel_wait *first, *last;
    size_t n;
};

/* Where and for whom a channel is opened. */
struct ssh_channel_place {
    struct ssh_channels *now;        /* NULL: when there is a connection */
    struct ssh_channel_queue *later; /* where it waits for that */
    void (*closed)(void *arg);       /* once, inside nk_stream_close; may be NULL */
    void *arg;
};

/* A conf with what it points to: where a connection through the server is to lead. */
struct ssh_channel_to {
    struct ssh_channel_conf conf;
    struct nk_buf data;
    char peer[SSH_CHANNEL_PEER_MAX];
};

/* ssh_channel_to_tcp, ssh_channel_to_unix - as ssh_channel_dial_tcp and _unix. 0, NK_ETOOBIG or
 * -ENOMEM, and nothing is to be given back then; else ssh_channel_to_clear is owed. */
int ssh_channel_to_tcp(struct ssh_channel_to *to, const char *host, uint16_t port,
                       struct nk_diag *diag);
int ssh_channel_to_unix(struct ssh_channel_to *to, const char *path, struct nk_diag *diag);
void ssh_channel_to_clear(struct ssh_channel_to *to);

/* ssh_channel_dial_at - open a channel now or later. 0, NK_ELIMIT, NK_ECLOSED, -ENOMEM: then closed
 * is not called. */
int ssh_channel_dial_at(struct nk_app *app, const struct ssh_channel_place *place,
                        const struct ssh_channel_conf *conf, struct nk_stream **out,
                        struct nk_diag *diag);

/* ssh_channel_queue_open - there is a connection: all that wait are opened.
 * ssh_channel_queue_fail - those that have waited since before_ms (of nk_now_ms) or longer fail.
 * ssh_channel_queue_since - since when the first one waits; UINT64_MAX: none does. */
void ssh_channel_queue_open(struct ssh_channel_queue *q, struct ssh_channels *c);
void ssh_channel_queue_fail(struct ssh_channel_queue *q, uint64_t before_ms,
                            const struct nk_diag *why);
uint64_t ssh_channel_queue_since(const struct ssh_channel_queue *q);

/* ssh_channel_take - accept a channel that the server wants to open (ssh_channels_conf.on_incoming)
 * and make it a stream, which is connected. The server hears so when the stream is used, or what
 * nk_stream_answer says: until then it is counted in *waiting. closed as in struct
 * ssh_channel_place. 0; -ENOMEM: it is refused. */
int ssh_channel_take(struct nk_app *app, struct ssh_channel *ch, const char *peer,
                     unsigned *waiting, void (*closed)(void *arg), void *arg,
                     struct nk_stream **out);

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
