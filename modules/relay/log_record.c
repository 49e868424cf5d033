/* SPDX-License-Identifier: MIT */
#include "relay/log_record.h"

#include <string.h>

#include "relay/log_crc.h"

enum { AT_CRC = 4, AT_TYPE = 8, AT_FLAGS = 9, AT_ZERO = 10, AT_GROUP = 12, AT_SEQ = 16 };

static const char *const names[] = {
    [RELAY_LOG_GROUP] = "group",   [RELAY_LOG_ENQUEUE] = "enqueue",
    [RELAY_LOG_RETAIN] = "retain", [RELAY_LOG_ACK] = "ack",
    [RELAY_LOG_LEASE] = "lease",   [RELAY_LOG_RELEASE] = "release",
    [RELAY_LOG_DROP] = "drop",     [RELAY_LOG_PRODUCER] = "producer",
    [RELAY_LOG_PURGE] = "purge",   [RELAY_LOG_CHECKPOINT] = "checkpoint",
};

static bool known_type(uint8_t type)
{
    return type >= RELAY_LOG_GROUP && type <= RELAY_LOG_CHECKPOINT;
}

const char *relay_log_type_name(uint8_t type)
{
    return known_type(type) ? names[type] : "unknown";
}

void relay_log_record_head(uint8_t head[RELAY_LOG_HEAD], const struct relay_log_record *r)
{
    relay_log_put32(head, (uint32_t)r->len);
    relay_log_put32(head + AT_CRC, 0);
    head[AT_TYPE] = r->type;
    head[AT_FLAGS] = r->flags;
    head[AT_ZERO] = head[AT_ZERO + 1] = 0;
    relay_log_put32(head + AT_GROUP, r->group);
    relay_log_put64(head + AT_SEQ, r->seq);
}

/* The checksum covers the length, so that a wrong one cannot lead astray, but not itself. */
uint32_t relay_log_record_crc(const uint8_t head[RELAY_LOG_HEAD])
{
    uint32_t crc = relay_crc32c(0, head, AT_CRC);
    return relay_crc32c(crc, head + AT_TYPE, RELAY_LOG_HEAD - AT_TYPE);
}

void relay_log_record_seal(uint8_t head[RELAY_LOG_HEAD], uint32_t crc)
{
    relay_log_put32(head + AT_CRC, crc);
}

void relay_log_record_write(uint8_t *out, const struct relay_log_record *r)
{
    relay_log_record_head(out, r);
    if (r->len) {
        memcpy(out + RELAY_LOG_HEAD, r->body, r->len);
    }
    relay_log_record_seal(out,
                          relay_crc32c(relay_log_record_crc(out), out + RELAY_LOG_HEAD, r->len));
}

int relay_log_record_read(const uint8_t *p, size_t n, struct relay_log_record *out, size_t *used)
{
    if (n < RELAY_LOG_HEAD) {
        return NK_ETRUNC;
    }
    size_t len = relay_log_get32(p);
    if (len >= RELAY_LOG_BODY_MAX) {
        return NK_EFORMAT;
    }
    if (len > n - RELAY_LOG_HEAD) {
        return NK_ETRUNC;
    }
    uint32_t crc = relay_crc32c(relay_log_record_crc(p), p + RELAY_LOG_HEAD, len);
    if (crc != relay_log_get32(p + AT_CRC)) {
        return NK_EFORMAT;
    }
    if (!known_type(p[AT_TYPE]) || p[AT_ZERO] || p[AT_ZERO + 1]) {
        return NK_EVERSION;
    }
    *out = (struct relay_log_record){.type = p[AT_TYPE],
                                     .flags = p[AT_FLAGS],
                                     .group = relay_log_get32(p + AT_GROUP),
                                     .seq = relay_log_get64(p + AT_SEQ),
                                     .body = p + RELAY_LOG_HEAD,
                                     .len = len};
    *used = RELAY_LOG_HEAD + len;
    return 0;
}

int relay_log_object_read(const struct relay_log_record *r, struct relay_log_object *out)
{
    struct relay_log_object o = {.copies = 1};
    struct nk_cur c;
    nk_cur_init(&c, r->body, r->len);
    if (r->type == RELAY_LOG_ENQUEUE) {
        o.copies = nk_cur_le64(&c);
        o.producer = nk_cur_le64(&c);
        o.producer_seq = nk_cur_le64(&c);
        o.expires_ms = nk_cur_le64(&c);
    } else if (r->type == RELAY_LOG_RETAIN) {
        o.epoch = nk_cur_le64(&c);
        o.name_len = r->flags & RELAY_LOG_NAMED ? nk_cur_u8(&c) : 0;
        o.name = r->flags & RELAY_LOG_NAMED ? nk_cur_bytes(&c, o.name_len) : NULL;
    } else {
        return NK_EFORMAT;
    }
    if (r->flags & RELAY_LOG_STUB) {
        o.off = nk_cur_le64(&c);
        o.len = nk_cur_le32(&c);
    } else {
        o.len = (uint32_t)nk_cur_left(&c);
        o.bytes = nk_cur_bytes(&c, o.len);
    }
    if (!nk_cur_done(&c) || o.copies == 0 || r->seq > UINT64_MAX - o.copies ||
        o.len >= RELAY_LOG_BODY_MAX) {
        return NK_EFORMAT;
    }
    *out = o;
    return 0;
}

