/* SPDX-License-Identifier: MIT */
#include "relay/log_items.h"

#include <stdlib.h>

enum { CAP_MIN = 8 };

void relay_log_items_clear(struct relay_log_items *r)
{
    free(r->v);
    *r = (struct relay_log_items){0};
}

static int grow(struct relay_log_items *r, size_t need)
{
    size_t cap = r->cap ? r->cap : CAP_MIN;
    while (cap < need) {
        cap *= 2;
    }
    if (cap == r->cap) {
        return 0;
    }
    struct relay_log_item *v = malloc(cap * sizeof(*v));
    if (!v) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < r->n; i++) {
        v[i] = *relay_log_items_at(r, i);
    }
    free(r->v);
    r->v = v;
    r->cap = cap;
    r->head = 0;
    return 0;
}

int relay_log_items_reserve(struct relay_log_items *r)
{
    int rc = grow(r, r->n + r->reserved + 1);
    r->reserved += rc == 0;
    return rc;
}

void relay_log_items_unreserve(struct relay_log_items *r)
{
    r->reserved -= r->reserved > 0;
}

static bool ends_behind(const struct relay_log_items *r, size_t i, uint64_t seq)
{
    const struct relay_log_item *it = relay_log_items_at(r, i);
    return it->first + it->copies > seq;
}

size_t relay_log_items_find(const struct relay_log_items *r, uint64_t seq)
{
    size_t low = 0, high = r->n;
    /* nearly always it is the first one, or one of the last */
    if (high && ends_behind(r, 0, seq)) {
        return 0;
    }
    for (size_t step = 1; step < r->n; step *= 2) {
        if (!ends_behind(r, r->n - step, seq)) {
            low = r->n - step + 1;
            break;
        }
        high = r->n - step;
    }
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (ends_behind(r, mid, seq)) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    return low;
}

int relay_log_items_insert(struct relay_log_items *r, size_t i, const struct relay_log_item *item)
{
    int rc = grow(r, r->n + 1 + r->reserved);
    if (rc < 0 && r->n == r->cap) {
        return rc;
    }
    r->n++;
    if (i < r->n / 2) {
        r->head = (r->head - 1) & (r->cap - 1);
        for (size_t k = 0; k < i; k++) {
            *relay_log_items_at(r, k) = *relay_log_items_at(r, k + 1);
        }
    } else {
        for (size_t k = r->n - 1; k > i; k--) {
            *relay_log_items_at(r, k) = *relay_log_items_at(r, k - 1);
        }
    }
    *relay_log_items_at(r, i) = *item;
    return 0;
}

void relay_log_items_erase(struct relay_log_items *r, size_t i)
{
    if (i < r->n / 2) {
        for (size_t k = i; k > 0; k--) {
            *relay_log_items_at(r, k) = *relay_log_items_at(r, k - 1);
        }
        r->head = (r->head + 1) & (r->cap - 1);
    } else {
        for (size_t k = i; k + 1 < r->n; k++) {
            *relay_log_items_at(r, k) = *relay_log_items_at(r, k + 1);
        }
    }
    r->n--;
}
