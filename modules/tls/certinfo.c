/* SPDX-License-Identifier: MIT */
/* Certificates in words and hashes. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sodium.h>

#include <mbedtls/oid.h>
#include <mbedtls/pem.h>

#include "base/codec.h"
#include "base/utc.h"
#include "tls/internal.h"

#define PIN_PREFIX "sha256:"
#define CURL_PREFIX "sha256//" /* curl --pinnedpubkey */

enum { WEAK_RSA_BITS = 2048, DEL = 0x7f };

int tls_parse_certs(mbedtls_x509_crt *out, const void *p, size_t n, struct nk_diag *diag,
                    const char *what)
{
    int rc;
    if (n == 0) {
        return nk_fail(diag, NK_EFORMAT, "%s: empty", what);
    }
    if (!memmem(p, n, "-----BEGIN ", 11)) {
        return tls_check(mbedtls_x509_crt_parse_der(out, p, n), NK_EFORMAT, diag, what);
    }
    /* the parser wants the NUL that ends a text */
    uint8_t *text = malloc(n + 1);
    if (!text) {
        return nk_fail_sys(diag, -ENOMEM, "%s", what);
    }
    memcpy(text, p, n);
    text[n] = 0;
    rc = mbedtls_x509_crt_parse(out, text, n + 1);
    free(text);
    /* a bundle may have some that cannot be used (Ed25519 ...), but not only such */
    return rc > 0 && out->version != 0 ? 0 : tls_check(rc, NK_EFORMAT, diag, what);
}

void tls_crt_hash(const mbedtls_x509_crt *crt, uint8_t cert[TLS_HASH], uint8_t spki[TLS_HASH])
{
    if (cert) {
        crypto_hash_sha256(cert, crt->raw.p, crt->raw.len);
    }
    if (spki) {
        crypto_hash_sha256(spki, crt->pk_raw.p, crt->pk_raw.len);
    }
}

int tls_hash_cert(const void *p, size_t n, uint8_t cert[TLS_HASH], uint8_t spki[TLS_HASH],
                  struct nk_diag *diag)
{
    mbedtls_x509_crt crt;
    mbedtls_x509_crt_init(&crt);
    int rc = tls_crypto_start(diag);
    if (rc == 0) {
        rc = tls_parse_certs(&crt, p, n, diag, "certificate");
    }
    if (rc == 0) {
        tls_crt_hash(&crt, cert, spki);
    }
    mbedtls_x509_crt_free(&crt);
    return rc;
}

char *tls_pin_format(char out[TLS_PIN_TEXT], const uint8_t hash[TLS_HASH])
{
    memcpy(out, PIN_PREFIX, strlen(PIN_PREFIX));
    nk_hex_encode(out + strlen(PIN_PREFIX), hash, TLS_HASH);
    return out;
}

int tls_pin_parse(const char *text, uint8_t out[TLS_HASH])
{
    uint8_t hash[TLS_HASH];
    if (strncasecmp(text, CURL_PREFIX, strlen(CURL_PREFIX)) == 0) {
        text += strlen(CURL_PREFIX);
    } else if (strncasecmp(text, PIN_PREFIX, strlen(PIN_PREFIX)) == 0) {
        text += strlen(PIN_PREFIX);
    }
    size_t n = strlen(text);
    if (nk_hex_decode(hash, sizeof(hash), text, n, true) != TLS_HASH &&
        nk_base64_decode(hash, sizeof(hash), text, n) != TLS_HASH) {
        return NK_EFORMAT;
    }
    memcpy(out, hash, TLS_HASH);
    return 0;
}

/* --- in words --------------------------------------------------------------------------------- */

/* Days since 1970-01-01 of a date of the proleptic Gregorian calendar. */
static int64_t days_of(int64_t y, int m, int d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400, yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

int64_t tls_x509_seconds(const mbedtls_x509_time *t)
{
    return days_of(t->year, t->mon, t->day) * 86400 + t->hour * 3600 + t->min * 60 + t->sec;
}

char *tls_format_time(char out[TLS_TIME_TEXT], int64_t seconds)
{
    char text[NK_UTC_SIZE];
    if (nk_format_utc(text, seconds)) {
        snprintf(out, TLS_TIME_TEXT, "%.10s %.8s UTC", text, text + sizeof("YYYY-MM-DD"));
    } else {
        snprintf(out, TLS_TIME_TEXT, "unknown");
    }
    return out;
}

static void append(char *out, size_t max, const char *text)
{
    size_t n = strlen(out);
    if (n + 1 < max) {
        snprintf(out + n, max - n, "%s", text);
    }
}

/* One alternative name, escaped: it is the peer's text. */
static void format_san(char *out, size_t max, const mbedtls_x509_buf *san)
{
    char text[INET6_ADDRSTRLEN] = "?";
    switch (san->tag & MBEDTLS_ASN1_TAG_VALUE_MASK) {
    case MBEDTLS_X509_SAN_DNS_NAME:
        append(out, max, "DNS:");
        break;
    case MBEDTLS_X509_SAN_RFC822_NAME:
        append(out, max, "EMAIL:");
        break;
    case MBEDTLS_X509_SAN_UNIFORM_RESOURCE_IDENTIFIER:
        append(out, max, "URI:");
        break;
    case MBEDTLS_X509_SAN_IP_ADDRESS:
        append(out, max, "IP:");
        if (san->len == 4 || san->len == 16) {
            inet_ntop(san->len == 4 ? AF_INET : AF_INET6, san->p, text, sizeof(text));
        }
        append(out, max, text);
        return;
    default:
        append(out, max, "other");
        return;
    }
    size_t n = strlen(out);
    nk_escape(out + n, max - n, san->p, san->len);
}

void tls_crt_sans(char *out, size_t max, const mbedtls_x509_crt *crt)
{
    out[0] = 0;
    for (const mbedtls_x509_sequence *s = &crt->subject_alt_names; s && s->buf.p; s = s->next) {
        if (out[0]) {
            append(out, max, ", ");
        }
        format_san(out, max, &s->buf);
    }
}

/* One more line, unless it is too long or has bytes that nk_escape would have to change. */
static void append_line(char *out, size_t max, const char *kind, const void *p, size_t n)
{
    size_t used = strlen(out), head = strlen(kind) + (used > 0);
    if (n == 0 || used + head + n + 1 > max || !nk_utf8_valid(p, n)) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (((const uint8_t *)p)[i] < ' ' || ((const uint8_t *)p)[i] == DEL) {
            return;
        }
    }
    snprintf(out + used, max - used, "%s%s%.*s", used ? "\n" : "", kind, (int)n, (const char *)p);
}

