/* SPDX-License-Identifier: MIT */
/* What time does to a queue: leases, delays, graces, lives; dead letters; duplicates; drains. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "relay/queue_testkit.h"
#include "relay/wire_meta.h"

/* --- leases ----------------------------------------------------------------------------------- */

static void test_lease_ends(void **state)
{
    struct qt_world *w = *state;
    qt_join(w, 0, w->g);
    qt_join(w, 1, w->g);
    qt_demand(w, 0, 1, 0);
    qt_produce(w, "1");
    qt_produce(w, "2");
    assert_true(relay_queue_next(w->q) <= w->now + QT_LEASE);
    qt_tick(w, QT_LEASE - 1);
    assert_int_equal(qt_stats(w->g).leased, 1);
    qt_demand(w, 1, 2, 0);
    qt_expect(w, 1, "2 ");
    qt_tick(w, 1);
    qt_expect(w, 1, "1' ");
    assert_int_equal(qt_stats(w->g).timed_out, 1);
    assert_int_equal(qt_settle(w, 0, RELAY_ACK, 0), -ENOENT); /* too late: it is another's */
    assert_int_equal(qt_settle(w, 1, RELAY_ACK, 0), 0);
    qt_tick(w, QT_LEASE);
    assert_int_equal(qt_stats(w->g).timed_out, 2);
}

static void test_extend(void **state)
{
    struct qt_world *w = *state;
    qt_join(w, 0, w->g);
    qt_demand(w, 0, 1, 0);
    qt_produce(w, "1");
    qt_tick(w, QT_LEASE - 1);
    assert_int_equal(qt_settle(w, 0, RELAY_EXTEND, 0), 0);
    qt_tick(w, QT_LEASE - 1);
    assert_int_equal(qt_settle(w, 0, RELAY_EXTEND, 5 * QT_LEASE), 0);
    qt_tick(w, 5 * QT_LEASE - 1);
    assert_int_equal(qt_stats(w->g).leased, 1);
    qt_tick(w, 1);
    assert_int_equal(qt_stats(w->g).leased, 0);
    assert_int_equal(qt_settle(w, 0, RELAY_EXTEND, QT_LEASE), -ENOENT);
}

/* Members that know nothing of lease times keep theirs until they go. */
static void test_untimed(void **state)
{
    struct qt_world *w = *state;
    qt_peer_leave(w, 0);
    qt_peer_new(w, 0, &qt_untimed);
    qt_join(w, 0, w->g);
    qt_join(w, 1, w->g);
    qt_demand(w, 0, 1, 0);
    qt_produce(w, "1");
    qt_demand(w, 1, 1, 0);
    qt_tick(w, 1000 * QT_LEASE);
    assert_int_equal(qt_settle(w, 0, RELAY_EXTEND, 1), 0);
    qt_tick(w, 1000 * QT_LEASE);
    qt_expect(w, 1, "");
    qt_peer_leave(w, 0);
    qt_expect(w, 1, "1' ");
}

static void test_nack_with_delay(void **state)
{
    struct qt_world *w = *state;
    qt_join(w, 0, w->g);
    qt_demand(w, 0, 10, 0);
    qt_produce(w, "1");
    assert_int_equal(qt_settle(w, 0, RELAY_NACK, 500), 0);
    qt_produce(w, "2");
    qt_expect(w, 0, "1 2 ");
    assert_int_equal(qt_stats(w->g).delayed, 1);
    assert_int_equal(qt_stats(w->g).queued, 1);
    qt_tick(w, 499);
    qt_expect(w, 0, "");
    qt_tick(w, 1);
    qt_expect(w, 0, "1' ");
    assert_int_equal(qt_stats(w->g).delayed, 0);
}

/* Not delivered after all: that was no delivery. */
static void test_return(void **state)
{
    struct qt_world *w = *state;
    qt_join(w, 0, w->g);
    qt_demand(w, 0, 5, 0);
    qt_produce(w, "1");
    for (int i = 0; i < 4; i++) {
        assert_int_equal(qt_settle(w, 0, RELAY_RETURN, 0), 0);
    }
    qt_expect(w, 0, "1 1 1 1 1 ");
    assert_int_equal(qt_stats(w->g).dead, 0);
}

/* --- dead letters ----------------------------------------------------------------------------- */

