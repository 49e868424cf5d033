/* SPDX-License-Identifier: MIT */
#include "tor/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

static void listeners(void **state)
{
    static const char *const rows[][2] = {
        {"\"127.0.0.1:9050\"", "tcp:127.0.0.1:9050"},
        {"\"127.0.0.1:9050\" \"unix:/run/tor/socks\"", "tcp:127.0.0.1:9050"},
        {"\"unix:/run/tor/socks\" \"127.0.0.1:9050\"", "unix:/run/tor/socks"},
        {"\"unix:/a,b%c d\"", "unix:/a%2Cb%25c d"},
        {"\"0.0.0.0:1\"", "tcp:127.0.0.1:1"},
        {"\"[::]:1\"", "tcp:[::1]:1"},
        {"\"[2001:db8::1]:1\"", "tcp:[2001:db8::1]:1"},
        {"", ""},
    };
    char out[TOR_ADDRESS_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(tor_address_listener(out, sizeof(out), rows[i][0], strlen(rows[i][0])), 0);
        assert_string_equal(out, rows[i][1]);
    }
}

static void refused(void **state)
{
    static const char *const rows[] = {"\"127.0.0.1:9050", "\"x\"", "a=\"127.0.0.1:1\"",
                                       "\"127.0.0.1:1,isolate=x\""};
    char out[TOR_ADDRESS_SIZE] = "as it was";
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(tor_address_listener(out, sizeof(out), rows[i], strlen(rows[i])),
                         NK_EPROTO);
    }
    assert_int_equal(tor_address_listener(out, 10, "\"127.0.0.1:9050\"", 16), NK_ETOOBIG);
    assert_int_equal(tor_address_unix(out, 10, "/123456789"), NK_ETOOBIG);
    assert_string_equal(out, "as it was");
}

int nk_test_tor_address(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(listeners), cmocka_unit_test(refused)};
    return cmocka_run_group_tests_name("tor/address", tests, NULL, NULL);
}
