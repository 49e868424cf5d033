/* SPDX-License-Identifier: MIT */
#include "relay/acl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static bool match(const char *pattern, const char *text)
{
    return relay_acl_match(pattern, strlen(pattern), text, strlen(text));
}

static void test_match(void **state)
{
    (void)state;
    static const char *const yes[][2] = {
        {"*", ""},
        {"*", "anything"},
        {"a", "a"},
        {"a*", "a"},
        {"a*", "abc"},
        {"*c", "abc"},
        {"a*c", "abbbc"},
        {"a*b*c", "axbxbxc"},
        {"?", "x"},
        {"?", "\xc3\xa4"},
        {"a?c", "a\xe2\x82\xac"
                "c"},
        {"**", "x"},
        {"?*", "x"},
        {"jobs.*", "jobs."},
        {"*a*a*", "banana"},
        {"\\*", "\\x"},
    };
    static const char *const no[][2] = {
        {"a", ""},     {"a", "ab"},   {"a", "A"},         {"?", ""}, {"?", "xy"},
        {"a*c", "ab"}, {"*b", "abc"}, {"jobs.*", "jobs"}, {"", "x"}, {"[ab]", "a"},
    };
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (!match(yes[i][0], yes[i][1])) {
            fail_msg("%s does not match %s", yes[i][0], yes[i][1]);
        }
    }
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        if (match(no[i][0], no[i][1])) {
            fail_msg("%s matches %s", no[i][0], no[i][1]);
        }
    }
    assert_true(relay_acl_match("a*c", 3, "a\0c", 3)); /* names are bytes */
    assert_false(relay_acl_match("a", 1, "a\0c", 3));
}

/* What makes a careless matcher exponential. */
static void test_match_is_bounded(void **state)
{
    (void)state;
    char pattern[RELAY_ACL_PATTERN_MAX], text[RELAY_ACL_PATTERN_MAX];
    memset(text, 'a', sizeof(text));
    for (size_t i = 0; i < sizeof(pattern); i++) {
        pattern[i] = i % 2 ? '*' : 'a';
    }
    pattern[sizeof(pattern) - 1] = 'b';
    assert_false(relay_acl_match(pattern, sizeof(pattern), text, sizeof(text)));
}

static unsigned rights(const struct relay_acl *a, const char *identity, const char *group)
{
    return relay_acl_rights(a, identity, group, strlen(group));
}

static void test_rules(void **state)
{
    (void)state;
    struct relay_acl *a = relay_acl_new();
    assert_int_equal(rights(NULL, "x", "g"), RELAY_MAY_ALL);
    assert_int_equal(rights(a, "x", "g"), RELAY_MAY_ALL); /* no rule yet: as with tlspyo */
    assert_int_equal(relay_acl_add(a, "alice", "jobs.*", RELAY_MAY_PRODUCE), 0);
    assert_int_equal(rights(a, "x", "g"), 0);
    assert_int_equal(rights(a, "alice", "jobs.a"), RELAY_MAY_PRODUCE);
    assert_int_equal(rights(a, "alice", "job"), 0);
    assert_int_equal(rights(a, "Alice", "jobs.a"), 0);
    assert_int_equal(relay_acl_add(a, "*", "news", RELAY_MAY_CONSUME), 0);
    assert_int_equal(relay_acl_add(a, "alice", "*", RELAY_MAY_CONSUME), 0);
    assert_int_equal(rights(a, "alice", "jobs.a"), RELAY_MAY_PRODUCE | RELAY_MAY_CONSUME);
    assert_int_equal(rights(a, "bob", "news"), RELAY_MAY_CONSUME);
    assert_int_equal(rights(a, "", "news"), RELAY_MAY_CONSUME);
    assert_true(relay_acl_allows(a, "bob", "news", 4, RELAY_MAY_CONSUME));
    assert_false(relay_acl_allows(a, "bob", "news", 4, RELAY_MAY_BROADCAST));
    assert_int_equal(relay_acl_add(a, "", "x", 1), NK_ECONFIG);
    assert_int_equal(relay_acl_add(a, "x", "", 1), NK_ECONFIG);
    assert_int_equal(relay_acl_add(a, "x", "x", 0), NK_ECONFIG);
    assert_int_equal(relay_acl_add(a, "x", "x", 16), NK_ECONFIG);
    assert_int_equal(relay_acl_rules(a), 3);
    relay_acl_unref(a);
}

static void test_words(void **state)
{
    (void)state;
    unsigned r = 0;
    assert_int_equal(relay_acl_parse_rights("produce", &r, NULL), 0);
    assert_int_equal(r, RELAY_MAY_PRODUCE);
    assert_int_equal(relay_acl_parse_rights("consume , admin,broadcast", &r, NULL), 0);
    assert_int_equal(r, RELAY_MAY_CONSUME | RELAY_MAY_ADMIN | RELAY_MAY_BROADCAST);
    static const char *const bad[] = {"", ",", "produce,", "all", "produce;consume", "Produce"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        r = 99;
        assert_int_equal(relay_acl_parse_rights(bad[i], &r, NULL), NK_ECONFIG);
        assert_int_equal(r, 99);
    }
    for (unsigned bit = 1; bit < RELAY_MAY_ALL; bit *= 2) {
        assert_int_equal(relay_acl_parse_rights(relay_acl_right_name(bit), &r, NULL), 0);
        assert_int_equal(r, bit);
    }
}

int nk_test_relay_acl(void);
int nk_test_relay_acl(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_match_is_bounded),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests_name("relay/acl", tests, NULL, NULL);
}
