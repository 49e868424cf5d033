/* SPDX-License-Identifier: MIT */
/* Lines as tor 0.4.9 sends them. */
#include "tor/bootstrap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int parse(struct tor_bootstrap *b, const char *text)
{
    return tor_bootstrap_parse(b, text, strlen(text));
}

static void phases(void **state)
{
    struct tor_bootstrap b;
    (void)state;
    assert_int_equal(parse(&b, "NOTICE BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY=\"Connecting to a "
                               "relay\""),
                     0);
    assert_int_equal(b.percent, 5);
    assert_string_equal(b.tag, "conn");
    assert_string_equal(b.summary, "Connecting to a relay");
    assert_false(b.trouble);
    assert_false(b.serious);
    assert_int_equal(
        parse(&b, "STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY=\"Done\" NEW=1"),
        0);
    assert_int_equal(b.percent, TOR_BOOTSTRAP_DONE);
}

static void troubles(void **state)
{
    struct tor_bootstrap b;
    (void)state;
    assert_int_equal(
        parse(&b, "STATUS_CLIENT WARN BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY=\"Connecting\" "
                  "WARNING=\"Connection \\\"refused\\\"\\nx\" REASON=CONNECTREFUSED COUNT=4 "
                  "RECOMMENDATION=warn HOSTID=\"AB\" HOSTADDR=\"192.0.2.1:443\""),
        0);
    assert_true(b.trouble);
    assert_true(b.serious);
    assert_int_equal(b.count, 4);
    assert_string_equal(b.warning, "Connection \"refused\"?x");
    assert_string_equal(b.reason, "CONNECTREFUSED");
    assert_string_equal(b.host, "192.0.2.1:443");
    assert_int_equal(parse(&b, "STATUS_CLIENT WARN BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY=\"x\" "
                               "WARNING=\"y\" REASON=TIMEOUT COUNT=1 RECOMMENDATION=ignore"),
                     0);
    assert_true(b.trouble);
    assert_false(b.serious);
}

/* Nothing else is taken for progress, and a bad line changes nothing. */
static void others(void **state)
{
    static const struct {
        const char *text;
        int rc;
    } rows[] = {{"STATUS_CLIENT NOTICE CIRCUIT_ESTABLISHED", -ENOENT},
                {"STATUS_CLIENT NOTICE ENOUGH_DIR_INFO", -ENOENT},
                {"", NK_EPROTO},
                {"NOTICE", NK_EPROTO},
                {"STATUS_CLIENT", NK_EPROTO},
                {"NOTICE BOOTSTRAP", NK_EPROTO},
                {"NOTICE BOOTSTRAP TAG=conn", NK_EPROTO},
                {"NOTICE BOOTSTRAP PROGRESS=101", NK_EPROTO},
                {"NOTICE BOOTSTRAP PROGRESS=-1", NK_EPROTO},
                {"NOTICE BOOTSTRAP PROGRESS=", NK_EPROTO},
                {"NOTICE BOOTSTRAP PROGRESS=1 SUMMARY=\"x", NK_EPROTO}};
    struct tor_bootstrap b = {.percent = 33};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(parse(&b, rows[i].text), rows[i].rc);
        assert_int_equal(b.percent, 33);
    }
}

static void long_texts_are_cut(void **state)
{
    char text[600] = "NOTICE BOOTSTRAP PROGRESS=7 SUMMARY=\"";
    struct tor_bootstrap b;
    (void)state;
    size_t n = strlen(text);
    memset(text + n, 'x', 500);
    text[n + 500] = '"';
    text[n + 501] = '\0';
    assert_int_equal(parse(&b, text), 0);
    assert_int_equal(strlen(b.summary), TOR_BOOTSTRAP_TEXT - 1);
}

int nk_test_tor_bootstrap(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phases),
        cmocka_unit_test(troubles),
        cmocka_unit_test(others),
        cmocka_unit_test(long_texts_are_cut),
    };
    return cmocka_run_group_tests_name("tor/bootstrap", tests, NULL, NULL);
}