static void test_dead_letters(void **state)
{
    struct qt_world *w = *state;
    qt_join(w, 0, w->g);
    qt_join(w, 1, w->dead);
    qt_demand(w, 0, 10, 0);
    relay_queue_demand(w->q, w->p[1].m, w->dead, 10, 0);
    qt_produce(w, "1");
    assert_int_equal(qt_settle(w, 0, RELAY_NACK, 0), 0);
    qt_tick(w, QT_LEASE); /* the second one */
    qt_expect(w, 0, "1 1' 1'' ");
    qt_expect(w, 1, "");
    assert_int_equal(qt_settle(w, 0, RELAY_NACK, 9999), 0);
    qt_expect(w, 0, "");
    qt_expect(w, 1, "1(G) ");
    assert_int_equal(qt_stats(w->g).dead, 1);
    assert_int_equal(qt_stats(w->g).queued, 0);
    qt_produce(w, "2");
    assert_int_equal(qt_settle(w, 0, RELAY_DEAD, 0), 0);
    qt_expect(w, 1, "2(G) ");
    /* metadata of its own stays in front of that */
    uint8_t bytes[64];
    struct relay_meta_writer mw;
    relay_meta_begin(&mw, bytes, sizeof(bytes));
    relay_meta_add(&mw, RELAY_META_REPLY_TO, "back", 4);
    size_t n = relay_meta_end(&mw);
    bytes[n] = '3';
    struct relay_object *o = relay_object_copy(&w->memory, bytes, n + 1);
    o->flags = RELAY_OBJECT_META;
    assert_int_equal(relay_queue_enqueue(w->q, w->g, o, &(struct relay_put){.copies = 1}), 0);
    relay_queue_dispatch(w->q, w->g);
    relay_object_unref(o);
    assert_int_equal(qt_settle(w, 0, RELAY_DEAD, 0), 0);
    qt_expect(w, 1, "3(G) ");
}

static void test_dead_without_a_group(void **state)
{
    struct qt_world *w = *state;
    qt_change(w, (struct relay_group_settings){.max_count = -1,
                                               .max_consumables = -1,
                                               .max_deliveries = 1,
                                               .dead_letter = "G"}); /* its own is none */
    qt_join(w, 0, w->g);
    qt_demand(w, 0, 10, 0);
    qt_produce(w, "1");
    qt_peer_leave(w, 0);
    assert_int_equal(qt_stats(w->g).drop[RELAY_DROP_DEAD], 1);
    assert_int_equal(qt_stats(w->g).queued, 0);
}

/* --- lives ------------------------------------------------------------------------------------ */

static void test_expiry(void **state)
{
    struct qt_world *w = *state;
    uint64_t wall = QT_WALL + w->now;
    const struct relay_put late = {.copies = 1, .expires_ms = wall};
    assert_int_equal(qt_put(w, "0", &late), -ETIMEDOUT);
    assert_int_equal(qt_put(w, "1", &(struct relay_put){.copies = 2, .expires_ms = wall + 100}), 0);
    qt_produce(w, "2");
    assert_int_equal(qt_put(w, "3", &(struct relay_put){.copies = 1, .expires_ms = wall + 50}), 0);
    assert_int_equal(qt_put(w, "4", &(struct relay_put){.copies = 1, .expires_ms = wall + 9999}),
                     0);
    assert_int_equal(qt_stats(w->g).queued, 5);
    qt_tick(w, 50);
    assert_int_equal(qt_stats(w->g).queued, 4); /* out of the middle */
    qt_tick(w, 50);
    assert_int_equal(qt_stats(w->g).queued, 2);
    assert_int_equal(qt_stats(w->g).drop[RELAY_DROP_EXPIRED], 4);
    qt_join(w, 0, w->g);
    qt_demand(w, 0, 10, 0);
    qt_expect(w, 0, "2 4 ");
    qt_tick(w, 9999); /* leases do not expire, what comes back does; a third one died before */
    assert_int_equal(qt_stats(w->g).drop[RELAY_DROP_EXPIRED], 5);
}

static void test_ttl_of_the_group(void **state)
{
    struct qt_world *w = *state;
    qt_change(w,
              (struct relay_group_settings){.max_count = -1, .max_consumables = -1, .ttl_ms = 70});
    qt_produce(w, "1");
    qt_tick(w, 69);
    assert_int_equal(qt_stats(w->g).queued, 1);
    qt_produce(w, "2");
    qt_tick(w, 1);
    assert_int_equal(qt_stats(w->g).queued, 1);
    qt_tick(w, 69);
    assert_int_equal(qt_stats(w->g).members, 0);
    assert_null(w->g->state); /* nothing is left of it */
}

