/* SPDX-License-Identifier: MIT */
#include "relay/queue.h"

#include <stdlib.h>
#include <string.h>

#include "relay/queue_fifo.h"

enum { SEATS_MIN = 4, LEASES_MIN = 16 };

struct relay_seat {
    struct relay_member *member;
    struct group_state *group;
    struct relay_seat *next; /* the member's next seat */
    size_t index;            /* in group->seat */
    uint64_t credit;
    uint64_t drain; /* entries up to this number are asked for as well; 0 = none */
    struct relay_seat *line_prev, *line_next;
    bool in_line;
    uint32_t leases; /* first of a list, 0 = none */
};

/* What hangs off relay_group.state while there is anything to remember. */
struct group_state {
    struct relay_group *group;
    struct relay_object *retained;
    struct relay_fifo fifo;
    uint64_t copies;          /* sum over the fifo */
    uint64_t seq;             /* of the newest entry; the first one is 1 */
    struct relay_seat **seat; /* order of joining */
    size_t nseats, seat_cap;
    struct relay_seat *line_first, *line_last;
    size_t leased;
    struct relay_queue_stats count; /* the totals only */
    struct group_state *prev, *next;
};

/* One delivered copy. Free ones are chained through `next`. */
struct lease {
    struct relay_object *obj; /* NULL: free */
    struct relay_seat *seat;
    uint64_t seq;
    uint32_t tries;
    uint32_t generation;
    uint32_t prev, next; /* the seat's list; 0 = none */
};

struct relay_queue {
    struct lease *lease; /* [0] is unused */
    uint32_t lease_cap, lease_free;
    struct group_state *groups;
};

struct relay_queue *relay_queue_new(void)
{
    return calloc(1, sizeof(struct relay_queue));
}

/* --- group state ------------------------------------------------------------------------------ */

static struct group_state *state_get(struct relay_queue *q, struct relay_group *g)
{
    struct group_state *s = g->state;
    if (s || (s = calloc(1, sizeof(*s))) == NULL) {
        return s;
    }
    s->group = relay_group_ref(g);
    s->next = q->groups;
    if (s->next) {
        s->next->prev = s;
    }
    q->groups = s;
    g->state = s;
    return s;
}

static void state_release(struct group_state *s)
{
    s->group->state = NULL;
    relay_object_unref(s->retained);
    relay_fifo_clear(&s->fifo);
    free(s->seat);
    relay_group_unref(s->group);
    free(s);
}

static void state_free(struct relay_queue *q, struct group_state *s)
{
    *(s->prev ? &s->prev->next : &q->groups) = s->next;
    if (s->next) {
        s->next->prev = s->prev;
    }
    state_release(s);
}

/* Forget a group of which nothing is left. */
static void state_tidy(struct relay_queue *q, struct group_state *s)
{
    if (s->nseats == 0 && !s->retained && s->fifo.n == 0 && s->leased == 0) {
        state_free(q, s);
    }
}

void relay_queue_free(struct relay_queue *q)
{
    if (!q) {
        return;
    }
    for (uint32_t i = 1; i < q->lease_cap; i++) {
        relay_object_unref(q->lease[i].obj);
    }
    free(q->lease);
    for (struct group_state *s = q->groups, *next; s; s = next) {
        next = s->next;
        for (size_t i = 0; i < s->nseats; i++) {
            s->seat[i]->member->seats = NULL;
            free(s->seat[i]);
        }
        state_release(s);
    }
    free(q);
}

/* --- leases ----------------------------------------------------------------------------------- */

static int lease_grow(struct relay_queue *q)
{
    uint32_t cap = q->lease_cap ? q->lease_cap * 2 : LEASES_MIN;
    struct lease *v = cap > q->lease_cap ? realloc(q->lease, cap * sizeof(*v)) : NULL;
    if (!v) {
        return -ENOMEM;
    }
    for (uint32_t i = cap; i-- > q->lease_cap;) {
        v[i] = (struct lease){.next = i ? q->lease_free : 0};
        q->lease_free = i ? i : q->lease_free;
    }
    q->lease = v;
    q->lease_cap = cap;
    return 0;
}

