/* SPDX-License-Identifier: MIT */
/*
 * resolve - names and addresses looked up through Tor: the commands RESOLVE and RESOLVE_PTR that
 * tor's SOCKS port has (its socks-extensions). An exit of tor asks the DNS; this machine does not.
 */
#ifndef TOR_RESOLVE_H
#define TOR_RESOLVE_H

#include "tor/via.h"

struct nk_app;
struct tor_lookup;

/* err 0 and the address or name as text (valid during the call), or why not. */
typedef void tor_lookup_fn(void *owner, int err, const char *answer, const struct nk_diag *why);

struct tor_lookup_conf {
    struct tor_via_conf via; /* which tor, isolation and time; the rest is filled in */
    bool ptr;                /* an address, of which the name is wanted */
    bool allow_private;      /* for a Tor network of one's own */
};

/*
 * tor_lookup_start - look word up. fn runs once, later. Answered without tor: addresses (they are
 * their own), localhost and names below it (127.0.0.1; RFC 6761 §6.3). Refused at once: onion
 * addresses, which have no other address, and with ptr what is no address or one of a private
 * network. 0, NK_EUSAGE, NK_ECONFIG, -ENOMEM.
 */
int tor_lookup_start(struct nk_app *app, const struct tor_lookup_conf *conf, const char *word,
                     tor_lookup_fn *fn, void *owner, struct tor_lookup **out, struct nk_diag *diag);

/* tor_lookup_cancel - fn will not run. Only before it did; NULL is fine. */
void tor_lookup_cancel(struct tor_lookup *l);

#endif
