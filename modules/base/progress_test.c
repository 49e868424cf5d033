/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cmd.h"
#include "base/progress.h"

struct ends {
    int read, write;
};

static int make_pipe(void **state)
{
    static struct ends e;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    e = (struct ends){fds[0], fds[1]};
    *state = &e;
    return 0;
}

static int close_pipe(void **state)
{
    const struct ends *e = *state;
    return close(e->read) | close(e->write);
}

static struct nk_progress open_as(const struct ends *e, enum nk_progress_mode mode)
{
    const struct nk_globals g = {.progress = (int)mode, .progress_fd = e->write};
    struct nk_progress p;
    nk_progress_open(&p, &g, false);
    return p;
}

/* Exactly this has been written since the last time. */
static void expect_written(const struct ends *e, const char *text)
{
    char got[NK_PROGRESS_MAX + 16];
    const char end = '\1';
    assert_int_equal(write(e->write, &end, 1), 1);
    ssize_t n = read(e->read, got, sizeof(got));
    assert_true(n > 0 && got[n - 1] == end);
    got[n - 1] = '\0';
    assert_string_equal(got, text);
}

static void forms(void **state)
{
    const struct ends *e = *state;
    struct nk_progress p = open_as(e, NK_PROGRESS_PLAIN);
    nk_progress_say(&p, "half");
    nk_progress_clean(&p);
    expect_written(e, "half\n");
    p = open_as(e, NK_PROGRESS_JSON);
    nk_progress_say(&p, "{}");
    expect_written(e, "{}\n");
    p = open_as(e, NK_PROGRESS_BAR);
    nk_progress_clean(&p);
    expect_written(e, "");
    nk_progress_say(&p, "half");
    nk_progress_say(&p, "more");
    nk_progress_clean(&p);
    nk_progress_clean(&p);
    expect_written(e, "\rhalf\033[K\rmore\033[K\r\033[K");
}

static void nothing(void **state)
{
    const struct ends *e = *state;
    struct nk_progress p = open_as(e, NK_PROGRESS_NONE);
    nk_progress_say(&p, "half");
    nk_progress_clean(&p);
    p = open_as(e, NK_PROGRESS_AUTO); /* no terminal */
    assert_int_equal(p.mode, NK_PROGRESS_NONE);
    nk_progress_say(&p, "half");
    p = (struct nk_progress){0};
    nk_progress_clean(&p);
    expect_written(e, "");
}

static void a_long_line_is_cut(void **state)
{
    const struct ends *e = *state;
    char line[2 * NK_PROGRESS_MAX], cut[NK_PROGRESS_MAX + 2];
    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    memset(cut, 'x', NK_PROGRESS_MAX);
    memcpy(cut + NK_PROGRESS_MAX, "\n", 2);
    struct nk_progress p = open_as(e, NK_PROGRESS_PLAIN);
    nk_progress_say(&p, line);
    expect_written(e, cut);
}

static void pauses(void **state)
{
    (void)state;
    for (int mode = NK_PROGRESS_BAR; mode <= NK_PROGRESS_NONE; mode++) {
        const struct nk_progress p = {.mode = (enum nk_progress_mode)mode};
        assert_true(nk_progress_pause_ms(&p) >= 500);
    }
}

int nk_test_base_progress(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(forms, make_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(nothing, make_pipe, close_pipe),
        cmocka_unit_test_setup_teardown(a_long_line_is_cut, make_pipe, close_pipe),
        cmocka_unit_test(pauses),
    };
    return cmocka_run_group_tests_name("base/progress", tests, NULL, NULL);
}
