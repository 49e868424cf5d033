/* SPDX-License-Identifier: MIT */
/* A running log in a temporary directory: what counts is there after a restart, whatever fails. */
#include "relay/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/app.h"
#include "core/clock.h"
#include "relay/log_testkit.h"

int nk_test_relay_log(void);

enum { TEN_MINUTES = 600 * 1000 };

static void put_retained(struct lt_world *w, const char *name, uint64_t version, const char *text)
{
    uint64_t ticket;
    struct relay_object *o = relay_object_copy(&w->memory, text, strlen(text));
    struct relay_log_entry e = {.type = RELAY_LOG_RETAIN,
                                .flags = 4,
                                .group = lt_group(w, name),
                                .seq = version,
                                .object = {.epoch = 7},
                                .obj = o};
    assert_int_equal(relay_log_put(w->log, &e, &ticket), 0);
    relay_object_unref(o);
}

/* The items of a group as text: "5 7+2 ". */
static const char *items(struct lt_world *w, const char *name, char *out, size_t max)
{
    struct relay_log_group *g = lt_group(w, name);
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < g->items.n; i++) {
        const struct relay_log_item *it = relay_log_items_at(&g->items, i);
        n += (size_t)snprintf(out + n, max - n, it->copies > 1 ? "%llu+%llu " : "%llu ",
                              (unsigned long long)it->first, (unsigned long long)it->copies);
    }
    return out;
}

static void check_object(struct lt_world *w, uint64_t segment, uint64_t off, uint32_t len,
                         const char *text)
{
    struct relay_object *whole = relay_log_map(w->log, segment);
    assert_non_null(whole);
    assert_int_equal(len, strlen(text));
    assert_true(off + len <= whole->len);
    assert_memory_equal(whole->bytes + off, text, len);
    relay_object_unref(whole);
}

/* --- what survives ---------------------------------------------------------------------------- */

