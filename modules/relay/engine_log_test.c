/* SPDX-License-Identifier: MIT */
/* The log engine across restarts: what was done is there, what was consumed is not. */
#include "relay/engine_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/app.h"
#include "relay/log_testkit.h"

int nk_test_relay_engine_log(void);

enum {
    PATIENCE = 4000,
    TURN_MS = 50,
    CLOCK_SCALE = 100,
    PEERS = 3,
    LETTER = 3,
    TEXT = 64,
    GRACE_MS = 60000
};

/* "A:3@7! " is object 3 of group A with number 7; '!' item, '*' broadcast, '=' retained; then "x2"
 * for an item that was delivered twice before. */
struct peer {
    struct relay_member *m;
    char got[512];
    uint64_t token; /* the last one that is done */
    int status;
};

struct world {
    struct nk_app *app;
    struct relay_engine *engine;
    struct relay_groups *groups;
    struct relay_memory memory;
    struct relay_log_io io;
    struct lt_disk disk;
    struct peer p[PEERS];
    uint64_t token;
    int fatal;
    char dir[RELAY_LOG_TESTKIT_DIR];
};

static void on_deliver(void *owner, struct relay_group *g, struct relay_object *o,
                       enum relay_delivery kind, const struct relay_mark *mark)
{
    struct peer *p = owner;
    size_t n = strlen(p->got), max = sizeof(p->got) - n;
    char text[TEXT];
    /* of a dead letter only the end, not where it comes from */
    uint64_t skip = o->flags & RELAY_OBJECT_META ? o->total - LETTER : 0;
    size_t len = relay_object_read(o, skip, text, sizeof(text));
    n += (size_t)snprintf(p->got + n, max, "%s:%.*s@%llu%c", (const char *)g->name, (int)len, text,
                          (unsigned long long)mark->seq, "=*!"[kind]);
    snprintf(p->got + n, sizeof(p->got) - n, mark->tries ? "x%u " : " ", mark->tries);
}

static void on_done(void *owner, uint64_t token, int status)
{
    struct peer *p = owner;
    p->token = token;
    p->status = status;
}

static const struct relay_member_ops ops = {.deliver = on_deliver, .done = on_done};

static void on_fatal(void *owner, int code)
{
    ((struct world *)owner)->fatal = code;
}

static void start(struct world *w)
{
    struct relay_groups_conf groups = {.max_groups = 100};
    struct relay_group_settings dead = {.max_count = RELAY_UNLIMITED,
                                        .max_consumables = RELAY_UNLIMITED,
                                        .max_deliveries = 2,
                                        .dead_letter = "D"};
    struct relay_group_settings small = {.max_count = RELAY_UNLIMITED, .max_consumables = 2};
    struct relay_engine_log_conf conf = {.app = w->app,
                                         .dir = w->dir,
                                         .groups = w->groups = relay_groups_new(&groups),
                                         .memory = &w->memory,
                                         .segment_bytes = 8192,
                                         .grace_ms = GRACE_MS,
                                         .io = &w->io,
                                         .fatal = on_fatal,
                                         .owner = w};
    assert_int_equal(relay_groups_configure(w->groups, "T", 1, &dead), 0);
    assert_int_equal(relay_groups_configure(w->groups, "S", 1, &small), 0);
    assert_int_equal(relay_engine_log(&conf, &w->engine, NULL), 0);
}

static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof(*w));
    struct nk_app_conf app_conf = {.clock_scale = CLOCK_SCALE};
    assert_int_equal(nk_app_new(&w->app, &app_conf, NULL), 0);
    w->disk.room = SIZE_MAX;
    w->io = lt_disk_io(&w->disk);
    relay_log_testkit_make(w->dir);
    start(w);
    return w;
}

static void shut(struct world *w)
{
    for (size_t i = 0; i < PEERS; i++) {
        if (w->p[i].m) {
            relay_engine_detach(w->engine, w->p[i].m);
        }
        w->p[i] = (struct peer){0};
    }
    relay_engine_free(w->engine);
    relay_groups_free(w->groups);
    assert_int_equal(w->memory.used, 0);
}

static void restart(struct world *w)
{
    shut(w);
    start(w);
}

static void world_free(struct world *w)
{
    shut(w);
    while (nk_app_turn(w->app, 1000)) { /* what is under way on the disk */
    }
    nk_app_free(w->app);
    relay_memory_trim(&w->memory);
    relay_log_testkit_remove(w->dir);
    free(w);
}

static struct peer *peer(struct world *w, int i)
{
    struct peer *p = &w->p[i];
    if (!p->m) {
        assert_int_equal(relay_engine_attach(w->engine, &ops, p, &p->m), 0);
    }
    return p;
}

