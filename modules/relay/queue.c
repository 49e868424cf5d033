/* SPDX-License-Identifier: MIT */
#include "relay/queue.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "relay/queue_core.h"
#include "relay/wire_native.h"

struct relay_queue *relay_queue_new(void)
{
    struct relay_queue *q = calloc(1, sizeof(*q));
    if (q) {
        randombytes_buf(&q->epoch, sizeof(q->epoch));
        q->epoch |= !q->epoch; /* 0 means unknown */
        randombytes_buf(&q->hash, sizeof(q->hash));
        q->hash |= 1;
    }
    return q;
}

uint64_t relay_queue_epoch(const struct relay_queue *q)
{
    return q->epoch;
}

/* --- group state ------------------------------------------------------------------------------ */

struct relay_group_state *relay_core_state(struct relay_queue *q, struct relay_group *g)
{
    struct relay_group_state *st = g->state;
    if (st || (st = calloc(1, sizeof(*st))) == NULL) {
        return st;
    }
    st->q = q;
    st->group = relay_group_ref(g);
    if (q->floor > RELAY_SEQ_MAX / 2) { /* begin again: what members know means nothing any more */
        q->floor = 0;
        q->epoch++;
    }
    st->version = st->seq = q->floor;
    st->next = q->groups;
    if (st->next) {
        st->next->prev = st;
    }
    q->groups = st;
    g->state = st;
    return st;
}

static void state_release(struct relay_group_state *st)
{
    st->group->state = NULL;
    relay_object_unref(st->retained);
    relay_core_copies_clear(st);
    relay_fifo_clear(&st->fifo);
    relay_group_unref(st->group);
    free(st);
}

void relay_core_tidy(struct relay_group_state *st)
{
    struct relay_queue *q = st->q;
    if (st->nseats || st->retained || st->fifo.n || st->copies.n) {
        return;
    }
    q->floor = st->version > q->floor ? st->version : q->floor;
    q->floor = st->seq > q->floor ? st->seq : q->floor;
    *(st->prev ? &st->prev->next : &q->groups) = st->next;
    if (st->next) {
        st->next->prev = st->prev;
    }
    state_release(st);
}

void relay_queue_free(struct relay_queue *q)
{
    if (!q) {
        return;
    }
    for (struct relay_group_state *st = q->groups, *next; st; st = next) {
        next = st->next;
        while (st->first) {
            struct relay_seat *s = st->first;
            st->first = s->next;
            s->member->seats = NULL;
            s->member->nseats = 0;
            free(s);
        }
        state_release(st);
    }
    relay_core_slabs_free(q);
    free(q);
}

/* --- the line of those who wait --------------------------------------------------------------- */

void relay_core_line_leave(struct relay_seat *s)
{
    if (!s->in_line) {
        return;
    }
    *(s->line_prev ? &s->line_prev->line_next : &s->group->line_first) = s->line_next;
    *(s->line_next ? &s->line_next->line_prev : &s->group->line_last) = s->line_prev;
    s->line_prev = s->line_next = NULL;
    s->in_line = false;
}

static bool wants(struct relay_seat *s)
{
    uint64_t front;
    if (s->drain && (!relay_core_front(s->group, &front) || front > s->drain)) {
        s->drain = 0; /* all that was there has gone */
    }
    return !s->member->paused && !s->member->gone && (s->credit || s->drain);
}

static void line_join(struct relay_seat *s)
{
    if (s->in_line || !wants(s)) {
        return;
    }
    s->line_prev = s->group->line_last;
    *(s->line_prev ? &s->line_prev->line_next : &s->group->line_first) = s;
    s->group->line_last = s;
    s->in_line = true;
}

/* Hand the front copy to the seat. */
static bool serve(struct relay_seat *s)
{
    struct relay_group_state *st = s->group;
    struct relay_copy *c = relay_core_lease(s);
    if (!c) {
        return false;
    }
    if (s->drain < c->seq) {
        s->credit--;
    }
    st->count.delivered++;
    struct relay_mark mark = {.seq = c->seq, .epoch = st->q->epoch, .tries = c->tries - 1};
    s->member->ops->deliver(s->member->owner, st->group, c->obj, RELAY_ITEM, &mark);
    return true;
}

void relay_core_dispatch(struct relay_group_state *st)
{
    while (st->queued && st->line_first) {
        struct relay_seat *s = st->line_first;
        relay_core_line_leave(s);
        if (!wants(s)) {
            continue;
        }
        bool served = serve(s);
        line_join(s);
        if (!served) {
            return; /* memory is missing: the next event of this group tries again */
        }
    }
}

/* --- broadcasts ------------------------------------------------------------------------------- */

/* The last frame of a run as an object of its own, its versions written. */
static struct relay_object *last_of_run(struct relay_object *run, uint64_t version)
{
    size_t at = relay_run_stamp(run->bytes, run->len, version);
    uint8_t flags = run->bytes[at + RELAY_NATIVE_HEAD - 1];
    struct relay_object *last =
        relay_object_slice(run, at + RELAY_NATIVE_HEAD, run->len - at - RELAY_NATIVE_HEAD);
    if (!last) {
        return NULL;
    }
    last->headroom = false; /* the frame's own header, which is still to be sent */
    last->flags = flags & (RELAY_OBJECT_META | RELAY_OBJECT_CONTENT);
    struct relay_object *kept = relay_object_keep(last);
    relay_object_unref(last);
    return kept;
}

