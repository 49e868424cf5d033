/* SPDX-License-Identifier: MIT */
#include "hs/fe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "hs/vanity_table.h"

/* Little endian numbers at the edges: 0, 1, 2, 18, 19, 20, p-1, p, p+1, p+18, 2^255-1, limbs that
 * are all ones or alone. */
#define EDGES 17

static void edge(uint8_t out[32], unsigned i)
{
    static const uint8_t low[] = {0, 1, 2, 18, 19, 20, 0xec, 0xed, 0xee, 0xff};
    memset(out, 0, 32);
    if (i < 6) {
        out[0] = low[i];
    } else if (i < 10) {
        memset(out, 0xff, 32);
        out[0] = low[i];
        out[31] = 0x7f;
    } else { /* 2^(51k) - 1 and 2^(51k) */
        unsigned bits = (i - 10) / 2 * 51 + 51;
        for (unsigned b = 0; b < bits && i % 2; b++) {
            out[b / 8] |= (uint8_t)(1u << (b % 8));
        }
        out[bits / 8] |= i % 2 ? 0 : (uint8_t)(1u << (bits % 8));
    }
}

/* The number modulo p by subtraction of p with borrow: another way than the code's. */
static void reduce_slowly(uint8_t out[32], const uint8_t in[32])
{
    memcpy(out, in, 32);
    for (int round = 0; round < 2; round++) {
        uint8_t less[32];
        int borrow = 0;
        for (unsigned i = 0; i < 32; i++) {
            int p = i == 0 ? 0xed : i == 31 ? 0x7f : 0xff;
            int d = out[i] - p - borrow;
            borrow = d < 0;
            less[i] = (uint8_t)d;
        }
        if (!borrow) {
            memcpy(out, less, 32);
        }
    }
}

static void to_and_from_bytes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < EDGES + 200; i++) {
        uint8_t in[32], out[32], want[32];
        struct hs_fe a;
        if (i < EDGES) {
            edge(in, i);
        } else {
            randombytes_buf(in, sizeof(in));
            in[31] &= 0x7f;
        }
        hs_fe_from_bytes(&a, in);
        hs_fe_to_bytes(out, &a);
        reduce_slowly(want, in);
        assert_memory_equal(out, want, 32);
        in[31] |= 0x80; /* ignored */
        hs_fe_from_bytes(&a, in);
        hs_fe_to_bytes(out, &a);
        assert_memory_equal(out, want, 32);
    }
}

/* Multiplication in schoolbook form on bytes, and reduction by 2^255 = 19. */
static void multiply_slowly(uint8_t out[32], const uint8_t a[32], const uint8_t b[32])
{
    uint32_t wide[64] = {0};
    for (unsigned i = 0; i < 32; i++) {
        for (unsigned j = 0; j < 32; j++) {
            wide[i + j] += (uint32_t)a[i] * b[j];
        }
    }
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 32; i < 64; i++) { /* 2^256 = 38 */
            wide[i - 32] += 38 * wide[i];
            wide[i] = 0;
        }
        for (unsigned i = 0; i < 63; i++) {
            wide[i + 1] += wide[i] >> 8;
            wide[i] &= 0xff;
        }
    }
    uint8_t flat[32];
    for (unsigned i = 0; i < 32; i++) {
        flat[i] = (uint8_t)wide[i];
    }
    /* bit 255 is 19 */
    unsigned carry = flat[31] & 0x80 ? 19 : 0;
    flat[31] &= 0x7f;
    for (unsigned i = 0; i < 32; i++) {
        carry += flat[i];
        flat[i] = (uint8_t)carry;
        carry >>= 8;
    }
    reduce_slowly(out, flat);
}

static void number(uint8_t out[32], unsigned i)
{
    if (i < EDGES) {
        edge(out, i);
    } else {
        randombytes_buf(out, 32);
        out[31] &= 0x7f;
    }
}

static void products(void **state)
{
    (void)state;
    for (unsigned i = 0; i < EDGES + 30; i++) {
        for (unsigned j = 0; j < EDGES + 30; j++) {
            uint8_t a[32], b[32], got[32], want[32];
            struct hs_fe x, y, z;
            number(a, i);
            number(b, j);
            hs_fe_from_bytes(&x, a);
            hs_fe_from_bytes(&y, b);
            hs_fe_mul(&z, &x, &y);
            hs_fe_to_bytes(got, &z);
            multiply_slowly(want, a, b);
            assert_memory_equal(got, want, 32);
            hs_fe_mul(&x, &x, &y); /* in place */
            assert_true(hs_fe_equal(&x, &z));
        }
    }
}

