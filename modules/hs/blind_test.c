/* SPDX-License-Identifier: MIT */
#include "hs/blind.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/codec.h"

static void hex(uint8_t *out, size_t n, const char *text)
{
    assert_int_equal(nk_hex_decode(out, n, text, strlen(text), false), (ssize_t)n);
}

/* A vector that tor and arti share: key, period 1234, blinded key, subcredential. */
static const char pub_hex[] = "833990b085c1a688c1d4c8b1f6b56afaf5a2eca674449e1d704f83765ccb7bc6";
static const char secret_hex[] = "d8c7ff0e31295b66540d789af3e3df992038a9592eea01d8b7cba06d6e66d159"
                                 "4d6167696320576f7264733a20737065697373636f62616c742062697669756d";
static const char blinded_hex[] =
    "3a50bf210e8f9ee955ae0014f7a6917fb65ebf098a86305abb508d1a7291b6d5";
static const char subcredential_hex[] =
    "635d55907816e8d76398a675a50b1c2f3e36b42a5ca77ba3a0441285161ae07d";
static const char blinded_secret_hex[] =
    "a958dc83ac885f6814c67035de817a2c604d5d2f715282079448f789b656350b"
    "4540fe1f80aa3f7e91306b7bf7a8e367293352b14a29fdcc8c19f3558075524b";

static const struct hs_period period = {.number = 1234, .minutes = HS_PERIOD_MINUTES};

static void known_key(void **state)
{
    (void)state;
    uint8_t pub[32], blinded[32], subcredential[32];
    struct hs_blinded b;
    hex(pub, 32, pub_hex);
    hex(blinded, 32, blinded_hex);
    hex(subcredential, 32, subcredential_hex);
    assert_int_equal(hs_blind(&b, pub, &period), 0);
    assert_memory_equal(b.pub, blinded, 32);
    assert_memory_equal(b.subcredential, subcredential, 32);
    assert_memory_not_equal(b.index[0], b.index[1], 32);
}

static void known_secret(void **state)
{
    (void)state;
    uint8_t expanded[64], want[64];
    struct hs_identity k, blinded;
    struct hs_blinded b;
    hex(expanded, 64, secret_hex);
    hex(want, 64, blinded_secret_hex);
    assert_int_equal(hs_identity_from_expanded(&k, expanded, NULL), 0);
    assert_int_equal(hs_blind_secret(&blinded, &k, &period), 0);
    assert_memory_equal(blinded.secret, want, 64);
    assert_int_equal(hs_blind(&b, k.pub, &period), 0);
    assert_memory_equal(b.pub, blinded.pub, 32);
}

/* Both halves agree for random keys, clamped and reduced ones, and for other periods. */
static void halves_agree(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 50; i++) {
        const struct hs_period p = {.number = 20000 + i, .minutes = i % 2 ? 30 : 1440};
        uint8_t reduced[64];
        struct hs_identity k, r, x, y;
        struct hs_blinded b;
        assert_int_equal(hs_identity_new(&k), 0);
        hs_identity_reduced(reduced, &k);
        assert_int_equal(hs_identity_from_expanded(&r, reduced, NULL), 0);
        assert_int_equal(hs_blind(&b, k.pub, &p), 0);
        assert_int_equal(hs_blind_secret(&x, &k, &p), 0);
        assert_int_equal(hs_blind_secret(&y, &r, &p), 0);
        assert_memory_equal(x.pub, b.pub, 32);
        assert_memory_equal(x.secret, y.secret, 64);
    }
}

static void not_a_key(void **state)
{
    (void)state;
    uint8_t pub[32] = {0};
    struct hs_blinded b;
    memset(&b, 'b', sizeof(b));
    assert_int_equal(hs_blind(&b, pub, &period), NK_EFORMAT);
    assert_int_equal(b.pub[0], 'b');
}

/* The example of rend-spec-v3 [TIME-PERIODS], and the edges of its period. */
static void periods(void **state)
{
    (void)state;
    struct hs_period p;
    const int64_t example = 1460545200, noon = 1460548800; /* 2016-04-13 11:00 and 12:00 UTC */
    assert_int_equal(hs_period_at(&p, example, HS_PERIOD_MINUTES), 0);
    assert_int_equal(p.number, 16903);
    assert_int_equal(hs_period_begin(&p), noon - 86400);
    assert_int_equal(hs_period_at(&p, noon - 1, HS_PERIOD_MINUTES), 0);
    assert_int_equal(p.number, 16903);
    assert_int_equal(hs_period_at(&p, noon, HS_PERIOD_MINUTES), 0);
    assert_int_equal(p.number, 16904);
    assert_int_equal(hs_period_begin(&p), noon);
    assert_int_equal(hs_period_at(&p, 12 * 3600, HS_PERIOD_MINUTES), 0);
    assert_int_equal(p.number, 0);
    assert_int_equal(hs_period_at(&p, 12 * 3600 - 1, HS_PERIOD_MINUTES), NK_EUSAGE);
    assert_int_equal(hs_period_at(&p, -1, HS_PERIOD_MINUTES), NK_EUSAGE);
}

int nk_test_hs_blind(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_key), cmocka_unit_test(known_secret), cmocka_unit_test(halves_agree),
        cmocka_unit_test(not_a_key), cmocka_unit_test(periods),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
