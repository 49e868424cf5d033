/* SPDX-License-Identifier: MIT */
/* The words of ssh(1). */
#include "ssh/ssh_words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

int nk_test_ssh_ssh_words(void);

static int parse(struct ssh_words *w, const char *const *argv)
{
    struct nk_diag diag = {0};
    int n = 0;
    while (argv[n]) {
        n++;
    }
    return ssh_words_parse(w, n, (char *const *)(uintptr_t)argv, &diag);
}

#define WORDS(...)                                                                                 \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static void hosts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *host, *user;
        int port;
    } rows[] = {{"host", "host", NULL, 0},
                {"alice@host", "host", "alice", 0},
                {"a@b@host", "host", "a@b", 0},
                {"ssh://host", "host", NULL, 0},
                {"ssh://alice@host:2222", "host", "alice", 2222},
                {"ssh://alice@[::1]:2222/", "::1", "alice", 2222},
                {"::1", "::1", NULL, 0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ssh_words w;
        assert_int_equal(parse(&w, WORDS(rows[i].text)), 0);
        assert_string_equal(w.host, rows[i].host);
        assert_int_equal(w.port, rows[i].port);
        assert_true(rows[i].user ? strcmp(w.user, rows[i].user) == 0 : !w.user);
        ssh_words_clear(&w);
    }
}

static void options(void **state)
{
    (void)state;
    struct ssh_words w;
    assert_int_equal(parse(&w, WORDS("-tTNi", "key", "-oBatchMode=yes", "-p", "22", "-p23", "-vv",
                                     "-l", "bob", "--fingerprint=MD5:x", "--fingerprint", "y",
                                     "--hold=0", "alice@host", "ls", "-l")),
                     0);
    static const char *const want[] = {"RequestTTY=no", "SessionType=none", "IdentityFile=key",
                                       "BatchMode=yes", "RequestTTY=yes",   "LogLevel=DEBUG2"};
    assert_int_equal(w.options.n, sizeof(want) / sizeof(want[0]));
    for (size_t i = 0; i < w.options.n; i++) {
        assert_string_equal(w.options.v[i], want[i]);
    }
    assert_int_equal(w.port, 22); /* the first one counts */
    assert_string_equal(w.user, "bob");
    assert_int_equal(w.pins.n, 2);
    assert_string_equal(w.pins.v[0], "MD5:x");
    assert_int_equal(w.ncommand, 2);
    assert_string_equal(w.command[1], "-l");
    assert_false(w.reconnect);
    assert_string_equal(w.hold, "0");
    ssh_words_clear(&w);
    assert_int_equal(
        parse(&w, WORDS("-W", "a:1", "-D1080", "-F", "f", "-E", "e", "-G", "--", "-x")), 0);
    assert_string_equal(w.stdio_forward, "a:1");
    assert_string_equal(w.file, "f");
    assert_string_equal(w.log_file, "e");
    assert_string_equal(w.host, "-x"); /* refused by whoever looks at names */
    assert_true(w.print_config);
    ssh_words_clear(&w);
    assert_int_equal(parse(&w, WORDS("-V")), 0);
    assert_true(w.version);
    ssh_words_clear(&w);
}

static void wrong(void **state)
{
    (void)state;
    const char *const *rows[] = {
        WORDS("-Z", "h"),          WORDS("-p"),           WORDS("-p", "0", "h"),
        WORDS("-p", "65536", "h"), WORDS("-px", "h"),     WORDS("--nothing", "h"),
        WORDS("--fingerprint"),    WORDS("-tNp"),         WORDS("-N"),
        WORDS("ssh://host:x"),     WORDS("ssh://host:0"), WORDS("-p", "-1", "h")};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ssh_words w;
        assert_int_equal(parse(&w, rows[i]), NK_EUSAGE);
        ssh_words_clear(&w);
    }
}

int nk_test_ssh_ssh_words(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(hosts), cmocka_unit_test(options),
                                       cmocka_unit_test(wrong)};
    return cmocka_run_group_tests_name("ssh/ssh_words", tests, NULL, NULL);
}
