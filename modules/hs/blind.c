/* SPDX-License-Identifier: MIT */
#include "hs/blind.h"

#include <sodium.h>
#include <string.h>

#define MINUTE 60
#define ROTATION_MINUTES (12 * 60) /* rend-spec-v3 [TIME-PERIODS]: offset of the first period */

/* Ed25519's base point as text (rend-spec-v3 appendix A.2). */
static const char base_point[] =
    "(15112221349535400772501151409588531511454012693041857206046113283949847762202, "
    "46316835694926478169428394003475163141307993866256225615783033603165251855960)";

static void put(crypto_hash_sha3256_state *h, const void *p, size_t n)
{
    (void)crypto_hash_sha3256_update(h, p, n); /* it cannot fail */
}

static void put_text(crypto_hash_sha3256_state *h, const char *text)
{
    put(h, text, strlen(text));
}

static void put_number(crypto_hash_sha3256_state *h, uint64_t n)
{
    uint8_t b[8];
    for (unsigned i = 0; i < sizeof(b); i++) {
        b[i] = (uint8_t)(n >> (8 * (sizeof(b) - 1 - i)));
    }
    put(h, b, sizeof(b));
}

int hs_period_at(struct hs_period *out, int64_t unix_s, uint32_t minutes)
{
    const int64_t since = unix_s / MINUTE - ROTATION_MINUTES;
    if (unix_s < 0 || since < 0) {
        return NK_EUSAGE;
    }
    *out = (struct hs_period){.number = (uint64_t)since / minutes, .minutes = minutes};
    return 0;
}

int64_t hs_period_begin(const struct hs_period *p)
{
    return ((int64_t)p->number * p->minutes + ROTATION_MINUTES) * MINUTE;
}

/* The blinding factor, clamped ([KEYBLIND]: h, with a secret that is empty today). */
static void factor(uint8_t out[HS_SCALAR], const uint8_t pub[HS_PUBLIC_KEY],
                   const struct hs_period *p)
{
    static const char begin[] = "Derive temporary signing key"; /* with its NUL */
    crypto_hash_sha3256_state h;
    (void)crypto_hash_sha3256_init(&h);
    put(&h, begin, sizeof(begin));
    put(&h, pub, HS_PUBLIC_KEY);
    put_text(&h, base_point);
    put_text(&h, "key-blind");
    put_number(&h, p->number);
    put_number(&h, p->minutes);
    (void)crypto_hash_sha3256_final(&h, out);
    out[0] &= 0xf8;
    out[HS_SCALAR - 1] &= 0x3f;
    out[HS_SCALAR - 1] |= 0x40;
}

/* [SUBCRED] */
static void subcredential(struct hs_blinded *b, const uint8_t pub[HS_PUBLIC_KEY])
{
    uint8_t credential[HS_DIGEST];
    crypto_hash_sha3256_state h;
    (void)crypto_hash_sha3256_init(&h);
    put_text(&h, "credential");
    put(&h, pub, HS_PUBLIC_KEY);
    (void)crypto_hash_sha3256_final(&h, credential);
    (void)crypto_hash_sha3256_init(&h);
    put_text(&h, "subcredential");
    put(&h, credential, sizeof(credential));
    put(&h, b->pub, sizeof(b->pub));
    (void)crypto_hash_sha3256_final(&h, b->subcredential);
}

/* [WHERE-HSDESC]: hs_index */
static void descriptor_index(struct hs_blinded *b, unsigned replica, const struct hs_period *p)
{
    crypto_hash_sha3256_state h;
    (void)crypto_hash_sha3256_init(&h);
    put_text(&h, "store-at-idx");
    put(&h, b->pub, sizeof(b->pub));
    put_number(&h, replica);
    put_number(&h, p->minutes);
    put_number(&h, p->number);
    (void)crypto_hash_sha3256_final(&h, b->index[replica - 1]);
}

int hs_blind(struct hs_blinded *out, const uint8_t pub[HS_PUBLIC_KEY], const struct hs_period *p)
{
    struct hs_blinded b;
    uint8_t scalar[HS_SCALAR];
    factor(scalar, pub, p);
    if (crypto_scalarmult_ed25519(b.pub, scalar, pub) != 0) {
        return NK_EFORMAT;
    }
    subcredential(&b, pub);
    for (unsigned i = 1; i <= HS_REPLICAS; i++) {
        descriptor_index(&b, i, p);
    }
    *out = b;
    return 0;
}

static void reduce(uint8_t out[HS_SCALAR], const uint8_t in[HS_SCALAR])
{
    uint8_t wide[crypto_core_ed25519_NONREDUCEDSCALARBYTES] = {0};
    memcpy(wide, in, HS_SCALAR);
    crypto_core_ed25519_scalar_reduce(out, wide);
    sodium_memzero(wide, sizeof(wide));
}

int hs_blind_secret(struct hs_identity *out, const struct hs_identity *k, const struct hs_period *p)
{
    static const char begin[] = "Derive temporary signing key hash input";
    uint8_t scalar[HS_SCALAR], a[HS_SCALAR], expanded[HS_EXPANDED];
    uint8_t hash[crypto_hash_sha512_BYTES];
    crypto_hash_sha512_state h;
    factor(scalar, k->pub, p);
    reduce(scalar, scalar);
    reduce(a, k->secret);
    crypto_core_ed25519_scalar_mul(expanded, a, scalar);
    (void)crypto_hash_sha512_init(&h);
    (void)crypto_hash_sha512_update(&h, (const uint8_t *)begin, sizeof(begin) - 1);
    (void)crypto_hash_sha512_update(&h, k->secret + HS_SCALAR, HS_EXPANDED - HS_SCALAR);
    (void)crypto_hash_sha512_final(&h, hash);
    memcpy(expanded + HS_SCALAR, hash, HS_EXPANDED - HS_SCALAR);
    int rc = hs_identity_from_expanded(out, expanded, NULL);
    sodium_memzero(a, sizeof(a));
    sodium_memzero(expanded, sizeof(expanded));
    sodium_memzero(hash, sizeof(hash));
    sodium_memzero(&h, sizeof(h));
    return rc;
}
