/* SPDX-License-Identifier: MIT */
/*
 * join - a listener joined to a dialer: each accepted stream gets a connection of its own, both are
 * pumped until they end, and half-closes are passed on. What [forward], [tls] and the forwards of
 * SSH have in common: who may use it, how many at once, failures that do not fill the log,
 * counters, draining.
 *
 *     struct net_join_conf conf = {.app = app, .module = "forward", .dial = dial, .owner = me, ..};
 *     net_join_new(&conf, &j);
 *     nk_listen(app, ep, net_join_accept, j, &l, diag);
 *     net_join_listener(j, l);
 */
#ifndef NK_NET_JOIN_H
#define NK_NET_JOIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/opt.h"
#include "core/listener.h"
#include "core/stream.h"

struct nk_app;
struct nk_endpoint;
struct net_join;

/* Connect, as nk_dial: the stream is born connecting, with fn and fn_owner. target says where to
 * when the peer has asked for it (conf.asks), else NULL; borrowed for the call. */
typedef int net_join_dial_fn(void *owner, const struct nk_target *target, nk_stream_event_fn *fn,
                             void *fn_owner, struct nk_stream **out, struct nk_diag *diag);

/* Put a layer over an accepted stream, which is owned from then on, also on failure. Nothing is
 * dialled before that layer is connected: then the peer has shown who it is. When it fails with
 * NK_EVERIFY that is audited as auth.fail, and with -EACCES as acl.deny. */
typedef int net_join_wrap_fn(void *owner, struct nk_stream *take_s, struct nk_stream **out,
                             struct nk_diag *diag);

/* Append fields of the PROXY protocol, version 2 (net/proxy_protocol.h), about the connection from,
 * which is connected when a layer was put over it. Those of a header that came in follow, as far as
 * their types are others. 0, or the error that ends the connection. */
typedef int net_join_fields_fn(void *owner, struct nk_stream *from, struct nk_buf *tlvs);

/* Strings and lists are borrowed until net_join_close or net_join_set. */
struct net_join_conf {
    struct nk_app *app;
    struct nk_log *log;                 /* NULL: the app's */
    const char *module;                 /* in logs */
    const char *name;                   /* what is listened on, for the audit of refusals */
    const struct nk_strlist *allow_uid; /* decimal uids: only these. NULL or empty: everybody */
    uint64_t max_connections;           /* more wait to be accepted; 0 = no limit */
    uint64_t idle_ms, half_idle_ms;     /* as in core/pump.h */
    bool asks;                          /* streams say where to connect (NK_Q_TARGET) */
    net_join_wrap_fn *wrap;             /* NULL: streams are used as they come */
    bool proxy_in;                      /* streams begin with a header of the PROXY protocol,
                                         * which says who their peer is; else they are closed */
    int proxy_out;                      /* version of the header that is written; 0: none */
    net_join_fields_fn *fields;         /* with proxy_out 2; NULL: only what came in */
    net_join_dial_fn *dial;
    void *owner;
    /* peers can connect (rc 0; again when it was not so for a while, or with another listener), or
     * never will again; from the loop. May be NULL */
    void (*usable)(void *owner, int rc, const struct nk_diag *why);
    void (*drained)(void *owner); /* after net_join_drain; once, from the loop. May be NULL */
};

/* Choices of a row --proxy-protocol: the value is that of proxy_out. */
extern const char *const net_join_proxy_versions[];

struct net_join_counts {
    uint64_t active, accepted, denied;
    uint64_t failed;              /* no connection came about */
    uint64_t cut;                 /* one did, and ended with an error of either side, or in time */
    uint64_t bytes_in, bytes_out; /* from those that were accepted, to them; ended ones included */
};

/* net_join_check - allow_uid are numbers of users, and listen knows its peers' where there are any.
 * 0 or NK_ECONFIG. */
int net_join_check(const struct nk_strlist *allow_uid, const struct nk_endpoint *listen,
                   struct nk_diag *diag);

/* net_join_new - without a listener yet. conf is copied. 0 or -ENOMEM. */
int net_join_new(const struct net_join_conf *conf, struct net_join **out);

/* net_join_close - end the listener and all connections now and free; nobody is called any more.
 * NULL is fine. */
void net_join_close(struct net_join *j);

/* net_join_accept - an nk_accept_fn whose owner is the join. net_join_take - the same for a stream
 * from elsewhere; it is closed when it may not use the join or cannot be connected. */
void net_join_accept(void *join, struct nk_listener *l, struct nk_stream *take_s);
void net_join_take(struct net_join *j, struct nk_stream *take_s);

/* net_join_listener - closed with the join, and paused while it is full. One that was there before
 * is closed. NULL: none any more. */
void net_join_listener(struct net_join *j, struct nk_listener *take_l);

/* net_join_release - the listener, as it is, to be owned by somebody else (nk_listener_own); NULL:
 * there is none. */
struct nk_listener *net_join_release(struct net_join *j);

/* net_join_set - other settings, for connections to come; app stays. */
void net_join_set(struct net_join *j, const struct net_join_conf *conf);

/* net_join_refresh - nk_listener_refresh; 0 without a listener. */
int net_join_refresh(struct net_join *j, struct nk_diag *diag);

/* net_join_drain - close the listener; conf.drained is called when the last connection has ended.
 */
void net_join_drain(struct net_join *j);

/* net_join_local - nk_listener_local, or -ENOENT without a listener. */
int net_join_local(const struct net_join *j, char *out, size_t max);

/* net_join_counts, net_join_status - the counters; as keys of an open JSON object. */
void net_join_counts(const struct net_join *j, struct net_join_counts *out);
void net_join_status(const struct net_join *j, struct nk_json *out);

#endif
