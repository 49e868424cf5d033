/* SPDX-License-Identifier: MIT */
#include "hs/key.h"

#include <sodium.h>
#include <string.h>

#include "base/codec.h"
#include "base/onion.h"
#include "base/secret.h"

enum {
    CLAMP_LOW = 0xf8,      /* RFC 8032 5.1.5, RFC 7748 5: bits that a clamped scalar keeps, */
    CLAMP_HIGH = 0x7f,     /* of its first and its last byte, */
    CLAMP_SET = 0x40,      /* and the one that it has set */
    FINGERPRINT_BYTES = 5, /* 40 bits: eight characters */
};

static void clamp(uint8_t scalar[HS_SCALAR])
{
    scalar[0] &= CLAMP_LOW;
    scalar[HS_SCALAR - 1] &= CLAMP_HIGH;
    scalar[HS_SCALAR - 1] |= CLAMP_SET;
}

static void reduce(uint8_t out[HS_SCALAR], const uint8_t scalar[HS_SCALAR])
{
    uint8_t wide[crypto_core_ed25519_NONREDUCEDSCALARBYTES] = {0};
    memcpy(wide, scalar, HS_SCALAR);
    crypto_core_ed25519_scalar_reduce(out, wide);
    nk_wipe(wide, sizeof(wide));
}

/* --- identities ------------------------------------------------------------------------------- */

int hs_identity_new(struct hs_identity *k)
{
    uint8_t seed[HS_SEED];
    nk_random(seed, sizeof(seed));
    int rc = hs_identity_from_seed(k, seed);
    nk_wipe(seed, sizeof(seed));
    return rc;
}

int hs_identity_from_seed(struct hs_identity *k, const uint8_t seed[HS_SEED])
{
    uint8_t expanded[HS_EXPANDED];
    struct hs_identity v;
    crypto_hash_sha512(expanded, seed, HS_SEED);
    clamp(expanded);
    int rc = hs_identity_from_expanded(&v, expanded, NULL);
    nk_wipe(expanded, sizeof(expanded));
    if (rc < 0) {
        return NK_EINTERNAL;
    }
    memcpy(v.seed, seed, HS_SEED);
    v.has_seed = true;
    *k = v; /* in one go: seed may lie in *k */
    nk_wipe(&v, sizeof(v));
    return 0;
}

int hs_identity_from_expanded(struct hs_identity *k, const uint8_t expanded[HS_EXPANDED],
                              struct nk_diag *diag)
{
    uint8_t scalar[HS_SCALAR], pub[HS_PUBLIC_KEY];
    reduce(scalar, expanded); /* libsodium drops bit 255 and wants no more than the order */
    int rc = crypto_scalarmult_ed25519_base_noclamp(pub, scalar);
    nk_wipe(scalar, sizeof(scalar));
    if (rc != 0) {
        return nk_fail(diag, NK_EFORMAT,
                       "the secret scalar is zero, or a multiple of the group's order: no key");
    }
    struct hs_identity v = {.has_secret = true}; /* expanded may lie in *k */
    memcpy(v.pub, pub, sizeof(v.pub));
    memcpy(v.secret, expanded, HS_EXPANDED);
    *k = v;
    nk_wipe(&v, sizeof(v));
    return 0;
}

int hs_identity_from_public(struct hs_identity *k, const uint8_t pub[HS_PUBLIC_KEY],
                            struct nk_diag *diag)
{
    int rc = nk_onion_key_check(pub, diag);
    if (rc < 0) {
        return rc;
    }
    struct hs_identity v = {0}; /* pub may lie in *k */
    memcpy(v.pub, pub, HS_PUBLIC_KEY);
    *k = v;
    return 0;
}

void hs_identity_reduced(uint8_t out[HS_EXPANDED], const struct hs_identity *k)
{
    reduce(out, k->secret);
    memcpy(out + HS_SCALAR, k->secret + HS_SCALAR, HS_EXPANDED - HS_SCALAR);
}

bool hs_identity_is_clamped(const struct hs_identity *k)
{
    const uint8_t first = k->secret[0], last = k->secret[HS_SCALAR - 1];
    return (first & ~CLAMP_LOW) == 0 && (last & ~CLAMP_HIGH) == 0 && (last & CLAMP_SET) != 0;
}

