/* SPDX-License-Identifier: MIT */
/* The SHA-256 and SHA-224 context that mbedTLS embeds; vendor/glue/sha2.c has the functions. */
#ifndef NETKIT_SHA256_ALT_H
#define NETKIT_SHA256_ALT_H

typedef struct mbedtls_sha256_context {
    uint64_t state[13]; /* libsodium's crypto_hash_sha256_state */
    int is224;
} mbedtls_sha256_context;

#endif
