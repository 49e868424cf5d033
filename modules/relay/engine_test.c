/* SPDX-License-Identifier: MIT */
/* What every engine does for its members, over each of them: in memory, late and out of order
 * between groups, and written down. Time runs by itself here, through the engine's timer. */
#include "relay/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/app.h"
#include "relay/engine_testkit.h"
#include "relay/log_testkit.h"

int nk_test_relay_engine(void);

enum {
    PATIENCE = 3000,
    CLOCK_SCALE = 50,
    PEERS = 3,
    LEASE_MS = 10000,
    GRACE_MS = 20000,
    LONG_MS = 7200000 /* over two minutes, however slow the machine is */
};

static const uint8_t tag[RELAY_TAG] = "the tag of one";

/* "1" an item, "1'" once more, "1*" broadcast, "1=" retained, "<7:0>" token 7 has ended with 0. */
struct peer {
    struct relay_member *m;
    char got[512];
    uint64_t seq; /* of the last item */
};

struct world {
    struct nk_app *app;
    struct relay_engine *engine;
    struct relay_groups *groups;
    struct relay_group *g, *dead;
    struct relay_memory memory;
    struct peer p[PEERS];
    char dir[RELAY_LOG_TESTKIT_DIR];
};

static enum relay_engine_kind over;

static void on_deliver(void *owner, struct relay_group *g, struct relay_object *o,
                       enum relay_delivery kind, const struct relay_mark *mark)
{
    struct peer *p = owner;
    size_t n = strlen(p->got);
    char text[16] = "";
    (void)g;
    /* of a dead letter only the end, not where it comes from */
    relay_object_read(o, o->flags & RELAY_OBJECT_META ? o->total - 1 : 0, text, sizeof(text) - 1);
    snprintf(p->got + n, sizeof(p->got) - n, "%s%s ", text,
             (const char *const[]){"=", "*", mark->tries ? "'" : ""}[kind]);
    p->seq = kind == RELAY_ITEM ? mark->seq : p->seq;
}

static void on_done(void *owner, uint64_t token, int status)
{
    struct peer *p = owner;
    size_t n = strlen(p->got);
    snprintf(p->got + n, sizeof(p->got) - n, "<%d:%d> ", (int)token, status);
}

static const struct relay_member_ops ops = {.deliver = on_deliver, .done = on_done};

static void open_engine(struct world *w)
{
    const struct relay_engine_chaos chaos = {.seed = 7, .delay_percent = 50};
    assert_int_equal(
        relay_engine_testkit_open(over, &chaos, w->app, w->groups, &w->memory, w->dir, &w->engine),
        0);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    const struct nk_app_conf app = {.clock_scale = CLOCK_SCALE};
    const struct relay_groups_conf groups = {.max_groups = 10};
    const struct relay_group_settings set = {.max_count = RELAY_UNLIMITED,
                                             .max_consumables = RELAY_UNLIMITED,
                                             .lease_ms = LEASE_MS,
                                             .max_deliveries = 2,
                                             .dead_letter = "dead"};
    assert_int_equal(nk_app_new(&w->app, &app, NULL), 0);
    w->groups = relay_groups_new(&groups);
    assert_int_equal(relay_groups_configure(w->groups, "g", 1, &set), 0);
    assert_int_equal(relay_groups_configure(w->groups, "dead", 4, NULL), 0);
    w->g = relay_groups_find(w->groups, "g", 1);
    w->dead = relay_groups_find(w->groups, "dead", 4);
    open_engine(w);
    for (int i = 0; i < PEERS; i++) {
        assert_int_equal(relay_engine_attach(w->engine, &ops, &w->p[i], &w->p[i].m), 0);
    }
    *state = w;
    return 0;
}

static void detach(struct world *w, int who)
{
    if (w->p[who].m) {
        relay_engine_detach(w->engine, w->p[who].m);
        w->p[who].m = NULL;
    }
}

static int teardown(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < PEERS; i++) {
        detach(w, i);
    }
    relay_engine_free(w->engine);
    relay_groups_free(w->groups);
    relay_memory_trim(&w->memory);
    nk_app_free(w->app);
    if (w->dir[0]) {
        relay_log_testkit_remove(w->dir);
    }
    int rc = w->memory.used == 0 ? 0 : -1;
    free(w);
    return rc;
}

/* Wait until this was heard. */
static void expect(struct world *w, int who, const char *text)
{
    struct peer *p = &w->p[who];
    for (int turn = 0; strlen(p->got) < strlen(text) && turn < PATIENCE; turn++) {
        nk_app_turn(w->app, 5);
    }
    assert_string_equal(p->got, text);
    p->got[0] = 0;
}

static void watch(struct world *w, int who, struct relay_group *g)
{
    assert_int_equal(relay_engine_watch(w->engine, w->p[who].m, &g, NULL, 1, 99), 0);
    expect(w, who, "<99:0> ");
}

static void put(struct world *w, int who, const char *text, const struct relay_put *put,
                uint64_t token)
{
    struct relay_object *o = relay_object_copy(&w->memory, text, strlen(text));
    assert_int_equal(relay_engine_enqueue(w->engine, w->p[who].m, w->g, o, put, token), 0);
    relay_object_unref(o);
}

static void produce(struct world *w, int who, const char *text)
{
    put(w, who, text, &(struct relay_put){.copies = 1}, 1);
    expect(w, who, "<1:0> ");
}

static void settle(struct world *w, int who, enum relay_settle how, uint64_t ms, const char *answer)
{
    assert_int_equal(
        relay_engine_settle(w->engine, w->p[who].m, w->g, w->p[who].seq, 1, how, ms, 5), 0);
    expect(w, who, answer);
}