/* A lease of the seat on one copy of item; takes over nothing. 0 when memory is missing. */
static uint64_t lease_new(struct relay_queue *q, struct relay_seat *seat,
                          const struct relay_item *item)
{
    if (!q->lease_free && lease_grow(q) < 0) {
        return 0;
    }
    uint32_t i = q->lease_free;
    struct lease *l = &q->lease[i];
    q->lease_free = l->next;
    l->obj = relay_object_ref(item->obj);
    l->seat = seat;
    l->seq = item->seq;
    l->tries = item->tries + 1;
    l->prev = 0;
    l->next = seat->leases;
    if (l->next) {
        q->lease[l->next].prev = i;
    }
    seat->leases = i;
    seat->group->leased++;
    return (uint64_t)l->generation << 32 | i;
}

/* Take the lease out of its seat's list and free the slot; its reference is the caller's now. */
static struct relay_item lease_end(struct relay_queue *q, uint32_t i)
{
    struct lease *l = &q->lease[i];
    struct relay_item item = {.obj = l->obj, .seq = l->seq, .copies = 1, .tries = l->tries};
    *(l->prev ? &q->lease[l->prev].next : &l->seat->leases) = l->next;
    if (l->next) {
        q->lease[l->next].prev = l->prev;
    }
    l->seat->group->leased--;
    relay_fifo_unhold(&l->seat->group->fifo);
    l->obj = NULL;
    l->generation++;
    l->next = q->lease_free;
    q->lease_free = i;
    return item;
}

/* --- the line of those who wait --------------------------------------------------------------- */

