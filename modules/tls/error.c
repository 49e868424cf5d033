/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <psa/crypto.h>
#include <mbedtls/asn1.h>
#include <mbedtls/ecp.h>
#include <mbedtls/pem.h>
#include <mbedtls/rsa.h>

#include "glue.h"
#include "tls/internal.h"

/* The high-level part of a code: the low seven bits below 0x1000's are a second, low-level one. */
#define HIGH_PART(rc) (-(-(rc)&0x7f80))
#define LOW_PART(rc) (-(-(rc)&0x7f))

static const struct {
    int code;
    const char *text;
} texts[] = {
    {MBEDTLS_ERR_SSL_INVALID_MAC, "a record's authentication tag is wrong"},
    {MBEDTLS_ERR_SSL_INVALID_RECORD, "not a TLS record"},
    {MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION, "no common protocol version"},
    {MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE, "no common cipher suite, group or signature algorithm"},
    {MBEDTLS_ERR_SSL_NO_APPLICATION_PROTOCOL, "no common application protocol (ALPN)"},
    {MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE, "an unexpected message"},
    {MBEDTLS_ERR_SSL_UNEXPECTED_RECORD, "an unexpected record"},
    {MBEDTLS_ERR_SSL_DECODE_ERROR, "a malformed message"},
    {MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER, "an illegal parameter"},
    {MBEDTLS_ERR_SSL_UNSUPPORTED_EXTENSION, "an unsupported extension"},
    {MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE, "the peer has no certificate"},
    {MBEDTLS_ERR_SSL_BAD_CERTIFICATE, "a bad certificate"},
    {MBEDTLS_ERR_SSL_INTERNAL_ERROR, "an internal error"},
    {MBEDTLS_ERR_SSL_COUNTER_WRAPPING, "too many records under one key"},
    {MBEDTLS_ERR_X509_CERT_VERIFY_FAILED, "the certificate was not accepted"},
    {MBEDTLS_ERR_X509_INVALID_FORMAT, "not a certificate"},
    {MBEDTLS_ERR_X509_CERT_UNKNOWN_FORMAT, "neither PEM nor DER"},
    {MBEDTLS_ERR_X509_UNKNOWN_SIG_ALG, "signed with an unsupported algorithm"},
    {MBEDTLS_ERR_X509_UNKNOWN_VERSION, "an unknown certificate version"},
    {MBEDTLS_ERR_PEM_NO_HEADER_FOOTER_PRESENT, "no PEM block in it"},
    {MBEDTLS_ERR_PEM_INVALID_DATA, "damaged PEM"},
    {MBEDTLS_ERR_PK_KEY_INVALID_FORMAT, "not a private key"},
    {MBEDTLS_ERR_PK_UNKNOWN_PK_ALG, "an unsupported kind of key (EC P-256, P-384 and RSA are)"},
    {MBEDTLS_ERR_PK_UNKNOWN_NAMED_CURVE, "an unsupported curve (P-256 and P-384 are)"},
    {MBEDTLS_ERR_PK_PASSWORD_REQUIRED, "the key is encrypted; store it without a passphrase"},
    {MBEDTLS_ERR_PK_FEATURE_UNAVAILABLE,
     "an unsupported kind of key (EC P-256, P-384 and RSA are)"},
    {MBEDTLS_ERR_PK_SIG_LEN_MISMATCH, "a signature of the wrong length"},
    {MBEDTLS_ERR_RSA_VERIFY_FAILED, "a wrong signature"},
    {MBEDTLS_ERR_ECP_VERIFY_FAILED, "a wrong signature"},
};

const char *tls_strerror(int rc)
{
    for (int pass = 0; pass < 2; pass++) {
        int code = pass == 0 ? rc : HIGH_PART(rc);
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
            if (texts[i].code == code) {
                return texts[i].text;
            }
        }
    }
    return "the TLS library refused it";
}

static bool is_alloc_failure(int rc)
{
    switch (rc) {
    case MBEDTLS_ERR_SSL_ALLOC_FAILED:
    case MBEDTLS_ERR_X509_ALLOC_FAILED:
    case MBEDTLS_ERR_PK_ALLOC_FAILED:
    case MBEDTLS_ERR_PEM_ALLOC_FAILED:
    case MBEDTLS_ERR_ASN1_ALLOC_FAILED:
    case MBEDTLS_ERR_MPI_ALLOC_FAILED:
    case MBEDTLS_ERR_ECP_ALLOC_FAILED:
    case MBEDTLS_ERR_MD_ALLOC_FAILED:
        return true;
    default:
        return false;
    }
}

/* Either part of a combined code may say so ("invalid extensions" because of "no memory"). */
static bool out_of_memory(int rc)
{
    return is_alloc_failure(rc) || is_alloc_failure(HIGH_PART(rc)) ||
           is_alloc_failure(LOW_PART(rc));
}

int tls_check(int rc, int code, struct nk_diag *diag, const char *what)
{
    if (rc == 0) {
        return 0;
    }
    if (out_of_memory(rc)) {
        return nk_fail_sys(diag, -ENOMEM, "%s", what);
    }
    /* a positive result counts the certificates of a bundle that could not be read */
    return nk_fail(diag, code, "%s: %s (TLS library code -0x%04X)", what, tls_strerror(rc),
                   rc < 0 ? (unsigned)-rc : 0U);
}

int tls_crypto_start(struct nk_diag *diag)
{
    return psa_crypto_init() == PSA_SUCCESS
               ? 0
               : nk_fail(diag, NK_EINTERNAL, "the cryptographic library cannot start");
}

int tls_parse_key(mbedtls_pk_context *out, const struct nk_secret *key)
{
    /* PEM is recognised by its terminating NUL, which is not part of the secret's length */
    uint8_t *copy = malloc(key->len + 1);
    if (!copy) {
        return MBEDTLS_ERR_PK_ALLOC_FAILED;
    }
    memcpy(copy, key->data, key->len);
    copy[key->len] = 0;
    int rc = mbedtls_pk_parse_key(out, copy, key->len + 1, NULL, 0, nk_glue_random, NULL);
    nk_free_wiped(copy, key->len + 1);
    return rc;
}
