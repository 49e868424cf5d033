/* SPDX-License-Identifier: MIT */
/* What the files of this module share: error mapping, credentials' inside, buffers, the filter. */
#ifndef NK_TLS_INTERNAL_H
#define NK_TLS_INTERNAL_H

#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>

#include "tls/tls.h"

/* tls_crypto_start - PSA is needed by TLS 1.3; idempotent. 0 or NK_EINTERNAL. */
int tls_crypto_start(struct nk_diag *diag);

/* tls_check - 0 for 0; else an mbedTLS code becomes -ENOMEM or `code`, with "what: reason" in diag.
 * mbedTLS's numbers overlap ours, so its results never travel further than the next statement. */
int tls_check(int mbedtls_rc, int code, struct nk_diag *diag, const char *what);

/* tls_strerror - what an mbedTLS code means, for the ones that users meet; static text. */
const char *tls_strerror(int mbedtls_rc);

/* tls_parse_key - PEM or DER private key. An mbedTLS code. */
int tls_parse_key(mbedtls_pk_context *out, const struct nk_secret *key);

/* tls_parse_certs - PEM (all blocks) or one DER certificate, appended to out. Unusable ones of a
 * bundle are left out. 0, NK_EFORMAT, -ENOMEM; diag starts with `what`. */
int tls_parse_certs(mbedtls_x509_crt *out, const void *p, size_t n, struct nk_diag *diag,
                    const char *what);

/* Hashes, texts and dates of a parsed certificate. */
void tls_crt_hash(const mbedtls_x509_crt *crt, uint8_t cert[TLS_HASH], uint8_t spki[TLS_HASH]);
void tls_crt_sans(char *out, size_t max, const mbedtls_x509_crt *crt);
void tls_crt_subject(char *out, size_t max, const mbedtls_x509_name *name);
void tls_crt_describe(struct tls_cert_info *out, const mbedtls_x509_crt *crt);
int64_t tls_x509_seconds(const mbedtls_x509_time *t);

/* --- verification ---------------------------------------------------------------------------- */

struct tls_pins {
    size_t n;
    uint8_t (*hash)[TLS_HASH]; /* of certificates or SPKIs */
};

/* What one verification is about, and why it failed. */
struct tls_verify {
    const struct tls_pins *pins; /* not empty: they decide alone */
    const char *host;            /* expected name or address, or NULL */
    uint8_t ip[16];
    size_t ip_len;  /* not 0: host is an address */
    bool untrusted; /* the chain leads to no authority of ours */
    struct nk_diag why;
};

/* tls_verify_init - for one connection: pins and host (may be NULL) are borrowed while v is in use.
 */
void tls_verify_init(struct tls_verify *v, const struct tls_pins *pins, const char *host);

/* tls_verify_cb - mbedTLS's callback for each certificate, from the root (depth n) to the leaf (0);
 * arg is a struct tls_verify. */
int tls_verify_cb(void *arg, mbedtls_x509_crt *crt, int depth, uint32_t *flags);

#endif
