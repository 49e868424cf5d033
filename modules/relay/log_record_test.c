/* SPDX-License-Identifier: MIT */
#include "relay/log_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

int nk_test_relay_log_record(void);

static int reread(const struct relay_log_record *r, uint8_t *bytes, struct relay_log_record *out)
{
    size_t used = 0;
    relay_log_record_write(bytes, r);
    int rc = relay_log_record_read(bytes, RELAY_LOG_HEAD + r->len, out, &used);
    if (rc == 0) {
        assert_int_equal(used, RELAY_LOG_HEAD + r->len);
    }
    return rc;
}

/* The bytes are part of the format: they must not change. */
static void test_layout(void **state)
{
    (void)state;
    static const uint8_t expected[] = {3, 0, 0, 0, 0xd7, 0x8a, 0x26, 0xb5, 1, 0, 0,   0,   7,  0,
                                       0, 0, 8, 7, 6,    5,    4,    3,    2, 1, 'a', 'b', 'c'};
    uint8_t bytes[sizeof(expected)];
    struct relay_log_record r = {.type = RELAY_LOG_GROUP,
                                 .group = 7,
                                 .seq = 0x0102030405060708,
                                 .body = (const uint8_t *)"abc",
                                 .len = 3};
    relay_log_record_write(bytes, &r);
    assert_memory_equal(bytes, expected, sizeof(expected));
}

static void test_round_trip(void **state)
{
    (void)state;
    uint8_t body[RELAY_LOG_FIXED_MAX + RELAY_LOG_STUB_BYTES], bytes[128];
    struct relay_log_object o = {.copies = 3,
                                 .producer = 4,
                                 .producer_seq = 5,
                                 .expires_ms = 6,
                                 .len = 5},
                            got;
    struct relay_log_record in = {.type = RELAY_LOG_ENQUEUE, .flags = 4, .group = 2, .seq = 9}, out;
    in.body = body;
    in.len = relay_log_object_fixed(in.type, &o, body);
    memcpy(body + in.len, "hello", 5);
    in.len += 5;
    assert_int_equal(reread(&in, bytes, &out), 0);
    assert_int_equal(relay_log_object_read(&out, &got), 0);
    assert_true(out.flags == 4 && out.group == 2 && out.seq == 9);
    assert_true(got.copies == 3 && got.producer == 4 && got.producer_seq == 5);
    assert_true(got.expires_ms == 6 && got.len == 5);
    assert_memory_equal(got.bytes, "hello", 5);

    o.epoch = 77;
    in = (struct relay_log_record){.type = RELAY_LOG_RETAIN, .seq = 1, .body = body};
    in.len = relay_log_object_fixed(in.type, &o, body);
    assert_int_equal(reread(&in, bytes, &out), 0);
    assert_int_equal(relay_log_object_read(&out, &got), 0);
    assert_true(got.epoch == 77 && got.len == 0 && !got.name);

    o.name = (const uint8_t *)"alice";
    o.name_len = 5;
    in.flags = RELAY_LOG_NAMED;
    in.len = relay_log_object_fixed(in.type, &o, body);
    assert_int_equal(in.len, relay_log_fixed_len(in.type, true, 5));
    assert_int_equal(reread(&in, bytes, &out), 0);
    assert_int_equal(relay_log_object_read(&out, &got), 0);
    assert_true(got.epoch == 77 && got.len == 0 && got.name_len == 5);
    assert_memory_equal(got.name, "alice", 5);
    in.len--; /* the name goes beyond the end */
    assert_int_equal(relay_log_check(&in), NK_EFORMAT);
}

