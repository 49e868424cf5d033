/* SPDX-License-Identifier: MIT */
#include "relay/backlog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "relay/wire_native.h"

enum { SIZE = 100, STUCK = 100000, CAP_SMALL = 16, MODEL_STEPS = 100000, MODEL_MAX = 4096 };

struct world {
    struct relay_memory m;
    struct relay_backlog b;
    struct relay_object *o; /* of SIZE bytes */
    uint64_t seq, dropped;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    uint8_t data[SIZE] = {0};
    assert_non_null(w);
    w->o = relay_object_copy(&w->m, data, sizeof(data));
    assert_non_null(w->o);
    *state = w;
    return 0;
}

/* Whatever a test has left waiting goes, and with it every reference. */
static int teardown(void **state)
{
    struct world *w = *state;
    relay_backlog_clear(&w->b);
    assert_int_equal(w->o->refs, 1);
    relay_object_unref(w->o);
    assert_int_equal(w->m.used, 0);
    relay_memory_trim(&w->m);
    free(w);
    return 0;
}

static int push(struct world *w, const struct relay_backlog_limits *l, struct relay_object *o,
                enum relay_delivery kind)
{
    struct relay_mark mark = {.seq = ++w->seq};
    uint64_t dropped = 0;
    int rc = relay_backlog_push(&w->b, l, o, kind, &mark, &dropped);
    w->dropped += dropped;
    return rc;
}

/* The next one is this, and goes whole. */
static void expect(struct world *w, uint64_t seq)
{
    const struct relay_backlog_entry *e = relay_backlog_front(&w->b);
    assert_non_null(e);
    assert_int_equal(e->seq, seq);
    relay_backlog_advance(&w->b, e->obj->total - e->off);
}

static void expect_empty(struct world *w)
{
    assert_null(relay_backlog_front(&w->b));
    assert_int_equal(w->b.bytes, 0);
    assert_int_equal(w->b.broadcasts, 0);
    assert_int_equal(w->b.broadcast_bytes, 0);
}

/* n frames of broadcasts as they came, with SIZE bytes each behind their heads. */
static struct relay_object *run_of(struct world *w, uint32_t n)
{
    struct relay_object *o = relay_object_new(&w->m, n * (RELAY_NATIVE_HEAD + SIZE));
    assert_non_null(o);
    memset(o->bytes, 0, o->len);
    for (uint32_t i = 0; i < n; i++) {
        struct relay_native_head h = {.type = RELAY_N_BROADCAST, .len = SIZE, .seq = i};
        relay_native_put_head(o->bytes + (size_t)i * (RELAY_NATIVE_HEAD + SIZE), &h);
    }
    o->frames = n;
    return o;
}

static void test_limits_of_a_group(void **state)
{
    (void)state;
    struct relay_group g = {.set = {.policy = RELAY_POLICY_CONFLATE, .backlog_count = 7}};
    struct relay_backlog_limits l = relay_backlog_limits_of(&g, 1000);
    assert_int_equal(l.policy, RELAY_POLICY_CONFLATE);
    assert_int_equal(l.count, 7);
    assert_int_equal(l.bytes, 1000);
    g.set.backlog_bytes = 5000;
    assert_int_equal(relay_backlog_limits_of(&g, 1000).bytes, 5000);
}

/* Broadcasts and items in the order in which they came, in parts, while the ring grows. */
static void test_order_and_parts(void **state)
{
    struct world *w = *state;
    const struct relay_backlog_limits l = {.policy = RELAY_POLICY_BLOCK, .bytes = UINT64_MAX};
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(push(w, &l, w->o, i % 3 ? RELAY_BROADCAST : RELAY_ITEM),
                         RELAY_BACKLOG_TAKEN);
        if (i == 20) {
            for (uint64_t seq = 1; seq <= 10; seq++) {
                expect(w, seq);
            }
        }
    }
    assert_int_equal(w->b.bytes, 40 * SIZE);
    const struct relay_backlog_entry *e = relay_backlog_front(&w->b);
    assert_int_equal(e->seq, 11);
    relay_backlog_advance(&w->b, 30);
    assert_int_equal(w->b.bytes, 40 * SIZE - 30);
    assert_int_equal(relay_backlog_front(&w->b)->off, 30);
    for (uint64_t seq = 11; seq <= 50; seq++) {
        expect(w, seq);
    }
    expect_empty(w);
}