/* Limbs as large as the headers allow. */
static void large_limbs(void **state)
{
    (void)state;
    const uint64_t most = ((uint64_t)1 << 54) - 1;
    struct hs_fe a = {{most, most, most, most, most}}, small, x, y;
    hs_fe_canonical(&small, &a);
    hs_fe_mul(&x, &a, &a);
    hs_fe_mul(&y, &small, &small);
    assert_true(hs_fe_equal(&x, &y));
    for (unsigned i = 0; i < 5; i++) {
        assert_true(x.v[i] < (uint64_t)1 << 52);
    }
    const uint64_t huge = ((uint64_t)1 << 63) - 1;
    struct hs_fe b = {{huge, huge, huge, huge, huge}}, unit = HS_FE_ZERO, sum;
    hs_fe_canonical(&x, &b);
    /* the same from 2^63 - 1 times the sum of 2^(51i) */
    struct hs_fe factor = {{huge & HS_FE_MASK, huge >> HS_FE_BITS, 0, 0, 0}};
    for (unsigned i = 0; i < 5; i++) {
        unit.v[i] = 1;
    }
    hs_fe_mul(&sum, &factor, &unit);
    assert_true(hs_fe_equal(&x, &sum));
    hs_fe_carry(&y, &b);
    assert_true(hs_fe_equal(&x, &y));
}

static void sums_and_inverses(void **state)
{
    (void)state;
    const struct hs_fe one = HS_FE_ONE, zero = HS_FE_ZERO;
    struct hs_fe t;
    for (unsigned i = 0; i < EDGES + 50; i++) {
        uint8_t a[32], b[32];
        struct hs_fe x, y, s, d;
        number(a, i);
        number(b, EDGES);
        hs_fe_from_bytes(&x, a);
        hs_fe_from_bytes(&y, b);
        hs_fe_add(&s, &x, &y);
        hs_fe_sub(&d, &s, &y);
        assert_true(hs_fe_equal(&d, &x));
        hs_fe_sub(&d, &x, &x);
        assert_true(hs_fe_equal(&d, &zero));
        hs_fe_invert(&t, &x);
        hs_fe_mul(&s, &t, &x);
        assert_true(hs_fe_equal(&s, hs_fe_equal(&x, &zero) ? &zero : &one));
    }
}

static void square_roots(void **state)
{
    (void)state;
    unsigned with = 0;
    for (unsigned i = 0; i < 100; i++) {
        uint8_t a[32], b[32], bytes[32];
        struct hs_fe u, v, x, t;
        number(a, EDGES);
        number(b, EDGES);
        hs_fe_from_bytes(&u, a);
        hs_fe_from_bytes(&v, b);
        if (!hs_fe_sqrt_ratio(&x, &u, &v)) {
            continue;
        }
        with++;
        hs_fe_sq(&t, &x);
        hs_fe_mul(&t, &t, &v);
        assert_true(hs_fe_equal(&t, &u));
        hs_fe_to_bytes(bytes, &x);
        assert_int_equal(bytes[0] & 1, 0);
    }
    assert_true(with > 20 && with < 80); /* half of all: wrong once in 10^9 runs */
}

/* Points against libsodium: decoded ones are on the curve that libsodium adds on. */
static void points(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 50; i++) {
        uint8_t p[32], again[32];
        struct hs_point point;
        struct hs_fe xx, yy, left, right, t;
        const struct hs_fe one = HS_FE_ONE;
        crypto_core_ed25519_random(p);
        assert_int_equal(hs_point_decode(&point, p), 0);
        hs_fe_to_bytes(again, &point.y);
        uint8_t x[32];
        hs_fe_to_bytes(x, &point.x);
        again[31] |= (uint8_t)(x[0] << 7);
        assert_memory_equal(again, p, 32);
        hs_fe_sq(&xx, &point.x);
        hs_fe_sq(&yy, &point.y);
        hs_fe_sub(&left, &yy, &xx);
        hs_fe_mul(&t, &xx, &yy);
        hs_fe_mul(&t, &t, &hs_point_d);
        hs_fe_add(&right, &t, &one);
        assert_true(hs_fe_equal(&left, &right));
    }
    uint8_t scalar[32] = {0}, base[32], got[32];
    struct hs_point b, none;
    assert_int_equal(hs_point_base(&b, scalar), NK_EFORMAT);
    scalar[0] = 1;
    assert_int_equal(crypto_scalarmult_ed25519_base_noclamp(base, scalar), 0);
    assert_int_equal(hs_point_base(&b, scalar), 0);
    hs_fe_to_bytes(got, &b.y);
    assert_memory_equal(got, base, 32);
    memset(scalar, 0, sizeof(scalar));
    scalar[0] = 2; /* no point has y = 2 */
    assert_int_equal(hs_point_decode(&none, scalar), NK_EFORMAT);
}

int nk_test_hs_fe(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(to_and_from_bytes), cmocka_unit_test(products),
        cmocka_unit_test(large_limbs),       cmocka_unit_test(sums_and_inverses),
        cmocka_unit_test(square_roots),      cmocka_unit_test(points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
