/* SPDX-License-Identifier: MIT */
#include "relay/log_state.h"

#include <stdlib.h>
#include <string.h>
#include <sodium.h>

enum { BUCKETS_MIN = 16, PARTS_MIN = 8, GROUPS_MAX = 1 << 24 };

static uint64_t item_bytes(uint32_t len)
{
    return RELAY_LOG_HEAD + RELAY_LOG_ENQUEUE_FIXED + (uint64_t)len;
}

/* --- groups ----------------------------------------------------------------------------------- */

/* Names were hashed with a secret key where peers chose them (queue_group.c); here a collision
 * costs a longer chain, no more, and a fixed key keeps this pure. */
static size_t name_slot(const struct relay_log_state *s, const void *name, size_t len)
{
    static const unsigned char key[crypto_shorthash_KEYBYTES] = "netkit relay log";
    uint64_t h;
    crypto_shorthash((unsigned char *)&h, name, len, key);
    return (size_t)h & (s->nbuckets - 1);
}

static size_t id_slot(const struct relay_log_state *s, uint32_t id)
{
    return id & (s->nbuckets - 1);
}

struct relay_log_group *relay_log_state_by_id(const struct relay_log_state *s, uint32_t id)
{
    struct relay_log_group *g = s->nbuckets ? s->by_id[id_slot(s, id)] : NULL;
    while (g && g->id != id) {
        g = g->by_id;
    }
    return g;
}

static struct relay_log_group *by_name(const struct relay_log_state *s, const void *name,
                                       size_t len)
{
    struct relay_log_group *g = s->nbuckets ? s->by_name[name_slot(s, name, len)] : NULL;
    while (g && !(g->len == len && memcmp(g->name, name, len) == 0)) {
        g = g->by_name;
    }
    return g;
}

static void unlink_id(struct relay_log_state *s, struct relay_log_group *g)
{
    struct relay_log_group **at = &s->by_id[id_slot(s, g->id)];
    while (*at && *at != g) {
        at = &(*at)->by_id;
    }
    if (*at) {
        *at = g->by_id;
    }
}

static void link_id(struct relay_log_state *s, struct relay_log_group *g, uint32_t id)
{
    g->id = id;
    g->by_id = s->by_id[id_slot(s, id)];
    s->by_id[id_slot(s, id)] = g;
    s->last_id = id > s->last_id ? id : s->last_id;
}

static int rehash(struct relay_log_state *s)
{
    size_t n = s->nbuckets ? s->nbuckets * 2 : BUCKETS_MIN;
    struct relay_log_group **ids = calloc(n, sizeof(struct relay_log_group *));
    struct relay_log_group **names = calloc(n, sizeof(struct relay_log_group *));
    if (!ids || !names) {
        free(ids);
        free(names);
        return s->nbuckets ? 0 : -ENOMEM; /* longer chains, nothing worse */
    }
    free(s->by_id);
    free(s->by_name);
    s->by_id = ids;
    s->by_name = names;
    s->nbuckets = n;
    for (struct relay_log_group *g = s->groups; g; g = g->next) {
        size_t slot = name_slot(s, g->name, g->len);
        g->by_name = names[slot];
        names[slot] = g;
        if (g->id) {
            link_id(s, g, g->id);
        }
    }
    return 0;
}

static struct relay_log_group *group_new(struct relay_log_state *s, const void *name, size_t len)
{
    if (s->ngroups >= GROUPS_MAX || (s->ngroups == s->nbuckets && rehash(s) < 0)) {
        return NULL;
    }
    struct relay_log_group *g = calloc(1, sizeof(*g) + len + 1);
    if (!g) {
        return NULL;
    }
    g->len = len;
    memcpy(g->name, name, len);
    g->last = s->floor;
    size_t slot = name_slot(s, name, len);
    g->by_name = s->by_name[slot];
    s->by_name[slot] = g;
    g->next = s->groups;
    if (g->next) {
        g->next->prev = g;
    }
    s->groups = g;
    s->ngroups++;
    return g;
}

