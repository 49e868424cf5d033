/* SPDX-License-Identifier: MIT */
/*
 * conn - one control connection: the protocol (proto.h) over a stream.
 *
 * Commands may be sent at any time, also before the stream is connected and before earlier replies
 * are there; those of one turn leave in one write. When the connection ends, by itself, because a
 * reply does not come in time, or because what comes is no control port, every request that waits
 * is told, in the order of sending, and then the owner.
 */
#ifndef TOR_CONN_H
#define TOR_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "tor/wire.h"

struct nk_app;
struct nk_stream;
struct tor_conn;

#define TOR_CONN_TIMEOUT_MS 60000u /* for a reply, where nothing else is said */

/*
 * The reply to one request: err is 0 and reply is there whatever tor's answer was (see
 * reply->code); or err says why the connection ended, why tells it, and reply is NULL. Once. The
 * request may be used again, and freed, from here on. reply is valid until return.
 */
typedef void tor_reply_fn(void *owner, int err, const struct tor_reply *reply,
                          const struct nk_diag *why);

/* One line of a reply that is not collected (kinds '-' '+' and '=', see tor_line). */
typedef void tor_line_fn(void *owner, const struct tor_line *line);

/* A command on its way; the memory is the caller's, who keeps it until the reply or the cancel. */
struct tor_request {
    tor_reply_fn *fn;
    void *owner;
    tor_line_fn *on_line;  /* NULL: the whole reply is collected, up to TOR_REPLY_MAX; else it comes
                            * line by line, and fn gets the last one alone */
    uint64_t timeout_ms;   /* 0: the connection's; it cannot end before those of earlier requests */
    struct tor_conn *conn; /* private: not NULL while it waits */
    uint64_t id;
};

struct tor_conn_conf {
    struct nk_app *app;
    uint64_t timeout_ms; /* for a reply; 0: TOR_CONN_TIMEOUT_MS */
    /* an event; valid until return. May be NULL */
    void (*on_event)(void *owner, const struct tor_reply *event);
    /* the stream is connected; may be NULL */
    void (*on_open)(void *owner);
    /* it is over: once, unless tor_conn_close was called. The owner still calls that */
    void (*on_end)(void *owner, int err, const struct nk_diag *why);
    void *owner;
};

/* tor_conn_new - over take_stream, which may still be connecting (closed on failure, too). 0 or
 * -ENOMEM. */
int tor_conn_new(struct tor_conn **out, const struct tor_conn_conf *conf,
                 struct nk_stream *take_stream, struct nk_diag *diag);

/* tor_conn_close - end it now; requests that wait get no answer. From anywhere, also from its own
 * callbacks; NULL is fine. */
void tor_conn_close(struct tor_conn *c);

/*
 * tor_conn_send - send a command: line without its end, and data (not NULL, len may be 0) as a data
 * block. Both are copied; the copies are wiped. 0 and r->fn once, later; or an error and nothing:
 * NK_EUSAGE (what tor_wire_put_command refuses), NK_ECLOSED when the connection is over, NK_ELIMIT,
 * NK_ETOOBIG, -ENOMEM. r must not be waiting.
 */
int tor_conn_send(struct tor_conn *c, struct tor_request *r, const char *line, const void *data,
                  size_t len, struct nk_diag *diag);

/* tor_request_cancel - r->fn will not be called; tor does what it was told all the same. Fine when
 * it does not wait. */
void tor_request_cancel(struct tor_request *r);

/* tor_conn_pending - requests without their reply, cancelled ones included. */
size_t tor_conn_pending(const struct tor_conn *c);

#endif
