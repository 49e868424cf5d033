/* SPDX-License-Identifier: MIT */
/*
 * client - an endpoint's connection to a relay on tlspyo's wire.
 *
 *     DIAL -> GREETING -> LOGIN -> PROBE -> ALIVE -> FINISH -> ENDED
 *       ^-------------- BACKOFF <-----------------'
 *
 * GREETING waits for the relay's HELLO, LOGIN for the acknowledgement of ours, PROBE for the
 * acknowledgement of a notify of nothing: a relay that refuses a group acknowledges our HELLO and
 * then closes, so only the second answer proves that we are in. Objects are held back until then (a
 * stock relay drops without a word what arrives before). Nothing is ever sent twice.
 *
 * All callbacks come from the loop, never from inside a call of this header.
 */
#ifndef NK_RELAY_CLIENT_H
#define NK_RELAY_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "relay/client_out.h"

struct nk_app;
struct nk_endpoint;
struct nk_stream;
struct relay_client;

struct relay_client_conf {
    const struct nk_endpoint *connect; /* everything here is borrowed until relay_client_close */
    const char *where;                 /* how messages name the relay: "tcp:127.0.0.1:3000" */
    /* put TLS over take_lower (as tls_wrap_client does); NULL: the transport is used as it is */
    int (*secure)(void *arg, struct nk_app *app, struct nk_stream *take_lower,
                  struct nk_stream **out, struct nk_diag *diag);
    void *secure_arg;
    const struct nk_secret *password;
    const char *const *groups; /* groups to join, without duplicates */
    size_t ngroups;
    unsigned header_size;
    size_t max_object; /* largest object accepted from the relay, bytes */
    uint64_t login_ms; /* longest time from dialling to ALIVE; 0 = 15 s */
    uint64_t retry_ms; /* before the first ALIVE: for how long to try again; 0 = one attempt */
    bool reconnect;    /* after a loss: come back, for as long as it takes */
};

/* An object that arrived. */
struct relay_delivery {
    const uint8_t *pickle; /* valid during on_object only */
    size_t len;
    int64_t stamp;       /* for relay_client_ack */
    uint64_t connection; /* the connection it arrived on */
    bool before_demand;  /* nothing had been asked for on this connection: certainly a broadcast */
};

struct relay_client_ops {
    /* Logged in; again = true after a reconnect (the relay has forgotten our demand). */
    void (*on_alive)(void *owner, bool again);
    /* An object; acknowledge it with relay_client_ack when it is safe. May be NULL. */
    void (*on_object)(void *owner, const struct relay_delivery *d);
    /* Something was sent or acknowledged; at most once per turn. May be NULL. */
    void (*on_progress)(void *owner);
    /* The connection was lost or refused; another attempt follows in `again_ms`. May be NULL. */
    void (*on_lost)(void *owner, const struct nk_diag *why, uint64_t again_ms);
    /* The end, once: 0 after relay_client_finish, otherwise why. Objects that the relay has not
     * acknowledged are counted in the text. */
    void (*on_end)(void *owner, int status, const struct nk_diag *why);
};

/* relay_client_open - begin to connect. 0, -ENOMEM. */
int relay_client_open(struct nk_app *app, const struct relay_client_conf *conf,
                      const struct relay_client_ops *ops, void *owner, struct relay_client **out);

/* relay_client_close - end now, without waiting for anything; no callback afterwards. Allowed in
 * callbacks. NULL is fine. */
void relay_client_close(struct relay_client *c);

/* relay_client_send - queue an object for dest (borrowed as long as c lives). data (malloc) belongs
 * to c from then on, also on failure. 0, -ENOMEM, or NK_ECLOSED after relay_client_finish. */
int relay_client_send(struct relay_client *c, const struct relay_wire_dest *dest, size_t ndest,
                      enum relay_form form, uint8_t *take_data, size_t len);

/* relay_client_notify - ask for objects. Only while ALIVE; 0, NK_EAGAIN (not alive, or too much in
 * flight: again at the next on_progress), -ENOMEM. */
int relay_client_notify(struct relay_client *c, const struct relay_wire_dest *dest, size_t ndest);

/* relay_client_ack - acknowledge a delivery; without effect when its connection has gone. */
void relay_client_ack(struct relay_client *c, const struct relay_delivery *d);

/* relay_client_pause - stop (true) or go on (false) reading from the relay. */
void relay_client_pause(struct relay_client *c, bool paused);

/* relay_client_finish - take no more objects in either direction; when everything queued was sent,
 * everything sent was acknowledged, and our acknowledgements have certainly been read, close and
 * report on_end(0). */
void relay_client_finish(struct relay_client *c);

/* relay_client_alive - logged in at this moment. */
bool relay_client_alive(const struct relay_client *c);

/* relay_client_queued - bytes of objects not sent yet. relay_client_unacked - commands that the
 * relay has not acknowledged. */
size_t relay_client_queued(const struct relay_client *c);
uint64_t relay_client_unacked(const struct relay_client *c);

#endif
