/* SPDX-License-Identifier: MIT */
#include "relay/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "relay/queue_fifo.h"

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
                       enum relay_delivery kind, uint64_t lease)
{
    struct peer *p = owner;
    size_t n = strlen(p->got);
    if (n + 32 < sizeof(p->got)) {
        snprintf(p->got + n, sizeof(p->got) - n, "%s:%.*s%c ", (const char *)g->name, (int)o->len,
                 (const char *)relay_object_bytes(o), "=*!"[kind]);
    }
    assert_true((lease != 0) == (kind == RELAY_ITEM));
    if (lease) {
        p->lease[p->nleases++ % 4096] = lease;
        p->m.paused = p->pause_after && p->nleases >= p->pause_after;
    }
}

static void on_done(void *owner, uint64_t token, int status)
{
    (void)owner, (void)token, (void)status;
}

static const struct relay_member_ops ops = {.deliver = on_deliver, .done = on_done};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct relay_groups_conf conf = {.max_groups = 100};
    w->q = relay_queue_new();
    w->gs = relay_groups_new(&conf);
    if (relay_groups_configure(w->gs, "A", 1, RELAY_UNLIMITED, RELAY_UNLIMITED) < 0 ||
        relay_groups_configure(w->gs, "B", 1, 2, 3) < 0 ||
        relay_groups_configure(w->gs, "C", 1, 1, 0) < 0) {
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
    assert_int_equal(relay_queue_enqueue(w->q, g, o, copies), 0);
    relay_queue_dispatch(w->q, g);
    relay_object_unref(o);
}

static void broadcast(struct world *w, struct relay_group *g, int number)
{
    struct relay_object *o = obj(w, number);
    assert_int_equal(relay_queue_retain(w->q, g, o), 0);
    relay_queue_publish(w->q, g);
    relay_object_unref(o);
}

static void join(struct world *w, int who, struct relay_group *g)
{
    assert_int_equal(relay_queue_join(w->q, &w->p[who].m, &g, 1), 0);
}

static void demand(struct world *w, int who, struct relay_group *g, int64_t n)
{
    relay_queue_demand(w->q, &w->p[who].m, g, n);
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
    struct relay_group *both[] = {w->b, w->c, w->a};
    broadcast(w, w->b, 2);
    broadcast(w, w->a, 1);
    assert_int_equal(relay_queue_join(w->q, &w->p[0].m, both, 3), 0);
    expect(w, 0, "");
    relay_queue_replay(w->q, &w->p[0].m);
    expect(w, 0, "A:1= B:2= ");
    relay_queue_leave(w->q, &w->p[0].m);
    assert_true(w->p[0].m.gone);
}

