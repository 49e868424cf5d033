/* SPDX-License-Identifier: MIT */
/*
 * The search with AVX-512 IFMA: eight numbers side by side, in the same five limbs of radix 2^51.
 * vpmadd52 multiplies the low 52 bits of its operands and adds the low or the high 52 bits of the
 * product, so all limbs that are multiplied must be below 2^52.
 */
#include "hs/vanity_kernel.h"

#ifdef __x86_64__

#include <cpuid.h>
#include <immintrin.h>
#include <sodium.h>
#include <string.h>

#define CPUID_FEATURES 7 /* the leaf of extended features */
#define LANES 8u
#define GROUPS 2u
#define IFMA __attribute__((target("avx512f,avx512ifma")))
#define LANE_FN static IFMA
#define LANE_INLINE static inline __attribute__((always_inline)) IFMA

struct lane {
    __m512i v[5];
};

LANE_INLINE __m512i set1(uint64_t x)
{
    return _mm512_set1_epi64((long long)x);
}

LANE_INLINE __m512i add(__m512i a, __m512i b)
{
    return _mm512_add_epi64(a, b);
}

/* 19·x, for x below 2^59 */
LANE_INLINE __m512i times19(__m512i x)
{
    return add(add(x, _mm512_slli_epi64(x, 1)), _mm512_slli_epi64(x, 4));
}

/* o = the five sums, carried once, all limbs at the same time: below 2^61 they become less than
 * 2^51 + 19·2^10. */
LANE_INLINE void carry5(struct lane *o, __m512i z0, __m512i z1, __m512i z2, __m512i z3, __m512i z4)
{
    const __m512i mask = set1(HS_FE_MASK);
    const __m512i c4 = times19(_mm512_srli_epi64(z4, HS_FE_BITS));
    const __m512i c0 = _mm512_srli_epi64(z0, HS_FE_BITS), c1 = _mm512_srli_epi64(z1, HS_FE_BITS);
    const __m512i c2 = _mm512_srli_epi64(z2, HS_FE_BITS), c3 = _mm512_srli_epi64(z3, HS_FE_BITS);
    o->v[0] = add(_mm512_and_si512(z0, mask), c4);
    o->v[1] = add(_mm512_and_si512(z1, mask), c0);
    o->v[2] = add(_mm512_and_si512(z2, mask), c1);
    o->v[3] = add(_mm512_and_si512(z3, mask), c2);
    o->v[4] = add(_mm512_and_si512(z4, mask), c3);
}

#define LO(acc, x, y) _mm512_madd52lo_epu64(acc, x, y)
#define HI(acc, x, y) _mm512_madd52hi_epu64(acc, x, y)

/*
 * Column k of the product has the low halves of a_i·b_(k-i) and twice the high halves of
 * a_i·b_(k-1-i): 2^52 is two units of the next limb. At most ten halves below 2^52, five of them
 * twice: below 2^56; with 19 times the column above it (2^255 = 19) below 2^61.
 */
LANE_INLINE void mul5(struct lane *o, const struct lane *a, __m512i b0, __m512i b1, __m512i b2,
                      __m512i b3, __m512i b4)
{
    const __m512i a0 = a->v[0], a1 = a->v[1], a2 = a->v[2], a3 = a->v[3], a4 = a->v[4];
    const __m512i zero = _mm512_setzero_si512();
    __m512i h, z0, z1, z2, z3, z4, z5, z6, z7, z8, z9;
    z0 = LO(zero, a0, b0);
    h = HI(zero, a0, b0);
    z1 = LO(LO(add(h, h), a0, b1), a1, b0);
    h = HI(HI(zero, a0, b1), a1, b0);
    z2 = LO(LO(LO(add(h, h), a0, b2), a1, b1), a2, b0);
    h = HI(HI(HI(zero, a0, b2), a1, b1), a2, b0);
    z3 = LO(LO(LO(LO(add(h, h), a0, b3), a1, b2), a2, b1), a3, b0);
    h = HI(HI(HI(HI(zero, a0, b3), a1, b2), a2, b1), a3, b0);
    z4 = LO(LO(LO(LO(LO(add(h, h), a0, b4), a1, b3), a2, b2), a3, b1), a4, b0);
    h = HI(HI(HI(HI(HI(zero, a0, b4), a1, b3), a2, b2), a3, b1), a4, b0);
    z5 = LO(LO(LO(LO(add(h, h), a1, b4), a2, b3), a3, b2), a4, b1);
    h = HI(HI(HI(HI(zero, a1, b4), a2, b3), a3, b2), a4, b1);
    z6 = LO(LO(LO(add(h, h), a2, b4), a3, b3), a4, b2);
    h = HI(HI(HI(zero, a2, b4), a3, b3), a4, b2);
    z7 = LO(LO(add(h, h), a3, b4), a4, b3);
    h = HI(HI(zero, a3, b4), a4, b3);
    z8 = LO(add(h, h), a4, b4);
    h = HI(zero, a4, b4);
    z9 = add(h, h);
    carry5(o, add(z0, times19(z5)), add(z1, times19(z6)), add(z2, times19(z7)),
           add(z3, times19(z8)), add(z4, times19(z9)));
}

