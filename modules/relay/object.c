/* SPDX-License-Identifier: MIT */
#include "relay/object.h"

#include <stdlib.h>
#include <string.h>

enum {
    SPARE_MIN = 16 * 1024, /* smaller blocks are the allocator's business */
    STEPS = 8              /* sizes of large blocks within each power of two */
};

/* Large blocks come in few sizes, so that one object's block fits the next. */
static size_t round_up(size_t cap)
{
    size_t step = SPARE_MIN / STEPS;
    if (cap < SPARE_MIN) {
        return cap;
    }
    while (step * 2 * STEPS <= cap) {
        step *= 2;
    }
    return (cap + step - 1) / step * step;
}

size_t relay_object_cost(size_t cap)
{
    return sizeof(struct relay_object) + round_up(cap);
}

static struct relay_object *take_spare(struct relay_memory *m, size_t cap)
{
    for (size_t i = 0; i < m->nspares; i++) {
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
    if (cap > SIZE_MAX / 4) {
        return NULL;
    }
    size_t rounded = round_up(cap);
    struct relay_object *o = rounded >= SPARE_MIN ? take_spare(m, rounded) : NULL;
    if (!o && (o = malloc(sizeof(*o) + rounded)) == NULL) {
        return NULL;
    }
    o->refs = 1;
    o->off = 0;
    o->len = cap;
    o->cap = rounded;
    o->memory = m;
    m->used += sizeof(*o) + rounded;
    return o;
}

struct relay_object *relay_object_copy(struct relay_memory *m, const void *p, size_t n)
{
    struct relay_object *o = relay_object_new(m, n);
    if (o && n) {
        memcpy(o->data, p, n);
    }
    return o;
}

void relay_object_unref(struct relay_object *o)
{
    if (!o || --o->refs) {
        return;
    }
    struct relay_memory *m = o->memory;
    m->used -= sizeof(*o) + o->cap;
    if (o->cap < SPARE_MIN || m->nspares == RELAY_SPARES ||
        o->cap > RELAY_SPARE_BYTES - m->spare_bytes) {
        free(o);
        return;
    }
    m->spare[m->nspares++] = o;
    m->spare_bytes += o->cap;
}

void relay_memory_trim(struct relay_memory *m)
{
    while (m->nspares) {
        free(m->spare[--m->nspares]);
    }
    m->spare_bytes = 0;
}
