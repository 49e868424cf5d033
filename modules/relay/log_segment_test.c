/* SPDX-License-Identifier: MIT */
/* Segments and their indexes, in memory. */
#include "relay/log_segment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "relay/log_index.h"

int nk_test_relay_log_segment(void);

enum { ROOM = 4096 };

struct seg {
    uint8_t p[ROOM];
    size_t n;
};

static const struct relay_log_segment_head head = {
    .number = 3, .epoch = 0x1122, .floor = 9, .created_ms = 5};

static void add(struct seg *s, uint8_t type, uint64_t seq, const void *body, size_t len)
{
    struct relay_log_record r = {.type = type, .group = 1, .seq = seq, .body = body, .len = len};
    relay_log_record_write(s->p + s->n, &r);
    s->n += RELAY_LOG_HEAD + len;
}

static void add_item(struct seg *s, uint64_t seq, const char *text)
{
    uint8_t body[RELAY_LOG_FIXED_MAX];
    struct relay_log_object o = {.copies = 1};
    size_t n = relay_log_object_fixed(RELAY_LOG_ENQUEUE, &o, body);
    memcpy(body + n, text, strlen(text));
    add(s, RELAY_LOG_ENQUEUE, seq, body, n + strlen(text));
}

static void add_checkpoint(struct seg *s, uint64_t durable)
{
    relay_log_checkpoint_write(s->p + s->n, s->n, durable);
    s->n += RELAY_LOG_CHECKPOINT_BYTES;
}

/* Two commits: a group and an item, then two items and an acknowledgement. */
static void fill(struct seg *s, size_t at[6])
{
    uint8_t range[RELAY_LOG_RANGE_BYTES];
    struct relay_log_range ack = {.first = 10, .count = 1};
    relay_log_segment_head_write(s->p, &head);
    s->n = RELAY_LOG_SEGMENT_HEAD;
    add(s, RELAY_LOG_GROUP, 9, "jobs", 4);
    at[0] = s->n;
    add_item(s, 10, "first");
    at[1] = s->n;
    add_checkpoint(s, s->n);
    at[2] = s->n;
    add_item(s, 11, "second");
    at[3] = s->n;
    relay_log_range_write(RELAY_LOG_ACK, &ack, range);
    add(s, RELAY_LOG_ACK, 0, range, sizeof(range));
    at[4] = s->n;
    add_item(s, 12, "third");
    at[5] = s->n;
}

static int scan_all(const uint8_t *p, size_t n, size_t *count, struct relay_log_scan *s)
{
    struct relay_log_record r;
    int rc;
    *count = 0;
    relay_log_scan_init(s, p, n);
    while ((rc = relay_log_scan_next(s, &r, NULL)) == 1) {
        ++*count;
    }
    return rc;
}

static void test_header(void **state)
{
    (void)state;
    uint8_t p[RELAY_LOG_SEGMENT_HEAD];
    struct relay_log_segment_head got;
    unsigned version;
    relay_log_segment_head_write(p, &head);
    assert_memory_equal(p, "NKRELOG\n\2\0\100\0", 12);
    assert_int_equal(relay_log_segment_head_read(p, sizeof(p), &got, &version), 0);
    assert_int_equal(got.file, head.file);
    assert_memory_equal(&got.number, &head.number,
                        sizeof(got) - offsetof(struct relay_log_segment_head, number));
    assert_int_equal(relay_log_segment_head_read(p, sizeof(p) - 1, &got, &version), NK_ETRUNC);
    for (size_t bit = 0; bit < sizeof(p) * 8; bit++) {
        p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        int rc = relay_log_segment_head_read(p, sizeof(p), &got, &version);
        assert_true(rc == NK_EFORMAT || (rc == NK_EVERSION && bit / 8 - 8 < 2));
        p[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    p[8] = RELAY_LOG_VERSION + 1;
    assert_int_equal(relay_log_segment_head_read(p, sizeof(p), &got, &version), NK_EVERSION);
    assert_int_equal(version, RELAY_LOG_VERSION + 1);
}

/* Wherever the end is cut off, what is before it is read, and it counts as torn. */
static void test_torn(void **state)
{
    (void)state;
    struct seg s;
    struct relay_log_scan scan;
    size_t at[6], count;
    fill(&s, at);
    assert_int_equal(scan_all(s.p, s.n, &count, &scan), 0);
    assert_int_equal(count, 6);
    for (size_t n = at[4] + 1; n < s.n; n++) {
        assert_int_equal(scan_all(s.p, n, &count, &scan), NK_ETRUNC);
        assert_true(count == 5 && scan.off == at[4]);
        assert_true(relay_log_torn(&scan));
    }
    memset(s.p + at[2], 0, at[3] - at[2]); /* a page of the last commit that never arrived */
    assert_int_equal(scan_all(s.p, s.n, &count, &scan), NK_EFORMAT);
    assert_true(scan.off == at[2] && relay_log_torn(&scan));
}

/* A change in what the second commit calls durable is no torn end. */
static void test_not_torn(void **state)
{
    (void)state;
    struct seg s;
    struct relay_log_scan scan;
    size_t at[6], count;
    fill(&s, at);
    for (size_t i = RELAY_LOG_SEGMENT_HEAD; i < at[1]; i++) {
        s.p[i] ^= 0x10;
        int rc = scan_all(s.p, s.n, &count, &scan);
        assert_true(rc < 0 && scan.off <= i);
        assert_false(relay_log_torn(&scan));
        s.p[i] ^= 0x10;
    }
}

static void test_index(void **state)
{
    (void)state;
    struct seg s;
    struct nk_buf idx;
    struct relay_log_scan scan;
    struct relay_log_record r;
    struct relay_log_object o;
    size_t at[6], count;
    nk_buf_init(&idx, ROOM);
    fill(&s, at);
    assert_int_equal(relay_log_index_build(s.p, s.n, &idx), 0);
    const uint8_t *p = nk_buf_ptr(&idx);
    size_t n = nk_buf_len(&idx);
    assert_int_equal(relay_log_index_check(p, n, &head, s.n), 0);
    assert_int_equal(scan_all(p, n, &count, &scan), 0);
    assert_int_equal(count, 6); /* one checkpoint went, one came */
    relay_log_scan_init(&scan, p, n);
    assert_int_equal(relay_log_scan_next(&scan, &r, NULL), 1);
    assert_int_equal(r.type, RELAY_LOG_GROUP);
    assert_int_equal(relay_log_scan_next(&scan, &r, NULL), 1);
    assert_int_equal(relay_log_object_read(&r, &o), 0);
    assert_true(!o.bytes && o.len == 5 && memcmp(s.p + o.off, "first", 5) == 0);
    assert_int_equal(relay_log_index_check(p, n, &head, s.n + 1), NK_EFORMAT);
    for (size_t cut = 0; cut < n; cut++) {
        assert_int_equal(relay_log_index_check(p, cut, &head, s.n), NK_EFORMAT);
    }
    struct relay_log_segment_head other = head;
    other.epoch++;
    assert_int_equal(relay_log_index_check(p, n, &other, s.n), NK_EFORMAT);
    s.p[at[0] + RELAY_LOG_HEAD] ^= 1;
    assert_int_equal(relay_log_index_build(s.p, s.n, &idx), NK_EFORMAT);
    nk_buf_clear(&idx);
}

int nk_test_relay_log_segment(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_torn),
        cmocka_unit_test(test_not_torn),
        cmocka_unit_test(test_index),
    };
    return cmocka_run_group_tests_name("relay/log_segment", tests, NULL, NULL);
}
