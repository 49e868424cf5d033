/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tor/given.h"

static int name(const char *text)
{
    return tor_name_check(text, strlen(text), "name", NULL);
}

static void test_ids(void **state)
{
    (void)state;
    assert_int_equal(tor_id_check("1", false, "stream", NULL), 0);
    assert_int_equal(tor_id_check("9999999999999999", false, "stream", NULL), 0);
    assert_int_equal(tor_id_check("0", true, "circuit", NULL), 0);
    static const char *const wrong[] = {
        "", "0", "01", "1 ", " 1", "-1", "+1", "x", "1a", "1,2", "12345678901234567"};
    struct nk_diag diag = {0};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(tor_id_check(wrong[i], false, "stream", &diag), NK_EUSAGE);
    assert_string_equal(diag.text, "'12345678901234567' is no stream");
    assert_int_equal(tor_id_check("00", true, "circuit", NULL), NK_EUSAGE);
}

static void test_names(void **state)
{
    (void)state;
    char longest[TOR_GIVEN_MAX + 2];
    assert_int_equal(name("HS_DESC"), 0);
    assert_int_equal(name("__LeaveStreamsUnattached"), 0);
    assert_int_equal(tor_name_check("ORPort=9001", 6, "option", NULL), 0);
    assert_int_equal(tor_name_check("OR Port=9001", 7, "option", NULL), NK_EUSAGE);
    static const char *const wrong[] = {"", "a b", "a=b", "a.b", "a\nb", "caf\xc3\xa9", "\"a\""};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(name(wrong[i]), NK_EUSAGE);
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(name(longest), NK_EUSAGE);
    assert_int_equal(name(longest + 1), 0);
}

static void test_words(void **state)
{
    (void)state;
    char *const fine[] = {(char[]){"ip-to-country/192.0.2.1"}, (char[]){"desc/id/$AB~x"}};
    char *const wrong[] = {fine[0], (char[]){"a b"}};
    struct nk_diag diag = {0};
    assert_int_equal(tor_words_check(fine, 2, "key", NULL), 0);
    assert_int_equal(tor_words_check(wrong, 2, "key", &diag), NK_EUSAGE);
    assert_string_equal(diag.text, "'a b' is no key");
    assert_int_equal(tor_words_check(wrong, 1, "key", NULL), 0);
    static const char *const bad[] = {"", "\"", "a\\b", "a\tb", "\x7f", "\xc3\xa9"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(tor_word_check(bad[i], "key", NULL), NK_EUSAGE);
}

int nk_test_tor_given(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ids), cmocka_unit_test(test_names),
                                       cmocka_unit_test(test_words)};
    return cmocka_run_group_tests_name("tor/given", tests, NULL, NULL);
}