/* Producers wait beyond either limit, which items do not count for, until half of it is left. */
static void test_block(void **state)
{
    struct world *w = *state;
    const struct relay_backlog_limits count = {
        .policy = RELAY_POLICY_BLOCK, .count = 4, .bytes = UINT64_MAX};
    const struct relay_backlog_limits bytes = {.policy = RELAY_POLICY_AUTO, .bytes = 4 * SIZE};
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(push(w, &count, w->o, RELAY_ITEM), RELAY_BACKLOG_TAKEN);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(push(w, i % 2 ? &count : &bytes, w->o, RELAY_BROADCAST),
                         RELAY_BACKLOG_TAKEN);
    }
    assert_int_equal(push(w, &count, w->o, RELAY_BROADCAST), RELAY_BACKLOG_FULL);
    assert_int_equal(push(w, &bytes, w->o, RELAY_BROADCAST), RELAY_BACKLOG_FULL);
    assert_int_equal(w->dropped, 0);
    for (uint64_t seq = 1; seq <= 13; seq++) {
        assert_false(relay_backlog_low(&w->b, &count));
        assert_false(relay_backlog_low(&w->b, &bytes));
        expect(w, seq);
    }
    assert_int_equal(w->b.broadcasts, 3);
    expect(w, 14);
    assert_true(relay_backlog_low(&w->b, &count));
    assert_true(relay_backlog_low(&w->b, &bytes));
}

/* Only the newest waits behind what was begun; items stay. However many come, they take no room. */
static void test_conflate(void **state)
{
    struct world *w = *state;
    const struct relay_backlog_limits l = {.policy = RELAY_POLICY_CONFLATE, .bytes = 1};
    assert_int_equal(push(w, &l, w->o, RELAY_BROADCAST), RELAY_BACKLOG_TAKEN);
    assert_non_null(relay_backlog_front(&w->b));
    relay_backlog_advance(&w->b, 1);
    assert_int_equal(push(w, &l, w->o, RELAY_ITEM), RELAY_BACKLOG_TAKEN);
    for (unsigned i = 0; i < STUCK; i++) {
        assert_int_equal(push(w, &l, w->o, RELAY_BROADCAST), RELAY_BACKLOG_TAKEN);
        assert_int_equal(w->b.broadcasts, 2);
        assert_int_equal(w->b.bytes, 3 * SIZE - 1);
    }
    assert_int_equal(w->dropped, STUCK - 1);
    assert_true(w->b.cap <= CAP_SMALL);
    assert_int_equal(w->o->refs, 1 + 3);
    expect(w, 1);
    expect(w, 2);
    expect(w, w->seq);
    expect_empty(w);
}

static void test_drop_oldest(void **state)
{
    struct world *w = *state;
    struct relay_backlog_limits l = {
        .policy = RELAY_POLICY_DROP_OLDEST, .count = 3, .bytes = UINT64_MAX};
    assert_int_equal(push(w, &l, w->o, RELAY_ITEM), RELAY_BACKLOG_TAKEN);
    for (unsigned i = 0; i < STUCK; i++) {
        assert_int_equal(push(w, &l, w->o, RELAY_BROADCAST), RELAY_BACKLOG_TAKEN);
    }
    assert_int_equal(w->dropped, STUCK - 3);
    assert_int_equal(w->b.broadcasts, 3);
    assert_true(w->b.cap <= CAP_SMALL);
    l = (struct relay_backlog_limits){.policy = RELAY_POLICY_DROP_OLDEST, .bytes = 2 * SIZE};
    assert_int_equal(push(w, &l, w->o, RELAY_BROADCAST), RELAY_BACKLOG_TAKEN);
    assert_int_equal(w->b.broadcast_bytes, 2 * SIZE);
    expect(w, 1);
    l.bytes = 1; /* the newest stays, whatever its length */
    assert_int_equal(push(w, &l, w->o, RELAY_BROADCAST), RELAY_BACKLOG_TAKEN);
    assert_int_equal(w->b.broadcasts, 1);
    expect(w, w->seq);
    expect_empty(w);
}

static void test_disconnect(void **state)
{
    struct world *w = *state;
    const struct relay_backlog_limits l = {
        .policy = RELAY_POLICY_DISCONNECT, .count = 2, .bytes = UINT64_MAX};
    assert_int_equal(push(w, &l, w->o, RELAY_BROADCAST), RELAY_BACKLOG_TAKEN);
    assert_int_equal(push(w, &l, w->o, RELAY_BROADCAST), RELAY_BACKLOG_TAKEN);
    assert_int_equal(push(w, &l, w->o, RELAY_BROADCAST), RELAY_BACKLOG_DISCONNECT);
    assert_int_equal(push(w, &l, w->o, RELAY_ITEM), RELAY_BACKLOG_TAKEN);
    assert_int_equal(w->o->refs, 1 + 3);
    expect(w, 1);
    expect(w, 2);
    expect(w, 4);
    expect_empty(w);
}

