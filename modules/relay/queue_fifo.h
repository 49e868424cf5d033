/* SPDX-License-Identifier: MIT */
/*
 * queue_fifo - the consumables of one group that were never handed out: a ring of entries in the
 * order of their sequence numbers, pure. Copies of one object are a count, not entries.
 */
#ifndef NK_RELAY_QUEUE_FIFO_H
#define NK_RELAY_QUEUE_FIFO_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "relay/object.h"

/* One object with `copies` of it; the entry holds one reference. In the middle of the ring an entry
 * may be empty: obj NULL, copies 0. */
struct relay_item {
    struct relay_object *obj;
    uint64_t seq; /* of the first copy that is left */
    uint64_t copies;
    uint64_t expires_ms; /* wall clock, 0 = never */
};

struct relay_fifo {
    struct relay_item *v; /* ring; cap is a power of two */
    size_t head, n, cap;
    uint64_t popped; /* entries that were removed in front, ever */
};

/* relay_fifo_clear - drop all entries and the memory. */
void relay_fifo_clear(struct relay_fifo *f);

/* relay_fifo_push - append; the entry's reference is taken over. 0 or -ENOMEM (then it is not). */
int relay_fifo_push(struct relay_fifo *f, struct relay_item item);

/* relay_fifo_pop - remove the front entry (there must be one) without giving its reference back. */
void relay_fifo_pop(struct relay_fifo *f);

/* relay_fifo_at - entry i (< n), 0 is the oldest. Valid until the next call on f. */
static inline struct relay_item *relay_fifo_at(const struct relay_fifo *f, size_t i)
{
    return &f->v[(f->head + i) & (f->cap - 1)];
}

/* relay_fifo_front - the oldest entry, or NULL. Valid until the next call on f. */
static inline struct relay_item *relay_fifo_front(const struct relay_fifo *f)
{
    return f->n ? &f->v[f->head] : NULL;
}

#endif