static struct relay_group *group(struct world *w, const char *name)
{
    struct relay_group *g;
    assert_int_equal(relay_groups_get(w->groups, name, strlen(name), &g), 0);
    relay_group_unref(g); /* borrowed by what comes next, which takes its own */
    return g;
}

static int await(struct world *w, struct peer *p)
{
    for (int i = 0; i < PATIENCE && p->token != w->token && !w->fatal; i++) {
        nk_app_turn(w->app, TURN_MS);
    }
    if (!w->fatal) {
        assert_true(p->token == w->token);
    }
    return p->status;
}

static void turns(struct world *w)
{
    for (int i = 0; i < 20; i++) {
        nk_app_turn(w->app, 1);
    }
}

/* A name that is not known yet lives while the operation does: both references at once. */
#define WITH_GROUP(w, name, call)                                                                  \
    do {                                                                                           \
        struct relay_group *g_;                                                                    \
        assert_int_equal(relay_groups_get((w)->groups, name, strlen(name), &g_), 0);               \
        assert_int_equal(call, 0);                                                                 \
        relay_group_unref(g_);                                                                     \
    } while (0)

static int produce(struct world *w, int i, const char *name, const char *text, uint64_t copies,
                   uint64_t producer_seq)
{
    struct peer *p = peer(w, i);
    struct relay_object *o = relay_object_copy(&w->memory, text, strlen(text));
    struct relay_put put = {
        .copies = copies, .producer = producer_seq ? 77 : 0, .producer_seq = producer_seq};
    WITH_GROUP(w, name, relay_engine_enqueue(w->engine, p->m, g_, o, &put, ++w->token));
    relay_object_unref(o);
    return await(w, p);
}

static int broadcast(struct world *w, int i, const char *name, const char *text)
{
    struct peer *p = peer(w, i);
    struct relay_object *o = relay_object_copy(&w->memory, text, strlen(text));
    WITH_GROUP(w, name, relay_engine_retain(w->engine, p->m, g_, o, NULL, ++w->token));
    relay_object_unref(o);
    return await(w, p);
}

static void join(struct world *w, int i, const char *name)
{
    struct peer *p = peer(w, i);
    WITH_GROUP(w, name, relay_engine_watch(w->engine, p->m, &g_, NULL, 1, ++w->token));
    assert_int_equal(await(w, p), 0);
}

static void demand(struct world *w, int i, const char *name, int64_t n)
{
    assert_int_equal(relay_engine_demand(w->engine, peer(w, i)->m, group(w, name), n, 0), 0);
    turns(w);
}

static int settle(struct world *w, int i, const char *name, uint64_t seq, enum relay_settle how)
{
    struct peer *p = peer(w, i);
    assert_int_equal(
        relay_engine_settle(w->engine, p->m, group(w, name), seq, 1, how, 0, ++w->token), 0);
    return await(w, p);
}

static int resume(struct world *w, int i, const char *tag)
{
    struct peer *p = peer(w, i);
    assert_int_equal(
        relay_engine_resume(w->engine, p->m, (const uint8_t *)tag, GRACE_MS, ++w->token), 0);
    return await(w, p);
}

static void expect(struct world *w, int i, const char *text)
{
    for (int n = 0; n < PATIENCE && strlen(w->p[i].got) < strlen(text); n++) {
        nk_app_turn(w->app, TURN_MS);
    }
    assert_string_equal(w->p[i].got, text);
    w->p[i].got[0] = '\0';
}

/* --- tests ------------------------------------------------------------------------------------ */

static void test_items_survive(void **state)
{
    (void)state;
    struct world *w = world_new();
    assert_int_equal(produce(w, 0, "A", "one", 1, 0), 0);
    assert_int_equal(produce(w, 0, "A", "two", 2, 0), 0);
    assert_int_equal(produce(w, 0, "A", "three", 1, 0), 0);
    restart(w);
    join(w, 1, "A");
    demand(w, 1, "A", 3);
    expect(w, 1, "A:one@1! A:two@2! A:two@3! ");
    assert_int_equal(settle(w, 1, "A", 1, RELAY_ACK), 0);
    assert_int_equal(settle(w, 1, "A", 3, RELAY_ACK), 0);
    assert_int_equal(settle(w, 1, "A", 3, RELAY_ACK), -ENOENT);
    restart(w); /* 2 was with a consumer: it comes first, and says so */
    join(w, 1, "A");
    demand(w, 1, "A", RELAY_DRAIN_ALL);
    expect(w, 1, "A:two@2!x1 A:three@4! ");
    assert_int_equal(settle(w, 1, "A", 2, RELAY_ACK), 0);
    assert_int_equal(settle(w, 1, "A", 4, RELAY_ACK), 0);
    restart(w);
    assert_int_equal(produce(w, 0, "A", "four", 1, 0), 0);
    join(w, 1, "A");
    demand(w, 1, "A", RELAY_DRAIN_ALL);
    turns(w);
    assert_non_null(strstr(w->p[1].got, "A:four@"));
    assert_null(strstr(w->p[1].got, "@4!")); /* numbers are not used again */
    world_free(w);
}

