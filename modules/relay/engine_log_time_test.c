/* SPDX-License-Identifier: MIT */
/*
 * What the log says of times and people: lives, delays and publishers across restarts, wherever the
 * wall clock went in between. A clock that jumped is made by writing records of another time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/app.h"
#include "core/clock.h"
#include "relay/engine_log.h"
#include "relay/log_crc.h"
#include "relay/log_testkit.h"

int nk_test_relay_engine_log_time(void);

enum {
    PATIENCE = 4000,
    TURN_MS = 50,
    CLOCK_SCALE = 100,
    DELAY_MS = 20000, /* 200 ms of the test's time */
    TTL_MS = 3600000
};
#define YEAR_MS ((uint64_t)365 * 24 * 3600 * 1000)

struct world {
    struct nk_app *app;
    struct relay_engine *engine;
    struct relay_groups *groups;
    struct relay_memory memory;
    struct relay_publishers publishers;
    struct relay_member *m;
    struct relay_log *log; /* instead of the engine, for records of another time */
    char got[256];
    uint64_t token, done;
    int status;
    uint32_t publisher; /* of what came last */
    char dir[RELAY_LOG_TESTKIT_DIR];
};

static void on_deliver(void *owner, struct relay_group *g, struct relay_object *o,
                       enum relay_delivery kind, const struct relay_mark *mark)
{
    struct world *w = owner;
    size_t n = strlen(w->got);
    char last[2] = {0};
    relay_object_read(o, o->total - 1, last, 1);
    snprintf(w->got + n, sizeof(w->got) - n, "%s:%s%cx%u ", (const char *)g->name, last,
             "=*!"[kind], mark -> tries);
    w->publisher = o->publisher;
}

static void on_done(void *owner, uint64_t token, int status)
{
    struct world *w = owner;
    w->done = token;
    w->status = status;
}

static const struct relay_member_ops ops = {.deliver = on_deliver, .done = on_done};

static void on_committed(void *owner, uint64_t ticket, int status)
{
    (void)owner, (void)ticket, (void)status;
}

static void on_fatal(void *owner, int code)
{
    (void)owner, (void)code;
}

static const struct relay_log_ops log_ops = {.committed = on_committed, .fatal = on_fatal};

static void start(struct world *w)
{
    struct relay_groups_conf groups = {.max_groups = 100};
    struct relay_group_settings mortal = {.max_count = RELAY_UNLIMITED,
                                          .max_consumables = RELAY_UNLIMITED,
                                          .max_deliveries = 1,
                                          .dead_letter = "D"};
    struct relay_group_settings dead = {
        .max_count = RELAY_UNLIMITED, .max_consumables = RELAY_UNLIMITED, .ttl_ms = TTL_MS};
    struct relay_engine_log_conf conf = {.app = w->app,
                                         .dir = w->dir,
                                         .groups = w->groups = relay_groups_new(&groups),
                                         .memory = &w->memory,
                                         .publishers = &w->publishers,
                                         .segment_bytes = 8192};
    assert_int_equal(relay_groups_configure(w->groups, "T", 1, &mortal), 0);
    assert_int_equal(relay_groups_configure(w->groups, "D", 1, &dead), 0);
    assert_int_equal(relay_engine_log(&conf, &w->engine, NULL), 0);
    assert_int_equal(relay_engine_attach(w->engine, &ops, w, &w->m), 0);
}

static void shut(struct world *w)
{
    relay_engine_detach(w->engine, w->m);
    relay_engine_free(w->engine);
    relay_groups_free(w->groups);
    relay_publishers_clear(&w->publishers); /* a new process gives other numbers */
    assert_int_equal(w->memory.used, 0);
}

static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof(*w));
    struct nk_app_conf app_conf = {.clock_scale = CLOCK_SCALE};
    assert_int_equal(nk_app_new(&w->app, &app_conf, NULL), 0);
    relay_log_testkit_make(w->dir);
    start(w);
    return w;
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

/* The engine makes room for its log. */
static void open_log(struct world *w)
{
    struct relay_log_conf conf = {
        .app = w->app, .dir = w->dir, .memory = &w->memory, .segment_bytes = 8192, .ops = &log_ops};
    shut(w);
    assert_int_equal(relay_log_open(&conf, &w->log, NULL), 0);
}

static void back_to_engine(struct world *w)
{
    relay_log_close(w->log);
    w->log = NULL;
    start(w);
}

static void put(struct world *w, struct relay_log_entry e, const char *group, const char *text)
{
    uint64_t ticket;
    e.group = relay_log_state_group(relay_log_state(w->log), group, strlen(group));
    e.obj = text ? relay_object_copy(&w->memory, text, strlen(text)) : NULL;
    assert_non_null(e.group);
    assert_int_equal(relay_log_put(w->log, &e, &ticket), 0);
    relay_object_unref(e.obj);
    for (int i = 0; i < PATIENCE && !relay_log_idle(w->log); i++) {
        nk_app_turn(w->app, TURN_MS);
    }
}