struct relay_log_group *relay_log_state_group(struct relay_log_state *s, const void *name,
                                              size_t len)
{
    struct relay_log_group *g = by_name(s, name, len);
    g = g ? g : group_new(s, name, len);
    if (g && !g->id) {
        if (s->last_id == UINT32_MAX) {
            return NULL;
        }
        link_id(s, g, s->last_id + 1);
    }
    return g;
}

static void group_free(struct relay_log_state *s, struct relay_log_group *g)
{
    struct relay_log_group **at = &s->by_name[name_slot(s, g->name, g->len)];
    while (*at != g) {
        at = &(*at)->by_name;
    }
    *at = g->by_name;
    if (g->id) {
        unlink_id(s, g);
    }
    if (s->groups == g) {
        s->groups = g->next;
    } else {
        g->prev->next = g->next;
    }
    if (g->next) {
        g->next->prev = g->prev;
    }
    relay_log_items_clear(&g->items);
    free(g);
    s->ngroups--;
}

static bool empty(const struct relay_log_group *g)
{
    return g->items.n == 0 && !g->retained.segment && g->leases == 0 && g->producers == 0;
}

void relay_log_state_tidy(struct relay_log_state *s, struct relay_log_group *g)
{
    if (empty(g) && g->refs == 0) {
        group_free(s, g);
    }
}

void relay_log_state_clear(struct relay_log_state *s)
{
    while (s->groups) {
        group_free(s, s->groups);
    }
    free(s->by_id);
    free(s->by_name);
    free(s->part);
    free(s->lease);
    free(s->producer);
    *s = (struct relay_log_state){0};
}

/* A segment says what its number `id` means. */
static int declare(struct relay_log_state *s, const struct relay_log_record *r)
{
    struct relay_log_group *old = relay_log_state_by_id(s, r->group);
    struct relay_log_group *g = by_name(s, r->body, r->len);
    if (r->group == 0) {
        return NK_EFORMAT;
    }
    g = g ? g : group_new(s, r->body, r->len);
    if (!g) {
        return -ENOMEM;
    }
    if (old != g) {
        if (old) { /* forgotten and given anew, or it had the number in older segments only */
            unlink_id(s, old);
            old->id = 0;
            relay_log_state_tidy(s, old);
        }
        if (g->id) {
            unlink_id(s, g);
        }
        link_id(s, g, r->group);
    }
    g->declared = s->nparts ? s->part[s->nparts - 1].number : 0;
    g->last = r->seq > g->last ? r->seq : g->last;
    s->floor = g->last > s->floor ? g->last : s->floor;
    return 0;
}

/* --- segments --------------------------------------------------------------------------------- */

int relay_log_state_part(struct relay_log_state *s, uint64_t number, uint64_t floor)
{
    if (s->nparts == s->part_cap) {
        size_t cap = s->part_cap ? s->part_cap * 2 : PARTS_MIN;
        struct relay_log_part *v = realloc(s->part, cap * sizeof(*v));
        if (!v) {
            return -ENOMEM;
        }
        s->part = v;
        s->part_cap = cap;
    }
    s->part[s->nparts++] = (struct relay_log_part){.number = number, .floor = floor};
    s->floor = floor > s->floor ? floor : s->floor;
    return 0;
}

struct relay_log_part *relay_log_state_part_find(const struct relay_log_state *s, uint64_t number)
{
    if (s->nparts == 0 || number < s->part[0].number) {
        return NULL;
    }
    uint64_t i = number - s->part[0].number;
    i = i < s->nparts ? i : s->nparts - 1;
    while (i && s->part[i].number > number) {
        i--; /* there are gaps */
    }
    return s->part[i].number == number ? &s->part[i] : NULL;
}

void relay_log_state_part_drop(struct relay_log_state *s)
{
    memmove(s->part, s->part + 1, --s->nparts * sizeof(*s->part));
}

static void live(struct relay_log_state *s, uint64_t segment, uint64_t bytes, bool more)
{
    struct relay_log_part *p = relay_log_state_part_find(s, segment);
    if (p && more) {
        p->live++;
        p->live_bytes += bytes;
    } else if (p) {
        p->live--;
        p->live_bytes -= bytes;
    }
}

