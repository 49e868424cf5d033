/* SPDX-License-Identifier: MIT */
#include "relay/out.h"

#include <errno.h>
#include <stdlib.h>

enum { PIECES_MIN = 8 };

/* A ring of PIECES_MIN pieces that waits in the pool. */
struct relay_out_ring {
    struct relay_out_ring *next;
};

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
    while (p->rings) {
        struct relay_out_ring *r = p->rings;
        p->rings = r->next;
        free(r);
    }
    p->n = p->nrings = 0;
}

static struct relay_out_piece *ring_new(struct relay_out_pool *p, uint32_t cap)
{
    struct relay_out_ring *r = p->rings;
    if (cap != PIECES_MIN || !r) {
        return malloc(cap * sizeof(struct relay_out_piece));
    }
    p->rings = r->next;
    p->nrings--;
    return (struct relay_out_piece *)(void *)r;
}

static void ring_free(struct relay_out_pool *p, struct relay_out_piece *v, uint32_t cap)
{
    if (cap != PIECES_MIN || p->nrings >= p->max) {
        free(v);
        return;
    }
    struct relay_out_ring *r = (struct relay_out_ring *)(void *)v;
    r->next = p->rings;
    p->rings = r;
    p->nrings++;
}

static struct relay_out_piece *piece_at(const struct relay_out *o, uint32_t i)
{
    return &o->piece[(o->head + i) & (o->cap - 1)];
}

static void chunks_clear(struct relay_out_pool *pool, struct relay_out_chunk *c)
{
    while (c) {
        struct relay_out_chunk *next = c->next;
        chunk_free(pool, c);
        c = next;
    }
}

void relay_out_clear(struct relay_out *o)
{
    for (uint32_t i = 0; i < o->n; i++) {
        relay_object_unref(piece_at(o, i)->obj);
    }
    chunks_clear(o->pool, o->first);
    chunks_clear(o->pool, o->urgent);
    ring_free(o->pool, o->piece, o->cap);
    relay_out_init(o, o->pool);
}

static int piece_grow(struct relay_out *o)
{
    uint32_t cap = o->cap ? o->cap * 2 : PIECES_MIN;
    struct relay_out_piece *v = cap > o->cap ? ring_new(o->pool, cap) : NULL;
    if (!v) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < o->n; i++) {
        v[i] = *piece_at(o, i);
    }
    ring_free(o->pool, o->piece, o->cap);
    o->piece = v;
    o->cap = cap;
    o->head = 0;
    return 0;
}

static int piece_add(struct relay_out *o, struct relay_object *obj, const uint8_t *p, size_t len)
{
    if (o->n == o->cap && piece_grow(o) < 0) {
        return -ENOMEM;
    }
    *piece_at(o, o->n++) =
        (struct relay_out_piece){.obj = obj, .p = p, .len = len, .inside = o->joined};
    o->joined = false;
    return 0;
}

/* Is the last piece one of the chunks, so that it can grow? */
static bool open_piece(const struct relay_out *o)
{
    return o->n && !piece_at(o, o->n - 1)->obj;
}

/* Room for n bytes at the end of a list of chunks. */
static uint8_t *chunk_room(struct relay_out_pool *pool, struct relay_out_chunk **first,
                           struct relay_out_chunk **last, size_t n)
{
    if (!*last || RELAY_OUT_CHUNK - (*last)->used < n) {
        struct relay_out_chunk *c = chunk_new(pool);
        if (!c) {
            return NULL;
        }
        *(*last ? &(*last)->next : first) = c;
        *last = c;
    }
    return (*last)->data + (*last)->used;
}

uint8_t *relay_out_reserve(struct relay_out *o, size_t n)
{
    bool fresh = !o->last || RELAY_OUT_CHUNK - o->last->used < n;
    if (o->n == o->cap && piece_grow(o) < 0) {
        return NULL;
    }
    uint8_t *p = chunk_room(o->pool, &o->first, &o->last, n);
    if (p && (fresh || !open_piece(o))) { /* no piece crosses from one chunk to the next */
        piece_add(o, NULL, NULL, 0);
    }
    o->joined = false;
    return p;
}

void relay_out_commit(struct relay_out *o, size_t n)
{
    o->last->used += (uint32_t)n;
    piece_at(o, o->n - 1)->len += n;
    o->bytes += n;
}

uint8_t *relay_out_urgent(struct relay_out *o, size_t n)
{
    uint8_t *p = chunk_room(o->pool, &o->urgent, &o->urgent_last, n);
    if (p) {
        o->urgent_last->used += (uint32_t)n;
        o->urgent_bytes += n;
        o->bytes += n;
    }
    return p;
}

/* The last piece, when these bytes follow it in the same memory. */
static struct relay_out_piece *
neighbour(const struct relay_out *o, const struct relay_object *owner, const uint8_t *p, size_t len)
{
    struct relay_out_piece *last = o->n ? piece_at(o, o->n - 1) : NULL;
    return last && last->obj == owner && last->p + last->len == p &&
                   last->len + len <= RELAY_OUT_MERGE
               ? last
               : NULL;
}

