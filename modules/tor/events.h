/* SPDX-License-Identifier: MIT */
/*
 * events - the subscriptions of a controller: one SETEVENTS for all of them, events to those that
 * wait for them. For control.c.
 *
 *     (added) NEW --SETEVENTS--> ASKED --250--> ON        --connection lost--> NEW
 *                                  +----552--> REFUSED
 */
#ifndef TOR_EVENTS_H
#define TOR_EVENTS_H

#include <stdbool.h>

#include "core/app.h"
#include "tor/conn.h"

struct tor_control; /* control.h */
struct tor_subscription;

struct tor_events {
    struct nk_app *app;
    struct tor_control *control;
    struct tor_conn *conn; /* NULL: not connected */
    struct tor_subscription *first, *last;
    struct tor_subscription *walk; /* the next one of a walk */
    struct tor_request request;
    struct nk_defer later; /* what this turn changed is told to tor at its end */
    bool changed;
};

/* tor_events_init - of `control`, with no subscription. */
void tor_events_init(struct tor_events *e, struct nk_app *app, struct tor_control *control);

/* tor_events_ready - the connection stands: ask for all. tor_events_lost - it is gone. */
void tor_events_ready(struct tor_events *e, struct tor_conn *conn);
void tor_events_lost(struct tor_events *e);

/* tor_events_close - forget all. */
void tor_events_close(struct tor_events *e);

/* tor_events_add - as tor_control_subscribe. */
int tor_events_add(struct tor_events *e, struct tor_subscription *s);
void tor_events_remove(struct tor_events *e, struct tor_subscription *s);

/* tor_events_flush - what has changed is told to tor now, ahead of the command that comes next. */
void tor_events_flush(struct tor_events *e);

/* tor_events_give - an event to everybody who wants it. */
void tor_events_give(struct tor_events *e, const struct tor_reply *event);

#endif
