/* SPDX-License-Identifier: MIT */
#include "relay/log_index.h"

#include <string.h>

static int put(struct nk_buf *out, const struct relay_log_record *r)
{
    uint8_t *p;
    int rc = nk_buf_reserve(out, RELAY_LOG_HEAD + r->len, &p);
    if (rc == 0) {
        relay_log_record_write(p, r);
        nk_buf_commit(out, RELAY_LOG_HEAD + r->len);
    }
    return rc;
}

/* The record at offset `at` of its segment, without its object. */
static int put_stub(struct nk_buf *out, const struct relay_log_record *r, size_t at)
{
    struct relay_log_object o;
    uint8_t body[RELAY_LOG_FIXED_MAX + RELAY_LOG_STUB_BYTES];
    int rc = relay_log_object_read(r, &o);
    if (rc < 0 || (r->flags & RELAY_LOG_STUB)) {
        return rc < 0 ? rc : NK_EFORMAT;
    }
    size_t fixed = relay_log_object_fixed(r->type, &o, body);
    relay_log_put64(body + fixed, at + RELAY_LOG_HEAD + fixed);
    relay_log_put32(body + fixed + sizeof(uint64_t), o.len);
    struct relay_log_record stub = *r;
    stub.flags = (uint8_t)(r->flags | RELAY_LOG_STUB);
    stub.body = body;
    stub.len = fixed + RELAY_LOG_STUB_BYTES;
    return put(out, &stub);
}

static int put_header(struct nk_buf *out, struct relay_log_segment_head h, size_t covers)
{
    uint8_t *p;
    int rc = nk_buf_reserve(out, RELAY_LOG_SEGMENT_HEAD, &p);
    if (rc == 0) {
        h.file = RELAY_LOG_FILE_INDEX;
        h.covers = covers;
        relay_log_segment_head_write(p, &h);
        nk_buf_commit(out, RELAY_LOG_SEGMENT_HEAD);
    }
    return rc;
}

int relay_log_index_build(const uint8_t *segment, size_t n, struct nk_buf *out)
{
    struct relay_log_segment_head h;
    struct relay_log_scan scan;
    struct relay_log_record r;
    uint8_t end[RELAY_LOG_CHECKPOINT_BYTES];
    unsigned version;
    size_t at, start = nk_buf_len(out);
    int rc = relay_log_segment_head_read(segment, n, &h, &version);
    if (rc == 0 && h.file != RELAY_LOG_FILE_SEGMENT) {
        rc = NK_EFORMAT;
    }
    rc = rc < 0 ? rc : put_header(out, h, n);
    relay_log_scan_init(&scan, segment, n);
    while (rc == 0 && (rc = relay_log_scan_next(&scan, &r, &at)) == 1) {
        if (r.type == RELAY_LOG_ENQUEUE || r.type == RELAY_LOG_RETAIN) {
            rc = put_stub(out, &r, at);
        } else {
            rc = r.type == RELAY_LOG_CHECKPOINT ? 0 : put(out, &r);
        }
    }
    if (rc < 0) {
        return rc;
    }
    size_t len = nk_buf_len(out) - start;
    relay_log_checkpoint_write(end, len, len);
    return nk_buf_put(out, end, sizeof(end));
}

int relay_log_index_check(const uint8_t *p, size_t n, const struct relay_log_segment_head *h,
                          uint64_t covers)
{
    struct relay_log_segment_head own;
    struct relay_log_record r;
    unsigned version;
    size_t used;
    int rc = relay_log_segment_head_read(p, n, &own, &version);
    if (rc < 0) {
        return rc == NK_EVERSION ? rc : NK_EFORMAT;
    }
    if (own.file != RELAY_LOG_FILE_INDEX || own.number != h->number || own.epoch != h->epoch ||
        own.floor != h->floor || own.covers != covers ||
        n < RELAY_LOG_SEGMENT_HEAD + RELAY_LOG_CHECKPOINT_BYTES) {
        return NK_EFORMAT;
    }
    size_t end = n - RELAY_LOG_CHECKPOINT_BYTES;
    rc = relay_log_record_read(p + end, RELAY_LOG_CHECKPOINT_BYTES, &r, &used);
    return rc == 0 && r.type == RELAY_LOG_CHECKPOINT && r.seq == end ? 0 : NK_EFORMAT;
}
