/* SPDX-License-Identifier: MIT */
/*
 * daemon_ask - the commands' side of an endpoint daemon's socket (daemon_wire.h): without a loop,
 * one request after the other. All errors are told in the link's diag.
 */
#ifndef NK_RELAY_DAEMON_ASK_H
#define NK_RELAY_DAEMON_ASK_H

#include "base/cmd.h"
#include "relay/daemon_wire.h"
#include "relay/endpoint_progress.h"

struct relay_daemon_link {
    int fd;
    const char *name;  /* of the daemon */
    uint64_t deadline; /* ms, monotonic; 0: none */
    struct nk_buf in;
    size_t frame; /* bytes of the frame that was read last; it goes with the next read */
    struct nk_diag *diag;
    struct relay_endpoint_progress progress;
    uint64_t sent, received; /* bytes, frames' heads included */
};

/* The row of --name for commands that use a daemon; field is a char * of conf. */
#define RELAY_DAEMON_NAME_ROW(conf, field, text)                                                   \
    {                                                                                              \
        .name = "name", .type = NK_OPT_STRING, .offset = NK_FIELD(conf, field), .arg = "NAME",     \
        .flags = NK_OPT_CLI_ONLY, .help = (text)                                                   \
    }

/* relay_daemon_connect - to the daemon `name` (NULL: default) of ctx's state directory; errors go
 * to ctx->diag. timeout_ms bounds everything on the link, 0: no limit. NK_ECLOSED when it does not
 * run, NK_EVERSION, NK_EUSAGE (no name) ...; relay_daemon_hangup in any case. */
int relay_daemon_connect(struct relay_daemon_link *l, struct nk_cmd_ctx *ctx, const char *name,
                         uint64_t timeout_ms);
void relay_daemon_hangup(struct relay_daemon_link *l);

/* relay_daemon_write - send n bytes. relay_daemon_say - send what is in b, and empty it. */
int relay_daemon_write(struct relay_daemon_link *l, const void *p, size_t n);
int relay_daemon_say(struct relay_daemon_link *l, struct nk_buf *b);

/* relay_daemon_next - the next frame of the daemon; its payload is valid until the next call.
 * NK_ECLOSED at the end of the stream. */
int relay_daemon_next(struct relay_daemon_link *l, enum relay_daemon_type *type, const uint8_t **p,
                      size_t *n);

/* relay_daemon_verdict - what a DONE frame says: 0, or a positive exit status with its text in
 * diag. */
int relay_daemon_verdict(struct relay_daemon_link *l, enum relay_daemon_type type, const uint8_t *p,
                         size_t n, struct relay_daemon_done *out);

/* relay_daemon_wait - the next frame must be DONE: its verdict. */
int relay_daemon_wait(struct relay_daemon_link *l, struct relay_daemon_done *out);

/* relay_daemon_result - for the end of run(): a positive status is reported here, because only
 * negative ones are reported by the caller. Returns status. */
int relay_daemon_result(struct nk_cmd_ctx *ctx, int status);

#endif
