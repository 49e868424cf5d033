/* SPDX-License-Identifier: MIT */
/* What time does to a queue: leases, delays, graces, lives; dead letters; duplicates; drains. */
#include "relay/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "relay/wire_meta.h"

enum { PEERS = 4, LEASE = 1000, WALL = 1700000000 };

/* Writes down what it hears: "1" is object 1 as an item, "1'" once more (one ' for each delivery
 * before), "1*" broadcast, "1=" retained, "<7:0>" token 7 has ended with 0. */
struct peer {
    struct relay_member *m;
    char got[2048];
    uint64_t seq; /* of the last item */
};

struct world {
    struct relay_queue *q;
    struct relay_groups *gs;
    struct relay_group *g, *dead;
    struct peer p[PEERS];
    struct relay_memory memory;
    uint64_t now;
    char journal[2048];
};

static void write_down(char *got, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void write_down(char *got, size_t size, const char *fmt, ...)
{
    va_list ap;
    size_t n = strlen(got);
    va_start(ap, fmt);
    vsnprintf(got + n, size - n, fmt, ap);
    va_end(ap);
}

static void on_deliver(void *owner, struct relay_group *g, struct relay_object *o,
                       enum relay_delivery kind, const struct relay_mark *mark)
{
    struct peer *p = owner;
    char text[64] = "";
    struct relay_meta m = {0};
    (void)g;
    if (o->flags & RELAY_OBJECT_META) {
        assert_int_equal(relay_meta_get(o->bytes, o->len, &m), 0);
    }
    relay_object_read(o, m.len, text, sizeof(text) - 1);
    write_down(p->got, sizeof(p->got), "%s%s", text, (const char *const[]){"=", "*", ""}[kind]);
    for (uint32_t i = 0; i < mark->tries; i++) {
        write_down(p->got, sizeof(p->got), "'");
    }
    if (m.origin.p) {
        write_down(p->got, sizeof(p->got), "(%.*s)", (int)m.origin.len, m.origin.p);
    }
    write_down(p->got, sizeof(p->got), " ");
    p->seq = kind == RELAY_ITEM ? mark->seq : p->seq;
}

static void on_done(void *owner, uint64_t token, int status)
{
    struct peer *p = owner;
    write_down(p->got, sizeof(p->got), "<%d:%d> ", (int)token, status);
}

static const struct relay_member_ops timed = {.deliver = on_deliver, .done = on_done};
static const struct relay_member_ops untimed = {
    .deliver = on_deliver, .done = on_done, .flags = RELAY_MEMBER_UNTIMED};

static void tick(struct world *w, uint64_t ms)
{
    w->now += ms;
    relay_queue_tick(w->q, w->now, WALL + w->now);
}

static void peer_new(struct world *w, int who, const struct relay_member_ops *ops)
{
    struct peer *p = &w->p[who];
    p->m = calloc(1, sizeof(*p->m));
    p->m->ops = ops;
    p->m->owner = p;
    p->got[0] = 0;
}

static void peer_leave(struct world *w, int who)
{
    if (w->p[who].m && !relay_queue_leave(w->q, w->p[who].m)) {
        free(w->p[who].m);
    }
    w->p[who].m = NULL;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct relay_groups_conf conf = {.max_groups = 10};
    const struct relay_group_settings set = {.max_count = RELAY_UNLIMITED,
                                             .max_consumables = RELAY_UNLIMITED,
                                             .lease_ms = LEASE,
                                             .max_deliveries = 3,
                                             .dead_letter = "dead"};
    w->q = relay_queue_new();
    w->gs = relay_groups_new(&conf);
    if (relay_groups_configure(w->gs, "G", 1, &set) < 0 ||
        relay_groups_configure(w->gs, "dead", 4, NULL) < 0) {
        return -1;
    }
    w->g = relay_groups_find(w->gs, "G", 1);
    w->dead = relay_groups_find(w->gs, "dead", 4);
    w->now = 5;
    tick(w, 0);
    for (int i = 0; i < PEERS; i++) {
        peer_new(w, i, &timed);
    }
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < PEERS; i++) {
        peer_leave(w, i);
    }
    relay_queue_free(w->q);
    relay_groups_free(w->gs);
    relay_memory_trim(&w->memory);
    int rc = w->memory.used == 0 ? 0 : -1;
    free(w);
    return rc;
}

