/* SPDX-License-Identifier: MIT */
/* Leases and producers of a log's state: two hash tables with open addressing. */
#include <stdlib.h>
#include <string.h>

#include "relay/log_state.h"

enum { CAP_MIN = 64 };

/* Fibonacci hashing of the two words that make a key (Knuth, TAOCP 3, 6.4). */
static size_t slot_of(const void *group, uint64_t key, size_t cap)
{
    uint64_t h = ((uint64_t)(uintptr_t)group >> 4) * UINT64_C(0x9e3779b97f4a7c15) + key;
    h *= UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(h >> 32) & (cap - 1);
}

/* --- leases ----------------------------------------------------------------------------------- */

static struct relay_log_lease *lease_slot(struct relay_log_lease *v, size_t cap,
                                          const struct relay_log_group *g, uint64_t seq)
{
    size_t i = slot_of(g, seq, cap);
    while (v[i].group && !(v[i].group == g && v[i].seq == seq)) {
        i = (i + 1) & (cap - 1);
    }
    return &v[i];
}

static int lease_grow(struct relay_log_state *s)
{
    if ((s->nleases + 1) * 2 <= s->lease_cap) {
        return 0;
    }
    size_t cap = s->lease_cap ? s->lease_cap * 2 : CAP_MIN;
    struct relay_log_lease *v = calloc(cap, sizeof(*v));
    if (!v) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < s->lease_cap; i++) {
        if (s->lease[i].group) {
            *lease_slot(v, cap, s->lease[i].group, s->lease[i].seq) = s->lease[i];
        }
    }
    free(s->lease);
    s->lease = v;
    s->lease_cap = cap;
    return 0;
}

/* Empty the slot, and move up what stands behind it only because it was taken. */
static void lease_erase(struct relay_log_state *s, struct relay_log_lease *l)
{
    size_t mask = s->lease_cap - 1, hole = (size_t)(l - s->lease);
    l->group->leases--;
    s->nleases--;
    for (size_t i = (hole + 1) & mask; s->lease[i].group; i = (i + 1) & mask) {
        size_t home = slot_of(s->lease[i].group, s->lease[i].seq, s->lease_cap);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            s->lease[hole] = s->lease[i];
            hole = i;
        }
    }
    s->lease[hole].group = NULL;
}

struct relay_log_lease *relay_log_state_lease_find(const struct relay_log_state *s,
                                                   const struct relay_log_group *g, uint64_t seq)
{
    if (g->leases == 0) {
        return NULL;
    }
    struct relay_log_lease *l = lease_slot(s->lease, s->lease_cap, g, seq);
    return l->group ? l : NULL;
}

static int lease_put(struct relay_log_state *s, struct relay_log_group *g, uint64_t seq,
                     const uint8_t *tag, uint32_t tries)
{
    struct relay_log_lease *l = relay_log_state_lease_find(s, g, seq);
    if (!l) {
        if (lease_grow(s) < 0) {
            return -ENOMEM;
        }
        l = lease_slot(s->lease, s->lease_cap, g, seq);
        l->group = g;
        l->seq = seq;
        g->leases++;
        s->nleases++;
    }
    l->tries = tries;
    l->leased = true;
    memcpy(l->tag, tag, RELAY_LOG_TAG);
    return 0;
}

int relay_log_state_lease(struct relay_log_state *s, struct relay_log_group *g,
                          const uint8_t tag[RELAY_LOG_TAG], const struct relay_log_range *range)
{
    uint64_t end = range->first + range->count;
    int rc = 0;
    size_t i = relay_log_items_find(&g->items, range->first);
    for (; rc == 0 && i < g->items.n; i++) {
        const struct relay_log_item *it = relay_log_items_at(&g->items, i);
        uint64_t from = it->first > range->first ? it->first : range->first;
        uint64_t to = it->first + it->copies < end ? it->first + it->copies : end;
        if (it->first >= end) {
            break;
        }
        for (uint64_t seq = from; rc == 0 && seq < to; seq++) {
            rc = lease_put(s, g, seq, tag, range->tries);
        }
    }
    return rc;
}

static void release_one(struct relay_log_state *s, struct relay_log_lease *l,
                        const struct relay_log_range *range, bool forget)
{
    if (forget) {
        lease_erase(s, l);
    } else {
        l->leased = false;
        l->until_ms = range->until_ms;
        l->delay_ms = range->delay_ms;
    }
}

