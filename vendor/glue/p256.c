/* SPDX-License-Identifier: MIT */
/*
 * P-256 above ring's assembly, which has: multiplication in Montgomery form modulo p and n,
 * addition and doubling of points in Jacobian coordinates (X/Z^2, Y/Z^3; infinity is Z = 0), and
 * selection from a table in constant time. Everything here is made of these.
 *
 * ring's addition branches only where both points are the same and neither is infinity. In
 * multiply() and multiply_base() that cannot happen with a scalar below n: what is added at each
 * step is smaller than, or has no bit in common with, the multiple that is there, and their sum is
 * at most the scalar. So nothing secret decides a branch.
 */
#include <stdalign.h>
#include <string.h>
#include <sodium.h>
#include <p256-nistz.h>

#include "p256.h"

#if !defined(OPENSSL_USE_NISTZ256)
#error "ring has no P-256 in assembly for this processor"
#endif

typedef uint64_t fiat_p256_felem[P256_LIMBS]; /* what the table is declared with */
#include <p256_table.h>

/* The assembly for every x86-64: that for processors with ADX is 15 % faster and would double it.
 */
#if defined(OPENSSL_X86_64)
#define MUL_P ecp_nistz256_mul_mont_nohw
#define MUL_N ecp_nistz256_ord_mul_mont_nohw
#define DOUBLE ecp_nistz256_point_double_nohw
#define ADD ecp_nistz256_point_add_nohw
#define SELECT ecp_nistz256_select_w5_nohw
#else
#define MUL_P ecp_nistz256_mul_mont
#define MUL_N ecp_nistz256_ord_mul_mont
#define DOUBLE ecp_nistz256_point_double
#define ADD ecp_nistz256_point_add
#define SELECT ecp_nistz256_select_w5
#endif

#define WINDOW 4         /* bits of a scalar per addition */
#define ROW 16           /* entries of a table that SELECT reads */
#define STACK_USED 6144u /* the deepest: tables of multiply_base(), frames of ADD */

typedef uint64_t limbs[P256_LIMBS]; /* least significant first */

/* SP 800-186 section 3.2.1.3 */
static const limbs P = {0xffffffffffffffff, 0x00000000ffffffff, 0, 0xffffffff00000001};
static const limbs N = {0xf3b9cac2fc632551, 0xbce6faada7179e84, 0xffffffffffffffff,
                        0xffffffff00000000};
/* 2^512 mod p and mod n lead into Montgomery form (a * 2^256); 2^256 mod p is its one */
static const limbs RR_P = {3, 0xfffffffbffffffff, 0xfffffffffffffffe, 0x00000004fffffffd};
static const limbs RR_N = {0x83244c95be79eea2, 0x4699799c49bd6fa6, 0x2845b2392b6bec59,
                           0x66e12d94f3d95620};
static const limbs ONE_P = {1, 0xffffffff00000000, 0xffffffffffffffff, 0x00000000fffffffe};
static const limbs ONE = {1, 0, 0, 0};
/* b of y^2 = x^3 - 3x + b, in Montgomery form */
static const limbs B_P = {0xd89cdf6229c4bddf, 0xacf005cd78843090, 0xe5a220abf7212ed6,
                          0xdc30061d04874834};

typedef void multiplication(limbs r, const limbs a, const limbs b);

static void load(limbs r, const uint8_t *bytes)
{
    for (int i = 0; i < P256_LIMBS; i++) {
        uint64_t v = 0;
        for (int j = 0; j < 8; j++) {
            v = v << 8 | bytes[8 * (P256_LIMBS - 1 - i) + j];
        }
        r[i] = v;
    }
}

static void store(uint8_t *bytes, const limbs a)
{
    for (int i = 0; i < NK_P256_BYTES; i++) {
        int low = NK_P256_BYTES - 1 - i;
        bytes[i] = (uint8_t)(a[low / 8] >> (low % 8 * 8));
    }
}