static int await(struct world *w)
{
    for (int i = 0; i < PATIENCE && w->done != w->token; i++) {
        nk_app_turn(w->app, TURN_MS);
    }
    assert_true(w->done == w->token);
    return w->status;
}

static struct relay_group *group(struct world *w, const char *name)
{
    struct relay_group *g;
    assert_int_equal(relay_groups_get(w->groups, name, strlen(name), &g), 0);
    return g;
}

static void ask(struct world *w, const char *name)
{
    struct relay_group *g = group(w, name);
    assert_int_equal(relay_engine_watch(w->engine, w->m, &g, NULL, 1, ++w->token), 0);
    assert_int_equal(await(w), 0);
    assert_int_equal(relay_engine_demand(w->engine, w->m, g, 100, 0), 0);
    for (int i = 0; i < 20; i++) {
        nk_app_turn(w->app, 1);
    }
    relay_group_unref(g);
}

static void settle(struct world *w, const char *name, uint64_t seq, enum relay_settle how,
                   uint64_t ms)
{
    struct relay_group *g = group(w, name);
    assert_int_equal(relay_engine_settle(w->engine, w->m, g, seq, 1, how, ms, ++w->token), 0);
    assert_int_equal(await(w), 0);
    relay_group_unref(g);
}

static void expect(struct world *w, const char *text)
{
    for (int i = 0; i < PATIENCE && strlen(w->got) < strlen(text); i++) {
        nk_app_turn(w->app, TURN_MS);
    }
    assert_string_equal(w->got, text);
    w->got[0] = '\0';
}

static uint64_t wall(const struct world *w)
{
    return (uint64_t)nk_wall_ms(w->app);
}

/* --- tests ------------------------------------------------------------------------------------ */

static struct relay_log_entry item(uint64_t seq, uint64_t expires_ms)
{
    return (struct relay_log_entry){
        .type = RELAY_LOG_ENQUEUE, .seq = seq, .object = {.copies = 1, .expires_ms = expires_ms}};
}

/* The clock went forward while nothing ran: what expired meanwhile is gone, and for good. It went
 * back: what had expired may live a little longer, nothing else happens. */
static void test_lives(void **state)
{
    struct world *w = world_new();
    (void)state;
    open_log(w);
    put(w, item(1, 0), "A", "1");
    put(w, item(2, wall(w) - YEAR_MS), "A", "2");
    put(w, item(3, wall(w) + YEAR_MS), "A", "3");
    put(w, item(4, 1), "A", "4");
    put(w, item(5, UINT64_MAX), "A", "5");
    back_to_engine(w);
    ask(w, "A");
    expect(w, "A:1!x0 A:3!x0 A:5!x0 ");
    shut(w);
    start(w);
    ask(w, "A");
    expect(w, "A:1!x1 A:3!x1 A:5!x1 ");
    world_free(w);
}

static void release(struct world *w, uint64_t seq, uint64_t until_ms, uint64_t delay_ms)
{
    struct relay_log_entry e = {.type = RELAY_LOG_LEASE,
                                .range = {.first = seq, .count = 1, .tries = 1}};
    put(w, e, "A", NULL);
    e.type = RELAY_LOG_RELEASE;
    e.range.until_ms = until_ms;
    e.range.delay_ms = delay_ms;
    put(w, e, "A", NULL);
}

/* A delay is over when it should be, and after a jump at the latest when it has passed once more.
 */
static void test_delays_and_jumps(void **state)
{
    struct world *w = world_new();
    (void)state;
    open_log(w);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        char text[2] = {(char)('0' + seq), 0};
        put(w, item(seq, 0), "A", text);
    }
    release(w, 1, wall(w) + YEAR_MS, DELAY_MS); /* the clock went back by a year */
    release(w, 2, wall(w) - YEAR_MS, DELAY_MS); /* or forward */
    release(w, 3, wall(w) + 1, UINT64_MAX);
    back_to_engine(w);
    uint64_t before = nk_now_ms(w->app);
    ask(w, "A");
    expect(w, "A:2!x1 A:3!x1 A:1!x1 ");
    uint64_t waited = nk_now_ms(w->app) - before;
    assert_true(waited >= DELAY_MS / 2 && waited <= YEAR_MS);
    world_free(w);
}

/* A delay that a consumer asked for goes on after a restart, compaction or not. */
static void test_nack_survives(void **state)
{
    struct world *w = world_new();
    (void)state;
    open_log(w);
    put(w, item(1, 0), "A", "1");
    back_to_engine(w);
    ask(w, "A");
    expect(w, "A:1!x0 ");
    settle(w, "A", 1, RELAY_NACK, YEAR_MS);
    shut(w);
    start(w);
    ask(w, "A");
    expect(w, "");
    open_log(w);
    relay_log_compact(w->log);
    for (int i = 0; i < PATIENCE && relay_log_compacting(w->log); i++) {
        nk_app_turn(w->app, TURN_MS);
    }
    const struct relay_log_group *g = relay_log_state_group(relay_log_state(w->log), "A", 1);
    const struct relay_log_lease *l = relay_log_state_lease_find(relay_log_state(w->log), g, 1);
    assert_true(l && !l->leased && l->delay_ms == YEAR_MS && l->until_ms > wall(w));
    back_to_engine(w);
    ask(w, "A");
    expect(w, "");
    world_free(w);
}

