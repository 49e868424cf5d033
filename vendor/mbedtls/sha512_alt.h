/* SPDX-License-Identifier: MIT */
/* The SHA-512 and SHA-384 context that mbedTLS embeds; vendor/glue/sha2.c has the functions. */
#ifndef NETKIT_SHA512_ALT_H
#define NETKIT_SHA512_ALT_H

typedef struct mbedtls_sha512_context {
    uint64_t state[26]; /* libsodium's crypto_hash_sha512_state */
    int is384;
} mbedtls_sha512_context;

#endif