static int put(struct world *w, const char *text, const struct relay_put *put)
{
    struct relay_object *o = relay_object_copy(&w->memory, text, strlen(text));
    int rc = relay_queue_enqueue(w->q, w->g, o, put);
    relay_queue_dispatch(w->q, w->g);
    relay_object_unref(o);
    return rc;
}

static void produce(struct world *w, const char *text)
{
    assert_int_equal(put(w, text, &(struct relay_put){.copies = 1}), 0);
}

static void join(struct world *w, int who, struct relay_group *g)
{
    struct relay_watch watch = {.group = g};
    assert_int_equal(relay_queue_join(w->q, w->p[who].m, &watch, 1), 0);
}

static int demand(struct world *w, int who, int64_t n, uint64_t token)
{
    return relay_queue_demand(w->q, w->p[who].m, w->g, n, token);
}

static int settle(struct world *w, int who, enum relay_settle how, uint64_t ms)
{
    return relay_queue_settle(w->q, w->p[who].m, w->g, w->p[who].seq, 1, how, ms);
}

static void expect(struct world *w, int who, const char *text)
{
    assert_string_equal(w->p[who].got, text);
    w->p[who].got[0] = 0;
}

static struct relay_queue_stats stats(const struct relay_group *g)
{
    struct relay_queue_stats st;
    relay_queue_stats(g, &st);
    return st;
}

static void change(struct world *w, struct relay_group_settings set)
{
    const struct relay_groups_conf conf = {.max_groups = 10};
    relay_groups_renew(w->gs, &conf);
    assert_int_equal(relay_groups_configure(w->gs, "G", 1, &set), 0);
    assert_int_equal(relay_groups_configure(w->gs, "dead", 4, NULL), 0);
    relay_groups_sweep(w->gs);
}

/* --- leases ----------------------------------------------------------------------------------- */

static void test_lease_ends(void **state)
{
    struct world *w = *state;
    join(w, 0, w->g);
    join(w, 1, w->g);
    demand(w, 0, 1, 0);
    produce(w, "1");
    produce(w, "2");
    assert_true(relay_queue_next(w->q) <= w->now + LEASE);
    tick(w, LEASE - 1);
    assert_int_equal(stats(w->g).leased, 1);
    demand(w, 1, 2, 0);
    expect(w, 1, "2 ");
    tick(w, 1);
    expect(w, 1, "1' ");
    assert_int_equal(stats(w->g).timed_out, 1);
    assert_int_equal(settle(w, 0, RELAY_ACK, 0), -ENOENT); /* too late: it is another's */
    assert_int_equal(settle(w, 1, RELAY_ACK, 0), 0);
    tick(w, LEASE);
    assert_int_equal(stats(w->g).timed_out, 2);
}

static void test_extend(void **state)
{
    struct world *w = *state;
    join(w, 0, w->g);
    demand(w, 0, 1, 0);
    produce(w, "1");
    tick(w, LEASE - 1);
    assert_int_equal(settle(w, 0, RELAY_EXTEND, 0), 0);
    tick(w, LEASE - 1);
    assert_int_equal(settle(w, 0, RELAY_EXTEND, 5 * LEASE), 0);
    tick(w, 5 * LEASE - 1);
    assert_int_equal(stats(w->g).leased, 1);
    tick(w, 1);
    assert_int_equal(stats(w->g).leased, 0);
    assert_int_equal(settle(w, 0, RELAY_EXTEND, LEASE), -ENOENT);
}

/* Members that know nothing of lease times keep theirs until they go. */
static void test_untimed(void **state)
{
    struct world *w = *state;
    peer_leave(w, 0);
    peer_new(w, 0, &untimed);
    join(w, 0, w->g);
    join(w, 1, w->g);
    demand(w, 0, 1, 0);
    produce(w, "1");
    demand(w, 1, 1, 0);
    tick(w, 1000 * LEASE);
    assert_int_equal(settle(w, 0, RELAY_EXTEND, 1), 0);
    tick(w, 1000 * LEASE);
    expect(w, 1, "");
    peer_leave(w, 0);
    expect(w, 1, "1' ");
}

