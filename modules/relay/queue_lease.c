/* SPDX-License-Identifier: MIT */
/* Copies that were handed out at least once: leases, and those that came back. */
#include <stdlib.h>

#include "relay/queue_core.h"

enum {
    SLAB = 128,      /* copies allocated at a time */
    SLABS_KEEP = 32, /* when none is in use */
    TABLE_MIN = 16,
    TABLE_KEEP = 4096,
    NEAR_BITS = 3 /* 8 neighbours share a cache line or two */
};

struct relay_copy_slab {
    struct relay_copy_slab *next;
    struct relay_copy v[SLAB];
};

/* --- memory ----------------------------------------------------------------------------------- */

void relay_core_slabs_free(struct relay_queue *q)
{
    while (q->slabs) {
        struct relay_copy_slab *s = q->slabs;
        q->slabs = s->next;
        free(s);
    }
    q->free_copies = NULL;
    q->nslabs = 0;
}

static struct relay_copy *copy_new(struct relay_queue *q)
{
    if (!q->free_copies) {
        struct relay_copy_slab *s = malloc(sizeof(*s));
        if (!s) {
            return NULL;
        }
        s->next = q->slabs;
        q->slabs = s;
        q->nslabs++;
        for (size_t i = SLAB; i-- > 0;) {
            s->v[i].next = q->free_copies;
            q->free_copies = &s->v[i];
        }
    }
    struct relay_copy *c = q->free_copies;
    q->free_copies = c->next;
    q->used_copies++;
    return c;
}

static void copy_free(struct relay_queue *q, struct relay_copy *c)
{
    c->next = q->free_copies;
    q->free_copies = c;
    if (--q->used_copies == 0 && q->nslabs > SLABS_KEEP) {
        relay_core_slabs_free(q);
    }
}

/* --- the table -------------------------------------------------------------------------------- */

/* The multiplier is secret, so that nobody can choose numbers that collide. */
static size_t home(const struct relay_group_state *st, uint64_t seq)
{
    uint64_t near = ((uint64_t)1 << NEAR_BITS) - 1;
    uint64_t h = (seq >> NEAR_BITS) * st->q->hash;
    return (size_t)((h >> 32 << NEAR_BITS | (seq & near)) & (st->copies.cap - 1));
}

static void table_insert(struct relay_group_state *st, struct relay_copy *c)
{
    size_t i = home(st, c->seq);
    while (st->copies.slot[i].seq) {
        i = (i + 1) & (st->copies.cap - 1);
    }
    st->copies.slot[i] = (struct relay_copy_slot){.seq = c->seq, .copy = c};
    st->copies.n++;
}

/* Room for one more. */
static int table_reserve(struct relay_group_state *st)
{
    struct relay_copies old = st->copies;
    if ((old.n + 1) * 2 <= old.cap) {
        return 0;
    }
    size_t cap = old.cap ? old.cap * 2 : TABLE_MIN;
    struct relay_copy_slot *v = calloc(cap, sizeof(*v));
    if (!v) {
        return -ENOMEM;
    }
    st->copies = (struct relay_copies){.slot = v, .cap = cap};
    for (size_t i = 0; i < old.cap; i++) {
        if (old.slot[i].seq) {
            table_insert(st, old.slot[i].copy);
        }
    }
    free(old.slot);
    return 0;
}

static size_t table_find(const struct relay_group_state *st, uint64_t seq)
{
    size_t i = home(st, seq);
    while (st->copies.slot[i].seq && st->copies.slot[i].seq != seq) {
        i = (i + 1) & (st->copies.cap - 1);
    }
    return i;
}

static struct relay_copy *find(const struct relay_group_state *st, uint64_t seq)
{
    return st->copies.n && seq ? st->copies.slot[table_find(st, seq)].copy : NULL;
}

static void table_remove(struct relay_group_state *st, uint64_t seq)
{
    struct relay_copy_slot *v = st->copies.slot;
    size_t mask = st->copies.cap - 1, hole = table_find(st, seq);
    for (size_t i = (hole + 1) & mask; v[i].seq; i = (i + 1) & mask) {
        if (((i - home(st, v[i].seq)) & mask) >= ((i - hole) & mask)) {
            v[hole] = v[i];
            hole = i;
        }
    }
    v[hole] = (struct relay_copy_slot){0};
    if (--st->copies.n == 0 && st->copies.cap > TABLE_KEEP) {
        free(v);
        st->copies = (struct relay_copies){0};
    }
}

/* --- the heap of those that came back --------------------------------------------------------- */

/* A pairing heap by seq: a child list through `next`. */
static struct relay_copy *meld(struct relay_copy *a, struct relay_copy *b)
{
    if (!a || !b) {
        return a ? a : b;
    }
    if (b->seq < a->seq) {
        struct relay_copy *t = a;
        a = b;
        b = t;
    }
    b->next = a->child;
    a->child = b;
    return a;
}

