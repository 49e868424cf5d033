/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/app.h"
#include "core/resolve.h"

static void first_now(char *out, size_t max, const char *host, int passive)
{
    struct nk_addr addrs[2];
    struct nk_diag diag = {0};
    size_t n = 0;
    int rc = nk_resolve_now(host, 22, passive, addrs, &n, &diag);
    if (rc < 0) {
        snprintf(out, max, "%d", rc);
    } else {
        nk_addr_format(out, max, &addrs[0]);
    }
}

static void test_answers_without_lookup(void **state)
{
    (void)state;
    static const struct {
        const char *host, *want;
        int passive;
    } cases[] = {
        {"127.0.0.1", "127.0.0.1:22", 0},       {"::1", "[::1]:22", 0},
        {"2001:DB8::1", "[2001:db8::1]:22", 0}, {"::ffff:192.0.2.1", "192.0.2.1:22", 0},
        {"localhost", "127.0.0.1:22", 0},       {"LocalHost.", "127.0.0.1:22", 0},
        {"a.b.localhost", "127.0.0.1:22", 0},   {"", "[::]:22", 1},
    };
    char got[80];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        first_now(got, sizeof(got), cases[i].host, cases[i].passive);
        assert_string_equal(got, cases[i].want);
    }
}

static int code_of(const char *host)
{
    struct nk_addr addrs[2];
    struct nk_diag diag = {0};
    size_t n = 99;
    int rc = nk_resolve_now(host, 22, 0, addrs, &n, &diag);
    assert_int_equal(n, 99); /* untouched on failure */
    return rc;
}

static void test_refused_names(void **state)
{
    (void)state;
    static const char *const usage[] = {
        "127.1",     "0x7f.1",         "0x7f000001", "2130706433", "1.2.3.4.",
        "1.2.3.256", "01.2.3.4",       "host.123",   "a.0x1f",     "0x",
        "x.onion",   "X.ONION.",       "onion",      "a.b.onion",  "::g",
        "1::2::3",   "::1%nosuchzone", "a b",        "a\tb",       "caf\xc3\xa9.example"};
    for (size_t i = 0; i < sizeof(usage) / sizeof(usage[0]); i++) {
        assert_int_equal(code_of(usage[i]), NK_EUSAGE);
    }
    assert_int_equal(code_of(""), NK_ENONAME);
    assert_int_equal(code_of("."), NK_ENONAME);
    char name[300];
    memset(name, 'a', sizeof(name));
    name[253] = '\0';
    assert_int_equal(code_of(name), -ENOENT); /* 253 bytes: allowed */
    name[253] = 'a';
    name[254] = '\0';
    assert_int_equal(code_of(name), NK_ENONAME);
    name[253] = '.';
    assert_int_equal(code_of(name), -ENOENT); /* the root's dot does not count */
    assert_int_equal(code_of("notlocalhost"), -ENOENT);
    assert_int_equal(code_of("onion.example"), -ENOENT);
    assert_int_equal(code_of("x1.0xg"), -ENOENT);
}

struct answer {
    int calls, status;
    size_t n;
    char text[400];
};

static void on_answer(void *owner, int status, const struct nk_addr *addrs, size_t n,
                      const struct nk_diag *diag)
{
    struct answer *a = owner;
    (void)addrs;
    a->calls++;
    a->status = status;
    a->n = n;
    snprintf(a->text, sizeof(a->text), "%s", diag->text);
}

static struct nk_app *new_app(void)
{
    struct nk_app *app = NULL;
    struct nk_app_conf conf = {0};
    assert_int_equal(nk_app_new(&app, &conf, NULL), 0);
    return app;
}

static void test_answers_later_and_once(void **state)
{
    (void)state;
    struct nk_app *app = new_app();
    struct answer a = {0}, b = {0}, c = {0};
    struct nk_resolve *r;
    assert_int_equal(nk_resolve_start(app, "localhost", 80, 0, on_answer, &a, &r), 0);
    assert_int_equal(nk_resolve_start(app, "x.onion", 80, 0, on_answer, &b, &r), 0);
    assert_int_equal(nk_resolve_start(app, "::1", 80, 0, on_answer, &c, &r), 0);
    nk_resolve_cancel(r);
    nk_resolve_cancel(NULL);
    assert_int_equal(a.calls + b.calls, 0);
    nk_app_run(app);
    assert_int_equal(a.calls, 1);
    assert_int_equal(a.n, 2);
    assert_int_equal(b.calls, 1);
    assert_int_equal(b.status, NK_EUSAGE);
    assert_non_null(strstr(b.text, "Tor"));
    assert_int_equal(c.calls, 0);
    nk_app_free(app);
}

/* A name that goes to a lane. Without a network the answer is an error, which is an answer too. */
static void test_lookup_in_a_lane(void **state)
{
    (void)state;
    struct nk_app *app = new_app();
    struct answer a = {0}, b = {0};
    struct nk_resolve *r;
    /* 64 bytes in a label: the resolver refuses it without asking anybody (RFC 1035 §2.3.4) */
    char name[80];
    memset(name, 'a', 64);
    strcpy(name + 64, ".invalid");
    assert_int_equal(nk_resolve_start(app, name, 80, 0, on_answer, &a, &r), 0);
    assert_int_equal(nk_resolve_start(app, name, 80, 0, on_answer, &b, &r), 0);
    nk_resolve_cancel(r);
    nk_app_run(app);
    assert_int_equal(a.calls, 1);
    assert_true(a.status < 0);
    assert_int_equal(a.n, 0);
    assert_non_null(strstr(a.text, ".invalid"));
    assert_int_equal(b.calls, 0);
    nk_app_free(app);
}

static void test_local_names(void **state)
{
    (void)state;
    static const char *const here[] = {"127.0.0.1", "127.9.8.7",   "::1",
                                       "localhost", "a.localhost", "LOCALHOST."};
    static const char *const elsewhere[] = {"127.example.com",
                                            "127.0.0.1.example.com",
                                            "localhost.example.com",
                                            "0.0.0.0",
                                            "::",
                                            "10.0.0.1",
                                            "128.0.0.1",
                                            "",
                                            "x.onion",
                                            "fe80::1",
                                            "::ffff:10.0.0.1"};
    for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++) {
        assert_true(nk_resolve_is_local(here[i]));
    }
    for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
        assert_false(nk_resolve_is_local(elsewhere[i]));
    }
}

static void test_local_bodies(void **state)
{
    (void)state;
    static const char *const here[] = {"127.0.0.1:80", "[::1]:0", "localhost:9150"};
    static const char *const elsewhere[] = {
        ":80", "0.0.0.0:80", "[::]:80", "127.0.0.1.example.com:80", "10.0.0.1:80", "[::1:80", ""};
    for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++) {
        assert_true(nk_resolve_body_is_local(here[i]));
    }
    for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
        assert_false(nk_resolve_body_is_local(elsewhere[i]));
    }
}

int nk_test_core_resolve(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_without_lookup),
        cmocka_unit_test(test_refused_names),
        cmocka_unit_test(test_answers_later_and_once),
        cmocka_unit_test(test_lookup_in_a_lane),
        cmocka_unit_test(test_local_names),
        cmocka_unit_test(test_local_bodies),
    };
    return cmocka_run_group_tests_name("core/resolve", tests, NULL, NULL);
}
