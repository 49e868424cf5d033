/* SPDX-License-Identifier: MIT */
/*
 * object - one user object: opaque bytes, held once and shared by reference between the queue and
 * every receiver. Not thread-safe: one loop owns all references.
 *
 * The bytes lie in a block of their own, in a part of another object's bytes (a slice: a receive
 * chunk with many objects in it), or in memory of somebody else that is told when nobody needs it
 * any more (mapped: a log segment). A long object is a chain of fragments, which is never made
 * contiguous. A run is a stretch of complete native frames, all broadcasts to one group
 * (wire_native.h).
 */
#ifndef NK_RELAY_OBJECT_H
#define NK_RELAY_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RELAY_SPARES 64                              /* large blocks kept for the next object */
#define RELAY_SPARE_BYTES ((size_t)16 * 1024 * 1024) /* all of them together, at most */
#define RELAY_SMALL_CLASSES 7 /* slices, and blocks for 64, 128 .. 2048 bytes */
#define RELAY_SMALL_BYTES ((size_t)8 * 1024 * 1024) /* kept of each, at most */
#define RELAY_HEADROOM 16 /* bytes in front of an object: a header of the native wire */

/* Bits of `flags`: those of the native wire's object frames that belong to the object itself. */
enum relay_object_flags {
    RELAY_OBJECT_META = 0x02,   /* the bytes begin with a block of metadata */
    RELAY_OBJECT_CONTENT = 0x0c /* content type, enum relay_content << 2 */
};

struct relay_object;

/* Memory of all objects of a relay. Zero it; it must outlive them. Freed blocks are kept for a
 * while: large new ones cost a page fault per 4 KiB, small ones a call of the allocator each. */
struct relay_memory {
    size_t used;              /* bytes of all objects alive; what slices share is counted once */
    size_t below;             /* once `used` is less, `freed` runs, and below is 0: nobody waits */
    void (*freed)(void *arg); /* from inside relay_object_unref: it only makes a note */
    void *freed_arg;
    struct relay_object *spare[RELAY_SPARES];
    size_t nspares, spare_bytes;
    struct relay_object *small[RELAY_SMALL_CLASSES];
    size_t small_n[RELAY_SMALL_CLASSES];
    uint64_t taken; /* objects that came from what was kept: traffic, for who decides to trim */
};

struct relay_object {
    uint32_t refs;
    uint32_t frames; /* > 0: a run of that many frames, headers included */
    uint8_t flags;   /* enum relay_object_flags; of a chain's head for all of it */
    uint8_t kind;    /* private */
    /* RELAY_HEADROOM bytes in front of `bytes` may be written: true of blocks and of their slices
     * (whoever slices sees to it that those bytes are nobody else's), false of runs, mapped memory
     * and its slices. */
    bool headroom;
    bool stamped;              /* for sessions: a header stands there, and others may send it */
    uint32_t publisher;        /* who broadcast it (relay_hub_publisher), 0: not known */
    uint8_t *bytes;            /* this stretch */
    size_t len;                /* of this stretch */
    uint64_t total;            /* of the chain, valid in its head; the same as len without `more` */
    struct relay_object *more; /* next fragment; owned, with one reference */
    struct relay_object *whole; /* of a slice: who owns the memory, with one reference */
    size_t cap;                 /* bytes that this object's own allocation can hold */
    struct relay_memory *memory;
    uint8_t room[]; /* private */
};

/*
 * relay_object_new - an object with room for at least cap bytes, one reference, len = total = cap;
 * the contents are undefined. bytes and len may be moved within that room, total with len. NULL
 * when memory is missing.
 */
struct relay_object *relay_object_new(struct relay_memory *m, size_t cap);

/* relay_object_copy - an object with a copy of n bytes. NULL when memory is missing. */
struct relay_object *relay_object_copy(struct relay_memory *m, const void *p, size_t n);

/*
 * relay_object_slice - an object of len bytes of o's stretch, from off on; it holds a reference to
 * the owner of the memory, so o itself may go. flags and frames start as 0. NULL when memory is
 * missing; off + len <= o->len.
 */
struct relay_object *relay_object_slice(struct relay_object *o, size_t off, size_t len);

/*
 * relay_object_map - an object over memory of the caller, which is only read, never written:
 * release(arg, bytes, len) is called once, when the last reference (slices included) is gone. cost
 * is what it adds to m->used. NULL when memory is missing (then release is not called).
 */
struct relay_object *relay_object_map(struct relay_memory *m, void *bytes, size_t len, size_t cost,
                                      void (*release)(void *arg, uint8_t *bytes, size_t len),
                                      void *arg);

/* relay_object_chain - append take_next (owned from now on; a single stretch, not shared) to the
 * chain of head, whose last fragment is `last`. */
void relay_object_chain(struct relay_object *head, struct relay_object *last,
                        struct relay_object *take_next);

/*
 * relay_object_keep - a reference for somebody who keeps the object for long: to o itself, or to a
 * copy when o is a small slice that would pin a much larger block. NULL when memory is missing.
 */
struct relay_object *relay_object_keep(struct relay_object *o);

/* relay_object_read - copy at most n bytes from position off of the whole chain. Returns how many.
 */
size_t relay_object_read(const struct relay_object *o, uint64_t off, void *out, size_t n);

/* relay_object_cost - bytes that an object with room for cap bytes adds to `used`. */
size_t relay_object_cost(size_t cap);

/* relay_object_unref - give one reference back; the last one frees the chain. NULL is fine. */
void relay_object_unref(struct relay_object *o);

/* relay_memory_trim - free the blocks that were kept. relay_memory_spare - their bytes. */
void relay_memory_trim(struct relay_memory *m);
size_t relay_memory_spare(const struct relay_memory *m);

static inline struct relay_object *relay_object_ref(struct relay_object *o)
{
    o->refs++;
    return o;
}

#endif
