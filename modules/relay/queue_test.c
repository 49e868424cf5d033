/* SPDX-License-Identifier: MIT */
#include "relay/queue.h"
#include "relay/wire_native.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* A member that writes down what it gets: "A:3! " is object 3 of group A, '!' item, '*' broadcast,
 * '=' retained. */
struct peer {
    struct relay_member m;
    char got[2048];
    uint64_t lease[4096];
    size_t nleases;
    size_t pause_after; /* pause itself when it holds so many leases; 0 = never */
};

struct world {
    struct relay_queue *q;
    struct relay_groups *gs;
    struct relay_group *a, *b, *c;
    struct peer p[4];
    struct relay_memory memory;
};

static void on_deliver(void *owner, struct relay_group *g, struct relay_object *o,
                       enum relay_delivery kind, const struct relay_mark *mark)
{
    struct peer *p = owner;
    size_t n = strlen(p->got);
    if (o->frames) {
        struct relay_native_head h;
        for (size_t at = 0; at < o->len; at += RELAY_NATIVE_HEAD + h.len) {
            assert_int_equal(relay_native_head(o->bytes + at, o->len - at, RELAY_FROM_RELAY,
                                               RELAY_NATIVE_FRAGMENT, &h, NULL),
                             1);
            n += (size_t)snprintf(p->got + n, sizeof(p->got) - n, "%llu:%.*s ",
                                  (unsigned long long)h.seq, (int)h.len,
                                  (const char *)o->bytes + at + RELAY_NATIVE_HEAD);
        }
        assert_true(kind == RELAY_BROADCAST && mark->seq + o->frames > mark->seq);
        return;
    }
    if (n + 32 < sizeof(p->got)) {
        snprintf(p->got + n, sizeof(p->got) - n, "%s:%.*s%c ", (const char *)g->name, (int)o->len,
                 (const char *)o->bytes, "=*!"[kind]);
    }
    assert_int_not_equal(mark->epoch, 0);
    assert_int_not_equal(mark->seq, 0);
    if (kind == RELAY_ITEM) {
        p->lease[p->nleases++ % 4096] = mark->seq;
        p->m.paused = p->pause_after && p->nleases >= p->pause_after;
    }
}

static void on_done(void *owner, uint64_t token, int status)
{
    (void)owner, (void)token, (void)status;
}

static const struct relay_member_ops ops = {.deliver = on_deliver, .done = on_done};

static int configure(struct relay_groups *gs, const char *name, int64_t max_count,
                     int64_t max_consumables)
{
    const struct relay_group_settings set = {.max_count = max_count,
                                             .max_consumables = max_consumables};
    return relay_groups_configure(gs, name, strlen(name), &set);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct relay_groups_conf conf = {.max_groups = 100};
    w->q = relay_queue_new();
    w->gs = relay_groups_new(&conf);
    if (relay_groups_configure(w->gs, "A", 1, NULL) < 0 || configure(w->gs, "B", 2, 3) < 0 ||
        configure(w->gs, "C", 1, 0) < 0) {
        return -1;
    }
    w->a = relay_groups_find(w->gs, "A", 1);
    w->b = relay_groups_find(w->gs, "B", 1);
    w->c = relay_groups_find(w->gs, "C", 1);
    for (size_t i = 0; i < 4; i++) {
        w->p[i].m.ops = &ops;
        w->p[i].m.owner = &w->p[i];
    }
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < 4; i++) {
        relay_queue_leave(w->q, &w->p[i].m);
    }
    relay_queue_free(w->q);
    relay_groups_free(w->gs);
    relay_memory_trim(&w->memory);
    int rc = w->memory.used == 0 ? 0 : -1; /* every reference came back */
    free(w);
    return rc;
}

static struct relay_object *obj(struct world *w, int number)
{
    char text[16];
    int n = snprintf(text, sizeof(text), "%d", number);
    return relay_object_copy(&w->memory, text, (size_t)n);
}

static void produce(struct world *w, struct relay_group *g, int number, uint64_t copies)
{
    struct relay_object *o = obj(w, number);
    assert_int_equal(relay_queue_enqueue(w->q, g, o, &(struct relay_put){.copies = copies}), 0);
    relay_queue_dispatch(w->q, g);
    relay_object_unref(o);
}

static void broadcast(struct world *w, struct relay_group *g, int number)
{
    struct relay_object *o = obj(w, number);
    assert_int_equal(relay_queue_retain(w->q, g, o, NULL), 0);
    relay_queue_publish(w->q, g, o);
    relay_object_unref(o);
}

