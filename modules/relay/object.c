/* SPDX-License-Identifier: MIT */
#include "relay/object.h"

#include <stdlib.h>
#include <string.h>

enum kind { BLOCK, SLICE, MAPPED };

enum {
    SPARE_MIN = 16 * 1024, /* smaller blocks are kept by class, or are the allocator's business */
    STEPS = 8,             /* sizes of large blocks within each power of two */
    SMALL_MIN_BITS = 6,    /* class 1 is for 64 bytes, each next one for twice as many */
    SMALL_MAX = 1 << (SMALL_MIN_BITS + RELAY_SMALL_CLASSES - 2),
    KEEP_MAX = 4096, /* relay_object_keep: longer slices are never copied */
    KEEP_PART = 4    /* nor are those that are at least 1/4 of what they pin */
};

/* Lies in the room of a mapped object. */
struct mapping {
    void (*release)(void *arg, uint8_t *bytes, size_t len);
    void *arg;
    uint8_t *bytes;
    size_t len;
};

/* Blocks come in few sizes, so that one object's block fits the next. */
static size_t round_up(size_t cap)
{
    size_t step = SPARE_MIN / STEPS;
    if (cap <= SMALL_MAX) {
        size_t room = (size_t)1 << SMALL_MIN_BITS;
        while (room < cap) {
            room *= 2;
        }
        return room;
    }
    if (cap < SPARE_MIN) {
        return cap;
    }
    while (step * 2 * STEPS <= cap) {
        step *= 2;
    }
    return (cap + step - 1) / step * step;
}

static size_t cost_of(size_t rounded)
{
    return sizeof(struct relay_object) + RELAY_HEADROOM + rounded;
}

size_t relay_object_cost(size_t cap)
{
    return cost_of(round_up(cap));
}

/* Which of the small lists a block of this (rounded) size belongs to. */
static unsigned class_of(size_t cap)
{
    unsigned c = 1;
    for (size_t room = (size_t)1 << SMALL_MIN_BITS; room < cap; room *= 2) {
        c++;
    }
    return c;
}

static struct relay_object *take_small(struct relay_memory *m, unsigned class)
{
    struct relay_object *o = m->small[class];
    if (o) {
        m->small[class] = o->more;
        m->small_n[class]--;
        m->taken++;
    }
    return o;
}

static void give_small(struct relay_memory *m, unsigned class, struct relay_object *o, size_t size)
{
    if ((m->small_n[class] + 1) * size > RELAY_SMALL_BYTES) {
        free(o);
        return;
    }
    o->more = m->small[class];
    m->small[class] = o;
    m->small_n[class]++;
}

static struct relay_object *take_spare(struct relay_memory *m, size_t cap)
{
    for (size_t i = m->nspares; i-- > 0;) { /* the last one used is still in the cache */
        struct relay_object *o = m->spare[i];
        if (o->cap == cap) {
            m->spare[i] = m->spare[--m->nspares];
            m->spare_bytes -= cap;
            m->taken++;
            return o;
        }
    }
    return NULL;
}

struct relay_object *relay_object_new(struct relay_memory *m, size_t cap)
{
    struct relay_object *o = NULL;
    if (cap > SIZE_MAX / 4) {
        return NULL;
    }
    size_t rounded = round_up(cap);
    if (rounded >= SPARE_MIN) {
        o = take_spare(m, rounded);
    } else if (rounded <= SMALL_MAX) {
        o = take_small(m, class_of(rounded));
    }
    if (!o && (o = malloc(cost_of(rounded))) == NULL) {
        return NULL;
    }
    *o = (struct relay_object){.refs = 1,
                               .kind = BLOCK,
                               .headroom = true,
                               .bytes = o->room + RELAY_HEADROOM,
                               .len = cap,
                               .total = cap,
                               .cap = rounded,
                               .memory = m};
    m->used += cost_of(rounded);
    return o;
}

struct relay_object *relay_object_copy(struct relay_memory *m, const void *p, size_t n)
{
    struct relay_object *o = relay_object_new(m, n);
    if (o && n) {
        memcpy(o->bytes, p, n);
    }
    return o;
}

struct relay_object *relay_object_slice(struct relay_object *o, size_t off, size_t len)
{
    struct relay_memory *m = o->memory;
    struct relay_object *whole = o->kind == SLICE ? o->whole : o;
    struct relay_object *s = take_small(m, 0);
    if (!s && (s = malloc(sizeof(*s))) == NULL) {
        return NULL;
    }
    *s = (struct relay_object){.refs = 1,
                               .kind = SLICE,
                               .publisher = o->publisher,
                               .headroom = whole->kind == BLOCK,
                               .bytes = o->bytes + off,
                               .len = len,
                               .total = len,
                               .whole = relay_object_ref(whole),
                               .memory = m};
    m->used += sizeof(*s);
    return s;
}

