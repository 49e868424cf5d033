/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/app.h"
#include "core/clock.h"
#include "core/timer.h"

enum { SCALE = 10000, MANY = 500 };

struct probe {
    struct nk_timer t;
    struct nk_app *app;
    uint64_t due;
    int fired;
    int *order;
    int rearm;
};

static void on_probe(void *owner)
{
    struct probe *p = owner;
    assert_true(nk_now_ms(p->app) >= p->due);
    p->fired++;
    if (p->order) {
        *p->order += 1;
        p->due = (uint64_t)*p->order; /* remembers its place */
    }
    if (p->rearm > 0) {
        p->rearm--;
        nk_timer_start(&p->t, 0);
    }
}

static struct nk_app *new_app(void)
{
    struct nk_app *app = NULL;
    struct nk_app_conf conf = {.clock_scale = SCALE};
    assert_int_equal(nk_app_new(&app, &conf, NULL), 0);
    return app;
}

static void test_fires_in_order(void **state)
{
    (void)state;
    struct nk_app *app = new_app();
    struct probe p[4] = {0};
    int order = 0;
    static const uint64_t delay[4] = {3000, 1000, 3000, 0};
    for (int i = 0; i < 4; i++) {
        p[i].app = app;
        p[i].order = &order;
        nk_timer_init(&p[i].t, app, on_probe, &p[i]);
        nk_timer_start(&p[i].t, delay[i]);
    }
    assert_int_equal(order, 0); /* never from nk_timer_start */
    assert_int_equal(nk_app_run(app), 0);
    assert_int_equal(p[3].due, 1);
    assert_int_equal(p[1].due, 2);
    assert_int_equal(p[0].due, 3); /* armed before p[2]; the clock may have moved between them */
    assert_int_equal(p[2].due, 4);
    nk_app_free(app);
}

static void test_stop_and_rearm(void **state)
{
    (void)state;
    struct nk_app *app = new_app();
    struct probe a = {.app = app, .rearm = 3}, b = {.app = app};
    nk_timer_init(&a.t, app, on_probe, &a);
    nk_timer_init(&b.t, app, on_probe, &b);
    nk_timer_stop(&b.t); /* not armed: fine */
    nk_timer_start(&a.t, 10);
    nk_timer_start(&b.t, 10);
    nk_timer_stop(&b.t);
    uint64_t turn = nk_app_turn_id(app);
    nk_app_run(app);
    assert_int_equal(a.fired, 4);
    assert_int_equal(b.fired, 0);
    assert_true(nk_app_turn_id(app) - turn >= 4); /* a delay of 0 is the next turn, not this one */
    nk_app_free(app);
}

/* Random starts, restarts and stops: exactly the armed ones fire, each once, never early. */
static void test_many(void **state)
{
    (void)state;
    struct nk_app *app = new_app();
    struct probe *p = calloc(MANY, sizeof(*p));
    unsigned seed = 7;
    assert_non_null(p);
    for (int i = 0; i < MANY; i++) {
        p[i].app = app;
        nk_timer_init(&p[i].t, app, on_probe, &p[i]);
    }
    for (int i = 0; i < MANY * 6; i++) {
        struct probe *q = &p[(seed = seed * 1103515245u + 12345u) / 65536 % MANY];
        unsigned delay = (seed = seed * 1103515245u + 12345u) / 65536 % 20000;
        if (delay % 3 == 0) {
            nk_timer_stop(&q->t);
        } else {
            nk_timer_start(&q->t, delay);
            q->due = nk_now_ms(app) + delay;
        }
    }
    int armed = 0, fired = 0;
    for (int i = 0; i < MANY; i++) {
        armed += p[i].t.armed;
    }
    nk_app_run(app);
    for (int i = 0; i < MANY; i++) {
        assert_true(p[i].fired <= 1);
        fired += p[i].fired;
    }
    assert_true(armed > MANY / 4);
    assert_int_equal(fired, armed);
    free(p);
    nk_app_free(app);
}