static void demand(struct world *w, int who, struct relay_group *g, int64_t n)
{
    assert_int_equal(relay_engine_demand(w->engine, w->p[who].m, g, n, 3), 0);
    if (n > 0) {
        expect(w, who, "<3:0> ");
    }
}

/* The loop has nothing else to do while a lease, a delay and then another lease end. */
static void test_time_by_itself(void **state)
{
    struct world *w = *state;
    watch(w, 0, w->g);
    watch(w, 1, w->dead);
    demand(w, 0, w->g, 10);
    demand(w, 1, w->dead, 10);
    produce(w, 2, "1");
    expect(w, 0, "1 ");
    expect(w, 0, "1' ");          /* the lease is over */
    expect(w, 1, "1 ");           /* and so is the second */
    w->g->set.lease_ms = LONG_MS; /* what follows must be in time */
    produce(w, 2, "2");
    expect(w, 0, "2 ");
    settle(w, 0, RELAY_NACK, 20000, "<5:0> "); /* longer than a busy disk takes to answer */
    expect(w, 0, "2' ");
    settle(w, 0, RELAY_EXTEND, LONG_MS, "<5:0> ");
    settle(w, 0, RELAY_DEAD, 0, "<5:0> ");
    expect(w, 1, "2 ");
    settle(w, 0, RELAY_ACK, 0, "<5:-2> ");
}

static void test_resume(void **state)
{
    struct world *w = *state;
    w->g->set.lease_ms = LONG_MS;
    assert_int_equal(relay_engine_resume(w->engine, w->p[0].m, tag, LONG_MS, 4), 0);
    expect(w, 0, "<4:0> ");
    watch(w, 0, w->g);
    watch(w, 1, w->g);
    demand(w, 0, w->g, 2);
    produce(w, 2, "1");
    expect(w, 0, "1 ");
    detach(w, 0);
    produce(w, 2, "2"); /* nobody else has asked */
    assert_int_equal(relay_engine_attach(w->engine, &ops, &w->p[0], &w->p[0].m), 0);
    assert_int_equal(relay_engine_resume(w->engine, w->p[0].m, tag, GRACE_MS, 4), 0);
    expect(w, 0, "<4:1> 2 ");
    settle(w, 0, RELAY_ACK, 0, "<5:0> ");
    w->p[0].seq--;
    settle(w, 0, RELAY_EXTEND, LONG_MS, "<5:0> ");
    demand(w, 1, w->g, 1);
    detach(w, 0);
    expect(w, 1, "1' "); /* its grace is over */
}

static void test_drain_and_unwatch(void **state)
{
    struct world *w = *state;
    watch(w, 0, w->g);
    produce(w, 2, "1");
    produce(w, 2, "2");
    demand(w, 0, w->g, RELAY_DRAIN_ALL);
    expect(w, 0, "1 2 <3:0> ");
    assert_int_equal(relay_engine_unwatch(w->engine, w->p[0].m, w->g, 6), 0);
    expect(w, 0, "<6:0> ");
    assert_int_equal(relay_engine_demand(w->engine, w->p[0].m, w->g, 1, 3), 0);
    expect(w, 0, "<3:-2> "); /* not a member */
    watch(w, 1, w->g);
    demand(w, 1, w->g, RELAY_DRAIN_ALL);
    expect(w, 1, "1' 2' <3:0> ");
}

static void test_duplicates_and_expiry(void **state)
{
    struct world *w = *state;
    const struct relay_put again = {.copies = 1, .producer = 4, .producer_seq = 1};
    put(w, 0, "1", &again, 1);
    expect(w, 0, "<1:0> ");
    put(w, 0, "1", &again, 2);
    expect(w, 0, "<2:1> ");
    put(w, 0, "2", &(struct relay_put){.copies = 1, .expires_ms = 1}, 3);
    expect(w, 0, "<3:-110> ");
    watch(w, 1, w->g);
    demand(w, 1, w->g, RELAY_DRAIN_ALL);
    expect(w, 1, "1 <3:0> ");
}

static void test_purge(void **state)
{
    struct world *w = *state;
    struct relay_object *o = relay_object_copy(&w->memory, "b", 1);
    assert_int_equal(relay_engine_retain(w->engine, w->p[0].m, w->g, o, NULL, 1), 0);
    relay_object_unref(o);
    expect(w, 0, "<1:0> ");
    produce(w, 0, "1");
    assert_int_equal(relay_engine_purge(w->engine, NULL, w->dead, 0), 0);
    assert_int_equal(relay_engine_purge(w->engine, w->p[0].m, w->g, 2), 0);
    expect(w, 0, "<2:0> ");
    watch(w, 1, w->g);
    demand(w, 1, w->g, RELAY_DRAIN_ALL);
    expect(w, 1, "<3:0> ");
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int nk_test_relay_engine(void)
{
    const struct CMUnitTest tests[] = {
        T(test_time_by_itself),        T(test_resume), T(test_drain_and_unwatch),
        T(test_duplicates_and_expiry), T(test_purge),
    };
    over = RELAY_OVER_MEMORY;
    int failed = cmocka_run_group_tests_name("engine: memory", tests, NULL, NULL);
    over = RELAY_OVER_CHAOS;
    failed += cmocka_run_group_tests_name("engine: chaos", tests, NULL, NULL);
    over = RELAY_OVER_LOG;
    return failed + cmocka_run_group_tests_name("engine: log", tests, NULL, NULL);
}
