/* SPDX-License-Identifier: MIT */
/*
 * ssl_keyupdate - TLS 1.3 KeyUpdate (RFC 8446 §4.6.3, §7.2), which mbedTLS 3.6 lacks.
 *
 * mbedTLS hands a post-handshake message that it does not know to nobody: mbedtls_ssl_read fails
 * with UNEXPECTED_MESSAGE and leaves the message in place. These functions look at it there, derive
 * the next traffic secret from the one the session keeps, set the record keys anew and reset the
 * sequence number. Nothing is allocated. Connections of TLS 1.2 are left alone.
 */
#ifndef NK_TLS_SSL_KEYUPDATE_H
#define NK_TLS_SSL_KEYUPDATE_H

#include <mbedtls/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* KeyUpdates that a peer may send without application data between them; more is an attack on our
 * processor. */
#define TLS_KEYUPDATE_BURST 32

/* What one connection remembers. Zero it, then set limit. */
struct tls_keyupdate {
    uint64_t limit;               /* bytes of one direction under one key; 0 = never initiate */
    uint64_t in_bytes, out_bytes; /* since the last change of that direction's key */
    uint64_t received, sent;      /* KeyUpdate messages of this connection */
    unsigned burst;
    bool answer; /* the peer asked for an update of our sending key */
    bool asked;  /* we asked the peer for one and it has not come yet */
};

/* tls_keyupdate_count_in / _out - n bytes of application data were read or written. */
void tls_keyupdate_count_in(struct tls_keyupdate *k, size_t n);
void tls_keyupdate_count_out(struct tls_keyupdate *k, size_t n);

/*
 * tls_keyupdate_take - mbedtls_ssl_read failed with `rc`: was it a KeyUpdate? Returns 0 when it was
 * one and the receiving key has been changed: call mbedtls_ssl_read again. Otherwise rc, when it
 * is not about a KeyUpdate at all, or the mbedTLS code with which the connection must end
 * (malformed, not at the end of its record, too many).
 */
int tls_keyupdate_take(mbedtls_ssl_context *ssl, struct tls_keyupdate *k, int rc);

/* tls_keyupdate_due - is there a KeyUpdate to send (an answer, or a limit was reached)? */
bool tls_keyupdate_due(const mbedtls_ssl_context *ssl, const struct tls_keyupdate *k);

/*
 * tls_keyupdate_send - send one and change the sending key. request: ask the peer to update too
 * (set by itself when the receiving limit was reached). Returns 0; WANT_WRITE when older output of
 * mbedTLS must be flushed first (nothing happened); or the code with which the connection must
 * end. After 0 mbedTLS may still hold the record: flush as after any write.
 */
int tls_keyupdate_send(mbedtls_ssl_context *ssl, struct tls_keyupdate *k, bool request);

#endif
