/* SPDX-License-Identifier: MIT */
/*
 * log_record - one record of the log: bytes and structs, pure. README.md, "The log", has the layout
 * byte by byte.
 *
 * A record is a head of 24 bytes (little endian) and a body:
 *
 *     0 u32 bytes of the body   4 u32 CRC-32C of everything else   8 u8 type   9 u8 flags
 *     10 u16 zero               12 u32 group                      16 u64 sequence number
 */
#ifndef NK_RELAY_LOG_RECORD_H
#define NK_RELAY_LOG_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cur.h"
#include "base/err.h"

#define RELAY_LOG_HEAD 24                    /* bytes of a record's head */
#define RELAY_LOG_BODY_MAX ((size_t)1 << 31) /* no record's body is as long as this */
#define RELAY_LOG_TAG 16                     /* bytes of a session's name */
#define RELAY_LOG_NAME_MAX 65535             /* bytes of a group's name */

enum relay_log_type {
    RELAY_LOG_GROUP = 1,      /* body: the name of group; seq: the last item number given out */
    RELAY_LOG_ENQUEUE = 2,    /* items seq .. seq + copies */
    RELAY_LOG_RETAIN = 3,     /* the retained object; seq: its version */
    RELAY_LOG_ACK = 4,        /* ranges: consumed */
    RELAY_LOG_LEASE = 5,      /* tag, ranges with tries: handed out to that session */
    RELAY_LOG_RELEASE = 6,    /* ranges: back in the queue */
    RELAY_LOG_DROP = 7,       /* ranges: gone unconsumed (limit, age, dead letter) */
    RELAY_LOG_PRODUCER = 8,   /* seq: all that this producer sent up to it is known */
    RELAY_LOG_PURGE = 9,      /* everything of the group up to seq; flag RELAY_LOG_RETAINED too */
    RELAY_LOG_CHECKPOINT = 10 /* seq: the record's own offset; up to where the file was durable */
};

enum relay_log_flags {
    RELAY_LOG_META = 0x02,     /* the object begins with metadata (as on the wire) */
    RELAY_LOG_CONTENT = 0x0c,  /* its content type (as on the wire) */
    RELAY_LOG_RETAINED = 0x10, /* PURGE: the retained object goes as well */
    RELAY_LOG_NAMED = 0x20,    /* RETAIN: its publisher's name stands in front of the object */
    RELAY_LOG_DELAYED = 0x20,  /* RELEASE: the body begins with the time until which they wait */
    RELAY_LOG_COPIED = 0x40,   /* carried over from an older segment */
    RELAY_LOG_STUB = 0x80      /* of an index: where the object lies instead of the object */
};

/* A record as it lies in memory; body is borrowed. */
struct relay_log_record {
    uint8_t type;
    uint8_t flags;
    uint32_t group;
    uint64_t seq;
    const uint8_t *body;
    size_t len;
};

/* What stands in front of an object (ENQUEUE: 32 bytes, RETAIN: 8) and the object itself, or where
 * it lies in its segment (RELAY_LOG_STUB). */
struct relay_log_object {
    uint64_t copies;       /* ENQUEUE; >= 1 */
    uint64_t producer;     /* ENQUEUE; 0 = none */
    uint64_t producer_seq; /* ENQUEUE */
    uint64_t expires_ms;   /* ENQUEUE; wall clock, 0 = never */
    uint64_t epoch;        /* RETAIN */
    const uint8_t *name;   /* RETAIN: its publisher; NULL: not known */
    uint8_t name_len;
    const uint8_t *bytes; /* NULL when it is a stub */
    uint64_t off;         /* stub: where the object begins in the segment */
    uint32_t len;
};
#define RELAY_LOG_ENQUEUE_FIXED 32
#define RELAY_LOG_RETAIN_FIXED 8 /* and with a name u8 length and the name */
#define RELAY_LOG_FIXED_MAX (RELAY_LOG_RETAIN_FIXED + 1 + UINT8_MAX)
#define RELAY_LOG_STUB_BYTES 12 /* u64 offset, u32 length */

