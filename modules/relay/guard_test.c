/* SPDX-License-Identifier: MIT */
#include "relay/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void on_drop(void *owner)
{
    *(int *)owner += 1;
}

static void test_oldest_guest_goes(void **state)
{
    (void)state;
    struct relay_guard *g = relay_guard_new(2);
    int dropped[4] = {0};
    struct relay_guest guest[4];
    for (int i = 0; i < 4; i++) {
        guest[i] = (struct relay_guest){.drop = on_drop, .owner = &dropped[i]};
    }
    assert_int_equal(relay_guard_enter(g, &guest[0], "10.0.0.1:1000"), 0);
    assert_int_equal(relay_guard_enter(g, &guest[1], "10.0.0.1:1001"), 0);
    assert_int_equal(relay_guard_enter(g, &guest[2], "10.0.0.2:1001"), 0); /* somebody else */
    assert_int_equal(dropped[0], 0);
    assert_int_equal(relay_guard_enter(g, &guest[3], "10.0.0.1:1002"), 0);
    assert_int_equal(dropped[0], 1);
    assert_int_equal(dropped[1] + dropped[2] + dropped[3], 0);
    assert_int_equal(relay_guard_dropped(g), 1);
    for (int i = 0; i < 4; i++) {
        relay_guard_leave(g, &guest[i]);
        relay_guard_leave(g, &guest[i]);
    }
    relay_guard_free(g);
}

/* A login that tells the peer its result: counted before it is known. */
static void test_attempts(void **state)
{
    (void)state;
    struct relay_guard *g = relay_guard_new(100);
    int n = 0;
    struct relay_guest a = {.drop = on_drop, .owner = &n}, b = a;
    assert_int_equal(relay_guard_enter(g, &a, "10.0.0.1:1"), 0);
    assert_int_equal(relay_guard_enter(g, &b, "10.0.0.1:2"), 0);
    for (int i = 0; i < 5; i++) { /* who knows the password never waits */
        assert_int_equal(relay_guard_attempt(g, &a, 1000), 0);
        relay_guard_forgive(g, &a);
    }
    assert_int_equal(relay_guard_attempt(g, &a, 1000), 0);
    assert_int_equal(relay_guard_attempt(g, &b, 1000), 250); /* at the same time */
    relay_guard_leave(g, &b);                                /* goes away without a word */
    assert_int_equal(relay_guard_enter(g, &b, "10.0.0.1:3"), 0);
    assert_int_equal(relay_guard_attempt(g, &b, 1000), 500);
    relay_guard_forgive(g, &b);
    assert_int_equal(relay_guard_attempt(g, &b, 1000), 500);
    relay_guard_leave(g, &a);
    relay_guard_leave(g, &b);
    relay_guard_free(g);
}

static void test_penalty(void **state)
{
    (void)state;
    struct relay_guard *g = relay_guard_new(100);
    int n = 0;
    struct relay_guest a = {.drop = on_drop, .owner = &n}, b = a;
    assert_int_equal(relay_guard_enter(g, &a, "[::1]:1"), 0);
    assert_int_equal(relay_guard_enter(g, &b, "[::2]:1"), 0);
    assert_int_equal(relay_guard_failed(g, &a, 1000), 250);
    assert_int_equal(relay_guard_failed(g, &a, 1001), 500);
    assert_int_equal(relay_guard_failed(g, &a, 1002), 1000);
    relay_guard_leave(g, &a); /* a new connection changes nothing */
    assert_int_equal(relay_guard_enter(g, &a, "[::1]:2"), 0);
    assert_int_equal(relay_guard_failed(g, &a, 1003), 2000);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(relay_guard_failed(g, &a, 1004), 2000);
    }
    assert_int_equal(relay_guard_failed(g, &b, 1005), 250);
    assert_int_equal(relay_guard_failed(g, &a, 1004 + 1000 * RELAY_FORGET_MS), 250);
    relay_guard_leave(g, &a);
    relay_guard_leave(g, &b);
    relay_guard_free(g);
}

static void test_many_addresses(void **state)
{
    (void)state;
    struct relay_guard *g = relay_guard_new(1);
    int n = 0;
    for (int i = 0; i < 3 * RELAY_ADDRESSES_MAX; i++) {
        char peer[32];
        struct relay_guest guest = {.drop = on_drop, .owner = &n};
        snprintf(peer, sizeof(peer), "10.%d.%d.%d:1", i >> 16, i >> 8 & 255, i & 255);
        assert_int_equal(relay_guard_enter(g, &guest, peer), 0);
        relay_guard_failed(g, &guest, 1);
        relay_guard_leave(g, &guest);
    }
    assert_int_equal(n, 0);
    relay_guard_free(g);
}

int nk_test_relay_guard(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oldest_guest_goes),
        cmocka_unit_test(test_penalty),
        cmocka_unit_test(test_attempts),
        cmocka_unit_test(test_many_addresses),
    };
    return cmocka_run_group_tests_name("relay/guard", tests, NULL, NULL);
}
