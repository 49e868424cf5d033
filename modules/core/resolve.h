/* SPDX-License-Identifier: MIT */
/*
 * resolve - host names to addresses, off the loop (lane dns).
 *
 * Numeric addresses, "localhost" and "*.localhost" are answered internally (RFC 6761), without
 * files and without a thread; "*.onion" is refused (RFC 7686) and never reaches a resolver. Names
 * longer than 253 bytes and names with bytes outside of printable ASCII are refused.
 */
#ifndef NK_CORE_RESOLVE_H
#define NK_CORE_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include "base/err.h"

struct nk_app;
struct nk_resolve;

#define NK_RESOLVE_MAX 16 /* addresses kept per name */

struct nk_addr {
    struct sockaddr_storage ss;
    socklen_t len;
};

/* addrs[0..n) in the resolver's order, valid during the call; on failure n = 0 and status < 0:
 * NK_ENONAME (no such name), NK_EUSAGE (onion), -ETIMEDOUT, -ENOMEM. */
typedef void nk_resolve_fn(void *owner, int status, const struct nk_addr *addrs, size_t n,
                           const struct nk_diag *diag);

/* nk_resolve_start - look up host (borrowed) and put port into every address. fn runs later on the
 * loop, exactly once, unless cancelled. passive: "" means the wildcard addresses. */
int nk_resolve_start(struct nk_app *app, const char *host, uint16_t port, int passive,
                     nk_resolve_fn *fn, void *owner, struct nk_resolve **out);

/* nk_resolve_cancel - fn will not run. NULL is fine. */
void nk_resolve_cancel(struct nk_resolve *r);

/* nk_resolve_now - the internal part only: numeric, localhost, wildcard. 0 and *n addresses,
 * -ENOENT when a real lookup would be needed, NK_EUSAGE for .onion. */
int nk_resolve_now(const char *host, uint16_t port, int passive, struct nk_addr *addrs, size_t *n,
                   struct nk_diag *diag);

/* nk_resolve_is_local - does host name this machine's loopback addresses and nothing else? True for
 * 127.0.0.0/8, ::1, localhost and names below it; never asks a resolver, and a name that would have
 * to be asked for is not local, whatever it looks like ("127.example.com"). */
bool nk_resolve_is_local(const char *host);

/* nk_resolve_body_is_local - the same for the body of a tcp: endpoint, "host:port". False for what
 * is none, and for an empty host, which means every address. */
bool nk_resolve_body_is_local(const char *body);

/* nk_addr_format - "127.0.0.1:22", "[::1]:22", "unix:/path". Returns out. */
char *nk_addr_format(char *out, size_t max, const struct nk_addr *a);

#endif
