/* SPDX-License-Identifier: MIT */
/*
 * hub - a relay without its listeners: connections, groups and the engine between them. One hub
 * serves all listeners of a relay; streams are handed to it one by one.
 *
 * Work of one loop turn is batched: what connections read becomes engine operations, what the
 * engine delivers and completes becomes output, and each connection with output gets one writev at
 * the turn's end.
 */
#ifndef NK_RELAY_HUB_H
#define NK_RELAY_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/log.h"
#include "base/secret.h"
#include "core/app.h"
#include "relay/acl.h"
#include "relay/engine.h"
#include "relay/guard.h"
#include "relay/identity.h"
#include "relay/out.h"
#include "relay/publishers.h"
#include "relay/queue_group.h"
#include "relay/relay.h"
#include "relay/wire_pickle.h"

struct nk_stream;
struct relay_conn;
struct relay_hub;

/* Who may log in, and what they may do. Connections keep what they logged in with after it was
 * changed; the rules (acl) are always the newest. */
struct relay_login {
    uint32_t refs;
    struct relay_identities *identities;
    struct relay_acl *acl;
};

/* relay_login_make - both get a reference more. NULL when memory is missing. */
struct relay_login *relay_login_make(struct relay_identities *identities, struct relay_acl *acl);

/* relay_login_new - one password, not stretched (so for tlspyo's wire alone), and no rules;
 * take_password is moved into it. One reference. NULL when memory is missing (then take_password is
 * the caller's still). relay_login_unref - NULL is fine. */
struct relay_login *relay_login_new(struct nk_secret *take_password);
void relay_login_unref(struct relay_login *l);

/* Times and bounds; the defaults of the service are in cmd_relay.c. */
struct relay_limits {
    unsigned header_size; /* digits of tlspyo's frame header */
    uint64_t max_object;  /* bytes of one object */
    uint64_t max_memory;  /* bytes of all objects; producers wait when it is reached */
    uint64_t max_backlog; /* bytes waiting for one connection; broadcasters wait beyond it */
    size_t max_connections;
    size_t max_guests; /* unauthenticated connections of one address */
    uint64_t hello_ms; /* from accept to HELLO */
    uint64_t ping_ms;  /* silence after which an endpoint is asked for a sign of life */
    uint64_t dead_ms;  /* silence after which it is taken for dead */
    uint64_t stall_ms; /* longest time without progress of a connection over max_backlog */
    uint64_t grace_ms; /* how long a native session waits for its client to come back */
};

struct relay_hub_conf {
    struct nk_app *app;
    const char *name; /* of the service, or NULL; for logs; borrowed */
    struct relay_limits limits;
    enum relay_wires wires;
    struct relay_login *login;           /* a reference is taken */
    struct relay_engine *engine;         /* borrowed, outlives the hub */
    struct relay_groups *groups;         /* borrowed, outlives the hub */
    struct relay_memory *memory;         /* of the objects; borrowed, outlives the engine */
    struct relay_publishers *publishers; /* shared with the engine; NULL: the hub's own */
    void (*on_drained)(void *owner); /* after relay_hub_drain, once, when no connection is left */
    void *owner;
};

struct relay_counters {
    uint64_t accepted, refused, auth_ok, auth_fail, acl_deny;
    uint64_t frames_in, frames_out, objects_in, objects_out, bytes_in, bytes_out;
    uint64_t stalls, closed_slow, dropped_slow; /* dropped: broadcasts, by their group's policy */
};

/* relay_hub_new - 0 or -ENOMEM. */
int relay_hub_new(struct relay_hub **out, const struct relay_hub_conf *conf);

/* relay_hub_free - close every connection now. NULL is fine. */
void relay_hub_free(struct relay_hub *h);

/* relay_hub_accept - serve take_s (owned from then on), which may still be handshaking. encrypted
 * says that TLS is on. */
void relay_hub_accept(struct relay_hub *h, struct nk_stream *take_s, bool encrypted);

/* relay_hub_set_login - for connections from now on; its rules for all: who may no longer do what
 * it does, or is no longer known, is sent away. */
void relay_hub_set_login(struct relay_hub *h, struct relay_login *login);

/* relay_hub_drain - read nothing more, finish what was read, close each connection when its output
 * is out, then on_drained. */
void relay_hub_drain(struct relay_hub *h);

/* relay_hub_queue_json - what a group and all of them together have counted about consumables, into
 * an open object: what was dropped, also for each reason ("dropped_limit" ..), given back, refused.
 */
void relay_hub_queue_json(struct nk_json *out, const struct relay_queue_stats *n);

/* relay_hub_status - add counters and figures to an open JSON object. */
void relay_hub_status(const struct relay_hub *h, struct nk_json *out);

/* What the hub has counted since it was made (borrowed), and its connections now. */
const struct relay_counters *relay_hub_counters(const struct relay_hub *h);
size_t relay_hub_connections(const struct relay_hub *h);

#endif
