/* SPDX-License-Identifier: MIT */
#include "onion/hsdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

int nk_test_onion_hsdir(void);

enum { LINES = 8 };

static struct tor_reply reply_of(struct tor_line lines[LINES], const char *const *texts)
{
    size_t n = 0;
    for (; texts[n]; n++) {
        lines[n] =
            (struct tor_line){.code = 250, .kind = '-', .text = texts[n], .len = strlen(texts[n])};
    }
    lines[n - 1].kind = ' ';
    return (struct tor_reply){.code = 250, .lines = lines, .n = n};
}

static const struct onion_port port = {80, "127.0.0.1:8080"};
static const struct onion_spec spec = {.ports = &port, .nports = 1};

static void check_set(const char *const *texts, const char *dir, const struct onion_spec *s,
                      const char *want)
{
    struct tor_line lines[LINES];
    const struct tor_reply reply = reply_of(lines, texts);
    struct nk_buf out;
    struct nk_diag diag;
    nk_buf_init(&out, 4096);
    assert_int_equal(onion_hsdir_set(&out, &reply, dir, s, &diag), 0);
    assert_string_equal(nk_buf_str(&out), want);
    nk_buf_clear(&out);
}

static void check_none(void **state)
{
    static const char *const none[] = {"HiddenServiceOptions", NULL};
    (void)state;
    check_set(none, "/a", &spec,
              "SETCONF HiddenServiceDir=\"/a\" HiddenServicePort=\"80 127.0.0.1:8080\"");
    check_set(none, "/a", NULL, "RESETCONF HiddenServiceDir");
}

static void check_others(void **state)
{
    static const char *const two[] = {
        "HiddenServiceDir=/a b",     "HiddenServicePort=80 unix:\"/x y\"",
        "HiddenServiceMaxStreams=5", "HiddenServiceDir=\"/c\\\\d\\\"\"",
        "HiddenServicePort=81",      NULL};
    (void)state;
    /* nothing of the others is lost, and their order is kept */
    check_set(two, "/new", &spec,
              "SETCONF HiddenServiceDir=\"/a b\" HiddenServicePort=\"80 unix:\\\"/x y\\\"\" "
              "HiddenServiceMaxStreams=\"5\" HiddenServiceDir=\"/c\\\\d\\\"\" "
              "HiddenServicePort=\"81\" "
              "HiddenServiceDir=\"/new\" HiddenServicePort=\"80 127.0.0.1:8080\"");
    check_set(two, "/a b/", NULL,
              "SETCONF HiddenServiceDir=\"/c\\\\d\\\"\" "
              "HiddenServicePort=\"81\"");
    check_set(two, "/c\\d\"", NULL,
              "SETCONF HiddenServiceDir=\"/a b\" HiddenServicePort=\"80 unix:\\\"/x y\\\"\" "
              "HiddenServiceMaxStreams=\"5\"");
}

static void check_has(void **state)
{
    static const char *const one[] = {"HiddenServiceDir=/a/", "HiddenServicePort=80", NULL};
    struct tor_line lines[LINES];
    const struct tor_reply reply = reply_of(lines, one);
    (void)state;
    assert_true(onion_hsdir_has(&reply, "/a"));
    assert_true(onion_hsdir_has(&reply, "/a//"));
    assert_false(onion_hsdir_has(&reply, "/ab"));
    assert_false(onion_hsdir_has(&reply, "/"));
    assert_false(onion_hsdir_has(&reply, "80"));
}

/* Half of the services must not be taken for all. */
static void check_malformed(void **state)
{
    static const char *const bad[] = {"HiddenServiceDir=/a", "HiddenServicePort=\"80", NULL};
    struct tor_line lines[LINES];
    const struct tor_reply reply = reply_of(lines, bad);
    struct nk_buf out;
    struct nk_diag diag;
    (void)state;
    nk_buf_init(&out, 4096);
    assert_int_equal(onion_hsdir_set(&out, &reply, "/b", &spec, &diag), NK_EPROTO);
    assert_int_equal(nk_buf_len(&out), 0);
}

int nk_test_onion_hsdir(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_none),
        cmocka_unit_test(check_others),
        cmocka_unit_test(check_has),
        cmocka_unit_test(check_malformed),
    };
    return cmocka_run_group_tests_name("onion/hsdir", tests, NULL, NULL);
}
