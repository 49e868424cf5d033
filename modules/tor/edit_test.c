/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tor/edit.h"

int nk_test_tor_edit(void);

struct fixture {
    struct tor_edit *e;
    struct nk_buf screen;
};

static void words(void *owner, const char *line, size_t cursor, struct tor_edit_choices *out)
{
    static const char *const v[] = {"GETINFO", "GETCONF", "QUIT", "version", "ns/", "events/names"};
    (void)owner;
    out->from = cursor;
    while (out->from > 0 && line[out->from - 1] != ' ') {
        out->from--;
    }
    for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
        tor_edit_offer(out, v[i], line + out->from, cursor - out->from);
    }
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    const struct tor_edit_conf conf = {.prompt = "tor> ", .complete = words};
    assert_non_null(f);
    nk_buf_init(&f->screen, 1 << 20);
    assert_int_equal(tor_edit_new(&f->e, &conf), 0);
    tor_edit_start(f->e, &f->screen);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    tor_edit_free(f->e);
    nk_buf_clear(&f->screen);
    free(f);
    return 0;
}

static enum tor_edit_result keys(struct fixture *f, const char *k)
{
    size_t used;
    nk_buf_reset(&f->screen);
    enum tor_edit_result r = tor_edit_feed(f->e, k, strlen(k), &used, &f->screen);
    assert_int_equal(used, strlen(k));
    return r;
}

/* The keys leave the line, which the last one does not finish. */
static void leaves(struct fixture *f, const char *k, const char *line)
{
    tor_edit_start(f->e, &f->screen);
    assert_int_equal(keys(f, k), TOR_EDIT_MORE);
    assert_string_equal(tor_edit_text(f->e), line);
}

static void test_keys(void **state)
{
    struct fixture *f = *state;
    leaves(f, "abc", "abc");
    leaves(f, "abc\177", "ab");
    leaves(f, "abc\x08\x08", "a");
    leaves(f, "abc\x01X", "Xabc");
    leaves(f, "abc\x01\x05X", "abcX");
    leaves(f, "abc\x02\x02X", "aXbc");
    leaves(f, "abc\x1b[D\x1b[DX", "aXbc");
    leaves(f, "abc\x1bOD\x1b[3~", "ab");
    leaves(f, "abc\x01\x04", "bc");
    leaves(f, "abc\x1b[HX\x1b[FY", "XabcY");
    leaves(f, "abc\x1b[1~X\x1b[4~Y", "XabcY");
    leaves(f, "abc def\x17", "abc ");
    leaves(f,
           "abc def\x1b"
           "bX",
           "abc Xdef");
    leaves(f,
           "abc def\x1b[1;5D\x1b[1;5DX\x1b"
           "fY",
           "XabcY def");
    leaves(f,
           "abc def\x1b"
           "b\x0b",
           "abc ");
    leaves(f,
           "abc def\x1b"
           "b\x15",
           "def");
    leaves(f, "a\x1b[20~b\x1b[<65;1;1Mc\x1b[?1;2cd",
           "abcd"); /* keys it does not know leave nothing */
    leaves(f, "\x1b[99999999999999999999~x", "x");
    leaves(f, "\x02\x06\x08\x17\x15\x0b\x10\x0e\x1b[3~", "");
    leaves(f, "a\x01\x02\x16\x1f\x07", "a");
}

static void test_utf8(void **state)
{
    struct fixture *f = *state;
    leaves(f, "n\303\251\343\201\202x\x02\x02\177", "n\343\201\202x");
    leaves(f,
           "a\xff\xfe"
           "b",
           "ab");
    leaves(f, "a\302\233b\342\200\256", "ab"); /* C1 control, right-to-left override */
    leaves(f, "\303", "");
    assert_int_equal(keys(f, "\251"), TOR_EDIT_MORE);
    assert_string_equal(tor_edit_text(f->e), "\303\251");
    assert_int_equal(tor_text_width("a\303\251\343\201\202e\314\201\xff", 10), 6);
    assert_int_equal(tor_text_fit("a\343\201\202b", 5, 2), 1);
    assert_int_equal(tor_text_fit("a\343\201\202b", 5, 3), 4);
}

