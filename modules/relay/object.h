/* SPDX-License-Identifier: MIT */
/*
 * object - one user object: opaque bytes, allocated once, shared by reference between the queue and
 * every receiver. Not thread-safe: one loop owns all references.
 */
#ifndef NK_RELAY_OBJECT_H
#define NK_RELAY_OBJECT_H

#include <stddef.h>
#include <stdint.h>

#define RELAY_SPARES 16                              /* large blocks kept for the next object */
#define RELAY_SPARE_BYTES ((size_t)16 * 1024 * 1024) /* all of them together, at most */

struct relay_object;

/* Memory of all objects of a relay. Zero it; it must outlive them. Freed large blocks are kept for
 * a while, because new ones cost a page fault per 4 KiB. */
struct relay_memory {
    size_t used; /* bytes of all objects alive */
    struct relay_object *spare[RELAY_SPARES];
    size_t nspares, spare_bytes;
    uint64_t taken; /* objects that came from a spare: traffic, for who decides when to trim */
};

/* The bytes are data[off .. off + len); what surrounds them (an envelope that was received in
 * place) is not looked at again. */
struct relay_object {
    uint32_t refs;
    size_t off;
    size_t len;
    size_t cap; /* size of data, what the allocation costs */
    struct relay_memory *memory;
    uint8_t data[];
};

/*
 * relay_object_new - an object with room for at least cap bytes, one reference, off = 0 and len =
 * cap; the contents are undefined. NULL when memory is missing.
 */
struct relay_object *relay_object_new(struct relay_memory *m, size_t cap);

/* relay_object_copy - an object with a copy of n bytes. NULL when memory is missing. */
struct relay_object *relay_object_copy(struct relay_memory *m, const void *p, size_t n);

/* relay_object_cost - bytes that an object with room for cap bytes adds to `used`. */
size_t relay_object_cost(size_t cap);

/* relay_object_unref - give one reference back; the last one frees. NULL is fine. */
void relay_object_unref(struct relay_object *o);

/* relay_memory_trim - free the blocks that were kept. */
void relay_memory_trim(struct relay_memory *m);

static inline struct relay_object *relay_object_ref(struct relay_object *o)
{
    o->refs++;
    return o;
}

static inline const uint8_t *relay_object_bytes(const struct relay_object *o)
{
    return o->data + o->off;
}

#endif
