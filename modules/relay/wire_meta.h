/* SPDX-License-Identifier: MIT */
/*
 * wire_meta - metadata at the start of an object on the native wire (flag META), pure. README.md
 * "Metadata".
 *
 *     u16 length of what follows, then any number of  u8 tag, u16 length, bytes   (little endian)
 *
 * The whole block stands in the object's first fragment.
 */
#ifndef NK_RELAY_WIRE_META_H
#define NK_RELAY_WIRE_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "relay/wire_native.h"

enum relay_meta_tag {
    RELAY_META_TTL = 1,         /* u64 ms from receipt; a publish only */
    RELAY_META_EXPIRES = 2,     /* u64 wall clock, ms since 1970; the relay writes it over TTL */
    RELAY_META_COPIES = 3,      /* u64 >= 1; ITEM only, 1 when it is missing */
    RELAY_META_REPLY_TO = 4,    /* name of a group */
    RELAY_META_CORRELATION = 5, /* 1..64 bytes */
    RELAY_META_TRACE = 6,       /* 16 bytes */
    RELAY_META_HEADER = 7,      /* name=value, text, 3..1024 bytes; may come several times */
    RELAY_META_ORIGIN = 8,      /* dead letters: name of the group they come from */
    RELAY_META_REASON = 9       /* dead letters: text, at most 255 bytes */
};

#define RELAY_META_PREFIX 2u  /* bytes of the block's own length */
#define RELAY_META_ENTRY 3u   /* bytes of an entry's tag and length */
#define RELAY_META_MAX 65535u /* bytes of all entries */
#define RELAY_META_CORRELATION_MAX 64u
#define RELAY_META_TRACE_LEN 16u
#define RELAY_META_HEADER_MAX 1024u
#define RELAY_META_HEADERS 64u /* most headers of one object */

struct relay_meta {
    size_t len;   /* of the block with its prefix: the object proper begins there */
    bool has_ttl; /* ttl_ms is valid; it and expires_ms exclude each other */
    bool has_expires;
    uint64_t ttl_ms, expires_ms;
    uint64_t copies; /* 1 when not given */
    size_t time_at;  /* offset of the TTL or EXPIRES entry in the block, 0 = none */
    struct relay_text reply_to, correlation, origin, reason; /* p is NULL when not given */
    const uint8_t *trace; /* RELAY_META_TRACE_LEN bytes or NULL */
    unsigned headers;     /* how many; relay_meta_header reads them */
};

/* relay_meta_get - read the block at the start of the n bytes at p. 0, or NK_EPROTO (it does not
 * end within n, an unknown tag, a tag twice, a value out of range): *m is untouched then. */
int relay_meta_get(const void *p, size_t n, struct relay_meta *m);

/* relay_meta_header - the i-th header of a block that relay_meta_get accepted. */
struct relay_text relay_meta_header(const void *p, unsigned i);

/* relay_meta_expire - turn the block's TTL in place into EXPIRES at wall clock expires_ms. m is of
 * the same block, and has_ttl. */
void relay_meta_expire(uint8_t *p, const struct relay_meta *m, uint64_t expires_ms);

/* Writing a block: begin in room of cap bytes, add entries, end. A writer that has failed (no room,
 * a value out of range) stays failed; end returns the block's length with its prefix, or 0. A block
 * without entries is 2 bytes; leave it and the flag META away then. */
struct relay_meta_writer {
    uint8_t *p;
    size_t len, cap;
    bool failed;
};
void relay_meta_begin(struct relay_meta_writer *w, uint8_t *out, size_t cap);
void relay_meta_add(struct relay_meta_writer *w, enum relay_meta_tag tag, const void *p, size_t n);
void relay_meta_add_u64(struct relay_meta_writer *w, enum relay_meta_tag tag, uint64_t v);
size_t relay_meta_end(struct relay_meta_writer *w);

#endif