static void test_max_count_all_or_nothing(void **state)
{
    struct world *w = *state;
    struct relay_group *ac[] = {w->a, w->c};
    struct relay_queue_stats st;
    join(w, 0, w->c);
    assert_int_equal(relay_queue_join(w->q, &w->p[1].m, ac, 2), NK_ELIMIT);
    relay_queue_stats(w->a, &st);
    assert_int_equal(st.members, 0);
    relay_queue_leave(w->q, &w->p[0].m);
    assert_int_equal(relay_queue_join(w->q, &w->p[1].m, ac, 2), 0);
    assert_int_equal(relay_queue_join(w->q, &w->p[1].m, ac, 1), -EEXIST);
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
    demand(w, 0, w->a, -1);
    produce(w, w->a, 1, 2);
    produce(w, w->a, 2, 1);
    expect(w, 0, "");
    demand(w, 0, w->a, -7);
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
    demand(w, 0, w->a, -1);
    w->p[0].m.paused = false;
    relay_queue_resume(w->q, &w->p[0].m);
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
    relay_queue_resume(w->q, &w->p[0].m);
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
    demand(w, 0, w->b, -1);
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
    produce(w, w->a, 1, UINT64_MAX / 2);
    struct relay_object *o = obj(w, 1);
    assert_int_equal(relay_queue_enqueue(w->q, w->a, o, UINT64_MAX), NK_ELIMIT);
    relay_object_unref(o);
    demand(w, 0, w->a, 3);
    expect(w, 0, "A:1! A:1! A:1! ");
    relay_queue_stats(w->a, &st);
    assert_true(st.queued == 1000000000 + UINT64_MAX / 2 - 3);
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
    assert_int_equal(relay_queue_settle(w->q, w->p[0].lease[1], RELAY_ACK), 0);
    assert_int_equal(relay_queue_settle(w->q, w->p[0].lease[1], RELAY_ACK), -ENOENT);
    assert_int_equal(relay_queue_settle(w->q, 0, RELAY_ACK), -ENOENT);
    assert_int_equal(relay_queue_settle(w->q, UINT64_MAX, RELAY_NACK), -ENOENT);
    assert_int_equal(relay_queue_settle(w->q, w->p[0].lease[2], RELAY_NACK), 0);
    produce(w, w->a, 4, 1);
    assert_int_equal(relay_queue_settle(w->q, w->p[0].lease[0], RELAY_NACK), 0);
    relay_queue_stats(w->a, &st);
    assert_int_equal(st.leased, 0);
    expect(w, 0, "A:1! A:2! A:3! ");
    demand(w, 0, w->a, -1);
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
    assert_int_equal(relay_queue_settle(w->q, w->p[0].lease[0], RELAY_ACK), 0);
    relay_queue_leave(w->q, &w->p[0].m);
    relay_queue_leave(w->q, &w->p[1].m);
    relay_queue_stats(w->a, &st);
    assert_int_equal(st.returned, 5);
    demand(w, 2, w->a, -1);
    expect(w, 2, "A:2! A:3! A:4! A:5! A:6! A:7! A:8! ");
    assert_int_equal(relay_queue_settle(w->q, w->p[0].lease[1], RELAY_ACK), -ENOENT);
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
    assert_int_equal(relay_queue_settle(w->q, w->p[0].lease[0], RELAY_ACK), 0);
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
    assert_int_equal(relay_groups_configure(gs, "a", 1, 1, 2), 0);
    assert_int_equal(relay_groups_configure(gs, "b", 1, 3, 4), 0);
    assert_int_equal(relay_groups_get(gs, "a", 1, &a), 0);
    assert_int_equal(relay_groups_get(gs, "b", 1, &b), 0);
    relay_groups_renew(gs, &conf);
    assert_int_equal(relay_groups_configure(gs, "a", 1, 5, 6), 0);
    assert_int_equal(relay_groups_configure(gs, "a", 1, 5, 6), -EEXIST);
    assert_int_equal(relay_groups_configure(gs, "c", 1, 7, 8), 0);
    assert_int_equal(relay_groups_configure(gs, "d", 1, 7, 8), NK_ELIMIT);
    relay_groups_sweep(gs);
    assert_int_equal(a->max_count, 5);
    assert_int_equal(a->max_consumables, 6);
    assert_int_equal(b->max_count, RELAY_UNLIMITED);
    assert_int_equal(relay_groups_get(gs, "b", 1, &none), NK_EAUTH); /* used, but not listed */
    assert_int_equal(relay_groups_count(gs), 3);
    relay_group_unref(b);
    assert_null(relay_groups_find(gs, "b", 1));
    /* everybody may come, and what comes may be listed while it is used */
    conf.listed_only = false;
    relay_groups_renew(gs, &conf);
    assert_int_equal(relay_groups_get(gs, "b", 1, &b), 0);
    assert_int_equal(relay_groups_configure(gs, "b", 1, 9, 9), 0);
    relay_groups_sweep(gs);
    relay_group_unref(b);
    assert_ptr_equal(relay_groups_find(gs, "b", 1), b);
    assert_int_equal(b->max_count, 9);
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
    assert_int_equal(relay_groups_configure(gs, "x", 1, 1, 1), 0);
    assert_int_equal(relay_groups_configure(gs, "x", 1, 1, 1), -EEXIST);
    assert_int_equal(relay_groups_get(gs, "y", 1, &more), NK_EAUTH);
    assert_int_equal(relay_groups_get(gs, "x", 1, &more), 0);
    relay_group_unref(more);
    relay_groups_free(gs);
}

/* The ring against a plain array: pushes, pops and returns at random (fixed seed). */
static void test_fifo_model(void **state)
{
    (void)state;
    struct relay_fifo f = {0};
    struct relay_item held[64];
    uint64_t model[4096];
    size_t n = 0, nheld = 0;
    uint64_t seq = 0;
    unsigned rnd = 12345;
    for (int step = 0; step < 20000; step++) {
        rnd = rnd * 1103515245 + 12345;
        unsigned what = rnd >> 16 & 3;
        if (what <= 1 && n < 4000) {
            struct relay_item item = {.seq = ++seq, .copies = 1};
            assert_int_equal(relay_fifo_push(&f, item), 0);
            model[n++] = seq;
        } else if (what == 2 && n && nheld < 64) {
            held[nheld++] = *relay_fifo_front(&f); /* ascends by itself */
            assert_int_equal(held[nheld - 1].seq, model[0]);
            relay_fifo_pop(&f);
            memmove(model, model + 1, --n * sizeof(model[0]));
            if (nheld > 1 && held[nheld - 1].seq < held[nheld - 2].seq) {
                struct relay_item last = held[--nheld]; /* keep the order: give it back alone */
                assert_int_equal(relay_fifo_return(&f, &last, 1), 0);
                memmove(model + 1, model, n++ * sizeof(model[0]));
                model[0] = last.seq;
            }
        } else if (what == 3 && nheld && (rnd >> 20 & 7) == 0) {
            assert_int_equal(relay_fifo_return(&f, held, nheld), 0);
            size_t at = 0;
            for (size_t i = 0; i < nheld; i++) {
                while (at < n && model[at] < held[i].seq) {
                    at++;
                }
                memmove(model + at + 1, model + at, (n++ - at) * sizeof(model[0]));
                model[at] = held[i].seq;
            }
            nheld = 0;
        }
        assert_int_equal(f.n, n);
    }
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(relay_fifo_front(&f)->seq, model[i]);
        relay_fifo_pop(&f);
    }
    relay_fifo_clear(&f);
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
        cmocka_unit_test(test_fifo_model),
    };
    return cmocka_run_group_tests_name("relay/queue", tests, NULL, NULL);
}
