/* SPDX-License-Identifier: MIT */
/* Much that happens at one time: it is done in pieces, and nobody notices but for the time. */
#include "relay/queue_testkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "relay/queue_wheel.h"

int nk_test_relay_queue_slice(void);

enum {
    MANY = 30000,
    PIECE = 4096 + 256, /* entries in one go: a tick, and what is dropped along the way */
    LIFE = 500,
    TICKS = 1000,
    TOKEN = 9
};

/* Counts what it hears; items must come in the order of their numbers. */
struct counter {
    uint64_t items, first, last;
    int done;
};

static void on_deliver(void *owner, struct relay_group *g, struct relay_object *o,
                       enum relay_delivery kind, const struct relay_mark *mark)
{
    struct counter *c = owner;
    (void)g, (void)o;
    assert_int_equal(kind, RELAY_ITEM);
    assert_true(mark->seq > c->last);
    c->first = c->first ? c->first : mark->seq;
    c->last = mark->seq;
    c->items++;
}

static void on_done(void *owner, uint64_t token, int status)
{
    struct counter *c = owner;
    assert_int_equal(token, TOKEN);
    assert_int_equal(status, 0);
    c->done++;
}

static const struct relay_member_ops ops = {
    .deliver = on_deliver, .done = on_done, .flags = RELAY_MEMBER_UNTIMED};

static struct counter *joined(struct qt_world *w, int who, struct counter *c)
{
    *c = (struct counter){0};
    w->p[who].m->ops = &ops;
    w->p[who].m->owner = c;
    qt_join(w, who, w->g);
    return c;
}

static void produce(struct qt_world *w, unsigned n, uint64_t life)
{
    uint64_t wall = (uint64_t)((int64_t)(QT_WALL + w->now) + w->wall_off);
    const struct relay_put put = {.copies = 1, .expires_ms = life ? wall + life : 0};
    while (n--) {
        assert_int_equal(qt_put(w, "x", &put), 0);
    }
}

static uint64_t settled(const struct qt_world *w)
{
    struct relay_queue_stats s = qt_stats(w->g);
    return s.dropped + s.returned;
}

/* Tick until nothing is due; each time no more than a piece is done. */
static void tick_in_pieces(struct qt_world *w, unsigned at_least)
{
    unsigned pieces = 0;
    for (; pieces < TICKS && (pieces == 0 || relay_queue_next(w->q) <= w->now + 1); pieces++) {
        uint64_t before = settled(w);
        qt_tick(w, pieces ? 1 : 0);
        assert_true(settled(w) - before <= PIECE);
    }
    assert_true(pieces >= at_least && pieces < TICKS);
}

static void test_expiry(void **state)
{
    struct qt_world *w = *state;
    struct counter c;
    produce(w, MANY, LIFE);
    produce(w, 1, 0);
    w->now += LIFE;
    tick_in_pieces(w, MANY / PIECE);
    struct relay_queue_stats s = qt_stats(w->g);
    assert_int_equal(s.drop[RELAY_DROP_EXPIRED], MANY);
    assert_int_equal(s.queued, 1);
    joined(w, 0, &c);
    qt_demand(w, 0, 1, 0);
    assert_int_equal(c.items, 1);
}

/* The wall clock is set: all of it is dead when somebody asks for it, before any tick is due. */
static void test_expired_in_front(void **state)
{
    struct qt_world *w = *state;
    struct counter drain, credit;
    joined(w, 0, &drain);
    joined(w, 1, &credit);
    produce(w, MANY, LIFE);
    produce(w, 2, 0);
    w->wall_off += LIFE;
    relay_queue_tick(w->q, w->now, (uint64_t)((int64_t)(QT_WALL + w->now) + w->wall_off));
    assert_int_equal(settled(w), 0); /* nothing is due on the monotonic clock */
    qt_demand(w, 0, -1, TOKEN);
    assert_true(settled(w) <= PIECE);
    assert_int_equal(drain.items + (uint64_t)drain.done, 0); /* what is alive is still to come */
    qt_demand(w, 1, 1, 0);
    produce(w, 1, 0);
    assert_true(settled(w) <= 3 * PIECE);
    tick_in_pieces(w, MANY / PIECE / 2);
    assert_int_equal(qt_stats(w->g).drop[RELAY_DROP_EXPIRED], MANY);
    assert_true(drain.items == 1 && credit.items == 1); /* in turn; the third came too late */
    assert_int_equal(drain.done, 1);
    assert_int_equal(qt_stats(w->g).queued, 1);
}

/* Those that were handed out and came back live in a heap. */
static void test_returned_expire(void **state)
{
    struct qt_world *w = *state;
    struct counter c, other;
    joined(w, 0, &c);
    qt_demand(w, 0, MANY + 1, 0);
    produce(w, MANY, LIFE);
    produce(w, 1, 0);
    assert_int_equal(c.items, MANY + 1);
    relay_queue_cancel(w->q, w->p[0].m, w->g);
    assert_int_equal(relay_queue_settle(w->q, w->p[0].m, w->g, c.first, MANY + 1, RELAY_NACK, 0),
                     0);
    w->wall_off += LIFE;
    relay_queue_tick(w->q, w->now, (uint64_t)((int64_t)(QT_WALL + w->now) + w->wall_off));
    joined(w, 1, &other);
    uint64_t before = settled(w);
    qt_demand(w, 1, 2, 0);
    assert_true(settled(w) - before <= PIECE);
    assert_int_equal(other.items, 0);
    tick_in_pieces(w, MANY / PIECE / 2);
    assert_int_equal(qt_stats(w->g).drop[RELAY_DROP_EXPIRED], MANY);
    assert_int_equal(other.items, 1);
}

