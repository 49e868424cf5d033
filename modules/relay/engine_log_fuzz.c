/* SPDX-License-Identifier: MIT */
/*
 * A sequence of operations on the log engine, with ends in between, orderly ones and crashes,
 * against a model of what must be there: every object whose storing was told, and that was not told
 * to be settled, comes out again, in order, once; nothing else does.
 *
 * Two bytes for each step: what, and how much.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/app.h"
#include "relay/engine_log.h"
#include "relay/log_disk_testkit.h"

enum {
    GROUPS = 2,
    OBJECTS = 64, /* of each group at most */
    LENGTHS = 900,
    SEGMENT = 4096,
    STEPS = 120,
    CLOCK_SCALE = 1000,
    PATIENCE = 2000,
    SETTLED = 1000 /* token of an ACK: this and the number */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum where { NOWHERE, ASKED, STORED, SETTLING, GONE };

struct one {
    enum where where;
    bool held; /* handed out since the last start */
    uint64_t seq;
    uint8_t length;
};

struct side {
    struct relay_group *g;
    struct relay_member *m;
    struct one o[OBJECTS];
    size_t n;
    uint64_t last; /* number that was handed out last, first deliveries only */
    struct world *w;
    size_t pending;
};

struct world {
    struct nk_app *app;
    struct relay_engine *engine;
    struct relay_groups *groups;
    struct relay_memory memory;
    struct relay_log_io io;
    struct lt_disk disk;
    struct side s[GROUPS];
    char dir[RELAY_LOG_TESTKIT_DIR];
};

static void need(bool is)
{
    if (!is) {
        abort();
    }
}

static void on_deliver(void *owner, struct relay_group *g, struct relay_object *o,
                       enum relay_delivery kind, const struct relay_mark *mark)
{
    struct side *s = owner;
    uint8_t number = 0;
    need(g == s->g && kind == RELAY_ITEM && relay_object_read(o, 0, &number, 1) == 1);
    need(number < s->n);
    struct one *one = &s->o[number];
    need(one->where == STORED || one->where == ASKED || one->where == SETTLING);
    need(!one->held && o->total == 1u + one->length * (LENGTHS / 256u));
    need(mark->tries || mark->seq > s->last);
    s->last = mark->tries ? s->last : mark->seq;
    one->held = true;
    one->seq = mark->seq;
}

static void on_done(void *owner, uint64_t token, int status)
{
    struct side *s = owner;
    s->pending--;
    if (token <= 1) {
        return; /* of an operation without an object */
    }
    bool settled = token > SETTLED;
    uint64_t number = settled ? token - SETTLED - 1 : token - 2;
    need(status == 0 && number < s->n);
    s->o[number].where = settled ? GONE : STORED;
}

static const struct relay_member_ops ops = {.deliver = on_deliver, .done = on_done};

static void turns(struct world *w, int n)
{
    for (int i = 0; i < n; i++) {
        nk_app_turn(w->app, 1);
    }
}

static void await(struct world *w, const struct side *s)
{
    for (int i = 0; i < PATIENCE && s->pending && !w->disk.fail_write; i++) {
        nk_app_turn(w->app, 20);
    }
    need(s->pending == 0 || w->disk.fail_write);
}

static void start(struct world *w)
{
    static const char *const names[GROUPS] = {"A", "B"};
    struct relay_groups_conf groups = {.max_groups = 10};
    struct relay_engine_log_conf conf = {.app = w->app,
                                         .dir = w->dir,
                                         .groups = w->groups = relay_groups_new(&groups),
                                         .memory = &w->memory,
                                         .segment_bytes = SEGMENT,
                                         .io = &w->io};
    w->disk = (struct lt_disk){.room = SIZE_MAX};
    need(w->groups && relay_engine_log(&conf, &w->engine, NULL) == 0);
    for (size_t i = 0; i < GROUPS; i++) {
        struct side *s = &w->s[i];
        s->w = w;
        s->pending = s->last = 0;
        for (size_t k = 0; k < s->n; k++) {
            s->o[k].held = false;
        }
        need(relay_groups_get(w->groups, names[i], 1, &s->g) == 0);
        need(relay_engine_attach(w->engine, &ops, s, &s->m) == 0);
        s->pending++;
        need(relay_engine_watch(w->engine, s->m, &s->g, NULL, 1, 1) == 0);
        await(w, s);
    }
}

