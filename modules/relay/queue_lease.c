/* SPDX-License-Identifier: MIT */
/* Copies that were handed out at least once: leases, and those that came back. */
#include <stdlib.h>

#include "relay/queue_core.h"

enum {
    SLAB = 128,      /* copies allocated at a time */
    SLABS_KEEP = 32, /* when none is in use */
    TABLE_MIN = 16,
    TABLE_KEEP = 4096,
    NEAR_BITS = 3,    /* 8 neighbours share a cache line or two */
    FRONT_WORK = 64,  /* expired entries in front that are dropped along the way */
    BUCKETS_WORK = 16 /* empty buckets cost as much as one entry */
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

static struct relay_copy *copy_alloc(struct relay_queue *q)
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

/* Neighbours in number are neighbours in memory. The multiplier is secret, so that nobody can
 * choose numbers that meet. */
static struct relay_copy **bucket_of(const struct relay_group_state *st, uint64_t seq)
{
    uint64_t near = ((uint64_t)1 << NEAR_BITS) - 1;
    uint64_t h = (seq >> NEAR_BITS) * st->q->hash;
    return &st->copies.bucket[(h >> 32 << NEAR_BITS | (seq & near)) & (st->copies.cap - 1)];
}

static void table_insert(struct relay_group_state *st, struct relay_copy *c)
{
    struct relay_copy **at = bucket_of(st, c->seq);
    c->next_in_bucket = *at;
    *at = c;
    st->copies.n++;
}

/* Room for one more; with little memory chains get longer, nothing worse. */
static int table_reserve(struct relay_group_state *st)
{
    struct relay_copies old = st->copies;
    if (old.n < old.cap) {
        return 0;
    }
    size_t cap = old.cap ? old.cap * 2 : TABLE_MIN;
    struct relay_copy **v = calloc(cap, sizeof(struct relay_copy *));
    if (!v) {
        return old.cap ? 0 : -ENOMEM;
    }
    st->copies = (struct relay_copies){.bucket = v, .cap = cap};
    for (size_t i = 0; i < old.cap; i++) {
        for (struct relay_copy *c = old.bucket[i], *next; c; c = next) {
            next = c->next_in_bucket;
            table_insert(st, c);
        }
    }
    free(old.bucket);
    return 0;
}

static struct relay_copy *find(const struct relay_group_state *st, uint64_t seq)
{
    struct relay_copy *c = st->copies.n ? *bucket_of(st, seq) : NULL;
    while (c && c->seq != seq) {
        c = c->next_in_bucket;
    }
    return c;
}

static void table_remove(struct relay_group_state *st, const struct relay_copy *c)
{
    struct relay_copy **at = bucket_of(st, c->seq);
    while (*at != c) {
        at = &(*at)->next_in_bucket;
    }
    *at = c->next_in_bucket;
    if (--st->copies.n == 0 && st->copies.cap > TABLE_KEEP) {
        free(st->copies.bucket);
        st->copies = (struct relay_copies){0};
    }
}

/* --- the heap of those that came back --------------------------------------------------------- */

/*
 * A leftist heap by seq: child is the left one, next the right one, prev the parent. Nowhere is the
 * way to the right longer than the way to the left, so that all ways to the right are short:
 * entering and leaving, in the middle as well, take no more than the logarithm of what is there.
 */
static unsigned rank_of(const struct relay_copy *c)
{
    return c ? c->rank : 0;
}

/* Make c's rank right again; false when it was, and so is everything above. */
static bool fix(struct relay_copy *c)
{
    struct relay_copy *left = c->child;
    unsigned before = c->rank;
    if (rank_of(left) < rank_of(c->next)) {
        c->child = c->next;
        c->next = left;
    }
    c->rank = (uint8_t)(rank_of(c->next) + 1);
    return c->rank != before;
}

/* The ways to the right become one, in order. */
static struct relay_copy *meld(struct relay_copy *a, struct relay_copy *b)
{
    struct relay_copy *root = NULL, *last = NULL;
    while (a && b) {
        struct relay_copy *first = a->seq < b->seq ? a : b, *other = first == a ? b : a;
        first->prev = last;
        *(last ? &last->next : &root) = first;
        last = first;
        a = first->next;
        b = other;
    }
    struct relay_copy *rest = a ? a : b;
    *(last ? &last->next : &root) = rest;
    if (rest) {
        rest->prev = last;
    }
    for (; last; last = last->prev) {
        (void)fix(last);
    }
    return root;
}

static void heap_leave(struct relay_copy *c)
{
    struct relay_group_state *st = c->group;
    struct relay_copy *above = c->prev, *below = meld(c->child, c->next);
    if (below) {
        below->prev = above;
    }
    if (!above) {
        st->returned = below;
    } else if (above->child == c) {
        above->child = below;
    } else {
        above->next = below;
    }
    while (above && fix(above)) {
        above = above->prev;
    }
    c->prev = c->next = c->child = NULL;
}

/* --- records ---------------------------------------------------------------------------------- */

struct relay_copy *relay_core_copy_new(struct relay_group_state *st, uint64_t seq)
{
    struct relay_copy *c = table_reserve(st) == 0 ? copy_alloc(st->q) : NULL;
    if (c) {
        *c = (struct relay_copy){.group = st, .seq = seq};
        table_insert(st, c);
    }
    return c;
}

void relay_core_copy_end(struct relay_copy *c)
{
    struct relay_group_state *st = c->group;
    table_remove(st, c);
    relay_object_unref(c->obj);
    copy_free(st->q, c);
}

/* Take a waiting record out of where it waits. */
static void wait_end(struct relay_copy *c)
{
    struct relay_group_state *st = c->group;
    relay_wheel_leave(&st->q->wheel, &c->due);
    if (c->state == RELAY_COPY_RETURNED) {
        heap_leave(c);
    } else {
        st->delayed--;
    }
    st->queued--;
    st->bytes -= c->obj->total;
}

void relay_core_wait(struct relay_copy *c, uint64_t delay_ms)
{
    struct relay_group_state *st = c->group;
    struct relay_queue *q = st->q;
    st->queued++;
    st->bytes += c->obj->total;
    if (delay_ms) {
        c->state = RELAY_COPY_DELAYED;
        c->due.what = RELAY_DUE_DELAY;
        st->delayed++;
        relay_wheel_enter(&q->wheel, &c->due, q->now_ms + delay_ms);
        return;
    }
    c->state = RELAY_COPY_RETURNED;
    c->prev = c->next = c->child = NULL;
    c->rank = 1;
    st->returned = meld(st->returned, c);
    if (c->expires_ms) {
        c->due.what = RELAY_DUE_EXPIRE;
        relay_wheel_enter(&q->wheel, &c->due, relay_core_expiry(q, c->expires_ms));
    }
}

static bool expired(const struct relay_queue *q, uint64_t expires_ms)
{
    return expires_ms && expires_ms <= q->wall_ms;
}

/* --- the front -------------------------------------------------------------------------------- */

/* Take the ring's front entry away. */
static void drop_entry(struct relay_group_state *st, enum relay_drop why)
{
    const struct relay_item *front = relay_fifo_front(&st->fifo);
    uint64_t seq = front->seq, copies = front->copies;
    struct relay_object *obj = front->obj;
    relay_fifo_pop(&st->fifo);
    if (copies) {
        st->queued -= copies;
        st->bytes -= obj->total;
        relay_core_dropped(st, seq, copies, why);
        relay_object_unref(obj);
    }
}

/* The ring's oldest entry that is alive, or NULL; *later: there may be one behind what is dead. */
static struct relay_item *fresh_front(struct relay_group_state *st, bool *later)
{
    struct relay_item *front;
    unsigned work = FRONT_WORK;
    *later = false;
    while ((front = relay_fifo_front(&st->fifo)) != NULL) {
        if (front->copies && !expired(st->q, front->expires_ms)) {
            return front;
        }
        if (work-- == 0) {
            relay_core_hurry(st);
            *later = true;
            return NULL;
        }
        drop_entry(st, RELAY_DROP_EXPIRED);
    }
    return NULL;
}

static void drop_record(struct relay_copy *c, enum relay_drop why)
{
    wait_end(c);
    relay_core_dropped(c->group, c->seq, 1, why);
    relay_core_copy_end(c);
}

void relay_core_expire_returned(struct relay_group_state *st, unsigned *work)
{
    for (; st->returned && *work && expired(st->q, st->returned->expires_ms); (*work)--) {
        drop_record(st->returned, RELAY_DROP_EXPIRED);
    }
}

/* The heap's first one that is alive, or NULL; *later: as above. */
static struct relay_copy *back_front(struct relay_group_state *st, bool *later)
{
    unsigned work = FRONT_WORK;
    relay_core_expire_returned(st, &work);
    *later = st->returned && expired(st->q, st->returned->expires_ms);
    if (*later) {
        relay_core_hurry(st);
    }
    return *later ? NULL : st->returned;
}

/* Both fronts, and which of them comes first. */
struct fronts {
    struct relay_item *fresh;
    struct relay_copy *back;
    enum relay_front state;
    uint64_t seq;
};

static struct fronts look(struct relay_group_state *st)
{
    struct fronts f = {.state = RELAY_FRONT_READY};
    bool fresh_later, back_later;
    f.fresh = fresh_front(st, &fresh_later);
    f.back = back_front(st, &back_later);
    const struct relay_item *front = relay_fifo_front(&st->fifo); /* dead when it is for later */
    uint64_t fresh = front ? front->seq : UINT64_MAX;
    uint64_t back = st->returned ? st->returned->seq : UINT64_MAX;
    f.seq = fresh < back ? fresh : back;
    if (f.seq == UINT64_MAX) {
        f.state = RELAY_FRONT_NONE;
    } else if (fresh < back ? fresh_later : back_later) {
        f.state = RELAY_FRONT_LATER;
    }
    f.back = back < fresh ? f.back : NULL;
    return f;
}

enum relay_front relay_core_front(struct relay_group_state *st, uint64_t *seq)
{
    struct fronts f = look(st);
    *seq = f.seq;
    return f.state;
}

/* One copy of the ring's front entry as a record of its own. */
static struct relay_copy *take_fresh(struct relay_group_state *st, struct relay_item *front)
{
    struct relay_copy *c = relay_core_copy_new(st, front->seq);
    if (!c) {
        return NULL;
    }
    st->queued--;
    c->obj = front->obj;
    c->expires_ms = front->expires_ms;
    if (--front->copies == 0) {
        st->bytes -= c->obj->total;
        relay_fifo_pop(&st->fifo);
    } else {
        relay_object_ref(c->obj);
        front->seq++;
    }
    return c;
}

uint64_t relay_core_drop_front(struct relay_group_state *st, uint64_t n, enum relay_drop why)
{
    struct fronts f = look(st);
    if (f.state != RELAY_FRONT_READY) {
        return 0;
    }
    if (f.back) {
        drop_record(f.back, why);
        return 1;
    }
    struct relay_item *fresh = f.fresh;
    n = n < fresh->copies ? n : fresh->copies;
    if (n == fresh->copies) {
        drop_entry(st, why);
        return n;
    }
    uint64_t first = fresh->seq;
    fresh->copies -= n;
    fresh->seq += n;
    st->queued -= n;
    relay_core_dropped(st, first, n, why);
    return n;
}

/* The records of one bucket; false when the work is done before they are. */
static bool purge_bucket(struct relay_group_state *st, unsigned *work)
{
    struct relay_copy *c = st->copies.bucket[st->copies.purged], *next;
    for (; c; c = next) {
        if (*work == 0) {
            return false;
        }
        (*work)--;
        next = c->next_in_bucket;
        if (c->state != RELAY_COPY_LEASED) {
            drop_record(c, RELAY_DROP_PURGED); /* with the last one the table goes, too */
        }
    }
    return true;
}

bool relay_core_purge(struct relay_group_state *st, unsigned *work)
{
    const struct relay_item *front;
    for (; *work && (front = relay_fifo_front(&st->fifo)) != NULL; (*work)--) {
        drop_entry(st, expired(st->q, front->expires_ms) ? RELAY_DROP_EXPIRED : RELAY_DROP_PURGED);
    }
    while (*work && st->copies.purged < st->copies.cap) {
        if (!purge_bucket(st, work)) {
            return false;
        }
        st->copies.purged += st->copies.cap > 0;
        if (*work && st->copies.purged % BUCKETS_WORK == 0) {
            (*work)--;
        }
    }
    bool all = *work > 0;
    st->copies.purged = all ? 0 : st->copies.purged;
    return all;
}

void relay_core_copies_clear(struct relay_group_state *st)
{
    for (size_t i = 0; i < st->copies.cap; i++) {
        for (struct relay_copy *c = st->copies.bucket[i], *next; c; c = next) {
            next = c->next_in_bucket;
            relay_wheel_leave(&st->q->wheel, &c->due);
            relay_object_unref(c->obj);
            copy_free(st->q, c);
        }
    }
    free(st->copies.bucket);
    st->copies = (struct relay_copies){0};
    st->returned = NULL;
}

/* --- leases ----------------------------------------------------------------------------------- */

static void start_lease_time(struct relay_copy *c, uint64_t ms)
{
    struct relay_queue *q = c->group->q;
    relay_wheel_leave(&q->wheel, &c->due);
    if (ms) {
        c->due.what = RELAY_DUE_LEASE;
        relay_wheel_enter(&q->wheel, &c->due, q->now_ms + ms);
    }
}

void relay_core_hand_out(struct relay_copy *c, struct relay_seat *s)
{
    c->state = RELAY_COPY_LEASED;
    c->seat = s;
    c->child = c->prev = NULL;
    c->next = s->leases;
    *(c->next ? &c->next->prev : &s->oldest) = c;
    s->leases = c;
    s->nleases++;
    s->group->leased++;
    bool timed = s->member->gone || !(s->member->ops->flags & RELAY_MEMBER_UNTIMED);
    start_lease_time(c, timed ? s->group->group->set.lease_ms : 0);
}

struct relay_copy *relay_core_lease(struct relay_seat *s)
{
    struct relay_group_state *st = s->group;
    struct fronts f = look(st);
    struct relay_copy *c = f.back;
    if (c) {
        wait_end(c);
    } else if (!f.fresh || (c = take_fresh(st, f.fresh)) == NULL) {
        return NULL;
    }
    c->tries++;
    relay_core_hand_out(c, s);
    const struct relay_queue_journal *j = st->q->journal;
    if (j && j->lease) {
        j->lease(st->q->observer, st->group, c->seq, c->tries,
                 s->member->tagged ? s->member->tag : NULL);
    }
    return c;
}

static void lease_end(struct relay_copy *c)
{
    *(c->prev ? &c->prev->next : &c->seat->leases) = c->next;
    *(c->next ? &c->next->prev : &c->seat->oldest) = c->prev;
    c->seat->nleases--;
    c->group->leased--;
    c->seat = NULL;
    c->prev = c->next = c->child = NULL;
    relay_wheel_leave(&c->group->q->wheel, &c->due);
}

void relay_core_return(struct relay_copy *c, uint64_t delay_ms)
{
    struct relay_group_state *st = c->group;
    uint32_t max = st->group->set.max_deliveries;
    const struct relay_queue_journal *j = st->q->journal;
    lease_end(c);
    st->count.returned++;
    if (max && c->tries >= max) {
        relay_core_dead(c, "delivered too often");
    } else if (expired(st->q, c->expires_ms)) {
        relay_core_dropped(st, c->seq, 1, RELAY_DROP_EXPIRED);
        relay_core_copy_end(c);
    } else {
        if (j && j->release) {
            j->release(st->q->observer, st->group, c->seq, c->tries, delay_ms);
        }
        relay_core_wait(c, delay_ms);
    }
}

void relay_core_copy_due(struct relay_copy *c)
{
    struct relay_group_state *st = c->group;
    switch ((enum relay_due_what)c->due.what) {
    case RELAY_DUE_LEASE:
        st->count.timed_out++;
        relay_core_return(c, 0);
        break;
    case RELAY_DUE_DELAY:
        wait_end(c);
        relay_core_wait(c, 0);
        break;
    case RELAY_DUE_EXPIRE:
        if (!expired(st->q,
                     c->expires_ms)) { /* the wall clock went back, or it was looked at early */
            relay_wheel_enter(&st->q->wheel, &c->due, relay_core_expiry(st->q, c->expires_ms));
            return;
        }
        wait_end(c);
        relay_core_dropped(st, c->seq, 1, RELAY_DROP_EXPIRED);
        relay_core_copy_end(c);
        break;
    default:
        break;
    }
    relay_core_dispatch(st);
    relay_core_tidy(st);
}

/* --- settling --------------------------------------------------------------------------------- */

static void ack(struct relay_copy *c)
{
    struct relay_group_state *st = c->group;
    const struct relay_queue_journal *j = st->q->journal;
    st->count.acked++;
    if (j && j->ack) {
        j->ack(st->q->observer, st->group, c->seq, 1);
    }
    lease_end(c);
    relay_core_copy_end(c);
}

static void settle_one(struct relay_copy *c, enum relay_settle how, uint64_t ms)
{
    switch (how) {
    case RELAY_ACK:
        ack(c);
        break;
    case RELAY_NACK:
        relay_core_return(c, ms);
        break;
    case RELAY_EXTEND:
        if (relay_due_entered(&c->due)) {
            start_lease_time(c, ms ? ms : c->group->group->set.lease_ms);
        }
        break;
    case RELAY_DEAD:
        lease_end(c);
        relay_core_dead(c, "refused by a consumer");
        break;
    case RELAY_RETURN:
        c->tries--;
        relay_core_return(c, 0);
        break;
    }
}

/* More numbers are named than m has leases: go through those. */
static uint64_t settle_held(struct relay_seat *s, uint64_t first, uint64_t count,
                            enum relay_settle how, uint64_t ms)
{
    uint64_t done = 0;
    for (struct relay_copy *c = s->leases, *next; c; c = next) {
        next = c->next;
        if (c->seq >= first && c->seq - first < count) {
            settle_one(c, how, ms);
            done++;
        }
    }
    return done;
}

static uint64_t settle_named(struct relay_seat *s, uint64_t first, uint32_t count,
                             enum relay_settle how, uint64_t ms)
{
    uint64_t done = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct relay_copy *c = find(s->group, first + i);
        if (c && c->state == RELAY_COPY_LEASED && c->seat == s) {
            settle_one(c, how, ms);
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
    if (!s) {
        return -ENOENT;
    }
    struct relay_group_state *st = s->group;
    uint64_t reach = count == UINT32_MAX ? UINT64_MAX : count;
    uint64_t done = count > s->nleases ? settle_held(s, first, reach, how, ms)
                                       : settle_named(s, first, count, how, ms);
    if (how != RELAY_ACK) {
        relay_core_dispatch(st);
    }
    relay_core_tidy(st);
    return done == count ? 0 : -ENOENT;
}
