/* SPDX-License-Identifier: MIT */
/* The pickles below were written by CPython 3.11's pickle module. */
#include "relay/pickle_value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

#define BYTES(s) s, sizeof(s) - 1

static void expect_json(const char *pickle, size_t n, const char *json)
{
    struct relay_value_doc doc = {0};
    struct nk_buf out;
    struct nk_json j;
    nk_buf_init(&out, 1 << 16);
    nk_json_init(&j, &out, false);
    assert_int_equal(relay_value_decode(&doc, pickle, n), 0);
    assert_int_equal(relay_value_to_json(&doc, relay_value_root(&doc), &j), 0);
    assert_int_equal(nk_json_end(&j), 0);
    assert_string_equal(nk_buf_str(&out), json);
    nk_buf_clear(&out);
    relay_value_doc_clear(&doc);
}

static void expect_error(const char *pickle, size_t n, int code)
{
    struct relay_value_doc doc = {0};
    /* an exact copy, so that the sanitizer sees a read past its end */
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, pickle, n);
    assert_int_equal(relay_value_decode(&doc, copy, n), code);
    assert_null(relay_value_root(&doc));
    relay_value_doc_clear(&doc);
    free(copy);
}

#define INTEGERS                                                                                   \
    "\x80\x02\x5d\x71\x00\x28\x4b\x00\x4b\x01\x4a\xff\xff\xff\xff\x4b\xff\x4d\x00\x01\x4d\xff\xff" \
    "\x4a\x00\x00\x01\x00\x4a\x00\x00\x00\x80\x8a\x05\x00\x00\x00\x80\x00\x8a\x08\xff\xff\xff\xff" \
    "\xff\xff\xff\x7f\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80\x65\x2e"
#define MIXED                                                                                      \
    "\x80\x05\x95\x3c\x00\x00\x00\x00\x00\x00\x00\x7d\x94\x28\x8c\x01\x61\x94\x5d\x94\x28\x4b\x01" \
    "\x47\x40\x04\x00\x00\x00\x00\x00\x00\x4e\x88\x89\x65\x8c\x01\x62\x94\x43\x02\x00\xff\x94\x8c" \
    "\x02\xc3\xa9\x94\x86\x94\x8c\x01\x63\x94\x8f\x94\x28\x4b\x01\x90\x8c\x01\x64\x94\x28\x91\x94" \
    "\x75\x2e"
#define OTHER_KEYS                                                                                 \
    "\x80\x04\x95\x14\x00\x00\x00\x00\x00\x00\x00\x7d\x94\x28\x4b\x01\x8c\x01\x78\x94\x4b\x02\x4b" \
    "\x03\x86\x94\x43\x00\x94\x75\x2e"
#define SHARED_STR                                                                                 \
    "\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00\x5d\x94\x28\x8c\x02\x61\x62\x94\x68\x01\x65\x2e"
#define SHARED_LIST                                                                                \
    "\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00\x5d\x94\x28\x5d\x94\x4b\x01\x61\x68\x01\x65\x2e"
#define BIG                                                                                        \
    "\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x40\x2e"
#define DATE                                                                                       \
    "\x80\x04\x95\x20\x00\x00\x00\x00\x00\x00\x00\x8c\x08\x64\x61\x74\x65\x74\x69\x6d\x65\x94\x8c" \
    "\x04\x64\x61\x74\x65\x94\x93\x94\x43\x04\x07\xe4\x01\x01\x94\x85\x94\x52\x94\x2e"
#define BYTEARRAY                                                                                  \
    "\x80\x05\x95\x0d\x00\x00\x00\x00\x00\x00\x00\x96\x02\x00\x00\x00\x00\x00\x00\x00\x78\x79\x94" \
    "\x2e"

static void test_values(void **state)
{
    (void)state;
    expect_json(BYTES("\x80\x04N."), "null");
    expect_json(BYTES("\x80\x04\x88."), "true");
    expect_json(BYTES("\x80\x03X\x02\x00\x00\x00hi."), "\"hi\"");
    expect_json(BYTES("\x80\x03"
                      "B\x02\x00\x00\x00hi."),
                "{\"base64\":\"aGk=\"}");
    expect_json(BYTES(INTEGERS), "[0,1,-1,255,256,65535,65536,-2147483648,2147483648,"
                                 "9223372036854775807,-9223372036854775808]");
    expect_json(BYTES(MIXED),
                "{\"a\":[1,2.5,null,true,false],\"b\":[{\"base64\":\"AP8=\"},\"\xc3\xa9\"],"
                "\"c\":[1],\"d\":[]}");
    expect_json(BYTES(OTHER_KEYS), "[[1,\"x\"],[[2,3],{\"base64\":\"\"}]]");
    expect_json(BYTES(SHARED_STR), "[\"ab\",\"ab\"]");
    expect_json(BYTES(BIG), "{\"int\":\"0x400000000000000000\"}");
    expect_json(BYTES(BYTEARRAY), "{\"base64\":\"eHk=\"}");
}

static void test_refused(void **state)
{
    (void)state;
    expect_error(BYTES(DATE), NK_EUNSUPPORTED);
    expect_error(BYTES(SHARED_LIST), NK_EUNSUPPORTED);
    expect_error(BYTES("\x80\x04"
                       "cos\nsystem\n."),
                 NK_EUNSUPPORTED);                                  /* GLOBAL */
    expect_error(BYTES("\x80\x04\x8c\x01x\x51."), NK_EUNSUPPORTED); /* BINPERSID */
    expect_error(BYTES("\x80\x06N."), NK_EUNSUPPORTED);
    expect_error(BYTES("\x80\x04\x8b\xff\xff\xff\x7f"), NK_EFORMAT);
}

