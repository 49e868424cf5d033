/* SPDX-License-Identifier: MIT */
#include "relay/endpoint_print.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define STR "\x80\x03X\x03\x00\x00\x00h\"\n."
#define BYTES                                                                                      \
    "\x80\x03"                                                                                     \
    "B\x02\x00\x00\x00\xff\x00."
#define LIST "\x80\x04](K\x01\x8c\x01xe."
#define NONE "\x80\x04N."
#define DATE                                                                                       \
    "\x80\x04\x8c\x08"                                                                             \
    "datetime\x8c\x04"                                                                             \
    "date\x93)R."

static void prints(enum relay_endpoint_format format, const char *pickle, size_t n,
                   const char *expected, size_t len)
{
    struct relay_value_doc doc = {0};
    struct nk_buf out;
    nk_buf_init(&out, 4096);
    assert_int_equal(nk_buf_puts(&out, "x"), 0);
    assert_int_equal(relay_endpoint_format_object(&out, format, &doc, (const uint8_t *)pickle, n),
                     0);
    assert_int_equal(nk_buf_len(&out), len + 1);
    assert_memory_equal(nk_buf_ptr(&out) + 1, expected, len);
    nk_buf_clear(&out);
    relay_value_doc_clear(&doc);
}

#define PRINTS(format, pickle, text)                                                               \
    prints((format), (pickle), sizeof(pickle) - 1, (text), sizeof(text) - 1)

static void test_formats(void **state)
{
    (void)state;
    PRINTS(ENDPOINT_JSON, STR, "{\"type\":\"str\",\"value\":\"h\\\"\\n\"}\n");
    PRINTS(ENDPOINT_JSON, BYTES, "{\"type\":\"bytes\",\"value\":\"/wA=\"}\n");
    PRINTS(ENDPOINT_JSON, LIST, "{\"type\":\"list\",\"value\":[1,\"x\"]}\n");
    PRINTS(ENDPOINT_JSON, NONE, "{\"type\":\"NoneType\",\"value\":null}\n");
    PRINTS(ENDPOINT_JSON, DATE,
           "{\"type\":\"pickle\",\"value\":\"gASMCGRhdGV0aW1ljARkYXRlkylSLg==\"}\n");
    PRINTS(ENDPOINT_TEXT, STR, "h\"\n\n");
    PRINTS(ENDPOINT_TEXT, BYTES, "\xff\x00\n");
    PRINTS(ENDPOINT_TEXT, LIST, "[1,\"x\"]\n");
    PRINTS(ENDPOINT_TEXT, NONE, "null\n");
    PRINTS(ENDPOINT_TEXT, DATE,
           "{\"type\":\"pickle\",\"value\":\"gASMCGRhdGV0aW1ljARkYXRlkylSLg==\"}\n");
    PRINTS(ENDPOINT_RAW, STR, "h\"\n");
    PRINTS(ENDPOINT_RAW, BYTES, "\xff\x00");
    PRINTS(ENDPOINT_RAW, LIST, LIST);
    PRINTS(ENDPOINT_RAW, DATE, DATE);
    PRINTS(ENDPOINT_PICKLE, STR, STR);
}

/* What is no pickle at all is passed on, too: it came from a peer, and may make sense to somebody.
 */
static void test_garbage(void **state)
{
    (void)state;
    PRINTS(ENDPOINT_RAW, "garbage", "garbage");
    PRINTS(ENDPOINT_JSON, "garbage", "{\"type\":\"pickle\",\"value\":\"Z2FyYmFnZQ==\"}\n");
    prints(ENDPOINT_RAW, "", 0, "", 0);
}

static void test_full(void **state)
{
    (void)state;
    struct relay_value_doc doc = {0};
    struct nk_buf out;
    nk_buf_init(&out, 24);
    assert_int_equal(nk_buf_puts(&out, "before"), 0);
    assert_int_equal(relay_endpoint_format_object(&out, ENDPOINT_JSON, &doc, (const uint8_t *)STR,
                                                  sizeof(STR) - 1),
                     NK_ETOOBIG);
    assert_int_equal(nk_buf_len(&out), 6);
    nk_buf_clear(&out);
    relay_value_doc_clear(&doc);
}

/* A header that is repeated is one member with a list. */
static void test_metadata(void **state)
{
    struct relay_value_doc doc = {0};
    struct relay_meta_writer w;
    struct relay_meta m;
    struct nk_buf out;
    uint8_t block[256];
    (void)state;
    relay_meta_begin(&w, block, sizeof(block));
    relay_meta_add_u64(&w, RELAY_META_EXPIRES, 12);
    relay_meta_add(&w, RELAY_META_HEADER, "a=1", 3);
    relay_meta_add(&w, RELAY_META_HEADER, "b=2", 3);
    relay_meta_add(&w, RELAY_META_HEADER, "a=3=4", 5);
    relay_meta_add(&w, RELAY_META_HEADER, "a=5", 3);
    assert_int_equal(relay_meta_get(block, relay_meta_end(&w), &m), 0);
    const struct relay_client_object d = {.lease.wire = RELAY_CLIENT_NATIVE,
                                          .kind = RELAY_KIND_ITEM,
                                          .content = RELAY_CONTENT_TEXT,
                                          .seq = 9,
                                          .meta = &m,
                                          .meta_block = block,
                                          .data = (const uint8_t *)"x",
                                          .len = 1};
    static const char want[] =
        "{\"group\":\"g\",\"kind\":\"item\",\"seq\":9,\"tries\":0,\"expires_ms\":12,"
        "\"headers\":{\"a\":[\"1\",\"3=4\",\"5\"],\"b\":\"2\"},\"type\":\"str\","
        "\"value\":\"x\"}\n";
    nk_buf_init(&out, 4096);
    assert_int_equal(relay_endpoint_format_delivery(&out, ENDPOINT_JSON, &doc, &d, "g"), 0);
    assert_int_equal(nk_buf_len(&out), sizeof(want) - 1);
    assert_memory_equal(nk_buf_ptr(&out), want, sizeof(want) - 1);
    nk_buf_clear(&out);
    relay_value_doc_clear(&doc);
}

int nk_test_relay_endpoint_print(void);
int nk_test_relay_endpoint_print(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_metadata),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