static void join(struct world *w, int who, struct relay_group *g)
{
    struct relay_watch watch = {.group = g};
    assert_int_equal(relay_queue_join(w->q, &w->p[who].m, &watch, 1), 0);
}

static void demand(struct world *w, int who, struct relay_group *g, int64_t n)
{
    relay_queue_demand(w->q, &w->p[who].m, g, n, 0);
}

static int settle(struct world *w, int who, struct relay_group *g, uint64_t seq,
                  enum relay_settle how)
{
    return relay_queue_settle(w->q, &w->p[who].m, g, seq, 1, how, 0);
}

static void expect(struct world *w, int who, const char *text)
{
    assert_string_equal(w->p[who].got, text);
    w->p[who].got[0] = 0;
}

static void test_broadcast(void **state)
{
    struct world *w = *state;
    join(w, 0, w->a);
    join(w, 1, w->a);
    broadcast(w, w->a, 1);
    broadcast(w, w->b, 2); /* nobody there: retained */
    broadcast(w, w->b, 3);
    expect(w, 0, "A:1* ");
    expect(w, 1, "A:1* ");
    expect(w, 2, "");
}

/* Retained objects come in the order of the groups' creation, not of the HELLO. */
static void test_retained(void **state)
{
    struct world *w = *state;
    struct relay_watch both[] = {{.group = w->b}, {.group = w->c}, {.group = w->a}};
    broadcast(w, w->b, 2);
    broadcast(w, w->a, 1);
    assert_int_equal(relay_queue_join(w->q, &w->p[0].m, both, 3), 0);
    expect(w, 0, "");
    relay_queue_replay(w->q, &w->p[0].m, both, 3);
    expect(w, 0, "A:1= B:2= ");
    relay_queue_leave(w->q, &w->p[0].m);
    assert_true(w->p[0].m.gone);
}

static void test_max_count_all_or_nothing(void **state)
{
    struct world *w = *state;
    struct relay_watch ac[] = {{.group = w->a}, {.group = w->c}};
    struct relay_queue_stats st;
    join(w, 0, w->c);
    assert_int_equal(relay_queue_join(w->q, &w->p[1].m, ac, 2), NK_ELIMIT);
    relay_queue_stats(w->a, &st);
    assert_int_equal(st.members, 0);
    relay_queue_leave(w->q, &w->p[0].m);
    assert_int_equal(relay_queue_join(w->q, &w->p[1].m, ac, 2), 0);
    assert_int_equal(relay_queue_join(w->q, &w->p[1].m, ac, 2), 0); /* again: nothing changes */
    relay_queue_stats(w->c, &st);
    assert_int_equal(st.members, 1);
    assert_int_equal(relay_queue_join(w->q, &w->p[2].m, NULL, 0), 0);
}

/* Credit stays until it is used; produced before or after makes no difference. */
static void test_credit(void **state)
{
    struct world *w = *state;
    join(w, 0, w->a);
    produce(w, w->a, 1, 1);
    produce(w, w->a, 2, 1);
    expect(w, 0, "");
    demand(w, 0, w->a, 3);
    expect(w, 0, "A:1! A:2! ");
    produce(w, w->a, 3, 1);
    produce(w, w->a, 4, 1);
    expect(w, 0, "A:3! ");
    demand(w, 0, w->b, 5); /* not a member */
    demand(w, 0, w->a, 0);
    expect(w, 0, "");
    demand(w, 0, w->a, 5);
    expect(w, 0, "A:4! ");
    relay_queue_cancel(w->q, &w->p[0].m, w->a);
    produce(w, w->a, 5, 1);
    expect(w, 0, "");
}

static void test_drain_leaves_no_credit(void **state)
{
    struct world *w = *state;
    join(w, 0, w->a);
    demand(w, 0, w->a, RELAY_DRAIN_ALL);
    produce(w, w->a, 1, 2);
    produce(w, w->a, 2, 1);
    expect(w, 0, "");
    demand(w, 0, w->a, RELAY_DRAIN_ALL);
    expect(w, 0, "A:1! A:1! A:2! ");
    produce(w, w->a, 3, 1);
    expect(w, 0, "");
}