static void line_leave(struct relay_seat *s)
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
    const struct relay_item *front = relay_fifo_front(&s->group->fifo);
    if (s->drain && (!front || front->seq > s->drain)) {
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

/* Hand one copy of the front entry to the seat. */
static int serve(struct relay_queue *q, struct group_state *g, struct relay_seat *s)
{
    if (relay_fifo_hold(&g->fifo) < 0) {
        return -ENOMEM;
    }
    struct relay_item *front = relay_fifo_front(&g->fifo);
    struct relay_object *obj = front->obj;
    uint64_t lease = lease_new(q, s, front);
    if (!lease) {
        relay_fifo_unhold(&g->fifo);
        return -ENOMEM;
    }
    if (s->drain < front->seq) {
        s->credit--;
    }
    g->copies--;
    g->count.delivered++;
    bool last = --front->copies == 0;
    if (last) {
        relay_fifo_pop(&g->fifo); /* its reference stays until after the delivery */
    }
    s->member->ops->deliver(s->member->owner, g->group, obj, RELAY_ITEM, lease);
    if (last) {
        relay_object_unref(obj);
    }
    return 0;
}

static void dispatch(struct relay_queue *q, struct group_state *g)
{
    while (g->fifo.n && g->line_first) {
        struct relay_seat *s = g->line_first;
        line_leave(s);
        if (!wants(s)) {
            continue;
        }
        if (serve(q, g, s) < 0) {
            line_join(s); /* memory is missing: the next event of this group tries again */
            return;
        }
        line_join(s);
    }
}

/* --- members ---------------------------------------------------------------------------------- */

static struct relay_seat *seat_of(const struct relay_member *m, const struct relay_group *g)
{
    struct relay_seat *s = m->seats;
    while (s && s->group->group != g) {
        s = s->next;
    }
    return s;
}

static int seat_add(struct relay_queue *q, struct relay_member *m, struct relay_group *g)
{
    struct group_state *st = state_get(q, g);
    struct relay_seat *s = st ? calloc(1, sizeof(*s)) : NULL;
    if (s && st->nseats == st->seat_cap) {
        size_t cap = st->seat_cap ? st->seat_cap * 2 : SEATS_MIN;
        struct relay_seat **v = realloc(st->seat, cap * sizeof(*v));
        if (v) {
            st->seat = v;
            st->seat_cap = cap;
        } else {
            free(s);
            s = NULL;
        }
    }
    if (!s) {
        if (st) {
            state_tidy(q, st);
        }
        return -ENOMEM;
    }
    s->member = m;
    s->group = st;
    s->index = st->nseats;
    s->next = m->seats;
    m->seats = s;
    st->seat[st->nseats++] = s;
    return 0;
}

static int by_seq(const void *a, const void *b)
{
    const struct relay_item *x = a, *y = b;
    return (x->seq > y->seq) - (x->seq < y->seq);
}

/* Leases of a seat that ends, oldest first, back into the queue, where room is held for them; in
 * one pass when there is memory to sort them, else one by one. */
static void give_back(struct relay_queue *q, struct relay_seat *s)
{
    struct group_state *g = s->group;
    size_t n = 0, i = 0;
    for (uint32_t l = s->leases; l; l = q->lease[l].next) {
        n++;
    }
    struct relay_item *items = n ? malloc(n * sizeof(*items)) : NULL;
    while (s->leases) {
        struct relay_item item = lease_end(q, s->leases);
        if (items) {
            items[i++] = item;
        } else {
            relay_fifo_return(&g->fifo, &item, 1);
        }
    }
    if (items) {
        qsort(items, n, sizeof(*items), by_seq);
        relay_fifo_return(&g->fifo, items, n);
    }
    g->copies += n;
    g->count.returned += n;
    free(items);
}

static void seat_remove(struct relay_queue *q, struct relay_seat *s)
{
    struct group_state *g = s->group;
    line_leave(s);
    give_back(q, s);
    memmove(&g->seat[s->index], &g->seat[s->index + 1],
            (g->nseats - s->index - 1) * sizeof(struct relay_seat *));
    g->nseats--;
    for (size_t i = s->index; i < g->nseats; i++) {
        g->seat[i]->index = i;
    }
    free(s);
    dispatch(q, g);
    state_tidy(q, g);
}

void relay_queue_leave(struct relay_queue *q, struct relay_member *m)
{
    m->gone = true;
    while (m->seats) {
        struct relay_seat *s = m->seats;
        m->seats = s->next;
        seat_remove(q, s);
    }
}

int relay_queue_join(struct relay_queue *q, struct relay_member *m, struct relay_group *const *g,
                     size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct group_state *st = g[i]->state;
        size_t members = st ? st->nseats : 0;
        if (g[i]->max_count != RELAY_UNLIMITED && members >= (uint64_t)g[i]->max_count) {
            return NK_ELIMIT;
        }
        if (seat_of(m, g[i])) {
            return -EEXIST;
        }
    }
    struct relay_seat *before = m->seats;
    for (size_t i = 0; i < n; i++) {
        int rc = seat_add(q, m, g[i]);
        if (rc < 0) {
            while (m->seats != before) {
                struct relay_seat *s = m->seats;
                m->seats = s->next;
                seat_remove(q, s);
            }
            return rc;
        }
    }
    return 0;
}

void relay_queue_replay(struct relay_queue *q, struct relay_member *m)
{
    (void)q;
    uint64_t done = 0; /* serial of the group replayed last */
    while (!m->gone) {
        struct relay_seat *next = NULL;
        for (struct relay_seat *s = m->seats; s; s = s->next) {
            uint64_t serial = s->group->group->serial;
            if (s->group->retained && serial > done &&
                (!next || serial < next->group->group->serial)) {
                next = s;
            }
        }
        if (!next) {
            return;
        }
        done = next->group->group->serial;
        m->ops->deliver(m->owner, next->group->group, next->group->retained, RELAY_RETAINED, 0);
    }
}

/* --- objects ---------------------------------------------------------------------------------- */

int relay_queue_retain(struct relay_queue *q, struct relay_group *g, struct relay_object *o)
{
    struct group_state *st = state_get(q, g);
    if (!st) {
        return -ENOMEM;
    }
    struct relay_object *old = st->retained;
    st->retained = relay_object_ref(o);
    relay_object_unref(old);
    st->count.broadcasts++;
    return 0;
}