static int is_zero(const limbs a)
{
    return sodium_is_zero((const unsigned char *)a, sizeof(limbs));
}

/* r = a - m, returns the borrow: 1 when a < m */
static uint64_t subtract(limbs r, const limbs a, const limbs m)
{
    uint64_t borrow = 0;
    for (int i = 0; i < P256_LIMBS; i++) {
        unsigned __int128 d = (unsigned __int128)a[i] - m[i] - borrow;
        r[i] = (uint64_t)d;
        borrow = (uint64_t)(d >> 64) & 1;
    }
    return borrow;
}

/* r = a mod m for a (with `carry` above it) that is less than 2m */
static void reduce_once(limbs r, const limbs a, uint64_t carry, const limbs m)
{
    limbs less;
    uint64_t keep = 0 - (subtract(less, a, m) & ~carry & 1);
    __asm__("" : "+r"(keep)); /* a mask, not something to branch on */
    for (int i = 0; i < P256_LIMBS; i++) {
        r[i] = (a[i] & keep) | (less[i] & ~keep);
    }
    sodium_memzero(less, sizeof(less));
}

/* r = a + b mod m, of what is below m */
static void add(limbs r, const limbs a, const limbs b, const limbs m)
{
    uint64_t carry = 0;
    for (int i = 0; i < P256_LIMBS; i++) {
        unsigned __int128 s = (unsigned __int128)a[i] + b[i] + carry;
        r[i] = (uint64_t)s;
        carry = (uint64_t)(s >> 64);
    }
    reduce_once(r, r, carry, m);
}

static int below(const limbs a, const limbs m)
{
    limbs unused;
    int rc = (int)subtract(unused, a, m);
    sodium_memzero(unused, sizeof(unused));
    return rc;
}

/* Loads an integer of 1..n-1; 1 when it is one, in constant time. */
static int load_scalar(limbs k, const uint8_t *bytes)
{
    load(k, bytes);
    return below(k, N) & !is_zero(k);
}

/* The leftmost 256 bits of a hash as an integer, modulo n. */
static void load_hash(limbs e, const uint8_t *hash, size_t len)
{
    uint8_t bytes[NK_P256_BYTES] = {0};
    len = len < sizeof(bytes) ? len : sizeof(bytes);
    if (len > 0) {
        memcpy(bytes + sizeof(bytes) - len, hash, len);
    }
    load(e, bytes);
    reduce_once(e, e, 0, N);
}

/* bits at..at+3 of k */
static unsigned window(const limbs k, int at)
{
    return (unsigned)(k[at / 64] >> (at % 64)) & (ROW - 1);
}

/*
 * r = a^(m-2): the inverse modulo the prime m (Fermat), 0 of 0; a and r in Montgomery form. The
 * exponent is public.
 */
static void invert(limbs r, const limbs a, const limbs m, multiplication *mul)
{
    limbs power[ROW], e;
    subtract(e, m, (const limbs){2, 0, 0, 0});
    memcpy(power[1], a, sizeof(limbs));
    for (int i = 2; i < ROW; i++) {
        mul(power[i], power[i - 1], a);
    }
    memcpy(r, power[window(e, 256 - WINDOW)], sizeof(limbs)); /* 15: both primes begin with ones */
    for (int at = 256 - 2 * WINDOW; at >= 0; at -= WINDOW) {
        for (int i = 0; i < WINDOW; i++) {
            mul(r, r, r);
        }
        if (window(e, at) != 0) {
            mul(r, r, power[window(e, at)]);
        }
    }
    sodium_memzero(power, sizeof(power));
}

