/* SPDX-License-Identifier: MIT */
/* Upstream's ChaCha20-Poly1305 under other names (see soft.h). */
#define mbedtls_chachapoly_context nk_soft_chachapoly_context
#define mbedtls_chachapoly_init nk_soft_chachapoly_init
#define mbedtls_chachapoly_free nk_soft_chachapoly_free
#define mbedtls_chachapoly_setkey nk_soft_chachapoly_setkey
#define mbedtls_chachapoly_starts nk_soft_chachapoly_starts
#define mbedtls_chachapoly_update_aad nk_soft_chachapoly_update_aad
#define mbedtls_chachapoly_update nk_soft_chachapoly_update
#define mbedtls_chachapoly_finish nk_soft_chachapoly_finish
#define mbedtls_chachapoly_encrypt_and_tag nk_soft_chachapoly_encrypt_and_tag
#define mbedtls_chachapoly_auth_decrypt nk_soft_chachapoly_auth_decrypt
#include <chachapoly.c>

#include "soft.h"

struct nk_soft_chachapoly_context *nk_soft_chachapoly_new(void)
{
    struct nk_soft_chachapoly_context *ctx = mbedtls_calloc(1, sizeof(*ctx));
    if (ctx) {
        nk_soft_chachapoly_init(ctx);
    }
    return ctx;
}

void nk_soft_chachapoly_delete(struct nk_soft_chachapoly_context *ctx)
{
    if (ctx) {
        nk_soft_chachapoly_free(ctx);
        mbedtls_free(ctx);
    }
}

int nk_soft_chachapoly_begin(struct nk_soft_chachapoly_context *ctx, const unsigned char nonce[12],
                             int encrypt)
{
    return nk_soft_chachapoly_starts(
        ctx, nonce, encrypt ? MBEDTLS_CHACHAPOLY_ENCRYPT : MBEDTLS_CHACHAPOLY_DECRYPT);
}
