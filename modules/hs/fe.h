/* SPDX-License-Identifier: MIT */
/*
 * fe - numbers modulo p = 2^255 - 19, the field of Curve25519 and Ed25519 (RFC 7748 §4.1).
 *
 * Five limbs in radix 2^51. Limbs may be larger than 51 bits between operations: every function
 * says what it takes and gives. "Reduced" means every limb below 2^52, which is what hs_fe_mul,
 * hs_fe_sq and hs_fe_carry give; the value may still be p or more.
 *
 * Not in constant time where it says so, and nothing here wipes: this is for the search of vanity
 * addresses, whose result libsodium computes once more.
 */
#ifndef NK_HS_FE_H
#define NK_HS_FE_H

#include <stdbool.h>
#include <stdint.h>

#define HS_FE_BYTES 32
#define HS_FE_BITS 51
#define HS_FE_MASK (((uint64_t)1 << HS_FE_BITS) - 1)

/* The limbs of 2p: what hs_fe_sub adds so that no limb becomes negative. */
#define HS_FE_2P_0 (2 * (HS_FE_MASK - 18))
#define HS_FE_2P_1 (2 * HS_FE_MASK)

__extension__ typedef unsigned __int128 hs_u128;

struct hs_fe {
    uint64_t v[5];
};

#define HS_FE_ZERO                                                                                 \
    {                                                                                              \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define HS_FE_ONE                                                                                  \
    {                                                                                              \
        {                                                                                          \
            1                                                                                      \
        }                                                                                          \
    }

/* hs_fe_from_bytes - little endian; the top bit is ignored, values of p and more are taken as they
 * are (RFC 7748 §5). Limbs below 2^51. */
void hs_fe_from_bytes(struct hs_fe *out, const uint8_t in[HS_FE_BYTES]);

/* hs_fe_to_bytes - the one number below p, little endian. Limbs of `a` below 2^63. */
void hs_fe_to_bytes(uint8_t out[HS_FE_BYTES], const struct hs_fe *a);

/* hs_fe_canonical - the one number below p, limbs below 2^51. Limbs of `a` below 2^63. */
void hs_fe_canonical(struct hs_fe *out, const struct hs_fe *a);

/* hs_fe_invert - 1/a, and 0 for 0. Limbs of `a` below 2^54; the result is reduced. */
void hs_fe_invert(struct hs_fe *out, const struct hs_fe *a);

/* hs_fe_sqrt_ratio - x with v·x² = u, of the two the even one (RFC 8032 §5.1.3); false when there
 * is none, then out is untouched. u and v reduced, v not 0; not in constant time. */
bool hs_fe_sqrt_ratio(struct hs_fe *out, const struct hs_fe *u, const struct hs_fe *v);

/* hs_fe_equal - as numbers modulo p; not in constant time. Limbs below 2^63. */
bool hs_fe_equal(const struct hs_fe *a, const struct hs_fe *b);

/* hs_fe_add - limbs are added: no carry. */
static inline void hs_fe_add(struct hs_fe *out, const struct hs_fe *a, const struct hs_fe *b)
{
    out->v[0] = a->v[0] + b->v[0];
    out->v[1] = a->v[1] + b->v[1];
    out->v[2] = a->v[2] + b->v[2];
    out->v[3] = a->v[3] + b->v[3];
    out->v[4] = a->v[4] + b->v[4];
}

/* hs_fe_sub - a - b + 2p. The limbs of b must not be above those of 2p (b reduced and carried). */
static inline void hs_fe_sub(struct hs_fe *out, const struct hs_fe *a, const struct hs_fe *b)
{
    out->v[0] = a->v[0] + HS_FE_2P_0 - b->v[0];
    out->v[1] = a->v[1] + HS_FE_2P_1 - b->v[1];
    out->v[2] = a->v[2] + HS_FE_2P_1 - b->v[2];
    out->v[3] = a->v[3] + HS_FE_2P_1 - b->v[3];
    out->v[4] = a->v[4] + HS_FE_2P_1 - b->v[4];
}

/* hs_fe_carry - the same number, reduced: limbs of at most 51 bits but the second, which may be a
 * little above. Limbs below 2^63. */
static inline void hs_fe_carry(struct hs_fe *out, const struct hs_fe *a)
{
    uint64_t a0 = a->v[0], a1 = a->v[1], a2 = a->v[2], a3 = a->v[3], a4 = a->v[4];
    a1 += a0 >> HS_FE_BITS;
    a2 += a1 >> HS_FE_BITS;
    a3 += a2 >> HS_FE_BITS;
    a4 += a3 >> HS_FE_BITS;
    a0 = (a0 & HS_FE_MASK) + 19 * (a4 >> HS_FE_BITS);
    out->v[0] = a0 & HS_FE_MASK;
    out->v[1] = (a1 & HS_FE_MASK) + (a0 >> HS_FE_BITS);
    out->v[2] = a2 & HS_FE_MASK;
    out->v[3] = a3 & HS_FE_MASK;
    out->v[4] = a4 & HS_FE_MASK;
}

/* hs_fe_mul - limbs of both below 2^54 (then no sum passes 2^115 and no carry 2^64). out may be a
 * or b. The result is reduced as hs_fe_carry gives it. */
void hs_fe_mul(struct hs_fe *out, const struct hs_fe *a, const struct hs_fe *b);

/* hs_fe_mul_inline - the same where the call would count: in the innermost loops. */
static inline __attribute__((always_inline)) void
hs_fe_mul_inline(struct hs_fe *out, const struct hs_fe *a, const struct hs_fe *b)
{
    const uint64_t a0 = a->v[0], a1 = a->v[1], a2 = a->v[2], a3 = a->v[3], a4 = a->v[4];
    const uint64_t b0 = b->v[0], b1 = b->v[1], b2 = b->v[2], b3 = b->v[3], b4 = b->v[4];
    const uint64_t b1w = 19 * b1, b2w = 19 * b2, b3w = 19 * b3, b4w = 19 * b4; /* 2^255 = 19 */
    hs_u128 r0 = (hs_u128)a0 * b0 + (hs_u128)a1 * b4w + (hs_u128)a2 * b3w + (hs_u128)a3 * b2w +
                 (hs_u128)a4 * b1w;
    hs_u128 r1 = (hs_u128)a0 * b1 + (hs_u128)a1 * b0 + (hs_u128)a2 * b4w + (hs_u128)a3 * b3w +
                 (hs_u128)a4 * b2w;
    hs_u128 r2 = (hs_u128)a0 * b2 + (hs_u128)a1 * b1 + (hs_u128)a2 * b0 + (hs_u128)a3 * b4w +
                 (hs_u128)a4 * b3w;
    hs_u128 r3 = (hs_u128)a0 * b3 + (hs_u128)a1 * b2 + (hs_u128)a2 * b1 + (hs_u128)a3 * b0 +
                 (hs_u128)a4 * b4w;
    hs_u128 r4 = (hs_u128)a0 * b4 + (hs_u128)a1 * b3 + (hs_u128)a2 * b2 + (hs_u128)a3 * b1 +
                 (hs_u128)a4 * b0;
    r1 += (uint64_t)(r0 >> HS_FE_BITS);
    r2 += (uint64_t)(r1 >> HS_FE_BITS);
    r3 += (uint64_t)(r2 >> HS_FE_BITS);
    r4 += (uint64_t)(r3 >> HS_FE_BITS);
    uint64_t low = ((uint64_t)r0 & HS_FE_MASK) + 19 * (uint64_t)(r4 >> HS_FE_BITS);
    out->v[0] = low & HS_FE_MASK;
    out->v[1] = ((uint64_t)r1 & HS_FE_MASK) + (low >> HS_FE_BITS);
    out->v[2] = (uint64_t)r2 & HS_FE_MASK;
    out->v[3] = (uint64_t)r3 & HS_FE_MASK;
    out->v[4] = (uint64_t)r4 & HS_FE_MASK;
}

/* hs_fe_sq - a²; as hs_fe_mul. */
static inline void hs_fe_sq(struct hs_fe *out, const struct hs_fe *a)
{
    hs_fe_mul(out, a, a);
}

#endif
