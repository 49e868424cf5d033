/* SPDX-License-Identifier: MIT */
/* Damage in a sealed segment is found while the log runs; without any, nothing is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/app.h"
#include "relay/log.h"
#include "relay/log_testkit.h"

int nk_test_relay_log_scrub(void);

enum {
    CLOCK_SCALE = 1000,
    TURN_MS = 20,
    PATIENCE = 500,
    OBJECTS = 40,
    LENGTH = 1000,
    LARGE = 3 * 1024 * 1024, /* of one: looked at in several stretches */
    SEGMENT = 8192
};

struct world {
    struct nk_app *app;
    struct relay_log *log;
    struct relay_memory memory;
    char dir[RELAY_LOG_TESTKIT_DIR];
};

static void on_committed(void *owner, uint64_t ticket, int status)
{
    (void)owner, (void)ticket;
    assert_int_equal(status, 0);
}

static void on_fatal(void *owner, int code)
{
    (void)owner;
    fail_msg("the log failed: %d", code);
}

static const struct relay_log_ops ops = {.committed = on_committed, .fatal = on_fatal};

static void put(struct world *w, uint64_t seq, size_t len)
{
    uint64_t ticket;
    struct relay_object *o = relay_object_new(&w->memory, len);
    struct relay_log_entry e = {.type = RELAY_LOG_ENQUEUE,
                                .group = relay_log_state_group(relay_log_state(w->log), "g", 1),
                                .seq = seq,
                                .object = {.copies = 1},
                                .obj = o};
    memset(o->bytes, (int)(uint8_t)seq, len);
    assert_int_equal(relay_log_put(w->log, &e, &ticket), 0);
    relay_object_unref(o);
}

static void open_full(struct world *w)
{
    struct nk_app_conf app_conf = {.clock_scale = CLOCK_SCALE};
    assert_int_equal(nk_app_new(&w->app, &app_conf, NULL), 0);
    relay_log_testkit_make(w->dir);
    struct relay_log_conf conf = {.app = w->app,
                                  .dir = w->dir,
                                  .memory = &w->memory,
                                  .sync = RELAY_LOG_SYNC_OFF,
                                  .segment_bytes = SEGMENT,
                                  .ops = &ops};
    assert_int_equal(relay_log_open(&conf, &w->log, NULL), 0);
    for (uint64_t i = 1; i <= OBJECTS; i++) {
        put(w, i, i == OBJECTS / 2 ? LARGE : LENGTH);
    }
    for (int i = 0; i < PATIENCE && !relay_log_idle(w->log); i++) {
        nk_app_turn(w->app, TURN_MS);
    }
    assert_true(relay_log_idle(w->log));
    relay_log_close(w->log); /* so that one pass sees them all */
    assert_int_equal(relay_log_open(&conf, &w->log, NULL), 0);
}

static void close_all(struct world *w)
{
    relay_log_close(w->log);
    while (nk_app_turn(w->app, 1000)) { /* what is under way on the disk */
    }
    nk_app_free(w->app);
    assert_int_equal(w->memory.used, 0);
    relay_memory_trim(&w->memory);
    relay_log_testkit_remove(w->dir);
}

/* Until all sealed segments were looked at. */
static struct relay_log_stats one_pass(struct world *w)
{
    struct relay_log_stats s;
    for (int i = 0; i < PATIENCE; i++) {
        relay_log_stats(w->log, &s);
        if (s.scrubbed >= s.segments - 1) {
            return s;
        }
        nk_app_turn(w->app, TURN_MS);
    }
    fail_msg("only %llu segments", (unsigned long long)s.scrubbed);
    return s;
}

static void test_whole(void **state)
{
    struct world w = {0};
    (void)state;
    open_full(&w);
    struct relay_log_stats s = one_pass(&w);
    assert_true(s.segments > 5 && s.damaged == 0);
    assert_true(s.scrubbed_bytes > LARGE + (OBJECTS - 10) * LENGTH);
    close_all(&w);
}

static void flip(struct world *w, uint64_t number, off_t from_end)
{
    uint8_t byte;
    int dir = relay_log_dir_open(w->dir, false, NULL);
    int fd = relay_log_open_file(dir, number, "log", true);
    off_t at = lseek(fd, 0, SEEK_END) - from_end;
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
    close(dir);
}

static void test_damage(void **state)
{
    struct world w = {0};
    (void)state;
    open_full(&w);
    const struct relay_log_state *state_of = relay_log_state(w.log);
    uint64_t large = 0;
    for (size_t i = 0; i < state_of->nparts; i++) {
        large = state_of->part[i].bytes > LARGE ? state_of->part[i].number : large;
    }
    assert_true(large > 2);
    flip(&w, 2, 100);
    flip(&w, large, 5);
    struct relay_log_stats s = one_pass(&w);
    assert_int_equal(s.damaged, 2);
    assert_int_equal(s.damaged_last, large);
    close_all(&w);
}

/* The log is closed while a segment is being looked at. */
static void test_close(void **state)
{
    struct relay_log_stats s = {0};
    struct world w = {0};
    (void)state;
    open_full(&w);
    for (int i = 0; i < PATIENCE && s.scrubbed < 1; i++) {
        nk_app_turn(w.app, 1);
        relay_log_stats(w.log, &s);
    }
    assert_true(s.scrubbed >= 1);
    close_all(&w);
}

int nk_test_relay_log_scrub(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_close),
    };
    return cmocka_run_group_tests_name("relay/log_scrub", tests, NULL, NULL);
}
