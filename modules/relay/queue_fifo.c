/* SPDX-License-Identifier: MIT */
#include "relay/queue_fifo.h"

#include <stdlib.h>

enum {
    BLOCK = RELAY_FIFO_BLOCK,
    DIR_MIN = 4,
    DIR_KEEP = 64 /* blocks; a larger directory is given back when the queue runs empty */
};

static void free_blocks(struct relay_fifo *f)
{
    for (size_t i = 0; i < f->blocks; i++) {
        free(f->dir[(f->first + i) & (f->cap - 1)]);
    }
    free(f->spare);
    free(f->dir);
    *f = (struct relay_fifo){.popped = f->popped};
}

void relay_fifo_clear(struct relay_fifo *f)
{
    for (size_t i = 0; i < f->n; i++) {
        relay_object_unref(relay_fifo_at(f, i)->obj);
    }
    f->popped += f->n;
    free_blocks(f);
}

static int grow(struct relay_fifo *f)
{
    size_t cap = f->cap ? f->cap * 2 : DIR_MIN;
    struct relay_fifo_block **v = malloc(cap * sizeof(struct relay_fifo_block *));
    if (!v) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < f->blocks; i++) {
        v[i] = f->dir[(f->first + i) & (f->cap - 1)];
    }
    free(f->dir);
    f->dir = v;
    f->cap = cap;
    f->first = 0;
    return 0;
}

static int add_block(struct relay_fifo *f)
{
    if (f->blocks == f->cap && grow(f) < 0) {
        return -ENOMEM;
    }
    struct relay_fifo_block *b = f->spare ? f->spare : malloc(sizeof(*b));
    if (!b) {
        return -ENOMEM;
    }
    f->spare = NULL;
    f->dir[(f->first + f->blocks++) & (f->cap - 1)] = b;
    return 0;
}

struct relay_item *relay_fifo_add(struct relay_fifo *f)
{
    if (f->head + f->n == f->blocks * BLOCK && add_block(f) < 0) {
        return NULL;
    }
    return relay_fifo_at(f, f->n++);
}

void relay_fifo_pop(struct relay_fifo *f)
{
    f->n--;
    f->popped++;
    if (f->n == 0 && f->cap > DIR_KEEP) {
        free_blocks(f); /* a burst is over */
        return;
    }
    if (f->n == 0 && f->blocks == 1) {
        f->head = 0;
        free(f->spare);
        f->spare = NULL;
        return;
    }
    if (++f->head == BLOCK) {
        free(f->spare);
        f->spare = f->dir[f->first];
        f->first = (f->first + 1) & (f->cap - 1);
        f->blocks--;
        f->head = 0;
    }
}