static void shut(struct world *w)
{
    for (size_t i = 0; i < GROUPS; i++) {
        relay_engine_detach(w->engine, w->s[i].m);
        relay_group_unref(w->s[i].g);
    }
    relay_engine_free(w->engine);
    relay_groups_free(w->groups);
    need(w->memory.used == 0);
}

static void produce(struct world *w, struct side *s, uint8_t arg)
{
    struct relay_put put = {.copies = 1};
    if (s->n == OBJECTS) {
        return;
    }
    struct relay_object *o = relay_object_new(&w->memory, 1u + arg * (LENGTHS / 256u));
    need(o != NULL);
    memset(o->bytes, (int)s->n, o->len);
    s->o[s->n] = (struct one){.where = ASKED, .length = arg};
    s->n++;
    s->pending++;
    need(relay_engine_enqueue(w->engine, s->m, s->g, o, &put, 1 + s->n) == 0);
    relay_object_unref(o);
}

static void settle(struct world *w, struct side *s, uint8_t arg, enum relay_settle how)
{
    size_t at = s->n ? arg % s->n : 0;
    if (s->n == 0 || !s->o[at].held || s->o[at].where != STORED) {
        return;
    }
    s->o[at].held = false;
    if (how == RELAY_ACK) {
        s->o[at].where = SETTLING;
        s->pending++;
        need(relay_engine_settle(w->engine, s->m, s->g, s->o[at].seq, 1, how, 0,
                                 SETTLED + 1 + at) == 0);
    } else {
        need(relay_engine_settle(w->engine, s->m, s->g, s->o[at].seq, 1, how, 0, 0) == 0);
    }
}

/* Everything that must be there is, when all is asked for. */
static void check(struct world *w)
{
    for (size_t i = 0; i < GROUPS; i++) {
        struct side *s = &w->s[i];
        await(w, s);
        need(relay_engine_demand(w->engine, s->m, s->g, OBJECTS, 0) == 0);
        turns(w, 4);
        for (size_t k = 0; k < s->n; k++) {
            need(s->o[k].held || s->o[k].where == GONE || s->o[k].where == NOWHERE);
        }
    }
}

/* After a crash what was not told is there or not. What is there from now on must stay. */
static void look_after_crash(struct world *w)
{
    for (size_t i = 0; i < GROUPS; i++) {
        struct side *s = &w->s[i];
        need(relay_engine_demand(w->engine, s->m, s->g, OBJECTS, 0) == 0);
        turns(w, 4);
        for (size_t k = 0; k < s->n; k++) {
            struct one *one = &s->o[k];
            need(one->held || one->where != STORED);
            bool open = one->where == ASKED || one->where == SETTLING;
            one->where = open ? (one->held ? STORED : GONE) : one->where;
        }
    }
}

static void step(struct world *w, uint8_t what, uint8_t arg)
{
    struct side *s = &w->s[what & 1];
    switch (what >> 1 & 7) {
    case 0:
    case 1:
        produce(w, s, arg);
        break;
    case 2:
        need(relay_engine_demand(w->engine, s->m, s->g, arg % 8 + 1, 0) == 0);
        turns(w, 1);
        break;
    case 3:
        settle(w, s, arg, RELAY_ACK);
        break;
    case 4:
        settle(w, s, arg, RELAY_NACK);
        break;
    case 5:
        turns(w, arg % 8);
        break;
    case 6: /* an orderly end: everything that was asked for is done */
        await(w, &w->s[0]);
        await(w, &w->s[1]);
        shut(w);
        start(w);
        break;
    case 7:                                           /* the process ends, whatever is under way */
        w->disk.fail_write = w->disk.fail_sync = EIO; /* no more gets to the disk */
        shut(w);
        start(w);
        look_after_crash(w);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nk_app_conf app = {.clock_scale = CLOCK_SCALE};
    struct world *w = calloc(1, sizeof(*w));
    need(w && nk_app_new(&w->app, &app, NULL) == 0);
    w->io = lt_disk_io(&w->disk);
    need(lt_dir_make(w->dir));
    start(w);
    for (size_t i = 0; i + 2 <= size && i < 2 * STEPS; i += 2) {
        step(w, data[i], data[i + 1]);
    }
    check(w);
    shut(w);
    while (nk_app_turn(w->app, 1000)) { /* what is under way on the disk */
    }
    nk_app_free(w->app);
    relay_memory_trim(&w->memory);
    need(lt_dir_remove(w->dir));
    free(w);
    return 0;
}
