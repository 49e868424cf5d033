/* SPDX-License-Identifier: MIT */
#include "relay/backlog.h"

#include <errno.h>
#include <stdlib.h>

#include "relay/wire_native.h"

enum { ENTRIES_MIN = 8, ENTRIES_KEEP = 64 };

struct relay_backlog_limits relay_backlog_limits_of(const struct relay_group *g,
                                                    uint64_t max_backlog)
{
    const struct relay_group_settings *s = &g->set;
    return (struct relay_backlog_limits){.policy = s->policy,
                                         .count = s->backlog_count,
                                         .bytes =
                                             s->backlog_bytes ? s->backlog_bytes : max_backlog};
}

static struct relay_backlog_entry *entry_at(const struct relay_backlog *b, uint32_t i)
{
    return &b->v[(b->head + i) & (b->cap - 1)];
}

static uint64_t frames_of(const struct relay_object *o)
{
    return o->frames ? o->frames : 1;
}

static void count_in(struct relay_backlog *b, const struct relay_backlog_entry *e)
{
    b->bytes += e->obj->total;
    if (e->kind != RELAY_ITEM) {
        b->broadcasts += frames_of(e->obj);
        b->broadcast_bytes += e->obj->total;
    }
}

static void count_out(struct relay_backlog *b, const struct relay_backlog_entry *e)
{
    b->bytes -= e->obj->total - e->off;
    if (e->kind != RELAY_ITEM) {
        b->broadcasts -= frames_of(e->obj);
        b->broadcast_bytes -= e->obj->total;
    }
}

static void drop(struct relay_backlog *b, struct relay_backlog_entry *e)
{
    count_out(b, e);
    relay_object_unref(e->obj);
    e->obj = NULL;
}

static int grow(struct relay_backlog *b)
{
    uint32_t cap = b->cap ? b->cap * 2 : ENTRIES_MIN;
    struct relay_backlog_entry *v = cap > b->cap ? malloc(cap * sizeof(*v)) : NULL;
    if (!v) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < b->n; i++) {
        v[i] = *entry_at(b, i);
    }
    free(b->v);
    b->v = v;
    b->cap = cap;
    b->head = 0;
    return 0;
}

/* What was dropped from the middle leaves no room taken. */
static void close_ranks(struct relay_backlog *b)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->n; i++) {
        const struct relay_backlog_entry *e = entry_at(b, i);
        if (e->obj) {
            *entry_at(b, n++) = *e;
        }
    }
    b->n = n;
}

/* Room for one more; half of it is free afterwards, so that this is not for every push to do. */
static int make_room(struct relay_backlog *b)
{
    close_ranks(b);
    return b->n >= b->cap / 2 && grow(b) < 0 && b->n == b->cap ? -ENOMEM : 0;
}

static bool over(const struct relay_backlog *b, const struct relay_backlog_limits *l)
{
    return (l->count && b->broadcasts > l->count) || b->broadcast_bytes > l->bytes;
}

/* Could this entry still be dropped? */
static bool loose(const struct relay_backlog_entry *e)
{
    return e->obj && e->kind != RELAY_ITEM && e->off == 0;
}

/* --- runs ------------------------------------------------------------------------------------- */

static size_t frame_length(const uint8_t *p)
{
    return RELAY_NATIVE_HEAD + (relay_native_get_u32(p) >> 8);
}

/* The run's frames from number `skip` (< frames) on, as an entry of their own. 0 or -ENOMEM. */
static int cut_run(struct relay_backlog *b, struct relay_backlog_entry *e, uint32_t skip)
{
    size_t off = 0;
    for (uint32_t i = 0; i < skip; i++) {
        off += frame_length(e->obj->bytes + off);
    }
    struct relay_object *rest = relay_object_slice(e->obj, off, e->obj->len - off);
    if (!rest) {
        return -ENOMEM;
    }
    rest->frames = e->obj->frames - skip;
    rest->flags = e->obj->flags;
    count_out(b, e);
    relay_object_unref(e->obj);
    e->obj = rest;
    e->seq += skip;
    count_in(b, e);
    return 0;
}

/* How many of the run's first frames must go, so that the limits hold; all of them at most. */
static uint32_t frames_too_many(const struct relay_backlog *b, const struct relay_backlog_limits *l,
                                const struct relay_object *run)
{
    uint64_t count = b->broadcasts, bytes = b->broadcast_bytes;
    uint32_t n = 0;
    for (size_t off = 0; n < run->frames && ((l->count && count > l->count) || bytes > l->bytes);
         n++) {
        size_t len = frame_length(run->bytes + off);
        off += len;
        bytes -= len;
        count--;
    }
    return n;
}

