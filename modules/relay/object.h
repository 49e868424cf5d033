/* SPDX-License-Identifier: MIT */
/*
 * object - one user object: opaque bytes, allocated once, shared by reference between the queue and
 * every receiver. Not thread-safe: one loop owns all references.
 */
#ifndef NK_RELAY_OBJECT_H
#define NK_RELAY_OBJECT_H

#include <stddef.h>
#include <stdint.h>

/* The bytes are data[off .. off + len); what surrounds them (an envelope that was received in place)
 * is not looked at again. */
struct relay_object {
    uint32_t refs;
    size_t off;
    size_t len;
    size_t cap;    /* size of data, what the allocation costs */
    size_t *total; /* counter of bytes in use that `cap` was added to, or NULL */
    uint8_t data[];
};

/*
 * relay_object_new - an object with room for cap bytes, one reference, off = 0 and len = cap; the
 * contents are undefined. *total (borrowed, must outlive the object; may be NULL) grows by what it
 * costs until the last reference is gone. NULL when memory is missing.
 */
struct relay_object *relay_object_new(size_t cap, size_t *total);

/* relay_object_copy - an object with a copy of n bytes. NULL when memory is missing. */
struct relay_object *relay_object_copy(const void *p, size_t n, size_t *total);

/* relay_object_cost - bytes that an object with room for cap bytes adds to its counter. */
size_t relay_object_cost(size_t cap);

/* relay_object_unref - give one reference back; the last one frees. NULL is fine. */
void relay_object_unref(struct relay_object *o);

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