int relay_queue_retain(struct relay_queue *q, struct relay_group *g, struct relay_object *o)
{
    struct relay_group_state *st = relay_core_state(q, g);
    if (!st) {
        return -ENOMEM;
    }
    struct relay_object *kept = o->frames ? last_of_run(o, st->version + 1) : relay_object_keep(o);
    if (!kept) {
        relay_core_tidy(st);
        return -ENOMEM;
    }
    relay_object_unref(st->retained);
    st->retained = kept;
    st->version += o->frames ? o->frames : 1;
    st->count.broadcasts += o->frames ? o->frames : 1;
    return 0;
}

void relay_queue_publish(struct relay_queue *q, struct relay_group *g, struct relay_object *o)
{
    const struct relay_group_state *st = g->state;
    if (!st) {
        return;
    }
    struct relay_mark mark = {.seq = st->version - (o->frames ? o->frames - 1 : 0),
                              .epoch = q->epoch};
    for (struct relay_seat *s = st->first; s; s = s->next) {
        struct relay_member *m = s->member;
        if (!m->gone) {
            m->ops->deliver(m->owner, g, o, RELAY_BROADCAST, &mark);
        }
    }
}

void relay_queue_replay(struct relay_queue *q, struct relay_member *m, const struct relay_watch *w,
                        size_t n)
{
    for (size_t i = 0; i < n && !m->gone; i++) {
        const struct relay_group_state *st = w[i].group->state;
        if (!st || !st->retained || !relay_core_seat(m, w[i].group)) {
            continue;
        }
        struct relay_mark mark = {.seq = st->version, .epoch = q->epoch};
        if (w[i].known.epoch != mark.epoch || w[i].known.version != mark.seq) {
            m->ops->deliver(m->owner, st->group, st->retained, RELAY_RETAINED, &mark);
        }
    }
}

/* --- consumables ------------------------------------------------------------------------------ */

/* Drop the oldest copies beyond the limit. */
static void trim(struct relay_group_state *st)
{
    int64_t max = st->group->set.max_consumables;
    while (max != RELAY_UNLIMITED && st->queued > (uint64_t)max) {
        st->count.dropped += relay_core_drop_front(st, st->queued - (uint64_t)max);
    }
}

int relay_queue_enqueue(struct relay_queue *q, struct relay_group *g, struct relay_object *o,
                        const struct relay_put *put)
{
    if (put->producer || put->expires_ms) {
        return NK_EUNSUPPORTED;
    }
    struct relay_group_state *st = relay_core_state(q, g);
    if (!st) {
        return -ENOMEM;
    }
    bool fits = put->copies <= RELAY_COPIES_MAX && put->copies <= RELAY_SEQ_MAX - st->seq;
    int rc = fits ? 0 : NK_ELIMIT;
    if (rc == 0) {
        struct relay_item item = {.obj = o, .seq = st->seq + 1, .copies = put->copies};
        rc = relay_fifo_push(&st->fifo, item);
    }
    if (rc == 0) {
        relay_object_ref(o);
        st->seq += put->copies;
        st->queued += put->copies;
        st->count.produced += put->copies;
    } else {
        relay_core_tidy(st);
    }
    return rc;
}

void relay_queue_dispatch(struct relay_queue *q, struct relay_group *g)
{
    struct relay_group_state *st = g->state;
    (void)q;
    if (st) {
        relay_core_dispatch(st);
        trim(st);
        relay_core_tidy(st);
    }
}

void relay_queue_demand(struct relay_queue *q, struct relay_member *m, struct relay_group *g,
                        int64_t n)
{
    struct relay_seat *s = relay_core_seat(m, g);
    (void)q;
    if (!s || n == 0) {
        return;
    }
    if (n > 0) {
        uint64_t room = UINT64_MAX - s->credit;
        s->credit += (uint64_t)n < room ? (uint64_t)n : room;
    } else {
        s->drain = s->group->seq;
    }
    line_join(s);
    relay_core_dispatch(s->group);
}

void relay_queue_cancel(struct relay_queue *q, struct relay_member *m, struct relay_group *g)
{
    struct relay_seat *s = relay_core_seat(m, g);
    (void)q;
    if (s) {
        s->credit = s->drain = 0;
        relay_core_line_leave(s);
    }
}

void relay_queue_unpause(struct relay_queue *q, struct relay_member *m)
{
    (void)q;
    for (struct relay_seat *s = m->seats; s && !m->paused; s = s->next_of_member) {
        line_join(s);
        relay_core_dispatch(s->group);
    }
}

void relay_queue_stats(const struct relay_group *g, struct relay_queue_stats *out)
{
    const struct relay_group_state *st = g->state;
    memset(out, 0, sizeof(*out));
    if (!st) {
        return;
    }
    *out = st->count;
    out->members = st->nseats;
    out->queued = st->queued;
    out->leased = st->leased;
    out->retained = st->retained != NULL;
}
