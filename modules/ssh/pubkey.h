/* SPDX-License-Identifier: MIT */
/*
 * pubkey - public keys, certificates and signatures, as they travel (RFC 4253 6.6, RFC 5656 3, RFC
 * 8332, RFC 8709; OpenSSH's PROTOCOL.certkeys and PROTOCOL.u2f).
 */
#ifndef SSH_PUBKEY_H
#define SSH_PUBKEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ssh/kex.h"
#include "ssh/wire.h"

enum ssh_key_kind { SSH_KEY_ED25519, SSH_KEY_ECDSA, SSH_KEY_RSA };

enum {
    SSH_RSA_MIN = 2048, /* bits; OpenSSH's RequiredRSASize asks for 1024 only */
    SSH_RSA_MAX = 16384,
    SSH_RSA_VERIFY_MAX = 8192, /* bits that mbedTLS computes with */
    SSH_BLOB_MAX = 64 * 1024,
    SSH_FINGERPRINT_SIZE = 64 /* of the text, its end included */
};

/* What a key is called, and how it signs. */
struct ssh_key_type {
    const char *name; /* in the blob */
    const char *cert; /* name of its certificates, "" when there are none */
    enum ssh_key_kind kind;
    uint16_t bits; /* of the curve */
    bool sk;       /* of a FIDO token: signatures have flags and a counter */
};

/* A signature algorithm: negotiated for host keys, chosen for user keys. */
struct ssh_sig_type {
    const char *name;      /* within signatures, and negotiated */
    const char *cert_name; /* negotiated for certificates */
    const char *key;       /* name of the key type */
    enum ssh_hash hash;
};

/* Best first; a NULL name ends the tables. */
extern const struct ssh_key_type ssh_key_types[];
extern const struct ssh_sig_type ssh_sig_types[];

/* A certificate's part of a blob. */
struct ssh_cert {
    struct ssh_str nonce, id, principals, critical, extensions, ca, signature;
    struct ssh_str signed_part;     /* what the signature is over */
    uint64_t serial, after, before; /* seconds since 1970; from `after` to before `before` */
    uint32_t use;                   /* SSH_CERT_USER or SSH_CERT_HOST */
};

enum { SSH_CERT_USER = 1, SSH_CERT_HOST = 2 };

/* A public key; everything is borrowed from the blob. */
struct ssh_public {
    const struct ssh_key_type *type;
    struct ssh_str blob;        /* whole, certificate included */
    struct ssh_str point;       /* Ed25519's key, ECDSA's point */
    struct ssh_str e, n;        /* RSA's, without leading zeros */
    struct ssh_str application; /* of a token's key */
    bool is_cert;
    struct ssh_cert cert;
};

/* ssh_public_parse - the key or certificate in a blob. NK_EUNSUPPORTED: a type that is not in the
 * table; NK_EFORMAT: malformed, or bytes are left over; NK_EAUTH: an RSA key of fewer than min_rsa
 * bits (0: SSH_RSA_MIN), with its size. The certificate's own signature is not looked at. */
int ssh_public_parse(struct ssh_str blob, unsigned min_rsa, struct ssh_public *out,
                     struct nk_diag *diag);

/*
 * ssh_public_verify - is signature (a blob: string name, string bytes) made by this key, or the one
 * that this certificate is for, over the n bytes at data, with exactly this algorithm? 0, or
 * NK_EAUTH (also for a malformed one), NK_EUNSUPPORTED (RSA of more than SSH_RSA_VERIFY_MAX bits),
 * -ENOMEM. A token's signature must say that somebody was
 * there (the flag of user presence).
 */
int ssh_public_verify(const struct ssh_public *k, const struct ssh_sig_type *alg,
                      struct ssh_str signature, const void *data, size_t n, struct nk_diag *diag);

/* ssh_sig_find - the algorithm with this name, for a plain key (*cert = false) or a certificate. */
const struct ssh_sig_type *ssh_sig_find(struct ssh_str name, bool *cert);

/*
 * ssh_cert_check - the certificate stands for itself: its use, its time (now: seconds since 1970,
 * both ends as PROTOCOL.certkeys has them), no critical option but those in `known` (names, NULL at
 * the end; may be NULL), and the signature of its authority, which is no certificate, with an
 * algorithm of the table. Whether the authority is trusted, and for whom it speaks, is for the
 * caller. 0 or NK_EAUTH with the reason, -ENOMEM.
 */
int ssh_cert_check(const struct ssh_public *k, uint32_t use, uint64_t now, const char *const *known,
                   unsigned min_rsa, struct nk_diag *diag);

/* ssh_public_bits - of a key: its size as ssh-keygen -l says it. */
unsigned ssh_public_bits(const struct ssh_public *k);

/* ssh_cert_principal - the next name the certificate is for; *rest begins as cert.principals. */
bool ssh_cert_principal(struct ssh_str *rest, struct ssh_str *name);

/* ssh_fingerprint_sha256 - "SHA256:" and base64 without padding, as ssh-keygen -l has it; of a
 * certificate, the key's that it is for must be given as a plain blob. ssh_fingerprint_md5 - "MD5:"
 * and hex with colons. */
void ssh_fingerprint_sha256(struct ssh_str blob, char out[SSH_FINGERPRINT_SIZE]);
void ssh_fingerprint_md5(struct ssh_str blob, char out[SSH_FINGERPRINT_SIZE]);

/* Of the implementations: is the signature over the hash of the data good? Its parts are checked
 * for their lengths only there. 1, 0 or -ENOMEM. */
int ssh_verify_ecdsa(unsigned bits, struct ssh_str point, struct ssh_str r, struct ssh_str s,
                     const uint8_t *hash, size_t n);
int ssh_verify_rsa(struct ssh_str modulus, struct ssh_str e, enum ssh_hash h,
                   struct ssh_str signature, const uint8_t *hash);
void ssh_md5(const void *p, size_t n, uint8_t out[16]);

#endif