int relay_out_bytes(struct relay_out *o, struct relay_object *obj, const uint8_t *p, size_t len)
{
    struct relay_object *owner = obj->whole ? obj->whole : obj;
    struct relay_out_piece *last = neighbour(o, owner, p, len);
    if (len == 0) {
        o->joined = false;
        return 0;
    }
    if (last) {
        last->len += len;
        o->joined = false;
    } else if (piece_add(o, owner, p, len) < 0) {
        return -ENOMEM;
    } else {
        relay_object_ref(owner);
    }
    o->bytes += len;
    return 0;
}

int relay_out_object(struct relay_out *o, struct relay_object *obj)
{
    int rc = relay_out_bytes(o, obj, obj->bytes, obj->len);
    for (struct relay_object *f = obj->more; f && rc == 0; f = f->more) {
        relay_out_joined(o);
        rc = relay_out_bytes(o, f, f->bytes, f->len);
    }
    return rc;
}

/* --- writing ---------------------------------------------------------------------------------- */

struct iov_list {
    struct iovec *v;
    int n, max;
};

static void iov_add(struct iov_list *l, const uint8_t *p, size_t len)
{
    l->v[l->n++] = (struct iovec){.iov_base = (void *)(uintptr_t)p, .iov_len = len};
}

/* How many pieces must go before the urgent lane may. */
static uint32_t pieces_first(const struct relay_out *o)
{
    uint32_t i = 0;
    if (o->urgent_bytes == 0) {
        return o->n;
    }
    if (o->begun || (o->n && piece_at(o, 0)->inside)) {
        for (i = 1; i < o->n && piece_at(o, i)->inside; i++) {
        }
    }
    return i;
}

static void iov_urgent(const struct relay_out *o, struct iov_list *l)
{
    uint32_t off = o->urgent_off;
    for (const struct relay_out_chunk *c = o->urgent; c && l->n < l->max; c = c->next) {
        if (c->used > off) {
            iov_add(l, c->data + off, c->used - off);
        }
        off = 0;
    }
}

int relay_out_iov(const struct relay_out *o, struct iovec *iov, int max)
{
    struct iov_list l = {.v = iov, .max = max};
    const struct relay_out_chunk *c = o->first;
    uint32_t off = o->first_off, first = pieces_first(o);
    for (uint32_t i = 0; l.n < max; i++) {
        if (i == first && o->urgent_bytes) {
            iov_urgent(o, &l);
        }
        if (i == o->n || l.n == max) {
            break;
        }
        const struct relay_out_piece *p = piece_at(o, i);
        if (p->obj) {
            iov_add(&l, p->p, p->len);
            continue;
        }
        if (p->len == 0) { /* reserved, not used */
            continue;
        }
        while (off == c->used) {
            c = c->next;
            off = 0;
        }
        iov_add(&l, c->data + off, p->len);
        off += (uint32_t)p->len;
    }
    return l.n;
}

/* n bytes of the urgent lane are done with. */
static void urgent_consume(struct relay_out *o, size_t n)
{
    o->urgent_bytes -= n;
    while (n) {
        struct relay_out_chunk *c = o->urgent;
        size_t take = c->used - o->urgent_off < n ? c->used - o->urgent_off : n;
        o->urgent_off += (uint32_t)take;
        n -= take;
        if (o->urgent_off == c->used) {
            o->urgent = c->next;
            o->urgent_off = 0;
            chunk_free(o->pool, c);
        }
    }
    if (!o->urgent) {
        o->urgent_last = NULL;
    }
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

/* At most n bytes of the first piece are done with; returns how many. */
static size_t piece_consume(struct relay_out *o, size_t n)
{
    struct relay_out_piece *p = piece_at(o, 0);
    size_t take = p->len < n ? p->len : n;
    if (p->obj) {
        p->p += take;
    } else {
        chunks_consume(o, take);
    }
    p->len -= take;
    o->begun = p->len != 0;
    if (p->len == 0) {
        relay_object_unref(p->obj);
        o->head = (o->head + 1) & (o->cap - 1);
        o->n--;
    }
    return take;
}

/* An idle connection keeps nothing. */
static void idle(struct relay_out *o)
{
    chunks_clear(o->pool, o->first);
    o->first = o->last = NULL;
    o->first_off = 0;
    o->n = 0;
    o->begun = false;
    ring_free(o->pool, o->piece, o->cap);
    o->piece = NULL;
    o->cap = o->head = 0;
}

void relay_out_consume(struct relay_out *o, size_t n)
{
    uint32_t first = pieces_first(o);
    o->bytes -= n;
    while (n) {
        if (first == 0 && o->urgent_bytes) {
            size_t take = o->urgent_bytes < n ? o->urgent_bytes : n;
            urgent_consume(o, take);
            n -= take;
            first = o->n;
            continue;
        }
        uint32_t before = o->n;
        n -= piece_consume(o, n);
        first -= before - o->n;
    }
    if (o->bytes == 0) {
        idle(o);
    }
}