static void test_nack_with_delay(void **state)
{
    struct world *w = *state;
    join(w, 0, w->g);
    demand(w, 0, 10, 0);
    produce(w, "1");
    assert_int_equal(settle(w, 0, RELAY_NACK, 500), 0);
    produce(w, "2");
    expect(w, 0, "1 2 ");
    assert_int_equal(stats(w->g).delayed, 1);
    assert_int_equal(stats(w->g).queued, 1);
    tick(w, 499);
    expect(w, 0, "");
    tick(w, 1);
    expect(w, 0, "1' ");
    assert_int_equal(stats(w->g).delayed, 0);
}

/* Not delivered after all: that was no delivery. */
static void test_return(void **state)
{
    struct world *w = *state;
    join(w, 0, w->g);
    demand(w, 0, 5, 0);
    produce(w, "1");
    for (int i = 0; i < 4; i++) {
        assert_int_equal(settle(w, 0, RELAY_RETURN, 0), 0);
    }
    expect(w, 0, "1 1 1 1 1 ");
    assert_int_equal(stats(w->g).dead, 0);
}

/* --- dead letters ----------------------------------------------------------------------------- */

static void test_dead_letters(void **state)
{
    struct world *w = *state;
    join(w, 0, w->g);
    join(w, 1, w->dead);
    demand(w, 0, 10, 0);
    relay_queue_demand(w->q, w->p[1].m, w->dead, 10, 0);
    produce(w, "1");
    assert_int_equal(settle(w, 0, RELAY_NACK, 0), 0);
    tick(w, LEASE); /* the second one */
    expect(w, 0, "1 1' 1'' ");
    expect(w, 1, "");
    assert_int_equal(settle(w, 0, RELAY_NACK, 9999), 0);
    expect(w, 0, "");
    expect(w, 1, "1(G) ");
    assert_int_equal(stats(w->g).dead, 1);
    assert_int_equal(stats(w->g).queued, 0);
    produce(w, "2");
    assert_int_equal(settle(w, 0, RELAY_DEAD, 0), 0);
    expect(w, 1, "2(G) ");
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
    assert_int_equal(settle(w, 0, RELAY_DEAD, 0), 0);
    expect(w, 1, "3(G) ");
}

static void test_dead_without_a_group(void **state)
{
    struct world *w = *state;
    change(w, (struct relay_group_settings){.max_count = -1,
                                            .max_consumables = -1,
                                            .max_deliveries = 1,
                                            .dead_letter = "G"}); /* its own is none */
    join(w, 0, w->g);
    demand(w, 0, 10, 0);
    produce(w, "1");
    peer_leave(w, 0);
    assert_int_equal(stats(w->g).drop[RELAY_DROP_DEAD], 1);
    assert_int_equal(stats(w->g).queued, 0);
}

/* --- lives ------------------------------------------------------------------------------------ */

static void test_expiry(void **state)
{
    struct world *w = *state;
    uint64_t wall = WALL + w->now;
    const struct relay_put late = {.copies = 1, .expires_ms = wall};
    assert_int_equal(put(w, "0", &late), -ETIMEDOUT);
    assert_int_equal(put(w, "1", &(struct relay_put){.copies = 2, .expires_ms = wall + 100}), 0);
    produce(w, "2");
    assert_int_equal(put(w, "3", &(struct relay_put){.copies = 1, .expires_ms = wall + 50}), 0);
    assert_int_equal(put(w, "4", &(struct relay_put){.copies = 1, .expires_ms = wall + 9999}), 0);
    assert_int_equal(stats(w->g).queued, 5);
    tick(w, 50);
    assert_int_equal(stats(w->g).queued, 4); /* out of the middle */
    tick(w, 50);
    assert_int_equal(stats(w->g).queued, 2);
    assert_int_equal(stats(w->g).drop[RELAY_DROP_EXPIRED], 4);
    join(w, 0, w->g);
    demand(w, 0, 10, 0);
    expect(w, 0, "2 4 ");
    tick(w, 9999); /* leases do not expire, what comes back does; a third one died before */
    assert_int_equal(stats(w->g).drop[RELAY_DROP_EXPIRED], 5);
}

static void test_ttl_of_the_group(void **state)
{
    struct world *w = *state;
    change(w, (struct relay_group_settings){.max_count = -1, .max_consumables = -1, .ttl_ms = 70});
    produce(w, "1");
    tick(w, 69);
    assert_int_equal(stats(w->g).queued, 1);
    produce(w, "2");
    tick(w, 1);
    assert_int_equal(stats(w->g).queued, 1);
    tick(w, 69);
    assert_int_equal(stats(w->g).members, 0);
    assert_null(w->g->state); /* nothing is left of it */
}

