/* SPDX-License-Identifier: MIT */
/*
 * The wall clock is set while a queue runs. Lives are judged by it as it is now, within a minute at
 * the latest; leases, delays, graces and producers' numbers do not care.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "relay/queue_testkit.h"

#define MINUTE ((uint64_t)60 * 1000)
#define HOUR (60 * (int64_t)MINUTE)

static void set_clock(struct qt_world *w, int64_t by_ms)
{
    w->wall_off += by_ms;
    qt_tick(w, 0);
}

static void put_with_life(struct qt_world *w, const char *text, uint64_t ms)
{
    uint64_t wall = (uint64_t)((int64_t)(QT_WALL + w->now) + w->wall_off);
    assert_int_equal(qt_put(w, text, &(struct relay_put){.copies = 1, .expires_ms = wall + ms}), 0);
}

/* An hour passes on the wall alone: what should have ended is not handed out any more. */
static void test_forward_at_handing_out(void **state)
{
    struct qt_world *w = *state;
    put_with_life(w, "1", 10 * MINUTE);
    put_with_life(w, "2", 70 * MINUTE);
    qt_produce(w, "3");
    set_clock(w, HOUR);
    qt_join(w, 0, w->g);
    qt_demand(w, 0, 10, 0);
    qt_expect(w, 0, "2 3 ");
    assert_int_equal(qt_stats(w->g).drop[RELAY_DROP_EXPIRED], 1);
}

/* The same when nobody asks: a minute later it is gone. */
static void test_forward_unasked(void **state)
{
    struct qt_world *w = *state;
    put_with_life(w, "1", 70 * MINUTE);
    put_with_life(w, "2", 10 * MINUTE);
    qt_produce(w, "3");
    set_clock(w, HOUR);
    assert_true(relay_queue_next(w->q) <= w->now + MINUTE);
    qt_tick(w, MINUTE);
    assert_int_equal(qt_stats(w->g).queued, 2);
    qt_tick(w, 9 * MINUTE);
    assert_int_equal(qt_stats(w->g).queued, 1);
    assert_int_equal(qt_stats(w->g).drop[RELAY_DROP_EXPIRED], 2);
}

/* An hour is taken back: it lives until the clock says so again, and somebody always looks. */
static void test_backward(void **state)
{
    struct qt_world *w = *state;
    put_with_life(w, "1", 10 * MINUTE);
    set_clock(w, -HOUR);
    for (int minute = 1; minute < 70; minute++) {
        qt_tick(w, MINUTE);
        assert_int_equal(qt_stats(w->g).queued, 1);
        assert_true(relay_queue_next(w->q) <= w->now + MINUTE);
    }
    qt_tick(w, MINUTE - 1);
    assert_int_equal(qt_stats(w->g).queued, 1);
    qt_tick(w, 1);
    assert_null(w->g->state); /* it is gone, with all that knew of it */
}

/* Back and forth again within a life: as if nothing had been. */
static void test_back_and_forth(void **state)
{
    struct qt_world *w = *state;
    put_with_life(w, "1", 10 * MINUTE);
    set_clock(w, -HOUR);
    qt_tick(w, 5 * MINUTE);
    set_clock(w, HOUR);
    qt_tick(w, 5 * MINUTE - 1);
    assert_int_equal(qt_stats(w->g).queued, 1);
    qt_tick(w, MINUTE);
    assert_null(w->g->state);
}

/* What is produced after a jump lives as long as its group says, by the new clock. */
static void test_lives_begun_after_a_jump(void **state)
{
    static const int64_t jumps[] = {HOUR, -HOUR};
    struct qt_world *w = *state;
    qt_change(w, (struct relay_group_settings){
                     .max_count = -1, .max_consumables = -1, .ttl_ms = 5 * MINUTE});
    for (size_t i = 0; i < 2; i++) {
        set_clock(w, jumps[i]);
        qt_produce(w, "1");
        qt_tick(w, 5 * MINUTE - 1);
        assert_int_equal(qt_stats(w->g).queued, 1);
        qt_tick(w, 1);
        assert_null(w->g->state);
    }
}

