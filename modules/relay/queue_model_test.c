/* SPDX-License-Identifier: MIT */
/*
 * The queue core against a plain account of every copy, under random operations from a seed: each
 * copy that was produced is at any time exactly one of queued, leased, acknowledged, dropped or a
 * dead letter; what is handed out is the oldest that may be, to somebody who asked; nothing that
 * may be handed out stays while somebody waits.
 */
#include "relay/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum {
    MEMBERS = 5,
    COPIES = 60000,
    STEPS = 12000,
    SEEDS = 6,
    MAX_TRIES = 4,
    LEASE = 400,
    GRACE = 700
};
#define WALL UINT64_C(1700000000000)

enum where { NOWHERE, QUEUED, LEASED, ACKED, DROPPED, DEAD, STATES };

struct copy {
    enum where where;
    unsigned who;
    uint32_t tries;
    uint64_t expires, not_before; /* wall clock; monotonic */
};

struct member {
    struct relay_member *m;
    bool joined, tagged, absent;
    uint64_t credit, drain, token; /* token: of the newest drain */
    uint64_t most;                 /* of a drain with a limit: copies that are left; else 0 */
    uint64_t until;                /* absent: end of its grace */
};

struct world {
    struct relay_queue *q;
    struct relay_groups *gs;
    struct relay_group *g, *dead;
    struct relay_memory memory;
    struct member member[MEMBERS];
    struct copy copy[COPIES];
    uint64_t count[STATES];
    uint64_t last, low; /* newest number; all below low are settled */
    uint64_t now, rnd, produced, deads, drains, drained;
    uint64_t delay_ms; /* of the NACK under way */
    bool counted;      /* the producer has been heard */
    uint64_t expect_deliver;
};

static uint64_t roll(struct world *w, uint64_t bound)
{
    w->rnd ^= w->rnd << 13; /* xorshift64 */
    w->rnd ^= w->rnd >> 7;
    w->rnd ^= w->rnd << 17;
    return w->rnd % bound;
}

static void set(struct world *w, uint64_t seq, enum where to)
{
    w->count[w->copy[seq].where]--;
    w->copy[seq].where = to;
    w->count[to]++;
}

static bool expired(const struct world *w, uint64_t seq)
{
    return w->copy[seq].expires && w->copy[seq].expires <= WALL + w->now;
}

/* The oldest copy that may be handed out, or 0. */
static uint64_t oldest(struct world *w)
{
    while (w->low <= w->last && w->copy[w->low].where > LEASED) {
        w->low++;
    }
    for (uint64_t i = w->low; i <= w->last; i++) {
        if (w->copy[i].where == QUEUED && w->copy[i].not_before <= w->now && !expired(w, i)) {
            return i;
        }
    }
    return 0;
}

static unsigned who_of(const struct world *w, const struct relay_member *m)
{
    unsigned i = 0;
    while (i < MEMBERS && w->member[i].m != m) {
        i++;
    }
    assert_true(i < MEMBERS);
    return i;
}

/* --- what the queue says ---------------------------------------------------------------------- */

static void on_lease(void *owner, struct relay_group *g, uint64_t seq, uint32_t tries,
                     const uint8_t *tag)
{
    struct world *w = owner;
    (void)tag;
    if (g != w->g) {
        return;
    }
    assert_int_equal(seq, oldest(w));
    assert_int_equal(tries, w->copy[seq].tries + 1);
    w->copy[seq].tries = tries;
    set(w, seq, LEASED);
    w->expect_deliver = seq;
}

static void on_release(void *owner, struct relay_group *g, uint64_t seq, uint32_t tries,
                       uint64_t delay_ms)
{
    struct world *w = owner;
    assert_ptr_equal(g, w->g);
    assert_int_equal(w->copy[seq].where, LEASED);
    assert_true(tries == w->copy[seq].tries || tries + 1 == w->copy[seq].tries);
    w->copy[seq].tries = tries;
    assert_int_equal(delay_ms, w->delay_ms);
    w->copy[seq].not_before = w->now + w->delay_ms;
    set(w, seq, QUEUED);
}

static void on_ack(void *owner, struct relay_group *g, uint64_t first, uint64_t n)
{
    struct world *w = owner;
    assert_ptr_equal(g, w->g);
    for (uint64_t i = 0; i < n; i++) {
        assert_int_equal(w->copy[first + i].where, LEASED);
        set(w, first + i, ACKED);
    }
}

