/* SPDX-License-Identifier: MIT */
#include "relay/wire_meta.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* From memory of exactly n bytes. */
static int get(const uint8_t *p, size_t n, struct relay_meta *m)
{
    uint8_t *exact = malloc(n ? n : 1);
    memcpy(exact, p, n);
    int rc = relay_meta_get(exact, n, m);
    free(exact);
    return rc;
}

static size_t sample(uint8_t *out, size_t cap)
{
    struct relay_meta_writer w;
    relay_meta_begin(&w, out, cap);
    relay_meta_add(&w, RELAY_META_HEADER, "a=1", 3);
    relay_meta_add_u64(&w, RELAY_META_TTL, 5000);
    relay_meta_add_u64(&w, RELAY_META_COPIES, 3);
    relay_meta_add(&w, RELAY_META_REPLY_TO, "answers", 7);
    relay_meta_add(&w, RELAY_META_CORRELATION, "id", 2);
    relay_meta_add(&w, RELAY_META_TRACE, "0123456789abcdef", 16);
    relay_meta_add(&w, RELAY_META_HEADER, "b=two", 5);
    return relay_meta_end(&w);
}

static void test_round_trip(void **state)
{
    (void)state;
    uint8_t b[256];
    struct relay_meta m;
    size_t n = sample(b, sizeof(b));
    assert_true(n > 0);
    for (size_t cut = 0; cut < n; cut++) { /* the block must be whole */
        assert_int_equal(get(b, cut, &m), NK_EPROTO);
    }
    assert_int_equal(relay_meta_get(b, sizeof(b), &m), 0); /* what follows is the object's */
    assert_int_equal(m.len, n);
    assert_true(m.has_ttl && !m.has_expires && m.ttl_ms == 5000 && m.copies == 3);
    assert_int_equal(m.reply_to.len, 7);
    assert_memory_equal(m.reply_to.p, "answers", 7);
    assert_memory_equal(m.correlation.p, "id", 2);
    assert_memory_equal(m.trace, "0123456789abcdef", 16);
    assert_null(m.origin.p);
    assert_int_equal(m.headers, 2);
    assert_memory_equal(relay_meta_header(b, 0).p, "a=1", 3);
    assert_int_equal(relay_meta_header(b, 1).len, 5);
    assert_null(relay_meta_header(b, 2).p);
    relay_meta_expire(b, &m, UINT64_C(1700000000123));
    assert_int_equal(relay_meta_get(b, n, &m), 0);
    assert_true(!m.has_ttl && m.has_expires && m.expires_ms == UINT64_C(1700000000123));
    assert_int_equal(m.len, n);
    assert_int_equal(m.headers, 2);
}

static void test_no_room(void **state)
{
    (void)state;
    uint8_t b[256];
    size_t n = sample(b, sizeof(b));
    for (size_t cap = 0; cap < n; cap++) {
        uint8_t *exact = malloc(cap ? cap : 1);
        assert_int_equal(sample(exact, cap), 0);
        free(exact);
    }
    assert_int_equal(sample(b, n), n);
}

static int one(uint8_t tag, size_t len, const char *v)
{
    uint8_t b[2048] = {0};
    struct relay_meta m;
    b[0] = (uint8_t)(len + 3);
    b[1] = (uint8_t)((len + 3) >> 8);
    b[2] = tag;
    b[3] = (uint8_t)len;
    b[4] = (uint8_t)(len >> 8);
    memset(b + 5, 1, len);
    if (v) {
        memcpy(b + 5, v, len);
    }
    return get(b, len + 5, &m);
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        uint8_t tag;
        size_t len;
        int rc;
    } rows[] = {
        {0, 1, NK_EPROTO},   {1, 8, 0},          {1, 7, NK_EPROTO},   {1, 9, NK_EPROTO},
        {2, 8, 0},           {2, 0, NK_EPROTO},  {3, 8, 0},           {3, 4, NK_EPROTO},
        {4, 0, NK_EPROTO},   {4, 1, 0},          {4, 1024, 0},        {4, 1025, NK_EPROTO},
        {5, 0, NK_EPROTO},   {5, 64, 0},         {5, 65, NK_EPROTO},  {6, 16, 0},
        {6, 15, NK_EPROTO},  {6, 17, NK_EPROTO}, {8, 1024, 0},        {8, 0, NK_EPROTO},
        {9, 0, 0},           {9, 255, 0},        {9, 256, NK_EPROTO}, {10, 1, NK_EPROTO},
        {255, 1, NK_EPROTO},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(one(rows[i].tag, rows[i].len, NULL), rows[i].rc);
    }
    assert_int_equal(one(RELAY_META_COPIES, 8, "\0\0\0\0\0\0\0\0"), NK_EPROTO);
    assert_int_equal(one(RELAY_META_HEADER, 3, "a=b"), 0);
    assert_int_equal(one(RELAY_META_HEADER, 3, "=ab"), NK_EPROTO);
    assert_int_equal(one(RELAY_META_HEADER, 3, "abc"), NK_EPROTO);
}

static void test_twice(void **state)
{
    (void)state;
    uint8_t b[4096];
    struct relay_meta m;
    struct relay_meta_writer w;
    relay_meta_begin(&w, b, sizeof(b));
    relay_meta_add_u64(&w, RELAY_META_TTL, 1);
    relay_meta_add_u64(&w, RELAY_META_EXPIRES, 1);
    assert_int_equal(get(b, relay_meta_end(&w), &m), NK_EPROTO);
    relay_meta_begin(&w, b, sizeof(b));
    relay_meta_add_u64(&w, RELAY_META_COPIES, 1);
    relay_meta_add_u64(&w, RELAY_META_COPIES, 1);
    assert_int_equal(get(b, relay_meta_end(&w), &m), NK_EPROTO);
    relay_meta_begin(&w, b, sizeof(b));
    for (unsigned i = 0; i <= RELAY_META_HEADERS; i++) {
        relay_meta_add(&w, RELAY_META_HEADER, "k=v", 3);
    }
    assert_int_equal(get(b, relay_meta_end(&w), &m), NK_EPROTO);
    relay_meta_begin(&w, b, sizeof(b));
    assert_int_equal(relay_meta_end(&w), 2);
    assert_int_equal(get(b, 2, &m), 0);
    assert_int_equal(m.len, 2);
}

int nk_test_relay_wire_meta(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_twice),
    };
    return cmocka_run_group_tests_name("relay/wire_meta", tests, NULL, NULL);
}