/* A ring of many is swept in parts. */
static void test_sweep_of_many(void **state)
{
    struct qt_world *w = *state;
    uint64_t wall = QT_WALL + w->now;
    for (int i = 0; i < 20000; i++) {
        const struct relay_put with = {.copies = 1, .expires_ms = i % 2 ? wall + 10 : wall + 5000};
        assert_int_equal(qt_put(w, "x", &with), 0);
    }
    for (int i = 0; i < 30; i++) {
        qt_tick(w, 1);
    }
    assert_int_equal(qt_stats(w->g).queued, 10000);
    qt_tick(w, 4999);
    for (int i = 0; i < 30; i++) {
        qt_tick(w, 1);
    }
    assert_int_equal(qt_stats(w->g).queued, 0);
}

/* --- absence ---------------------------------------------------------------------------------- */

static const uint8_t tag[RELAY_TAG] = "a session's tag";

static void test_resume(void **state)
{
    struct qt_world *w = *state;
    struct relay_seat_stats seat;
    assert_int_equal(relay_queue_resume(w->q, w->p[0].m, tag, 300), 0);
    qt_join(w, 0, w->g);
    qt_join(w, 1, w->g);
    qt_demand(w, 0, 3, 0);
    qt_produce(w, "1");
    qt_produce(w, "2");
    qt_expect(w, 0, "1 2 ");
    uint64_t second = w->p[0].seq;
    qt_peer_leave(w, 0);
    assert_int_equal(qt_stats(w->g).absent, 1);
    qt_produce(w, "3"); /* its credit stands, but nobody is there */
    assert_int_equal(qt_stats(w->g).queued, 1);
    assert_int_equal(qt_stats(w->g).leased, 2);
    qt_tick(w, 299);
    qt_peer_new(w, 0, &qt_timed);
    assert_int_equal(relay_queue_resume(w->q, w->p[0].m, tag, 300), 1);
    relay_queue_unpause(w->q, w->p[0].m);
    qt_expect(w, 0, "3 ");
    assert_true(relay_queue_seat(w->p[0].m, w->g, &seat));
    assert_int_equal(seat.credit, 0);
    assert_int_equal(seat.delivered, 3);
    assert_int_equal(seat.leased, 3);
    assert_int_equal(relay_queue_settle(w->q, w->p[0].m, w->g, second, 1, RELAY_ACK, 0), 0);
    assert_int_equal(qt_stats(w->g).absent, 0);
    assert_int_equal(qt_stats(w->g).members, 2);
}

static void test_grace_ends(void **state)
{
    struct qt_world *w = *state;
    assert_int_equal(relay_queue_resume(w->q, w->p[0].m, tag, 300), 0);
    qt_join(w, 0, w->g);
    qt_join(w, 1, w->g);
    qt_demand(w, 0, 1, 0);
    qt_produce(w, "1");
    qt_demand(w, 1, 1, 0);
    qt_peer_leave(w, 0);
    qt_tick(w, 299);
    qt_expect(w, 1, "");
    qt_tick(w, 1);
    qt_expect(w, 1, "1' ");
    assert_int_equal(qt_stats(w->g).members, 1);
    qt_peer_new(w, 0, &qt_timed);
    assert_int_equal(relay_queue_resume(w->q, w->p[0].m, tag, 300), 0);
}

/* The old connection is half dead and still there. */
static void test_resume_of_a_present_one(void **state)
{
    struct qt_world *w = *state;
    assert_int_equal(relay_queue_resume(w->q, w->p[0].m, tag, 300), 0);
    qt_join(w, 0, w->g);
    qt_demand(w, 0, 1, 0);
    assert_int_equal(relay_queue_resume(w->q, w->p[1].m, tag, 300), 1);
    relay_queue_unpause(w->q, w->p[1].m);
    qt_produce(w, "1");
    qt_expect(w, 0, "");
    qt_expect(w, 1, "1 ");
    qt_peer_leave(w, 0); /* takes nothing with it */
    assert_int_equal(qt_stats(w->g).leased, 1);
    qt_join(w, 2, w->g);
    assert_int_equal(relay_queue_resume(w->q, w->p[2].m, tag, 300), -EINVAL);
}

/* --- producers and drains --------------------------------------------------------------------- */

