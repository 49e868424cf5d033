/* SPDX-License-Identifier: MIT */
#include "relay/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX 1000

static void one(const char *text, const char *group, int64_t n)
{
    struct relay_endpoint_dest d = {0};
    struct nk_diag diag = {0};
    assert_int_equal(relay_endpoint_dest_parse(&text, 1, 1, -1, MAX, &d, &diag), 0);
    assert_int_equal(d.n, 1);
    assert_string_equal(d.v[0].group, group);
    assert_int_equal(d.v[0].n, n);
    relay_endpoint_dest_clear(&d);
}

static void refused(const char *const *texts, size_t n, int64_t min, int64_t max)
{
    struct relay_endpoint_dest d = {0};
    struct nk_diag diag = {0};
    assert_int_equal(relay_endpoint_dest_parse(texts, n, 1, min, max, &d, &diag), NK_EUSAGE);
    assert_int_equal(diag.code, NK_EUSAGE);
    relay_endpoint_dest_clear(&d);
}

static void test_parse(void **state)
{
    (void)state;
    one("g", "g", 1);
    one("g=7", "g", 7);
    one("g=-1", "g", -1);
    one("a=b", "a=b", 1);
    one("a=b=3", "a=b", 3);
    one("a=", "a=", 1);
    one("a=-", "a=-", 1);
    one("a=1x", "a=1x", 1);
    one("caf\xc3\xa9 au lait", "caf\xc3\xa9 au lait", 1);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const zero = "g=0", *const many = "g=1001", *const few = "g=-2",
                             *const huge = "g=99999999999999999999", *const bytes = "\xff",
                             *const empty = "", *const nameless = "=5";
    static const char *const twice[] = {"g", "h", "g=2"};
    char longname[ENDPOINT_GROUP_MAX + 2];
    const char *p = longname;
    refused(&zero, 1, -1, MAX);
    refused(&many, 1, -1, MAX);
    refused(&few, 1, -1, MAX);
    refused(&huge, 1, -1, MAX);
    refused(&bytes, 1, -1, MAX);
    refused(&empty, 1, -1, MAX); /* the native wire has no empty names */
    refused(&nameless, 1, -1, MAX);
    refused(twice, 3, -1, MAX);
    const char *const number = "g=2";
    refused(&number, 1, -1, -1); /* a broadcast takes no number */
    memset(longname, 'g', sizeof(longname) - 1);
    longname[sizeof(longname) - 1] = '\0';
    refused(&p, 1, -1, MAX);
}

static void test_groups(void **state)
{
    (void)state;
    char a[] = "a", b[] = "b", a2[] = "a";
    char *good[] = {a, b}, *bad[] = {a, b, a2};
    struct nk_diag diag = {0};
    assert_int_equal(relay_endpoint_groups_check(&(struct nk_strlist){good, 2}, &diag), 0);
    assert_int_equal(relay_endpoint_groups_check(&(struct nk_strlist){bad, 3}, &diag), NK_EUSAGE);
}

static void connect_to(const char *listen, const char *expected)
{
    char *text = relay_endpoint_connect_to(listen);
    if (expected) {
        assert_non_null(text);
        assert_string_equal(text, expected);
    } else {
        assert_null(text);
    }
    free(text);
}

static void test_connect_to(void **state)
{
    (void)state;
    connect_to("tcp:127.0.0.1:3000", "tcp:127.0.0.1:3000");
    connect_to("tcp::3000", "tcp:127.0.0.1:3000");
    connect_to("tcp:0.0.0.0:3000", "tcp:127.0.0.1:3000");
    connect_to("tcp:[::]:3000", "tcp:[::1]:3000");
    connect_to("tcp:[::1]:3000", "tcp:[::1]:3000");
    connect_to("tcp:relay.example:3000,backlog=5", "tcp:relay.example:3000");
    connect_to("unix:/run/relay.sock,mode=0600", "unix:/run/relay.sock");
    connect_to("tcp:127.0.0.1:0", NULL);
    connect_to("onion:80,key=k", NULL);
    connect_to("tls+tcp:127.0.0.1:1", NULL);
    connect_to("", NULL);
}

int nk_test_relay_endpoint_dest(void);
int nk_test_relay_endpoint_dest(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_connect_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