static void test_restart(void **state)
{
    (void)state;
    struct lt_world *w = lt_world_new();
    char text[256];
    struct stat st;
    for (uint64_t i = 1; i <= 5; i++) {
        snprintf(text, sizeof(text), "object %llu", (unsigned long long)i);
        assert_int_equal(lt_put_item(w, "jobs", i, 1, text), 0);
    }
    assert_int_equal(lt_put_item(w, "many", 100, 10, "copies"), 0);
    put_retained(w, "state", 3, "old");
    put_retained(w, "state", 4, "new");
    lt_settle(w);
    assert_int_equal(w->status, 0);
    lt_put_range(w, RELAY_LOG_ACK, "jobs", 2, 1);
    lt_put_range(w, RELAY_LOG_ACK, "many", 100, 2);
    lt_put_range(w, RELAY_LOG_ACK, "many", 105, 1);
    lt_put_range(w, RELAY_LOG_LEASE, "jobs", 3, 2);
    lt_put_range(w, RELAY_LOG_RELEASE, "jobs", 4, 1);
    lt_put_range(w, RELAY_LOG_DROP, "jobs", 5, 1);
    lt_settle(w);
    assert_int_equal(stat(w->dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    for (int round = 0; round < 3; round++) {
        lt_reopen(w);
        assert_string_equal(items(w, "jobs", text, sizeof(text)), "1 3 4 ");
        assert_string_equal(items(w, "many", text, sizeof(text)), "102+3 106+4 ");
        struct relay_log_group *g = lt_group(w, "state");
        assert_true(g->retained.version == 4 && g->retained.epoch == 7 && g->retained.flags == 4);
        check_object(w, g->retained.segment, g->retained.off, g->retained.len, "new");
        g = lt_group(w, "jobs");
        const struct relay_log_item *it = relay_log_items_at(&g->items, 1);
        check_object(w, it->segment, it->off, it->len, "object 3");
        struct relay_log_lease *l = relay_log_state_lease_find(relay_log_state(w->log), g, 3);
        assert_true(l && l->leased && l->tries == 2);
        assert_memory_equal(l->tag, "session-0123456", RELAY_LOG_TAG);
        l = relay_log_state_lease_find(relay_log_state(w->log), g, 4);
        assert_true(l && !l->leased && l->tries == 2);
        assert_int_equal(g->last, 5); /* numbers are not given out again */
    }
    lt_world_free(w);
}

static void test_purge_and_producers(void **state)
{
    (void)state;
    struct lt_world *w = lt_world_new();
    char text[64];
    uint64_t ticket;
    struct relay_object *o = relay_object_copy(&w->memory, "x", 1);
    struct relay_log_entry e = {.type = RELAY_LOG_ENQUEUE,
                                .group = lt_group(w, "g"),
                                .seq = 1,
                                .object = {.copies = 1, .producer = 9, .producer_seq = 70},
                                .obj = o};
    assert_int_equal(relay_log_put(w->log, &e, &ticket), 0);
    relay_object_unref(o);
    lt_put_item(w, "g", 2, 1, "y");
    put_retained(w, "g", 1, "r");
    e = (struct relay_log_entry){
        .type = RELAY_LOG_PURGE, .flags = RELAY_LOG_RETAINED, .group = lt_group(w, "g"), .seq = 1};
    assert_int_equal(relay_log_put(w->log, &e, &ticket), 0);
    lt_settle(w);
    for (int round = 0; round < 2; round++) {
        struct relay_log_group *g = lt_group(w, "g");
        assert_string_equal(items(w, "g", text, sizeof(text)), "2 ");
        assert_int_equal(g->retained.segment, 0);
        struct relay_log_producer *p = relay_log_state_producer_find(relay_log_state(w->log), g, 9);
        assert_true(p && p->seq == 70);
        lt_reopen(w);
    }
    lt_world_free(w);
}

/* Versions go on under the same epoch unless the end was none. */
static void test_version_epoch(void **state)
{
    (void)state;
    struct lt_world *w = lt_world_new();
    uint64_t epoch = relay_log_version_epoch(w->log);
    assert_true(epoch != 0);
    lt_reopen(w);
    assert_true(relay_log_version_epoch(w->log) == epoch);
    w->disk.fail_sync = EIO;
    assert_int_equal(lt_put_item(w, "g", 1, 1, "x"), 0);
    lt_settle(w);
    w->disk.fail_sync = w->fatal = 0;
    lt_reopen(w);
    assert_true(relay_log_version_epoch(w->log) != epoch);
    lt_world_free(w);
}

/* --- segments --------------------------------------------------------------------------------- */

static void fill(struct lt_world *w, const char *name, uint64_t first, uint64_t n)
{
    char text[512];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (uint64_t i = 0; i < n; i++) {
        assert_int_equal(lt_put_item(w, name, first + i, 1, text), 0);
    }
    lt_settle(w);
}

static void test_rotation_and_dropping(void **state)
{
    (void)state;
    struct lt_world *w = lt_world_new();
    struct relay_log_stats s;
    fill(w, "g", 1, 200);
    relay_log_stats(w->log, &s);
    assert_int_in_range(s.segments, 6, 8); /* 200 * 567 bytes in pieces of 16 KiB */
    assert_true(s.bytes > 200 * 500 && s.live_bytes > 200 * 500);
    for (int i = 0; i < LT_PATIENCE && nk_app_turn(w->app, 0); i++) {
    }
    for (int round = 0; round < 2; round++) { /* the second time with indexes */
        lt_reopen(w);
        assert_int_equal(lt_group(w, "g")->items.n, 200);
    }
    lt_put_range(w, RELAY_LOG_ACK, "g", 1, 200);
    lt_settle(w);
    relay_log_stats(w->log, &s);
    assert_int_equal(s.segments, 1);
    assert_int_equal(s.live_bytes, 0);
    lt_reopen(w);
    assert_int_equal(lt_group(w, "g")->items.n, 0);
    assert_true(lt_group(w, "g")->last >= 200);
    lt_world_free(w);
}

/* A machine without a clock of its own starts in 1970: nobody's numbers are an hour old then. */
static void test_producers_without_a_clock(void **state)
{
    (void)state;
    struct lt_world *w = lt_world_new();
    struct relay_log_stats before, after;
    uint64_t ticket;
    nk_clock_set_wall(w->app, TEN_MINUTES - nk_wall_ms(w->app));
    struct relay_object *o = relay_object_copy(&w->memory, "x", 1);
    struct relay_log_entry e = {.type = RELAY_LOG_ENQUEUE,
                                .group = lt_group(w, "g"),
                                .seq = 1,
                                .object = {.copies = 1, .producer = 9, .producer_seq = 70},
                                .obj = o};
    assert_int_equal(relay_log_put(w->log, &e, &ticket), 0);
    relay_object_unref(o);
    relay_log_stats(w->log, &before);
    fill(w, "g", 2, 100);
    relay_log_stats(w->log, &after);
    assert_true(after.segments > before.segments);
    struct relay_log_producer *p =
        relay_log_state_producer_find(relay_log_state(w->log), lt_group(w, "g"), 9);
    assert_true(p && p->seq == 70);
    nk_clock_set_wall(w->app, 7 * (int64_t)TEN_MINUTES); /* now they are */
    fill(w, "g", 200, 100);
    assert_null(relay_log_state_producer_find(relay_log_state(w->log), lt_group(w, "g"), 9));
    lt_world_free(w);
}

static void test_compaction(void **state)
{
    (void)state;
    struct lt_world *w = lt_world_new();
    struct relay_log_stats s;
    char text[256];
    put_retained(w, "state", 1, "for ever");
    assert_int_equal(lt_put_item(w, "g", 1, 4, "straggler"), 0);
    lt_settle(w);
    lt_put_range(w, RELAY_LOG_LEASE, "g", 1, 2);
    lt_put_range(w, RELAY_LOG_RELEASE, "g", 2, 1);
    lt_put_range(w, RELAY_LOG_ACK, "g", 3, 1);
    for (uint64_t i = 0; i < 10; i++) {
        fill(w, "g", 100 + i * 30, 30);
        lt_put_range(w, RELAY_LOG_ACK, "g", 100 + i * 30, 30);
        lt_settle(w);
    }
    relay_log_stats(w->log, &s);
    assert_int_in_range(s.segments, 1, 3);
    assert_true(s.compacted > 0);
    for (int round = 0; round < 2; round++) {
        struct relay_log_group *g = lt_group(w, "g");
        assert_string_equal(items(w, "g", text, sizeof(text)), "1+2 4 ");
        const struct relay_log_item *it = relay_log_items_at(&g->items, 1);
        check_object(w, it->segment, it->off, it->len, "straggler");
        struct relay_log_lease *l = relay_log_state_lease_find(relay_log_state(w->log), g, 1);
        assert_true(l && l->leased && l->tries == 2);
        l = relay_log_state_lease_find(relay_log_state(w->log), g, 2);
        assert_true(l && !l->leased && l->tries == 2);
        g = lt_group(w, "state");
        check_object(w, g->retained.segment, g->retained.off, g->retained.len, "for ever");
        lt_reopen(w);
    }
    lt_world_free(w);
}

/* --- faults ----------------------------------------------------------------------------------- */

static void test_short_writes(void **state)
{
    (void)state;
    struct lt_world *w = lt_world_new();
    w->disk.seed = 5;
    fill(w, "g", 1, 100);
    lt_reopen(w);
    assert_int_equal(lt_group(w, "g")->items.n, 100);
    lt_world_free(w);
}

static void test_full(void **state)
{
    (void)state;
    struct lt_world *w = lt_world_new();
    struct relay_log_stats s;
    char text[64];
    assert_int_equal(lt_put_item(w, "g", 1, 1, "before"), 0);
    lt_settle(w);
    w->disk.room = 100;
    assert_int_equal(lt_put_item(w, "g", 2, 1, "refused"), 0);
    lt_put_range(w, RELAY_LOG_ACK, "g", 1, 1);
    for (int i = 0; i < LT_PATIENCE && !w->refusals; i++) {
        nk_app_turn(w->app, LT_TURN_MS);
    }
    assert_true(w->refusals > 0 && w->status == -ENOSPC && w->fatal == 0);
    relay_log_stats(w->log, &s);
    assert_true(s.full);
    assert_int_equal(lt_put_item(w, "g", 2, 1, "refused"), -ENOSPC);
    w->disk.room = SIZE_MAX;
    lt_settle(w);
    for (int i = 0; i < LT_PATIENCE && s.full; i++) {
        nk_app_turn(w->app, LT_TURN_MS);
        relay_log_stats(w->log, &s);
    }
    assert_false(s.full);
    assert_int_equal(lt_put_item(w, "g", 3, 1, "after"), 0);
    lt_settle(w);
    assert_string_equal(items(w, "g", text, sizeof(text)), "3 ");
    lt_reopen(w);
    assert_string_equal(items(w, "g", text, sizeof(text)), "3 ");
    lt_world_free(w);
}

static void test_failed_sync(void **state)
{
    (void)state;
    struct lt_world *w = lt_world_new();
    assert_int_equal(lt_put_item(w, "g", 1, 1, "good"), 0);
    lt_settle(w);
    uint64_t good = w->committed;
    w->disk.fail_sync = EIO;
    assert_int_equal(lt_put_item(w, "g", 2, 1, "lost"), 0);
    lt_settle(w);
    assert_int_equal(w->fatal, -EIO);
    w->disk.fail_sync = 0;
    assert_int_equal(lt_put_item(w, "g", 3, 1, "never"), -EIO);
    for (int i = 0; i < 5; i++) {
        nk_app_turn(w->app, 1);
    }
    assert_true(w->committed == good);
    lt_world_free(w);
}

static void test_sync_modes(void **state)
{
    (void)state;
    struct lt_world *w = lt_world_new();
    lt_close_log(w);
    w->conf.sync = RELAY_LOG_SYNC_OFF;
    assert_int_equal(lt_open_log(w), 0);
    unsigned before = w->disk.syncs;
    assert_int_equal(lt_put_item(w, "g", 1, 1, "a"), 0);
    lt_settle(w);
    assert_int_equal(w->disk.syncs, before);
    lt_close_log(w);
    w->conf.sync = RELAY_LOG_SYNC_INTERVAL;
    assert_int_equal(lt_open_log(w), 0);
    before = w->disk.syncs;
    assert_int_equal(lt_put_item(w, "g", 2, 1, "b"), 0);
    lt_settle(w);
    assert_true(w->committed > 0);
    for (int i = 0; i < LT_PATIENCE && w->disk.syncs == before; i++) {
        nk_app_turn(w->app, LT_TURN_MS);
    }
    assert_true(w->disk.syncs > before);
    lt_reopen(w);
    assert_int_equal(lt_group(w, "g")->items.n, 2);
    lt_world_free(w);
}

/* --- damage ----------------------------------------------------------------------------------- */

static int open_segment(struct lt_world *w, uint64_t number)
{
    int dir = relay_log_dir_open(w->dir, false, NULL);
    int fd = relay_log_open_file(dir, number, "log", true);
    close(dir);
    assert_true(fd >= 0);
    return fd;
}

static void flip(struct lt_world *w, uint64_t number, off_t at)
{
    uint8_t byte;
    int fd = open_segment(w, number);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x40;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

/* Cut anywhere: the whole commits before stay, and the log goes on. */
static void test_torn_tail(void **state)
{
    (void)state;
    struct lt_world *w = lt_world_new();
    char text[64];
    struct stat st;
    assert_int_equal(lt_put_item(w, "g", 1, 1, "first"), 0);
    lt_settle(w);
    lt_close_log(w);
    int fd = open_segment(w, 1);
    assert_int_equal(fstat(fd, &st), 0);
    for (off_t extra = 1; extra < 90; extra += 11) {
        assert_int_equal(lt_open_log(w), 0);
        assert_int_equal(lt_put_item(w, "g", 2, 1, "second"), 0);
        lt_settle(w);
        lt_close_log(w);
        assert_int_equal(ftruncate(fd, st.st_size + extra), 0);
        assert_int_equal(lt_open_log(w), 0);
        assert_string_equal(items(w, "g", text, sizeof(text)), "1 ");
        lt_close_log(w);
        struct stat now;
        assert_int_equal(fstat(fd, &now), 0);
        /* the checkpoint may have been complete, and the group's name is not repeated */
        assert_int_in_range(now.st_size, st.st_size, st.st_size + RELAY_LOG_CHECKPOINT_BYTES);
        assert_int_equal(ftruncate(fd, st.st_size), 0);
    }
    close(fd);
    assert_int_equal(lt_open_log(w), 0);
    lt_world_free(w);
}

static void test_damage(void **state)
{
    (void)state;
    struct lt_world *w = lt_world_new();
    fill(w, "g", 1, 100);
    fill(w, "h", 1, 1);
    for (int i = 0; i < 20; i++) {
        nk_app_turn(w->app, 1);
    }
    lt_close_log(w);
    /* a sealed segment without an index has to be read, and is found out */
    char name[128];
    snprintf(name, sizeof(name), "%s/0000000000000002.idx", w->dir);
    unlink(name);
    flip(w, 2, 5000);
    assert_int_equal(lt_open_log(w), NK_EFORMAT);
    assert_null(w->log);
    assert_int_equal(lt_open_log(w), NK_EFORMAT); /* nothing was changed */
    w->conf.quarantine = true;
    assert_int_equal(lt_open_log(w), 0);
    size_t left = lt_group(w, "g")->items.n;
    assert_int_in_range(left, 60, 80);
    assert_int_equal(lt_group(w, "h")->items.n, 1);
    lt_close_log(w);
    w->conf.quarantine = false; /* the .bad file explains the gap */
    assert_int_equal(lt_open_log(w), 0);
    assert_int_equal(lt_group(w, "g")->items.n, left);
    lt_close_log(w);
    snprintf(name, sizeof(name), "%s/0000000000000003.log", w->dir);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(lt_open_log(w), NK_EFORMAT); /* one is missing */
    w->conf.quarantine = true;
    assert_int_equal(lt_open_log(w), 0);
    lt_world_free(w);
}

/* In the newest segment, too, when a later commit says that it was durable. */
static void test_damage_in_newest(void **state)
{
    (void)state;
    struct lt_world *w = lt_world_new();
    assert_int_equal(lt_put_item(w, "g", 1, 1, "first"), 0);
    lt_settle(w);
    assert_int_equal(lt_put_item(w, "g", 2, 1, "second"), 0);
    lt_settle(w);
    lt_close_log(w);
    flip(w, 1, RELAY_LOG_SEGMENT_HEAD + RELAY_LOG_CHECKPOINT_BYTES + 3);
    assert_int_equal(lt_open_log(w), NK_EFORMAT);
    w->conf.quarantine = true;
    assert_int_equal(lt_open_log(w), 0);
    assert_int_equal(lt_group(w, "g")->items.n, 0);
    lt_world_free(w);
}

static void test_newer_version(void **state)
{
    (void)state;
    struct lt_world *w = lt_world_new();
    lt_close_log(w);
    int fd = open_segment(w, 1);
    const uint8_t newer = RELAY_LOG_VERSION + 1;
    assert_int_equal(pwrite(fd, &newer, 1, 8), 1);
    close(fd);
    assert_int_equal(lt_open_log(w), NK_EVERSION);
    w->conf.quarantine = true; /* not damaged: never thrown away */
    assert_int_equal(lt_open_log(w), NK_EVERSION);
    lt_world_free(w);
}

int nk_test_relay_log(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restart),       cmocka_unit_test(test_purge_and_producers),
        cmocka_unit_test(test_version_epoch), cmocka_unit_test(test_rotation_and_dropping),
        cmocka_unit_test(test_compaction),    cmocka_unit_test(test_short_writes),
        cmocka_unit_test(test_full),          cmocka_unit_test(test_failed_sync),
        cmocka_unit_test(test_sync_modes),    cmocka_unit_test(test_torn_tail),
        cmocka_unit_test(test_damage),        cmocka_unit_test(test_damage_in_newest),
        cmocka_unit_test(test_newer_version), cmocka_unit_test(test_producers_without_a_clock),
    };
    return cmocka_run_group_tests_name("relay/log", tests, NULL, NULL);
}