/* Items first .. first + count of a group. */
struct relay_log_range {
    uint64_t first;
    uint32_t count;              /* >= 1 */
    uint32_t tries;              /* LEASE: deliveries so far, with this one */
    uint64_t until_ms, delay_ms; /* RELEASE: they wait until then (wall clock), which was so long */
};
#define RELAY_LOG_RANGE_BYTES 12
#define RELAY_LOG_DELAY_BYTES 16 /* u64 until, u64 delay */
#define RELAY_LOG_LEASE_RANGE_BYTES 16
#define RELAY_LOG_LEASE_COUNT_MAX 4096 /* items of one range of a LEASE: each is remembered */

/*
 * relay_log_record_read - the record at the start of n bytes. 0, and *used is its length;
 * NK_ETRUNC: it would be longer than n; NK_EFORMAT: its checksum or head is wrong; NK_EVERSION: the
 * checksum is right, but its type is not known here. Outputs are set with 0 only.
 */
int relay_log_record_read(const uint8_t *p, size_t n, struct relay_log_record *out, size_t *used);

/*
 * relay_log_record_head - write the head of r (whose len, but not body, is used) with a checksum
 * field of 0. relay_log_record_crc - the checksum so far: of that head; continue with relay_crc32c
 * over the body, then relay_log_record_seal writes it into the head.
 */
void relay_log_record_head(uint8_t head[RELAY_LOG_HEAD], const struct relay_log_record *r);
uint32_t relay_log_record_crc(const uint8_t head[RELAY_LOG_HEAD]);
void relay_log_record_seal(uint8_t head[RELAY_LOG_HEAD], uint32_t crc);

/* relay_log_record_write - a whole record to out, which has room for RELAY_LOG_HEAD + r->len. */
void relay_log_record_write(uint8_t *out, const struct relay_log_record *r);

/* relay_log_object_read - the body of an ENQUEUE or RETAIN. 0 or NK_EFORMAT. */
int relay_log_object_read(const struct relay_log_record *r, struct relay_log_object *out);

/* relay_log_object_fixed - what stands in front of the object: the number of bytes written to out.
 * relay_log_fixed_len - that number; the flag RELAY_LOG_NAMED goes with o->name. */
size_t relay_log_object_fixed(uint8_t type, const struct relay_log_object *o,
                              uint8_t out[RELAY_LOG_FIXED_MAX]);
static inline size_t relay_log_fixed_len(uint8_t type, bool named, size_t name_len)
{
    return type == RELAY_LOG_ENQUEUE ? RELAY_LOG_ENQUEUE_FIXED
                                     : RELAY_LOG_RETAIN_FIXED + (named ? 1 + name_len : 0);
}

/* relay_log_ranges - prepare to read the ranges of ACK, LEASE, RELEASE or DROP; tag is NULL except
 * for LEASE (borrowed). 0 or NK_EFORMAT: not a whole number of ranges, none, one of no items, of
 * too many (LEASE) or one that passes the largest number. */
int relay_log_ranges(const struct relay_log_record *r, struct nk_cur *out, const uint8_t **tag);

/* relay_log_range_next - the next one, false at the end. */
bool relay_log_range_next(const struct relay_log_record *r, struct nk_cur *c,
                          struct relay_log_range *out);

/* relay_log_range_write - one range as `type` wants it; returns its length (<= 16). What stands in
 * front of a LEASE's or a delayed RELEASE's is the caller's. */
size_t relay_log_range_write(uint8_t type, const struct relay_log_range *range, uint8_t *out);

/* relay_log_producer_read - body of a PRODUCER: its id, and when it was last heard (wall clock).
 * 0 or NK_EFORMAT. relay_log_producer_write - the body (16 bytes). */
#define RELAY_LOG_PRODUCER_BYTES 16
int relay_log_producer_read(const struct relay_log_record *r, uint64_t *id, uint64_t *seen_ms);
void relay_log_producer_write(uint8_t out[RELAY_LOG_PRODUCER_BYTES], uint64_t id, uint64_t seen_ms);

/* relay_log_check - is the body what the type wants? 0 or NK_EFORMAT. */
int relay_log_check(const struct relay_log_record *r);

/* relay_log_type_name - static text, for people. */
const char *relay_log_type_name(uint8_t type);

/* Little endian integers in place. */
static inline void relay_log_put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}
static inline void relay_log_put64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}
static inline uint32_t relay_log_get32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t relay_log_get64(const uint8_t *p)
{
    return relay_log_get32(p) | (uint64_t)relay_log_get32(p + 4) << 32;
}

#endif
