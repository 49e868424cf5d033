/* SPDX-License-Identifier: MIT */
#include "base/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

static void hex(void **state)
{
    (void)state;
    char out[NK_HEX_SIZE(4)];
    uint8_t raw[4] = {1, 1, 1, 1};
    nk_hex_encode(out, "\x00\x9f\xaa\xff", 4);
    assert_string_equal(out, "009faaff");
    nk_hex_encode(out, "", 0);
    assert_string_equal(out, "");
    assert_int_equal(nk_hex_decode(raw, 4, "009fAAfF", 8, false), 4);
    assert_memory_equal(raw, "\x00\x9f\xaa\xff", 4);
    assert_int_equal(nk_hex_decode(raw, 4, "AA:bb:0c", 8, true), 3);
    assert_memory_equal(raw, "\xaa\xbb\x0c", 3);
    assert_int_equal(nk_hex_decode(raw, 4, "aabb0c", 6, true), 3);
    assert_int_equal(nk_hex_decode(raw, 4, "", 0, true), 0);
    memset(raw, 'k', 4);
    static const char *const bad[] = {
        "a",      "0g",     "aa bb", "zz", "aa:",    ":aa", "a:abb", "aa:b",
        "aa::bb", "aa:bb:", "/0",    ":0", "aa-bb-", "@0",  "`0"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(nk_hex_decode(raw, 4, bad[i], strlen(bad[i]), true), NK_EFORMAT);
    assert_int_equal(nk_hex_decode(raw, 4, "aa:bb", 5, false), NK_EFORMAT);
    assert_int_equal(nk_hex_decode(raw, 4, "0011223344", 10, false), NK_ETOOBIG);
    assert_int_equal(nk_hex_decode(raw, 1, "00:11", 5, true), NK_ETOOBIG);
    assert_memory_equal(raw, "kkkk", 4);
}

/* RFC 4648 section 10. */
static void rfc4648_vectors(void **state)
{
    (void)state;
    static const char *const v[][3] = {
        {"", "", ""},
        {"f", "Zg==", "my"},
        {"fo", "Zm8=", "mzxq"},
        {"foo", "Zm9v", "mzxw6"},
        {"foob", "Zm9vYg==", "mzxw6yq"},
        {"fooba", "Zm9vYmE=", "mzxw6ytb"},
        {"foobar", "Zm9vYmFy", "mzxw6ytboi"},
    };
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        size_t n = strlen(v[i][0]);
        char out[NK_HEX_SIZE(6)]; /* the longest of the three forms */
        uint8_t raw[6];
        nk_base64_encode(out, v[i][0], n, true);
        assert_string_equal(out, v[i][1]);
        assert_int_equal(nk_base64_decode(raw, 6, out, strlen(out)), n);
        assert_memory_equal(raw, v[i][0], n);
        nk_base64_encode(out, v[i][0], n, false);
        assert_int_equal(nk_base64_decode(raw, 6, out, strlen(out)), n);
        assert_memory_equal(raw, v[i][0], n);
        nk_base32_encode(out, v[i][0], n);
        assert_string_equal(out, v[i][2]);
        assert_int_equal(nk_base32_decode(raw, 6, out, strlen(out)), n);
        assert_memory_equal(raw, v[i][0], n);
    }
}

static void every_byte_round_trips(void **state)
{
    (void)state;
    uint8_t all[256], back[256];
    char text[NK_HEX_SIZE(256)];
    for (unsigned i = 0; i < 256; i++)
        all[i] = (uint8_t)(i * 7);
    for (size_t n = 0; n <= 256; n++) {
        nk_hex_encode(text, all, n);
        assert_int_equal(strlen(text) + 1, NK_HEX_SIZE(n));
        assert_int_equal(nk_hex_decode(back, n, text, strlen(text), false), n);
        assert_memory_equal(back, all, n);
        nk_base64_encode(text, all, n, true);
        assert_int_equal(strlen(text) + 1, NK_BASE64_SIZE(n));
        assert_int_equal(nk_base64_decode(back, n, text, strlen(text)), n);
        assert_memory_equal(back, all, n);
        nk_base32_encode(text, all, n);
        assert_int_equal(strlen(text) + 1, NK_BASE32_SIZE(n));
        assert_int_equal(nk_base32_decode(back, n, text, strlen(text)), n);
        assert_memory_equal(back, all, n);
    }
}

static void base64_is_strict(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Zg=",  "Z",     "Z===",  "Zg===",    "Zm9v=", "Zm9v====", "Zh==",
        "Zm9=", "Zm9v ", " Zm9v", "Zm\n9v",   "Zm9-",  "Zm9_",     "=",
        "==",   "====",  "Z=g=",  "Zg==Zg==", "Zm9v*", "Zm9\x80",  "Zm9["};
    uint8_t raw[16];
    memset(raw, 'k', 4);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(nk_base64_decode(raw, sizeof raw, bad[i], strlen(bad[i])), NK_EFORMAT);
    assert_int_equal(nk_base64_decode(raw, 2, "Zm9v", 4), NK_ETOOBIG);
    assert_memory_equal(raw, "kkkk", 4);
    assert_int_equal(nk_base64_decode(raw, 3, "++//", 4), 3);
    assert_memory_equal(raw, "\xfb\xef\xff", 3);
}

