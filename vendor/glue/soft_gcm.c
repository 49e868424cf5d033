/* SPDX-License-Identifier: MIT */
/* Upstream's GCM under other names (see soft.h); NK_GLUE_SOFT takes the ALT switch back out. */
#define mbedtls_gcm_context nk_soft_gcm_context
#define mbedtls_gcm_init nk_soft_gcm_init
#define mbedtls_gcm_free nk_soft_gcm_free
#define mbedtls_gcm_setkey nk_soft_gcm_setkey
#define mbedtls_gcm_crypt_and_tag nk_soft_gcm_crypt_and_tag
#define mbedtls_gcm_auth_decrypt nk_soft_gcm_auth_decrypt
#define mbedtls_gcm_starts nk_soft_gcm_starts
#define mbedtls_gcm_update_ad nk_soft_gcm_update_ad
#define mbedtls_gcm_update nk_soft_gcm_update
#define mbedtls_gcm_finish nk_soft_gcm_finish
#include <gcm.c>

#include "soft.h"

struct nk_soft_gcm_context *nk_soft_gcm_new(void)
{
    struct nk_soft_gcm_context *ctx = mbedtls_calloc(1, sizeof(*ctx));
    if (ctx) {
        nk_soft_gcm_init(ctx);
    }
    return ctx;
}

void nk_soft_gcm_delete(struct nk_soft_gcm_context *ctx)
{
    if (ctx) {
        nk_soft_gcm_free(ctx);
        mbedtls_free(ctx);
    }
}

int nk_soft_gcm_set(struct nk_soft_gcm_context *ctx, int cipher, const unsigned char *key,
                    unsigned key_bits)
{
    return nk_soft_gcm_setkey(ctx, (mbedtls_cipher_id_t)cipher, key, key_bits);
}
