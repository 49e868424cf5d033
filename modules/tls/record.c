/* SPDX-License-Identifier: MIT */
/*
 * Records, on the inside of mbedTLS 3.6: a gathering write, and what the library knows but does not
 * tell.
 */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#include <string.h>

#include <ssl_misc.h>

#include "tls/internal.h"

int tls_rec_write(mbedtls_ssl_context *ssl, const struct iovec *iov, size_t skip, size_t n)
{
    unsigned char *to = ssl->out_msg;
    ssl->out_msgtype = MBEDTLS_SSL_MSG_APPLICATION_DATA;
    ssl->out_msglen = n;
    while (n > 0) {
        size_t part = iov->iov_len - skip < n ? iov->iov_len - skip : n;
        memcpy(to, (const unsigned char *)iov->iov_base + skip, part);
        to += part;
        n -= part;
        skip = 0;
        iov++;
    }
    return mbedtls_ssl_write_record(ssl, 1);
}

void tls_rec_alert_keys(mbedtls_ssl_context *ssl)
{
    mbedtls_ssl_transform *early = ssl->handshake ? ssl->handshake->transform_handshake : NULL;
    bool server = ssl->conf->endpoint == MBEDTLS_SSL_IS_SERVER;
    if (!early) {
        return; /* TLS 1.2, or before ServerHello */
    }
    if (!server && ssl->transform_out == NULL) {
        mbedtls_ssl_set_outbound_transform(ssl, early);
    }
    if (server && ssl->transform_out == early && ssl->transform_application &&
        (ssl->state == MBEDTLS_SSL_CLIENT_CERTIFICATE ||
         ssl->state == MBEDTLS_SSL_CLIENT_CERTIFICATE_VERIFY ||
         ssl->state == MBEDTLS_SSL_CLIENT_FINISHED)) {
        mbedtls_ssl_set_outbound_transform(ssl, ssl->transform_application);
    }
}

bool tls_rec_bindable(const mbedtls_ssl_context *ssl, bool before)
{
    const mbedtls_ssl_handshake_params *h = ssl->handshake;
    if (!h) {
        return before;
    }
    return ssl->tls_version == MBEDTLS_SSL_VERSION_TLS1_3 ||
           (h->extended_ms == MBEDTLS_SSL_EXTENDED_MS_ENABLED && h->resume == 0);
}

bool tls_rec_ready(const mbedtls_ssl_context *ssl)
{
    return ssl->state == MBEDTLS_SSL_HANDSHAKE_OVER;
}

bool tls_rec_pending(const mbedtls_ssl_context *ssl)
{
    return ssl->in_offt != NULL;
}

int tls_rec_alert(const mbedtls_ssl_context *ssl)
{
    return ssl->in_msg && ssl->in_msgtype == MBEDTLS_SSL_MSG_ALERT ? ssl->in_msg[1] : -1;
}

int tls_rec_flush(mbedtls_ssl_context *ssl)
{
    return mbedtls_ssl_flush_output(ssl);
}

/* Why mbedTLS calls a record invalid, which it does not tell: its header is still there. */
static int alert_for_record(const mbedtls_ssl_context *ssl)
{
    const unsigned char *header = ssl->in_buf ? ssl->in_hdr : NULL;
    if (!header) {
        return -1;
    }
    if (header[0] < MBEDTLS_SSL_MSG_CHANGE_CIPHER_SPEC ||
        header[0] > MBEDTLS_SSL_MSG_APPLICATION_DATA) {
        return MBEDTLS_SSL_ALERT_MSG_UNEXPECTED_MESSAGE; /* RFC 8446 §5 */
    }
    if (MBEDTLS_GET_UINT16_BE(ssl->in_len, 0) > TLS_RECORD_MAX) {
        return MBEDTLS_SSL_ALERT_MSG_RECORD_OVERFLOW; /* §5.1, §5.2 */
    }
    return ssl->in_msgtype == MBEDTLS_SSL_MSG_ALERT
               ? MBEDTLS_SSL_ALERT_MSG_DECODE_ERROR
               : MBEDTLS_SSL_ALERT_MSG_UNEXPECTED_MESSAGE; /* §5.4: no content type inside */
}

int tls_rec_alert_for(const mbedtls_ssl_context *ssl, int rc)
{
    if (!tls_rec_ready(ssl)) {
        return -1; /* mbedTLS alerts by itself while it works on a message */
    }
    switch (rc) {
    case MBEDTLS_ERR_SSL_INVALID_MAC:
        return MBEDTLS_SSL_ALERT_MSG_BAD_RECORD_MAC;
    case MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE:
        return MBEDTLS_SSL_ALERT_MSG_UNEXPECTED_MESSAGE;
    case MBEDTLS_ERR_SSL_BAD_INPUT_DATA: /* more than its buffer holds */
    case MBEDTLS_ERR_SSL_INVALID_RECORD:
        return alert_for_record(ssl);
    case MBEDTLS_ERR_SSL_DECODE_ERROR:
        return MBEDTLS_SSL_ALERT_MSG_DECODE_ERROR;
    case MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER:
        return MBEDTLS_SSL_ALERT_MSG_ILLEGAL_PARAMETER;
    default:
        return -1;
    }
}
