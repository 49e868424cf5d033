/* SPDX-License-Identifier: MIT */
#include "relay/log_testkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

void relay_log_testkit_make(char dir[RELAY_LOG_TESTKIT_DIR])
{
    assert_true(lt_dir_make(dir));
}

void relay_log_testkit_remove(const char *dir)
{
    assert_true(lt_dir_remove(dir));
}

/* --- a running log --- */

static void on_committed(void *owner, uint64_t ticket, int status)
{
    struct lt_world *w = owner;
    assert_true(ticket >= w->committed);
    w->committed = ticket;
    w->status = status;
    w->refusals += status < 0;
}

static void on_fatal(void *owner, int code)
{
    struct lt_world *w = owner;
    assert_int_equal(w->fatal, 0);
    w->fatal = code;
}

static const struct relay_log_ops ops = {.committed = on_committed, .fatal = on_fatal};

int lt_open_log(struct lt_world *w)
{
    struct nk_diag diag = {0};
    w->committed = 0;
    w->log = NULL;
    int rc = relay_log_open(&w->conf, &w->log, &diag);
    if (rc < 0) {
        assert_int_equal(diag.code, rc);
    }
    return rc;
}

struct lt_world *lt_world_new(void)
{
    struct lt_world *w = calloc(1, sizeof(*w));
    struct nk_app_conf app_conf = {.clock_scale = LT_CLOCK_SCALE};
    assert_int_equal(nk_app_new(&w->app, &app_conf, NULL), 0);
    relay_log_testkit_make(w->dir);
    w->disk.room = SIZE_MAX;
    w->io = lt_disk_io(&w->disk);
    w->conf = (struct relay_log_conf){.app = w->app,
                                      .dir = w->dir,
                                      .memory = &w->memory,
                                      .segment_bytes = LT_SEGMENT,
                                      .sync_ms = 10,
                                      .io = &w->io,
                                      .ops = &ops,
                                      .owner = w};
    assert_int_equal(lt_open_log(w), 0);
    return w;
}

void lt_close_log(struct lt_world *w)
{
    relay_log_close(w->log);
    w->log = NULL;
}

void lt_reopen(struct lt_world *w)
{
    lt_close_log(w);
    assert_int_equal(lt_open_log(w), 0);
}

void lt_world_free(struct lt_world *w)
{
    relay_log_close(w->log);
    while (nk_app_turn(w->app, 1000)) { /* what is under way on the disk */
    }
    nk_app_free(w->app);
    assert_int_equal(w->memory.used, 0);
    relay_memory_trim(&w->memory);
    relay_log_testkit_remove(w->dir);
    free(w);
}

void lt_settle(struct lt_world *w)
{
    for (int i = 0; i < LT_PATIENCE && !w->fatal; i++) {
        if (relay_log_idle(w->log) && !relay_log_compacting(w->log)) {
            return;
        }
        nk_app_turn(w->app, LT_TURN_MS);
    }
    assert_int_not_equal(w->fatal, 0);
}

struct relay_log_group *lt_group(struct lt_world *w, const char *name)
{
    struct relay_log_group *g = relay_log_state_group(relay_log_state(w->log), name, strlen(name));
    assert_non_null(g);
    return g;
}

int lt_put_item(struct lt_world *w, const char *name, uint64_t seq, uint64_t copies,
                const char *text)
{
    uint64_t ticket;
    struct relay_object *o = relay_object_copy(&w->memory, text, strlen(text));
    struct relay_log_entry e = {.type = RELAY_LOG_ENQUEUE,
                                .group = lt_group(w, name),
                                .seq = seq,
                                .object = {.copies = copies},
                                .obj = o};
    int rc = relay_log_put(w->log, &e, &ticket);
    relay_object_unref(o);
    return rc;
}

void lt_put_range(struct lt_world *w, uint8_t type, const char *name, uint64_t first,
                  uint32_t count)
{
    uint64_t ticket;
    struct relay_log_entry e = {.type = type,
                                .group = lt_group(w, name),
                                .range = {.first = first, .count = count},
                                .tag = "session-0123456"};
    e.range.tries = type == RELAY_LOG_LEASE ? 2 : 0;
    assert_int_equal(relay_log_put(w->log, &e, &ticket), 0);
}
