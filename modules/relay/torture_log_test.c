/* SPDX-License-Identifier: MIT */
/* Every allocation of the log engine's thread fails once, and from then on: what it said is stored
 * is there after a restart, what it said is done with is not, and nothing leaks. */
#include "torture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/app.h"
#include "relay/engine_log.h"
#include "relay/log_testkit.h"

int nk_test_relay_torture_log(void);

enum {
    WRONG = 1,
    OBJECTS = 10,
    LENGTH = 600, /* so that segments are sealed */
    SEGMENT = 4096,
    CLOCK_SCALE = 100,
    TURN_MS = 10,
    PATIENCE = 30,
    STEP = 3,
    KEPT = 1000, /* token of the broadcast; others: the number, plus SETTLE for its ACK */
    WATCH = 1001,
    SETTLE = 100
};

struct world {
    struct nk_app *app;
    struct relay_engine *engine;
    struct relay_groups *groups;
    struct relay_group *g;
    struct relay_memory memory;
    struct relay_publishers publishers;
    struct relay_member *m;
    struct relay_log_io io;
    bool stored[OBJECTS], refused[OBJECTS], settled[OBJECTS], acked[OBJECTS];
    unsigned came[OBJECTS];
    uint64_t seq[OBJECTS];
    bool watching, kept;
    unsigned retained;
    size_t pending;
    bool wrong;
    char dir[RELAY_LOG_TESTKIT_DIR];
};

static void on_deliver(void *owner, struct relay_group *g, struct relay_object *o,
                       enum relay_delivery kind, const struct relay_mark *mark)
{
    struct world *w = owner;
    uint8_t number;
    (void)g;
    relay_object_read(o, 0, &number, 1);
    if (kind != RELAY_ITEM) {
        w->retained += kind == RELAY_RETAINED;
        return;
    }
    if (number >= OBJECTS || o->total != LENGTH) {
        w->wrong = true;
        return;
    }
    w->came[number]++;
    w->seq[number] = mark->seq;
}

static void on_done(void *owner, uint64_t token, int status)
{
    struct world *w = owner;
    w->pending--;
    w->wrong |= status != 0 && status != -ENOMEM;
    if (token == WATCH) {
        w->watching = status == 0;
    } else if (token == KEPT) {
        w->kept = status == 0;
    } else if (token > SETTLE) {
        w->acked[token - SETTLE - 1] = status == 0;
    } else {
        w->stored[token - 1] = status == 0;
        w->refused[token - 1] = status != 0;
    }
}

static const struct relay_member_ops ops = {.deliver = on_deliver, .done = on_done};

static ssize_t disk_write(void *ctx, int fd, const void *p, size_t n, off_t at)
{
    (void)ctx;
    return pwrite(fd, p, n, at);
}

static int disk_sync(void *ctx, int fd)
{
    (void)ctx, (void)fd;
    return 0;
}

static int start(struct world *w)
{
    struct relay_groups_conf groups = {.max_groups = 10};
    struct relay_engine_log_conf conf = {.app = w->app,
                                         .dir = w->dir,
                                         .memory = &w->memory,
                                         .publishers = &w->publishers,
                                         .segment_bytes = SEGMENT,
                                         .io = &w->io};
    w->groups = conf.groups = relay_groups_new(&groups);
    int rc = w->groups ? relay_engine_log(&conf, &w->engine, NULL) : -ENOMEM;
    rc = rc < 0 ? rc : relay_groups_get(w->groups, "G", 1, &w->g);
    return rc < 0 ? rc : relay_engine_attach(w->engine, &ops, w, &w->m);
}

static void shut(struct world *w)
{
    if (w->m) {
        relay_engine_detach(w->engine, w->m);
    }
    relay_group_unref(w->g);
    relay_engine_free(w->engine);
    relay_groups_free(w->groups);
    w->m = NULL;
    w->g = NULL;
    w->engine = NULL;
    w->groups = NULL;
    w->pending = 0;
    w->wrong |= w->memory.used != 0;
}

/* Without any memory some operations wait until there is some: they stay undecided. */
static void await(struct world *w)
{
    for (int i = 0; i < PATIENCE && w->pending; i++) {
        nk_app_turn(w->app, TURN_MS);
    }
}

/* An operation was asked for. */
static int asked(struct world *w, int rc)
{
    w->pending += rc == 0;
    return rc;
}

