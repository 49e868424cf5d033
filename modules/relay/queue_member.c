/* SPDX-License-Identifier: MIT */
/* Members and their seats. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "relay/queue_core.h"

enum { TAGS_MIN = 64 };

_Static_assert(sizeof(((struct relay_queue *)0)->key) == crypto_shorthash_KEYBYTES, "key");

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

int relay_core_seat_add(struct relay_queue *q, struct relay_member *m, struct relay_group *g)
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
    relay_core_drains_end(s, -ECANCELED);
    while (s->leases) {
        relay_core_return(s->leases, 0);
    }
    *(s->prev ? &s->prev->next : &st->first) = s->next;
    *(s->next ? &s->next->prev : &st->last) = s->prev;
    st->nseats--;
    st->nabsent -= s->member->absent;
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

/* --- tags ---------------------------------------------------------------------------------------
 */

static struct relay_member **tag_bucket(const struct relay_queue *q, const uint8_t *tag)
{
    uint64_t h; /* tags may come from peers */
    crypto_shorthash((unsigned char *)&h, tag, RELAY_TAG, q->key);
    return &q->tag[h & (q->tag_buckets - 1)];
}

struct relay_member *relay_core_tag_find(const struct relay_queue *q, const uint8_t *tag)
{
    struct relay_member *m = q->ntags ? *tag_bucket(q, tag) : NULL;
    while (m && memcmp(m->tag, tag, RELAY_TAG) != 0) {
        m = m->next_tag;
    }
    return m;
}

static int tags_grow(struct relay_queue *q)
{
    size_t old = q->tag_buckets, n = old ? old * 2 : TAGS_MIN;
    struct relay_member **v = calloc(n, sizeof(struct relay_member *)), **from = q->tag;
    if (!v) {
        return old ? 0 : -ENOMEM; /* longer chains, nothing worse */
    }
    q->tag = v;
    q->tag_buckets = n;
    for (size_t i = 0; i < old; i++) {
        while (from[i]) {
            struct relay_member *m = from[i], **at = tag_bucket(q, m->tag);
            from[i] = m->next_tag;
            m->next_tag = *at;
            *at = m;
        }
    }
    free(from);
    return 0;
}

int relay_core_tag_add(struct relay_queue *q, struct relay_member *m, const uint8_t *tag,
                       uint64_t keep_ms)
{
    int rc = q->ntags >= q->tag_buckets ? tags_grow(q) : 0;
    if (rc < 0) {
        return rc;
    }
    struct relay_member **at = tag_bucket(q, tag);
    memcpy(m->tag, tag, RELAY_TAG);
    m->tagged = true;
    m->keep_ms = keep_ms;
    m->next_tag = *at;
    *at = m;
    q->ntags++;
    return 0;
}

static void tag_remove(struct relay_queue *q, struct relay_member *m)
{
    if (!m->tagged) {
        return;
    }
    struct relay_member **at = tag_bucket(q, m->tag);
    while (*at != m) {
        at = &(*at)->next_tag;
    }
    *at = m->next_tag;
    m->tagged = false;
    q->ntags--;
}

/* --- coming and going
 * ----------------------------------------------------------------------------- */

void relay_core_absent(struct relay_queue *q, struct relay_member *m)
{
    m->gone = m->absent = true;
    m->paused = false;
    m->due.what = RELAY_DUE_ABSENT;
    relay_wheel_enter(&q->wheel, &m->due, q->now_ms + m->keep_ms);
    for (struct relay_seat *s = m->seats; s; s = s->next_of_member) {
        relay_core_line_leave(s);
        relay_core_drains_end(s, -ECANCELED);
        s->group->nabsent++;
    }
}

static void leave_all(struct relay_queue *q, struct relay_member *m)
{
    tag_remove(q, m);
    while (m->seats) {
        seat_pop(m);
    }
}

/* Give leases back, as far as the tick's work goes; true when none is left. The oldest go first:
 * those who wait for them get them in order, although they come in pieces. */
static bool leases_end(struct relay_queue *q, struct relay_member *m)
{
    for (struct relay_seat *s = m->seats; s; s = s->next_of_member) {
        for (; s->leases && q->work; q->work--) {
            relay_core_return(s->oldest, 0);
        }
        relay_core_dispatch(s->group);
        if (s->leases) {
            return false;
        }
    }
    return true;
}

