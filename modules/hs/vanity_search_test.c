/* SPDX-License-Identifier: MIT */
#include "hs/vanity_search.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/onion.h"

/* Fails for every kernel but the portable one where the processor lacks it: then the test says so.
 */
static const struct hs_vanity_kernel *kernel_at(unsigned i)
{
    const struct hs_vanity_kernel *k = hs_vanity_kernel_at(i);
    if (k && !k->usable()) {
        print_message("skipped: this processor cannot run the kernel %s\n", k->name);
    }
    return k;
}

static struct hs_vanity_filter *filter_of(const char *const *patterns, size_t n)
{
    struct hs_vanity_filter *f = NULL;
    struct nk_diag diag = {0};
    char *v[64];
    assert_true(n <= 64);
    for (size_t i = 0; i < n; i++) {
        v[i] = strdup(patterns[i]);
    }
    const struct nk_strlist list = {.v = v, .n = n};
    int rc = hs_vanity_filter_new(&f, &list, &diag);
    for (size_t i = 0; i < n; i++) {
        free(v[i]);
    }
    if (rc < 0) {
        fail_msg("%s", diag.text);
    }
    return f;
}

static uint64_t low_of(const uint8_t pub[32])
{
    uint64_t low = 0;
    for (unsigned i = 0; i < 8; i++) {
        low |= (uint64_t)pub[i] << (8 * i);
    }
    return low;
}

static void add_scalar(uint8_t s[32], int64_t n)
{
    int64_t carry = 0;
    for (unsigned i = 0; i < 32; i++) {
        carry += s[i] + (n & 0xff);
        s[i] = (uint8_t)carry;
        carry >>= 8;
        n >>= 8;
    }
}

/*
 * All keys of a few blocks, one by one: what the kernel finds with a dense filter is exactly what
 * libsodium finds by addition, for every centre.
 */
static void every_key_of_a_block(const struct hs_vanity_kernel *k, const struct hs_vanity_table *t,
                                 const struct hs_vanity_filter *f)
{
    static struct hs_vanity_found v[64 * 1024];
    uint8_t secret[HS_VANITY_CENTRES_MAX][32];
    void *state = aligned_alloc(HS_VANITY_ALIGN, k->state_size);
    assert_non_null(state);
    assert_true(k->centres <= HS_VANITY_CENTRES_MAX);
    for (unsigned c = 0; c < k->centres; c++) {
        struct hs_point p;
        randombytes_buf(secret[c], 32);
        secret[c][0] &= 0xf8;
        secret[c][31] = (secret[c][31] & 0x3f) | 0x40;
        assert_int_equal(hs_point_base(&p, secret[c]), 0);
        k->set(state, c, &p);
    }
    for (unsigned block = 0; block < 3; block++) {
        struct hs_vanity_founds out = {.v = v, .max = sizeof(v) / sizeof(*v)};
        size_t expected = 0;
        k->block(state, t, f, &out);
        for (unsigned c = 0; c < k->centres; c++) {
            uint8_t s[32], step[32] = {8}, point[32], eight[32];
            memcpy(s, secret[c], 32);
            add_scalar(s, 8 * ((int64_t)block * HS_VANITY_BLOCK - HS_VANITY_PAIRS));
            assert_int_equal(crypto_scalarmult_ed25519_base(point, s), 0);
            assert_int_equal(crypto_scalarmult_ed25519_base_noclamp(eight, step), 0);
            for (int i = -HS_VANITY_PAIRS; i <= HS_VANITY_PAIRS; i++) {
                int want = hs_vanity_filter_match(f, low_of(point)), got = -1;
                expected += want >= 0;
                for (size_t j = 0; j < out.n && want >= 0; j++) {
                    if (v[j].centre == c && v[j].index == i) {
                        got = v[j].pattern;
                    }
                }
                assert_int_equal(got, want);
                assert_int_equal(crypto_core_ed25519_add(point, point, eight), 0);
            }
        }
        assert_int_equal(out.n, expected);
        assert_true(expected > 0);
    }
    free(state);
}