static void on_drop(void *owner, struct relay_group *g, uint64_t first, uint64_t n,
                    enum relay_drop why)
{
    struct world *w = owner;
    assert_ptr_equal(g, w->g);
    for (uint64_t i = first; i < first + n; i++) {
        bool from_lease = w->copy[i].where == LEASED && why == RELAY_DROP_EXPIRED;
        assert_true(w->copy[i].where == QUEUED || from_lease);
        assert_true(why != RELAY_DROP_EXPIRED || expired(w, i));
        assert_true(why != RELAY_DROP_LIMIT || i == oldest(w));
        assert_true(why != RELAY_DROP_DEAD);
        set(w, i, DROPPED);
    }
}

static void on_dead(void *owner, struct relay_group *g, uint64_t seq, struct relay_group *to,
                    uint64_t to_seq, uint64_t expires_ms, struct relay_object *o)
{
    struct world *w = owner;
    (void)to_seq;
    assert_int_equal(expires_ms, 0); /* that group has no ttl */
    assert_ptr_equal(g, w->g);
    assert_ptr_equal(to, w->dead);
    assert_true(o->flags & RELAY_OBJECT_META);
    assert_int_equal(w->copy[seq].where, LEASED);
    set(w, seq, DEAD);
}

static const struct relay_queue_journal journal = {
    .lease = on_lease, .release = on_release, .ack = on_ack, .drop = on_drop, .dead = on_dead};

static void on_deliver(void *owner, struct relay_group *g, struct relay_object *o,
                       enum relay_delivery kind, const struct relay_mark *mark)
{
    struct world *w = ((void **)owner)[0];
    struct relay_member *m = ((void **)owner)[1];
    uint64_t number = 0;
    (void)g;
    assert_int_equal(kind, RELAY_ITEM);
    assert_int_equal(mark->seq, w->expect_deliver);
    assert_int_equal(mark->tries, w->copy[mark->seq].tries - 1);
    memcpy(&number, o->bytes, sizeof(number));
    assert_true(number && number <= mark->seq);
    struct member *x = &w->member[who_of(w, m)];
    assert_true(x->joined && !x->absent && !m->paused);
    if (x->drain < mark->seq) {
        assert_true(x->credit > 0);
        x->credit--;
    } else if (x->most && --x->most == 0) {
        x->drain = 0; /* before it is told */
    }
    w->copy[mark->seq].who = who_of(w, m);
    w->expect_deliver = 0;
    if (roll(w, 50) == 0) {
        m->paused = true;
    }
}

static void on_done(void *owner, uint64_t token, int status)
{
    struct world *w = ((void **)owner)[0];
    struct member *x = &w->member[who_of(w, ((void **)owner)[1])];
    if (token == x->token) {
        x->drain = x->most = 0;
    }
    assert_true(token > 0 && token <= w->drains);
    assert_true(status == 0 || status == -ECANCELED);
    w->drained++;
}

static const struct relay_member_ops ops = {.deliver = on_deliver, .done = on_done};

/* --- operations ------------------------------------------------------------------------------- */

static void come(struct world *w, unsigned i)
{
    struct member *x = &w->member[i];
    uint8_t tag[RELAY_TAG] = {(uint8_t)(i + 1)};
    struct relay_watch watch = {.group = w->g};
    void **owner = malloc(2 * sizeof(void *));
    struct relay_member *m = calloc(1, sizeof(*m));
    m->ops = &ops;
    owner[0] = w;
    owner[1] = m;
    m->owner = owner;
    int was = 0;
    if (x->absent || roll(w, 2)) {
        was = relay_queue_resume(w->q, m, tag, GRACE);
        x->tagged = true;
    } else {
        x->tagged = false;
    }
    assert_int_equal(was, x->absent);
    x->m = m;
    x->absent = false;
    if (!was) {
        x->credit = x->drain = x->most = 0;
        assert_int_equal(relay_queue_join(w->q, m, &watch, 1), 0);
    }
    x->joined = true;
    relay_queue_unpause(w->q, m);
}

