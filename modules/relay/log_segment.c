/* SPDX-License-Identifier: MIT */
#include "relay/log_segment.h"

#include <string.h>

#include "relay/log_crc.h"

enum {
    MAGIC_BYTES = 8,
    AT_VERSION = 8,
    AT_HEAD_BYTES = 10,
    AT_RESERVED = 12,
    AT_NUMBER = 16,
    AT_EPOCH = 24,
    AT_FLOOR = 32,
    AT_CREATED = 40,
    AT_COVERS = 48,
    AT_RESERVED2 = 56,
    AT_CRC = 60
};

static const char magics[][MAGIC_BYTES + 1] = {"NKRELOG\n", "NKRELIX\n", "NKRELCL\n"};

void relay_log_segment_head_write(uint8_t out[RELAY_LOG_SEGMENT_HEAD],
                                  const struct relay_log_segment_head *h)
{
    memset(out, 0, RELAY_LOG_SEGMENT_HEAD);
    memcpy(out, magics[h->file], MAGIC_BYTES);
    out[AT_VERSION] = RELAY_LOG_VERSION;
    out[AT_HEAD_BYTES] = RELAY_LOG_SEGMENT_HEAD;
    relay_log_put64(out + AT_NUMBER, h->number);
    relay_log_put64(out + AT_EPOCH, h->epoch);
    relay_log_put64(out + AT_FLOOR, h->floor);
    relay_log_put64(out + AT_CREATED, h->created_ms);
    relay_log_put64(out + AT_COVERS, h->covers);
    relay_log_put32(out + AT_CRC, relay_crc32c(0, out, AT_CRC));
}

int relay_log_segment_head_read(const uint8_t *p, size_t n, struct relay_log_segment_head *out,
                                unsigned *version)
{
    if (n < RELAY_LOG_SEGMENT_HEAD) {
        return NK_ETRUNC;
    }
    int file = RELAY_LOG_FILE_SEGMENT;
    while (memcmp(p, magics[file], MAGIC_BYTES) != 0) {
        if (file++ == RELAY_LOG_FILE_CLEAN) {
            return NK_EFORMAT;
        }
    }
    /* the version comes before the checksum: a newer header may be checked in another way */
    *version = p[AT_VERSION] | (unsigned)p[AT_VERSION + 1] << 8;
    if (*version > RELAY_LOG_VERSION) {
        return NK_EVERSION;
    }
    if (relay_log_get32(p + AT_CRC) != relay_crc32c(0, p, AT_CRC) || *version == 0 ||
        p[AT_HEAD_BYTES] != RELAY_LOG_SEGMENT_HEAD || p[AT_HEAD_BYTES + 1] ||
        relay_log_get32(p + AT_RESERVED) || relay_log_get32(p + AT_RESERVED2)) {
        return NK_EFORMAT;
    }
    *out = (struct relay_log_segment_head){.file = (enum relay_log_file)file,
                                           .number = relay_log_get64(p + AT_NUMBER),
                                           .epoch = relay_log_get64(p + AT_EPOCH),
                                           .floor = relay_log_get64(p + AT_FLOOR),
                                           .created_ms = relay_log_get64(p + AT_CREATED),
                                           .covers = relay_log_get64(p + AT_COVERS)};
    return 0;
}

void relay_log_scan_init(struct relay_log_scan *s, const uint8_t *p, size_t n)
{
    *s = (struct relay_log_scan){.p = p, .n = n, .off = RELAY_LOG_SEGMENT_HEAD};
}

int relay_log_scan_next(struct relay_log_scan *s, struct relay_log_record *out, size_t *at)
{
    struct relay_log_record r;
    size_t used;
    if (s->off >= s->n) {
        return 0;
    }
    int rc = relay_log_record_read(s->p + s->off, s->n - s->off, &r, &used);
    rc = rc < 0 ? rc : relay_log_check(&r);
    if (rc < 0) {
        return rc;
    }
    if (r.type == RELAY_LOG_CHECKPOINT && (r.seq != s->off || relay_log_get64(r.body) > s->off)) {
        return NK_EFORMAT;
    }
    if (at) {
        *at = s->off;
    }
    s->off += used;
    *out = r;
    return 1;
}

bool relay_log_torn(const struct relay_log_scan *s)
{
    for (size_t i = s->off + 1; i < s->n && s->n - i >= RELAY_LOG_CHECKPOINT_BYTES; i++) {
        struct relay_log_record r;
        size_t used;
        /* such a record names its own place, so hardly any other byte gets as far as a checksum */
        if (relay_log_get64(s->p + i + RELAY_LOG_HEAD - sizeof(uint64_t)) == i &&
            relay_log_record_read(s->p + i, RELAY_LOG_CHECKPOINT_BYTES, &r, &used) == 0 &&
            r.type == RELAY_LOG_CHECKPOINT && r.len == sizeof(uint64_t) &&
            relay_log_get64(r.body) > s->off) {
            return false;
        }
    }
    return true;
}

void relay_log_checkpoint_write(uint8_t out[RELAY_LOG_CHECKPOINT_BYTES], uint64_t at,
                                uint64_t durable)
{
    uint8_t body[sizeof(uint64_t)];
    relay_log_put64(body, durable);
    struct relay_log_record r = {
        .type = RELAY_LOG_CHECKPOINT, .seq = at, .body = body, .len = sizeof(body)};
    relay_log_record_write(out, &r);
}
