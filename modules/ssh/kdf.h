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
    SSH_KDF_BCRYPT,   /* OpenSSH's bcrypt_pbkdf */
    SSH_KDF_PBKDF2,   /* RFC 8018 5.2 */
    SSH_KDF_ARGON2ID, /* RFC 9106, one lane, version 1.3 */
    SSH_KDF_PPK2,     /* of PuTTY's files of version 2: SHA-1 */
    SSH_KDF_MD5       /* of OpenSSL's old PEM files: MD5 of itself, the passphrase and the salt */
};

enum ssh_kdf_prf { SSH_PRF_SHA1, SSH_PRF_SHA256, SSH_PRF_SHA512 };

enum {
    SSH_SALT_MAX = 64,
    SSH_KDF_KEY_MAX = 64 + 16,               /* a cipher's key and IV */
    SSH_ARGON2_KIB_MAX = 1 << 20,            /* of memory that a file may ask for */
    SSH_ARGON2_WORK_MAX = 16 * 1024 * 1024,  /* KiB times passes: some seconds */
    SSH_PBKDF2_ROUNDS_MAX = 10 * 1000 * 1000 /* that a file may ask for: some seconds */
};

/* How a key is made. */
struct ssh_kdf {
    enum ssh_kdf_kind kind;
    enum ssh_kdf_prf prf; /* of PBKDF2 */
    uint32_t rounds;
    uint32_t memory_kib; /* of Argon2 */
    size_t salt_n;
    uint8_t salt[SSH_SALT_MAX];
};

/* ssh_kdf - n (1..SSH_KDF_KEY_MAX) bytes of key from the passphrase. 0, -ENOMEM,
 * NK_EUNSUPPORTED (no KDF, or a salt that is too short for MD5). */
int ssh_kdf(const struct ssh_kdf *kdf, const void *passphrase, size_t passphrase_n, uint8_t *key,
            size_t n);

/* ssh_ppk2_mac_key - of a file of PuTTY's of version 2 with this passphrase (none: n is 0). */
void ssh_ppk2_mac_key(const void *passphrase, size_t n, uint8_t out[20]);

/* Of the implementations. bcrypt: rounds >= 1; 0 or -ENOMEM. */
int ssh_bcrypt_pbkdf(const void *passphrase, size_t passphrase_n, const uint8_t *salt,
                     size_t salt_n, uint32_t rounds, uint8_t *key, size_t n);

#endif