/* A drain is met from what was there, and does not use up standing credit. */
static void test_drain_keeps_credit(void **state)
{
    struct world *w = *state;
    join(w, 0, w->a);
    w->p[0].m.paused = true;
    demand(w, 0, w->a, 1);
    produce(w, w->a, 1, 1);
    produce(w, w->a, 2, 1);
    demand(w, 0, w->a, RELAY_DRAIN_ALL);
    w->p[0].m.paused = false;
    relay_queue_unpause(w->q, &w->p[0].m);
    expect(w, 0, "A:1! A:2! ");
    produce(w, w->a, 3, 1);
    produce(w, w->a, 4, 1);
    expect(w, 0, "A:3! ");
}

/* Who asked first is first, whoever joined first; then everybody in turn. */
static void test_oldest_demand_first(void **state)
{
    struct world *w = *state;
    join(w, 0, w->a);
    join(w, 1, w->a);
    join(w, 2, w->a);
    demand(w, 2, w->a, 2);
    demand(w, 0, w->a, 3);
    demand(w, 1, w->a, 1);
    for (int i = 1; i <= 7; i++) {
        produce(w, w->a, i, 1);
    }
    expect(w, 2, "A:1! A:4! ");
    expect(w, 0, "A:2! A:5! A:6! ");
    expect(w, 1, "A:3! ");
}

static void test_paused_is_passed_over(void **state)
{
    struct world *w = *state;
    join(w, 0, w->a);
    join(w, 1, w->a);
    w->p[0].pause_after = 1;
    demand(w, 0, w->a, 10);
    demand(w, 1, w->a, 1);
    produce(w, w->a, 1, 1);
    produce(w, w->a, 2, 1);
    produce(w, w->a, 3, 1);
    expect(w, 0, "A:1! ");
    expect(w, 1, "A:2! ");
    w->p[0].pause_after = 0;
    w->p[0].m.paused = false;
    relay_queue_unpause(w->q, &w->p[0].m);
    expect(w, 0, "A:3! ");
}

static void test_max_consumables_drops_oldest(void **state)
{
    struct world *w = *state;
    struct relay_queue_stats st;
    join(w, 0, w->b);
    for (int i = 1; i <= 5; i++) {
        produce(w, w->b, i, 1);
    }
    relay_queue_stats(w->b, &st);
    assert_int_equal(st.queued, 3);
    assert_int_equal(st.dropped, 2);
    demand(w, 0, w->b, RELAY_DRAIN_ALL);
    expect(w, 0, "B:3! B:4! B:5! ");
    produce(w, w->b, 6, 1000000000);
    relay_queue_stats(w->b, &st);
    assert_int_equal(st.queued, 3);
    join(w, 1, w->c); /* keeps none, but hands over to who waits */
    produce(w, w->c, 7, 1);
    demand(w, 1, w->c, 1);
    expect(w, 1, "");
    produce(w, w->c, 8, 2);
    expect(w, 1, "C:8! ");
}

/* 10^9 copies are one entry. */
static void test_many_copies(void **state)
{
    struct world *w = *state;
    struct relay_queue_stats st;
    join(w, 0, w->a);
    produce(w, w->a, 1, 1000000000);
    produce(w, w->a, 2, RELAY_COPIES_MAX);
    struct relay_object *o = obj(w, 1);
    const struct relay_put too_many = {.copies = RELAY_COPIES_MAX + 1};
    assert_int_equal(relay_queue_enqueue(w->q, w->a, o, &too_many), NK_ELIMIT);
    relay_object_unref(o);
    demand(w, 0, w->a, 3);
    expect(w, 0, "A:1! A:1! A:1! ");
    relay_queue_stats(w->a, &st);
    assert_true(st.queued == 1000000000 + RELAY_COPIES_MAX - 3);
}

static void test_settle(void **state)
{
    struct world *w = *state;
    struct relay_queue_stats st;
    join(w, 0, w->a);
    demand(w, 0, w->a, 3);
    produce(w, w->a, 1, 1);
    produce(w, w->a, 2, 1);
    produce(w, w->a, 3, 1);
    assert_int_equal(settle(w, 0, w->a, w->p[0].lease[1], RELAY_ACK), 0);
    assert_int_equal(settle(w, 0, w->a, w->p[0].lease[1], RELAY_ACK), -ENOENT);
    assert_int_equal(settle(w, 0, w->a, 0, RELAY_ACK), -ENOENT);
    assert_int_equal(settle(w, 0, w->a, UINT64_MAX, RELAY_NACK), -ENOENT);
    assert_int_equal(settle(w, 0, w->a, w->p[0].lease[2], RELAY_NACK), 0);
    produce(w, w->a, 4, 1);
    assert_int_equal(settle(w, 0, w->a, w->p[0].lease[0], RELAY_NACK), 0);
    relay_queue_stats(w->a, &st);
    assert_int_equal(st.leased, 0);
    expect(w, 0, "A:1! A:2! A:3! ");
    demand(w, 0, w->a, RELAY_DRAIN_ALL);
    expect(w, 0, "A:1! A:3! A:4! "); /* in their old order */
}