/* The point of x and y; 1 when both are below p and it is on the curve. */
static int load_point(P256_POINT *q, const uint8_t bytes[NK_P256_POINT_BYTES])
{
    limbs left, right, three_x;
    load(q->X, bytes);
    load(q->Y, bytes + NK_P256_BYTES);
    if (!below(q->X, P) || !below(q->Y, P)) {
        return 0;
    }
    MUL_P(q->X, q->X, RR_P);
    MUL_P(q->Y, q->Y, RR_P);
    memcpy(q->Z, ONE_P, sizeof(limbs));
    /* y^2 + 3x = x^3 + b */
    add(three_x, q->X, q->X, P);
    add(three_x, three_x, q->X, P);
    MUL_P(left, q->Y, q->Y);
    add(left, left, three_x, P);
    MUL_P(right, q->X, q->X);
    MUL_P(right, right, q->X);
    add(right, right, B_P, P);
    return memcmp(left, right, sizeof(limbs)) == 0;
}

/* r = k * q for k below n */
static void multiply(P256_POINT *r, const limbs k, const P256_POINT *q)
{
    alignas(64) P256_POINT table[ROW], entry; /* table[i] is (i + 1) * q */
    memset(table, 0, sizeof(table));
    table[0] = *q;
    for (unsigned i = 1; i < ROW - 1; i++) {
        if (i % 2 == 1) {
            DOUBLE(&table[i], &table[i / 2]);
        } else {
            ADD(&table[i], &table[i - 1], q);
        }
    }
    SELECT(r, table, (int)window(k, 256 - WINDOW));
    for (int at = 256 - 2 * WINDOW; at >= 0; at -= WINDOW) {
        for (int i = 0; i < WINDOW; i++) {
            DOUBLE(r, r);
        }
        SELECT(&entry, table, (int)window(k, at));
        ADD(r, r, &entry);
    }
    sodium_memzero(table, sizeof(table));
    sodium_memzero(&entry, sizeof(entry));
}

/* bit `at` of each quarter of k */
static unsigned comb(const limbs k, int at)
{
    unsigned bits = 0;
    for (int i = 0; i < P256_LIMBS; i++) {
        bits |= (unsigned)(k[i] >> at & 1) << i;
    }
    return bits;
}

/*
 * r = k * G for k below n. ring's table has, for every set of the four quarters of a scalar, the
 * sum of their lowest bits' multiples, and the same for their bit 32.
 */
static void multiply_base(P256_POINT *r, const limbs k)
{
    alignas(64) P256_POINT table[2][ROW], entry;
    memset(table, 0, sizeof(table));
    memset(r, 0, sizeof(*r));
    for (int half = 0; half < 2; half++) {
        for (int i = 0; i < ROW - 1; i++) {
            memcpy(table[half][i].X, fiat_p256_g_pre_comp[half][i][0], sizeof(limbs));
            memcpy(table[half][i].Y, fiat_p256_g_pre_comp[half][i][1], sizeof(limbs));
            memcpy(table[half][i].Z, ONE_P, sizeof(limbs));
        }
    }
    for (int at = 31; at >= 0; at--) {
        DOUBLE(r, r);
        for (int half = 1; half >= 0; half--) {
            SELECT(&entry, table[half], (int)comb(k, at + 32 * half));
            ADD(r, r, &entry);
        }
    }
    sodium_memzero(&entry, sizeof(entry));
}

/* x and y of a point that is not infinity, out of Montgomery form; y may be NULL. */
static void affine(limbs x, uint64_t *y, const P256_POINT *q)
{
    limbs inverse, square;
    invert(inverse, q->Z, P, MUL_P);
    MUL_P(square, inverse, inverse);
    MUL_P(x, q->X, square);
    MUL_P(x, x, ONE);
    if (y) {
        MUL_P(y, q->Y, square);
        MUL_P(y, y, inverse);
        MUL_P(y, y, ONE);
    }
}

int nk_p256_scalar_ok(const uint8_t k[NK_P256_BYTES])
{
    limbs scalar;
    int ok = load_scalar(scalar, k);
    sodium_memzero(scalar, sizeof(scalar));
    return ok;
}

