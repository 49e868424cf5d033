/* SPDX-License-Identifier: MIT */
/*
 * pem - blocks of base64 between dashed lines (RFC 7468, and RFC 1421's headers in old ones), and
 * the DER (X.690) that is in them.
 */
#ifndef NK_BASE_PEM_H
#define NK_BASE_PEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cur.h"

/* A block; borrowed from the text. */
struct nk_pem {
    const char *label, *headers, *body; /* "RSA PRIVATE KEY", "Proc-Type: ..", base64 */
    size_t label_n, headers_n, body_n;
};

/* Tags of DER (X.690 8.1.2). */
enum nk_der_tag {
    NK_DER_INTEGER = 0x02,
    NK_DER_OCTETS = 0x04,
    NK_DER_OID = 0x06,
    NK_DER_SEQUENCE = 0x30
};

/* nk_pem_find - the first block whose label ends with suffix; what stands around it is not looked
 * at. false: there is none, or it does not end. */
bool nk_pem_find(const void *text, size_t n, const char *suffix, struct nk_pem *out);

/* nk_pem_label - is this the label? */
bool nk_pem_label(const struct nk_pem *pem, const char *label);

/* nk_pem_header - the value of a header, trimmed; NULL when there is none. */
const char *nk_pem_header(const struct nk_pem *pem, const char *name, size_t *n);

/* nk_pem_decode - append what base64 of n characters, white space among them, stands for. Copies
 * are wiped. NK_EFORMAT, NK_ETOOBIG, -ENOMEM; then out is as before. */
int nk_pem_decode(const char *text, size_t n, struct nk_buf *out);

/* nk_der - what is within the next element, which must have this tag; failed, as c is then, else.
 * Lengths up to 65535 are known, and must be of the shortest form. */
struct nk_cur nk_der(struct nk_cur *c, uint8_t tag);

#endif
