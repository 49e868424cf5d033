/* SPDX-License-Identifier: MIT */
#include "relay/client_ranges.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST = 8 };

static uint64_t end_of(const struct relay_native_range *r)
{
    return r->first + r->count;
}

/* The first range that ends beyond seq. */
static uint32_t find(const struct client_ranges *r, uint64_t seq)
{
    uint32_t low = 0, high = r->n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (end_of(&r->v[middle]) > seq) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static bool inside(const struct client_ranges *r, uint32_t i, uint64_t seq)
{
    return i < r->n && r->v[i].first <= seq;
}

/* An empty place at i. */
static int open_place(struct client_ranges *r, uint32_t i)
{
    if (r->n == r->cap) {
        uint32_t cap = r->cap ? r->cap * 2 : FIRST;
        struct relay_native_range *v = realloc(r->v, cap * sizeof(*v));
        if (!v) {
            return -ENOMEM;
        }
        r->v = v;
        r->cap = cap;
    }
    memmove(r->v + i + 1, r->v + i, (r->n - i) * sizeof(*r->v));
    r->n++;
    return 0;
}

static void close_place(struct client_ranges *r, uint32_t i)
{
    r->n--;
    memmove(r->v + i, r->v + i + 1, (r->n - i) * sizeof(*r->v));
}

int client_ranges_add(struct client_ranges *r, uint64_t seq)
{
    uint32_t i = find(r, seq);
    if (inside(r, i, seq)) {
        return 0;
    }
    if (i > 0 && end_of(&r->v[i - 1]) == seq && r->v[i - 1].count < UINT32_MAX) {
        r->v[i - 1].count++;
        if (i < r->n && end_of(&r->v[i - 1]) == r->v[i].first &&
            r->v[i].count <= UINT32_MAX - r->v[i - 1].count) {
            r->v[i - 1].count += r->v[i].count;
            close_place(r, i);
        }
        return 0;
    }
    if (i < r->n && r->v[i].first == seq + 1 && r->v[i].count < UINT32_MAX) {
        r->v[i].first--;
        r->v[i].count++;
        return 0;
    }
    int status = open_place(r, i);
    if (status == 0) {
        r->v[i] = (struct relay_native_range){.first = seq, .count = 1};
    }
    return status;
}

bool client_ranges_remove(struct client_ranges *r, uint64_t seq)
{
    uint32_t i = find(r, seq);
    if (!inside(r, i, seq)) {
        return false;
    }
    struct relay_native_range *v = &r->v[i];
    if (v->first == seq) {
        v->first++;
        v->count--;
        if (v->count == 0) {
            close_place(r, i);
        }
    } else if (end_of(v) == seq + 1) {
        v->count--;
    } else if (open_place(r, i + 1) == 0) {
        v = &r->v[i];
        r->v[i + 1] =
            (struct relay_native_range){.first = seq + 1, .count = (uint32_t)(end_of(v) - seq - 1)};
        v->count = (uint32_t)(seq - v->first);
    }
    return true;
}

bool client_ranges_has(const struct client_ranges *r, uint64_t seq)
{
    return inside(r, find(r, seq), seq);
}

void client_ranges_clear(struct client_ranges *r)
{
    free(r->v);
    *r = (struct client_ranges){0};
}
