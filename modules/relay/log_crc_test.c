/* SPDX-License-Identifier: MIT */
#include "relay/log_crc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

int nk_test_relay_log_crc(void);

static void both(const void *p, size_t n, uint32_t expected)
{
    assert_int_equal(relay_crc32c(0, p, n), expected);
    assert_int_equal(relay_crc32c_table(0, p, n), expected);
}

/* RFC 3720 appendix B.4; "123456789" is the check value every catalogue of CRCs has. */
static void test_known_answers(void **state)
{
    (void)state;
    uint8_t b[32];
    memset(b, 0, sizeof(b));
    both(b, sizeof(b), 0x8a9136aa);
    memset(b, 0xff, sizeof(b));
    both(b, sizeof(b), 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++) {
        b[i] = i;
    }
    both(b, sizeof(b), 0x46dd794e);
    for (uint8_t i = 0; i < 32; i++) {
        b[i] = (uint8_t)(31 - i);
    }
    both(b, sizeof(b), 0x113fdb5c);
    both("123456789", 9, 0xe3069283);
    both("", 0, 0);
}

/* Every length and alignment: in one piece, in two, and by table are the same. */
static void test_pieces(void **state)
{
    (void)state;
    uint8_t b[80];
    for (size_t i = 0; i < sizeof(b); i++) {
        b[i] = (uint8_t)(i * 37 + 11);
    }
    for (size_t from = 0; from < 9; from++) {
        for (size_t n = 0; n <= 64; n++) {
            uint32_t whole = relay_crc32c(0, b + from, n);
            assert_int_equal(whole, relay_crc32c_table(0, b + from, n));
            for (size_t cut = 0; cut <= n; cut++) {
                uint32_t crc = relay_crc32c(0, b + from, cut);
                assert_int_equal(relay_crc32c(crc, b + from + cut, n - cut), whole);
            }
        }
    }
}

int nk_test_relay_log_crc(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_pieces),
    };
    return cmocka_run_group_tests_name("relay/log_crc", tests, NULL, NULL);
}
