/* SPDX-License-Identifier: MIT */
/*
 * ssl_park - give the two record buffers of an idle TLS connection back, and bring them again.
 *
 * mbedTLS keeps 2 x 16.4 KiB per connection for ever. A connection with no partly read record and
 * no unsent output needs neither; the read sequence number, which mbedTLS keeps inside the input
 * buffer, is saved. Buffers of parked connections go to a small pool and come from there.
 */
#ifndef NK_TLS_SSL_PARK_H
#define NK_TLS_SSL_PARK_H

#include <mbedtls/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_SEQUENCE_LEN 8 /* RFC 8446 §5.3: a 64-bit sequence number */
#define TLS_PARK_POOL 8    /* spare pairs of buffers that a pool keeps */

/* Spare record buffers of an app, wiped. Zero it; free with tls_park_pool_clear. */
struct tls_park_pool {
    unsigned char *in[TLS_PARK_POOL], *out[TLS_PARK_POOL];
    size_t n;
};

/* The saved part of a parked connection. Zero it. */
struct tls_park {
    bool parked;
    unsigned char in_ctr[TLS_SEQUENCE_LEN];
};

/* tls_park_setup - mbedtls_ssl_setup, with record buffers of the pool when it has some: new ones
 * cost page faults and, freed again, calls of the kernel for every connection. ssl was just
 * initialized; conf must be one that mbedtls_ssl_setup accepts. An mbedTLS code; also after a
 * failure mbedtls_ssl_free gives everything back. */
int tls_park_setup(mbedtls_ssl_context *ssl, const mbedtls_ssl_config *conf,
                   struct tls_park_pool *pool);

/* tls_park_pool_clear - free the spare buffers. */
void tls_park_pool_clear(struct tls_park_pool *pool);

/* tls_park - park ssl when it is quiescent; returns whether it is parked now. Until tls_unpark only
 * mbedtls_ssl_free and pure queries may be called on it. Contents of the buffers are wiped. */
bool tls_park(mbedtls_ssl_context *ssl, struct tls_park *state, struct tls_park_pool *pool);

/* tls_unpark - undo tls_park; fine when it is not parked. 0 or -ENOMEM (then it is still parked).
 */
int tls_unpark(mbedtls_ssl_context *ssl, struct tls_park *state, struct tls_park_pool *pool);

/* tls_drop_handshake - free the handshake state of a finished TLS 1.3 connection: a server has no
 * use for it any more, a client needs it for session tickets (tls_skip_ticket). Does nothing in any
 * other case. */
void tls_drop_handshake(mbedtls_ssl_context *ssl);

/* tls_skip_ticket - a ticket came to a client whose handshake state was dropped: leave it unused,
 * as RFC 8446 section 4.6.1 allows. False when there is none. */
bool tls_skip_ticket(mbedtls_ssl_context *ssl);

#endif