/* A ring of many is swept in parts. */
static void test_sweep_of_many(void **state)
{
    struct world *w = *state;
    uint64_t wall = WALL + w->now;
    for (int i = 0; i < 20000; i++) {
        const struct relay_put with = {.copies = 1, .expires_ms = i % 2 ? wall + 10 : wall + 5000};
        assert_int_equal(put(w, "x", &with), 0);
    }
    for (int i = 0; i < 30; i++) {
        tick(w, 1);
    }
    assert_int_equal(stats(w->g).queued, 10000);
    tick(w, 4999);
    for (int i = 0; i < 30; i++) {
        tick(w, 1);
    }
    assert_int_equal(stats(w->g).queued, 0);
}

/* --- absence ---------------------------------------------------------------------------------- */

static const uint8_t tag[RELAY_TAG] = "a session's tag";

static void test_resume(void **state)
{
    struct world *w = *state;
    struct relay_seat_stats seat;
    assert_int_equal(relay_queue_resume(w->q, w->p[0].m, tag, 300), 0);
    join(w, 0, w->g);
    join(w, 1, w->g);
    demand(w, 0, 3, 0);
    produce(w, "1");
    produce(w, "2");
    expect(w, 0, "1 2 ");
    uint64_t second = w->p[0].seq;
    peer_leave(w, 0);
    assert_int_equal(stats(w->g).absent, 1);
    produce(w, "3"); /* its credit stands, but nobody is there */
    assert_int_equal(stats(w->g).queued, 1);
    assert_int_equal(stats(w->g).leased, 2);
    tick(w, 299);
    peer_new(w, 0, &timed);
    assert_int_equal(relay_queue_resume(w->q, w->p[0].m, tag, 300), 1);
    relay_queue_unpause(w->q, w->p[0].m);
    expect(w, 0, "3 ");
    assert_true(relay_queue_seat(w->p[0].m, w->g, &seat));
    assert_int_equal(seat.credit, 0);
    assert_int_equal(seat.delivered, 3);
    assert_int_equal(seat.leased, 3);
    assert_int_equal(relay_queue_settle(w->q, w->p[0].m, w->g, second, 1, RELAY_ACK, 0), 0);
    assert_int_equal(stats(w->g).absent, 0);
    assert_int_equal(stats(w->g).members, 2);
}

static void test_grace_ends(void **state)
{
    struct world *w = *state;
    assert_int_equal(relay_queue_resume(w->q, w->p[0].m, tag, 300), 0);
    join(w, 0, w->g);
    join(w, 1, w->g);
    demand(w, 0, 1, 0);
    produce(w, "1");
    demand(w, 1, 1, 0);
    peer_leave(w, 0);
    tick(w, 299);
    expect(w, 1, "");
    tick(w, 1);
    expect(w, 1, "1' ");
    assert_int_equal(stats(w->g).members, 1);
    peer_new(w, 0, &timed);
    assert_int_equal(relay_queue_resume(w->q, w->p[0].m, tag, 300), 0);
}

/* The old connection is half dead and still there. */
static void test_resume_of_a_present_one(void **state)
{
    struct world *w = *state;
    assert_int_equal(relay_queue_resume(w->q, w->p[0].m, tag, 300), 0);
    join(w, 0, w->g);
    demand(w, 0, 1, 0);
    assert_int_equal(relay_queue_resume(w->q, w->p[1].m, tag, 300), 1);
    relay_queue_unpause(w->q, w->p[1].m);
    produce(w, "1");
    expect(w, 0, "");
    expect(w, 1, "1 ");
    peer_leave(w, 0); /* takes nothing with it */
    assert_int_equal(stats(w->g).leased, 1);
    join(w, 2, w->g);
    assert_int_equal(relay_queue_resume(w->q, w->p[2].m, tag, 300), -EINVAL);
}

/* --- producers and drains --------------------------------------------------------------------- */