uint64_t relay_log_state_live(const struct relay_log_state *s, uint64_t *bytes)
{
    uint64_t alive = 0, all = 0;
    for (size_t i = 0; i < s->nparts; i++) {
        alive += s->part[i].live_bytes;
        all += s->part[i].bytes;
    }
    *bytes = all;
    return alive;
}

/* --- objects ---------------------------------------------------------------------------------- */

static void account(struct relay_log_state *s, struct relay_log_group *g, uint64_t last)
{
    g->last = last > g->last ? last : g->last;
    s->floor = last > s->floor ? last : s->floor;
}

int relay_log_state_enqueue(struct relay_log_state *s, struct relay_log_group *g,
                            const struct relay_log_item *item, bool copied)
{
    size_t i = relay_log_items_find(&g->items, item->first);
    struct relay_log_item *have = i < g->items.n ? relay_log_items_at(&g->items, i) : NULL;
    if (have && have->first < item->first + item->copies) {
        if (have->first == item->first && copied) {
            live(s, have->segment, item_bytes(have->len), false);
            live(s, item->segment, item_bytes(item->len), true);
            have->segment = item->segment;
            have->off = item->off;
            have->len = item->len;
        }
        return 0;
    }
    int rc = relay_log_items_insert(&g->items, i, item);
    if (rc == 0) {
        live(s, item->segment, item_bytes(item->len), true);
        account(s, g, item->first + item->copies - 1);
    }
    return rc;
}

static uint64_t retained_bytes(const struct relay_log_retained *r)
{
    return RELAY_LOG_HEAD + relay_log_fixed_len(RELAY_LOG_RETAIN, r->named, r->name_len) +
           (uint64_t)r->len;
}

void relay_log_state_retain(struct relay_log_state *s, struct relay_log_group *g,
                            const struct relay_log_retained *r)
{
    if (g->retained.segment) {
        live(s, g->retained.segment, retained_bytes(&g->retained), false);
    }
    g->retained = *r;
    if (r->segment) {
        live(s, r->segment, retained_bytes(r), true);
    }
}

/* Take [first, end) out of the item at index i. Returns the index to go on with. */
static size_t cut(struct relay_log_state *s, struct relay_log_group *g, size_t i, uint64_t first,
                  uint64_t end)
{
    struct relay_log_item *it = relay_log_items_at(&g->items, i);
    uint64_t it_end = it->first + it->copies;
    if (first <= it->first && end >= it_end) {
        live(s, it->segment, item_bytes(it->len), false);
        relay_log_items_erase(&g->items, i);
        return i;
    }
    if (first <= it->first) { /* the front goes */
        it->first = end;
        it->copies = it_end - end;
        return i;
    }
    it->copies = first - it->first;
    if (end < it_end) { /* the middle goes */
        struct relay_log_item tail = *it;
        tail.first = end;
        tail.copies = it_end - end;
        if (relay_log_items_insert(&g->items, i + 1, &tail) < 0) {
            relay_log_items_at(&g->items, i)->copies = it_end - tail.first + (end - first);
            s->blurred = true;
        } else {
            live(s, tail.segment, item_bytes(tail.len), true);
        }
    }
    return i + 1;
}

void relay_log_state_remove(struct relay_log_state *s, struct relay_log_group *g, uint64_t first,
                            uint64_t count)
{
    uint64_t end = count < UINT64_MAX - first ? first + count : UINT64_MAX;
    size_t i = relay_log_items_find(&g->items, first);
    while (i < g->items.n && relay_log_items_at(&g->items, i)->first < end) {
        i = cut(s, g, i, first, end);
    }
    struct relay_log_range range = {.first = first};
    while (g->leases && range.first < end) {
        uint64_t left = end - range.first;
        range.count = left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
        range.tries = UINT32_MAX; /* not only released: forgotten */
        relay_log_state_release(s, g, &range);
        range.first += range.count;
    }
}

void relay_log_state_purge(struct relay_log_state *s, struct relay_log_group *g, uint64_t seq,
                           bool retained)
{
    relay_log_state_remove(s, g, 0, seq == UINT64_MAX ? seq : seq + 1);
    if (retained) {
        relay_log_state_retain(s, g, &(struct relay_log_retained){0});
    }
}

