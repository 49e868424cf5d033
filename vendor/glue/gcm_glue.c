/* SPDX-License-Identifier: MIT */
/*
 * mbedTLS's GCM functions (MBEDTLS_GCM_ALT). One-shot calls with a 256-bit AES key, a 12-byte nonce
 * and a full tag, which is every TLS record, run libsodium's AES-256-GCM; everything else (other
 * keys, nonces or tags, streaming, processors without AES instructions) runs upstream's code.
 */
#include <stdint.h>
#include <string.h>
#include <mbedtls/gcm.h>
#include <mbedtls/error.h>
#include <mbedtls/platform.h>
#include <mbedtls/platform_util.h>
#include <sodium.h>

#include "glue.h"
#include "soft.h"

/* SP 800-38D section 5.2.1.1: at most 2^39 - 256 bits of plaintext */
#define GCM_MAX_LENGTH ((UINT64_C(1) << 36) - 32)
/* libsodium's key state wants this alignment, which an allocation hook need not give */
#define STATE_ALIGN 16

int nk_glue_aes256gcm_accelerated(void)
{
    /* before sodium_init() libsodium would answer no, and the slow path would go unnoticed */
    return sodium_init() >= 0 && crypto_aead_aes256gcm_is_available();
}

void mbedtls_gcm_init(mbedtls_gcm_context *ctx)
{
    memset(ctx, 0, sizeof(*ctx));
}

static size_t fast_size(void)
{
    return crypto_aead_aes256gcm_statebytes() + STATE_ALIGN - 1;
}

static crypto_aead_aes256gcm_state *fast_state(const mbedtls_gcm_context *ctx)
{
    uintptr_t address = ((uintptr_t)ctx->fast + STATE_ALIGN - 1) & ~(uintptr_t)(STATE_ALIGN - 1);
    return (crypto_aead_aes256gcm_state *)address;
}

void mbedtls_gcm_free(mbedtls_gcm_context *ctx)
{
    if (!ctx) {
        return;
    }
    if (ctx->fast) {
        sodium_memzero(ctx->fast, fast_size());
        mbedtls_free(ctx->fast);
    }
    nk_soft_gcm_delete(ctx->soft);
    sodium_memzero(ctx, sizeof(*ctx));
}

/* Makes upstream's context for the present key if there is none yet. */
static int need_soft(mbedtls_gcm_context *ctx)
{
    if (ctx->soft) {
        return 0;
    }
    if (ctx->key_bits == 0) {
        return MBEDTLS_ERR_GCM_BAD_INPUT;
    }
    struct nk_soft_gcm_context *soft = nk_soft_gcm_new();
    if (!soft) {
        return MBEDTLS_ERR_CIPHER_ALLOC_FAILED;
    }
    int rc = nk_soft_gcm_set(soft, ctx->cipher, ctx->key, ctx->key_bits);
    if (rc != 0) {
        nk_soft_gcm_delete(soft);
        return rc;
    }
    ctx->soft = soft;
    return 0;
}

int nk_glue_gcm_setkey_soft(mbedtls_gcm_context *ctx, int cipher, const unsigned char *key,
                            unsigned key_bits)
{
    mbedtls_gcm_free(ctx);
    if (key_bits == 0 || key_bits > NK_GCM_KEY_MAX * 8) {
        return MBEDTLS_ERR_GCM_BAD_INPUT;
    }
    ctx->cipher = cipher;
    ctx->key_bits = key_bits;
    memcpy(ctx->key, key, key_bits / 8);
    int rc = need_soft(ctx);
    if (rc != 0) {
        mbedtls_gcm_free(ctx);
    }
    return rc;
}

int mbedtls_gcm_setkey(mbedtls_gcm_context *ctx, mbedtls_cipher_id_t cipher,
                       const unsigned char *key, unsigned int keybits)
{
    if (cipher != MBEDTLS_CIPHER_ID_AES || keybits != crypto_aead_aes256gcm_KEYBYTES * 8 ||
        !nk_glue_aes256gcm_accelerated()) {
        return nk_glue_gcm_setkey_soft(ctx, (int)cipher, key, keybits);
    }
    mbedtls_gcm_free(ctx);
    ctx->fast = mbedtls_calloc(1, fast_size());
    if (!ctx->fast) {
        return MBEDTLS_ERR_CIPHER_ALLOC_FAILED;
    }
    ctx->cipher = (int)cipher;
    ctx->key_bits = keybits;
    memcpy(ctx->key, key, crypto_aead_aes256gcm_KEYBYTES);
    crypto_aead_aes256gcm_beforenm(fast_state(ctx), key);
    return 0;
}

