/* SPDX-License-Identifier: MIT */
#include "base/onion.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/codec.h"

/* Public keys and addresses: RFC 8032 test 1, and the seeds 00..1f. */
static const char *const known[][2] = {
    {"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
     "25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5sid.onion"},
    {"03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8",
     "aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead.onion"},
};

static void known_addresses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        uint8_t key[NK_ONION_KEY], back[NK_ONION_KEY];
        char out[NK_ONION_SIZE], upper[NK_ONION_SIZE];
        assert_int_equal(nk_hex_decode(key, sizeof(key), known[i][0], 64, false), 32);
        nk_onion_format(out, key);
        assert_string_equal(out, known[i][1]);
        assert_int_equal(nk_onion_parse(back, out, strlen(out), NULL), 0);
        assert_memory_equal(back, key, sizeof(key));
        assert_int_equal(nk_onion_parse(back, out, NK_ONION_LABEL, NULL), 0);
        for (size_t j = 0; j < sizeof(upper); j++) {
            upper[j] = (char)toupper((unsigned char)out[j]);
        }
        assert_int_equal(nk_onion_parse(back, upper, strlen(upper), NULL), 0);
        assert_memory_equal(back, key, sizeof(key));
    }
}

static void refuse(const char *s, int code, const char *word)
{
    struct nk_diag diag = {0};
    uint8_t key[NK_ONION_KEY];
    memset(key, 'k', sizeof(key));
    assert_int_equal(nk_onion_parse(key, s, strlen(s), &diag), code);
    assert_non_null(strstr(diag.text, word));
    for (size_t i = 0; i < sizeof(key); i++) {
        assert_int_equal(key[i], 'k');
    }
}

static void refused(void **state)
{
    (void)state;
    refuse("", NK_EFORMAT, "has 0");
    refuse(".onion", NK_EFORMAT, "has 0");
    refuse("expyuzz4wqqyqhjn.onion", NK_EVERSION, "version 2");
    refuse("www.25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5sid.onion", NK_EFORMAT,
           "subdomain");
    refuse("25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5si1.onion", NK_EFORMAT, "a to z");
    refuse("25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5sif.onion", NK_EVERSION,
           "version 5");
    refuse("25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5aid.onion", NK_EFORMAT,
           "checksum");
    refuse("35njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5sid.onion", NK_EFORMAT,
           "checksum");
    refuse("25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5sid.com", NK_EFORMAT, "dots");
}

/* Correctly encoded, but no identity: zero, one (the neutral element), a point of order 8, and a
 * good point plus one of small order. */
static void points_that_are_none(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        uint8_t key[NK_ONION_KEY];
        char out[NK_ONION_SIZE];
        assert_int_equal(nk_hex_decode(key, sizeof(key), bad[i], 64, false), 32);
        nk_onion_format(out, key);
        refuse(out, NK_EFORMAT, "point");
    }
}

int nk_test_base_onion(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_addresses),
        cmocka_unit_test(refused),
        cmocka_unit_test(points_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
