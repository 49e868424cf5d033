/* SPDX-License-Identifier: MIT */
/* Purging a long queue, over the engines: in parts, so that the loop goes on in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/app.h"
#include "relay/engine_testkit.h"

int nk_test_relay_engine_purge(void);

enum {
    OBJECTS = 100000,
    AT_ONCE = 2000,
    PART_MAX = 17000, /* of these may go while the loop does not poll */
    TURN_MS = 50,
    PATIENCE = 20000,
    PURGE = 1 /* its token */
};

struct world {
    struct nk_app *app;
    struct relay_engine *engine;
    struct relay_groups *groups;
    struct relay_group *g, *other;
    struct relay_memory memory;
    struct relay_member *m;
    uint64_t stored, delivered;
    bool purged;
    char dir[RELAY_LOG_TESTKIT_DIR];
};

static void on_deliver(void *owner, struct relay_group *g, struct relay_object *o,
                       enum relay_delivery kind, const struct relay_mark *mark)
{
    struct world *w = owner;
    (void)g, (void)o, (void)kind, (void)mark;
    w->delivered++;
}

static void on_done(void *owner, uint64_t token, int status)
{
    struct world *w = owner;
    assert_int_equal(status, 0);
    if (token == PURGE) {
        w->purged = true;
    } else {
        w->stored++;
    }
}

static const struct relay_member_ops ops = {.deliver = on_deliver, .done = on_done};

static void start(struct world *w, enum relay_engine_kind over)
{
    struct nk_app_conf app_conf = {0};
    struct relay_groups_conf groups = {.max_groups = 10};
    assert_int_equal(nk_app_new(&w->app, &app_conf, NULL), 0);
    w->groups = relay_groups_new(&groups);
    assert_int_equal(
        relay_engine_testkit_open(over, NULL, w->app, w->groups, &w->memory, w->dir, &w->engine),
        0);
    assert_int_equal(relay_engine_attach(w->engine, &ops, w, &w->m), 0);
    assert_int_equal(relay_groups_get(w->groups, "G", 1, &w->g), 0);
    assert_int_equal(relay_groups_get(w->groups, "H", 1, &w->other), 0);
}

static void stop_all(struct world *w)
{
    relay_group_unref(w->g);
    relay_group_unref(w->other);
    relay_engine_detach(w->engine, w->m);
    relay_engine_free(w->engine);
    relay_groups_free(w->groups);
    while (nk_app_turn(w->app, 1000)) { /* what is under way on the disk */
    }
    nk_app_free(w->app);
    assert_int_equal(w->memory.used, 0);
    relay_memory_trim(&w->memory);
    if (w->dir[0]) {
        relay_log_testkit_remove(w->dir);
    }
}

static void produce(struct world *w, struct relay_group *g, uint64_t n)
{
    uint64_t asked = w->stored, want = w->stored + n;
    struct relay_put put = {.copies = 1};
    for (int i = 0; i < PATIENCE && w->stored < want; i++) {
        for (; asked < want && asked - w->stored < AT_ONCE; asked++) {
            struct relay_object *o = relay_object_copy(&w->memory, "object", 6);
            assert_int_equal(relay_engine_enqueue(w->engine, w->m, g, o, &put, PURGE + 1), 0);
            relay_object_unref(o);
        }
        nk_app_turn(w->app, TURN_MS);
    }
    assert_int_equal(w->stored, want);
}

static void purge_in_parts(enum relay_engine_kind over)
{
    struct world w = {0};
    struct relay_queue_stats s;
    start(&w, over);
    produce(&w, w.g, OBJECTS);
    produce(&w, w.other, 1);
    assert_int_equal(relay_engine_purge(w.engine, w.m, w.g, PURGE), 0);
    /* what comes behind it stays */
    struct relay_object *o = relay_object_copy(&w.memory, "object", 6);
    struct relay_put put = {.copies = 1};
    assert_int_equal(relay_engine_enqueue(w.engine, w.m, w.g, o, &put, PURGE + 1), 0);
    relay_object_unref(o);
    uint64_t left = OBJECTS;
    unsigned turns = 0;
    for (; turns < PATIENCE && !w.purged; turns++) {
        nk_app_turn(w.app, TURN_MS);
        relay_queue_stats(w.g, &s);
        uint64_t now = s.queued > 1 ? s.queued : 0;
        assert_true(left - now <= PART_MAX);
        left = now;
    }
    assert_true(w.purged && turns >= OBJECTS / PART_MAX);
    for (int i = 0; i < PATIENCE && w.stored < OBJECTS + 2; i++) {
        nk_app_turn(w.app, TURN_MS);
    }
    relay_queue_stats(w.g, &s);
    assert_int_equal(s.queued, 1);
    assert_int_equal(s.drop[RELAY_DROP_PURGED], OBJECTS);
    relay_queue_stats(w.other, &s);
    assert_int_equal(s.queued, 1);
    stop_all(&w);
}

static void test_memory(void **state)
{
    (void)state;
    purge_in_parts(RELAY_OVER_MEMORY);
}

static void test_log(void **state)
{
    (void)state;
    purge_in_parts(RELAY_OVER_LOG);
}

int nk_test_relay_engine_purge(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests_name("relay/engine_purge", tests, NULL, NULL);
}