/* libsodium works in place or on separate buffers, not on ones that overlap in part. */
static int overlap_in_part(const unsigned char *a, const unsigned char *b, size_t length)
{
    return a != b && (uintptr_t)a < (uintptr_t)b + length && (uintptr_t)b < (uintptr_t)a + length;
}

static int fast_fits(const mbedtls_gcm_context *ctx, size_t length, size_t iv_len, size_t tag_len,
                     const unsigned char *input, const unsigned char *output)
{
    return ctx->fast && iv_len == crypto_aead_aes256gcm_NPUBBYTES &&
           tag_len == crypto_aead_aes256gcm_ABYTES && length <= GCM_MAX_LENGTH &&
           !overlap_in_part(input, output, length);
}

int mbedtls_gcm_crypt_and_tag(mbedtls_gcm_context *ctx, int mode, size_t length,
                              const unsigned char *iv, size_t iv_len, const unsigned char *add,
                              size_t add_len, const unsigned char *input, unsigned char *output,
                              size_t tag_len, unsigned char *tag)
{
    if (mode == MBEDTLS_GCM_ENCRYPT && fast_fits(ctx, length, iv_len, tag_len, input, output)) {
        return crypto_aead_aes256gcm_encrypt_detached_afternm(output, tag, NULL, input, length, add,
                                                              add_len, NULL, iv, fast_state(ctx))
                   ? MBEDTLS_ERR_GCM_BAD_INPUT
                   : 0;
    }
    int rc = need_soft(ctx);
    return rc ? rc
              : nk_soft_gcm_crypt_and_tag(ctx->soft, mode, length, iv, iv_len, add, add_len, input,
                                          output, tag_len, tag);
}

int mbedtls_gcm_auth_decrypt(mbedtls_gcm_context *ctx, size_t length, const unsigned char *iv,
                             size_t iv_len, const unsigned char *add, size_t add_len,
                             const unsigned char *tag, size_t tag_len, const unsigned char *input,
                             unsigned char *output)
{
    if (!fast_fits(ctx, length, iv_len, tag_len, input, output)) {
        int rc = need_soft(ctx);
        return rc ? rc
                  : nk_soft_gcm_auth_decrypt(ctx->soft, length, iv, iv_len, add, add_len, tag,
                                             tag_len, input, output);
    }
    if (crypto_aead_aes256gcm_decrypt_detached_afternm(output, NULL, input, length, tag, add,
                                                       add_len, iv, fast_state(ctx)) != 0) {
        mbedtls_platform_zeroize(output, length);
        return MBEDTLS_ERR_GCM_AUTH_FAILED;
    }
    return 0;
}

int mbedtls_gcm_starts(mbedtls_gcm_context *ctx, int mode, const unsigned char *iv, size_t iv_len)
{
    int rc = need_soft(ctx);
    return rc ? rc : nk_soft_gcm_starts(ctx->soft, mode, iv, iv_len);
}

int mbedtls_gcm_update_ad(mbedtls_gcm_context *ctx, const unsigned char *add, size_t add_len)
{
    return ctx->soft ? nk_soft_gcm_update_ad(ctx->soft, add, add_len) : MBEDTLS_ERR_GCM_BAD_INPUT;
}

int mbedtls_gcm_update(mbedtls_gcm_context *ctx, const unsigned char *input, size_t input_length,
                       unsigned char *output, size_t output_size, size_t *output_length)
{
    return ctx->soft ? nk_soft_gcm_update(ctx->soft, input, input_length, output, output_size,
                                          output_length)
                     : MBEDTLS_ERR_GCM_BAD_INPUT;
}

int mbedtls_gcm_finish(mbedtls_gcm_context *ctx, unsigned char *output, size_t output_size,
                       size_t *output_length, unsigned char *tag, size_t tag_len)
{
    return ctx->soft
               ? nk_soft_gcm_finish(ctx->soft, output, output_size, output_length, tag, tag_len)
               : MBEDTLS_ERR_GCM_BAD_INPUT;
}
