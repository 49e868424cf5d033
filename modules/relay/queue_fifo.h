/* SPDX-License-Identifier: MIT */
/*
 * queue_fifo - the consumables of one group that were never handed out: entries in the order of
 * their sequence numbers, pure. Copies of one object are a count, not entries. They lie in small
 * blocks, so that a queue of millions grows without copying them.
 */
#ifndef NK_RELAY_QUEUE_FIFO_H
#define NK_RELAY_QUEUE_FIFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "relay/object.h"

/* One object with `copies` of it; the entry holds one reference. In the middle an entry
 * may be empty: obj NULL, copies 0. */
struct relay_item {
    struct relay_object *obj;
    uint64_t seq; /* of the first copy that is left */
    uint64_t copies;
    uint64_t expires_ms; /* wall clock, 0 = never */
};

#define RELAY_FIFO_BLOCK 16 /* entries: half a KiB */

struct relay_fifo_block {
    struct relay_item v[RELAY_FIFO_BLOCK];
};

struct relay_fifo {
    struct relay_fifo_block **dir; /* ring of blocks; cap is a power of two */
    size_t first, blocks, cap;     /* first: place of the oldest block */
    size_t head;                   /* oldest entry in that block, < RELAY_FIFO_BLOCK */
    size_t n;                      /* entries */
    uint64_t popped;               /* entries that were removed in front, ever */
    struct relay_fifo_block *spare;
};

/* relay_fifo_clear - drop all entries and the memory. */
void relay_fifo_clear(struct relay_fifo *f);

/* relay_fifo_add - a new last entry, to be filled in at once (the reference in it, too). NULL when
 * memory is missing. */
struct relay_item *relay_fifo_add(struct relay_fifo *f);

/* relay_fifo_pop - remove the front entry (there must be one) without giving its reference back. */
void relay_fifo_pop(struct relay_fifo *f);

/* relay_fifo_at - entry i (< n), 0 is the oldest. Valid until the next call on f. */
static inline struct relay_item *relay_fifo_at(const struct relay_fifo *f, size_t i)
{
    size_t k = f->head + i;
    return &f->dir[(f->first + k / RELAY_FIFO_BLOCK) & (f->cap - 1)]->v[k % RELAY_FIFO_BLOCK];
}

/* relay_fifo_front - the oldest entry, or NULL. Valid until the next call on f. */
static inline struct relay_item *relay_fifo_front(const struct relay_fifo *f)
{
    return f->n ? &f->dir[f->first]->v[f->head] : 0;
}

#endif
