/* SPDX-License-Identifier: MIT */
/*
 * ssl_data - application data of an established TLS 1.3 connection, sealed and opened where it lies
 * (RFC 8446 §5.2), without mbedTLS's record buffers and the copies into and out of them.
 *
 * A record is sealed in the block that goes to the lower stream, and opened from the block that
 * came from there into the reader's own memory. Only records of application data pass here.
 * Everything else - alerts, tickets, KeyUpdate, what is malformed or fails authentication - is left
 * untouched for mbedtls_ssl_read, which then decides about it, so this file reports no errors of
 * the peer. A connection can stay parked (ssl_park.h) while its data moves.
 *
 * What it relies on, inside mbedTLS 3.6 (checked at compile time):
 *   mbedtls_ssl_context     transform_in, transform_out; cur_out_ctr, the sequence number of the
 *                           next record sent; nb_zero, empty records received in a row
 *   struct tls_park         in_ctr, the sequence number of the next record received
 *   mbedtls_ssl_transform   tls_version, ivlen, fixed_ivlen, taglen, iv_enc, iv_dec,
 *                           cipher_ctx_enc, cipher_ctx_dec
 * tls_keyupdate_* (ssl_keyupdate.h) change the keys in those transforms and reset the numbers, so
 * both ways stay in step whichever of them handles the next record.
 */
#ifndef NK_TLS_SSL_DATA_H
#define NK_TLS_SSL_DATA_H

#include <mbedtls/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "tls/ssl_park.h"

#define TLS_DATA_MAX 16384          /* RFC 8446 §5.1: content of one record */
#define TLS_DATA_ADDED (5 + 1 + 16) /* bytes around it: header, content type, tag */
#define TLS_DATA_OTHER (-1)

/* tls_data_usable - can the functions below be used on this connection, whose handshake is over?
 * TLS 1.3 with a suite of 96-bit nonces and 128-bit tags, which is every one we offer. */
bool tls_data_usable(const mbedtls_ssl_context *ssl);

/*
 * tls_data_seal - write one record with n (0..TLS_DATA_MAX) bytes gathered from iov, starting at
 * byte skip of the first one, to `to`, where n + TLS_DATA_ADDED bytes must be free. mbedTLS must
 * hold no unsent output, as that would have earlier sequence numbers. 0; or the mbedTLS code with
 * which the connection must end (nothing is written then, and no plaintext is left at `to`).
 */
int tls_data_seal(mbedtls_ssl_context *ssl, uint8_t *to, const struct iovec *iov, size_t skip,
                  size_t n);

/* tls_data_room - bytes that tls_data_open needs for the record of len bytes at p (header and all),
 * or 0 when it is none for it. */
size_t tls_data_room(const uint8_t *p, size_t len);

/*
 * tls_data_open - open the record of len bytes at p, header and all, of a parked connection, to
 * `to`, where tls_data_room(p, len) bytes are free (behind the data, bytes of padding are left
 * there). Returns the bytes of application data (0..TLS_DATA_MAX), and the sequence number has
 * advanced. TLS_DATA_OTHER: it is not an authentic record of application data; nothing has changed,
 * and nothing of it is left at `to`.
 */
int tls_data_open(mbedtls_ssl_context *ssl, struct tls_park *park, const uint8_t *p, size_t len,
                  uint8_t *to);

#endif
