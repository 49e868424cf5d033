/* SPDX-License-Identifier: MIT */
/*
 * queue_fifo - the consumables of one group: a ring of entries in the order of their sequence
 * numbers, pure. Copies of one object are a count, not entries.
 */
#ifndef NK_RELAY_QUEUE_FIFO_H
#define NK_RELAY_QUEUE_FIFO_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "relay/object.h"

/* One object with `copies` >= 1 of it; the entry holds one reference. */
struct relay_item {
    struct relay_object *obj;
    uint64_t seq; /* order of production within the group */
    uint64_t copies;
    uint32_t tries; /* how often these copies were delivered before */
};

struct relay_fifo {
    struct relay_item *v; /* ring; cap is a power of two */
    size_t head, n, cap;
    size_t held; /* entries that may come back: room is kept for them */
};

/* relay_fifo_clear - drop all entries and the memory. */
void relay_fifo_clear(struct relay_fifo *f);

/* relay_fifo_push - append; the entry's reference is taken over. 0 or -ENOMEM (then it is not). */
int relay_fifo_push(struct relay_fifo *f, struct relay_item item);

/* relay_fifo_front - the oldest entry, or NULL. Valid until the next call on f. */
struct relay_item *relay_fifo_front(struct relay_fifo *f);

/* relay_fifo_pop - remove the front entry (there must be one) without giving its reference back. */
void relay_fifo_pop(struct relay_fifo *f);

/* relay_fifo_hold - keep room for one entry that will perhaps come back, so that its return cannot
 * fail. 0 or -ENOMEM. relay_fifo_unhold - it comes back now, or never will. */
int relay_fifo_hold(struct relay_fifo *f);
void relay_fifo_unhold(struct relay_fifo *f);

/*
 * relay_fifo_return - put n (>= 1) entries back to where their sequence numbers belong, in one
 * pass. The array must ascend by seq; its references are taken over. 0 or -ENOMEM (then nothing
 * happened); it cannot fail when each of them was held until just now.
 */
int relay_fifo_return(struct relay_fifo *f, const struct relay_item *items, size_t n);

#endif
