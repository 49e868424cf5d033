/* SPDX-License-Identifier: MIT */
#include "relay/endpoint_meta.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HEADER(m, text) relay_endpoint_meta_header((m), (text), strlen(text), &diag)

static void test_there_and_back(void **state)
{
    struct relay_endpoint_meta m = {.ttl_ms = 5000}, got = {0};
    struct relay_client_publish p = {0};
    struct nk_diag diag = {0};
    struct nk_buf b;
    size_t len = 0;
    (void)state;
    nk_buf_init(&b, 1 << 20);
    assert_int_equal(relay_endpoint_meta_reply_to(&m, "old", 3, &diag), 0);
    assert_int_equal(relay_endpoint_meta_reply_to(&m, "back", 4, &diag), 0);
    assert_int_equal(relay_endpoint_meta_correlation(&m, "a\0b", 3, &diag), 0);
    assert_int_equal(HEADER(&m, "a=b=c"), 0);
    assert_int_equal(HEADER(&m, "a=2"), 0);
    assert_int_equal(relay_endpoint_meta_put(&m, &b), 0);
    size_t block = nk_buf_len(&b);
    assert_int_equal(nk_buf_puts(&b, "object"), 0);
    for (size_t n = 0; n < block; n++) {
        assert_int_equal(relay_endpoint_meta_get(&got, nk_buf_ptr(&b), n, &len), NK_EPROTO);
    }
    assert_int_equal(relay_endpoint_meta_get(&got, nk_buf_ptr(&b), nk_buf_len(&b), &len), 0);
    assert_int_equal(len, block);
    relay_endpoint_meta_publish(&got, &p);
    assert_true(p.ttl_ms == 5000 && p.nheaders == 2 && p.correlation_len == 3);
    assert_string_equal(p.reply_to, "back");
    assert_memory_equal(p.correlation, "a\0b", 3);
    assert_string_equal(p.headers[0], "a=b=c");
    assert_string_equal(p.headers[1], "a=2");
    relay_endpoint_meta_clear(&got);
    relay_endpoint_meta_clear(&m);
    assert_true(!m.reply_to && m.nheaders == 0);
    nk_buf_clear(&b);
}

static void test_nothing(void **state)
{
    struct relay_endpoint_meta m = {0};
    struct nk_buf b;
    size_t len = 0;
    (void)state;
    nk_buf_init(&b, 1 << 20);
    assert_int_equal(relay_endpoint_meta_put(&m, &b), 0);
    assert_int_equal(nk_buf_len(&b), RELAY_META_PREFIX);
    assert_int_equal(relay_endpoint_meta_get(&m, nk_buf_ptr(&b), nk_buf_len(&b), &len), 0);
    assert_int_equal(len, RELAY_META_PREFIX);
    nk_buf_clear(&b);
}

static void test_refused(void **state)
{
    struct relay_endpoint_meta m = {0};
    struct nk_diag diag = {0};
    char text[RELAY_META_HEADER_MAX + 2];
    (void)state;
    memset(text, 'x', sizeof(text));
    text[1] = '=';
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(HEADER(&m, "noname"), NK_EUSAGE);
    assert_int_equal(HEADER(&m, "=value"), NK_EUSAGE);
    assert_int_equal(HEADER(&m, "n="), NK_EUSAGE);
    assert_int_equal(HEADER(&m, text), NK_EUSAGE);
    assert_int_equal(relay_endpoint_meta_header(&m, "a=\0b", 4, &diag), NK_EUSAGE);
    assert_int_equal(relay_endpoint_meta_reply_to(&m, "", 0, &diag), NK_EUSAGE);
    assert_int_equal(relay_endpoint_meta_reply_to(&m, "a\0b", 3, &diag), NK_EUSAGE);
    assert_int_equal(relay_endpoint_meta_reply_to(&m, text, RELAY_NATIVE_NAME + 1, &diag),
                     NK_EUSAGE);
    assert_int_equal(relay_endpoint_meta_correlation(&m, "", 0, &diag), NK_EUSAGE);
    assert_int_equal(relay_endpoint_meta_correlation(&m, text, 65, &diag), NK_EUSAGE);
    assert_true(!m.reply_to && m.nheaders == 0 && m.correlation_len == 0);
    for (unsigned i = 0; i < RELAY_META_HEADERS; i++) {
        assert_int_equal(HEADER(&m, "a=b"), 0);
    }
    assert_int_equal(HEADER(&m, "a=b"), NK_EUSAGE);
    relay_endpoint_meta_clear(&m);
}

/* Each header may have its kilobyte, but not all of them. */
static void test_too_much(void **state)
{
    struct relay_endpoint_meta m = {0};
    struct nk_diag diag = {0};
    struct nk_buf b;
    char text[RELAY_META_HEADER_MAX + 1];
    (void)state;
    nk_buf_init(&b, 1 << 20);
    memset(text, 'x', sizeof(text));
    text[1] = '=';
    text[RELAY_META_HEADER_MAX] = '\0';
    for (unsigned i = 0; i < RELAY_META_HEADERS; i++) {
        assert_int_equal(HEADER(&m, text), 0);
    }
    assert_int_equal(relay_endpoint_meta_put(&m, &b), NK_ETOOBIG);
    assert_int_equal(nk_buf_len(&b), 0);
    relay_endpoint_meta_clear(&m);
    nk_buf_clear(&b);
}

/* What only the relay, or whoever publishes, may say. */
static void test_not_a_sender_s(void **state)
{
    static const enum relay_meta_tag tags[] = {RELAY_META_EXPIRES, RELAY_META_COPIES,
                                               RELAY_META_ORIGIN, RELAY_META_REASON};
    (void)state;
    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
        struct relay_endpoint_meta m = {0};
        struct relay_meta_writer w;
        uint8_t block[64];
        size_t len = 0;
        relay_meta_begin(&w, block, sizeof(block));
        relay_meta_add_u64(&w, tags[i], 7);
        size_t n = relay_meta_end(&w);
        assert_true(n > 0);
        assert_int_equal(relay_endpoint_meta_get(&m, block, n, &len), NK_EPROTO);
    }
}

int nk_test_relay_endpoint_meta(void);
int nk_test_relay_endpoint_meta(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_refused),        cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_not_a_sender_s),
    };
    return cmocka_run_group_tests_name("relay/endpoint_meta", tests, NULL, NULL);
}
