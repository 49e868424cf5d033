/* SPDX-License-Identifier: MIT */
#include "relay/queue_fifo.h"

#include <stdlib.h>

enum { CAP_MIN = 8, CAP_KEEP = 1024 /* entries; a larger ring is given back when it runs empty */ };

void relay_fifo_clear(struct relay_fifo *f)
{
    for (size_t i = 0; i < f->n; i++) {
        relay_object_unref(relay_fifo_at(f, i)->obj);
    }
    free(f->v);
    *f = (struct relay_fifo){.popped = f->popped + f->n};
}

static int grow(struct relay_fifo *f)
{
    size_t cap = f->cap ? f->cap * 2 : CAP_MIN;
    struct relay_item *v = cap <= SIZE_MAX / sizeof(*v) / 2 ? malloc(cap * sizeof(*v)) : NULL;
    if (!v) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < f->n; i++) {
        v[i] = *relay_fifo_at(f, i);
    }
    free(f->v);
    f->v = v;
    f->cap = cap;
    f->head = 0;
    return 0;
}

int relay_fifo_push(struct relay_fifo *f, struct relay_item item)
{
    int rc = f->n == f->cap ? grow(f) : 0;
    if (rc == 0) {
        *relay_fifo_at(f, f->n++) = item;
    }
    return rc;
}

void relay_fifo_pop(struct relay_fifo *f)
{
    f->head = (f->head + 1) & (f->cap - 1);
    f->n--;
    f->popped++;
    if (f->n == 0 && f->cap > CAP_KEEP) {
        relay_fifo_clear(f);
    }
}
