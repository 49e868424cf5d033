/* SPDX-License-Identifier: MIT */
/*
 * kdf - keys of passphrases, as files of private keys have them. On any thread.
 */
#ifndef SSH_KDF_H
#define SSH_KDF_H

#include <stddef.h>
#include <stdint.h>

enum ssh_kdf_kind {
    SSH_KDF_NONE,
    SSH_KDF_BCRYPT, /* OpenSSH's bcrypt_pbkdf */
    SSH_KDF_PBKDF2, /* RFC 8018 5.2 */
    SSH_KDF_MD5     /* of OpenSSL's old PEM files: MD5 of itself, the passphrase and the salt */
};

enum ssh_kdf_prf { SSH_PRF_SHA1, SSH_PRF_SHA256, SSH_PRF_SHA512 };

enum {
    SSH_SALT_MAX = 64,
    SSH_KDF_KEY_MAX = 64 + 16,               /* a cipher's key and IV */
    SSH_PBKDF2_ROUNDS_MAX = 10 * 1000 * 1000 /* that a file may ask for: some seconds */
};

/* How a key is made. */
struct ssh_kdf {
    enum ssh_kdf_kind kind;
    enum ssh_kdf_prf prf; /* of PBKDF2 */
    uint32_t rounds;
    size_t salt_n;
    uint8_t salt[SSH_SALT_MAX];
};

/* ssh_kdf - n (1..SSH_KDF_KEY_MAX) bytes of key from the passphrase. 0, -ENOMEM,
 * NK_EUNSUPPORTED (no KDF, or a salt that is too short for MD5). */
int ssh_kdf(const struct ssh_kdf *kdf, const void *passphrase, size_t passphrase_n, uint8_t *key,
            size_t n);

/* Of the implementations. bcrypt: rounds >= 1; 0 or -ENOMEM. */
int ssh_bcrypt_pbkdf(const void *passphrase, size_t passphrase_n, const uint8_t *salt,
                     size_t salt_n, uint32_t rounds, uint8_t *key, size_t n);

#endif