/* tries of UINT32_MAX: the items are gone. */
void relay_log_state_release(struct relay_log_state *s, struct relay_log_group *g,
                             const struct relay_log_range *range)
{
    bool forget = range->tries == UINT32_MAX;
    if (range->count <= s->lease_cap) {
        for (uint32_t i = 0; g->leases && i < range->count; i++) {
            struct relay_log_lease *l = relay_log_state_lease_find(s, g, range->first + i);
            if (l) {
                release_one(s, l, range, forget);
            }
        }
        return;
    }
    for (size_t i = 0; g->leases && i < s->lease_cap;) {
        struct relay_log_lease *l = &s->lease[i];
        bool hit = l->group == g && l->seq - range->first < range->count;
        if (hit) {
            release_one(s, l, range, forget);
        }
        i += !(hit && forget); /* another one may stand there now */
    }
}

/* --- producers -------------------------------------------------------------------------------- */

static struct relay_log_producer *producer_slot(struct relay_log_producer *v, size_t cap,
                                                const struct relay_log_group *g, uint64_t id)
{
    size_t i = slot_of(g, id, cap);
    while (v[i].group && !(v[i].group == g && v[i].id == id)) {
        i = (i + 1) & (cap - 1);
    }
    return &v[i];
}

static int producer_grow(struct relay_log_state *s)
{
    if ((s->nproducers + 1) * 2 <= s->producer_cap) {
        return 0;
    }
    size_t cap = s->producer_cap ? s->producer_cap * 2 : CAP_MIN;
    struct relay_log_producer *v = calloc(cap, sizeof(*v));
    if (!v) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < s->producer_cap; i++) {
        if (s->producer[i].group) {
            *producer_slot(v, cap, s->producer[i].group, s->producer[i].id) = s->producer[i];
        }
    }
    free(s->producer);
    s->producer = v;
    s->producer_cap = cap;
    return 0;
}

struct relay_log_producer *relay_log_state_producer_find(const struct relay_log_state *s,
                                                         const struct relay_log_group *g,
                                                         uint64_t id)
{
    if (g->producers == 0) {
        return NULL;
    }
    struct relay_log_producer *p = producer_slot(s->producer, s->producer_cap, g, id);
    return p->group ? p : NULL;
}

static void producer_live(struct relay_log_state *s, uint64_t segment, bool more)
{
    struct relay_log_part *p = relay_log_state_part_find(s, segment);
    if (p) {
        p->live += more ? 1 : UINT64_MAX;
    }
}

int relay_log_state_producer(struct relay_log_state *s, struct relay_log_group *g, uint64_t id,
                             uint64_t seq, uint64_t seen_ms, uint64_t segment)
{
    struct relay_log_producer *p = relay_log_state_producer_find(s, g, id);
    if (!p) {
        if (producer_grow(s) < 0) {
            return -ENOMEM;
        }
        p = producer_slot(s->producer, s->producer_cap, g, id);
        *p = (struct relay_log_producer){.group = g, .id = id};
        g->producers++;
        s->nproducers++;
    } else {
        producer_live(s, p->segment, false);
    }
    p->seq = seq > p->seq ? seq : p->seq;
    p->seen_ms = seen_ms > p->seen_ms ? seen_ms : p->seen_ms;
    p->segment = segment;
    producer_live(s, segment, true);
    return 0;
}

void relay_log_state_forget_producers(struct relay_log_state *s, uint64_t before_ms)
{
    size_t mask = s->producer_cap - 1;
    for (size_t at = 0; at < s->producer_cap;) {
        struct relay_log_producer *p = &s->producer[at];
        if (!p->group || p->seen_ms >= before_ms) {
            at++;
            continue;
        }
        struct relay_log_group *g = p->group;
        size_t hole = at;
        producer_live(s, p->segment, false);
        g->producers--;
        s->nproducers--;
        for (size_t i = (hole + 1) & mask; s->producer[i].group; i = (i + 1) & mask) {
            size_t home = slot_of(s->producer[i].group, s->producer[i].id, s->producer_cap);
            if (((i - home) & mask) >= ((i - hole) & mask)) {
                s->producer[hole] = s->producer[i];
                hole = i;
            }
        }
        s->producer[hole].group = NULL;
        relay_log_state_tidy(s, g);
    }
}