static void test_duplicates(void **state)
{
    struct qt_world *w = *state;
    struct relay_put p = {.copies = 1, .producer = 7, .producer_seq = 5};
    assert_int_equal(qt_put(w, "1", &p), 0);
    assert_int_equal(qt_put(w, "1", &p), 1);
    p.producer_seq = 4;
    assert_int_equal(qt_put(w, "0", &p), 1);
    p.producer = 8;
    assert_int_equal(qt_put(w, "2", &p), 0);
    p.producer_seq = 6;
    assert_int_equal(qt_put(w, "3", &p), 0);
    assert_int_equal(qt_stats(w->g).queued, 3);
    assert_int_equal(qt_stats(w->g).duplicates, 2);
    /* they are remembered when nothing else of the group is left, for an hour */
    assert_int_equal(relay_queue_purge(w->q, w->g), 3);
    assert_int_equal(qt_stats(w->g).producers, 2);
    assert_int_equal(qt_put(w, "3", &p), 1);
    qt_tick(w, 3600 * 1000);
    assert_null(w->g->state);
    assert_int_equal(qt_put(w, "3", &p), 0);
}

/* What could not be stored can come again under its number. */
static void test_retract(void **state)
{
    struct qt_world *w = *state;
    const struct relay_put p = {.copies = 2, .producer = 7, .producer_seq = 5};
    struct relay_object *o = relay_object_copy(&w->memory, "1", 1);
    uint64_t seq, expires, again;
    assert_int_equal(relay_queue_admit(w->q, w->g, o, &p, &seq, &expires), 0);
    assert_int_equal(relay_queue_admit(w->q, w->g, o, &p, &again, &expires), 1);
    relay_queue_retract(w->q, w->g, o, &p);
    assert_int_equal(relay_queue_admit(w->q, w->g, o, &p, &again, &expires), 0);
    assert_true(again >= seq + 2);
    assert_int_equal(relay_queue_place(w->q, w->g, o, &p, again, expires), 0);
    assert_int_equal(qt_stats(w->g).queued, 2);
    relay_object_unref(o);
}

static void test_drain_ends(void **state)
{
    struct qt_world *w = *state;
    qt_join(w, 0, w->g);
    qt_join(w, 1, w->g);
    assert_int_equal(qt_demand(w, 0, RELAY_DRAIN_ALL, 1), RELAY_QUEUE_LATER);
    qt_expect(w, 0, "<1:0> "); /* nothing there */
    qt_produce(w, "1");
    qt_produce(w, "2");
    assert_int_equal(qt_demand(w, 0, RELAY_DRAIN_ALL, 2), RELAY_QUEUE_LATER);
    qt_expect(w, 0, "1 2 <2:0> ");
    qt_produce(w, "3");
    w->p[0].m->paused = true;
    assert_int_equal(qt_demand(w, 0, RELAY_DRAIN_ALL, 3), RELAY_QUEUE_LATER);
    qt_produce(w, "4");
    assert_int_equal(qt_demand(w, 0, RELAY_DRAIN_ALL, 4), RELAY_QUEUE_LATER);
    qt_demand(w, 1, 1, 0); /* takes one of them */
    qt_expect(w, 1, "3 ");
    qt_expect(w, 0, "");
    w->p[0].m->paused = false;
    relay_queue_unpause(w->q, w->p[0].m);
    qt_expect(w, 0, "<3:0> 4 <4:0> ");
    qt_produce(w, "5");
    w->p[0].m->paused = true;
    assert_int_equal(qt_demand(w, 0, RELAY_DRAIN_ALL, 5), RELAY_QUEUE_LATER);
    relay_queue_cancel(w->q, w->p[0].m, w->g);
    qt_expect(w, 0, "<5:-125> ");
    w->p[0].m->paused = false;
    qt_demand(w, 0, 0, 0);
    qt_expect(w, 0, "");
}

/* So many of what is there, then its end is told; what others asked for is their own. */
static void test_drain_with_a_limit(void **state)
{
    struct qt_world *w = *state;
    qt_join(w, 0, w->g);
    for (int i = 0; i < 9; i++) {
        qt_produce(w, (char[]){(char)('1' + i), 0});
    }
    assert_int_equal(qt_demand(w, 0, -2, 1), RELAY_QUEUE_LATER);
    qt_expect(w, 0, "1 2 <1:0> ");
    w->p[0].m->paused = true;
    assert_int_equal(qt_demand(w, 0, -1, 2), RELAY_QUEUE_LATER);
    assert_int_equal(qt_demand(w, 0, -2, 0), 0); /* nobody is told, and it is kept all the same */
    qt_demand(w, 0, 1, 0);                       /* credit stays until the drains are over */
    assert_int_equal(qt_demand(w, 0, -100, 3), RELAY_QUEUE_LATER);
    w->p[0].m->paused = false;
    relay_queue_unpause(w->q, w->p[0].m);
    qt_expect(w, 0, "3 <2:0> 4 5 6 7 8 9 <3:0> ");
    qt_produce(w, "a");
    qt_produce(w, "b");
    qt_expect(w, 0, "a ");
    assert_int_equal(qt_demand(w, 0, -1, 4), RELAY_QUEUE_LATER);
    assert_int_equal(qt_demand(w, 0, -1, 5), RELAY_QUEUE_LATER);
    qt_expect(w, 0, "b <4:0> <5:0> ");
    qt_produce(w, "c");
    qt_expect(w, 0, "");
}