static void test_ranges(void **state)
{
    (void)state;
    uint8_t body[RELAY_LOG_FIXED_MAX + RELAY_LOG_STUB_BYTES] = "0123456789abcdef", bytes[128];
    const struct relay_log_range ranges[] = {{.first = 1, .count = 2, .tries = 3},
                                             {.first = 10, .count = 1, .tries = 1}};
    static const uint8_t types[] = {RELAY_LOG_ACK, RELAY_LOG_LEASE, RELAY_LOG_RELEASE,
                                    RELAY_LOG_DROP};
    for (size_t t = 0; t < sizeof(types); t++) {
        bool lease = types[t] == RELAY_LOG_LEASE;
        struct relay_log_record in = {.type = types[t], .body = body}, out;
        struct relay_log_range got;
        struct nk_cur c;
        const uint8_t *tag;
        in.len = lease ? RELAY_LOG_TAG : 0;
        for (size_t i = 0; i < 2; i++) {
            in.len += relay_log_range_write(types[t], &ranges[i], body + in.len);
        }
        assert_int_equal(reread(&in, bytes, &out), 0);
        assert_int_equal(relay_log_ranges(&out, &c, &tag), 0);
        assert_int_equal(tag != NULL, lease);
        for (size_t i = 0; i < 2; i++) {
            assert_true(relay_log_range_next(&out, &c, &got));
            assert_true(got.first == ranges[i].first && got.count == ranges[i].count);
            assert_int_equal(got.tries, lease ? ranges[i].tries : 0);
        }
        assert_false(relay_log_range_next(&out, &c, &got));
        out.len--;
        assert_int_equal(relay_log_check(&out), NK_EFORMAT);
        memcpy(body, "0123456789abcdef", RELAY_LOG_TAG);
    }
}

/* Every single bit that changes is noticed, and every shorter piece is incomplete. */
static void test_damage(void **state)
{
    (void)state;
    uint8_t bytes[RELAY_LOG_HEAD + 10];
    struct relay_log_record in = {
        .type = RELAY_LOG_GROUP, .group = 1, .body = (const uint8_t *)"0123456789", .len = 10};
    struct relay_log_record out;
    size_t used;
    assert_int_equal(reread(&in, bytes, &out), 0);
    for (size_t bit = 0; bit < sizeof(bytes) * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        int rc = relay_log_record_read(bytes, sizeof(bytes), &out, &used);
        assert_true(rc == NK_EFORMAT || (rc == NK_ETRUNC && bit < 32));
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t n = 0; n < sizeof(bytes); n++) {
        assert_int_equal(relay_log_record_read(bytes, n, &out, &used), NK_ETRUNC);
    }
}

static void test_bad_bodies(void **state)
{
    (void)state;
    uint8_t body[RELAY_LOG_FIXED_MAX + RELAY_LOG_STUB_BYTES] = {0}, bytes[128];
    struct relay_log_record in = {.type = RELAY_LOG_ENQUEUE, .body = body, .len = 32}, out;
    struct relay_log_object o = {.copies = 1};
    assert_int_equal(relay_log_check(&in), NK_EFORMAT); /* no copies */
    relay_log_object_fixed(in.type, &o, body);
    assert_int_equal(relay_log_check(&in), 0);
    in.seq = UINT64_MAX; /* past the last number */
    assert_int_equal(relay_log_check(&in), NK_EFORMAT);
    in.seq = 0;
    in.flags = RELAY_LOG_STUB; /* no place */
    assert_int_equal(relay_log_check(&in), NK_EFORMAT);
    in = (struct relay_log_record){.type = RELAY_LOG_ACK, .body = body, .len = 12};
    memset(body, 0, sizeof(body));
    assert_int_equal(relay_log_check(&in), NK_EFORMAT); /* a range of nothing */
    body[0] = 1;
    body[8] = 1;
    assert_int_equal(relay_log_check(&in), 0);
    in = (struct relay_log_record){
        .type = RELAY_LOG_RELEASE, .flags = RELAY_LOG_DELAYED, .body = body, .len = 12};
    assert_int_equal(relay_log_check(&in), NK_EFORMAT); /* the time, but no range */
    in = (struct relay_log_record){.type = RELAY_LOG_PURGE, .body = body, .len = 1};
    assert_int_equal(relay_log_check(&in), NK_EFORMAT);
    in = (struct relay_log_record){.type = 99, .body = body};
    assert_int_equal(reread(&in, bytes, &out), NK_EVERSION);
    assert_string_equal(relay_log_type_name(99), "unknown");
    assert_string_equal(relay_log_type_name(RELAY_LOG_CHECKPOINT), "checkpoint");
}

int nk_test_relay_log_record(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),     cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_ranges),     cmocka_unit_test(test_damage),
        cmocka_unit_test(test_bad_bodies),
    };
    return cmocka_run_group_tests_name("relay/log_record", tests, NULL, NULL);
}
