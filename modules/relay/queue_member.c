/* SPDX-License-Identifier: MIT */
/* Members and their seats. */
#include <stdlib.h>

#include "relay/queue_core.h"

struct relay_seat *relay_core_seat(const struct relay_member *m, const struct relay_group *g)
{
    const struct relay_group_state *st = g->state;
    struct relay_seat *s;
    if (!st) {
        return NULL;
    }
    if (st->nseats < m->nseats) { /* the shorter list */
        for (s = st->first; s && s->member != m;) {
            s = s->next;
        }
    } else {
        for (s = m->seats; s && s->group != st;) {
            s = s->next_of_member;
        }
    }
    return s;
}

static int seat_add(struct relay_queue *q, struct relay_member *m, struct relay_group *g)
{
    struct relay_group_state *st = relay_core_state(q, g);
    struct relay_seat *s = st ? calloc(1, sizeof(*s)) : NULL;
    if (!s) {
        if (st) {
            relay_core_tidy(st);
        }
        return -ENOMEM;
    }
    s->member = m;
    s->group = st;
    s->next_of_member = m->seats;
    m->seats = s;
    m->nseats++;
    s->prev = st->last;
    *(st->last ? &st->last->next : &st->first) = s;
    st->last = s;
    st->nseats++;
    return 0;
}

/* The seat is out of its member's list; its leases go back. */
static void seat_end(struct relay_seat *s)
{
    struct relay_group_state *st = s->group;
    relay_core_line_leave(s);
    while (s->leases) {
        relay_core_return(s->leases);
    }
    *(s->prev ? &s->prev->next : &st->first) = s->next;
    *(s->next ? &s->next->prev : &st->last) = s->prev;
    st->nseats--;
    free(s);
    relay_core_dispatch(st);
    relay_core_tidy(st);
}

static void seat_pop(struct relay_member *m)
{
    struct relay_seat *s = m->seats;
    m->seats = s->next_of_member;
    m->nseats--;
    seat_end(s);
}

void relay_queue_leave(struct relay_queue *q, struct relay_member *m)
{
    (void)q;
    m->gone = true;
    while (m->seats) {
        seat_pop(m);
    }
}

int relay_queue_unwatch(struct relay_queue *q, struct relay_member *m, struct relay_group *g)
{
    struct relay_seat *s = relay_core_seat(m, g), **at = &m->seats;
    (void)q;
    if (!s) {
        return -ENOENT;
    }
    while (*at != s) {
        at = &(*at)->next_of_member;
    }
    *at = s->next_of_member;
    m->nseats--;
    seat_end(s);
    return 0;
}

static bool full(const struct relay_group *g)
{
    const struct relay_group_state *st = g->state;
    size_t members = st ? st->nseats : 0;
    return g->set.max_count != RELAY_UNLIMITED && members >= (uint64_t)g->set.max_count;
}

static int by_creation(const void *a, const void *b)
{
    const struct relay_watch *x = a, *y = b;
    return (x->group->serial > y->group->serial) - (x->group->serial < y->group->serial);
}

int relay_queue_join(struct relay_queue *q, struct relay_member *m, struct relay_watch *w, size_t n)
{
    const struct relay_seat *before = m->seats;
    for (size_t i = 0; i < n; i++) {
        if (full(w[i].group) && !relay_core_seat(m, w[i].group)) {
            return NK_ELIMIT;
        }
    }
    if (n > 1) {
        qsort(w, n, sizeof(*w), by_creation);
    }
    for (size_t i = 0; i < n; i++) {
        int rc = relay_core_seat(m, w[i].group) ? 0 : seat_add(q, m, w[i].group);
        if (rc < 0) {
            while (m->seats != before) {
                seat_pop(m);
            }
            return rc;
        }
    }
    return 0;
}
