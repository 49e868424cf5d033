/* SPDX-License-Identifier: MIT */
/* Certificate requests (PKCS#10, RFC 2986): what somebody else wants to have signed. */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS /* the signature has no accessor */
#include <stdlib.h>
#include <string.h>

#include <mbedtls/md.h>

#include "tls/internal.h"

enum {
    WEAK_RSA_BITS = 2048,
    EMPTY_NAME = MBEDTLS_ERR_X509_INVALID_NAME + MBEDTLS_ERR_ASN1_OUT_OF_DATA
};

static const char pem_begin[] = "-----BEGIN ";

/* The signature proves that whoever asks has the private key (RFC 2986 section 3). */
static int check_signature(mbedtls_x509_csr *r, struct nk_diag *diag)
{
    uint8_t hash[MBEDTLS_MD_MAX_SIZE];
    const mbedtls_md_info_t *md = mbedtls_md_info_from_type(r->sig_md);
    if (!md || mbedtls_md(md, r->cri.p, r->cri.len, hash) != 0 ||
        mbedtls_pk_verify_ext(r->sig_pk, r->sig_opts, &r->pk, r->sig_md, hash,
                              mbedtls_md_get_size(md), r->sig.p, r->sig.len) != 0) {
        return nk_fail(diag, NK_EVERIFY,
                       "the request is not signed by the key that it asks a certificate for");
    }
    return 0;
}

int tls_csr_load(mbedtls_x509_csr *out, const void *p, size_t n, struct nk_diag *diag)
{
    bool pem = memmem(p, n, pem_begin, sizeof(pem_begin) - 1) != NULL;
    uint8_t *text = malloc(n + 1); /* the parser of PEM wants the NUL that ends a text */
    if (!text) {
        return nk_fail_sys(diag, -ENOMEM, "certificate request");
    }
    if (n > 0) {
        memcpy(text, p, n);
    }
    text[n] = 0;
    int rc =
        pem ? mbedtls_x509_csr_parse(out, text, n + 1) : mbedtls_x509_csr_parse_der(out, text, n);
    free(text);
    if (rc == EMPTY_NAME) { /* mbedTLS wants one; so do many who look at certificates */
        return nk_fail(diag, NK_ECONFIG, "the certificate request names no subject");
    }
    if (rc != 0) {
        return tls_check(rc, NK_EFORMAT, diag, "the certificate request cannot be read");
    }
    if (mbedtls_pk_can_do(&out->pk, MBEDTLS_PK_RSA) &&
        mbedtls_pk_get_bitlen(&out->pk) < WEAK_RSA_BITS) {
        return nk_fail(diag, NK_ECONFIG, "the request's RSA key has less than %d bits",
                       WEAK_RSA_BITS);
    }
    return check_signature(out, diag);
}
