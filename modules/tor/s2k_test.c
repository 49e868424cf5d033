/* SPDX-License-Identifier: MIT */
#include "tor/s2k.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/codec.h"

static void is_hash(const void *p, size_t n, const char *want)
{
    uint8_t out[TOR_S2K_HASH];
    char hex[NK_HEX_SIZE(sizeof(out))];
    tor_sha1(out, p, n);
    nk_hex_encode(hex, out, sizeof(out));
    assert_string_equal(hex, want);
}

/* FIPS 180-4's examples, and every length around the padding. */
static void sha1(void **state)
{
    static char million[1000000];
    (void)state;
    is_hash("", 0, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    is_hash("abc", 3, "a9993e364706816aba3e25717850c26c9cd0d89d");
    is_hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    memset(million, 'a', sizeof(million));
    is_hash(million, sizeof(million), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    is_hash(million, 55, "c1c8bbdc22796e28c0e15163d20899b65621d65a");
    is_hash(million, 56, "c2db330f6083854c99d4b5bfb6e8f29f201be699");
    is_hash(million, 63, "03f09f5b158a7a8cdad920bddc29b81c18a551f5");
    is_hash(million, 64, "0098ba824b5c16427bd7a1122a5a442a25ec644d");
}

/* Lines that a real tor accepted the passwords for. */
static void hashed_passwords(void **state)
{
    static const struct {
        const char *password, *line;
    } cases[] = {
        {"other", "16:53B4742BEA6CD90260C3BD4ADF1E817EF180510091CB43FEC82C41DBD6"},
        {"secret \"x\" \\ \xc3\xa9",
         "16:EAF77D9E7ABDCECF604AC19BC7D301495C13BD9D19578830838C3F0A23"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t salt[TOR_S2K_SALT];
        char out[TOR_S2K_TEXT];
        assert_int_equal(nk_hex_decode(salt, sizeof(salt), cases[i].line + 3, 16, false), 8);
        tor_s2k(out, salt, cases[i].password, strlen(cases[i].password));
        assert_string_equal(out, cases[i].line);
    }
}

int nk_test_tor_s2k(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(sha1),
                                              cmocka_unit_test(hashed_passwords)};
    return cmocka_run_group_tests_name("tor/s2k", tests, NULL, NULL);
}