struct relay_object *relay_object_map(struct relay_memory *m, void *bytes, size_t len, size_t cost,
                                      void (*release)(void *arg, uint8_t *bytes, size_t len),
                                      void *arg)
{
    struct relay_object *o = malloc(sizeof(*o) + sizeof(struct mapping));
    if (!o) {
        return NULL;
    }
    *o = (struct relay_object){.refs = 1,
                               .kind = MAPPED,
                               .bytes = bytes,
                               .len = len,
                               .total = len,
                               .cap = cost,
                               .memory = m};
    const struct mapping map = {.release = release, .arg = arg, .bytes = bytes, .len = len};
    memcpy(o->room, &map, sizeof(map));
    m->used += cost;
    return o;
}

void relay_object_chain(struct relay_object *head, struct relay_object *last,
                        struct relay_object *take_next)
{
    last->more = take_next;
    head->total += take_next->len;
}

struct relay_object *relay_object_keep(struct relay_object *o)
{
    if (o->kind != SLICE || o->more || o->len > KEEP_MAX || o->whole->kind != BLOCK ||
        o->len >= o->whole->cap / KEEP_PART) {
        return relay_object_ref(o);
    }
    struct relay_object *copy = relay_object_copy(o->memory, o->bytes, o->len);
    if (copy) {
        copy->flags = o->flags;
        copy->publisher = o->publisher;
    }
    return copy;
}

size_t relay_object_read(const struct relay_object *o, uint64_t off, void *out, size_t n)
{
    uint8_t *to = out;
    size_t done = 0;
    for (; o && done < n; o = o->more) {
        if (off >= o->len) {
            off -= o->len;
            continue;
        }
        size_t take = o->len - (size_t)off < n - done ? o->len - (size_t)off : n - done;
        memcpy(to + done, o->bytes + off, take);
        done += take;
        off = 0;
    }
    return done;
}

static void give_back(struct relay_memory *m, size_t n)
{
    m->used -= n;
    if (m->used < m->below) {
        m->below = 0;
        m->freed(m->freed_arg);
    }
}

static void free_block(struct relay_object *o)
{
    struct relay_memory *m = o->memory;
    give_back(m, cost_of(o->cap));
    if (o->cap <= SMALL_MAX) {
        give_small(m, class_of(o->cap), o, cost_of(o->cap));
        return;
    }
    if (o->cap < SPARE_MIN || m->nspares == RELAY_SPARES ||
        o->cap > RELAY_SPARE_BYTES - m->spare_bytes) {
        free(o);
        return;
    }
    m->spare[m->nspares++] = o;
    m->spare_bytes += o->cap;
}

static void free_mapped(struct relay_object *o)
{
    struct mapping map;
    memcpy(&map, o->room, sizeof(map));
    give_back(o->memory, o->cap);
    free(o);
    map.release(map.arg, map.bytes, map.len);
}

/* One stretch; the memory behind a slice is never a slice itself. */
static void free_stretch(struct relay_object *o)
{
    struct relay_object *whole = o->whole;
    if (o->kind == SLICE) {
        give_back(o->memory, sizeof(*o));
        give_small(o->memory, 0, o, sizeof(*o));
        if (--whole->refs) {
            return;
        }
        o = whole;
        if (o->more) {
            relay_object_unref(o->more);
        }
    }
    if (o->kind == BLOCK) {
        free_block(o);
    } else {
        free_mapped(o);
    }
}

void relay_object_unref(struct relay_object *o)
{
    while (o && --o->refs == 0) {
        struct relay_object *more = o->more;
        free_stretch(o);
        o = more;
    }
}

void relay_memory_trim(struct relay_memory *m)
{
    while (m->nspares) {
        free(m->spare[--m->nspares]);
    }
    m->spare_bytes = 0;
    for (unsigned c = 0; c < RELAY_SMALL_CLASSES; c++) {
        struct relay_object *o;
        while ((o = take_small(m, c)) != NULL) {
            free(o);
        }
    }
}

size_t relay_memory_spare(const struct relay_memory *m)
{
    size_t n = m->spare_bytes + m->small_n[0] * sizeof(struct relay_object);
    for (unsigned c = 1; c < RELAY_SMALL_CLASSES; c++) {
        n += m->small_n[c] * cost_of((size_t)1 << (SMALL_MIN_BITS + c - 1));
    }
    return n;
}