static void test_idle_timer_costs_no_turns(void **state)
{
    (void)state;
    struct nk_app *app = NULL;
    struct nk_app_conf conf = {.clock_scale = 1};
    assert_int_equal(nk_app_new(&app, &conf, NULL), 0);
    struct probe a = {.app = app};
    nk_timer_init(&a.t, app, on_probe, &a);
    nk_timer_start(&a.t, 20);
    uint64_t turn = nk_app_turn_id(app);
    nk_app_run(app);
    assert_int_equal(a.fired, 1);
    assert_true(nk_app_turn_id(app) - turn <= 3); /* no polling towards the deadline */
    nk_app_free(app);
}

struct deferred {
    struct nk_defer d;
    struct nk_app *app;
    int ran;
    int again;
    struct deferred *cancel;
};

static void on_deferred(void *owner)
{
    struct deferred *d = owner;
    d->ran++;
    if (d->cancel) {
        nk_app_defer_cancel(d->app, &d->cancel->d);
    }
    if (d->again-- > 0) {
        nk_app_defer(d->app, &d->d);
    }
}

static void test_defer(void **state)
{
    (void)state;
    struct nk_app *app = new_app();
    struct deferred d[3] = {0};
    for (int i = 0; i < 3; i++) {
        d[i].app = app;
        d[i].d.fn = on_deferred;
        d[i].d.owner = &d[i];
        nk_app_defer(app, &d[i].d);
        nk_app_defer(app, &d[i].d); /* twice is once */
    }
    d[0].cancel = &d[2]; /* the last one of the pass is cancelled by the first */
    d[1].again = 5;
    assert_int_equal(d[0].ran, 0);
    nk_app_turn(app, 0);
    assert_int_equal(d[0].ran, 1);
    assert_int_equal(d[1].ran, 4); /* a few passes, then the loop has its turn */
    assert_int_equal(d[2].ran, 0);
    nk_app_run(app);
    assert_int_equal(d[1].ran, 6);
    nk_app_free(app);
}

static void on_stop(void *owner)
{
    nk_app_stop(owner, 7);
}

static void test_run_and_stop(void **state)
{
    (void)state;
    struct nk_app *app = new_app();
    struct nk_timer stop, far;
    nk_timer_init(&stop, app, on_stop, app);
    nk_timer_init(&far, app, on_stop, app);
    assert_int_equal(nk_app_run(app), 0); /* nothing pending */
    nk_timer_start(&far, 3600 * 1000 * 24ull);
    nk_timer_start(&stop, 5);
    assert_int_equal(nk_app_run(app), 7);
    nk_app_stop(app, 9);
    assert_int_equal(nk_app_run(app), 9);
    nk_timer_stop(&far);
    assert_false(nk_app_turn(app, 1000)); /* does not wait for what is not there */
    nk_app_free(app);
}

static int released; /* what on_release saw; a callback without an owner */

static void on_release(void *value)
{
    released = released * 10 + *(int *)value;
}

static void test_slots(void **state)
{
    (void)state;
    static const char a = 0, b = 0;
    struct nk_app *app = new_app();
    int one = 1, two = 2;
    released = 0;
    assert_null(nk_app_slot(app, &a));
    assert_int_equal(nk_app_slot_set(app, &a, &one, on_release), 0);
    assert_int_equal(nk_app_slot_set(app, &b, &two, on_release), 0);
    assert_int_equal(nk_app_slot_set(app, &a, &two, NULL), -EEXIST);
    assert_ptr_equal(nk_app_slot(app, &a), &one);
    nk_app_free(app);
    assert_int_equal(released, 21);
}

int nk_test_core_timer(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fires_in_order), cmocka_unit_test(test_stop_and_rearm),
        cmocka_unit_test(test_many),           cmocka_unit_test(test_idle_timer_costs_no_turns),
        cmocka_unit_test(test_defer),          cmocka_unit_test(test_run_and_stop),
        cmocka_unit_test(test_slots),
    };
    return cmocka_run_group_tests_name("core/timer", tests, NULL, NULL);
}
