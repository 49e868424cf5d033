/* SPDX-License-Identifier: MIT */
/*
 * mbedTLS's SHA-2 functions (MBEDTLS_SHA256_ALT, MBEDTLS_SHA512_ALT) are libsodium's, so that the
 * program has them once. SHA-224 and SHA-384 are SHA-256 and SHA-512 with other values to start
 * from and a shorter end (FIPS 180-4 sections 5.3.2, 5.3.4, 6.3 and 6.5).
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>
#include <mbedtls/sha256.h>
#include <mbedtls/sha512.h>
#include <sodium.h>

#define SHA224_BYTES 28
#define SHA384_BYTES 48

static const uint32_t sha224_start[8] = {0xc1059ed8, 0x367cd507, 0x3070dd17, 0xf70e5939,
                                         0xffc00b31, 0x68581511, 0x64f98fa7, 0xbefa4fa4};

static const uint64_t sha384_start[8] = {0xcbbb9d5dc1059ed8, 0x629a292a367cd507, 0x9159015a3070dd17,
                                         0x152fecd8f70e5939, 0x67332667ffc00b31, 0x8eb44a8768581511,
                                         0xdb0c2e0d64f98fa7, 0x47b5481dbefa4fa4};

static crypto_hash_sha256_state *state256(mbedtls_sha256_context *ctx)
{
    static_assert(sizeof(crypto_hash_sha256_state) <= sizeof ctx->state, "sha256_alt.h");
    return (crypto_hash_sha256_state *)ctx->state;
}

static crypto_hash_sha512_state *state512(mbedtls_sha512_context *ctx)
{
    static_assert(sizeof(crypto_hash_sha512_state) <= sizeof ctx->state, "sha512_alt.h");
    return (crypto_hash_sha512_state *)ctx->state;
}

void mbedtls_sha256_init(mbedtls_sha256_context *ctx)
{
    memset(ctx, 0, sizeof(*ctx));
}

void mbedtls_sha512_init(mbedtls_sha512_context *ctx)
{
    memset(ctx, 0, sizeof(*ctx));
}

void mbedtls_sha256_free(mbedtls_sha256_context *ctx)
{
    if (ctx) {
        sodium_memzero(ctx, sizeof(*ctx));
    }
}

void mbedtls_sha512_free(mbedtls_sha512_context *ctx)
{
    if (ctx) {
        sodium_memzero(ctx, sizeof(*ctx));
    }
}

void mbedtls_sha256_clone(mbedtls_sha256_context *dst, const mbedtls_sha256_context *src)
{
    *dst = *src;
}

void mbedtls_sha512_clone(mbedtls_sha512_context *dst, const mbedtls_sha512_context *src)
{
    *dst = *src;
}

int mbedtls_sha256_starts(mbedtls_sha256_context *ctx, int is224)
{
    if (is224 != 0 && is224 != 1) {
        return MBEDTLS_ERR_SHA256_BAD_INPUT_DATA;
    }
    ctx->is224 = is224;
    int rc = crypto_hash_sha256_init(state256(ctx));
    if (is224) {
        memcpy(state256(ctx)->state, sha224_start, sizeof sha224_start);
    }
    return rc;
}

int mbedtls_sha512_starts(mbedtls_sha512_context *ctx, int is384)
{
    if (is384 != 0 && is384 != 1) {
        return MBEDTLS_ERR_SHA512_BAD_INPUT_DATA;
    }
    ctx->is384 = is384;
    int rc = crypto_hash_sha512_init(state512(ctx));
    if (is384) {
        memcpy(state512(ctx)->state, sha384_start, sizeof sha384_start);
    }
    return rc;
}

int mbedtls_sha256_update(mbedtls_sha256_context *ctx, const unsigned char *input, size_t ilen)
{
    return crypto_hash_sha256_update(state256(ctx), input, ilen);
}

int mbedtls_sha512_update(mbedtls_sha512_context *ctx, const unsigned char *input, size_t ilen)
{
    return crypto_hash_sha512_update(state512(ctx), input, ilen);
}

int mbedtls_sha256_finish(mbedtls_sha256_context *ctx, unsigned char *output)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    int rc = crypto_hash_sha256_final(state256(ctx), hash);
    memcpy(output, hash, ctx->is224 ? SHA224_BYTES : sizeof hash);
    sodium_memzero(hash, sizeof hash);
    return rc;
}

int mbedtls_sha512_finish(mbedtls_sha512_context *ctx, unsigned char *output)
{
    unsigned char hash[crypto_hash_sha512_BYTES];
    int rc = crypto_hash_sha512_final(state512(ctx), hash);
    memcpy(output, hash, ctx->is384 ? SHA384_BYTES : sizeof hash);
    sodium_memzero(hash, sizeof hash);
    return rc;
}