/* --- limits ----------------------------------------------------------------------------------- */

static void test_policies(void **state)
{
    struct qt_world *w = *state;
    struct relay_group_settings set = {
        .max_count = -1, .max_consumables = 2, .policy = RELAY_POLICY_BLOCK};
    qt_change(w, set);
    qt_produce(w, "1");
    assert_false(relay_queue_full(w->g));
    qt_produce(w, "2");
    assert_true(relay_queue_full(w->g));
    assert_int_equal(qt_put(w, "3", &(struct relay_put){.copies = 1}), NK_ELIMIT);
    assert_int_equal(qt_put(w, "3", &(struct relay_put){.copies = 1, .force = true}), 0);
    assert_int_equal(qt_stats(w->g).queued, 3);
    assert_int_equal(qt_stats(w->g).refused, 1);
    set.policy = RELAY_POLICY_AUTO;
    qt_change(w, set);
    qt_produce(w, "4");
    assert_int_equal(qt_stats(w->g).queued, 2);
    assert_int_equal(qt_stats(w->g).drop[RELAY_DROP_LIMIT], 2);
    set.max_consumables = -1;
    set.max_bytes = 5;
    qt_change(w, set);
    qt_produce(w, "five");
    assert_int_equal(qt_stats(w->g).bytes, 5);
    qt_produce(w, "six");
    assert_int_equal(qt_stats(w->g).bytes, 3);
    qt_join(w, 0, w->g);
    qt_demand(w, 0, 10, 0);
    qt_expect(w, 0, "six ");
}

static void test_purge(void **state)
{
    struct qt_world *w = *state;
    struct relay_object *o = relay_object_copy(&w->memory, "b", 1);
    qt_join(w, 0, w->g);
    qt_demand(w, 0, 40, 0);
    for (int i = 0; i < 40; i++) {
        qt_produce(w, "x");
    }
    uint64_t first = w->p[0].seq - 39;
    relay_queue_cancel(w->q, w->p[0].m, w->g);
    assert_int_equal(relay_queue_settle(w->q, w->p[0].m, w->g, first, 15, RELAY_NACK, 0), 0);
    assert_int_equal(relay_queue_settle(w->q, w->p[0].m, w->g, first + 15, 15, RELAY_NACK, 50), 0);
    assert_int_equal(qt_put(w, "y", &(struct relay_put){.copies = 1000}), 0);
    assert_int_equal(relay_queue_retain(w->q, w->g, o, NULL), 0);
    relay_object_unref(o);
    assert_int_equal(relay_queue_purge(w->q, w->g), 1030);
    struct relay_queue_stats st = qt_stats(w->g);
    assert_int_equal(st.queued + st.retained + st.bytes + st.delayed, 0);
    assert_int_equal(st.leased, 10);
    assert_int_equal(st.drop[RELAY_DROP_PURGED], 1030);
    assert_int_equal(relay_queue_settle(w->q, w->p[0].m, w->g, first + 30, 10, RELAY_ACK, 0), 0);
    qt_tick(w, 100);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, qt_setup, qt_teardown)

int nk_test_relay_queue_time(void)
{
    const struct CMUnitTest tests[] = {
        T(test_lease_ends),
        T(test_extend),
        T(test_untimed),
        T(test_nack_with_delay),
        T(test_return),
        T(test_dead_letters),
        T(test_dead_without_a_group),
        T(test_expiry),
        T(test_ttl_of_the_group),
        T(test_sweep_of_many),
        T(test_resume),
        T(test_grace_ends),
        T(test_resume_of_a_present_one),
        T(test_duplicates),
        T(test_retract),
        T(test_drain_ends),
        T(test_drain_with_a_limit),
        T(test_policies),
        T(test_purge),
    };
    return cmocka_run_group_tests_name("relay/queue_time", tests, NULL, NULL);
}
