/* SPDX-License-Identifier: MIT */
/*
 * control - a controller of a tor: finds its control port, authenticates, keeps subscriptions to
 * events, and when told to comes back after the connection was lost.
 *
 *     CONNECTING --> READY --> LOST --> READY ..
 *          |           |        (reconnect; else CLOSED)
 *          +-----------+--> CLOSED
 *
 * After a loss tor knows nothing of us any more: subscriptions are made again here, before READY is
 * told; everything else (services, owned circuits) is for whoever watches the state to bring back.
 */
#ifndef TOR_CONTROL_H
#define TOR_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "tor/access.h"
#include "tor/conn.h"

struct nk_app;
struct tor_control;

enum tor_control_state {
    TOR_CONTROL_CONNECTING, /* the first attempt */
    TOR_CONTROL_READY,      /* authenticated; commands can be sent */
    TOR_CONTROL_LOST,       /* not connected; tried again by itself, see tor_control_retry_ms */
    TOR_CONTROL_CLOSED      /* for good */
};

struct tor_control_conf {
    struct nk_app *app;
    const struct tor_access *access; /* borrowed for the life of the control */
    bool reconnect;                  /* after it has been ready once: try until it is again */
    bool wait;                       /* with reconnect: the first connection, too */
    uint64_t timeout_ms;             /* for a reply; 0: TOR_CONN_TIMEOUT_MS */
};

/* tor_control_open - begin to connect. What happens is told to watches, never before this returns.
 * 0, -ENOMEM. */
int tor_control_open(struct tor_control **out, const struct tor_control_conf *conf,
                     struct nk_diag *diag);

/* tor_control_close - end it. Requests get no answer; watches and subscriptions are forgotten. From
 * anywhere; NULL is fine. */
void tor_control_close(struct tor_control *c);

/* Whoever wants to know the state. The memory is the caller's. */
struct tor_control_watch {
    /* the state is another one; err and why are set for LOST and CLOSED. Requests that waited have
     * been told before. Also told, later, to one that is added: what the state is then */
    void (*fn)(void *owner, enum tor_control_state state, int err, const struct nk_diag *why);
    void *owner;
    struct tor_control *control; /* private from here on */
    struct tor_control_watch *next, *prev;
    bool fresh;
};

/* tor_control_watch - add it: it is told the present state soon, unless that is CONNECTING.
 * tor_control_unwatch - remove it; fine when it is not there, and from inside fn. */
void tor_control_watch(struct tor_control *c, struct tor_control_watch *w);
void tor_control_unwatch(struct tor_control_watch *w);

/* Events of one name. The memory is the caller's. */
struct tor_subscription {
    const char *event;                                      /* "HS_DESC", upper-case; must stay */
    void (*fn)(void *owner, const struct tor_reply *event); /* valid until return */
    /* tor has answered SETEVENTS: 0, or it does not know the event (then it is not asked for any
     * more). After each connection; may be NULL */
    void (*on_ready)(void *owner, int err, const struct nk_diag *why);
    void *owner;
    struct tor_control *control; /* private from here on */
    struct tor_subscription *next, *prev;
    int state;
};

/*
 * tor_control_subscribe - from now on, over every connection. All of one turn are told to tor at
 * once, and before any command that is sent after this: a command never gets ahead of the events
 * that it leads to. 0, or NK_EUSAGE where the name can be none. tor_control_unsubscribe - end it;
 * fine when it is none, and from inside fn.
 */
int tor_control_subscribe(struct tor_control *c, struct tor_subscription *s);
void tor_control_unsubscribe(struct tor_subscription *s);

/* tor_control_send - as tor_conn_send; NK_ECLOSED when not READY. */
int tor_control_send(struct tor_control *c, struct tor_request *r, const char *line,
                     const void *data, size_t len, struct nk_diag *diag);

/* tor_control_sendf - the same for a line that is put together. What users or peers gave is never
 * put in with %s raw: it goes through tor_wire_quote_arg, or has been checked to be a word. */
int tor_control_sendf(struct tor_control *c, struct tor_request *r, struct nk_diag *diag,
                      const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* The present state; the milliseconds from the loss to the next attempt (LOST). */
enum tor_control_state tor_control_state(const struct tor_control *c);
uint64_t tor_control_retry_ms(const struct tor_control *c);

/* tor_control_version - of the tor that was READY last, "0.4.9.11"; "" before. tor_control_place -
 * the endpoint string of the connection, or of the last attempt. tor_control_method - how it was
 * authenticated ("SAFECOOKIE"). */
const char *tor_control_version(const struct tor_control *c);
const char *tor_control_place(const struct tor_control *c);
const char *tor_control_method(const struct tor_control *c);

#endif