/* Two members die with interleaved leases; what they held goes back in order, ahead of the rest. */
static void test_death_requeues_in_order(void **state)
{
    struct world *w = *state;
    struct relay_queue_stats st;
    join(w, 0, w->a);
    join(w, 1, w->a);
    join(w, 2, w->a);
    demand(w, 0, w->a, 3);
    demand(w, 1, w->a, 3);
    for (int i = 1; i <= 8; i++) {
        produce(w, w->a, i, 1);
    }
    expect(w, 0, "A:1! A:3! A:5! ");
    expect(w, 1, "A:2! A:4! A:6! ");
    assert_int_equal(settle(w, 0, w->a, w->p[0].lease[0], RELAY_ACK), 0);
    relay_queue_leave(w->q, &w->p[0].m);
    relay_queue_leave(w->q, &w->p[1].m);
    relay_queue_stats(w->a, &st);
    assert_int_equal(st.returned, 5);
    demand(w, 2, w->a, RELAY_DRAIN_ALL);
    expect(w, 2, "A:2! A:3! A:4! A:5! A:6! A:7! A:8! ");
    assert_int_equal(settle(w, 0, w->a, w->p[0].lease[1], RELAY_ACK), -ENOENT);
}

/* Returned copies go to a waiting member at once; a full queue keeps them. */
static void test_death_serves_the_next(void **state)
{
    struct world *w = *state;
    struct relay_queue_stats st;
    join(w, 0, w->b);
    join(w, 1, w->b);
    demand(w, 0, w->b, 1);
    demand(w, 1, w->b, 1);
    produce(w, w->b, 1, 1);
    relay_queue_leave(w->q, &w->p[0].m);
    expect(w, 1, "B:1! ");
    for (int i = 2; i <= 4; i++) {
        produce(w, w->b, i, 1);
    }
    relay_queue_leave(w->q, &w->p[1].m);
    relay_queue_stats(w->b, &st);
    assert_int_equal(st.queued, 4);
    assert_int_equal(st.dropped, 0);
}

/* A group that nobody configured is forgotten with its last trace. */
static void test_groups_are_forgotten(void **state)
{
    struct world *w = *state;
    struct relay_group *g;
    assert_int_equal(relay_groups_get(w->gs, "tmp", 3, &g), 0);
    join(w, 0, g);
    demand(w, 0, g, 1);
    produce(w, g, 1, 1);
    relay_group_unref(g);
    assert_int_equal(relay_groups_count(w->gs), 4);
    assert_int_equal(settle(w, 0, g, w->p[0].lease[0], RELAY_ACK), 0);
    relay_queue_leave(w->q, &w->p[0].m);
    assert_int_equal(relay_groups_count(w->gs), 3);
    assert_null(relay_groups_find(w->gs, "tmp", 3));
}

/* New limits meet members and groups that are there; what is not listed any more is like any. */
static void test_groups_configured_again(void **state)
{
    (void)state;
    struct relay_groups_conf conf = {.max_groups = 3, .listed_only = true};
    struct relay_groups *gs = relay_groups_new(&conf);
    struct relay_group *a, *b, *none;
    assert_int_equal(configure(gs, "a", 1, 2), 0);
    assert_int_equal(configure(gs, "b", 3, 4), 0);
    assert_int_equal(relay_groups_get(gs, "a", 1, &a), 0);
    assert_int_equal(relay_groups_get(gs, "b", 1, &b), 0);
    relay_groups_renew(gs, &conf);
    assert_int_equal(configure(gs, "a", 5, 6), 0);
    assert_int_equal(configure(gs, "a", 5, 6), -EEXIST);
    assert_int_equal(configure(gs, "c", 7, 8), 0);
    assert_int_equal(configure(gs, "d", 7, 8), NK_ELIMIT);
    relay_groups_sweep(gs);
    assert_int_equal(a->set.max_count, 5);
    assert_int_equal(a->set.max_consumables, 6);
    assert_int_equal(b->set.max_count, RELAY_UNLIMITED);
    assert_int_equal(relay_groups_get(gs, "b", 1, &none), NK_EAUTH); /* used, but not listed */
    assert_int_equal(relay_groups_count(gs), 3);
    relay_group_unref(b);
    assert_null(relay_groups_find(gs, "b", 1));
    /* everybody may come, and what comes may be listed while it is used */
    conf.listed_only = false;
    relay_groups_renew(gs, &conf);
    assert_int_equal(relay_groups_get(gs, "b", 1, &b), 0);
    assert_int_equal(configure(gs, "b", 9, 9), 0);
    relay_groups_sweep(gs);
    relay_group_unref(b);
    assert_ptr_equal(relay_groups_find(gs, "b", 1), b);
    assert_int_equal(b->set.max_count, 9);
    assert_null(relay_groups_find(gs, "c", 1));
    relay_group_unref(a);
    assert_null(relay_groups_find(gs, "a", 1));
    relay_groups_free(gs);
}

