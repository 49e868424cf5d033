/* SPDX-License-Identifier: MIT */
#include "relay/queue_fifo.h"

#include <stdlib.h>

enum { CAP_MIN = 8, CAP_KEEP = 1024 /* entries; a larger ring is given back when it runs empty */ };

static struct relay_item *at(const struct relay_fifo *f, size_t i)
{
    return &f->v[(f->head + i) & (f->cap - 1)];
}

void relay_fifo_clear(struct relay_fifo *f)
{
    for (size_t i = 0; i < f->n; i++) {
        relay_object_unref(at(f, i)->obj);
    }
    free(f->v);
    *f = (struct relay_fifo){0};
}

static int reserve(struct relay_fifo *f, size_t more)
{
    size_t cap = f->cap ? f->cap : CAP_MIN;
    while (cap - f->n - f->held < more) {
        if (cap > SIZE_MAX / sizeof(*f->v) / 4) {
            return -ENOMEM;
        }
        cap *= 2;
    }
    if (cap == f->cap) {
        return 0;
    }
    struct relay_item *v = malloc(cap * sizeof(*v));
    if (!v) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < f->n; i++) {
        v[i] = *at(f, i);
    }
    free(f->v);
    f->v = v;
    f->cap = cap;
    f->head = 0;
    return 0;
}

int relay_fifo_push(struct relay_fifo *f, struct relay_item item)
{
    int rc = reserve(f, 1);
    if (rc == 0) {
        *at(f, f->n++) = item;
    }
    return rc;
}

struct relay_item *relay_fifo_front(struct relay_fifo *f)
{
    return f->n ? at(f, 0) : NULL;
}

void relay_fifo_pop(struct relay_fifo *f)
{
    f->head = (f->head + 1) & (f->cap - 1);
    f->n--;
    if (f->n == 0 && f->held == 0 && f->cap > CAP_KEEP) {
        relay_fifo_clear(f);
    }
}

int relay_fifo_hold(struct relay_fifo *f)
{
    int rc = reserve(f, 1);
    if (rc == 0) {
        f->held++;
    }
    return rc;
}

void relay_fifo_unhold(struct relay_fifo *f)
{
    f->held--;
}

int relay_fifo_return(struct relay_fifo *f, const struct relay_item *items, size_t n)
{
    int rc = reserve(f, n);
    if (rc < 0) {
        return rc;
    }
    /* make room in front, then merge towards it: the place written to is never ahead of the entry
     * that is read next */
    size_t old = n, from = 0, to = 0;
    f->head = (f->head + f->cap - n) & (f->cap - 1);
    f->n += n;
    while (from < n) {
        if (old < f->n && at(f, old)->seq <= items[from].seq) {
            *at(f, to++) = *at(f, old++);
        } else {
            *at(f, to++) = items[from++];
        }
    }
    return 0;
}
