/* SPDX-License-Identifier: MIT */
/*
 * out - what waits to be written to one connection: small bytes packed into pooled chunks, large
 * objects by reference. An idle connection owns no memory here.
 *
 * A wire whose answers must not wait behind objects (native) puts them into a second lane with
 * relay_out_urgent; they go out before everything else, but never into the middle of a frame. For
 * that, what is appended begins a frame, unless relay_out_joined says otherwise.
 */
#ifndef NK_RELAY_OUT_H
#define NK_RELAY_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "relay/object.h"

#define RELAY_OUT_CHUNK (16 * 1024 - 16) /* bytes of one chunk */
#define RELAY_OUT_INLINE 1024            /* objects up to this size are copied */
#define RELAY_OUT_MERGE                                                                            \
    ((size_t)64 * 1024) /* neighbours in memory are joined up to this length                       \
                         */

struct relay_out_chunk {
    struct relay_out_chunk *next;
    uint32_t used;
    uint8_t data[RELAY_OUT_CHUNK];
};

struct relay_out_ring;

/* Chunks and small rings of pieces that nobody uses now; shared by the connections of a relay. */
struct relay_out_pool {
    struct relay_out_chunk *free;
    struct relay_out_ring *rings;
    size_t n, nrings, max; /* kept, and most to keep of each */
};

/* One stretch of output: len bytes of the object from off, or of the chunks. */
struct relay_out_piece {
    struct relay_object *obj; /* who owns the bytes; NULL: the next bytes of the chunks */
    const uint8_t *p;
    size_t len;
    bool inside; /* begins in the middle of a frame */
};

struct relay_out {
    struct relay_out_pool *pool;
    struct relay_out_chunk *first, *last;
    struct relay_out_piece *piece; /* ring; cap is a power of two */
    uint32_t head, n, cap;
    uint32_t first_off;                           /* bytes of the first chunk that were consumed */
    struct relay_out_chunk *urgent, *urgent_last; /* bytes of the urgent lane */
    uint32_t urgent_off;
    bool begun;  /* of the first piece, some bytes are gone */
    bool joined; /* what is appended next continues a frame */
    size_t urgent_bytes;
    size_t bytes; /* waiting, all together */
};

/* relay_out_init - empty; the pool is borrowed. relay_out_clear - drop everything. */
void relay_out_init(struct relay_out *o, struct relay_out_pool *pool);
void relay_out_clear(struct relay_out *o);

/* relay_out_pool_clear - free what is unused. */
void relay_out_pool_clear(struct relay_out_pool *p);

/* relay_out_reserve - room for n (1..RELAY_OUT_CHUNK) bytes in one place, or NULL when memory is
 * missing. Write there, then relay_out_commit the bytes used (1..n). */
uint8_t *relay_out_reserve(struct relay_out *o, size_t n);
void relay_out_commit(struct relay_out *o, size_t n);

/* relay_out_object - append an object's bytes, all its fragments, by reference. 0 or -ENOMEM (then
 * some fragments may have been appended). */
int relay_out_object(struct relay_out *o, struct relay_object *obj);

/* relay_out_bytes - append len bytes at p, which live as long as obj. 0 or -ENOMEM. */
int relay_out_bytes(struct relay_out *o, struct relay_object *obj, const uint8_t *p, size_t len);

/* relay_out_joined - what is appended next continues the frame that was appended last. */
static inline void relay_out_joined(struct relay_out *o)
{
    o->joined = true;
}

/* relay_out_urgent - room for n (1..RELAY_OUT_CHUNK) bytes of whole frames in the lane that goes
 * first, to be written before anything else is called; NULL when memory is missing. */
uint8_t *relay_out_urgent(struct relay_out *o, size_t n);

/* relay_out_iov - describe the first bytes in at most max buffers; returns how many. */
int relay_out_iov(const struct relay_out *o, struct iovec *iov, int max);

/* relay_out_consume - the first n (<= bytes) were written. */
void relay_out_consume(struct relay_out *o, size_t n);

#endif
