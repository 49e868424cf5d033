/* SPDX-License-Identifier: MIT */
/*
 * greeting - inside net: reads the PROXY protocol's header with which an accepted stream begins,
 * and keeps what it says until the connection stands. Not one byte behind the header is taken.
 */
#ifndef NK_NET_GREETING_H
#define NK_NET_GREETING_H

#include "core/stream.h"
#include "net/proxy_protocol.h"

#define NET_GREETING_MS                                                                            \
    10000 /* in which the whole header must have come; as for a TLS handshake                      \
           */

struct nk_app;
struct net_greeting;

/* rc 0: the header is there, and the stream waits for its next owner. Else why: NK_EPROTO,
 * -ETIMEDOUT, NK_ETRUNC, or the stream's error. The greeting may be freed in it. */
typedef void net_greeting_fn(void *owner, int rc, const struct nk_diag *why);

/* net_greeting_start - own s (borrowed; connected or handshaking) and read. fn runs later, once.
 * 0 or -ENOMEM. */
int net_greeting_start(struct nk_app *app, struct nk_stream *s, net_greeting_fn *fn, void *owner,
                       struct net_greeting **out);

/* net_greeting_header - what it said, after success; borrowed from g. */
const struct net_proxy_header *net_greeting_header(const struct net_greeting *g);

/* net_greeting_free - forget it; the stream stays. NULL is fine. */
void net_greeting_free(struct net_greeting *g);

#endif
