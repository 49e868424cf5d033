/* SPDX-License-Identifier: MIT */
/* Helpers of this module's tests: certificates made on the spot. */
#ifndef NK_TLS_TESTKIT_H
#define NK_TLS_TESTKIT_H

#include "tls/tls.h"

/* A key and certificate, as PEM texts. */
struct kit_cert {
    struct nk_secret key;
    struct nk_buf cert;
};

/* kit_cert_make - CN cn, comma-separated SANs (NULL: none), valid from `from` to `to` seconds
 * relative to now, signed by issuer (NULL: self-signed), a CA or not. Fails the test on errors. */
void kit_cert_make(struct kit_cert *out, const char *cn, const char *sans, int64_t from, int64_t to,
                   const struct kit_cert *issuer, bool ca);
void kit_cert_clear(struct kit_cert *c);

/* The PEM texts, NUL-terminated, valid until kit_cert_clear. */
const char *kit_cert_pem(struct kit_cert *c);
const char *kit_key_pem(struct kit_cert *c);

#endif
