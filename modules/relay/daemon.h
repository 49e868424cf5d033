/* SPDX-License-Identifier: MIT */
/*
 * daemon - an endpoint that stays: one connection to a relay, a queue of what arrives, and a socket
 * through which commands take objects out, send some, and ask for more. Private to daemon*.c and
 * the service around it.
 *
 * daemon.c is the relay's side (client.h), daemon_conn.c the commands' side (daemon_wire.h).
 */
#ifndef NK_RELAY_DAEMON_H
#define NK_RELAY_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/log.h"
#include "core/app.h"
#include "core/timer.h"
#include "relay/client.h"
#include "relay/daemon_queue.h"
#include "relay/daemon_wire.h"

struct nk_stream;
struct daemon_conn;

struct relay_daemon_conf {
    struct nk_app *app;
    const char *name;                       /* for logs; borrowed */
    const struct relay_client_conf *client; /* borrowed */
    struct relay_local_limits limits;       /* of what waits for commands */
    void (*on_end)(void *owner, int status, const struct nk_diag *why); /* once */
    void (*on_stop)(void *owner); /* a command asks for the end: relay_daemon_drain */
    void *owner;
};

struct relay_daemon {
    struct relay_daemon_conf conf;
    struct nk_log *log;
    struct relay_client *client; /* NULL: ended */
    struct relay_local queue;
    uint64_t *want; /* by group handle: demand that the relay was not told yet */
    uint32_t nwant;
    struct daemon_conn *conns; /* the newest first */
    size_t nconns;
    uint64_t turn;         /* readers wait in the order of these */
    struct nk_defer serve; /* something arrived, or came back */
    struct nk_defer reap;  /* connections that were closed */
    struct nk_timer renew; /* of the leases; runs while objects wait */
    bool renewing;         /* it does */
    bool stale;            /* a lease was lost: sweep */
    bool draining;
    bool ended;
};

/* relay_daemon_open - connect. 0, -ENOMEM. */
int relay_daemon_open(struct relay_daemon *d, const struct relay_daemon_conf *conf);

/* relay_daemon_drain - take nothing more in; when everything that was sent is with the relay,
 * on_end(0). What waits goes back to the relay. */
void relay_daemon_drain(struct relay_daemon *d);

/* relay_daemon_quit - wait for nothing: on_end(0) now. */
void relay_daemon_quit(struct relay_daemon *d);

/* relay_daemon_unsent - objects that commands gave, and the relay has not acknowledged: when the
 * daemon ends now, they are lost. */
uint64_t relay_daemon_unsent(const struct relay_daemon *d);

/* relay_daemon_close - end now. Commands that wait for the end of the daemon learn it. Safe on a
 * zeroed one. */
void relay_daemon_close(struct relay_daemon *d);

/* relay_daemon_status - key/values into an open JSON object. */
void relay_daemon_status(const struct relay_daemon *d, struct nk_json *out);

/* relay_daemon_limit - new limits, from now on. */
void relay_daemon_limit(struct relay_daemon *d, const struct relay_local_limits *limits);

/* --- daemon.c for daemon_conn.c --------------------------------------------------------------- */

/* daemon_notify - demand: n > 0 is added to what stands, -1 drains. 0, NK_EUSAGE (a group that
 * cannot be joined now), NK_ELIMIT, -ENOMEM, NK_ECLOSED with diag. */
int daemon_notify(struct relay_daemon *d, const struct relay_endpoint_dest *dest,
                  struct nk_diag *diag);

/* daemon_ask - tell the relay about demand, as far as there is room. */
void daemon_ask(struct relay_daemon *d);

/* daemon_settle - an object leaves for good: acknowledge it (a relay_local_fn; arg: the daemon). */
void daemon_settle(void *arg, const struct relay_local_item *it);

/* daemon_serve_later - readers may get something: at the end of this turn. */
void daemon_serve_later(struct relay_daemon *d);

/* --- daemon_conn.c for daemon.c --------------------------------------------------------------- */

/* daemon_conn_accept - a command connected (take_s is owned). */
void daemon_conn_accept(struct relay_daemon *d, struct nk_stream *take_s);

/* Objects have arrived; sent ones were settled; there is room to send again; demand was lost. */
void daemon_conn_serve(struct relay_daemon *d);
void daemon_conn_settled(struct relay_daemon *d, uint32_t group, uint64_t first, uint64_t last,
                         int status);
void daemon_conn_progress(struct relay_daemon *d);
uint64_t daemon_conn_sweep(struct relay_daemon *d,
                           bool (*gone)(void *arg, const struct relay_local_item *it), void *arg);

/* daemon_conn_refuse - everybody who waits is told that the daemon ends. */
void daemon_conn_refuse(struct relay_daemon *d);

/* daemon_conn_close_all - now. */
void daemon_conn_close_all(struct relay_daemon *d);

/* daemon_conn_reap - free what was closed. */
void daemon_conn_reap(struct relay_daemon *d);

#endif