LANE_INLINE void lane_mul(struct lane *o, const struct lane *a, const struct lane *b)
{
    mul5(o, a, b->v[0], b->v[1], b->v[2], b->v[3], b->v[4]);
}

LANE_INLINE void lane_mul1(struct lane *o, const struct lane *a, const struct hs_fe *b)
{
    mul5(o, a, set1(b->v[0]), set1(b->v[1]), set1(b->v[2]), set1(b->v[3]), set1(b->v[4]));
}

LANE_INLINE void lane_add(struct lane *o, const struct lane *a, const struct lane *b)
{
    for (unsigned i = 0; i < 5; i++) {
        o->v[i] = add(a->v[i], b->v[i]);
    }
}

LANE_INLINE void lane_add1(struct lane *o, const struct lane *a, const struct hs_fe *b)
{
    o->v[0] = add(a->v[0], set1(b->v[0]));
    o->v[1] = add(a->v[1], set1(b->v[1]));
    o->v[2] = add(a->v[2], set1(b->v[2]));
    o->v[3] = add(a->v[3], set1(b->v[3]));
    o->v[4] = add(a->v[4], set1(b->v[4]));
}

LANE_INLINE void lane_sub(struct lane *o, const struct lane *a, const struct lane *b)
{
    o->v[0] = _mm512_sub_epi64(add(a->v[0], set1(HS_FE_2P_0)), b->v[0]);
    for (unsigned i = 1; i < 5; i++) {
        o->v[i] = _mm512_sub_epi64(add(a->v[i], set1(HS_FE_2P_1)), b->v[i]);
    }
}

/* After sums and differences of two: twice, so that no limb is above 2^51. */
LANE_INLINE void lane_carry(struct lane *a)
{
    carry5(a, a->v[0], a->v[1], a->v[2], a->v[3], a->v[4]);
    carry5(a, a->v[0], a->v[1], a->v[2], a->v[3], a->v[4]);
}

LANE_INLINE void lane_set1(struct lane *o, const struct hs_fe *b)
{
    for (unsigned i = 0; i < 5; i++) {
        o->v[i] = set1(b->v[i]);
    }
}

static void lane_put(struct lane *o, unsigned i, const struct hs_fe *b)
{
    struct hs_fe n;
    hs_fe_carry(&n, b);
    for (unsigned k = 0; k < 5; k++) {
        memcpy((char *)&o->v[k] + i * sizeof(uint64_t), &n.v[k], sizeof(uint64_t));
    }
}

static void lane_get(struct hs_fe *b, const struct lane *o, unsigned i)
{
    for (unsigned k = 0; k < 5; k++) {
        memcpy(&b->v[k], (const char *)&o->v[k] + i * sizeof(uint64_t), sizeof(uint64_t));
    }
}

/* As in vanity_portable.c. */
LANE_INLINE unsigned lane_maybe(const struct hs_vanity_filter *f, const struct lane *s,
                                const struct lane *d, int sign)
{
    __m512i v[5];
    for (unsigned i = 0; i < 5; i++) {
        v[i] = sign > 0 ? add(s->v[i], d->v[i]) : _mm512_sub_epi64(s->v[i], d->v[i]);
    }
    const __m512i over =
        _mm512_srai_epi64(add(v[4], _mm512_srai_epi64(v[3], HS_FE_BITS)), HS_FE_BITS);
    const __m512i low = add(add(v[0], _mm512_slli_epi64(v[1], HS_FE_BITS)), times19(over));
    if (f->single) {
        return _mm512_cmpeq_epi64_mask(_mm512_and_si512(low, set1(f->mask)), set1(f->value));
    }
    const __m512i word =
        _mm512_srli_epi64(_mm512_and_si512(low, set1((1u << HS_VANITY_MAP_BITS) - 1)), 5);
    const __m256i map = _mm512_i64gather_epi32(word, (const int *)f->map, sizeof(f->map[0]));
    const __m512i bit = _mm512_and_si512(low, set1(31));
    return _mm512_test_epi64_mask(_mm512_srlv_epi64(_mm512_cvtepu32_epi64(map), bit), set1(1));
}

#include "hs/vanity_block.h"

static bool usable(void)
{
    unsigned a, b = 0, c, d;
    return sodium_runtime_has_avx512f() && __get_cpuid_count(CPUID_FEATURES, 0, &a, &b, &c, &d) &&
           (b & bit_AVX512IFMA);
}

const struct hs_vanity_kernel hs_vanity_ifma = {
    .name = "avx512-ifma",
    .centres = LANES * GROUPS,
    .state_size = (sizeof(struct state) + HS_VANITY_ALIGN - 1) & ~((size_t)HS_VANITY_ALIGN - 1),
    .usable = usable,
    .set = set_centre,
    .block = search_block,
};

#endif
