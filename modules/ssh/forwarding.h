/* SPDX-License-Identifier: MIT */
/*
 * forwarding - a set of forwards (-L, -R, -D; forward.h) over a link, at the same time: each is a
 * listener here or on the server, joined to connections there or from here (net/join.h). Listeners
 * here stay open whatever the link does.
 *
 *     -L  listener here  ──► channel to there        -D  SOCKS listener here  ──► channel to there
 *     -R  listener there ──► connection from here    -R PORT: clients of the listener there say
 *                                                        where to (SOCKS)
 */
#ifndef SSH_FORWARDING_H
#define SSH_FORWARDING_H

#include "base/json.h"
#include "ssh/forward.h"
#include "ssh/link.h"
#include "ssh/remote.h"

struct ssh_forwarding;

/* All borrowed until ssh_forwarding_close. */
struct ssh_forwarding_conf {
    struct ssh_link *link;               /* referred to */
    struct nk_log *log;                  /* NULL: the app's */
    const struct ssh_forwards *forwards; /* to set up */
    const struct ssh_config *config;     /* for ExitOnForwardFailure, GatewayPorts, AddressFamily,
                                          * StreamLocalBind*, PermitRemoteOpen */
    const struct nk_secret *socks_login; /* "user:password" that clients of SOCKS listeners must
                                          * have; NULL: any, or none */
    /* listeners here that both have are taken over from this one, when all the rest went well; it
     * is to be drained or closed then. May be NULL */
    struct ssh_forwarding *before;
    bool once; /* what a server refuses is not asked again; the link is such a one, too */
    /* everything listens, and the link was up; with once, without what was refused. Once, from the
     * loop. May be NULL */
    void (*ready)(void *owner);
    /* what the server says to a forward of kind SSH_FORWARD_REMOTE: as told of remote.h. May be
     * NULL */
    void (*told)(void *owner, const struct ssh_forward *f, int rc, uint16_t port,
                 const struct nk_diag *why);
    /* ExitOnForwardFailure: the server has refused one. Once at most; may be NULL */
    void (*failed)(void *owner, int rc, const struct nk_diag *why);
    void (*drained)(void *owner); /* after ssh_forwarding_drain; may be NULL */
    void *owner;
};

/* ssh_forwarding_open - listen here now, and there when the link is up. What cannot listen here is
 * logged, or with ExitOnForwardFailure an error (nothing is left open then). Errors of endpoints;
 * -ENOMEM. */
int ssh_forwarding_open(const struct ssh_forwarding_conf *conf, struct ssh_forwarding **out,
                        struct nk_diag *diag);

/* ssh_forwarding_drain - close all listeners, and cancel those on the server; conf.drained follows
 * when the last connection has ended. */
void ssh_forwarding_drain(struct ssh_forwarding *s);

/* ssh_forwarding_close - end everything now. NULL is fine. */
void ssh_forwarding_close(struct ssh_forwarding *s);

/* ssh_forwarding_local - where forward i listens ("tcp:127.0.0.1:8080", "ssh:HOST/listen:.."). 0,
 * -ENOENT: it does not. */
int ssh_forwarding_local(const struct ssh_forwarding *s, size_t i, char *out, size_t max);

/* ssh_forwarding_active - connections, of all of them. */
uint64_t ssh_forwarding_active(const struct ssh_forwarding *s);

/* ssh_forwarding_status - "forwards" of an open JSON object: an array with the words, the listener,
 * the state ("listening", "waiting", "refused", "failed") and the counters of each. */
void ssh_forwarding_status(const struct ssh_forwarding *s, struct nk_json *out);

#endif
