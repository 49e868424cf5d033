/* SPDX-License-Identifier: MIT */
#include "relay/client_ranges.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { NUMBERS = 200, STEPS = 20000 };

/* Ascending, apart, and as many numbers as the model has. */
static void check(const struct client_ranges *r, const bool *model)
{
    uint64_t sum = 0, count = 0;
    for (uint32_t i = 0; i < r->n; i++) {
        assert_true(r->v[i].count > 0);
        assert_true(i == 0 || r->v[i].first > r->v[i - 1].first + r->v[i - 1].count);
        sum += r->v[i].count;
    }
    for (uint64_t i = 0; i < NUMBERS; i++) {
        assert_int_equal(client_ranges_has(r, i), model[i]);
        count += model[i];
    }
    assert_int_equal(sum, count);
}

static void test_against_a_model(void **state)
{
    (void)state;
    struct client_ranges r = {0};
    bool model[NUMBERS] = {false};
    unsigned seed = 7;
    for (int step = 0; step < STEPS; step++) {
        seed = seed * 1103515245u + 12345u;
        uint64_t n = seed >> 8 & 0xff;
        if (n >= NUMBERS) {
            continue;
        }
        if (seed >> 20 & 1) {
            assert_int_equal(client_ranges_add(&r, n), 0);
            model[n] = true;
        } else {
            assert_int_equal(client_ranges_remove(&r, n), model[n]);
            model[n] = false;
        }
        if (step % 50 == 0) {
            check(&r, model);
        }
    }
    check(&r, model);
    client_ranges_clear(&r);
}

static void test_in_order_is_one_range(void **state)
{
    (void)state;
    struct client_ranges r = {0};
    for (uint64_t i = 10; i < 1000; i++) {
        assert_int_equal(client_ranges_add(&r, i), 0);
        assert_int_equal(r.n, 1);
    }
    for (uint64_t i = 10; i < 1000; i++) {
        assert_true(client_ranges_remove(&r, i));
        assert_true(r.n <= 1);
    }
    assert_int_equal(r.n, 0);
    client_ranges_clear(&r);
}

int nk_test_relay_client_ranges(void);
int nk_test_relay_client_ranges(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_a_model),
        cmocka_unit_test(test_in_order_is_one_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
