/* SPDX-License-Identifier: MIT */
#include "core/signal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <unistd.h>

#include "core/app.h"
#include "core/timer.h"

enum { TURN_MS = 5000, HOUR_MS = 3600 * 1000 };

static struct nk_app *new_app(void)
{
    struct nk_app *app;
    struct nk_app_conf conf = {0};
    assert_int_equal(nk_app_new(&app, &conf, NULL), 0);
    return app;
}

static void count(void *owner, int signum)
{
    int *seen = owner;
    *seen += signum == SIGUSR1;
}

static void never(void *owner)
{
    (void)owner;
    fail();
}

static void arrives_on_the_loop(void **state)
{
    (void)state;
    struct nk_app *app = new_app();
    struct nk_signal *s;
    int seen = 0;
    assert_int_equal(nk_signal_watch(app, SIGUSR1, count, &seen, &s), 0);
    assert_int_equal(nk_app_run(app), 0); /* a watched signal does not keep the loop */
    struct nk_timer timer;                /* does */
    nk_timer_init(&timer, app, never, NULL);
    nk_timer_start(&timer, HOUR_MS);
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR1);
    assert_int_equal(seen, 0);
    for (int i = 0; i < 10 && !seen; i++) {
        nk_app_turn(app, TURN_MS);
    }
    assert_true(seen >= 1);
    nk_timer_stop(&timer);
    nk_signal_close(s);
    nk_signal_close(NULL);
    nk_app_free(app);
}

static void closed_one_is_silent(void **state)
{
    (void)state;
    struct nk_app *app = new_app();
    struct nk_signal *a, *b;
    int first = 0, second = 0;
    assert_int_equal(nk_signal_watch(app, SIGUSR1, count, &first, &a), 0);
    assert_int_equal(nk_signal_watch(app, SIGUSR1, count, &second, &b), 0);
    kill(getpid(), SIGUSR1);
    nk_signal_close(a); /* delivered to the process, not yet to the loop */
    for (int i = 0; i < 10 && !second; i++) {
        nk_app_turn(app, TURN_MS);
    }
    assert_int_equal(first, 0);
    assert_int_equal(second, 1);
    nk_signal_close(b);
    nk_app_free(app);
}

static void guard_ends_the_run(void **state)
{
    (void)state;
    static const int ends[] = {SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct nk_app *app = new_app();
        struct nk_timer timer;
        nk_timer_init(&timer, app, never, NULL);
        nk_timer_start(&timer, HOUR_MS);
        assert_int_equal(nk_signal_oneshot_guard(app), 0);
        assert_int_equal(nk_signal_oneshot_guard(app), 0);
        kill(getpid(), ends[i]);
        assert_int_equal(nk_app_run(app), NK_EXIT_SIGNAL + ends[i]);
        nk_timer_stop(&timer);
        nk_app_free(app);
    }
}

static void guard_respects_nohup(void **state)
{
    (void)state;
    struct nk_app *app = new_app();
    signal(SIGHUP, SIG_IGN);
    assert_int_equal(nk_signal_oneshot_guard(app), 0);
    kill(getpid(), SIGHUP);
    kill(getpid(), SIGINT);
    struct nk_timer timer;
    nk_timer_init(&timer, app, never, NULL);
    nk_timer_start(&timer, HOUR_MS);
    assert_int_equal(nk_app_run(app), NK_EXIT_SIGNAL + SIGINT);
    nk_timer_stop(&timer);
    nk_app_free(app);
    signal(SIGHUP, SIG_DFL);
}

int nk_test_core_signal(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrives_on_the_loop),
        cmocka_unit_test(closed_one_is_silent),
        cmocka_unit_test(guard_ends_the_run),
        cmocka_unit_test(guard_respects_nohup),
    };
    return cmocka_run_group_tests_name("core/signal", tests, NULL, NULL);
}
