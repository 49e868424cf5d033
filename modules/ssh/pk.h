/* SPDX-License-Identifier: MIT */
/*
 * pk - the arithmetic of private RSA and ECDSA keys. On any thread: contexts are made for each
 * call. Fields are those of struct ssh_private (key.h).
 */
#ifndef SSH_PK_H
#define SSH_PK_H

#include "base/buf.h"
#include "ssh/pubkey.h"

enum {
    SSH_FIELDS = 6,             /* most fields of a private key */
    SSH_RSA_PRIVATE_MAX = 8192, /* bits that mbedTLS computes with */
    SSH_SIGNATURE_MAX = 2048    /* bytes of a signature with its name, at that size */
};

/* The fields of a private key, without leading zeros where they are numbers. */
enum { SSH_RSA_N, SSH_RSA_E, SSH_RSA_D, SSH_RSA_IQMP, SSH_RSA_P, SSH_RSA_Q };
enum { SSH_EC_CURVE, SSH_EC_POINT, SSH_EC_D };
enum { SSH_ED_PUBLIC, SSH_ED_SECRET };

/* ssh_pk_read - append the fields of the key in DER (PKCS#1, SEC1, PKCS#8, neither encrypted) to
 * fields, and say what type it is of. NK_EFORMAT, NK_EUNSUPPORTED (a curve, DSA), -ENOMEM. */
int ssh_pk_read(const uint8_t *der, size_t n, struct nk_buf *fields,
                const struct ssh_key_type **type);

/* ssh_pk_read_public - append the blob of the public key in DER (SubjectPublicKeyInfo, PKCS#1).
 * Errors as ssh_pk_read. */
int ssh_pk_read_public(const uint8_t *der, size_t n, struct nk_buf *blob);

/* ssh_pk_check - do all fields belong together? 0, NK_EFORMAT, -ENOMEM. */
int ssh_pk_check(const struct ssh_key_type *type, const struct ssh_str f[SSH_FIELDS]);

/* ssh_pk_generate - append the fields of a new key; bits: of RSA's modulus. 0, -ENOMEM,
 * NK_ETOOBIG. */
int ssh_pk_generate(const struct ssh_key_type *type, unsigned bits, struct nk_buf *fields);

/* ssh_pk_sign - append the bytes of a signature over a hash as they stand in its string: RSASSA
 * PKCS1-v1_5, or mpint r, mpint s. 0, NK_EINTERNAL, NK_ETOOBIG, -ENOMEM. */
int ssh_pk_sign(const struct ssh_key_type *type, const struct ssh_str f[SSH_FIELDS],
                enum ssh_hash h, const uint8_t *hash, struct nk_buf *out);

/* ssh_pk_curve - the type of ECDSA keys over a curve of so many bits, or NULL. */
const struct ssh_key_type *ssh_pk_curve(unsigned bits);

#endif
