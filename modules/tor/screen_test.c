/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tor/screen.h"

int nk_test_tor_screen(void);

struct fixture {
    struct tor_screen s;
    struct nk_buf out;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    nk_buf_init(&f->out, 1 << 20);
    assert_int_equal(tor_screen_size(&f->s, 3, 10), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    tor_screen_clear(&f->s);
    nk_buf_clear(&f->out);
    free(f);
    return 0;
}

static const char *drawn(struct fixture *f, bool colour)
{
    nk_buf_reset(&f->out);
    assert_int_equal(tor_screen_draw(&f->s, colour, &f->out), 0);
    return nk_buf_str(&f->out);
}

static const char *text(struct fixture *f)
{
    nk_buf_reset(&f->out);
    assert_int_equal(tor_screen_text(&f->s, &f->out), 0);
    return nk_buf_str(&f->out);
}

static unsigned put(struct fixture *f, unsigned row, unsigned column, const char *p)
{
    return tor_screen_put(&f->s, row, column, 100, TOR_PLAIN, p, strlen(p));
}

static void test_differences(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put(f, 0, 0, "hello"), 5);
    const char *first = drawn(f, true);
    assert_non_null(strstr(first, "\x1b[1;1Hhello     \x1b[2;1H"));
    assert_string_equal(drawn(f, true), ""); /* nothing changed: nothing is sent */
    tor_screen_blank(&f->s);
    put(f, 0, 0, "hallo");
    put(f, 2, 9, "x");
    assert_string_equal(drawn(f, true), "\x1b[1;2Ha\x1b[3;10Hx");
    tor_screen_forget(&f->s);
    assert_int_equal(strlen(drawn(f, true)), 30 + 3 * strlen("\x1b[1;1H"));
}

static void test_styles(void **state)
{
    struct fixture *f = *state;
    (void)drawn(f, true);
    tor_screen_put(&f->s, 1, 0, 100, TOR_BOLD, "ab", 2);
    tor_screen_put(&f->s, 1, 2, 100, TOR_RED, "c", 1);
    assert_string_equal(drawn(f, true), "\x1b[2;1H\x1b[0;1mab\x1b[0;31mc\x1b[0m");
    tor_screen_fill(&f->s, 0, 8, TOR_REVERSE);
    assert_string_equal(drawn(f, false), "\x1b[1;9H  ");
}

static void test_clip(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put(f, 0, 8, "abcdef"), 2);
    assert_int_equal(put(f, 3, 0, "x"), 0);
    assert_int_equal(put(f, 0, 10, "x"), 0);
    assert_int_equal(tor_screen_put(&f->s, 1, 0, 3, TOR_PLAIN, "abcdef", 6), 3);
    assert_int_equal(put(f, 2, 0, "a\x1b[2J\xff\xc2\x9b"), 7);
    assert_string_equal(text(f), "        ab\nabc\na?[2J??\n");
    tor_screen_blank(&f->s);
    assert_int_equal(put(f, 0, 0, "\343\201\202\303\251e\314\201"),
                     4);                               /* wide, accented, combining */
    assert_int_equal(put(f, 1, 9, "\343\201\202"), 0); /* half of it does not fit */
    assert_string_equal(text(f), "\343\201\202\303\251e\n");
    assert_non_null(strstr(drawn(f, false), "\x1b[1;1H\343\201\202\303\251e      "));
}

static void test_sizes(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(tor_screen_size(&f->s, 0, 0), 0);
    assert_int_equal(f->s.rows, 1);
    assert_int_equal(tor_screen_size(&f->s, 100000, 100000), 0);
    assert_int_equal(f->s.rows, TOR_SCREEN_ROWS_MOST);
    assert_int_equal(f->s.columns, TOR_SCREEN_COLUMNS_MOST);
    assert_string_equal(text(f), "\n");
    nk_buf_clear(&f->out);
    nk_buf_init(&f->out, 10);
    assert_int_equal(tor_screen_draw(&f->s, false, &f->out), NK_ETOOBIG);
    assert_int_equal(f->s.shown[0].len, 255); /* all of it again */
    assert_int_equal(tor_screen_printf(&f->s, 0, 1, TOR_PLAIN, "%d%s", 12, "ab"), 4);
}

int nk_test_tor_screen(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_differences), TEST(test_styles), TEST(test_clip),
                                       TEST(test_sizes)};
    return cmocka_run_group_tests_name("tor/screen", tests, NULL, NULL);
}