static void go(struct world *w, unsigned i)
{
    struct member *x = &w->member[i];
    free(x->m->owner);
    bool kept = relay_queue_leave(w->q, x->m);
    assert_int_equal(kept, x->tagged);
    x->joined = x->absent = kept;
    x->until = w->now + GRACE;
    x->drain = x->most = 0;
    if (!kept) {
        free(x->m);
        x->m = NULL;
    }
}

static void produce(struct world *w)
{
    struct relay_put put = {.copies = 1 + roll(w, 3)};
    uint64_t number = w->last + 1;
    struct relay_object *o = relay_object_copy(&w->memory, &number, sizeof(number));
    if (roll(w, 4) == 0) {
        put.expires_ms = WALL + w->now + 1 + roll(w, 3000);
    }
    bool again = roll(w, 10) == 0;
    if (again || roll(w, 2)) {
        put.producer = 9;
        put.producer_seq = again && w->produced ? w->produced : ++w->produced;
    }
    bool duplicate = again && put.producer_seq == w->produced && w->counted;
    w->counted = w->counted || put.producer;
    uint64_t seq = 0, expires = 0;
    int rc = relay_queue_admit(w->q, w->g, o, &put, &seq, &expires);
    assert_int_equal(rc, duplicate ? 1 : 0);
    if (rc == 0) {
        assert_int_equal(seq, w->last + 1);
        for (uint64_t i = seq; i < seq + put.copies; i++) {
            assert_true(i < COPIES);
            w->copy[i] = (struct copy){.expires = expires};
            w->count[NOWHERE]++;
            set(w, i, QUEUED);
        }
        w->last += put.copies;
        assert_int_equal(relay_queue_place(w->q, w->g, o, &put, seq, expires), 0);
    }
    relay_queue_dispatch(w->q, w->g);
    relay_object_unref(o);
}

static void ask(struct world *w, unsigned i)
{
    struct member *x = &w->member[i];
    switch (roll(w, 4)) {
    case 0: {
        bool some = x->drain == 0 && roll(w, 2); /* one at a time: which one pays is no secret */
        int64_t n = some ? -1 - (int64_t)roll(w, 5) : RELAY_DRAIN_ALL;
        if (x->most) {
            break;
        }
        x->drain = w->last ? w->last : 1;
        x->most = some ? (uint64_t)-n : 0;
        x->token = ++w->drains;
        assert_int_equal(relay_queue_demand(w->q, x->m, w->g, n, x->token), RELAY_QUEUE_LATER);
        break;
    }
    case 1:
        x->credit = x->drain = x->most = 0;
        relay_queue_cancel(w->q, x->m, w->g);
        break;
    default: {
        int64_t n = 1 + (int64_t)roll(w, 20);
        x->credit += (uint64_t)n;
        assert_int_equal(relay_queue_demand(w->q, x->m, w->g, n, 0), 0);
    }
    }
}

static uint32_t held(const struct world *w, unsigned who, uint64_t first, uint64_t count)
{
    uint32_t n = 0;
    for (uint64_t i = first; i < first + count && i <= w->last; i++) {
        n += w->copy[i].where == LEASED && w->copy[i].who == who;
    }
    return n;
}

static void settle(struct world *w, unsigned i)
{
    static const enum relay_settle hows[] = {RELAY_ACK,  RELAY_ACK,    RELAY_ACK,  RELAY_NACK,
                                             RELAY_NACK, RELAY_EXTEND, RELAY_DEAD, RELAY_RETURN};
    uint64_t span = w->last - w->low + 1, first = w->low + roll(w, span ? span : 1);
    while (roll(w, 30) && first < w->last && !held(w, i, first, 1)) {
        first++; /* most of the time one that it has */
    }
    uint32_t count = (uint32_t)(roll(w, 20) ? 1 + roll(w, 6) : UINT32_MAX);
    enum relay_settle how = hows[roll(w, 8)];
    uint32_t mine = held(w, i, first, count);
    if (first == 0) {
        return;
    }
    w->delay_ms = how == RELAY_NACK && roll(w, 2) ? 1 + roll(w, 300) : 0;
    int rc = relay_queue_settle(w->q, w->member[i].m, w->g, first, count, how, w->delay_ms);
    w->delay_ms = 0;
    assert_int_equal(rc, mine == count ? 0 : -ENOENT);
}