void tls_crt_names(char *out, size_t max, const mbedtls_x509_crt *crt)
{
    out[0] = 0;
    for (const mbedtls_x509_name *a = &crt->subject; a; a = a->next) {
        if (a->oid.p && MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &a->oid) == 0) {
            append_line(out, max, "CN:", a->val.p, a->val.len);
        }
    }
    for (const mbedtls_x509_sequence *s = &crt->subject_alt_names; s && s->buf.p; s = s->next) {
        char text[INET6_ADDRSTRLEN];
        switch (s->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK) {
        case MBEDTLS_X509_SAN_DNS_NAME:
            append_line(out, max, "DNS:", s->buf.p, s->buf.len);
            break;
        case MBEDTLS_X509_SAN_RFC822_NAME:
            append_line(out, max, "EMAIL:", s->buf.p, s->buf.len);
            break;
        case MBEDTLS_X509_SAN_UNIFORM_RESOURCE_IDENTIFIER:
            append_line(out, max, "URI:", s->buf.p, s->buf.len);
            break;
        case MBEDTLS_X509_SAN_IP_ADDRESS:
            if ((s->buf.len == 4 || s->buf.len == 16) &&
                inet_ntop(s->buf.len == 4 ? AF_INET : AF_INET6, s->buf.p, text, sizeof(text))) {
                append_line(out, max, "IP:", text, strlen(text));
            }
            break;
        default:
            break;
        }
    }
}

void tls_crt_subject(char *out, size_t max, const mbedtls_x509_name *name)
{
    /* mbedTLS escapes control and non-ASCII bytes; on overflow it fails as a whole */
    if (mbedtls_x509_dn_gets(out, max, name) < 0) {
        snprintf(out, max, "(name too long)");
    }
}

static void format_serial(char *out, size_t max, const mbedtls_x509_buf *serial)
{
    out[0] = 0;
    for (size_t i = 0; i < serial->len && i * 3 + 4 <= max; i++) {
        snprintf(out + i * 3, max - i * 3, "%02x:", serial->p[i]);
    }
    size_t n = strlen(out);
    if (n > 0) {
        out[n - 1] = 0;
    }
}

static void format_key(struct tls_cert_info *out, const mbedtls_pk_context *pk)
{
    unsigned bits = (unsigned)mbedtls_pk_get_bitlen(pk);
    bool rsa = mbedtls_pk_can_do(pk, MBEDTLS_PK_RSA) != 0;
    snprintf(out->key, sizeof(out->key), rsa ? "RSA %u" : "ECDSA P-%u", bits);
    out->weak = rsa && bits < WEAK_RSA_BITS;
}

void tls_crt_describe(struct tls_cert_info *out, const mbedtls_x509_crt *crt)
{
    memset(out, 0, sizeof(*out));
    tls_crt_subject(out->subject, sizeof(out->subject), &crt->subject);
    tls_crt_subject(out->issuer, sizeof(out->issuer), &crt->issuer);
    tls_crt_sans(out->sans, sizeof(out->sans), crt);
    format_serial(out->serial, sizeof(out->serial), &crt->serial);
    format_key(out, &crt->pk);
    out->not_before = tls_x509_seconds(&crt->valid_from);
    out->not_after = tls_x509_seconds(&crt->valid_to);
    out->ca = crt->MBEDTLS_PRIVATE(ca_istrue) != 0;
    out->self_signed = crt->issuer_raw.len == crt->subject_raw.len &&
                       memcmp(crt->issuer_raw.p, crt->subject_raw.p, crt->subject_raw.len) == 0;
    tls_crt_hash(crt, out->cert, out->spki);
}

int tls_cert_describe_all(const void *p, size_t n,
                          int (*fn)(void *owner, const struct tls_cert_info *info), void *owner,
                          struct nk_diag *diag)
{
    struct tls_cert_info info;
    mbedtls_x509_crt crt;
    mbedtls_x509_crt_init(&crt);
    int rc = tls_crypto_start(diag);
    if (rc == 0) {
        rc = tls_parse_certs(&crt, p, n, diag, "certificate");
    }
    for (const mbedtls_x509_crt *c = &crt; c && rc == 0; c = c->next) {
        tls_crt_describe(&info, c);
        rc = fn(owner, &info);
    }
    mbedtls_x509_crt_free(&crt);
    return rc;
}

static int take_first(void *owner, const struct tls_cert_info *info)
{
    *(struct tls_cert_info *)owner = *info;
    return 1;
}

int tls_cert_describe(const void *p, size_t n, struct tls_cert_info *out, struct nk_diag *diag)
{
    int rc = tls_cert_describe_all(p, n, take_first, out, diag);
    return rc > 0 ? 0 : rc;
}
