/* SPDX-License-Identifier: MIT */
/*
 * mbedTLS's ChaCha20-Poly1305 functions (MBEDTLS_CHACHAPOLY_ALT), RFC 8439: one-shot calls run
 * libsodium's, the streaming calls upstream's code.
 */
#include <stdint.h>
#include <string.h>
#include <mbedtls/chachapoly.h>
#include <mbedtls/cipher.h>
#include <mbedtls/error.h>
#include <mbedtls/platform_util.h>
#include <sodium.h>

#include "soft.h"

void mbedtls_chachapoly_init(mbedtls_chachapoly_context *ctx)
{
    memset(ctx, 0, sizeof(*ctx));
}

void mbedtls_chachapoly_free(mbedtls_chachapoly_context *ctx)
{
    if (ctx) {
        nk_soft_chachapoly_delete(ctx->soft);
        sodium_memzero(ctx, sizeof(*ctx));
    }
}

int mbedtls_chachapoly_setkey(mbedtls_chachapoly_context *ctx, const unsigned char key[32])
{
    /* libsodium picks its implementations in sodium_init(); before that it would use the slow ones
     */
    if (sodium_init() < 0) {
        return MBEDTLS_ERR_PLATFORM_HW_ACCEL_FAILED;
    }
    nk_soft_chachapoly_delete(ctx->soft);
    ctx->soft = NULL;
    memcpy(ctx->key, key, sizeof(ctx->key));
    return 0;
}

int mbedtls_chachapoly_starts(mbedtls_chachapoly_context *ctx, const unsigned char nonce[12],
                              mbedtls_chachapoly_mode_t mode)
{
    if (!ctx->soft) {
        ctx->soft = nk_soft_chachapoly_new();
        if (!ctx->soft) {
            return MBEDTLS_ERR_CIPHER_ALLOC_FAILED;
        }
        int rc = nk_soft_chachapoly_setkey(ctx->soft, ctx->key);
        if (rc != 0) {
            return rc;
        }
    }
    return nk_soft_chachapoly_begin(ctx->soft, nonce, mode == MBEDTLS_CHACHAPOLY_ENCRYPT);
}

int mbedtls_chachapoly_update_aad(mbedtls_chachapoly_context *ctx, const unsigned char *aad,
                                  size_t aad_len)
{
    return ctx->soft ? nk_soft_chachapoly_update_aad(ctx->soft, aad, aad_len)
                     : MBEDTLS_ERR_CHACHAPOLY_BAD_STATE;
}

int mbedtls_chachapoly_update(mbedtls_chachapoly_context *ctx, size_t len,
                              const unsigned char *input, unsigned char *output)
{
    return ctx->soft ? nk_soft_chachapoly_update(ctx->soft, len, input, output)
                     : MBEDTLS_ERR_CHACHAPOLY_BAD_STATE;
}

int mbedtls_chachapoly_finish(mbedtls_chachapoly_context *ctx, unsigned char mac[16])
{
    return ctx->soft ? nk_soft_chachapoly_finish(ctx->soft, mac) : MBEDTLS_ERR_CHACHAPOLY_BAD_STATE;
}

/* libsodium aborts the process beyond its limit, which no caller here comes near. */
static int too_long(size_t length)
{
    return length > crypto_aead_chacha20poly1305_ietf_messagebytes_max();
}

int mbedtls_chachapoly_encrypt_and_tag(mbedtls_chachapoly_context *ctx, size_t length,
                                       const unsigned char nonce[12], const unsigned char *aad,
                                       size_t aad_len, const unsigned char *input,
                                       unsigned char *output, unsigned char tag[16])
{
    if (too_long(length)) {
        return MBEDTLS_ERR_CHACHAPOLY_BAD_STATE;
    }
    return crypto_aead_chacha20poly1305_ietf_encrypt_detached(output, tag, NULL, input, length, aad,
                                                              aad_len, NULL, nonce, ctx->key);
}

int mbedtls_chachapoly_auth_decrypt(mbedtls_chachapoly_context *ctx, size_t length,
                                    const unsigned char nonce[12], const unsigned char *aad,
                                    size_t aad_len, const unsigned char tag[16],
                                    const unsigned char *input, unsigned char *output)
{
    if (too_long(length)) {
        return MBEDTLS_ERR_CHACHAPOLY_BAD_STATE;
    }
    if (crypto_aead_chacha20poly1305_ietf_decrypt_detached(output, NULL, input, length, tag, aad,
                                                           aad_len, nonce, ctx->key) != 0) {
        mbedtls_platform_zeroize(output, length);
        return MBEDTLS_ERR_CHACHAPOLY_AUTH_FAILED;
    }
    return 0;
}
