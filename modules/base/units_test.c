/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/codec.h"
#include "base/err.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void integers(void **state)
{
    (void)state;
    uint64_t u = 5;
    int64_t i = 5;
    static const char *const bad[] = {"",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "0x1",
                                      "1e3",
                                      "1.0",
                                      "18446744073709551616",
                                      "99999999999999999999",
                                      "a"};
    for (size_t k = 0; k < COUNT(bad); k++)
        assert_int_equal(nk_parse_u64(bad[k], &u), NK_EFORMAT);
    assert_true(u == 5);
    assert_int_equal(nk_parse_u64("18446744073709551615", &u), 0);
    assert_true(u == UINT64_MAX);
    assert_int_equal(nk_parse_u64("007", &u), 0);
    assert_true(u == 7);
    static const char *const ibad[] = {
        "", "-", "--1", "- 1", "9223372036854775808", "-9223372036854775809", "1-"};
    for (size_t k = 0; k < COUNT(ibad); k++)
        assert_int_equal(nk_parse_i64(ibad[k], &i), NK_EFORMAT);
    assert_true(i == 5);
    assert_int_equal(nk_parse_i64("-9223372036854775808", &i), 0);
    assert_true(i == INT64_MIN);
    assert_int_equal(nk_parse_i64("9223372036854775807", &i), 0);
    assert_true(i == INT64_MAX);
    assert_int_equal(nk_parse_i64("-0", &i), 0);
    assert_true(i == 0);
}

static void sizes(void **state)
{
    (void)state;
    static const struct {
        const char *s;
        uint64_t v;
    } good[] = {{"0", 0},
                {"4096", 4096},
                {"64k", 65536},
                {"64K", 65536},
                {"64KiB", 65536},
                {"64kiB", 65536},
                {"1kB", 1000},
                {"1MB", 1000000},
                {"2M", 2097152},
                {"3GiB", 3221225472},
                {"1T", 1099511627776},
                {"1TB", 1000000000000},
                {"16777215T", 16777215 * UINT64_C(1099511627776)}};
    static const char *const bad[] = {"",    "k",    "1 k", "1kb",   "1kib", "1KIB",      "1B",
                                      "1kk", "1.5M", "-1k", "1kiB ", "1P",   "16777216T", "1kX"};
    uint64_t v;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_int_equal(nk_parse_size(good[i].s, &v), 0);
        assert_true(v == good[i].v);
    }
    v = 5;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(nk_parse_size(bad[i], &v), NK_EFORMAT);
    assert_true(v == 5);
}

static void durations(void **state)
{
    (void)state;
    static const struct {
        const char *s;
        uint64_t ms;
    } good[] = {{"0", 0},       {"15", 15000},   {"250ms", 250},   {"15s", 15000},
                {"2m", 120000}, {"1h", 3600000}, {"3d", 259200000}};
    static const char *const bad[] = {"",
                                      "s",
                                      "1 s",
                                      "1.5s",
                                      "-1s",
                                      "1w",
                                      "1S",
                                      "1m30s",
                                      "18446744073709551615",
                                      "213503982335d"};
    uint64_t v;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_int_equal(nk_parse_duration(good[i].s, &v), 0);
        assert_true(v == good[i].ms);
    }
    v = 5;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(nk_parse_duration(bad[i], &v), NK_EFORMAT);
    assert_true(v == 5);
}

static void human_forms(void **state)
{
    (void)state;
    static const struct {
        uint64_t v;
        const char *s;
    } size[] = {{0, "0 B"},
                {1023, "1023 B"},
                {1024, "1 KiB"},
                {65536, "64 KiB"},
                {1572864, "1.5 MiB"},
                {1048575, "1 MiB"},
                {1024 * 1023 + 1000, "1 MiB"},
                {UINT64_MAX, "16 EiB"}};
    static const struct {
        uint64_t v;
        const char *s;
    } time[] = {{0, "0s"},         {7, "7ms"},      {1000, "1s"},        {1500, "1s 500ms"},
                {125000, "2m 5s"}, {3600000, "1h"}, {90000000, "1d 1h"}, {3605000, "1h"}};
    char out[32];
    for (size_t i = 0; i < COUNT(size); i++)
        assert_string_equal(nk_format_size(out, sizeof out, size[i].v), size[i].s);
    for (size_t i = 0; i < COUNT(time); i++)
        assert_string_equal(nk_format_duration(out, sizeof out, time[i].v), time[i].s);
    assert_string_equal(nk_format_size(out, 4, 65536), "64 ");
}

static void suggestions(void **state)
{
    (void)state;
    static const char *const names[] = {"listen", "cert", "key", "password_file", "header_size"};
    assert_string_equal(nk_suggest("lisen", names, 5), "listen");
    assert_string_equal(nk_suggest("lsiten", names, 5), "listen"); /* two swapped letters */
    assert_string_equal(nk_suggest("listne", names, 5), "listen");
    assert_string_equal(nk_suggest("pasword_fil", names, 5), "password_file");
    assert_string_equal(nk_suggest("listen", names, 5), "listen");
    assert_string_equal(nk_suggest("kye", names, 5), "key");
    assert_null(nk_suggest("ke", names, 5)); /* too short to guess from */
    assert_null(nk_suggest("", names, 5));
    assert_null(nk_suggest("connect", names, 5));
    assert_null(nk_suggest("listen", names, 0));
    char word[200];
    memset(word, 'a', sizeof word);
    word[sizeof word - 1] = '\0';
    assert_null(nk_suggest(word, names, 5));
    const char *lone[] = {word};
    assert_null(nk_suggest("listen", lone, 1));
}

int nk_test_base_units(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers),    cmocka_unit_test(sizes),       cmocka_unit_test(durations),
        cmocka_unit_test(human_forms), cmocka_unit_test(suggestions),
    };
    return cmocka_run_group_tests_name("base/units", tests, NULL, NULL);
}