/* A copy that came back from its consumer is under the same clock. */
static void test_returned_copies(void **state)
{
    struct qt_world *w = *state;
    qt_join(w, 0, w->g);
    qt_demand(w, 0, 2, 0);
    put_with_life(w, "1", 10 * MINUTE);
    assert_int_equal(qt_settle(w, 0, RELAY_NACK, 0), 0); /* and it comes again */
    qt_expect(w, 0, "1 1' ");
    assert_int_equal(qt_settle(w, 0, RELAY_NACK, 0), 0);
    set_clock(w, -HOUR);
    qt_tick(w, 69 * MINUTE);
    assert_int_equal(qt_stats(w->g).queued, 1);
    set_clock(w, HOUR);
    qt_tick(w, MINUTE);
    assert_int_equal(qt_stats(w->g).queued, 0);
    assert_int_equal(qt_stats(w->g).drop[RELAY_DROP_EXPIRED], 1);
}

static void one_lease(struct qt_world *w, int64_t jump)
{
    qt_demand(w, 0, 1, 0);
    qt_produce(w, "1");
    qt_expect(w, 0, "1 ");
    set_clock(w, jump);
    qt_tick(w, QT_LEASE - 1);
    assert_int_equal(qt_stats(w->g).leased, 1);
    qt_tick(w, 1);
    assert_int_equal(qt_stats(w->g).leased, 0);
    qt_demand(w, 0, 1, 0);
    qt_expect(w, 0, "1' ");
    assert_int_equal(qt_settle(w, 0, RELAY_NACK, 300), 0);
    qt_demand(w, 0, 1, 0);
    set_clock(w, jump);
    qt_tick(w, 299);
    qt_expect(w, 0, "");
    qt_tick(w, 1);
    qt_expect(w, 0, "1'' ");
    assert_int_equal(qt_settle(w, 0, RELAY_ACK, 0), 0);
}

static void test_leases_and_delays(void **state)
{
    struct qt_world *w = *state;
    qt_join(w, 0, w->g);
    one_lease(w, HOUR);
    one_lease(w, -HOUR);
    one_lease(w, -HOUR);
}

static void one_absence(struct qt_world *w, int64_t jump)
{
    static const uint8_t tag[RELAY_TAG] = "a session's tag";
    assert_int_equal(relay_queue_resume(w->q, w->p[0].m, tag, 300), 0);
    qt_join(w, 0, w->g);
    qt_peer_leave(w, 0);
    set_clock(w, jump);
    qt_tick(w, 299);
    qt_peer_new(w, 0, &qt_timed);
    assert_int_equal(relay_queue_resume(w->q, w->p[0].m, tag, 300), 1);
    qt_peer_leave(w, 0);
    set_clock(w, jump);
    qt_tick(w, 300);
    qt_peer_new(w, 0, &qt_timed);
    assert_int_equal(relay_queue_resume(w->q, w->p[0].m, tag, 300), 0);
    qt_peer_leave(w, 0);
    qt_tick(w, 300);
    qt_peer_new(w, 0, &qt_timed);
}

static void test_graces(void **state)
{
    one_absence(*state, HOUR);
    one_absence(*state, -HOUR);
}

/* Two hours on the wall alone: numbers are remembered for an hour that has passed. */
static void test_producers(void **state)
{
    struct qt_world *w = *state;
    const struct relay_put first = {.copies = 1, .producer = 7, .producer_seq = 1};
    assert_int_equal(qt_put(w, "1", &first), 0);
    set_clock(w, 2 * HOUR);
    assert_int_equal(qt_put(w, "1", &first), 1);
    set_clock(w, -4 * HOUR);
    assert_int_equal(qt_put(w, "1", &first), 1);
    qt_tick(w, 61 * MINUTE);
    assert_int_equal(qt_put(w, "1", &first), 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, qt_setup, qt_teardown)

int nk_test_relay_queue_wall(void)
{
    const struct CMUnitTest tests[] = {
        T(test_forward_at_handing_out),
        T(test_forward_unasked),
        T(test_backward),
        T(test_back_and_forth),
        T(test_lives_begun_after_a_jump),
        T(test_returned_copies),
        T(test_leases_and_delays),
        T(test_graces),
        T(test_producers),
    };
    return cmocka_run_group_tests_name("relay/queue_wall", tests, NULL, NULL);
}