/* The life that a dead letter got from the group that keeps it. */
static void test_dead_letters_expire(void **state)
{
    struct world *w = world_new();
    (void)state;
    open_log(w);
    put(w, item(1, 0), "T", "1");
    back_to_engine(w);
    ask(w, "T");
    expect(w, "T:1!x0 ");
    settle(w, "T", 1, RELAY_NACK, 0);
    open_log(w);
    const struct relay_log_group *g = relay_log_state_group(relay_log_state(w->log), "D", 1);
    assert_int_equal(g->items.n, 1);
    uint64_t expires = relay_log_items_at(&g->items, 0)->expires_ms;
    assert_true(expires <= wall(w) + TTL_MS && expires > wall(w) + TTL_MS / 2);
    back_to_engine(w);
    ask(w, "D");
    expect(w, "D:1!x0 ");
    world_free(w);
}

static void broadcast(struct world *w, const char *name, const char *text, const char *who)
{
    struct relay_group *g = group(w, name);
    struct relay_object *o = relay_object_copy(&w->memory, text, strlen(text));
    o->publisher = who ? relay_publisher(&w->publishers, who, strlen(who)) : 0;
    assert_int_equal(relay_engine_retain(w->engine, w->m, g, o, NULL, ++w->token), 0);
    assert_int_equal(await(w), 0);
    relay_object_unref(o);
    relay_group_unref(g);
}

static void expect_publisher(struct world *w, const char *name, const char *who)
{
    ask(w, name);
    const char *is = relay_publisher_name(&w->publishers, w->publisher);
    if (who) {
        assert_string_equal(is, who);
    } else {
        assert_null(is);
    }
    w->got[0] = '\0';
}

/* Who sent what is retained is known after restarts, from segments, indexes and copies. */
static void test_publishers(void **state)
{
    struct world *w = world_new();
    char text[2048];
    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    broadcast(w, "A", "1", "alice");
    broadcast(w, "B", "2", "bob");
    broadcast(w, "C", "3", NULL);
    for (int round = 0; round < 3; round++) {
        shut(w);
        assert_int_equal(relay_publisher(&w->publishers, "somebody", 8), 1);
        start(w);
        expect_publisher(w, "B", "bob");
        expect_publisher(w, "C", NULL);
        expect_publisher(w, "A", "alice");
        for (int i = 0; i < 20; i++) { /* several segments: what lives is carried over */
            broadcast(w, "E", text, "eve");
        }
    }
    expect_publisher(w, "E", "eve");
    world_free(w);
}

/* A segment of format 1 is read, and nothing is added to it. */
static void test_old_format(void **state)
{
    struct world *w = world_new();
    uint8_t head[RELAY_LOG_SEGMENT_HEAD];
    (void)state;
    open_log(w);
    put(w, item(1, 0), "A", "1");
    uint64_t number = relay_log_state(w->log)->part[0].number;
    relay_log_close(w->log);
    int dir = relay_log_dir_open(w->dir, false, NULL);
    int fd = relay_log_open_file(dir, number, "log", true);
    assert_int_equal(pread(fd, head, sizeof(head), 0), sizeof(head));
    head[8] = 1;
    relay_log_put32(head + 60, relay_crc32c(0, head, 60));
    assert_int_equal(pwrite(fd, head, sizeof(head), 0), sizeof(head));
    off_t size = lseek(fd, 0, SEEK_END);
    start(w);
    broadcast(w, "B", "2", "bob");
    assert_int_equal(lseek(fd, 0, SEEK_END), size);
    close(fd);
    fd = relay_log_open_file(dir, number + 1, "log", false);
    assert_int_equal(pread(fd, head, sizeof(head), 0), sizeof(head));
    assert_int_equal(head[8], RELAY_LOG_VERSION);
    close(fd);
    close(dir);
    shut(w);
    start(w);
    ask(w, "A");
    expect(w, "A:1!x0 ");
    expect_publisher(w, "B", "bob");
    world_free(w);
}

int nk_test_relay_engine_log_time(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lives),         cmocka_unit_test(test_delays_and_jumps),
        cmocka_unit_test(test_nack_survives), cmocka_unit_test(test_dead_letters_expire),
        cmocka_unit_test(test_publishers),    cmocka_unit_test(test_old_format),
    };
    return cmocka_run_group_tests_name("relay/engine_log_time", tests, NULL, NULL);
}