static void test_retained_survives(void **state)
{
    (void)state;
    struct world *w = world_new();
    join(w, 1, "A");
    assert_int_equal(broadcast(w, 0, "A", "old"), 0);
    assert_int_equal(broadcast(w, 0, "A", "new"), 0);
    expect(w, 1, "A:old@1* A:new@2* ");
    for (int i = 0; i < 2; i++) {
        restart(w);
        join(w, 1, "A");
        expect(w, 1, "A:new@2= ");
    }
    assert_int_equal(broadcast(w, 0, "A", "newest"), 0);
    expect(w, 1, "A:newest@3* ");
    world_free(w);
}

static void test_leases_survive(void **state)
{
    (void)state;
    struct world *w = world_new();
    join(w, 1, "A");
    shut(w);
    start(w);
    assert_int_equal(resume(w, 1, "session-0000001"), 0);
    join(w, 1, "A");
    demand(w, 1, "A", 2);
    assert_int_equal(produce(w, 0, "A", "one", 1, 0), 0);
    assert_int_equal(produce(w, 0, "A", "two", 1, 0), 0);
    expect(w, 1, "A:one@1! A:two@2! ");
    restart(w);
    join(w, 2, "A"); /* another one does not get them */
    demand(w, 2, "A", 5);
    turns(w);
    expect(w, 2, "");
    assert_int_equal(resume(w, 1, "session-0000001"), 1);
    assert_int_equal(settle(w, 1, "A", 1, RELAY_ACK), 0);
    assert_int_equal(settle(w, 1, "A", 2, RELAY_NACK), 0);
    expect(w, 2, "A:two@2!x1 ");
    assert_int_equal(settle(w, 2, "A", 2, RELAY_ACK), 0);
    restart(w);
    join(w, 2, "A");
    demand(w, 2, "A", 5);
    turns(w);
    expect(w, 2, "");
    world_free(w);
}

/* Nobody comes back for it: after its grace it goes to the next. */
static void test_grace_after_restart(void **state)
{
    (void)state;
    struct world *w = world_new();
    assert_int_equal(resume(w, 1, "session-0000001"), 0);
    join(w, 1, "A");
    demand(w, 1, "A", 1);
    assert_int_equal(produce(w, 0, "A", "one", 1, 0), 0);
    expect(w, 1, "A:one@1! ");
    restart(w);
    join(w, 2, "A");
    demand(w, 2, "A", 1);
    expect(w, 2, "A:one@1!x1 ");
    world_free(w);
}

static void test_duplicates_are_known(void **state)
{
    (void)state;
    struct world *w = world_new();
    assert_int_equal(produce(w, 0, "A", "one", 1, 10), 0);
    assert_int_equal(produce(w, 0, "A", "one", 1, 10), 1);
    restart(w);
    assert_int_equal(produce(w, 0, "A", "one", 1, 10), 1);
    assert_int_equal(produce(w, 0, "A", "two", 1, 11), 0);
    join(w, 1, "A");
    demand(w, 1, "A", RELAY_DRAIN_ALL);
    expect(w, 1, "A:one@1! A:two@2! ");
    assert_int_equal(settle(w, 1, "A", 1, RELAY_ACK), 0);
    assert_int_equal(settle(w, 1, "A", 2, RELAY_ACK), 0);
    restart(w); /* the objects have gone, what is known of the producer has not */
    assert_int_equal(produce(w, 0, "A", "two", 1, 11), 1);
    world_free(w);
}

static void test_dead_letters_survive(void **state)
{
    (void)state;
    struct world *w = world_new();
    assert_int_equal(produce(w, 0, "T", "bad", 1, 0), 0);
    join(w, 1, "T");
    demand(w, 1, "T", 5);
    expect(w, 1, "T:bad@1! ");
    restart(w);
    join(w, 1, "T");
    demand(w, 1, "T", 5);
    expect(w, 1, "T:bad@1!x1 ");
    assert_int_equal(settle(w, 1, "T", 1, RELAY_NACK), 0); /* for the second time */
    turns(w);
    restart(w);
    join(w, 1, "T");
    demand(w, 1, "T", 5);
    join(w, 2, "D");
    demand(w, 2, "D", 5);
    turns(w);
    expect(w, 1, "");
    assert_string_equal(w->p[2].got, "D:bad@2! ");
    world_free(w);
}

