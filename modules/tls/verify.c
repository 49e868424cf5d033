/* SPDX-License-Identifier: MIT */
/*
 * Deciding whether the peer is who it should be, and saying exactly why not. mbedTLS checks chain,
 * dates and DNS names; addresses are compared here, because the library would also send an address
 * as SNI (which RFC 6066 §3 forbids) if it were told about it.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sodium.h>

#include "tls/internal.h"

void tls_verify_init(struct tls_verify *v, const struct tls_pins *pins, const char *host)
{
    memset(v, 0, sizeof(*v));
    v->pins = pins;
    v->host = host;
    if (host) {
        v->ip_len = inet_pton(AF_INET, host, v->ip) == 1    ? 4
                    : inet_pton(AF_INET6, host, v->ip) == 1 ? 16
                                                            : 0;
    }
}

static bool pinned(const struct tls_pins *pins, const mbedtls_x509_crt *crt)
{
    uint8_t cert[TLS_HASH], spki[TLS_HASH];
    unsigned found = 0;
    tls_crt_hash(crt, cert, spki);
    for (size_t i = 0; i < pins->n; i++) {
        found |= sodium_memcmp(pins->hash[i], cert, TLS_HASH) == 0;
        found |= sodium_memcmp(pins->hash[i], spki, TLS_HASH) == 0;
    }
    return found != 0;
}

static bool has_ip(const mbedtls_x509_crt *crt, const uint8_t *ip, size_t n)
{
    for (const mbedtls_x509_sequence *s = &crt->subject_alt_names; s && s->buf.p; s = s->next) {
        if ((s->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK) == MBEDTLS_X509_SAN_IP_ADDRESS &&
            s->buf.len == n && memcmp(s->buf.p, ip, n) == 0) {
            return true;
        }
    }
    return false;
}

static void explain_name(struct tls_verify *v, const mbedtls_x509_crt *crt)
{
    char names[160];
    tls_crt_sans(names, sizeof(names), crt);
    if (names[0] == 0) {
        tls_crt_subject(names, sizeof(names), &crt->subject);
    }
    nk_fail(&v->why, NK_EVERIFY, "the certificate is for %s, not for '%s'", names,
            v->host ? v->host : "");
    nk_hint(&v->why,
            "check the address, or name the expected host with server_name (name= in strings)");
}

static void explain_date(struct tls_verify *v, const mbedtls_x509_crt *crt, uint32_t flags)
{
    char when[TLS_TIME_TEXT], subject[160];
    bool over = (flags & MBEDTLS_X509_BADCERT_EXPIRED) != 0;
    tls_format_time(when, tls_x509_seconds(over ? &crt->valid_to : &crt->valid_from));
    tls_crt_subject(subject, sizeof(subject), &crt->subject);
    nk_fail(&v->why, NK_EVERIFY, "the certificate of %s %s %s", subject,
            over ? "expired on" : "is not valid before", when);
    nk_hint(&v->why, over ? "ask its owner for a new one" : "is the clock of this machine right?");
}

static void explain_trust(struct tls_verify *v, const mbedtls_x509_crt *crt)
{
    char issuer[160];
    bool self = crt->issuer_raw.len == crt->subject_raw.len &&
                memcmp(crt->issuer_raw.p, crt->subject_raw.p, crt->subject_raw.len) == 0;
    tls_crt_subject(issuer, sizeof(issuer), &crt->issuer);
    nk_fail(&v->why, NK_EVERIFY, "the certificate is %s, which is not trusted here",
            self ? "self-signed" : "from an unknown authority");
    if (!self) {
        nk_fail(&v->why, NK_EVERIFY,
                "the certificate is issued by %s, an authority that is not "
                "trusted here",
                issuer);
    }
    v->untrusted = true;
}

/* The flag may be on the top of what the peer sent; the pin to offer is the leaf's. */
static void offer_pin(struct tls_verify *v, const mbedtls_x509_crt *leaf)
{
    char pin[TLS_PIN_TEXT];
    uint8_t hash[TLS_HASH];
    tls_crt_hash(leaf, NULL, hash);
    tls_pin_format(pin, hash);
    if (v->host) {
        nk_hint(&v->why, "pin=%s trusts exactly this certificate's key", pin);
    } else { /* a client's */
        nk_hint(&v->why, "to let it in put that authority into ca, or its key alone: allow_pin=%s",
                pin);
    }
}

/* The leaf's reasons come last and win over those of the certificates above it, except that a
 * broken link higher up is told when the leaf itself is fine. */