bool hs_identity_same(const struct hs_identity *a, const struct hs_identity *b)
{
    return memcmp(a->pub, b->pub, HS_PUBLIC_KEY) == 0;
}

void hs_identity_wipe(struct hs_identity *k)
{
    nk_wipe(k, sizeof(*k));
}

/* --- clients ---------------------------------------------------------------------------------- */

int hs_client_new(struct hs_client *k)
{
    uint8_t secret[HS_CLIENT_SECRET];
    nk_random(secret, sizeof(secret));
    clamp(secret);
    int rc = hs_client_from_secret(k, secret, NULL);
    nk_wipe(secret, sizeof(secret));
    return rc < 0 ? NK_EINTERNAL : 0;
}

int hs_client_from_secret(struct hs_client *k, const uint8_t secret[HS_CLIENT_SECRET],
                          struct nk_diag *diag)
{
    uint8_t used[HS_CLIENT_SECRET], pub[HS_PUBLIC_KEY];
    memcpy(used, secret, sizeof(used));
    used[0] &= CLAMP_LOW; /* leaves the bits that clamping neither clears nor sets */
    used[HS_CLIENT_SECRET - 1] &= CLAMP_HIGH & ~CLAMP_SET;
    bool zero = sodium_is_zero(used, sizeof(used)) != 0;
    nk_wipe(used, sizeof(used));
    if (zero || crypto_scalarmult_curve25519_base(pub, secret) != 0) {
        return nk_fail(diag, NK_EFORMAT, "the X25519 private key is zero");
    }
    struct hs_client v = {.has_secret = true}; /* secret may lie in *k */
    memcpy(v.pub, pub, sizeof(v.pub));
    memcpy(v.secret, secret, HS_CLIENT_SECRET);
    *k = v;
    nk_wipe(&v, sizeof(v));
    return 0;
}

/* Little endian, below 2^255 - 19? */
static bool canonical(const uint8_t u[HS_PUBLIC_KEY])
{
    static const uint8_t lowest = 0xed; /* of the prime's first byte; the others are ff .. ff 7f */
    if (u[HS_PUBLIC_KEY - 1] > CLAMP_HIGH) {
        return false;
    }
    bool high = u[HS_PUBLIC_KEY - 1] == CLAMP_HIGH;
    for (int i = 1; i < HS_PUBLIC_KEY - 1; i++) {
        high = high && u[i] == 0xff;
    }
    return !high || u[0] < lowest;
}

int hs_client_from_public(struct hs_client *k, const uint8_t pub[HS_PUBLIC_KEY],
                          struct nk_diag *diag)
{
    uint8_t any[HS_CLIENT_SECRET] = {1}, shared[crypto_scalarmult_curve25519_BYTES];
    if (sodium_is_zero(pub, HS_PUBLIC_KEY)) {
        return nk_fail(diag, NK_EFORMAT,
                       "the X25519 public key is zero: everybody could use such an authorization");
    }
    if (!canonical(pub)) {
        return nk_fail(diag, NK_EFORMAT,
                       "the X25519 public key is not canonical (not below 2^255 - 19)");
    }
    /* Every clamped scalar is a multiple of 8, the cofactor: one multiplication tells. */
    if (crypto_scalarmult_curve25519(shared, any, pub) != 0) {
        return nk_fail(diag, NK_EFORMAT,
                       "the X25519 public key is a point of small order: everybody could use such "
                       "an authorization");
    }
    struct hs_client v = {0}; /* pub may lie in *k */
    memcpy(v.pub, pub, HS_PUBLIC_KEY);
    *k = v;
    return 0;
}

bool hs_client_same(const struct hs_client *a, const struct hs_client *b)
{
    return memcmp(a->pub, b->pub, HS_PUBLIC_KEY) == 0;
}

void hs_client_fingerprint(char out[HS_FINGERPRINT_SIZE], const uint8_t pub[HS_PUBLIC_KEY])
{
    uint8_t hash[crypto_hash_sha3256_BYTES];
    crypto_hash_sha3256(hash, pub, HS_PUBLIC_KEY);
    nk_base32_encode(out, hash, FINGERPRINT_BYTES);
}

void hs_client_wipe(struct hs_client *k)
{
    nk_wipe(k, sizeof(*k));
}
