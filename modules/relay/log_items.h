/* SPDX-License-Identifier: MIT */
/*
 * log_items - where the items of one group lie in the log: a ring in the order of their numbers,
 * pure. Most work is at its ends; in the middle the shorter side is moved.
 */
#ifndef NK_RELAY_LOG_ITEMS_H
#define NK_RELAY_LOG_ITEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Items first .. first + copies: one object at one place. */
struct relay_log_item {
    uint64_t first;
    uint64_t copies; /* >= 1 */
    uint64_t expires_ms;
    uint64_t segment; /* its number */
    uint64_t off;     /* of the object in the segment */
    uint32_t len;     /* of the object */
    uint8_t flags;    /* enum relay_log_flags: META, CONTENT */
};

struct relay_log_items {
    struct relay_log_item *v; /* cap is a power of two */
    size_t head, n, cap;
    size_t reserved; /* room kept for items that are on their way */
};

/* relay_log_items_clear - forget all and free. */
void relay_log_items_clear(struct relay_log_items *r);

/* relay_log_items_reserve - keep room for one more, so that its insertion cannot fail;
 * relay_log_items_unreserve - it comes now, or never will. 0 or -ENOMEM. */
int relay_log_items_reserve(struct relay_log_items *r);
void relay_log_items_unreserve(struct relay_log_items *r);

/* relay_log_items_at - the i-th item (i < n); valid until the next change. */
static inline struct relay_log_item *relay_log_items_at(const struct relay_log_items *r, size_t i)
{
    return &r->v[(r->head + i) & (r->cap - 1)];
}

/* relay_log_items_find - index of the first item that ends behind number seq; n if there is none.
 */
size_t relay_log_items_find(const struct relay_log_items *r, uint64_t seq);

/* relay_log_items_insert - put item before index i. 0 or -ENOMEM. */
int relay_log_items_insert(struct relay_log_items *r, size_t i, const struct relay_log_item *item);

/* relay_log_items_erase - take out the item at index i. */
void relay_log_items_erase(struct relay_log_items *r, size_t i);

#endif
