/* SPDX-License-Identifier: MIT */
/* Clocks that are set: the wall clock is nobody's deadline, monotonic time is everybody's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/app.h"
#include "core/clock.h"
#include "core/timer.h"

enum { HOUR_MS = 3600 * 1000, SLACK_MS = 60 * 1000, SCALE = 1000, SOON_MS = 50, PATIENCE = 1000 };

static void on_timer(void *owner)
{
    ++*(int *)owner;
}

static void until_fired(struct nk_app *app, const int *fired, int times)
{
    for (int turn = 0; *fired < times; turn++) {
        assert_true(turn < PATIENCE);
        nk_app_turn(app, 10);
    }
}

static struct nk_app *new_app(unsigned scale)
{
    struct nk_app *app = NULL;
    struct nk_app_conf conf = {.clock_scale = scale};
    assert_int_equal(nk_app_new(&app, &conf, NULL), 0);
    return app;
}

static void test_wall_clock_is_set(void **state)
{
    static const int64_t jumps[] = {HOUR_MS, -2 * (int64_t)HOUR_MS};
    struct nk_app *app = new_app(SCALE);
    int fired = 0;
    struct nk_timer t;
    (void)state;
    nk_timer_init(&t, app, on_timer, &fired);
    for (size_t i = 0; i < 2; i++) {
        int64_t wall = nk_wall_ms(app), seconds = nk_wall_s(app);
        uint64_t start = nk_now_ns(app);
        nk_timer_start(&t, SOON_MS);
        nk_clock_set_wall(app, jumps[i]);
        int64_t moved = nk_wall_ms(app) - wall - jumps[i];
        assert_true(moved >= 0 && moved < SLACK_MS);
        moved = nk_wall_s(app) - seconds - jumps[i] / 1000;
        assert_true(moved >= 0 && moved <= SLACK_MS / 1000);
        until_fired(app, &fired, (int)i + 1);
        assert_true((nk_now_ns(app) - start) / 1000000 >= SOON_MS);
    }
    nk_timer_stop(&t);
    nk_app_free(app);
}

/* Not scaled: without the skip the timers below would take an hour. */
static void test_time_is_skipped(void **state)
{
    struct nk_app *app = new_app(1);
    int first = 0, second = 0;
    struct nk_timer a, b;
    (void)state;
    nk_timer_init(&a, app, on_timer, &first);
    nk_timer_init(&b, app, on_timer, &second);
    nk_timer_start(&a, HOUR_MS);
    nk_timer_start(&b, HOUR_MS + HOUR_MS);
    nk_app_turn(app, 0);
    int64_t wall = nk_wall_ms(app);
    uint64_t now = nk_now_ms(app);
    nk_clock_skip(app, HOUR_MS);
    assert_true(nk_now_ms(app) - now >= HOUR_MS);
    assert_true(nk_wall_ms(app) - wall < HOUR_MS);
    until_fired(app, &first, 1);
    nk_app_turn(app, 0);
    assert_int_equal(second, 0);
    nk_clock_skip(app, HOUR_MS);
    until_fired(app, &second, 1);
    assert_int_equal(first, 1);
    nk_app_free(app);
}

int nk_test_core_clock(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_wall_clock_is_set),
                                       cmocka_unit_test(test_time_is_skipped)};
    return cmocka_run_group_tests_name("core/clock", tests, NULL, NULL);
}