static void explain(struct tls_verify *v, const mbedtls_x509_crt *crt, uint32_t flags)
{
    if (flags & (MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE)) {
        explain_date(v, crt, flags);
    } else if (flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) {
        explain_trust(v, crt);
    } else if (flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) {
        explain_name(v, crt);
    } else if (flags & (MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK |
                        MBEDTLS_X509_BADCERT_BAD_KEY)) {
        nk_fail(&v->why, NK_EVERIFY,
                "the certificate uses a key or signature that is too weak "
                "(RSA below 2048 bits, or SHA-1)");
    } else if (flags) {
        nk_fail(&v->why, NK_EVERIFY,
                "the certificate may not be used for this purpose (flags 0x%x)", (unsigned)flags);
    }
}

/* The certificate is good, but is it one of those that may connect? mbedTLS tells the client
 * access_denied for this flag. */
static uint32_t check_access(struct tls_verify *v, const mbedtls_x509_crt *crt)
{
    char names[TLS_SANS_TEXT];
    uint8_t cert[TLS_HASH], spki[TLS_HASH];
    tls_crt_names(names, sizeof(names), crt);
    tls_crt_hash(crt, cert, spki);
    if (tls_access_allows(v->access, names, cert, spki)) {
        return 0;
    }
    for (char *p = names; *p; p++) {
        *p = *p == '\n' ? ' ' : *p;
    }
    if (names[0] == 0) {
        tls_crt_subject(names, sizeof(names), &crt->subject);
    }
    nk_fail(&v->why, -EACCES, "no rule lets the client in whose certificate says %s", names);
    return MBEDTLS_X509_BADCERT_OTHER;
}

int tls_verify_cb(void *arg, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct tls_verify *v = arg;
    if (v->any) {
        *flags = 0;
    } else if (v->pins && v->pins->n > 0) {
        if (depth > 0) {
            *flags = 0; /* the pin alone decides */
            return 0;
        }
        *flags = pinned(v->pins, crt) ? 0 : MBEDTLS_X509_BADCERT_OTHER;
        if (*flags) {
            char pin[TLS_PIN_TEXT];
            uint8_t hash[TLS_HASH];
            tls_crt_hash(crt, NULL, hash);
            nk_fail(&v->why, NK_EVERIFY, "the certificate does not match the pin: its key is %s",
                    tls_pin_format(pin, hash));
            nk_hint(&v->why, "if the peer's key was replaced on purpose, update the pin");
        }
    } else {
        if (depth == 0 && v->ip_len > 0 && !has_ip(crt, v->ip, v->ip_len)) {
            *flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
        }
        explain(v, crt, *flags);
        if (depth == 0 && v->untrusted) {
            offer_pin(v, crt);
        }
    }
    if (depth == 0 && *flags == 0 && v->why.code == 0 && v->access) {
        *flags = check_access(v, crt);
    }
    if (*flags && v->ssl) {
        tls_rec_alert_keys(v->ssl);
    }
    return 0;
}

int tls_name_matches(const void *cert, size_t n, const char *host)
{
    mbedtls_x509_crt crt, none;
    struct tls_verify v;
    uint32_t flags = 0;
    mbedtls_x509_crt_init(&crt);
    mbedtls_x509_crt_init(&none);
    int rc = tls_parse_certs(&crt, cert, n, NULL, "certificate");
    if (rc == 0) {
        tls_verify_init(&v, NULL, host);
        mbedtls_x509_crt_verify(&crt, &none, NULL, v.ip_len ? NULL : host, &flags, tls_verify_cb,
                                &v);
        rc = (flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) == 0;
    }
    mbedtls_x509_crt_free(&crt);
    return rc < 0 ? NK_EFORMAT : rc;
}

static int verify_parsed(mbedtls_x509_crt *chain, mbedtls_x509_crt *trusted, const char *name,
                         struct nk_diag *diag)
{
    struct tls_verify v;
    uint32_t flags = 0;
    tls_verify_init(&v, NULL, name);
    int rc = mbedtls_x509_crt_verify(chain, trusted, NULL, v.ip_len ? NULL : name, &flags,
                                     tls_verify_cb, &v);
    if (rc == 0) {
        return 0;
    }
    if (v.why.code == 0) {
        return tls_check(rc, NK_EVERIFY, diag, "certificate");
    }
    if (diag) {
        *diag = v.why;
    }
    return NK_EVERIFY;
}

int tls_cert_verify(const void *cert, size_t n, const void *ca, size_t ca_n, const char *name,
                    struct nk_diag *diag)
{
    mbedtls_x509_crt chain, trusted;
    mbedtls_x509_crt_init(&chain);
    mbedtls_x509_crt_init(&trusted);
    int rc = tls_crypto_start(diag);
    if (rc == 0) {
        rc = tls_parse_certs(&chain, cert, n, diag, "certificate");
    }
    if (rc == 0) {
        rc = tls_parse_certs(&trusted, ca, ca_n, diag, "CA");
    }
    if (rc == 0) {
        rc = verify_parsed(&chain, &trusted, name, diag);
    }
    mbedtls_x509_crt_free(&chain);
    mbedtls_x509_crt_free(&trusted);
    return rc;
}