/* A member that will not come back has much. */
static void test_grace_ends(void **state)
{
    struct qt_world *w = *state;
    const uint8_t tag[RELAY_TAG] = "somebody";
    struct counter c, other;
    joined(w, 0, &c);
    assert_int_equal(relay_queue_resume(w->q, w->p[0].m, tag, LIFE), 0);
    qt_demand(w, 0, MANY, 0);
    produce(w, MANY, 0);
    assert_int_equal(qt_stats(w->g).leased, MANY);
    assert_true(relay_queue_leave(w->q, w->p[0].m));
    w->p[0].m = NULL;
    qt_tick(w, LIFE - 1);
    assert_int_equal(settled(w), 0);
    joined(w, 1, &other); /* waits for them: in order, says on_deliver */
    qt_demand(w, 1, MANY, 0);
    w->now++;
    tick_in_pieces(w, MANY / PIECE);
    assert_int_equal(qt_stats(w->g).returned, MANY);
    assert_int_equal(qt_stats(w->g).members, 1);
    assert_int_equal(other.items, MANY);
}

/* Refused in any order, for a while or not: they come again in theirs. */
static void test_order_of_what_came_back(void **state)
{
    struct qt_world *w = *state;
    struct counter c, other;
    joined(w, 0, &c);
    qt_demand(w, 0, MANY, 0);
    produce(w, MANY, 0);
    relay_queue_cancel(w->q, w->p[0].m, w->g);
    uint64_t step = 7919, at = 0; /* a prime: comes to each of them */
    for (unsigned i = 0; i < MANY; i++, at = (at + step) % MANY) {
        assert_int_equal(
            relay_queue_settle(w->q, w->p[0].m, w->g, c.first + at, 1, RELAY_NACK, at % 3 ? 0 : 20),
            0);
        if (i % 3 == 2) { /* some leave in the middle */
            assert_int_equal(
                relay_queue_settle(w->q, w->p[0].m, w->g, c.first + at, 1, RELAY_ACK, 0), -ENOENT);
        }
    }
    for (int i = 0; i < 40; i++) {
        qt_tick(w, 1);
    }
    joined(w, 1, &other);
    qt_demand(w, 1, MANY, 0);
    assert_int_equal(other.items, MANY);
}

static void test_purge_of_delayed(void **state)
{
    struct qt_world *w = *state;
    struct counter c;
    unsigned parts = 0;
    joined(w, 0, &c);
    qt_demand(w, 0, MANY, 0);
    produce(w, MANY, 0);
    relay_queue_cancel(w->q, w->p[0].m, w->g);
    const struct {
        uint32_t from, n;
        enum relay_settle how;
        uint64_t ms;
    } what[] = {{0, MANY / 2, RELAY_NACK, LIFE}, {MANY / 2, MANY / 4, RELAY_NACK, 0}};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(relay_queue_settle(w->q, w->p[0].m, w->g, c.first + what[i].from,
                                            what[i].n, what[i].how, what[i].ms),
                         0);
    }
    produce(w, MANY / 4, 0);
    for (uint64_t before = 0; relay_queue_purge_part(w->q, w->g, PIECE / 4); parts++) {
        uint64_t now = qt_stats(w->g).drop[RELAY_DROP_PURGED];
        assert_true(now - before <= PIECE / 4);
        before = now;
    }
    assert_true(parts >= MANY / PIECE * 4);
    assert_int_equal(relay_queue_purge(w->q, w->g), 0); /* nothing was left for it */
    struct relay_queue_stats s = qt_stats(w->g);
    assert_int_equal(s.drop[RELAY_DROP_PURGED], MANY);
    assert_int_equal(s.leased, MANY - MANY / 2 - MANY / 4);
    assert_int_equal(s.queued + s.delayed + s.bytes, 0);
    assert_int_equal(relay_queue_purge(w->q, w->g), 0);
}

/* A slot of a thousand entries far away comes near. */
static void test_wheel(void **state)
{
    struct relay_wheel *w = calloc(1, sizeof(*w));
    struct relay_due *d = calloc(MANY, sizeof(*d));
    unsigned pieces = 0, got = 0;
    (void)state;
    uint64_t far = 1000 * 1000, last = 0;
    for (unsigned i = 0; i < MANY; i++) {
        relay_wheel_enter(w, &d[i], far + i % 50);
    }
    while (relay_wheel_next(w) <= far + 50) {
        unsigned work = PIECE;
        const struct relay_due *x;
        while ((x = relay_wheel_pop(w, far + 50, &work)) != NULL) {
            assert_true(x->when >= last);
            last = x->when;
            got++;
        }
        if (pieces++ == 0) { /* in the middle of it, some leave and one enters */
            assert_int_equal(work + got, 0);
            for (unsigned i = 0; i < 10; i++) {
                relay_wheel_leave(w, &d[i * 1000]);
            }
            relay_wheel_enter(w, &d[0], far + 1);
        }
    }
    assert_int_equal(got, MANY - 9);
    assert_true(pieces > MANY / PIECE);
    free(d);
    free(w);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, qt_setup, qt_teardown)

int nk_test_relay_queue_slice(void)
{
    const struct CMUnitTest tests[] = {
        T(test_expiry),
        T(test_expired_in_front),
        T(test_returned_expire),
        T(test_grace_ends),
        T(test_order_of_what_came_back),
        T(test_purge_of_delayed),
        cmocka_unit_test(test_wheel),
    };
    return cmocka_run_group_tests_name("relay/queue_slice", tests, NULL, NULL);
}
