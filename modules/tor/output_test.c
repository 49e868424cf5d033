/* SPDX-License-Identifier: MIT */
/* What tor 0.4.9 wrote when it could not start (tests/e2e shows that it still does). */
#include "tor/output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define T "Nov 21 09:19:51.376 "

static void feed(struct tor_output *o, const char *text)
{
    tor_output_feed(o, text, strlen(text));
}

static void reasons(void **state)
{
    static const struct {
        const char *said;
        int code;
        const char *word, *hint;
    } rows[] = {
        {T "[warn] Failed to parse/validate config: Unknown option 'Foo'.  Failing.\n" T
           "[err] Reading config failed--see warnings above.\n",
         NK_ECONFIG, "tor: Unknown option 'Foo'", "no such option"},
        {T "[warn] Couldn't parse address \"x:y:z\" for SocksPort\n" T
           "[warn] Failed to parse/validate config: Invalid SocksPort configuration\n" T
           "[err] Reading config failed--see warnings above.\n",
         NK_ECONFIG, "tor: Invalid SocksPort configuration", "--torrc"},
        {T "[warn] Could not bind to 127.0.0.1:9050: Address already in use. Is Tor already "
           "running?\n" T "[warn] Failed to parse/validate config: Failed to bind one of the "
           "listener ports.\n",
         -EADDRINUSE, "127.0.0.1:9050", "--socks auto"},
        {T "[warn] It looks like another Tor process is running with the same data directory.  "
           "Waiting 5 seconds to see if it goes away.\n" T
           "[err] No, it's still there.  Exiting.\n",
         NK_ELOCKED, "another Tor process", "--data-dir"},
        {T "[warn] /d is not owned by this user (root, 0) but by x (7). Perhaps you are running "
           "Tor as the wrong user?\n" T "[warn] Failed to parse/validate config: Couldn't access "
           "private data directory \"/d\"\n",
         NK_EBADMODE, "is not owned by this user", "--data-dir"},
        {T "[err] Something new\n", NK_ECLOSED, "tor: Something new", ""},
        {"tor: error while loading shared libraries: libevent.so\n", NK_ECLOSED, "libevent", ""},
    };
    struct tor_output o;
    struct nk_diag diag;
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        tor_output_init(&o, NULL, NULL);
        feed(&o, T "[notice] Tor 0.4.9.11 running on Linux\n");
        assert_int_equal(tor_output_explain(&o, &diag), 0);
        feed(&o, rows[i].said);
        assert_int_equal(tor_output_explain(&o, &diag), rows[i].code);
        assert_non_null(strstr(diag.text, rows[i].word));
        assert_non_null(strstr(diag.hint, rows[i].hint));
    }
}

struct seen {
    int lines;
    enum nk_level level;
    char text[TOR_OUTPUT_LINE];
};

static void on_line(void *owner, enum nk_level level, const char *text)
{
    struct seen *s = owner;
    s->lines++;
    s->level = level;
    (void)snprintf(s->text, sizeof(s->text), "%s", text);
}

/* In pieces, with control bytes, and longer than there is room. */
static void pieces(void **state)
{
    static const char text[] = T "[warn] a\tb\033[2J\n";
    struct seen s = {0};
    struct tor_output o;
    struct nk_diag diag;
    (void)state;
    tor_output_init(&o, on_line, &s);
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        tor_output_feed(&o, text + i, 1);
    }
    assert_int_equal(s.lines, 1);
    assert_int_equal(s.level, NK_LOG_WARN);
    assert_string_equal(s.text, "a?b?[2J");
    for (int i = 0; i < 5000; i++) {
        feed(&o, "x");
    }
    assert_int_equal(s.lines, 1);
    feed(&o, "\n");
    assert_int_equal(s.lines, 2);
    assert_int_equal(strlen(s.text), TOR_OUTPUT_LINE - 1);
    for (int i = 0; i < 100; i++) {
        feed(&o, T "[warn] again\n");
    }
    assert_int_equal(tor_output_explain(&o, &diag), NK_ECLOSED);
    assert_string_equal(diag.text, "tor: again");
}

static void levels_and_listening(void **state)
{
    struct seen s = {0};
    struct tor_output o;
    (void)state;
    tor_output_init(&o, on_line, &s);
    feed(&o, T "[notice] Opening Control listener on /x\n");
    assert_int_equal(s.level, NK_LOG_INFO);
    assert_false(tor_output_listens(s.text));
    feed(&o, T "[notice] Opened Control listener connection (ready) on /x\n");
    assert_true(tor_output_listens(s.text));
    feed(&o, T "[debug] x\n");
    assert_int_equal(s.level, NK_LOG_TRACE);
}

int nk_test_tor_output(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reasons),
        cmocka_unit_test(pieces),
        cmocka_unit_test(levels_and_listening),
    };
    return cmocka_run_group_tests_name("tor/output", tests, NULL, NULL);
}