/* --- policies --------------------------------------------------------------------------------- */

/* Drop from the front until the limits hold; the newest broadcast always stays. */
static uint64_t drop_oldest(struct relay_backlog *b, const struct relay_backlog_limits *l)
{
    uint64_t before = b->broadcasts;
    for (uint32_t i = 0; i < b->n && over(b, l); i++) {
        struct relay_backlog_entry *e = entry_at(b, i);
        if (!loose(e)) {
            continue;
        }
        uint32_t skip = e->obj->frames ? frames_too_many(b, l, e->obj) : 1;
        bool newest = i == b->n - 1;
        if (newest && skip >= frames_of(e->obj)) {
            skip = (uint32_t)frames_of(e->obj) - 1;
        }
        if (skip >= frames_of(e->obj)) {
            drop(b, e);
        } else if (skip && cut_run(b, e, skip) < 0) {
            break; /* beyond the limit for want of memory: the next one tries again */
        }
    }
    return before - b->broadcasts;
}

static uint64_t conflate(struct relay_backlog *b)
{
    uint64_t before = b->broadcasts;
    for (uint32_t i = 0; i + 1 < b->n; i++) {
        struct relay_backlog_entry *e = entry_at(b, i);
        if (loose(e)) {
            drop(b, e);
        }
    }
    struct relay_backlog_entry *last = entry_at(b, b->n - 1);
    if (last->obj->frames > 1) {
        (void)cut_run(b, last, last->obj->frames - 1); /* without memory: more than needed waits */
    }
    return before - b->broadcasts;
}

int relay_backlog_push(struct relay_backlog *b, const struct relay_backlog_limits *l,
                       struct relay_object *o, enum relay_delivery kind,
                       const struct relay_mark *mark, uint64_t *dropped)
{
    *dropped = 0;
    if (b->n == b->cap && make_room(b) < 0) {
        return -ENOMEM;
    }
    struct relay_backlog_entry *e = entry_at(b, b->n++);
    *e = (struct relay_backlog_entry){
        .obj = relay_object_ref(o), .seq = mark->seq, .tries = mark->tries, .kind = (uint8_t)kind};
    count_in(b, e);
    if (kind == RELAY_ITEM) {
        return RELAY_BACKLOG_TAKEN;
    }
    switch (l->policy) {
    case RELAY_POLICY_CONFLATE:
        *dropped = conflate(b);
        return RELAY_BACKLOG_TAKEN;
    case RELAY_POLICY_DROP_OLDEST:
        *dropped = drop_oldest(b, l);
        return RELAY_BACKLOG_TAKEN;
    case RELAY_POLICY_DISCONNECT:
        if (over(b, l)) {
            drop(b, e);
            b->n--;
            return RELAY_BACKLOG_DISCONNECT;
        }
        return RELAY_BACKLOG_TAKEN;
    case RELAY_POLICY_AUTO:
    case RELAY_POLICY_BLOCK:
        break;
    }
    return over(b, l) ? RELAY_BACKLOG_FULL : RELAY_BACKLOG_TAKEN;
}

/* --- the other end ---------------------------------------------------------------------------- */

static void pop(struct relay_backlog *b)
{
    b->head = (b->head + 1) & (b->cap - 1);
    b->n--;
    if (b->n == 0 && b->cap > ENTRIES_KEEP) {
        free(b->v);
        b->v = NULL;
        b->cap = b->head = 0;
    }
}

struct relay_backlog_entry *relay_backlog_front(struct relay_backlog *b)
{
    while (b->n && !entry_at(b, 0)->obj) {
        pop(b);
    }
    return b->n ? entry_at(b, 0) : NULL;
}

void relay_backlog_advance(struct relay_backlog *b, uint64_t n)
{
    struct relay_backlog_entry *e = entry_at(b, 0);
    e->off += n;
    b->bytes -= n;
    if (e->off >= e->obj->total) {
        drop(b, e);
        pop(b);
    }
}

bool relay_backlog_low(const struct relay_backlog *b, const struct relay_backlog_limits *l)
{
    return (!l->count || b->broadcasts <= l->count / 2) && b->broadcast_bytes <= l->bytes / 2;
}

void relay_backlog_clear(struct relay_backlog *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        relay_object_unref(entry_at(b, i)->obj);
    }
    free(b->v);
    *b = (struct relay_backlog){0};
}
