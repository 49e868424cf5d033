/* SPDX-License-Identifier: MIT */
#include "base/decimal.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

int nk_test_base_decimal(void);

static uint64_t bits(double value)
{
    uint64_t out;
    memcpy(&out, &value, sizeof out);
    return out;
}

/* The same double, bit for bit, and the same end. */
static void same_as_strtod(const char *text)
{
    char *end_own = NULL, *end_libc = NULL;
    double own = nk_strtod(text, &end_own), libc = strtod(text, &end_libc);
    if (bits(own) != bits(libc) || end_own != end_libc)
        fail_msg("'%s': %a and %td, not %a and %td", text, own, end_own - text, libc,
                 end_libc - text);
}

static void written_by_hand(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0",
        "-0",
        "0.0",
        "-0.0",
        "0e5",
        "00",
        "007",
        "00.5",
        "1",
        "-1",
        "1.",
        "1.e5",
        ".5",
        "-.5",
        "-",
        "",
        "x",
        "+1",
        " 1",
        "0x10",
        "-0x1p3",
        "inf",
        "-nan",
        "1e",
        "1e+",
        "1e-",
        "1ex",
        "1e5",
        "1E5",
        "1e+5",
        "1e-5",
        "1e27",
        "1e28",
        "1e-27",
        "1e-28",
        "1.5e27",
        "1.5e28",
        "1e46",
        "1e47",
        "1e308",
        "1e309",
        "1e-400",
        "5e-324",
        "1e99999999999999999999",
        "1,5",
        "1.5.5",
        "1.5e3e3",
        "9007199254740993",
        "9007199254740992.5",
        "9007199254740993.0",
        "9007199254740991.5",
        "1234567890123456789",
        "9999999999999999999",
        "18446744073709551615",
        "12345678901234567890",
        "0.1234567890123456789",
        "0.12345678901234567891",
        "0.00000000000000000000000000000000001",
        "0.3",
        "2.2250738585072011e-308",
        "123456789012345678e-27",
        "72057594037927945",
        "7205759403792793600e-9",
        "9223372036854775807e27",
        "0.1e1",
        "100000000000000000000",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        same_as_strtod(texts[i]);
    assert_true(nk_strtod("2.5", NULL) > 2.4); /* without an end */
}

/* A fixed sequence (Knuth's MMIX generator), so that a failure comes back. */
static uint64_t next(uint64_t *x)
{
    *x = *x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *x >> 11;
}

static void written_by_programs(void **state)
{
    (void)state;
    uint64_t x = 1;
    char text[64];
    for (int i = 0; i < 20000; i++) {
        uint64_t digits = next(&x) >> next(&x) % 50;
        int power = (int)(next(&x) % 70) - 35;
        snprintf(text, sizeof text, "%" PRIu64 "e%d", digits, power);
        same_as_strtod(text);
        double d = (double)digits / (double)(next(&x) + 1);
        snprintf(text, sizeof text, "%.*g", (int)(next(&x) % 19) + 1, d);
        same_as_strtod(text);
        snprintf(text, sizeof text, "-%" PRIu64 ".%" PRIu64, digits % 1000, next(&x));
        same_as_strtod(text);
    }
}

/* Numbers halfway between two doubles, and next to halfway. */
static void halves(void **state)
{
    (void)state;
    uint64_t x = 2;
    char text[64];
    for (int i = 0; i < 2000; i++) {
        uint64_t odd = (UINT64_C(1) << 53) + 2 * (next(&x) >> 1) + 1; /* needs 54 bits */
        for (int off = -1; off <= 1; off++) {
            snprintf(text, sizeof text, "%" PRIu64, odd + (uint64_t)off);
            same_as_strtod(text);
            snprintf(text, sizeof text, "%" PRIu64 ".5", odd / 16 + (uint64_t)off);
            same_as_strtod(text);
        }
    }
}

int nk_test_base_decimal(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_by_hand),
        cmocka_unit_test(written_by_programs),
        cmocka_unit_test(halves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