static void test_group_limits(void **state)
{
    (void)state;
    struct relay_groups_conf conf = {.max_groups = 40};
    struct relay_groups *gs = relay_groups_new(&conf);
    struct relay_group *g[40], *more;
    for (int i = 0; i < 40; i++) {
        char name[8];
        int n = snprintf(name, sizeof(name), "g%d", i);
        assert_int_equal(relay_groups_get(gs, name, (size_t)n, &g[i]), 0);
        assert_ptr_equal(relay_groups_find(gs, name, (size_t)n), g[i]);
    }
    assert_int_equal(relay_groups_get(gs, "more", 4, &more), NK_ELIMIT);
    for (int i = 0; i < 40; i++) {
        relay_group_unref(g[i]);
    }
    assert_int_equal(relay_groups_get(gs, "", 0, &more), 0); /* an empty name is a name */
    relay_group_unref(more);
    assert_int_equal(relay_groups_count(gs), 0);
    relay_groups_free(gs);
    conf.listed_only = true;
    gs = relay_groups_new(&conf);
    assert_int_equal(configure(gs, "x", 1, 1), 0);
    assert_int_equal(configure(gs, "x", 1, 1), -EEXIST);
    assert_int_equal(relay_groups_get(gs, "y", 1, &more), NK_EAUTH);
    assert_int_equal(relay_groups_get(gs, "x", 1, &more), 0);
    relay_group_unref(more);
    relay_groups_free(gs);
}

/* Foreign and unknown leases are refused, whatever else the range names; a count beyond all that is
 * held costs no time. */
static void test_settle_ranges(void **state)
{
    struct world *w = *state;
    struct relay_queue_stats st;
    join(w, 0, w->a);
    join(w, 1, w->a);
    demand(w, 0, w->a, 4);
    produce(w, w->a, 1, 4);
    demand(w, 1, w->a, 1);
    produce(w, w->a, 2, 1);
    uint64_t first = w->p[0].lease[0];
    assert_int_equal(w->p[1].lease[0], first + 4);
    assert_int_equal(settle(w, 1, w->a, first, RELAY_ACK), -ENOENT);
    assert_int_equal(settle(w, 0, w->b, first, RELAY_ACK), -ENOENT);
    assert_int_equal(settle(w, 2, w->a, first, RELAY_ACK), -ENOENT);
    relay_queue_stats(w->a, &st);
    assert_int_equal(st.leased, 5);
    assert_int_equal(relay_queue_settle(w->q, &w->p[0].m, w->a, first + 1, 2, RELAY_ACK, 0), 0);
    assert_int_equal(relay_queue_settle(w->q, &w->p[0].m, w->a, first, UINT32_MAX, RELAY_ACK, 0),
                     -ENOENT);
    relay_queue_stats(w->a, &st);
    assert_int_equal(st.leased, 1); /* the other member's */
    assert_int_equal(st.acked, 4);
    assert_int_equal(settle(w, 1, w->a, first + 4, RELAY_ACK), 0);
}

/* A member that knows the version does not get it again; after the relay forgot, it does. */
static void test_known_version(void **state)
{
    struct world *w = *state;
    join(w, 0, w->a);
    broadcast(w, w->a, 1);
    broadcast(w, w->a, 2);
    struct relay_watch watch = {.group = w->a};
    uint64_t epoch = relay_queue_epoch(w->q);
    watch.known = (struct relay_known){.epoch = epoch, .version = 2};
    relay_queue_replay(w->q, &w->p[0].m, &watch, 1);
    expect(w, 0, "A:1* A:2* ");
    watch.known.version = 1;
    relay_queue_replay(w->q, &w->p[0].m, &watch, 1);
    expect(w, 0, "A:2= ");
    watch.known = (struct relay_known){.epoch = epoch + 1, .version = 2};
    relay_queue_replay(w->q, &w->p[0].m, &watch, 1);
    expect(w, 0, "A:2= ");
}