/* Leases and graces may end. */
static void tick(struct world *w, uint64_t ms)
{
    for (uint64_t end = w->now + ms; w->now < end;) {
        uint64_t next = relay_queue_next(w->q);
        w->now = next > w->now && next < end ? next : end;
        relay_queue_tick(w->q, w->now, WALL + w->now);
    }
    for (unsigned i = 0; i < MEMBERS; i++) {
        struct member *x = &w->member[i];
        if (x->absent && x->until <= w->now) {
            x->absent = x->joined = false;
            x->m = NULL;
        }
    }
}

static void step(struct world *w)
{
    unsigned i = (unsigned)roll(w, MEMBERS);
    struct member *x = &w->member[i];
    bool here = x->joined && !x->absent;
    switch (roll(w, 16)) {
    case 0:
        if (here) {
            go(w, i);
        } else {
            come(w, i);
        }
        break;
    case 1:
        tick(w, roll(w, 20) ? 1 + roll(w, 150) : GRACE);
        break;
    case 2:
        if (here && x->m->paused) {
            x->m->paused = false;
            relay_queue_unpause(w->q, x->m);
        }
        break;
    case 3:
        if (roll(w, 60) == 0) {
            relay_queue_purge(w->q, w->g);
        }
        break;
    case 4:
    case 5:
    case 6:
        if (here) {
            ask(w, i);
        }
        break;
    case 7:
    case 8:
    case 9:
    case 10:
        if (here) {
            settle(w, i);
        }
        break;
    default:
        produce(w);
    }
}

static void check(struct world *w)
{
    struct relay_queue_stats st, dead;
    relay_queue_stats(w->g, &st);
    relay_queue_stats(w->dead, &dead);
    assert_int_equal(st.queued, w->count[QUEUED]);
    assert_int_equal(st.leased, w->count[LEASED]);
    assert_int_equal(st.dropped, w->count[DROPPED]);
    assert_int_equal(dead.queued, w->count[DEAD]);
    assert_int_equal(w->count[QUEUED] + w->count[LEASED] + w->count[ACKED] + w->count[DROPPED] +
                         w->count[DEAD],
                     w->last);
    uint64_t first = oldest(w);
    for (unsigned i = 0; first && i < MEMBERS; i++) {
        const struct member *x = &w->member[i];
        bool waits = x->joined && !x->absent && !x->m->paused;
        assert_false(waits && (x->credit || x->drain >= first)); /* served, if it could be */
    }
}

static void run(uint64_t seed)
{
    struct world *w = calloc(1, sizeof(*w));
    const struct relay_groups_conf conf = {.max_groups = 10};
    const struct relay_group_settings settings = {.max_count = RELAY_UNLIMITED,
                                                  .max_consumables = seed % 2 ? 200 : -1,
                                                  .lease_ms = LEASE,
                                                  .max_deliveries = MAX_TRIES,
                                                  .dead_letter = "dead"};
    w->rnd = seed * 0x9e3779b97f4a7c15u;
    w->low = 1;
    w->now = 1000;
    w->gs = relay_groups_new(&conf);
    w->q = relay_queue_new();
    assert_int_equal(relay_groups_configure(w->gs, "g", 1, &settings), 0);
    assert_int_equal(relay_groups_configure(w->gs, "dead", 4, NULL), 0);
    w->g = relay_groups_find(w->gs, "g", 1);
    w->dead = relay_groups_find(w->gs, "dead", 4);
    relay_queue_observe(w->q, &journal, w);
    tick(w, 1);
    come(w, 0); /* stays as long as there is something to count */
    for (int i = 0; i < STEPS; i++) {
        step(w);
        check(w);
    }
    /* all of it happened often enough to mean something */
    assert_true(w->last > STEPS / 4 && w->count[ACKED] > 200 && w->count[DEAD] > 100);
    assert_true(w->count[DROPPED] > 100 && w->drained > 100 && w->drained <= w->drains);
    for (unsigned i = 0; i < MEMBERS; i++) {
        if (w->member[i].joined && !w->member[i].absent) {
            go(w, i);
        }
    }
    relay_queue_observe(w->q, NULL, NULL);
    relay_queue_free(w->q);
    relay_groups_free(w->gs);
    relay_memory_trim(&w->memory);
    assert_int_equal(w->memory.used, 0);
    free(w);
}

static void test_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run(seed);
    }
}

int nk_test_relay_queue_model(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
    };
    return cmocka_run_group_tests_name("relay/queue_model", tests, NULL, NULL);
}
