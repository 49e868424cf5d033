/* SPDX-License-Identifier: MIT */
/* A backlog much larger than memory may be: what waits in the log engine lies in the log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/app.h"
#include "relay/engine_log.h"
#include "relay/log_testkit.h"

int nk_test_relay_engine_log_backlog(void);

enum {
    TURN_MS = 50,
    PATIENCE = 40000,
    OBJECTS = 6000,
    SHORTEST = 1000,
    LENGTHS = 7777, /* lengths vary by so much, in steps that have no common divisor with it */
    LENGTH_STEP = 31,
    LARGE_EVERY = 997, /* of so many objects one is longer than a segment */
    LARGE = 600 * 1024,
    WINDOW = 50
};
#define SEGMENT ((uint64_t)512 * 1024)

/* What the whole engine may hold while more than 25 MB wait: one MiB in the queue, what is being
 * written, and a slice for each object. */
#define HELD_MAX ((size_t)5 * 1024 * 1024)

struct world {
    struct nk_app *app;
    struct relay_engine *engine;
    struct relay_groups *groups;
    struct relay_group *group;
    struct relay_memory memory;
    struct relay_member *m;
    uint64_t asked, done;
    uint64_t got, bytes;
    size_t most; /* that was ever held */
    char dir[RELAY_LOG_TESTKIT_DIR];
};

static size_t length_of(uint64_t seq)
{
    return seq % LARGE_EVERY ? SHORTEST + seq * LENGTH_STEP % LENGTHS : LARGE;
}

static void on_deliver(void *owner, struct relay_group *g, struct relay_object *o,
                       enum relay_delivery kind, const struct relay_mark *mark)
{
    struct world *w = owner;
    (void)g;
    assert_int_equal(kind, RELAY_ITEM);
    assert_int_equal(mark->seq, ++w->got);
    assert_int_equal(o->total, length_of(mark->seq));
    assert_int_equal(o->flags, mark->seq % 2 ? RELAY_OBJECT_CONTENT : 0);
    for (const struct relay_object *part = o; part; part = part->more) {
        for (size_t i = 0; i < part->len; i += i + 64 < part->len ? 64 : 1) {
            assert_int_equal(part->bytes[i], (uint8_t)mark->seq);
        }
    }
    w->bytes += o->total;
}

static void on_done(void *owner, uint64_t token, int status)
{
    struct world *w = owner;
    (void)token;
    assert_int_equal(status, 0);
    w->done++;
}

static const struct relay_member_ops ops = {.deliver = on_deliver, .done = on_done};

static void start(struct world *w)
{
    struct relay_groups_conf groups = {.max_groups = 10};
    struct relay_engine_log_conf conf = {.app = w->app,
                                         .dir = w->dir,
                                         .groups = w->groups = relay_groups_new(&groups),
                                         .memory = &w->memory,
                                         .sync = RELAY_LOG_SYNC_OFF,
                                         .segment_bytes = SEGMENT};
    assert_int_equal(relay_engine_log(&conf, &w->engine, NULL), 0);
    assert_int_equal(relay_engine_attach(w->engine, &ops, w, &w->m), 0);
    assert_int_equal(relay_groups_get(w->groups, "G", 1, &w->group), 0);
}

static void shut(struct world *w)
{
    relay_engine_detach(w->engine, w->m);
    relay_group_unref(w->group);
    relay_engine_free(w->engine);
    relay_groups_free(w->groups);
    assert_int_equal(w->memory.used, 0);
}

static void turn(struct world *w)
{
    nk_app_turn(w->app, TURN_MS);
    w->most = w->memory.used > w->most ? w->memory.used : w->most;
}

static void produce(struct world *w, uint64_t objects)
{
    for (int i = 0; i < PATIENCE && w->done < objects; i++) {
        for (; w->asked < objects && w->asked - w->done < WINDOW; w->asked++) {
            uint64_t seq = w->asked + 1;
            struct relay_object *o = relay_object_new(&w->memory, length_of(seq));
            struct relay_put put = {.copies = 1};
            assert_non_null(o);
            memset(o->bytes, (int)(uint8_t)seq, o->len);
            o->flags = seq % 2 ? RELAY_OBJECT_CONTENT : 0;
            assert_int_equal(relay_engine_enqueue(w->engine, w->m, w->group, o, &put, seq), 0);
            relay_object_unref(o);
        }
        turn(w);
    }
    assert_int_equal(w->done, objects);
}

static void consume(struct world *w, uint64_t upto)
{
    uint64_t from = w->got + 1;
    assert_int_equal(relay_engine_demand(w->engine, w->m, w->group, (int64_t)(upto - w->got), 0),
                     0);
    for (int i = 0; i < PATIENCE && w->got < upto; i++) {
        turn(w);
    }
    assert_int_equal(w->got, upto);
    uint64_t done = w->done;
    assert_int_equal(relay_engine_settle(w->engine, w->m, w->group, from,
                                         (uint32_t)(upto + 1 - from), RELAY_ACK, 0, 1),
                     0);
    for (int i = 0; i < PATIENCE && w->done == done; i++) {
        turn(w);
    }
    w->done = done;
}

static void join(struct world *w)
{
    uint64_t done = w->done;
    assert_int_equal(relay_engine_watch(w->engine, w->m, &w->group, NULL, 1, 1), 0);
    for (int i = 0; i < PATIENCE && w->done == done; i++) {
        turn(w);
    }
    w->done = done;
}

/* Everything waits, is handed out in order with its bytes as they were, some of it after a restart,
 * and the memory that this takes does not grow with it. */
static void test_backlog(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct nk_app_conf app_conf = {0};
    struct relay_queue_stats s;
    (void)state;
    assert_int_equal(nk_app_new(&w->app, &app_conf, NULL), 0);
    relay_log_testkit_make(w->dir);
    start(w);
    produce(w, OBJECTS);
    relay_queue_stats(w->group, &s);
    assert_int_equal(s.queued, OBJECTS);
    assert_true(s.bytes > 5 * HELD_MAX);
    assert_true(w->most < HELD_MAX);
    join(w);
    consume(w, OBJECTS / 3);
    produce(w, OBJECTS + OBJECTS / 3);
    consume(w, OBJECTS);
    assert_true(w->most < HELD_MAX);
    shut(w);
    start(w);
    join(w);
    consume(w, OBJECTS + OBJECTS / 3);
    relay_queue_stats(w->group, &s);
    assert_int_equal(s.queued + s.leased, 0);
    shut(w);
    while (nk_app_turn(w->app, 1000)) { /* what is under way on the disk */
    }
    nk_app_free(w->app);
    relay_memory_trim(&w->memory);
    relay_log_testkit_remove(w->dir);
    free(w);
}

int nk_test_relay_engine_log_backlog(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backlog),
    };
    return cmocka_run_group_tests_name("relay/engine_log_backlog", tests, NULL, NULL);
}