static void test_duplicates(void **state)
{
    struct world *w = *state;
    struct relay_put p = {.copies = 1, .producer = 7, .producer_seq = 5};
    assert_int_equal(put(w, "1", &p), 0);
    assert_int_equal(put(w, "1", &p), 1);
    p.producer_seq = 4;
    assert_int_equal(put(w, "0", &p), 1);
    p.producer = 8;
    assert_int_equal(put(w, "2", &p), 0);
    p.producer_seq = 6;
    assert_int_equal(put(w, "3", &p), 0);
    assert_int_equal(stats(w->g).queued, 3);
    assert_int_equal(stats(w->g).duplicates, 2);
    /* they are remembered when nothing else of the group is left, for an hour */
    assert_int_equal(relay_queue_purge(w->q, w->g), 3);
    assert_int_equal(stats(w->g).producers, 2);
    assert_int_equal(put(w, "3", &p), 1);
    tick(w, 3600 * 1000);
    assert_null(w->g->state);
    assert_int_equal(put(w, "3", &p), 0);
}

/* What could not be stored can come again under its number. */
static void test_retract(void **state)
{
    struct world *w = *state;
    const struct relay_put p = {.copies = 2, .producer = 7, .producer_seq = 5};
    struct relay_object *o = relay_object_copy(&w->memory, "1", 1);
    uint64_t seq, expires, again;
    assert_int_equal(relay_queue_admit(w->q, w->g, o, &p, &seq, &expires), 0);
    assert_int_equal(relay_queue_admit(w->q, w->g, o, &p, &again, &expires), 1);
    relay_queue_retract(w->q, w->g, o, &p);
    assert_int_equal(relay_queue_admit(w->q, w->g, o, &p, &again, &expires), 0);
    assert_true(again >= seq + 2);
    assert_int_equal(relay_queue_place(w->q, w->g, o, &p, again, expires), 0);
    assert_int_equal(stats(w->g).queued, 2);
    relay_object_unref(o);
}

static void test_drain_ends(void **state)
{
    struct world *w = *state;
    join(w, 0, w->g);
    join(w, 1, w->g);
    assert_int_equal(demand(w, 0, RELAY_DRAIN_ALL, 1), RELAY_QUEUE_LATER);
    expect(w, 0, "<1:0> "); /* nothing there */
    produce(w, "1");
    produce(w, "2");
    assert_int_equal(demand(w, 0, RELAY_DRAIN_ALL, 2), RELAY_QUEUE_LATER);
    expect(w, 0, "1 2 <2:0> ");
    produce(w, "3");
    w->p[0].m->paused = true;
    assert_int_equal(demand(w, 0, RELAY_DRAIN_ALL, 3), RELAY_QUEUE_LATER);
    produce(w, "4");
    assert_int_equal(demand(w, 0, RELAY_DRAIN_ALL, 4), RELAY_QUEUE_LATER);
    demand(w, 1, 1, 0); /* takes one of them */
    expect(w, 1, "3 ");
    expect(w, 0, "");
    w->p[0].m->paused = false;
    relay_queue_unpause(w->q, w->p[0].m);
    expect(w, 0, "<3:0> 4 <4:0> ");
    produce(w, "5");
    w->p[0].m->paused = true;
    assert_int_equal(demand(w, 0, RELAY_DRAIN_ALL, 5), RELAY_QUEUE_LATER);
    relay_queue_cancel(w->q, w->p[0].m, w->g);
    expect(w, 0, "<5:-125> ");
    w->p[0].m->paused = false;
    demand(w, 0, 0, 0);
    expect(w, 0, "");
}

/* So many of what is there, then its end is told; what others asked for is their own. */
static void test_drain_with_a_limit(void **state)
{
    struct world *w = *state;
    join(w, 0, w->g);
    for (int i = 0; i < 9; i++) {
        produce(w, (char[]){(char)('1' + i), 0});
    }
    assert_int_equal(demand(w, 0, -2, 1), RELAY_QUEUE_LATER);
    expect(w, 0, "1 2 <1:0> ");
    w->p[0].m->paused = true;
    assert_int_equal(demand(w, 0, -1, 2), RELAY_QUEUE_LATER);
    assert_int_equal(demand(w, 0, -2, 0), 0); /* nobody is told, and it is kept all the same */
    demand(w, 0, 1, 0);                       /* credit stays until the drains are over */
    assert_int_equal(demand(w, 0, -100, 3), RELAY_QUEUE_LATER);
    w->p[0].m->paused = false;
    relay_queue_unpause(w->q, w->p[0].m);
    expect(w, 0, "3 <2:0> 4 5 6 7 8 9 <3:0> ");
    produce(w, "a");
    produce(w, "b");
    expect(w, 0, "a ");
    assert_int_equal(demand(w, 0, -1, 4), RELAY_QUEUE_LATER);
    assert_int_equal(demand(w, 0, -1, 5), RELAY_QUEUE_LATER);
    expect(w, 0, "b <4:0> <5:0> ");
    produce(w, "c");
    expect(w, 0, "");
}