void relay_core_forget(struct relay_queue *q, struct relay_member *m)
{
    relay_wheel_leave(&q->wheel, &m->due);
    if (!leases_end(q, m)) {
        relay_wheel_enter(&q->wheel, &m->due, q->now_ms);
        return;
    }
    leave_all(q, m);
    free(m);
}

bool relay_queue_leave(struct relay_queue *q, struct relay_member *m)
{
    m->gone = true;
    if (m->tagged && m->keep_ms) {
        relay_core_absent(q, m);
        return true;
    }
    leave_all(q, m);
    return false;
}

void relay_queue_abandon(struct relay_queue *q, struct relay_member *m)
{
    m->gone = true;
    leave_all(q, m); /* it has no tag any more */
    m->next_tag = q->abandoned;
    q->abandoned = m;
}

/* All of the old member's seats are m's. */
static void take_over(struct relay_member *m, struct relay_member *old)
{
    m->seats = old->seats;
    m->nseats = old->nseats;
    old->seats = NULL;
    old->nseats = 0;
    for (struct relay_seat *s = m->seats; s; s = s->next_of_member) {
        relay_core_line_leave(s);
        relay_core_drains_end(s, -ECANCELED); /* while the seat is the old one's */
        s->group->nabsent -= old->absent;
        s->member = m;
    }
}

int relay_queue_resume(struct relay_queue *q, struct relay_member *m, const uint8_t tag[RELAY_TAG],
                       uint64_t keep_ms)
{
    struct relay_member *old = relay_core_tag_find(q, tag);
    if (old && old == m) {
        m->keep_ms = keep_ms;
        return 0;
    }
    if (old && m->nseats) {
        return -EINVAL;
    }
    tag_remove(q, m);
    if (!old) {
        return relay_core_tag_add(q, m, tag, keep_ms);
    }
    tag_remove(q, old); /* so there is room for another */
    relay_core_tag_add(q, m, tag, keep_ms);
    take_over(m, old);
    if (old->absent) {
        relay_wheel_leave(&q->wheel, &old->due);
        free(old);
    }
    return 1;
}

void relay_core_members_free(struct relay_queue *q)
{
    for (struct relay_group_state *st = q->groups; st; st = st->next) {
        while (st->first) {
            struct relay_seat *s = st->first;
            st->first = s->next;
            s->member->gone = true; /* nobody hears that drains end */
            relay_core_drains_end(s, -ECANCELED);
            s->member->seats = NULL;
            s->member->nseats = 0;
            free(s);
        }
    }
    for (struct relay_member *m = q->abandoned, *next; m; m = next) {
        next = m->next_tag;
        free(m);
    }
    for (size_t i = 0; i < q->tag_buckets; i++) {
        for (struct relay_member *m = q->tag[i], *next; m; m = next) {
            next = m->next_tag;
            if (m->absent) {
                relay_wheel_leave(&q->wheel, &m->due);
                free(m);
            }
        }
    }
    free(q->tag);
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
        int rc = relay_core_seat(m, w[i].group) ? 0 : relay_core_seat_add(q, m, w[i].group);
        if (rc < 0) {
            while (m->seats != before) {
                seat_pop(m);
            }
            return rc;
        }
    }
    return 0;
}

static struct relay_seat_stats seat_stats(const struct relay_seat *s)
{
    return (struct relay_seat_stats){.credit = s->credit,
                                     .delivered = s->delivered,
                                     .delivered_bytes = s->delivered_bytes,
                                     .leased = s->nleases};
}

bool relay_queue_seat(const struct relay_member *m, const struct relay_group *g,
                      struct relay_seat_stats *out)
{
    const struct relay_seat *s = relay_core_seat(m, g);
    if (s) {
        *out = seat_stats(s);
    }
    return s != NULL;
}

void relay_queue_seats(const struct relay_member *m,
                       void (*fn)(void *arg, struct relay_group *g,
                                  const struct relay_seat_stats *s),
                       void *arg)
{
    for (const struct relay_seat *s = m->seats; s; s = s->next_of_member) {
        const struct relay_seat_stats st = seat_stats(s);
        fn(arg, s->group->group, &st);
    }
}