void relay_queue_publish(struct relay_queue *q, struct relay_group *g)
{
    (void)q;
    const struct group_state *st = g->state;
    for (size_t i = 0; st && st->retained && i < st->nseats; i++) {
        struct relay_member *m = st->seat[i]->member;
        if (!m->gone) {
            m->ops->deliver(m->owner, g, st->retained, RELAY_BROADCAST, 0);
        }
    }
}

/* Drop the oldest copies beyond the limit. */
static void trim(struct group_state *st)
{
    int64_t max = st->group->max_consumables;
    while (max != RELAY_UNLIMITED && st->copies > (uint64_t)max) {
        struct relay_item *front = relay_fifo_front(&st->fifo);
        uint64_t over = st->copies - (uint64_t)max;
        uint64_t n = over < front->copies ? over : front->copies;
        st->copies -= n;
        st->count.dropped += n;
        front->copies -= n;
        if (front->copies == 0) {
            relay_object_unref(front->obj);
            relay_fifo_pop(&st->fifo);
        }
    }
}

int relay_queue_enqueue(struct relay_queue *q, struct relay_group *g, struct relay_object *o,
                        uint64_t copies)
{
    struct group_state *st = state_get(q, g);
    if (!st) {
        return -ENOMEM;
    }
    int rc = copies > UINT64_MAX - st->copies ? NK_ELIMIT : 0;
    if (rc == 0) {
        struct relay_item item = {.obj = o, .seq = st->seq + 1, .copies = copies};
        rc = relay_fifo_push(&st->fifo, item);
    }
    if (rc == 0) {
        relay_object_ref(o);
        st->seq++;
        st->copies += copies;
        st->count.produced += copies;
    } else {
        state_tidy(q, st);
    }
    return rc;
}

void relay_queue_dispatch(struct relay_queue *q, struct relay_group *g)
{
    struct group_state *st = g->state;
    if (st) {
        dispatch(q, st);
        trim(st);
        state_tidy(q, st);
    }
}

void relay_queue_demand(struct relay_queue *q, struct relay_member *m, struct relay_group *g,
                        int64_t n)
{
    struct relay_seat *s = seat_of(m, g);
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
    dispatch(q, s->group);
}

void relay_queue_cancel(struct relay_queue *q, struct relay_member *m, struct relay_group *g)
{
    (void)q;
    struct relay_seat *s = seat_of(m, g);
    if (s) {
        s->credit = s->drain = 0;
        line_leave(s);
    }
}

int relay_queue_settle(struct relay_queue *q, uint64_t lease, enum relay_settle how)
{
    uint32_t i = (uint32_t)lease;
    if (i == 0 || i >= q->lease_cap || !q->lease[i].obj ||
        q->lease[i].generation != (uint32_t)(lease >> 32)) {
        return -ENOENT;
    }
    struct group_state *st = q->lease[i].seat->group;
    if (how == RELAY_ACK) {
        relay_object_unref(lease_end(q, i).obj);
        state_tidy(q, st);
        return 0;
    }
    struct relay_item item = lease_end(q, i);
    relay_fifo_return(&st->fifo, &item, 1); /* room was held for it */
    st->copies++;
    st->count.returned++;
    dispatch(q, st);
    return 0;
}

void relay_queue_resume(struct relay_queue *q, struct relay_member *m)
{
    for (struct relay_seat *s = m->seats; s && !m->paused; s = s->next) {
        line_join(s);
        dispatch(q, s->group);
    }
}

void relay_queue_stats(const struct relay_group *g, struct relay_queue_stats *out)
{
    const struct group_state *st = g->state;
    memset(out, 0, sizeof(*out));
    if (!st) {
        return;
    }
    *out = st->count;
    out->members = st->nseats;
    out->queued = st->copies;
    out->leased = st->leased;
    out->retained = st->retained != NULL;
}