size_t relay_log_object_fixed(uint8_t type, const struct relay_log_object *o,
                              uint8_t out[RELAY_LOG_FIXED_MAX])
{
    if (type == RELAY_LOG_RETAIN) {
        relay_log_put64(out, o->epoch);
        if (o->name) {
            out[RELAY_LOG_RETAIN_FIXED] = o->name_len;
            memcpy(out + RELAY_LOG_RETAIN_FIXED + 1, o->name, o->name_len);
        }
        return relay_log_fixed_len(type, o->name, o->name_len);
    }
    relay_log_put64(out, o->copies);
    relay_log_put64(out + 8, o->producer);
    relay_log_put64(out + 16, o->producer_seq);
    relay_log_put64(out + 24, o->expires_ms);
    return RELAY_LOG_ENQUEUE_FIXED;
}

bool relay_log_range_next(const struct relay_log_record *r, struct nk_cur *c,
                          struct relay_log_range *out)
{
    if (nk_cur_left(c) == 0) {
        return false;
    }
    out->first = nk_cur_le64(c);
    out->count = nk_cur_le32(c);
    out->tries = r->type == RELAY_LOG_LEASE ? nk_cur_le32(c) : 0;
    bool delayed = r->type == RELAY_LOG_RELEASE && r->flags & RELAY_LOG_DELAYED;
    out->until_ms = delayed ? relay_log_get64(r->body) : 0;
    out->delay_ms = delayed ? relay_log_get64(r->body + sizeof(uint64_t)) : 0;
    return !c->failed;
}

int relay_log_ranges(const struct relay_log_record *r, struct nk_cur *out, const uint8_t **tag)
{
    bool lease = r->type == RELAY_LOG_LEASE;
    size_t size = lease ? RELAY_LOG_LEASE_RANGE_BYTES : RELAY_LOG_RANGE_BYTES;
    bool delayed = r->type == RELAY_LOG_RELEASE && r->flags & RELAY_LOG_DELAYED;
    size_t skip = lease ? RELAY_LOG_TAG : delayed ? RELAY_LOG_DELAY_BYTES : 0;
    if (r->len < skip + size || (r->len - skip) % size) {
        return NK_EFORMAT;
    }
    nk_cur_init(out, r->body + skip, r->len - skip);
    struct nk_cur check = *out;
    struct relay_log_range range;
    while (relay_log_range_next(r, &check, &range)) {
        if (range.count == 0 || range.first > UINT64_MAX - range.count ||
            (lease && range.count > RELAY_LOG_LEASE_COUNT_MAX)) {
            return NK_EFORMAT;
        }
    }
    *tag = lease ? r->body : NULL;
    return 0;
}

size_t relay_log_range_write(uint8_t type, const struct relay_log_range *range, uint8_t *out)
{
    relay_log_put64(out, range->first);
    relay_log_put32(out + 8, range->count);
    if (type != RELAY_LOG_LEASE) {
        return RELAY_LOG_RANGE_BYTES;
    }
    relay_log_put32(out + 12, range->tries);
    return RELAY_LOG_LEASE_RANGE_BYTES;
}

int relay_log_producer_read(const struct relay_log_record *r, uint64_t *id, uint64_t *seen_ms)
{
    if (r->len != RELAY_LOG_PRODUCER_BYTES) {
        return NK_EFORMAT;
    }
    *id = relay_log_get64(r->body);
    *seen_ms = relay_log_get64(r->body + 8);
    return 0;
}

void relay_log_producer_write(uint8_t out[RELAY_LOG_PRODUCER_BYTES], uint64_t id, uint64_t seen_ms)
{
    relay_log_put64(out, id);
    relay_log_put64(out + 8, seen_ms);
}

int relay_log_check(const struct relay_log_record *r)
{
    struct relay_log_object o;
    struct nk_cur c;
    const uint8_t *tag;
    uint64_t id, seen;
    switch ((enum relay_log_type)r->type) {
    case RELAY_LOG_GROUP:
        return r->len <= RELAY_LOG_NAME_MAX ? 0 : NK_EFORMAT;
    case RELAY_LOG_ENQUEUE:
    case RELAY_LOG_RETAIN:
        return relay_log_object_read(r, &o);
    case RELAY_LOG_ACK:
    case RELAY_LOG_LEASE:
    case RELAY_LOG_RELEASE:
    case RELAY_LOG_DROP:
        return relay_log_ranges(r, &c, &tag);
    case RELAY_LOG_PRODUCER:
        return relay_log_producer_read(r, &id, &seen);
    case RELAY_LOG_PURGE:
        return r->len == 0 ? 0 : NK_EFORMAT;
    case RELAY_LOG_CHECKPOINT:
        return r->len == sizeof(uint64_t) ? 0 : NK_EFORMAT;
    }
    return NK_EFORMAT;
}
