/* SPDX-License-Identifier: MIT */
#include "base/utc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

static void both_ways(void **state)
{
    (void)state;
    static const struct {
        int64_t seconds;
        const char *text;
    } t[] = {
        {0, "1970-01-01T00:00:00Z"},
        {-1, "1969-12-31T23:59:59Z"},
        {951782400, "2000-02-29T00:00:00Z"},
        {1460545200, "2016-04-13T11:00:00Z"},
        {253402300799, "9999-12-31T23:59:59Z"},
        {-62167219200, "0000-01-01T00:00:00Z"},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        char out[NK_UTC_SIZE];
        int64_t back;
        assert_true(nk_format_utc(out, t[i].seconds));
        assert_string_equal(out, t[i].text);
        assert_int_equal(nk_parse_utc(out, &back), 0);
        assert_int_equal(back, t[i].seconds);
    }
}

static void years_out_of_range(void **state)
{
    (void)state;
    static const int64_t t[] = {253402300800, -62167219201, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        char out[NK_UTC_SIZE] = "x";
        assert_false(nk_format_utc(out, t[i]));
        assert_string_equal(out, "");
    }
}

static void other_spellings(void **state)
{
    (void)state;
    static const char *const good[] = {"2016-04-13T11:00:00", "2016-04-13 11:00:00",
                                       "2016-4-13 11:0:0", "2016-04-13 10:59:60"};
    static const char *const bad[] = {
        "",
        "2016",
        "2016-04-13",
        "2016-04-13T11:00",
        "2016-04-13T11:00:",
        "2016-04-13T11:00:00ZZ",
        "2016-04-13T11:00:00 ",
        " 2016-04-13T11:00:00",
        "2016-13-13T11:00:00",
        "2016-00-13T11:00:00",
        "2016-04-32T11:00:00",
        "2016-04-13T24:00:00",
        "2016-04-13T11:60:00",
        "2016-04-13T11:00:61",
        "20160-04-13T11:00:00",
        "2016-04-13x11:00:00",
        "-016-04-13T11:00:00",
    };
    int64_t at = 7;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        assert_int_equal(nk_parse_utc(good[i], &at), 0);
        assert_int_equal(at, 1460545200);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        if (nk_parse_utc(bad[i], &at) != NK_EFORMAT) {
            fail_msg("'%s' is taken for a time", bad[i]);
        }
        assert_int_equal(at, 1460545200);
    }
}

int nk_test_base_utc(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),
        cmocka_unit_test(years_out_of_range),
        cmocka_unit_test(other_spellings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