int nk_p256_mul(uint8_t out[NK_P256_POINT_BYTES], const uint8_t k[NK_P256_BYTES],
                const uint8_t *point)
{
    limbs scalar, x, y;
    P256_POINT q, r;
    int ok = load_scalar(scalar, k) && (!point || load_point(&q, point));
    if (ok) {
        if (point) {
            multiply(&r, scalar, &q);
        } else {
            multiply_base(&r, scalar);
        }
        affine(x, y, &r);
        store(out, x);
        store(out + NK_P256_BYTES, y);
        sodium_memzero(x, sizeof(x));
        sodium_memzero(y, sizeof(y));
        sodium_memzero(&r, sizeof(r));
        sodium_stackzero(STACK_USED);
    }
    sodium_memzero(scalar, sizeof(scalar));
    return ok ? 0 : -1;
}

/* r = x of k * G modulo n, s = (e + r * d) / k; 1 unless one of them is 0 */
static int sign(limbs r, limbs s, const limbs d, const limbs k, const limbs e)
{
    P256_POINT point;
    limbs inverse, sum;
    multiply_base(&point, k);
    affine(r, NULL, &point);
    reduce_once(r, r, 0, N);
    MUL_N(inverse, k, RR_N);
    invert(inverse, inverse, N, MUL_N);
    MUL_N(sum, d, RR_N);
    MUL_N(sum, sum, r);
    add(sum, sum, e, N);
    MUL_N(s, sum, inverse);
    sodium_memzero(&point, sizeof(point));
    sodium_memzero(inverse, sizeof(inverse));
    sodium_memzero(sum, sizeof(sum));
    return !is_zero(r) && !is_zero(s);
}

int nk_p256_sign(uint8_t sig[2 * NK_P256_BYTES], const uint8_t d[NK_P256_BYTES],
                 const uint8_t k[NK_P256_BYTES], const uint8_t *hash, size_t hash_len)
{
    limbs key, nonce, e, r, s;
    int ok = load_scalar(key, d) & load_scalar(nonce, k);
    load_hash(e, hash, hash_len);
    if (ok && sign(r, s, key, nonce, e)) {
        store(sig, r);
        store(sig + NK_P256_BYTES, s);
    } else {
        ok = 0;
    }
    sodium_memzero(key, sizeof(key));
    sodium_memzero(nonce, sizeof(nonce));
    sodium_stackzero(STACK_USED);
    return ok ? 0 : -1;
}

/* Whether r is the x of a point modulo n: x is r, or r + n where that is still below p. */
static int has_x(const P256_POINT *q, const limbs r)
{
    limbs zz, x, candidate;
    MUL_P(zz, q->Z, q->Z);
    MUL_P(candidate, r, RR_P);
    MUL_P(x, candidate, zz);
    if (memcmp(x, q->X, sizeof(limbs)) == 0) {
        return 1;
    }
    limbs room;
    subtract(room, P, N);
    if (!below(r, room)) {
        return 0;
    }
    add(candidate, r, N, P); /* below p, so nothing is subtracted */
    MUL_P(candidate, candidate, RR_P);
    MUL_P(x, candidate, zz);
    return memcmp(x, q->X, sizeof(limbs)) == 0;
}

int nk_p256_verify(const uint8_t sig[2 * NK_P256_BYTES], const uint8_t point[NK_P256_POINT_BYTES],
                   const uint8_t *hash, size_t hash_len)
{
    limbs r, s, e, u;
    P256_POINT q, by_base, by_key;
    if (!load_scalar(r, sig) || !load_scalar(s, sig + NK_P256_BYTES) || !load_point(&q, point)) {
        return -1;
    }
    load_hash(e, hash, hash_len);
    MUL_N(s, s, RR_N);
    invert(s, s, N, MUL_N);
    MUL_N(u, e, s);
    multiply_base(&by_base, u);
    MUL_N(u, r, s);
    multiply(&by_key, u, &q);
    ADD(&by_base, &by_base, &by_key);
    return !is_zero(by_base.Z) && has_x(&by_base, r) ? 0 : -1;
}
