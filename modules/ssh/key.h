/* SPDX-License-Identifier: MIT */
/*
 * key - private keys of users: read from files of every usual form, opened with a passphrase, made,
 * and written as OpenSSH does (its PROTOCOL.key; RFC 8017, RFC 5915, RFC 5208, RFC 8018, RFC 8410).
 *
 * Reading has three steps, because the middle one takes its time: ssh_sealed_parse sees what a file
 * is; ssh_sealed_stretch makes a key of the passphrase, on any thread (a tenth of a second and more
 * by design: NK_LANE_CRYPTO, see unlock.h); ssh_sealed_open decrypts and checks. A file without a
 * passphrase needs no second step.
 */
#ifndef SSH_KEY_H
#define SSH_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"
#include "ssh/pubkey.h"

enum {
    SSH_KEY_FILE_MAX = 64 * 1024, /* bytes of a file with a key */
    SSH_COMMENT_MAX = 1024,
    SSH_PASSPHRASE_MAX = 1024,
    SSH_ROUNDS = 24,       /* of bcrypt for a new file, as ssh-keygen has it */
    SSH_ROUNDS_MAX = 4096, /* that a file may ask for: half a minute */
    SSH_RSA_NEW = 3072     /* bits of a new RSA key, as ssh-keygen has it */
};

/*
 * A private key. Shared by counting, on one thread. The secret half is in guarded memory, as the
 * fields of PROTOCOL.key between the key's name and its comment: Ed25519 string public, string
 * seed||public; ECDSA string curve, string point, mpint d; RSA mpint n, e, d, iqmp, p, q.
 */
struct ssh_private {
    unsigned refs;
    struct ssh_public pub;   /* borrows from blob */
    uint8_t *blob;           /* public, plain */
    uint8_t *cert;           /* the certificate that goes with it, or NULL */
    size_t cert_n;           /* its bytes */
    char *comment;           /* UTF-8 or whatever the file has; "" when there is none */
    struct nk_secret secret; /* the fields */
};

/* ssh_private_ref, ssh_private_unref - share; the last one wipes and frees. NULL is fine. */
struct ssh_private *ssh_private_ref(struct ssh_private *k);
void ssh_private_unref(struct ssh_private *k);

/*
 * ssh_private_new - a key of its fields: type is in ssh_key_types and no token's; fields (n bytes)
 * as above, which the caller wipes. The halves are checked to belong together, an RSA key to have
 * at least min_rsa bits (0: SSH_RSA_MIN) and to be right. comment: comment_n bytes, at most
 * SSH_COMMENT_MAX are kept. 0, NK_EFORMAT, NK_EAUTH (too few bits), NK_EUNSUPPORTED (more than 8192
 * bits), -ENOMEM.
 */
int ssh_private_new(const struct ssh_key_type *type, const void *fields, size_t n,
                    const void *comment, size_t comment_n, unsigned min_rsa,
                    struct ssh_private **out, struct nk_diag *diag);

/* ssh_private_generate - a new one. bits: of an RSA key, SSH_RSA_MIN..SSH_RSA_MAX, which takes
 * seconds; else not looked at. 0, NK_EUSAGE, NK_EUNSUPPORTED (a token's), -ENOMEM. */
int ssh_private_generate(const struct ssh_key_type *type, unsigned bits, const char *comment,
                         struct ssh_private **out, struct nk_diag *diag);

/* ssh_private_certify - put a certificate (blob, copied) to the key; NK_EVERIFY when it is for
 * another key, NK_EFORMAT when it is none. */
int ssh_private_certify(struct ssh_private *k, struct ssh_str cert, struct nk_diag *diag);

/* ssh_private_rename - another comment, of which at most SSH_COMMENT_MAX bytes are kept. 0 or
 * -ENOMEM. */
int ssh_private_rename(struct ssh_private *k, const char *comment);

/*
 * ssh_private_write - append the armoured file of the key to out (a secret buffer): plain, or with
 * a passphrase (not empty) encrypted by aes256-ctr with bcrypt of `rounds`, which takes its time.
 * 0, NK_ETOOBIG, -ENOMEM; then out is as before.
 */
int ssh_private_write(const struct ssh_private *k, const struct nk_secret *passphrase,
                      unsigned rounds, struct nk_buf *out);

/* --- files as they are read ------------------------------------------------------------------- */

struct ssh_sealed;

/* ssh_sealed_is - does the text have a private key (of any form, also one that is not supported)
 * in it? */
bool ssh_sealed_is(const void *text, size_t n);

/*
 * ssh_sealed_parse - what a file has: an OpenSSH key, PEM of PKCS#1, SEC1 or PKCS#8, PuTTY's,
 * encrypted or not. What it needs of the text is copied, and wiped when freed. NK_EFORMAT;
 * NK_EUNSUPPORTED, with what to do, for DSA keys, keys of a token, and ciphers or KDFs that are not
 * here; -ENOMEM.
 */
int ssh_sealed_parse(const void *text, size_t n, struct ssh_sealed **out, struct nk_diag *diag);

/* ssh_sealed_ref, ssh_sealed_unref - shared by counting, on one thread; the last one wipes and
 * frees. NULL is fine. */
struct ssh_sealed *ssh_sealed_ref(struct ssh_sealed *s);
void ssh_sealed_unref(struct ssh_sealed *s);

/* ssh_sealed_locked - is a passphrase needed? ssh_sealed_form - "OpenSSH", "PKCS#8", "PuTTY" ...,
 * static. ssh_sealed_cipher - its name, "none" for a plain one; borrowed. */
bool ssh_sealed_locked(const struct ssh_sealed *s);
const char *ssh_sealed_form(const struct ssh_sealed *s);
const char *ssh_sealed_cipher(const struct ssh_sealed *s);

/* ssh_sealed_blob - the public key, which OpenSSH's and PuTTY's have in clear; {NULL, 0} in others.
 * It is unchecked until the key is open. */
struct ssh_str ssh_sealed_blob(const struct ssh_sealed *s);

/* ssh_sealed_stretch - make the key of the passphrase (1..SSH_PASSPHRASE_MAX bytes). Slow; on any
 * thread; only for one that is locked. 0, -ENOMEM, NK_EUNSUPPORTED. */
int ssh_sealed_stretch(const struct ssh_sealed *s, const void *passphrase, size_t n,
                       struct nk_secret *key);

/*
 * ssh_sealed_open - decrypt with what ssh_sealed_stretch made (NULL when it is not locked), and
 * check everything as ssh_private_new does. NK_EAUTH and "the passphrase is wrong", NK_EFORMAT,
 * NK_EUNSUPPORTED (a type of key), NK_EAUTH (an RSA key of too few bits), -ENOMEM. May be called
 * again.
 */
int ssh_sealed_open(const struct ssh_sealed *s, const struct nk_secret *key, unsigned min_rsa,
                    struct ssh_private **out, struct nk_diag *diag);

/* ssh_sealed_unlock - both in one, for commands that have nothing else to do. */
int ssh_sealed_unlock(const struct ssh_sealed *s, const struct nk_secret *passphrase,
                      unsigned min_rsa, struct ssh_private **out, struct nk_diag *diag);

#endif