/* --- limits ----------------------------------------------------------------------------------- */

static void test_policies(void **state)
{
    struct world *w = *state;
    struct relay_group_settings set = {
        .max_count = -1, .max_consumables = 2, .policy = RELAY_POLICY_BLOCK};
    change(w, set);
    produce(w, "1");
    assert_false(relay_queue_full(w->g));
    produce(w, "2");
    assert_true(relay_queue_full(w->g));
    assert_int_equal(put(w, "3", &(struct relay_put){.copies = 1}), NK_ELIMIT);
    assert_int_equal(put(w, "3", &(struct relay_put){.copies = 1, .force = true}), 0);
    assert_int_equal(stats(w->g).queued, 3);
    assert_int_equal(stats(w->g).refused, 1);
    set.policy = RELAY_POLICY_AUTO;
    change(w, set);
    produce(w, "4");
    assert_int_equal(stats(w->g).queued, 2);
    assert_int_equal(stats(w->g).drop[RELAY_DROP_LIMIT], 2);
    set.max_consumables = -1;
    set.max_bytes = 5;
    change(w, set);
    produce(w, "five");
    assert_int_equal(stats(w->g).bytes, 5);
    produce(w, "six");
    assert_int_equal(stats(w->g).bytes, 3);
    join(w, 0, w->g);
    demand(w, 0, 10, 0);
    expect(w, 0, "six ");
}

static void test_purge(void **state)
{
    struct world *w = *state;
    struct relay_object *o = relay_object_copy(&w->memory, "b", 1);
    join(w, 0, w->g);
    demand(w, 0, 40, 0);
    for (int i = 0; i < 40; i++) {
        produce(w, "x");
    }
    uint64_t first = w->p[0].seq - 39;
    relay_queue_cancel(w->q, w->p[0].m, w->g);
    assert_int_equal(relay_queue_settle(w->q, w->p[0].m, w->g, first, 15, RELAY_NACK, 0), 0);
    assert_int_equal(relay_queue_settle(w->q, w->p[0].m, w->g, first + 15, 15, RELAY_NACK, 50), 0);
    assert_int_equal(put(w, "y", &(struct relay_put){.copies = 1000}), 0);
    assert_int_equal(relay_queue_retain(w->q, w->g, o, NULL), 0);
    relay_object_unref(o);
    assert_int_equal(relay_queue_purge(w->q, w->g), 1030);
    struct relay_queue_stats st = stats(w->g);
    assert_int_equal(st.queued + st.retained + st.bytes + st.delayed, 0);
    assert_int_equal(st.leased, 10);
    assert_int_equal(st.drop[RELAY_DROP_PURGED], 1030);
    assert_int_equal(relay_queue_settle(w->q, w->p[0].m, w->g, first + 30, 10, RELAY_ACK, 0), 0);
    tick(w, 100);
}

/* --- the log's side --------------------------------------------------------------------------- */

static void on_lease(void *owner, struct relay_group *g, uint64_t seq, uint32_t tries,
                     const uint8_t *t)
{
    struct world *w = owner;
    (void)g;
    write_down(w->journal, sizeof(w->journal), "lease %d.%u%s ", (int)seq, tries, t ? "t" : "");
}

static void on_release(void *owner, struct relay_group *g, uint64_t seq, uint32_t tries,
                       uint64_t delay_ms)
{
    struct world *w = owner;
    (void)g;
    assert_int_equal(delay_ms, 0);
    write_down(w->journal, sizeof(w->journal), "release %d.%u ", (int)seq, tries);
}

static void on_ack(void *owner, struct relay_group *g, uint64_t first, uint64_t count)
{
    struct world *w = owner;
    (void)g;
    write_down(w->journal, sizeof(w->journal), "ack %d+%d ", (int)first, (int)count);
}

