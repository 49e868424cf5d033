/* SPDX-License-Identifier: MIT */
#include "relay/queue_testkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "relay/wire_meta.h"

void qt_write_down(char *got, size_t size, const char *fmt, ...)
{
    va_list ap;
    size_t n = strlen(got);
    va_start(ap, fmt);
    vsnprintf(got + n, size - n, fmt, ap);
    va_end(ap);
}

static void on_deliver(void *owner, struct relay_group *g, struct relay_object *o,
                       enum relay_delivery kind, const struct relay_mark *mark)
{
    struct qt_peer *p = owner;
    char text[64] = "";
    struct relay_meta m = {0};
    (void)g;
    if (o->flags & RELAY_OBJECT_META) {
        assert_int_equal(relay_meta_get(o->bytes, o->len, &m), 0);
    }
    relay_object_read(o, m.len, text, sizeof(text) - 1);
    qt_write_down(p->got, sizeof(p->got), "%s%s", text, (const char *const[]){"=", "*", ""}[kind]);
    for (uint32_t i = 0; i < mark->tries; i++) {
        qt_write_down(p->got, sizeof(p->got), "'");
    }
    if (m.origin.p) {
        qt_write_down(p->got, sizeof(p->got), "(%.*s)", (int)m.origin.len, m.origin.p);
    }
    qt_write_down(p->got, sizeof(p->got), " ");
    p->seq = kind == RELAY_ITEM ? mark->seq : p->seq;
}

static void on_done(void *owner, uint64_t token, int status)
{
    struct qt_peer *p = owner;
    qt_write_down(p->got, sizeof(p->got), "<%d:%d> ", (int)token, status);
}

const struct relay_member_ops qt_timed = {.deliver = on_deliver, .done = on_done};
const struct relay_member_ops qt_untimed = {
    .deliver = on_deliver, .done = on_done, .flags = RELAY_MEMBER_UNTIMED};

void qt_tick(struct qt_world *w, uint64_t ms)
{
    w->now += ms;
    relay_queue_tick(w->q, w->now, (uint64_t)((int64_t)(QT_WALL + w->now) + w->wall_off));
}

void qt_peer_new(struct qt_world *w, int who, const struct relay_member_ops *ops)
{
    struct qt_peer *p = &w->p[who];
    p->m = calloc(1, sizeof(*p->m));
    p->m->ops = ops;
    p->m->owner = p;
    p->got[0] = 0;
}

void qt_peer_leave(struct qt_world *w, int who)
{
    if (w->p[who].m && !relay_queue_leave(w->q, w->p[who].m)) {
        free(w->p[who].m);
    }
    w->p[who].m = NULL;
}

int qt_setup(void **state)
{
    struct qt_world *w = calloc(1, sizeof(*w));
    struct relay_groups_conf conf = {.max_groups = 10};
    const struct relay_group_settings set = {.max_count = RELAY_UNLIMITED,
                                             .max_consumables = RELAY_UNLIMITED,
                                             .lease_ms = QT_LEASE,
                                             .max_deliveries = 3,
                                             .dead_letter = "dead"};
    w->q = relay_queue_new();
    w->gs = relay_groups_new(&conf);
    if (relay_groups_configure(w->gs, "G", 1, &set) < 0 ||
        relay_groups_configure(w->gs, "dead", 4, NULL) < 0) {
        return -1;
    }
    w->g = relay_groups_find(w->gs, "G", 1);
    w->dead = relay_groups_find(w->gs, "dead", 4);
    w->now = 5;
    qt_tick(w, 0);
    for (int i = 0; i < QT_PEERS; i++) {
        qt_peer_new(w, i, &qt_timed);
    }
    *state = w;
    return 0;
}

int qt_teardown(void **state)
{
    struct qt_world *w = *state;
    for (int i = 0; i < QT_PEERS; i++) {
        qt_peer_leave(w, i);
    }
    relay_queue_free(w->q);
    relay_groups_free(w->gs);
    relay_memory_trim(&w->memory);
    int rc = w->memory.used == 0 ? 0 : -1;
    free(w);
    return rc;
}

int qt_put(struct qt_world *w, const char *text, const struct relay_put *put)
{
    struct relay_object *o = relay_object_copy(&w->memory, text, strlen(text));
    int rc = relay_queue_enqueue(w->q, w->g, o, put);
    relay_queue_dispatch(w->q, w->g);
    relay_object_unref(o);
    return rc;
}

void qt_produce(struct qt_world *w, const char *text)
{
    assert_int_equal(qt_put(w, text, &(struct relay_put){.copies = 1}), 0);
}

void qt_join(struct qt_world *w, int who, struct relay_group *g)
{
    struct relay_watch watch = {.group = g};
    assert_int_equal(relay_queue_join(w->q, w->p[who].m, &watch, 1), 0);
}

int qt_demand(struct qt_world *w, int who, int64_t n, uint64_t token)
{
    return relay_queue_demand(w->q, w->p[who].m, w->g, n, token);
}

int qt_settle(struct qt_world *w, int who, enum relay_settle how, uint64_t ms)
{
    return relay_queue_settle(w->q, w->p[who].m, w->g, w->p[who].seq, 1, how, ms);
}

void qt_expect(struct qt_world *w, int who, const char *text)
{
    assert_string_equal(w->p[who].got, text);
    w->p[who].got[0] = 0;
}

struct relay_queue_stats qt_stats(const struct relay_group *g)
{
    struct relay_queue_stats st;
    relay_queue_stats(g, &st);
    return st;
}

void qt_change(struct qt_world *w, struct relay_group_settings set)
{
    const struct relay_groups_conf conf = {.max_groups = 10};
    relay_groups_renew(w->gs, &conf);
    assert_int_equal(relay_groups_configure(w->gs, "G", 1, &set), 0);
    assert_int_equal(relay_groups_configure(w->gs, "dead", 4, NULL), 0);
    relay_groups_sweep(w->gs);
}
