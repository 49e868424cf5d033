/* SPDX-License-Identifier: MIT */
#include "relay/out.h"

#include <errno.h>
#include <stdlib.h>

enum { PIECES_MIN = 8, PIECES_KEEP = 64 };

void relay_out_init(struct relay_out *o, struct relay_out_pool *pool)
{
    *o = (struct relay_out){.pool = pool};
}

static void chunk_free(struct relay_out_pool *p, struct relay_out_chunk *c)
{
    if (p->n >= p->max) {
        free(c);
        return;
    }
    c->next = p->free;
    p->free = c;
    p->n++;
}

static struct relay_out_chunk *chunk_new(struct relay_out_pool *p)
{
    struct relay_out_chunk *c = p->free;
    if (c) {
        p->free = c->next;
        p->n--;
    } else if ((c = malloc(sizeof(*c))) == NULL) {
        return NULL;
    }
    c->next = NULL;
    c->used = 0;
    return c;
}

void relay_out_pool_clear(struct relay_out_pool *p)
{
    while (p->free) {
        struct relay_out_chunk *c = p->free;
        p->free = c->next;
        free(c);
    }
    p->n = 0;
}

static struct relay_out_piece *piece_at(const struct relay_out *o, uint32_t i)
{
    return &o->piece[(o->head + i) & (o->cap - 1)];
}

void relay_out_clear(struct relay_out *o)
{
    for (uint32_t i = 0; i < o->n; i++) {
        relay_object_unref(piece_at(o, i)->obj);
    }
    while (o->first) {
        struct relay_out_chunk *c = o->first;
        o->first = c->next;
        chunk_free(o->pool, c);
    }
    free(o->piece);
    relay_out_init(o, o->pool);
}

static int piece_add(struct relay_out *o, struct relay_object *obj, size_t off, size_t len)
{
    if (o->n == o->cap) {
        uint32_t cap = o->cap ? o->cap * 2 : PIECES_MIN;
        struct relay_out_piece *v = cap > o->cap ? malloc(cap * sizeof(*v)) : NULL;
        if (!v) {
            return -ENOMEM;
        }
        for (uint32_t i = 0; i < o->n; i++) {
            v[i] = *piece_at(o, i);
        }
        free(o->piece);
        o->piece = v;
        o->cap = cap;
        o->head = 0;
    }
    *piece_at(o, o->n++) = (struct relay_out_piece){.obj = obj, .off = off, .len = len};
    return 0;
}

/* Is the last piece one of the chunks, so that it can grow? */
static bool open_piece(const struct relay_out *o)
{
    return o->n && !piece_at(o, o->n - 1)->obj;
}

uint8_t *relay_out_reserve(struct relay_out *o, size_t n)
{
    if (!o->last || RELAY_OUT_CHUNK - o->last->used < n) {
        struct relay_out_chunk *c = chunk_new(o->pool);
        if (!c) {
            return NULL;
        }
        *(o->last ? &o->last->next : &o->first) = c;
        o->last = c;
    }
    if (!open_piece(o) && piece_add(o, NULL, 0, 0) < 0) {
        return NULL;
    }
    return o->last->data + o->last->used;
}

void relay_out_commit(struct relay_out *o, size_t n)
{
    o->last->used += (uint32_t)n;
    piece_at(o, o->n - 1)->len += n;
    o->bytes += n;
}

int relay_out_object(struct relay_out *o, struct relay_object *obj)
{
    for (; obj; obj = obj->more) {
        int rc = obj->len ? piece_add(o, obj, 0, obj->len) : 0;
        if (rc < 0) {
            return rc;
        }
        if (obj->len) {
            relay_object_ref(obj);
            o->bytes += obj->len;
        }
    }
    return 0;
}

int relay_out_iov(const struct relay_out *o, struct iovec *iov, int max)
{
    const struct relay_out_chunk *c = o->first;
    uint32_t off = o->first_off;
    int n = 0;
    for (uint32_t i = 0; i < o->n && n < max; i++) {
        const struct relay_out_piece *p = piece_at(o, i);
        if (p->obj) {
            iov[n++] = (struct iovec){.iov_base = p->obj->bytes + p->off, .iov_len = p->len};
            continue;
        }
        for (size_t left = p->len; left && n < max;) {
            while (off == c->used) {
                c = c->next;
                off = 0;
            }
            size_t take = c->used - off < left ? c->used - off : left;
            iov[n++] =
                (struct iovec){.iov_base = (void *)(uintptr_t)(c->data + off), .iov_len = take};
            off += (uint32_t)take;
            left -= take;
        }
    }
    return n;
}

/* n bytes of the chunks are done with. */
static void chunks_consume(struct relay_out *o, size_t n)
{
    while (n) {
        struct relay_out_chunk *c = o->first;
        size_t take = c->used - o->first_off < n ? c->used - o->first_off : n;
        o->first_off += (uint32_t)take;
        n -= take;
        if (o->first_off == c->used && c->next) {
            o->first = c->next;
            o->first_off = 0;
            chunk_free(o->pool, c);
        }
    }
}

void relay_out_consume(struct relay_out *o, size_t n)
{
    o->bytes -= n;
    while (n) {
        struct relay_out_piece *p = piece_at(o, 0);
        size_t take = p->len < n ? p->len : n;
        if (!p->obj) {
            chunks_consume(o, take);
        }
        p->off += take;
        p->len -= take;
        n -= take;
        if (p->len == 0) {
            relay_object_unref(p->obj);
            o->head = (o->head + 1) & (o->cap - 1);
            o->n--;
        }
    }
    if (o->bytes == 0) { /* an idle connection keeps a few pieces at most */
        if (o->first) {
            chunk_free(o->pool, o->first);
        }
        o->first = o->last = NULL;
        o->first_off = 0;
        o->n = 0;
        if (o->cap > PIECES_KEEP) {
            free(o->piece);
            o->piece = NULL;
            o->cap = o->head = 0;
        }
    }
}
