/* SPDX-License-Identifier: MIT */
/* The buffers of all TLS streams of an app: only those that move bytes hold some. */
#include <stdlib.h>

#include "core/app.h"
#include "tls/internal.h"

enum {
    MAX_FREE_BLOCKS = 8, /* kept for the next turn; more are freed */
    CROWDED = 32         /* blocks out: 2.6 MiB */
};

struct free_item {
    struct free_item *next;
};

struct tls_io {
    struct free_item *blocks;
    size_t nblocks; /* free ones */
    size_t out;     /* blocks in use */
    struct tls_park_pool parking;
};

static const char io_key = 0;

static void release_io(void *value)
{
    struct tls_io *io = value;
    struct free_item *i;
    while ((i = io->blocks) != NULL) {
        io->blocks = i->next;
        free(i);
    }
    tls_park_pool_clear(&io->parking);
    free(io);
}

struct tls_park_pool *tls_io_parking(struct tls_io *io)
{
    return &io->parking;
}

struct tls_io *tls_io_get(struct nk_app *app)
{
    struct tls_io *io = nk_app_slot(app, &io_key);
    if (io) {
        return io;
    }
    io = calloc(1, sizeof(*io));
    if (io && nk_app_slot_set(app, &io_key, io, release_io) < 0) {
        free(io);
        return NULL;
    }
    return io;
}

uint8_t *tls_block_take(struct tls_io *io)
{
    struct free_item *i = io->blocks;
    if (i) {
        io->blocks = i->next;
        io->nblocks--;
    } else if ((i = malloc(TLS_BLOCK)) == NULL) {
        return NULL;
    }
    io->out++;
    return (uint8_t *)i;
}

void tls_block_give(struct tls_io *io, uint8_t *block)
{
    struct free_item *i = (struct free_item *)(void *)block;
    if (!block) {
        return;
    }
    io->out--;
    if (io->nblocks == MAX_FREE_BLOCKS) {
        free(i);
        return;
    }
    i->next = io->blocks;
    io->blocks = i;
    io->nblocks++;
}

bool tls_io_crowded(const struct tls_io *io)
{
    return io->out > CROWDED;
}
