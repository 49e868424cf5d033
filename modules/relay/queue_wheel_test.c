/* SPDX-License-Identifier: MIT */
#include "relay/queue_wheel.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { ENTRIES = 300, STEPS = 60000 };

static uint64_t roll(uint64_t *x)
{
    *x ^= *x << 13; /* xorshift64 */
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

/* Near and far times, with a taste for the edges of the levels. */
static uint64_t some_delay(uint64_t *rnd)
{
    uint64_t r = roll(rnd), base = UINT64_C(1) << (r % 5 * RELAY_WHEEL_BITS);
    return r % 3 == 0 ? base + r % 3 - 1 : roll(rnd) % (base * 4 + 1);
}

struct world {
    struct relay_wheel *w;
    struct relay_due d[ENTRIES];
    uint64_t when[ENTRIES]; /* 0: not entered */
};

/* Without a limit. */
static struct relay_due *pop(struct relay_wheel *w, uint64_t now)
{
    unsigned work = UINT_MAX;
    return relay_wheel_pop(w, now, &work);
}

static uint64_t earliest(const struct world *x)
{
    uint64_t min = UINT64_MAX;
    for (size_t i = 0; i < ENTRIES; i++) {
        min = x->when[i] && x->when[i] < min ? x->when[i] : min;
    }
    return min;
}

static void advance(struct world *x, uint64_t now)
{
    struct relay_due *d;
    uint64_t last = 0;
    while ((d = pop(x->w, now)) != NULL) {
        size_t i = (size_t)(d - x->d);
        assert_true(x->when[i] && x->when[i] <= now);
        assert_true(x->when[i] >= last); /* in order */
        last = x->when[i];
        x->when[i] = 0;
    }
    assert_true(earliest(x) > now);
    assert_int_equal(x->w->now, now);
}

/* Against a plain array: entries come and go, time jumps; nothing is early, late or lost. */
static void test_model(void **state)
{
    (void)state;
    struct world *x = calloc(1, sizeof(*x));
    uint64_t rnd = 88172645463325252u, now = 1000000;
    x->w = calloc(1, sizeof(*x->w));
    advance(x, now);
    for (int step = 0; step < STEPS; step++) {
        size_t i = roll(&rnd) % ENTRIES;
        if (roll(&rnd) % 8 == 0) {
            now += some_delay(&rnd);
            advance(x, now);
        } else if (x->when[i]) {
            assert_true(relay_due_entered(&x->d[i]));
            relay_wheel_leave(x->w, &x->d[i]);
            x->when[i] = 0;
        } else {
            x->when[i] = now + some_delay(&rnd);
            relay_wheel_enter(x->w, &x->d[i], x->when[i]);
        }
        uint64_t next = relay_wheel_next(x->w), first = earliest(x);
        assert_true(next <= first && (next > now || first <= now));
        assert_int_equal(next == UINT64_MAX, first == UINT64_MAX);
    }
    advance(x, now + (UINT64_C(1) << 40));
    assert_int_equal(relay_wheel_next(x->w), UINT64_MAX);
    free(x->w);
    free(x);
}

static void test_edges(void **state)
{
    (void)state;
    struct relay_wheel *w = calloc(1, sizeof(*w));
    struct relay_due a = {.what = 3}, b = {0};
    relay_wheel_leave(w, &a); /* was never entered */
    relay_wheel_enter(w, &a, 5);
    assert_null(pop(w, 4));
    assert_ptr_equal(pop(w, 5), &a);
    assert_int_equal(a.what, 3);
    relay_wheel_enter(w, &a, 2); /* over already */
    assert_int_equal(relay_wheel_next(w), 5);
    assert_ptr_equal(pop(w, 5), &a);
    relay_wheel_enter(w, &b, UINT64_MAX);
    assert_null(pop(w, UINT64_C(1) << 47));
    assert_true(relay_wheel_next(w) < UINT64_MAX);
    relay_wheel_leave(w, &b);
    assert_null(pop(w, UINT64_C(1) << 47));
    free(w);
}

int nk_test_relay_queue_wheel(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_edges),
    };
    return cmocka_run_group_tests_name("relay/queue_wheel", tests, NULL, NULL);
}