static void on_drop(void *owner, struct relay_group *g, uint64_t first, uint64_t count,
                    enum relay_drop why)
{
    struct world *w = owner;
    (void)g;
    write_down(w->journal, sizeof(w->journal), "drop %d+%d.%d ", (int)first, (int)count, why);
}

static void on_dead(void *owner, struct relay_group *g, uint64_t seq, struct relay_group *to,
                    uint64_t to_seq, uint64_t expires_ms, struct relay_object *o)
{
    struct world *w = owner;
    assert_int_equal(expires_ms, 0);
    assert_ptr_equal(g, w->g);
    assert_ptr_equal(to, w->dead);
    assert_true(o->flags & RELAY_OBJECT_META);
    write_down(w->journal, sizeof(w->journal), "dead %d>%d ", (int)seq, (int)to_seq);
}

static const struct relay_queue_journal journal = {
    .lease = on_lease, .release = on_release, .ack = on_ack, .drop = on_drop, .dead = on_dead};

static void test_journal(void **state)
{
    struct world *w = *state;
    relay_queue_observe(w->q, &journal, w);
    assert_int_equal(relay_queue_resume(w->q, w->p[0].m, tag, 300), 0);
    join(w, 0, w->g);
    demand(w, 0, 3, 0);
    produce(w, "1");
    assert_int_equal(settle(w, 0, RELAY_NACK, 0), 0);
    assert_int_equal(settle(w, 0, RELAY_ACK, 0), 0);
    produce(w, "2");
    assert_int_equal(settle(w, 0, RELAY_DEAD, 0), 0);
    assert_int_equal(put(w, "3", &(struct relay_put){.copies = 5}), 0);
    relay_queue_purge(w->q, w->g);
    assert_string_equal(w->journal, "lease 1.1t release 1.1 lease 1.2t ack 1+1 lease 2.1t "
                                    "dead 2>1 drop 3+5.3 ");
}

static void restore(struct world *w, const char *text, struct relay_restore item,
                    const uint8_t *who)
{
    item.obj = relay_object_copy(&w->memory, text, strlen(text));
    assert_int_equal(who ? relay_queue_restore_lease(w->q, w->g, &item, who, 300)
                         : relay_queue_restore_item(w->q, w->g, &item),
                     0);
    relay_object_unref(item.obj);
}

static void test_restore(void **state)
{
    struct world *w = *state;
    struct relay_object *o = relay_object_copy(&w->memory, "b", 1);
    relay_queue_restore_epoch(w->q, 77, 10);
    restore(w, "2", (struct relay_restore){.seq = 12, .copies = 2}, NULL);
    restore(w, "4", (struct relay_restore){.seq = 15, .copies = 1}, NULL);
    restore(w, "1", (struct relay_restore){.seq = 11, .copies = 1, .tries = 2}, NULL);
    restore(w, "3", (struct relay_restore){.seq = 14, .copies = 1, .tries = 1}, tag);
    assert_int_equal(relay_queue_restore_retained(w->q, w->g, o, 30), 0);
    relay_object_unref(o);
    assert_int_equal(relay_queue_restore_producer(w->q, w->g, 7, 5), 0);
    assert_int_equal(relay_queue_epoch(w->q), 77);
    assert_int_equal(stats(w->g).queued, 4);
    assert_int_equal(stats(w->g).leased, 1);
    assert_int_equal(put(w, "x", &(struct relay_put){.copies = 1, .producer = 7}), 1);
    produce(w, "5");
    join(w, 1, w->g);
    struct relay_watch watch = {.group = w->g, .known = {.epoch = 77, .version = 30}};
    relay_queue_replay(w->q, w->p[1].m, &watch, 1);
    demand(w, 1, 3, 0);
    expect(w, 1, "1'' 2 2 ");
    assert_int_equal(relay_queue_resume(w->q, w->p[0].m, tag, 300), 1);
    assert_int_equal(relay_queue_settle(w->q, w->p[0].m, w->g, 14, 1, RELAY_NACK, 0), 0);
    demand(w, 1, 5, 0);
    expect(w, 1, "3' 4 5 ");
    assert_int_equal(w->p[1].seq, 16);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

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
        T(test_journal),
        T(test_restore),
    };
    return cmocka_run_group_tests_name("relay/queue_time", tests, NULL, NULL);
}