static int produce(struct world *w)
{
    int rc = 0;
    for (unsigned i = 0; i < OBJECTS; i++) {
        struct relay_object *o = relay_object_new(&w->memory, LENGTH);
        struct relay_put put = {.copies = 1, .producer = 7, .producer_seq = i + 1};
        if (o) {
            memset(o->bytes, (int)i, o->len);
        }
        int one =
            o ? asked(w, relay_engine_enqueue(w->engine, w->m, w->g, o, &put, i + 1)) : -ENOMEM;
        relay_object_unref(o);
        rc = one < 0 ? one : rc;
    }
    await(w);
    return rc;
}

static int broadcast(struct world *w)
{
    struct relay_object *o = relay_object_new(&w->memory, LENGTH);
    if (!o) {
        return -ENOMEM;
    }
    memset(o->bytes, OBJECTS, o->len);
    o->publisher = relay_publisher(&w->publishers, "alice", 5);
    int rc = asked(w, relay_engine_retain(w->engine, w->m, w->g, o, NULL, KEPT));
    relay_object_unref(o);
    await(w);
    return rc;
}

/* Everything is handed out; every other object is acknowledged, the rest refused or kept. */
static int consume(struct world *w)
{
    int rc = asked(w, relay_engine_watch(w->engine, w->m, &w->g, NULL, 1, WATCH));
    await(w);
    if (rc < 0 || !w->watching) {
        return -ENOMEM;
    }
    rc = relay_engine_demand(w->engine, w->m, w->g, OBJECTS, 0);
    for (int i = 0; i < 4; i++) {
        nk_app_turn(w->app, 1);
    }
    for (unsigned i = 0; i < OBJECTS; i++) {
        if (w->came[i] && i % 2 == 0) {
            w->settled[i] = true; /* from here on it may be there or not, until it is acked */
            int one = asked(w, relay_engine_settle(w->engine, w->m, w->g, w->seq[i], 1, RELAY_ACK,
                                                   0, SETTLE + i + 1));
            rc = one < 0 ? one : rc;
        } else if (w->came[i] && i == 3) {
            (void)relay_engine_settle(w->engine, w->m, w->g, w->seq[i], 1, RELAY_NACK, 1000, 0);
        }
    }
    await(w);
    return rc;
}

/* With memory again: is it as was said? */
static int look(struct world *w)
{
    bool kept = w->kept;
    memset(w->came, 0, sizeof(w->came));
    w->retained = 0;
    if (start(w) < 0 || asked(w, relay_engine_watch(w->engine, w->m, &w->g, NULL, 1, WATCH)) < 0) {
        return WRONG;
    }
    await(w);
    if (!w->watching || relay_engine_demand(w->engine, w->m, w->g, OBJECTS, 0) < 0) {
        return WRONG;
    }
    for (int i = 0; i < 40; i++) {
        nk_app_turn(w->app, 1);
    }
    for (unsigned i = 0; i < OBJECTS; i++) {
        bool must = w->stored[i] && !w->settled[i], must_not = w->acked[i] || w->refused[i];
        w->wrong |= w->came[i] > 1 || (must && !w->came[i]) || (must_not && w->came[i]);
    }
    w->wrong |= kept && w->retained != 1;
    shut(w);
    return 0;
}

static int run(void *arg)
{
    struct world *w = calloc(1, sizeof(*w));
    struct nk_app_conf app_conf = {.clock_scale = CLOCK_SCALE};
    (void)arg;
    if (!w) {
        return -ENOMEM;
    }
    nk_torture_pause();
    int rc = nk_app_new(&w->app, &app_conf, NULL);
    relay_log_testkit_make(w->dir);
    w->io = (struct relay_log_io){.write = disk_write, .sync = disk_sync};
    nk_torture_resume();
    rc = rc < 0 ? rc : start(w);
    if (rc == 0) {
        rc = produce(w);
        int second = broadcast(w), third = consume(w);
        rc = second < 0 ? second : third < 0 ? third : rc;
    }
    shut(w);
    nk_torture_pause();
    rc = look(w) == WRONG || w->wrong ? WRONG : rc;
    relay_publishers_clear(&w->publishers);
    while (nk_app_turn(w->app, 1000)) { /* what is under way on the disk */
    }
    nk_app_free(w->app);
    relay_memory_trim(&w->memory);
    relay_log_testkit_remove(w->dir);
    nk_torture_resume();
    free(w);
    return rc;
}

static void test_log_engine(void **state)
{
    (void)state;
    assert_true(nk_torture_sparse(run, NULL, STEP) > 0);
}

int nk_test_relay_torture_log(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_engine),
    };
    return cmocka_run_group_tests_name("relay/torture_log", tests, NULL, NULL);
}
