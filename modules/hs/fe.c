/* SPDX-License-Identifier: MIT */
#include "hs/fe.h"

#include <string.h>

static uint64_t load64(const uint8_t *p)
{
    uint64_t x = 0;
    for (unsigned i = 0; i < 8; i++) {
        x |= (uint64_t)p[i] << (8 * i);
    }
    return x;
}

static void store64(uint8_t *p, uint64_t x)
{
    for (unsigned i = 0; i < 8; i++) {
        p[i] = (uint8_t)(x >> (8 * i));
    }
}

void hs_fe_from_bytes(struct hs_fe *out, const uint8_t in[HS_FE_BYTES])
{
    const uint64_t w0 = load64(in), w1 = load64(in + 8), w2 = load64(in + 16), w3 = load64(in + 24);
    out->v[0] = w0 & HS_FE_MASK;
    out->v[1] = (w0 >> 51 | w1 << 13) & HS_FE_MASK;
    out->v[2] = (w1 >> 38 | w2 << 26) & HS_FE_MASK;
    out->v[3] = (w2 >> 25 | w3 << 39) & HS_FE_MASK;
    out->v[4] = w3 >> 12 & HS_FE_MASK;
}

void hs_fe_canonical(struct hs_fe *out, const struct hs_fe *a)
{
    struct hs_fe t;
    hs_fe_carry(&t, a);
    hs_fe_carry(&t, &t);
    /* now below 2^255 + 2^52, so at most one p is too much: is t + 19 >= 2^255? */
    uint64_t over = (t.v[0] + 19) >> HS_FE_BITS;
    for (unsigned i = 1; i < 5; i++) {
        over = (t.v[i] + over) >> HS_FE_BITS;
    }
    t.v[0] += 19 * over;
    for (unsigned i = 0; i < 4; i++) {
        t.v[i + 1] += t.v[i] >> HS_FE_BITS;
        t.v[i] &= HS_FE_MASK;
    }
    t.v[4] &= HS_FE_MASK; /* takes the 2^255 away */
    *out = t;
}

void hs_fe_to_bytes(uint8_t out[HS_FE_BYTES], const struct hs_fe *a)
{
    struct hs_fe t;
    hs_fe_canonical(&t, a);
    store64(out, t.v[0] | t.v[1] << 51);
    store64(out + 8, t.v[1] >> 13 | t.v[2] << 38);
    store64(out + 16, t.v[2] >> 26 | t.v[3] << 25);
    store64(out + 24, t.v[3] >> 39 | t.v[4] << 12);
}

bool hs_fe_equal(const struct hs_fe *a, const struct hs_fe *b)
{
    struct hs_fe x, y;
    hs_fe_canonical(&x, a);
    hs_fe_canonical(&y, b);
    return memcmp(&x, &y, sizeof(x)) == 0;
}

void hs_fe_mul(struct hs_fe *out, const struct hs_fe *a, const struct hs_fe *b)
{
    hs_fe_mul_inline(out, a, b);
}

/* out = a^(2^n) */
static void square_times(struct hs_fe *out, const struct hs_fe *a, unsigned n)
{
    *out = *a;
    while (n-- > 0) {
        hs_fe_mul_inline(out, out, out);
    }
}

/* out = a^(2^250 - 1), and a^11 on the way: what both exponents below begin with. */
static void power_250(struct hs_fe *out, struct hs_fe *a11, const struct hs_fe *a)
{
    struct hs_fe a2, a9, x5, x10, x20, x50, x100, t;
    hs_fe_sq(&a2, a);
    square_times(&t, &a2, 2);
    hs_fe_mul(&a9, &t, a);
    hs_fe_mul(a11, &a9, &a2);
    hs_fe_sq(&t, a11);
    hs_fe_mul(&x5, &t, &a9); /* a^(2^5 - 1); from here on x_n = a^(2^n - 1) */
    square_times(&t, &x5, 5);
    hs_fe_mul(&x10, &t, &x5);
    square_times(&t, &x10, 10);
    hs_fe_mul(&x20, &t, &x10);
    square_times(&t, &x20, 20);
    hs_fe_mul(&t, &t, &x20);
    square_times(&t, &t, 10);
    hs_fe_mul(&x50, &t, &x10);
    square_times(&t, &x50, 50);
    hs_fe_mul(&x100, &t, &x50);
    square_times(&t, &x100, 100);
    hs_fe_mul(&t, &t, &x100);
    square_times(&t, &t, 50);
    hs_fe_mul(out, &t, &x50);
}

void hs_fe_invert(struct hs_fe *out, const struct hs_fe *a)
{
    struct hs_fe t, a11;
    power_250(&t, &a11, a);
    square_times(&t, &t, 5);
    hs_fe_mul(out, &t, &a11); /* 2^255 - 32 + 11 = p - 2 */
}

bool hs_fe_sqrt_ratio(struct hs_fe *out, const struct hs_fe *u, const struct hs_fe *v)
{
    /* 2^((p-1)/4), a square root of -1 (RFC 8032 §5.1.3) */
    static const struct hs_fe sqrt_m1 = {
        {0x61b274a0ea0b0, 0x0d5a5fc8f189d, 0x7ef5e9cbd0c60, 0x78595a6804c9e, 0x2b8324804fc1d}};
    struct hs_fe v2, v3, v7, uv7, t, a11, x, check, minus_u;
    const struct hs_fe zero = HS_FE_ZERO;
    hs_fe_sq(&v2, v);
    hs_fe_mul(&v3, &v2, v);
    hs_fe_sq(&t, &v3);
    hs_fe_mul(&v7, &t, v);
    hs_fe_mul(&uv7, u, &v7);
    power_250(&t, &a11, &uv7);
    square_times(&t, &t, 2);
    hs_fe_mul(&t, &t, &uv7); /* (u·v^7)^((p-5)/8) */
    hs_fe_mul(&x, u, &v3);
    hs_fe_mul(&x, &x, &t);
    hs_fe_sq(&check, &x);
    hs_fe_mul(&check, &check, v);
    hs_fe_sub(&minus_u, &zero, u);
    if (hs_fe_equal(&check, &minus_u)) {
        hs_fe_mul(&x, &x, &sqrt_m1);
    } else if (!hs_fe_equal(&check, u)) {
        return false;
    }
    hs_fe_canonical(&x, &x);
    if (x.v[0] & 1) {
        hs_fe_sub(&x, &zero, &x);
        hs_fe_canonical(&x, &x);
    }
    *out = x;
    return true;
}