static void test_results(void **state)
{
    struct fixture *f = *state;
    size_t used;
    assert_int_equal(keys(f, "x\r"), TOR_EDIT_LINE);
    assert_string_equal(tor_edit_text(f->e), "x");
    assert_non_null(strstr(nk_buf_str(&f->screen), "\r\n"));
    tor_edit_start(f->e, &f->screen);
    assert_string_equal(tor_edit_text(f->e), "");
    assert_int_equal(keys(f, "\x04"), TOR_EDIT_END);
    tor_edit_start(f->e, &f->screen);
    assert_int_equal(keys(f, "ab\x03"), TOR_EDIT_CANCEL);
    assert_int_equal(keys(f, "\x1a"), TOR_EDIT_STOP);
    tor_edit_start(f->e, &f->screen);
    assert_int_equal(tor_edit_feed(f->e, "one\ntwo\n", 8, &used, &f->screen), TOR_EDIT_LINE);
    assert_int_equal(used, 4);
}

static void test_screen(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(nk_buf_str(&f->screen), "\rtor> \x1b[K\r\x1b[5C");
    keys(f, "ab");
    assert_string_equal(nk_buf_str(&f->screen), "\rtor> ab\x1b[K\r\x1b[7C");
    nk_buf_reset(&f->screen);
    tor_edit_hide(f->e, &f->screen);
    assert_string_equal(nk_buf_str(&f->screen), "\r\x1b[K");
    nk_buf_reset(&f->screen);
    tor_edit_show(f->e, &f->screen);
    assert_string_equal(nk_buf_str(&f->screen), "\rtor> ab\x1b[K\r\x1b[7C");
    tor_edit_columns(f->e, 20); /* 14 characters of the line fit, one place is the cursor's */
    keys(f, "cdefghijklmnopqr");
    assert_string_equal(nk_buf_str(&f->screen), "\rtor> fghijklmnopqr\x1b[K\r\x1b[18C");
    keys(f, "\x01");
    assert_string_equal(nk_buf_str(&f->screen), "\rtor> abcdefghijklmn\x1b[K\r\x1b[5C");
}

static void test_history(void **state)
{
    struct fixture *f = *state;
    char line[16];
    assert_int_equal(tor_edit_remember(f->e, "one"), 0);
    assert_int_equal(tor_edit_remember(f->e, "two"), 0);
    assert_int_equal(tor_edit_remember(f->e, "two"), 0);
    assert_int_equal(tor_edit_remember(f->e, ""), 0);
    assert_int_equal(tor_edit_history(f->e)->n, 2);
    leaves(f, "draft\x10", "two");
    assert_int_equal(keys(f, "\x1b[A\x1b[A"), TOR_EDIT_MORE);
    assert_string_equal(tor_edit_text(f->e), "one");
    assert_int_equal(keys(f, "\x1b[B\x0e\x0e"), TOR_EDIT_MORE);
    assert_string_equal(tor_edit_text(f->e), "draft");
    for (int i = 0; i < TOR_EDIT_HISTORY_MOST + 5; i++) {
        snprintf(line, sizeof(line), "line %d", i);
        assert_int_equal(tor_edit_remember(f->e, line), 0);
    }
    assert_int_equal(tor_edit_history(f->e)->n, TOR_EDIT_HISTORY_MOST);
    assert_string_equal(tor_edit_history(f->e)->v[0], "line 5");
}

static void test_complete(void **state)
{
    struct fixture *f = *state;
    leaves(f, "q\t", "QUIT ");
    leaves(f, "g\t", "GET");
    leaves(f, "geti\tver\t", "GETINFO version ");
    leaves(f, "GETINFO n\t", "GETINFO ns/"); /* more follows: no space */
    leaves(f, "zzz\t", "zzz");
    assert_non_null(memchr(nk_buf_ptr(&f->screen), '\a', nk_buf_len(&f->screen)));
    leaves(f, "get\t", "GET");
    assert_null(strstr(nk_buf_str(&f->screen), "GETCONF"));
    assert_int_equal(keys(f, "\t"), TOR_EDIT_MORE);
    assert_non_null(strstr(nk_buf_str(&f->screen), "GETINFO  GETCONF"));
    leaves(f, "xx qui\x01\x06\x06 g\t", "xx GET qui");
}

static void test_long_line(void **state)
{
    struct fixture *f = *state;
    char *text = malloc(TOR_EDIT_LINE_MAX + 11);
    assert_non_null(text);
    memset(text, 'x', TOR_EDIT_LINE_MAX + 10);
    text[TOR_EDIT_LINE_MAX + 10] = 0;
    assert_int_equal(keys(f, text), TOR_EDIT_MORE);
    assert_int_equal(strlen(tor_edit_text(f->e)), TOR_EDIT_LINE_MAX);
    free(text);
}

int nk_test_tor_edit(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_keys),     TEST(test_utf8),    TEST(test_results),
                                       TEST(test_screen),   TEST(test_history), TEST(test_complete),
                                       TEST(test_long_line)};
    return cmocka_run_group_tests_name("tor/edit", tests, NULL, NULL);
}
