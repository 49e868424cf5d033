/* SPDX-License-Identifier: MIT */
/*
 * Where connections read to. All of a hub read into one chunk, one after the other: what arrives
 * for an engine is a slice of it. When nobody holds a slice any more it is used again from its
 * beginning; a connection in the middle of a long frame takes the chunk along until the frame's
 * end.
 */
#include <stdlib.h>
#include <string.h>

#include "relay/conn.h"

enum {
    CHUNK = 128 * 1024,       /* stays in the second-level cache */
    CHUNK_LONG = 1024 * 1024, /* for long frames: few of them lie across two chunks */
    LONG_FRAME = 32 * 1024,
    ROOM_MIN = 16 * 1024, /* less is not worth a call of read */
    STASH_MAX = 4096      /* longer beginnings of frames keep their chunk */
};

/* From the beginning again, when nobody looks at it any more. */
static size_t start_of(const struct relay_object *k, size_t used)
{
    return k->refs == 1 ? 0 : used;
}

static struct relay_object *chunk_new(struct relay_hub *h, size_t frame)
{
    size_t size = frame > LONG_FRAME ? CHUNK_LONG : CHUNK;
    return relay_object_new(h->conf.memory, size - RELAY_HEADROOM);
}

/* The hub's chunk, with room for a frame of that length, becomes the connection's. */
static int take_chunk(struct relay_conn *c, size_t frame)
{
    struct relay_hub *h = c->hub;
    size_t want = frame > ROOM_MIN ? frame : ROOM_MIN;
    struct relay_object *k = h->rx;
    size_t at = k ? start_of(k, h->rx_used) : 0;
    h->rx = NULL;
    if (k && k->len - at < want) {
        relay_object_unref(k);
        k = NULL;
    }
    if (!k) {
        at = 0;
        k = chunk_new(h, frame);
    }
    if (!k) {
        return -ENOMEM;
    }
    c->rx = k;
    c->rx_at = at;
    return 0;
}

uint8_t *relay_rx_take(struct relay_conn *c, size_t *room)
{
    struct relay_object *old = c->rx;
    const uint8_t *left = old ? old->bytes + c->rx_at : c->stash;
    size_t n = old ? c->rx_len : c->stash_len;
    size_t frame = c->need > n + 1 ? c->need : n + 1;
    if (old && n == 0) {
        c->rx_at = start_of(old, c->rx_at);
    }
    if (!old || old->len - c->rx_at < frame || old->len - c->rx_at - n < ROOM_MIN) {
        c->rx = NULL;
        if (take_chunk(c, frame) < 0) {
            c->rx = old;
            return NULL;
        }
        if (n) {
            memcpy(c->rx->bytes + c->rx_at, left, n);
        }
        c->rx_len = n;
        c->stash_len = 0;
        relay_object_unref(old);
    }
    *room = c->rx->len - c->rx_at - c->rx_len;
    return c->rx->bytes + c->rx_at + c->rx_len;
}

static int stash(struct relay_conn *c)
{
    if (c->rx_len > c->stash_cap) {
        uint8_t *v = malloc(c->rx_len);
        if (!v) {
            return -ENOMEM;
        }
        free(c->stash);
        c->stash = v;
        c->stash_cap = c->rx_len;
    }
    memcpy(c->stash, c->rx->bytes + c->rx_at, c->rx_len);
    c->stash_len = c->rx_len;
    c->rx_len = 0;
    return 0;
}

int relay_rx_park(struct relay_conn *c)
{
    struct relay_hub *h = c->hub;
    if (!c->rx || c->rx_len > STASH_MAX) {
        return 0;
    }
    if (c->rx_len && stash(c) < 0) {
        return -ENOMEM;
    }
    if (h->rx) {
        relay_object_unref(c->rx);
    } else {
        h->rx = c->rx;
        h->rx_used = c->rx_at;
    }
    c->rx = NULL;
    return 0;
}

void relay_rx_drop(struct relay_conn *c)
{
    relay_object_unref(c->rx);
    c->rx = NULL;
    c->rx_len = 0;
}
