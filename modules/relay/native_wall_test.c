/* SPDX-License-Identifier: MIT */
/* The wall clock of a running relay is set an hour forward or back, over each engine. */
#include "relay/native_testkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MINUTE = 60 * 1000, HOUR = 60 * MINUTE, LEASE = 10 * MINUTE };

static enum relay_engine_kind over; /* which engine the tests below run over */

static struct nt_world *world_new(void)
{
    struct nt_world *w = nt_world_with(nt_default_limits(), RELAY_WIRES_NATIVE, over);
    const struct relay_group_settings set = {
        .max_count = -1, .max_consumables = -1, .lease_ms = LEASE};
    assert_int_equal(relay_groups_configure(w->k.groups, "g", 1, &set), 0);
    return w;
}

static void put_with_life(struct nt_world *w, uint32_t g, uint64_t seq, uint64_t ms,
                          const char *text)
{
    uint8_t b[256];
    struct relay_meta_writer m;
    relay_meta_begin(&m, b, sizeof(b));
    relay_meta_add_u64(&m, RELAY_META_TTL, ms);
    size_t n = relay_meta_end(&m);
    memcpy(b + n, text, strlen(text));
    nt_frame(w, 0, RELAY_N_ITEM, RELAY_N_META, g, seq, b, n + strlen(text));
    nt_receipt(w, 0, seq);
    assert_int_equal(w->p[0].h.len, 0); /* all of them were stored */
}

/* The next item of peer 1, whose text follows its metadata. */
static void get_with_meta(struct nt_world *w, const char *text)
{
    struct relay_meta m;
    nt_expect(w, 1, RELAY_N_ITEM);
    assert_int_equal(relay_meta_get(w->p[1].p, w->p[1].h.len, &m), 0);
    assert_true(m.has_expires);
    assert_int_equal(w->p[1].h.len - m.len, strlen(text));
    assert_memory_equal(w->p[1].p + m.len, text, strlen(text));
}

/* All that is queued, which are n items by now. */
static void drained(struct nt_world *w, uint32_t g, uint64_t n)
{
    uint8_t b[RELAY_NATIVE_HEAD];
    nt_raw_send(w, 1, b, relay_native_put_plain(b, RELAY_N_DRAIN, g, 0));
    nt_expect(w, 1, RELAY_N_DRAINED);
    assert_int_equal(w->p[1].h.seq, n);
}

static uint64_t expired(const struct nt_world *w)
{
    struct relay_group *g = relay_groups_find(w->k.groups, "g", 1);
    struct relay_queue_stats st;
    relay_queue_stats(g, &st);
    return st.drop[RELAY_DROP_EXPIRED];
}

static void test_forward(void **state)
{
    (void)state;
    struct nt_world *w = world_new();
    uint32_t g = nt_join(w, 0, "g");
    nt_join(w, 1, "g");
    put_with_life(w, g, 1, 30 * MINUTE, "short");
    put_with_life(w, g, 2, 3 * HOUR, "long");
    nk_clock_set_wall(w->k.app, HOUR);
    put_with_life(w, g, 3, 30 * MINUTE, "later"); /* by the new clock */
    nt_credit(w, 1, g, 2, 0);
    get_with_meta(w, "long");
    get_with_meta(w, "later");
    drained(w, g, 2); /* whoever asks gets an answer */
    assert_int_equal(expired(w), 1);
    nt_world_free(w);
}

static void test_backward(void **state)
{
    (void)state;
    struct nt_world *w = world_new();
    uint32_t g = nt_join(w, 0, "g");
    nt_join(w, 1, "g");
    put_with_life(w, g, 1, 30 * MINUTE, "a");
    put_with_life(w, g, 2, 30 * MINUTE, "b");
    nk_clock_set_wall(w->k.app, -HOUR);
    put_with_life(w, g, 3, 30 * MINUTE, "c"); /* by the old clock this is half an hour ago */
    nt_credit(w, 1, g, 1, 0);
    get_with_meta(w, "a");
    nk_clock_set_wall(w->k.app, HOUR); /* right again: the third one would have ended */
    nt_credit(w, 1, g, 2, 0);
    get_with_meta(w, "b");
    drained(w, g, 2);
    assert_int_equal(expired(w), 1);
    nt_world_free(w);
}

/* Nobody asks: an object that has ended takes no place for longer than a minute. */
static void test_unasked(void **state)
{
    (void)state;
    struct nt_world *w = world_new();
    uint32_t g = nt_join(w, 0, "g");
    put_with_life(w, g, 1, 30 * MINUTE, "short");
    nk_clock_set_wall(w->k.app, HOUR);
    nk_clock_skip(w->k.app, MINUTE);
    for (int turn = 0; expired(w) == 0; turn++) {
        assert_true(turn < PATIENCE);
        nk_app_turn(w->k.app, 2);
    }
    nt_world_free(w);
}

static void one_lease(struct nt_world *w, uint32_t g, uint64_t seq, int64_t jump)
{
    nt_produce(w, 0, g, seq, "x");
    nt_receipt(w, 0, seq);
    nt_credit(w, 1, g, seq, 0);
    nt_get(w, 1, RELAY_N_ITEM, "x");
    nt_credit(w, 0, g, seq, 0);
    nk_clock_set_wall(w->k.app, jump);
    nt_get_nothing(w, 0);
    nk_clock_skip(w->k.app, LEASE);
    nt_expect(w, 0, RELAY_N_DELIVERIES);
    nt_get(w, 0, RELAY_N_ITEM, "x");
    nt_settle(w, 1, RELAY_N_ACK, g, seq, 1, RELAY_STATUS_UNKNOWN); /* too late */
    nt_settle(w, 0, RELAY_N_ACK, g, seq, 1, RELAY_STATUS_OK);
}

static void test_leases(void **state)
{
    (void)state;
    struct nt_world *w = world_new();
    uint32_t g = nt_join(w, 0, "g");
    nt_join(w, 1, "g");
    one_lease(w, g, 1, HOUR);
    one_lease(w, g, 2, -HOUR);
    one_lease(w, g, 3, -HOUR);
    nt_world_free(w);
}

static void test_graces(void **state)
{
    static const int64_t jumps[] = {HOUR, -HOUR, -HOUR};
    (void)state;
    for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
        struct nt_world *w = world_new();
        nt_join(w, 0, "g");
        nt_peer_close(&w->p[0]);
        nt_join(w, 1, "g");
        nk_clock_set_wall(w->k.app, jumps[i]);
        nt_get_nothing(w, 1);
        nt_log_in(w, 0);
        assert_true(w->p[0].resumed);
        nt_peer_close(&w->p[0]);
        nt_get_nothing(w, 1);
        nk_clock_skip(w->k.app, nt_default_limits().grace_ms);
        nt_get_nothing(w, 1);
        nt_log_in(w, 0);
        assert_false(w->p[0].resumed);
        nt_world_free(w);
    }
}

int nk_test_relay_native_wall(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward), cmocka_unit_test(test_backward),
        cmocka_unit_test(test_unasked), cmocka_unit_test(test_leases),
        cmocka_unit_test(test_graces),
    };
    static const char *const names[] = {"clock set over memory", "clock set over chaos",
                                        "clock set over the log"};
    int failed = 0;
    for (over = RELAY_OVER_MEMORY; over <= RELAY_OVER_LOG; over++) {
        failed += cmocka_run_group_tests_name(names[over], tests, NULL, NULL);
    }
    over = RELAY_OVER_MEMORY;
    return failed;
}