static void test_limits_and_purge(void **state)
{
    (void)state;
    struct world *w = world_new();
    for (int i = 0; i < 5; i++) {
        char text[2] = {(char)('0' + i), 0};
        assert_int_equal(produce(w, 0, "S", text, 1, 0), 0);
        assert_int_equal(produce(w, 0, "P", text, 1, 0), 0);
    }
    assert_int_equal(broadcast(w, 0, "P", "kept"), 0);
    assert_int_equal(relay_engine_purge(w->engine, peer(w, 0)->m, group(w, "P"), ++w->token), 0);
    assert_int_equal(await(w, &w->p[0]), 0);
    restart(w);
    join(w, 1, "S");
    join(w, 1, "P");
    demand(w, 1, "S", RELAY_DRAIN_ALL);
    demand(w, 1, "P", RELAY_DRAIN_ALL);
    expect(w, 1, "S:3@4! S:4@5! ");
    world_free(w);
}

static void test_groups_are_forgotten(void **state)
{
    (void)state;
    struct world *w = world_new();
    size_t before = relay_groups_count(w->groups);
    assert_int_equal(produce(w, 0, "A", "x", 1, 0), 0);
    assert_int_equal(relay_groups_count(w->groups), before + 1);
    join(w, 1, "A");
    demand(w, 1, "A", 1);
    expect(w, 1, "A:x@1! ");
    assert_int_equal(settle(w, 1, "A", 1, RELAY_ACK), 0);
    relay_engine_detach(w->engine, w->p[1].m);
    w->p[1].m = NULL;
    for (int i = 0; i < PATIENCE && relay_groups_count(w->groups) > before; i++) {
        nk_app_turn(w->app, TURN_MS);
    }
    assert_int_equal(relay_groups_count(w->groups), before);
    world_free(w);
}

static void test_full_disk(void **state)
{
    (void)state;
    struct world *w = world_new();
    assert_int_equal(produce(w, 0, "A", "one", 1, 5), 0);
    join(w, 1, "A");
    demand(w, 1, "A", 10);
    expect(w, 1, "A:one@1! ");
    w->disk.room = 0;
    assert_int_equal(produce(w, 0, "A", "two", 1, 6), -ENOSPC);
    assert_int_equal(produce(w, 0, "A", "two", 1, 6), -ENOSPC); /* not a duplicate */
    assert_int_equal(
        relay_engine_settle(w->engine, w->p[1].m, group(w, "A"), 1, 1, RELAY_ACK, 0, ++w->token),
        0);
    turns(w);
    assert_true(w->p[1].token != w->token); /* not stored yet */
    w->disk.room = SIZE_MAX;
    assert_int_equal(await(w, &w->p[1]), 0);
    int rc = -ENOSPC;
    for (int i = 0; i < PATIENCE && rc == -ENOSPC; i++) {
        nk_app_turn(w->app, 1);
        rc = produce(w, 0, "A", "two", 1, 6);
    }
    assert_int_equal(rc, 0);
    restart(w);
    join(w, 1, "A");
    demand(w, 1, "A", RELAY_DRAIN_ALL);
    turns(w);
    assert_non_null(strstr(w->p[1].got, "A:two@"));
    assert_null(strstr(w->p[1].got, "A:one@"));
    world_free(w);
}

/* After a failed fdatasync nobody hears that anything was stored. */
static void test_failing_disk(void **state)
{
    (void)state;
    struct world *w = world_new();
    assert_int_equal(produce(w, 0, "A", "one", 1, 0), 0);
    uint64_t before = w->p[0].token;
    w->disk.fail_sync = EIO;
    produce(w, 0, "A", "two", 1, 0);
    assert_int_equal(w->fatal, -EIO);
    turns(w);
    assert_true(w->p[0].token == before);
    world_free(w);
}

int nk_test_relay_engine_log(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items_survive),
        cmocka_unit_test(test_retained_survives),
        cmocka_unit_test(test_leases_survive),
        cmocka_unit_test(test_grace_after_restart),
        cmocka_unit_test(test_duplicates_are_known),
        cmocka_unit_test(test_dead_letters_survive),
        cmocka_unit_test(test_limits_and_purge),
        cmocka_unit_test(test_groups_are_forgotten),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_failing_disk),
    };
    return cmocka_run_group_tests_name("relay/engine_log", tests, NULL, NULL);
}