static void kernels(void **state)
{
    (void)state;
    static const char *const dense[] = {"a", "bc", "q2", "zz", "d.[xyz]", "e..2"};
    static const char *const single[] = {"[n]"};
    struct hs_vanity_table *t = NULL;
    assert_int_equal(hs_vanity_table_new(&t), 0);
    struct hs_vanity_filter *f = filter_of(dense, sizeof(dense) / sizeof(*dense));
    struct hs_vanity_filter *g = filter_of(single, 1);
    assert_true(g->single && !f->single);
    for (unsigned i = 0; kernel_at(i); i++) {
        if (hs_vanity_kernel_at(i)->usable()) {
            every_key_of_a_block(hs_vanity_kernel_at(i), t, f);
            every_key_of_a_block(hs_vanity_kernel_at(i), t, g);
        }
    }
    assert_true(hs_vanity_kernel_best()->usable());
    hs_vanity_filter_free(f);
    hs_vanity_filter_free(g);
    free(t);
}

/* The distance of two scalars as a multiple of 8, if it is one below 2^40: then both come from one
 * secret. */
static bool related(const uint8_t a[32], const uint8_t b[32])
{
    uint8_t d[32], zero[27] = {0}, ones[27];
    memset(ones, 0xff, sizeof(ones));
    memcpy(d, a, 32);
    sodium_sub(d, b, 32);
    return memcmp(d + 5, zero, sizeof(zero)) == 0 || memcmp(d + 5, ones, sizeof(ones)) == 0;
}

static void search_with(const struct hs_vanity_kernel *k, const struct hs_vanity_table *t)
{
    enum { HITS = 100 };
    static const char *const patterns[] = {"ne", "QR", "7.[az]"};
    static struct hs_vanity_hit hits[HITS];
    struct hs_vanity_filter *f = filter_of(patterns, 3);
    struct hs_vanity_search *s = NULL;
    unsigned n = 0, all = 0;
    uint64_t tried = 0;
    assert_int_equal(hs_vanity_search_new(&s, k, t, f), 0);
    /* with hits in nearly every block of every centre, each is used once */
    while (all < HITS) {
        assert_int_equal(hs_vanity_search_run(s, 1000000, hits + all, HITS - all, &n, &tried), 0);
        assert_true(n > 0);
        all += n;
    }
    for (unsigned i = 0; i < HITS; i++) {
        const struct hs_identity *id = &hits[i].identity;
        char address[NK_ONION_SIZE];
        uint8_t pub[32];
        assert_int_equal(crypto_scalarmult_ed25519_base(pub, id->secret), 0);
        assert_memory_equal(pub, id->pub, 32);
        assert_true(hs_identity_is_clamped(id));
        assert_true(id->has_secret && !id->has_seed);
        nk_onion_format(address, id->pub);
        assert_true(hs_vanity_pattern_fits(patterns[hits[i].pattern], address));
        for (unsigned j = 0; j < i; j++) {
            assert_false(related(id->secret, hits[j].identity.secret));
            assert_memory_not_equal(id->secret + 32, hits[j].identity.secret + 32, 32);
        }
    }
    hs_vanity_search_free(s);
    hs_vanity_filter_free(f);
}

static void search(void **state)
{
    (void)state;
    struct hs_vanity_table *t = NULL;
    assert_int_equal(hs_vanity_table_new(&t), 0);
    for (unsigned i = 0; hs_vanity_kernel_at(i); i++) {
        if (hs_vanity_kernel_at(i)->usable()) {
            search_with(hs_vanity_kernel_at(i), t);
        }
    }
    free(t);
}

/* Nothing is found where nothing can be, and all keys are counted. */
static void in_vain(void **state)
{
    (void)state;
    static const char *const never[] = {"netkitnetkit"};
    const struct hs_vanity_kernel *k = hs_vanity_kernel_best();
    struct hs_vanity_table *t = NULL;
    struct hs_vanity_search *s = NULL;
    struct hs_vanity_filter *f = filter_of(never, 1);
    struct hs_vanity_hit hit;
    unsigned n = 1;
    uint64_t tried = 0;
    assert_int_equal(hs_vanity_table_new(&t), 0);
    assert_int_equal(hs_vanity_search_new(&s, k, t, f), 0);
    assert_int_equal(hs_vanity_search_run(s, 1, &hit, 1, &n, &tried), 0);
    assert_int_equal(n, 0);
    assert_int_equal(tried, HS_VANITY_BLOCK * k->centres);
    hs_vanity_search_free(s);
    hs_vanity_filter_free(f);
    free(t);
}

int nk_test_hs_vanity_search(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels),
        cmocka_unit_test(search),
        cmocka_unit_test(in_vain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