static struct relay_copy *heap_pop(struct relay_group_state *st)
{
    struct relay_copy *top = st->returned, *pairs = NULL, *rest = NULL;
    for (struct relay_copy *c = top->child; c;) {
        struct relay_copy *a = c, *b = c->next;
        c = b ? b->next : NULL;
        a->next = NULL;
        if (b) {
            b->next = NULL;
        }
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    while (pairs) {
        struct relay_copy *c = pairs;
        pairs = c->next;
        c->next = NULL;
        rest = meld(rest, c);
    }
    st->returned = rest;
    return top;
}

/* --- leases ----------------------------------------------------------------------------------- */

bool relay_core_front(const struct relay_group_state *st, uint64_t *seq)
{
    const struct relay_item *fresh = relay_fifo_front(&st->fifo);
    const struct relay_copy *back = st->returned;
    if (!fresh && !back) {
        return false;
    }
    *seq = back && (!fresh || back->seq < fresh->seq) ? back->seq : fresh->seq;
    return true;
}

static bool front_is_back(const struct relay_group_state *st)
{
    const struct relay_item *fresh = relay_fifo_front(&st->fifo);
    return st->returned && (!fresh || st->returned->seq < fresh->seq);
}

/* One copy of the fresh front entry as a record of its own. */
static struct relay_copy *take_fresh(struct relay_group_state *st)
{
    struct relay_copy *c = table_reserve(st) == 0 ? copy_new(st->q) : NULL;
    if (!c) {
        return NULL;
    }
    struct relay_item *front = relay_fifo_front(&st->fifo);
    *c = (struct relay_copy){.group = st, .seq = front->seq};
    if (--front->copies == 0) {
        c->obj = front->obj;
        relay_fifo_pop(&st->fifo);
    } else {
        c->obj = relay_object_ref(front->obj);
        front->seq++;
    }
    table_insert(st, c);
    return c;
}

struct relay_copy *relay_core_lease(struct relay_seat *s)
{
    struct relay_group_state *st = s->group;
    struct relay_copy *c = front_is_back(st) ? heap_pop(st) : take_fresh(st);
    if (!c) {
        return NULL;
    }
    c->state = RELAY_COPY_LEASED;
    c->seat = s;
    c->tries++;
    c->child = c->prev = NULL;
    c->next = s->leases;
    if (c->next) {
        c->next->prev = c;
    }
    s->leases = c;
    s->nleases++;
    st->queued--;
    st->leased++;
    return c;
}

static void lease_end(struct relay_copy *c)
{
    *(c->prev ? &c->prev->next : &c->seat->leases) = c->next;
    if (c->next) {
        c->next->prev = c->prev;
    }
    c->seat->nleases--;
    c->group->leased--;
    c->seat = NULL;
    c->prev = c->next = c->child = NULL;
}

/* The record is in no list. */
static void copy_end(struct relay_copy *c)
{
    struct relay_group_state *st = c->group;
    table_remove(st, c->seq);
    relay_object_unref(c->obj);
    copy_free(st->q, c);
}

void relay_core_return(struct relay_copy *c)
{
    struct relay_group_state *st = c->group;
    lease_end(c);
    c->state = RELAY_COPY_RETURNED;
    st->returned = meld(st->returned, c);
    st->queued++;
    st->count.returned++;
}

uint64_t relay_core_drop_front(struct relay_group_state *st, uint64_t n)
{
    if (front_is_back(st)) {
        copy_end(heap_pop(st));
        n = 1;
    } else {
        struct relay_item *front = relay_fifo_front(&st->fifo);
        n = n < front->copies ? n : front->copies;
        front->copies -= n;
        front->seq += n;
        if (front->copies == 0) {
            relay_object_unref(front->obj);
            relay_fifo_pop(&st->fifo);
        }
    }
    st->queued -= n;
    return n;
}

void relay_core_copies_clear(struct relay_group_state *st)
{
    for (size_t i = 0; i < st->copies.cap; i++) {
        if (st->copies.slot[i].seq) {
            relay_object_unref(st->copies.slot[i].copy->obj);
            copy_free(st->q, st->copies.slot[i].copy);
        }
    }
    free(st->copies.slot);
    st->copies = (struct relay_copies){0};
    st->returned = NULL;
}

/* --- settling --------------------------------------------------------------------------------- */

static void settle_one(struct relay_copy *c, enum relay_settle how)
{
    if (how == RELAY_NACK) {
        relay_core_return(c);
        return;
    }
    c->group->count.acked++;
    lease_end(c);
    copy_end(c);
}

/* More numbers are named than m has leases: go through those. */
static uint64_t settle_held(struct relay_seat *s, uint64_t first, uint32_t count,
                            enum relay_settle how)
{
    uint64_t done = 0;
    for (struct relay_copy *c = s->leases, *next; c; c = next) {
        next = c->next;
        if (c->seq >= first && c->seq - first < count) {
            settle_one(c, how);
            done++;
        }
    }
    return done;
}

static uint64_t settle_named(struct relay_seat *s, uint64_t first, uint32_t count,
                             enum relay_settle how)
{
    uint64_t done = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct relay_copy *c = find(s->group, first + i);
        if (c && c->state == RELAY_COPY_LEASED && c->seat == s) {
            settle_one(c, how);
            done++;
        }
    }
    return done;
}

int relay_queue_settle(struct relay_queue *q, struct relay_member *m, struct relay_group *g,
                       uint64_t first, uint32_t count, enum relay_settle how, uint64_t ms)
{
    struct relay_seat *s = relay_core_seat(m, g);
    (void)q;
    if (how > RELAY_NACK || ms) {
        return NK_EUNSUPPORTED;
    }
    if (!s) {
        return -ENOENT;
    }
    struct relay_group_state *st = s->group;
    uint64_t done =
        count > s->nleases ? settle_held(s, first, count, how) : settle_named(s, first, count, how);
    if (how == RELAY_NACK) {
        relay_core_dispatch(st);
    }
    relay_core_tidy(st);
    return done == count ? 0 : -ENOENT;
}