/* Frames that came together are dropped one by one. */
static void test_runs(void **state)
{
    struct world *w = *state;
    const uint64_t frame = RELAY_NATIVE_HEAD + SIZE;
    struct relay_object *run = run_of(w, 10);
    struct relay_backlog_limits l = {
        .policy = RELAY_POLICY_DROP_OLDEST, .count = 7, .bytes = UINT64_MAX};
    w->seq = 0;
    assert_int_equal(push(w, &l, run, RELAY_BROADCAST), RELAY_BACKLOG_TAKEN);
    assert_int_equal(w->dropped, 3);
    const struct relay_backlog_entry *e = relay_backlog_front(&w->b);
    assert_int_equal(e->seq, 4);
    assert_int_equal(e->obj->frames, 7);
    assert_int_equal(e->obj->total, 7 * frame);
    l.count = 0;
    l.bytes = 3 * frame - 1; /* the run's newest two, and not the whole of the next */
    assert_int_equal(push(w, &l, w->o, RELAY_BROADCAST), RELAY_BACKLOG_TAKEN);
    e = relay_backlog_front(&w->b);
    assert_int_equal(e->obj->frames, 2);
    assert_int_equal(e->seq, 9);
    assert_int_equal(w->b.broadcasts, 3);
    assert_int_equal(w->b.broadcast_bytes, 2 * frame + SIZE);
    l.policy = RELAY_POLICY_CONFLATE;
    assert_int_equal(push(w, &l, run, RELAY_BROADCAST), RELAY_BACKLOG_TAKEN);
    e = relay_backlog_front(&w->b);
    assert_int_equal(e->obj->frames, 1);
    assert_int_equal(e->seq, w->seq + 9);
    assert_ptr_equal(e->obj->bytes, run->bytes + 9 * frame);
    expect(w, w->seq + 9);
    expect_empty(w);
    relay_object_unref(run);
}

/* Against a list of what should be there: any policy, parts, kinds. */
struct model {
    struct {
        uint64_t seq;
        size_t off;
        bool item;
    } v[MODEL_MAX];
    size_t n;
};

static void model_drop(struct model *m, size_t keep)
{
    size_t loose = 0, n = 0;
    for (size_t i = 0; i < m->n; i++) {
        loose += !m->v[i].item;
    }
    for (size_t i = 0; i < m->n; i++) {
        if (!m->v[i].item && m->v[i].off == 0 && loose > keep && i + 1 < m->n) {
            loose--;
        } else {
            m->v[n++] = m->v[i];
        }
    }
    m->n = n;
}

static void model_take(struct world *w, struct model *m, size_t part)
{
    const struct relay_backlog_entry *e = relay_backlog_front(&w->b);
    assert_int_equal(e == NULL, m->n == 0);
    if (!e) {
        return;
    }
    assert_int_equal(e->seq, m->v[0].seq);
    assert_int_equal(e->off, m->v[0].off);
    size_t left = SIZE - m->v[0].off;
    part = part < left ? part : left;
    relay_backlog_advance(&w->b, part);
    m->v[0].off += part;
    if (part == left) {
        memmove(m->v, m->v + 1, --m->n * sizeof(m->v[0]));
    }
}

static void test_model(void **state)
{
    struct world *w = *state;
    struct model *m = calloc(1, sizeof(*m));
    unsigned rnd = 4711;
    assert_non_null(m);
    for (int step = 0; step < MODEL_STEPS; step++) {
        rnd = rnd * 1103515245 + 12345;
        bool filling = step / 500 % 2 == 0;
        bool conflate = step / 5000 % 2 == 0;
        const struct relay_backlog_limits l = {.policy = conflate ? RELAY_POLICY_CONFLATE
                                                                  : RELAY_POLICY_DROP_OLDEST,
                                               .count = 20,
                                               .bytes = UINT64_MAX};
        if ((rnd >> 16) % 16 >= (filling ? 11u : 5u) || m->n == MODEL_MAX) {
            model_take(w, m, 1 + (rnd >> 20) % (2 * SIZE));
        } else {
            bool item = (rnd >> 8) % 4 == 0;
            assert_int_equal(push(w, &l, w->o, item ? RELAY_ITEM : RELAY_BROADCAST),
                             RELAY_BACKLOG_TAKEN);
            m->v[m->n].seq = w->seq;
            m->v[m->n].off = 0;
            m->v[m->n++].item = item;
            if (!item) {
                model_drop(m, conflate ? 1 : 20);
            }
        }
        uint64_t bytes = 0;
        for (size_t i = 0; i < m->n; i++) {
            bytes += SIZE - m->v[i].off;
        }
        assert_int_equal(w->b.bytes, bytes);
        assert_int_equal(w->o->refs, 1 + m->n);
    }
    free(m);
}

int nk_test_relay_backlog(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits_of_a_group),
        cmocka_unit_test_setup_teardown(test_order_and_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_block, setup, teardown),
        cmocka_unit_test_setup_teardown(test_conflate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drop_oldest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_disconnect, setup, teardown),
        cmocka_unit_test_setup_teardown(test_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_model, setup, teardown),
    };
    return cmocka_run_group_tests_name("relay/backlog", tests, NULL, NULL);
}