void relay_log_state_lose(struct relay_log_state *s, uint64_t segment)
{
    for (struct relay_log_group *g = s->groups; g; g = g->next) {
        for (size_t i = 0; i < g->items.n;) {
            const struct relay_log_item *it = relay_log_items_at(&g->items, i);
            if (it->segment == segment) {
                relay_log_state_remove(s, g, it->first, it->copies);
            } else {
                i++;
            }
        }
        if (g->retained.segment == segment) {
            relay_log_state_retain(s, g, &(struct relay_log_retained){0});
        }
    }
}

/* --- records ---------------------------------------------------------------------------------- */

static int apply_object(struct relay_log_state *s, struct relay_log_group *g,
                        const struct relay_log_record *r, uint64_t at_body, uint64_t now_ms)
{
    struct relay_log_object o;
    uint64_t segment = s->part[s->nparts - 1].number;
    int rc = relay_log_object_read(r, &o);
    if (rc < 0) {
        return rc;
    }
    bool stub = r->flags & RELAY_LOG_STUB;
    uint8_t flags = r->flags & (RELAY_LOG_META | RELAY_LOG_CONTENT);
    if (r->type == RELAY_LOG_RETAIN) {
        size_t fixed = relay_log_fixed_len(r->type, o.name, o.name_len);
        struct relay_log_retained retained = {.segment = segment,
                                              .epoch = o.epoch,
                                              .version = r->seq,
                                              .off = stub ? o.off : at_body + fixed,
                                              .len = o.len,
                                              .flags = flags,
                                              .named = o.name != NULL,
                                              .name_len = o.name_len};
        relay_log_state_retain(s, g, &retained);
        return 0;
    }
    struct relay_log_item item = {.first = r->seq,
                                  .copies = o.copies,
                                  .expires_ms = o.expires_ms,
                                  .segment = segment,
                                  .off = stub ? o.off : at_body + RELAY_LOG_ENQUEUE_FIXED,
                                  .len = o.len,
                                  .flags = flags};
    rc = relay_log_state_enqueue(s, g, &item, r->flags & RELAY_LOG_COPIED);
    if (rc == 0 && o.producer && !(r->flags & RELAY_LOG_COPIED)) {
        rc = relay_log_state_producer(s, g, o.producer, o.producer_seq, now_ms, segment);
    }
    return rc;
}

static int apply_ranges(struct relay_log_state *s, struct relay_log_group *g,
                        const struct relay_log_record *r)
{
    struct nk_cur c;
    struct relay_log_range range;
    const uint8_t *tag;
    int rc = relay_log_ranges(r, &c, &tag);
    while (rc == 0 && relay_log_range_next(r, &c, &range)) {
        if (r->type == RELAY_LOG_LEASE) {
            rc = relay_log_state_lease(s, g, tag, &range);
        } else if (r->type == RELAY_LOG_RELEASE) {
            relay_log_state_release(s, g, &range);
        } else {
            relay_log_state_remove(s, g, range.first, range.count);
        }
    }
    return rc;
}

int relay_log_state_apply(struct relay_log_state *s, const struct relay_log_record *r,
                          uint64_t at_body, uint64_t now_ms)
{
    uint64_t id, seen;
    if (r->type == RELAY_LOG_CHECKPOINT) {
        return 0;
    }
    if (r->type == RELAY_LOG_GROUP) {
        return declare(s, r);
    }
    struct relay_log_group *g = relay_log_state_by_id(s, r->group);
    if (!g || g->declared != s->part[s->nparts - 1].number) {
        return NK_EFORMAT;
    }
    switch (r->type) {
    case RELAY_LOG_ENQUEUE:
    case RELAY_LOG_RETAIN:
        return apply_object(s, g, r, at_body, now_ms);
    case RELAY_LOG_PRODUCER:
        if (relay_log_producer_read(r, &id, &seen) < 0) {
            return NK_EFORMAT;
        }
        return relay_log_state_producer(s, g, id, r->seq, seen, s->part[s->nparts - 1].number);
    case RELAY_LOG_PURGE:
        relay_log_state_purge(s, g, r->seq, r->flags & RELAY_LOG_RETAINED);
        return 0;
    default:
        return apply_ranges(s, g, r);
    }
}