static void base32_is_strict(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "m", "mzx", "mzxw6y", "mz", "my======", "m1", "m8", "m0", "m ", "mzxr"};
    uint8_t raw[16];
    memset(raw, 'k', 4);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(nk_base32_decode(raw, sizeof raw, bad[i], strlen(bad[i])), NK_EFORMAT);
    assert_int_equal(nk_base32_decode(raw, 2, "mzxw6", 5), NK_ETOOBIG);
    assert_memory_equal(raw, "kkkk", 4);
    assert_int_equal(nk_base32_decode(raw, 3, "MzXw6", 5), 3);
    assert_memory_equal(raw, "foo", 3);
}

static void percent(void **state)
{
    (void)state;
    char out[16] = "keep";
    static const char *const bad[] = {"%",   "%4",  "%zz",  "a%",  "%00", "%1f",
                                      "%7F", "%0a", "a\nb", "%-1", "\x7f"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(nk_percent_decode(out, sizeof out, bad[i], strlen(bad[i])), NK_EFORMAT);
    assert_int_equal(nk_percent_decode(out, 3, "abc", 3), NK_ETOOBIG);
    assert_int_equal(nk_percent_decode(out, 0, "", 0), NK_ETOOBIG);
    assert_string_equal(out, "keep");
    assert_int_equal(nk_percent_decode(out, 4, "abc", 3), 3);
    assert_string_equal(out, "abc");
    assert_int_equal(nk_percent_decode(out, sizeof out, "a%2Cb%25%c3%a9+", 15), 7);
    assert_string_equal(out, "a,b%\xc3\xa9+");
    assert_int_equal(nk_percent_decode(out, sizeof out, "", 0), 0);
    assert_string_equal(out, "");
}

static void utf8(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "plain",
                                       "\xc3\xa9",
                                       "\xe2\x82\xac",
                                       "\xf0\x9f\x98\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc3",
                                      "\xe0\x80\x80",
                                      "\xe2\x82",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xf0\x80\x80\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf8\x88\x80\x80\x80",
                                      "\xff",
                                      "a\xfe",
                                      "\xc3(",
                                      "\xf0\x9f\x98"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(nk_utf8_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(nk_utf8_valid(bad[i], strlen(bad[i])));
    assert_true(nk_utf8_valid("a\0b", 3));
}

static void escape(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        size_t n;
        const char *want;
    } v[] = {
        {"plain text", 10, "plain text"},
        {"a\nb\r\t", 5, "a\\x0ab\\x0d\\x09"},
        {"\x1b[2J", 4, "\\x1b[2J"},
        {"a\\b", 3, "a\\x5cb"},
        {"\0", 1, "\\x00"},
        {"\xc3\xa9\xff", 3, "\xc3\xa9\\xff"},
        {"\xc2\x9b", 2, "\\xc2\\x9b"},          /* C1 CSI */
        {"\xe2\x80\xae", 3, "\\xe2\\x80\\xae"}, /* right-to-left override */
        {"\xe2\x80\xa8", 3, "\\xe2\\x80\\xa8"}, /* line separator */
        {"\xe2\x82", 2, "\\xe2\\x82"},          /* cut sequence */
        {"\x7f", 1, "\\x7f"},
        {"", 0, ""},
    };
    char out[64];
    for (size_t i = 0; i < sizeof v / sizeof *v; i++)
        assert_string_equal(nk_escape(out, sizeof out, v[i].in, v[i].n), v[i].want);
}

static void escape_cuts(void **state)
{
    (void)state;
    char out[16];
    assert_string_equal(nk_escape(out, 6, "abcde", 5), "abcde");
    assert_string_equal(nk_escape(out, 6, "abcdef", 6), "ab...");
    assert_string_equal(nk_escape(out, 6, "a\nbcdef", 7), "a...");
    assert_string_equal(nk_escape(out, 5, "ab\n", 3), "a...");
    assert_string_equal(nk_escape(out, 4, "abcd", 4), "...");
    assert_string_equal(nk_escape(out, 3, "abcd", 4), "..");
    assert_string_equal(nk_escape(out, 1, "abcd", 4), "");
    assert_string_equal(nk_escape(out, 7, "ab\xc3\xa9\xc3\xa9\xc3\xa9", 8), "ab...");
    out[0] = 'x';
    nk_escape(out, 0, "a", 1);
    assert_int_equal(out[0], 'x');
    for (size_t max = 1; max < sizeof out; max++) /* never beyond max, always a whole character */
        assert_true(
            nk_utf8_valid(out, strlen(nk_escape(out, max, "\xc3\xa9\n\xe2\x82\xacxyz\xff", 10))));
}

int nk_test_base_codec(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hex),
        cmocka_unit_test(rfc4648_vectors),
        cmocka_unit_test(every_byte_round_trips),
        cmocka_unit_test(base64_is_strict),
        cmocka_unit_test(base32_is_strict),
        cmocka_unit_test(percent),
        cmocka_unit_test(utf8),
        cmocka_unit_test(escape),
        cmocka_unit_test(escape_cuts),
    };
    return cmocka_run_group_tests_name("base/codec", tests, NULL, NULL);
}
