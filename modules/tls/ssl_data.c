/* SPDX-License-Identifier: MIT */
/* Works inside mbedTLS's connection object: see ssl_data.h for why, and for what it needs there. */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS

#include "tls/ssl_data.h"

#include <mbedtls/build_info.h>
#include <mbedtls/cipher.h>
#include <ssl_misc.h>
#include <string.h>

#include "base/secret.h"

#if MBEDTLS_VERSION_NUMBER < 0x03060000 || MBEDTLS_VERSION_NUMBER >= 0x03070000
#error "ssl_data.c knows the inside of mbedTLS 3.6 only: read it again for this version"
#endif
#if defined(MBEDTLS_USE_PSA_CRYPTO) || defined(MBEDTLS_SSL_DTLS_CONNECTION_ID) ||                  \
    defined(MBEDTLS_SSL_RECORD_SIZE_LIMIT) || defined(MBEDTLS_SSL_MAX_FRAGMENT_LENGTH)
#error "ssl_data.c: keys of transforms, or limits of records, are kept elsewhere with this option"
#endif

enum { HEADER = 5, TYPE_DATA = 23, NONCE = 12, TAG = 16, VERSION = 3 }; /* RFC 8446 §5.1, §5.3 */

_Static_assert(TLS_DATA_ADDED == HEADER + 1 + TAG, "what sealing adds");
_Static_assert(MBEDTLS_SSL_SEQUENCE_NUMBER_LEN == TLS_SEQUENCE_LEN, "length of a sequence number");

static bool fits(const mbedtls_ssl_transform *t)
{
    return t && t->tls_version == MBEDTLS_SSL_VERSION_TLS1_3 && t->ivlen == NONCE &&
           t->fixed_ivlen == NONCE && t->taglen == TAG;
}

bool tls_data_usable(const mbedtls_ssl_context *ssl)
{
    return fits(ssl->transform_in) && fits(ssl->transform_out);
}

/* RFC 8446 §5.3: the IV, with the sequence number over its last bytes. */
static void make_nonce(uint8_t out[NONCE], const uint8_t *iv, const uint8_t *sequence)
{
    memcpy(out, iv, NONCE);
    for (int i = 0; i < TLS_SEQUENCE_LEN; i++) {
        out[NONCE - TLS_SEQUENCE_LEN + i] ^= sequence[i];
    }
}

/* The number after which there is none: its nonce is never used, so none is used twice. */
static bool exhausted(const uint8_t *sequence)
{
    for (int i = 0; i < TLS_SEQUENCE_LEN; i++) {
        if (sequence[i] != UINT8_MAX) {
            return false;
        }
    }
    return true;
}

static void advance(uint8_t *sequence)
{
    for (int i = TLS_SEQUENCE_LEN; i > 0 && ++sequence[i - 1] == 0; i--) {
    }
}

static void gather(uint8_t *to, const struct iovec *iov, size_t skip, size_t n)
{
    while (n > 0) {
        size_t part = iov->iov_len - skip < n ? iov->iov_len - skip : n;
        memcpy(to, (const uint8_t *)iov->iov_base + skip, part);
        to += part;
        n -= part;
        skip = 0;
        iov++;
    }
}

int tls_data_seal(mbedtls_ssl_context *ssl, uint8_t *to, const struct iovec *iov, size_t skip,
                  size_t n)
{
    mbedtls_ssl_transform *t = ssl->transform_out;
    uint8_t nonce[NONCE], *body = to + HEADER;
    size_t inner = n + 1, sealed = inner + TAG, put;
    if (!fits(t) || n > TLS_DATA_MAX || ssl->out_left != 0) {
        return MBEDTLS_ERR_SSL_INTERNAL_ERROR;
    }
    if (exhausted(ssl->cur_out_ctr)) {
        return MBEDTLS_ERR_SSL_COUNTER_WRAPPING;
    }
    const uint8_t header[HEADER] = {TYPE_DATA, VERSION, VERSION, (uint8_t)(sealed >> 8),
                                    (uint8_t)sealed};
    memcpy(to, header, HEADER);
    gather(body, iov, skip, n);
    body[n] = TYPE_DATA;
    make_nonce(nonce, t->iv_enc, ssl->cur_out_ctr);
    int rc = mbedtls_cipher_auth_encrypt_ext(&t->cipher_ctx_enc, nonce, NONCE, header, HEADER, body,
                                             inner, body, sealed, &put, TAG);
    if (rc != 0) {
        nk_wipe(to, HEADER + sealed);
        return rc;
    }
    advance(ssl->cur_out_ctr);
    return 0;
}

size_t tls_data_room(const uint8_t *p, size_t len)
{
    if (len < HEADER + 1 + TAG || p[0] != TYPE_DATA || p[1] != VERSION || p[2] != VERSION ||
        ((size_t)p[3] << 8 | p[4]) != len - HEADER) {
        return 0;
    }
    size_t inner = len - HEADER - TAG;
    return inner <= TLS_DATA_MAX + 1 ? inner : 0; /* RFC 8446 §5.4: with type and padding */
}

/* RFC 8446 §5.4: the content type is the last byte that is not zero. The length of the content, or
 * -1 when it is no application data. */
static int content(const uint8_t *inner, size_t n)
{
    while (n > 0 && inner[n - 1] == 0) {
        n--;
    }
    return n > 0 && inner[n - 1] == TYPE_DATA ? (int)(n - 1) : -1;
}

int tls_data_open(mbedtls_ssl_context *ssl, struct tls_park *park, const uint8_t *p, size_t len,
                  uint8_t *to)
{
    mbedtls_ssl_transform *t = ssl->transform_in;
    uint8_t nonce[NONCE];
    size_t room = tls_data_room(p, len), put = 0;
    if (!park->parked || room == 0 || !fits(t) || exhausted(park->in_ctr)) {
        return TLS_DATA_OTHER;
    }
    make_nonce(nonce, t->iv_dec, park->in_ctr);
    int rc = mbedtls_cipher_auth_decrypt_ext(&t->cipher_ctx_dec, nonce, NONCE, p, HEADER,
                                             p + HEADER, len - HEADER, to, room, &put, TAG);
    int n = rc == 0 && put == room ? content(to, room) : -1;
    if (n < 0) {
        nk_wipe(to, room);
        return TLS_DATA_OTHER;
    }
    advance(park->in_ctr);
    ssl->nb_zero = 0;
    return n;
}
