/* SPDX-License-Identifier: MIT */
/* The GCM context that mbedTLS embeds when the functions come from vendor/glue/gcm.c. */
#ifndef NETKIT_GCM_ALT_H
#define NETKIT_GCM_ALT_H

struct nk_soft_gcm_context;

/* 32 bytes: the largest AES key */
#define NK_GCM_KEY_MAX 32

typedef struct mbedtls_gcm_context {
    void *fast;                       /* libsodium's expanded AES-256 key, or NULL */
    struct nk_soft_gcm_context *soft; /* upstream's implementation, made when first needed */
    int cipher;                       /* mbedtls_cipher_id_t */
    unsigned key_bits;                /* 0: no key set */
    unsigned char key[NK_GCM_KEY_MAX];
} mbedtls_gcm_context;

#endif
