/* SPDX-License-Identifier: MIT */
#include "relay/object.h"

#include <stdlib.h>
#include <string.h>

size_t relay_object_cost(size_t cap)
{
    return sizeof(struct relay_object) + cap;
}

struct relay_object *relay_object_new(size_t cap, size_t *total)
{
    if (cap > SIZE_MAX / 4) {
        return NULL;
    }
    struct relay_object *o = malloc(sizeof(*o) + cap);
    if (!o) {
        return NULL;
    }
    o->refs = 1;
    o->off = 0;
    o->len = o->cap = cap;
    o->total = total;
    if (total) {
        *total += relay_object_cost(cap);
    }
    return o;
}

struct relay_object *relay_object_copy(const void *p, size_t n, size_t *total)
{
    struct relay_object *o = relay_object_new(n, total);
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
    if (o->total) {
        *o->total -= relay_object_cost(o->cap);
    }
    free(o);
}