/* A run goes to each member in one piece; versions are written into it, the last frame is kept. */
static void test_run(void **state)
{
    struct world *w = *state;
    uint8_t bytes[3 * (RELAY_NATIVE_HEAD + 2)];
    for (uint8_t i = 0; i < 3; i++) {
        uint8_t *at = bytes + i * (RELAY_NATIVE_HEAD + 2);
        const struct relay_native_head h = {.type = RELAY_N_BROADCAST,
                                            .flags = RELAY_CONTENT_JSON << RELAY_N_CONTENT_SHIFT,
                                            .len = 2,
                                            .group = 1,
                                            .seq = 70u + i};
        relay_native_put_head(at, &h);
        at[RELAY_NATIVE_HEAD] = 'r';
        at[RELAY_NATIVE_HEAD + 1] = (uint8_t)('0' + i);
    }
    join(w, 0, w->a);
    join(w, 1, w->a);
    broadcast(w, w->a, 5);
    expect(w, 0, "A:5* ");
    struct relay_object *run = relay_object_copy(&w->memory, bytes, sizeof(bytes));
    run->frames = 3;
    assert_int_equal(relay_queue_retain(w->q, w->a, run, NULL), 0);
    relay_queue_publish(w->q, w->a, run);
    relay_object_unref(run);
    expect(w, 0, "2:r0 3:r1 4:r2 ");
    expect(w, 1, "A:5* 2:r0 3:r1 4:r2 ");
    struct relay_watch watch = {.group = w->a};
    relay_queue_replay(w->q, &w->p[0].m, &watch, 1);
    expect(w, 0, "A:r2= ");
    broadcast(w, w->a, 6);
    relay_queue_replay(w->q, &w->p[0].m, &watch, 1);
    expect(w, 0, "A:6* A:6= ");
}

static void test_unwatch(void **state)
{
    struct world *w = *state;
    join(w, 0, w->a);
    join(w, 0, w->b);
    join(w, 1, w->a);
    demand(w, 0, w->a, 2);
    produce(w, w->a, 1, 2);
    demand(w, 1, w->a, 1);
    assert_int_equal(relay_queue_unwatch(w->q, &w->p[0].m, w->a), 0);
    assert_int_equal(relay_queue_unwatch(w->q, &w->p[0].m, w->a), -ENOENT);
    expect(w, 1, "A:1! ");
    broadcast(w, w->a, 2);
    broadcast(w, w->b, 3);
    expect(w, 0, "A:1! A:1! B:3* ");
}

/* Numbers and versions of a group that was forgotten do not come again. */
static void test_numbers_ascend(void **state)
{
    struct world *w = *state;
    join(w, 0, w->a);
    demand(w, 0, w->a, 1);
    produce(w, w->a, 1, 1);
    uint64_t first = w->p[0].lease[0];
    assert_int_equal(settle(w, 0, w->a, first, RELAY_ACK), 0);
    relay_queue_leave(w->q, &w->p[0].m);
    assert_null(w->a->state);
    join(w, 1, w->a);
    demand(w, 1, w->a, 1);
    produce(w, w->a, 2, 1);
    assert_true(w->p[1].lease[0] > first);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int nk_test_relay_queue(void)
{
    const struct CMUnitTest tests[] = {
        T(test_broadcast),
        T(test_retained),
        T(test_max_count_all_or_nothing),
        T(test_credit),
        T(test_drain_leaves_no_credit),
        T(test_drain_keeps_credit),
        T(test_oldest_demand_first),
        T(test_paused_is_passed_over),
        T(test_max_consumables_drops_oldest),
        T(test_many_copies),
        T(test_settle),
        T(test_death_requeues_in_order),
        T(test_death_serves_the_next),
        T(test_groups_are_forgotten),
        cmocka_unit_test(test_groups_configured_again),
        cmocka_unit_test(test_group_limits),
        T(test_settle_ranges),
        T(test_known_version),
        T(test_run),
        T(test_unwatch),
        T(test_numbers_ascend),
    };
    return cmocka_run_group_tests_name("relay/queue", tests, NULL, NULL);
}
