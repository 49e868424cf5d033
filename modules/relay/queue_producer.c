/* SPDX-License-Identifier: MIT */
/* Duplicates: the highest number of each producer in each group, for as many producers as fit and
 * as long as they are heard of. */
#include <sodium.h>
#include <stdlib.h>

#include "relay/queue_core.h"

enum {
    BUCKETS_MIN = 64,
    PRODUCERS_MAX = 65536, /* then the one that was heard longest ago is forgotten */
    PRODUCER_MS = 3600 * 1000
};

_Static_assert(sizeof(((struct relay_queue *)0)->key) == crypto_shorthash_KEYBYTES, "key");

/* Ids come from peers. */
static size_t bucket_of(const struct relay_queue *q, const struct relay_group_state *st,
                        uint64_t id)
{
    uint64_t in[2] = {(uint64_t)(uintptr_t)st, id}, h;
    crypto_shorthash((unsigned char *)&h, (const unsigned char *)in, sizeof(in), q->key);
    return (size_t)h & (q->producers.nbuckets - 1);
}

static struct relay_producer *find(const struct relay_group_state *st, uint64_t id)
{
    const struct relay_queue *q = st->q;
    struct relay_producer *p = st->nproducers ? q->producers.bucket[bucket_of(q, st, id)] : NULL;
    while (p && (p->id != id || p->group != st)) {
        p = p->next;
    }
    return p;
}

static void age_leave(struct relay_producers *all, struct relay_producer *p)
{
    if (all->oldest == p) {
        all->oldest = p->newer;
    } else {
        p->older->newer = p->newer;
    }
    if (all->newest == p) {
        all->newest = p->older;
    } else {
        p->newer->older = p->older;
    }
}

static void age_join(struct relay_producers *all, struct relay_producer *p)
{
    p->older = all->newest;
    p->newer = NULL;
    *(p->older ? &p->older->newer : &all->oldest) = p;
    all->newest = p;
}

static void forget(struct relay_queue *q, struct relay_producer *p)
{
    struct relay_producer **at = &q->producers.bucket[bucket_of(q, p->group, p->id)];
    while (*at != p) {
        at = &(*at)->next;
    }
    *at = p->next;
    age_leave(&q->producers, p);
    q->producers.n--;
    p->group->nproducers--;
    relay_core_tidy(p->group);
    free(p);
}

static int grow(struct relay_queue *q)
{
    struct relay_producers *all = &q->producers;
    size_t n = all->nbuckets ? all->nbuckets * 2 : BUCKETS_MIN;
    struct relay_producer **v = calloc(n, sizeof(struct relay_producer *));
    if (!v) {
        return all->nbuckets ? 0 : -ENOMEM; /* longer chains, nothing worse */
    }
    free(all->bucket);
    all->bucket = v;
    all->nbuckets = n;
    for (struct relay_producer *p = all->oldest; p; p = p->newer) {
        size_t i = bucket_of(q, p->group, p->id);
        p->next = v[i];
        v[i] = p;
    }
    return 0;
}

static void watch_age(struct relay_queue *q)
{
    struct relay_producers *all = &q->producers;
    if (all->oldest && !relay_due_entered(&all->due)) {
        all->due.what = RELAY_DUE_PRODUCERS;
        relay_wheel_enter(&q->wheel, &all->due, all->oldest->used_ms + PRODUCER_MS);
    }
}

static int add(struct relay_group_state *st, uint64_t id, struct relay_producer **out)
{
    struct relay_queue *q = st->q;
    struct relay_producers *all = &q->producers;
    int rc = all->n >= all->nbuckets ? grow(q) : 0;
    struct relay_producer *p = rc == 0 ? malloc(sizeof(*p)) : NULL;
    if (!p) {
        return -ENOMEM;
    }
    *p = (struct relay_producer){.group = st, .id = id, .used_ms = q->now_ms};
    st->nproducers++; /* keeps the group from being forgotten below */
    if (all->n >= PRODUCERS_MAX) {
        forget(q, all->oldest);
    }
    size_t i = bucket_of(q, st, id);
    p->next = all->bucket[i];
    all->bucket[i] = p;
    all->n++;
    age_join(all, p);
    watch_age(q);
    *out = p;
    return 0;
}

/* The producer's entry, which is the newest now. 0 or -ENOMEM. */
static int heard_of(struct relay_group_state *st, uint64_t id, struct relay_producer **out)
{
    struct relay_producers *all = &st->q->producers;
    struct relay_producer *p = find(st, id);
    if (!p) {
        return add(st, id, out);
    }
    *out = p;
    p->used_ms = st->q->now_ms;
    if (all->newest != p) {
        age_leave(all, p);
        age_join(all, p);
    }
    return 0;
}

/* 0: seq is new, and the highest from now on; 1: it is not. */
static int take(uint64_t *highest, uint64_t seq)
{
    if (seq <= *highest) {
        return 1;
    }
    *highest = seq;
    return 0;
}

int relay_core_producer(struct relay_group_state *st, uint64_t id, uint64_t seq)
{
    struct relay_producer *p;
    int rc = heard_of(st, id, &p);
    return rc < 0 ? rc : take(&p->seq, seq);
}

int relay_core_broadcaster(struct relay_group_state *st, uint64_t id, uint64_t seq)
{
    struct relay_producer *p;
    int rc = heard_of(st, id, &p);
    return rc < 0 ? rc : take(&p->broadcast, seq);
}

void relay_core_broadcaster_undo(struct relay_group_state *st, uint64_t id, uint64_t seq)
{
    struct relay_producer *p = find(st, id);
    if (p && p->broadcast == seq) {
        p->broadcast = seq - 1;
    }
}

void relay_core_producer_undo(struct relay_group_state *st, uint64_t id, uint64_t seq)
{
    struct relay_producer *p = find(st, id);
    if (p && seq && p->seq >= seq) {
        p->seq = seq - 1;
    }
}

void relay_core_producers_due(struct relay_queue *q)
{
    struct relay_producers *all = &q->producers;
    while (all->oldest && q->now_ms - all->oldest->used_ms >= PRODUCER_MS) {
        forget(q, all->oldest);
    }
    watch_age(q);
}

void relay_core_producers_free(struct relay_queue *q)
{
    while (q->producers.oldest) {
        struct relay_producer *p = q->producers.oldest;
        q->producers.oldest = p->newer;
        p->group->nproducers--;
        free(p);
    }
    relay_wheel_leave(&q->wheel, &q->producers.due);
    free(q->producers.bucket);
    q->producers = (struct relay_producers){0};
}