static void test_broken(void **state)
{
    (void)state;
    expect_error("", 0, NK_EFORMAT);
    expect_error(BYTES("\x80\x04."), NK_EFORMAT);
    expect_error(BYTES("\x80\x04NN."), NK_EFORMAT);
    expect_error(BYTES("\x80\x04N.."), NK_EFORMAT);
    expect_error(BYTES("\x80\x04(."), NK_EFORMAT);
    expect_error(BYTES("\x80\x04t."), NK_EFORMAT);
    expect_error(BYTES("\x80\x04\x86."), NK_EFORMAT);
    expect_error(BYTES("\x80\x04N\x86."), NK_EFORMAT);
    expect_error(BYTES("\x80\x04(N\x86."), NK_EFORMAT);
    expect_error(BYTES("\x80\x04}Ns."), NK_EFORMAT);
    expect_error(BYTES("\x80\x04}(Nu."), NK_EFORMAT);
    expect_error(BYTES("\x80\x04](Nu."), NK_EFORMAT);
    expect_error(BYTES("\x80\x04(Ne."), NK_EFORMAT);
    expect_error(BYTES("\x80\x04h\x00."), NK_EFORMAT);
    expect_error(BYTES("\x80\x04\x94N."), NK_EFORMAT);
    expect_error(BYTES("\x80\x04\x8c\x02\xff\xfe."), NK_EFORMAT);
    expect_error(BYTES("\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xffx."), NK_EFORMAT);
    expect_error(BYTES("\x80\x04\x30."), NK_EFORMAT);
}

/* Protocols 0 and 1 are pickles, but are not read; what only looks a little like one is none. */
static void test_old_protocols(void **state)
{
    (void)state;
    expect_error(BYTES("N."), NK_EUNSUPPORTED);
    expect_error(BYTES("I01\n."), NK_EUNSUPPORTED);
    expect_error(BYTES("Vabc\np0\n."), NK_EUNSUPPORTED);
    expect_error(BYTES("(lp0\nI1\na."), NK_EUNSUPPORTED);
    expect_error(BYTES("]q\x00K\x01"
                       "a."),
                 NK_EUNSUPPORTED);
    expect_error(BYTES("I am."), NK_EFORMAT);
    expect_error(BYTES("hello."), NK_EFORMAT);
    expect_error(BYTES("N"), NK_EFORMAT);
    expect_error(BYTES("."), NK_EFORMAT);
    expect_error(BYTES("Vabc\n"), NK_EFORMAT);
}

/* Every prefix of a good pickle is broken, and none is read past its end. */
static void test_truncated(void **state)
{
    (void)state;
    static const char whole[] = MIXED;
    for (size_t n = 0; n + 1 < sizeof(whole); n++) {
        expect_error(whole, n, NK_EFORMAT);
    }
}

static void test_limits(void **state)
{
    (void)state;
    struct relay_value_doc doc = {0};
    struct nk_buf b;
    nk_buf_init(&b, 1 << 20);
    assert_int_equal(nk_buf_puts(&b, "\x80\x04"), 0);
    for (int i = 0; i < 2 * RELAY_VALUE_MAX_DEPTH; i++) {
        assert_int_equal(nk_buf_puts(&b, i < RELAY_VALUE_MAX_DEPTH ? "]" : "a"), 0);
        assert_true(i != RELAY_VALUE_MAX_DEPTH - 1 || nk_buf_puts(&b, "N") == 0);
    }
    assert_int_equal(nk_buf_puts(&b, "."), 0);
    assert_int_equal(relay_value_decode(&doc, nk_buf_ptr(&b), nk_buf_len(&b)), NK_EUNSUPPORTED);

    nk_buf_reset(&b);
    assert_int_equal(nk_buf_puts(&b, "\x80\x04]("), 0);
    for (int i = 0; i < RELAY_VALUE_MAX_VALUES; i++) {
        assert_int_equal(nk_buf_puts(&b, "N"), 0);
    }
    assert_int_equal(nk_buf_puts(&b, "e."), 0);
    assert_int_equal(relay_value_decode(&doc, nk_buf_ptr(&b), nk_buf_len(&b)), NK_EUNSUPPORTED);
    nk_buf_clear(&b);
    relay_value_doc_clear(&doc);
}

static void test_head(void **state)
{
    (void)state;
    uint8_t head[RELAY_VALUE_HEAD_MAX];
    assert_int_equal(relay_value_head(head, 0x1234, false), 7);
    assert_memory_equal(head,
                        "\x80\x03"
                        "B\x34\x12\x00\x00",
                        7);
    assert_int_equal(relay_value_head(head, 2, true), 7);
    assert_memory_equal(head, "\x80\x03X\x02\x00\x00\x00", 7);
    assert_int_equal(relay_value_head(head, (size_t)1 << 32, false), 11);
    assert_memory_equal(head, "\x80\x04\x8e\x00\x00\x00\x00\x01\x00\x00\x00", 11);
}

int nk_test_relay_pickle_value(void);
int nk_test_relay_pickle_value(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_broken),    cmocka_unit_test(test_old_protocols),
        cmocka_unit_test(test_truncated), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
