/* SPDX-License-Identifier: MIT */
#include "relay/wire_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

#define BYTES(s) s, sizeof(s) - 1

static void expect(struct nk_buf *b, const char *bytes, size_t n)
{
    assert_int_equal(nk_buf_len(b), n);
    assert_memory_equal(nk_buf_ptr(b), bytes, n);
    nk_buf_reset(b);
}

static void test_write(void **state)
{
    (void)state;
    struct nk_secret pw = {0};
    struct relay_wire_format f = {.header_size = 10, .password = &pw};
    const char *const groups[] = {"A", "BC"};
    const struct relay_wire_dest dest[] = {{"B", -1}, {"C", 2}};
    struct nk_buf b;
    nk_buf_init_secret(&b, 4096);

    assert_int_equal(relay_wire_put_ack(&b, &f, 1), 0);
    expect(&b, BYTES("20        \x80\x04(J\x01\0\0\0X\x03\0\0\0ACKNNt."));
    assert_int_equal(nk_secret_set(&pw, "pw", 2), 0);
    assert_int_equal(relay_wire_put_hello(&b, &f, 2, groups, 2), 0);
    expect(&b, BYTES("36        pw\x80\x04(J\x02\0\0\0X\x05\0\0\0HELLON("
                     "X\x01\0\0\0AX\x02\0\0\0BCtt."));
    assert_int_equal(relay_wire_put_hello(&b, &f, 2, NULL, 0), 0);
    expect(&b, BYTES("23        pw\x80\x04(J\x02\0\0\0X\x05\0\0\0HELLON(tt."));
    assert_int_equal(relay_wire_put_notify(&b, &f, 3, dest, 2), 0);
    expect(&b, BYTES("52        pw\x80\x04(J\x03\0\0\0X\x03\0\0\0NTF}("
                     "X\x01\0\0\0BJ\xff\xff\xff\xffX\x01\0\0\0CJ\x02\0\0\0u"
                     "B\x04\0\0\0\x80\x04N.t."));
    assert_int_equal(relay_wire_put_object(&b, &f, 4, dest, 1, 300), 0);
    expect(&b, BYTES("337       pw\x80\x04(J\x04\0\0\0X\x03\0\0\0OBJ}("
                     "X\x01\0\0\0BJ\xff\xff\xff\xffuB\x2c\x01\0\0"));
    assert_int_equal(relay_wire_put_ack(&b, &f, (int64_t)1 << 40), 0);
    expect(&b, BYTES("25        pw\x80\x04(\x8a\x08\0\0\0\0\0\x01\0\0X\x03\0\0\0ACKNNt."));
    nk_buf_clear(&b);
    nk_secret_clear(&pw);
}

static void test_write_limits(void **state)
{
    (void)state;
    struct nk_secret pw = {0};
    struct relay_wire_format f = {.header_size = 1, .password = &pw};
    const struct relay_wire_dest dest = {"g", 1};
    struct nk_buf b;
    nk_buf_init_secret(&b, 64);
    assert_int_equal(nk_buf_puts(&b, "before"), 0);
    assert_int_equal(relay_wire_put_ack(&b, &f, 1), NK_ETOOBIG); /* 20 has two digits */
    assert_int_equal(nk_buf_len(&b), 6);
    f.header_size = 10;
    assert_int_equal(relay_wire_put_object(&b, &f, 1, &dest, 1, 9999999999), NK_ETOOBIG);
    assert_int_equal(nk_buf_len(&b), 6);
    assert_int_equal(relay_wire_put_object(&b, &f, 1, &dest, 1, 5000000000), 0);
    assert_int_equal(relay_wire_put_ack(&b, &f, 2), NK_ETOOBIG); /* the buffer is full */
    expect(&b, BYTES("before"
                     "5000000041\x80\x04(J\x01\0\0\0X\x03\0\0\0OBJ}("
                     "X\x01\0\0\0gJ\x01\0\0\0u\x8e\x00\xf2\x05\x2a\x01\0\0\0"));
    nk_buf_clear(&b);
}

static void test_length(void **state)
{
    (void)state;
    size_t total = 7;
    assert_int_equal(relay_wire_frame_length("25     ", 7, 10, 1000, &total), 0);
    assert_int_equal(total, 0);
    assert_int_equal(relay_wire_frame_length("25        ", 10, 10, 1000, &total), 0);
    assert_int_equal(total, 35);
    assert_int_equal(relay_wire_frame_length("1000      ", 10, 10, 1000, &total), 0);
    assert_int_equal(total, 1010);
    assert_int_equal(relay_wire_frame_length("1001      ", 10, 10, 1000, &total), NK_ETOOBIG);
    assert_int_equal(relay_wire_frame_length("99999999999999999999", 20, 20, SIZE_MAX / 2, &total),
                     NK_ETOOBIG);
    static const char *const bad[] = {"          ", " 25       ",  "-5        ", "+5        ",
                                      "2 5       ", "25\n       ", "HTTP/1.1 4", "1_0       "};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(relay_wire_frame_length(bad[i], 10, 10, 1000, &total), NK_EPROTO);
    }
    assert_int_equal(total, 1010);
}

static void test_parse(void **state)
{
    (void)state;
    struct relay_value_doc doc = {0};
    struct relay_wire_message m;
    /* a stock relay's frames (CPython 3.11, protocol 4) and the shortest form */
    assert_int_equal(relay_wire_parse(&doc,
                                      BYTES("\x80\x04\x95\x0e\0\0\0\0\0\0\0K\x01\x8c\x05HELLO\x94N"
                                            "\x87\x94."),
                                      &m),
                     0);
    assert_int_equal(m.cmd, RELAY_WIRE_HELLO);
    assert_int_equal(m.stamp, 1);
    assert_int_equal(relay_wire_parse(&doc, BYTES("\x80\x03J\x02\0\0\0X\x03\0\0\0ACKN\x87."), &m),
                     0);
    assert_int_equal(m.cmd, RELAY_WIRE_ACK);
    assert_int_equal(m.stamp, 2);
    assert_int_equal(relay_wire_parse(&doc,
                                      BYTES("\x80\x04\x95\x16\0\0\0\0\0\0\0K\x03\x8c\x03OBJ\x94"
                                            "C\x08\x80\x04\x8c\x02hi\x94.\x94\x87\x94."),
                                      &m),
                     0);
    assert_int_equal(m.cmd, RELAY_WIRE_OBJ);
    assert_int_equal(m.stamp, 3);
    assert_int_equal(m.obj_len, 8);
    assert_memory_equal(m.obj, "\x80\x04\x8c\x02hi\x94.", 8);
    assert_int_equal(relay_wire_parse(&doc, BYTES("\x80\x03K\x09X\x04\0\0\0PINGN\x87."), &m), 0);
    assert_int_equal(m.cmd, RELAY_WIRE_OTHER);

    assert_int_equal(relay_wire_parse(&doc, BYTES("\x80\x03N."), &m), NK_EPROTO);
    assert_int_equal(relay_wire_parse(&doc, BYTES("\x80\x03K\x01X\x03\0\0\0ACK\x86."), &m),
                     NK_EPROTO);
    assert_int_equal(relay_wire_parse(&doc, BYTES("\x80\x03NX\x03\0\0\0ACKN\x87."), &m), NK_EPROTO);
    assert_int_equal(relay_wire_parse(&doc, BYTES("\x80\x03K\x01K\x01N\x87."), &m), NK_EPROTO);
    assert_int_equal(relay_wire_parse(&doc, BYTES("\x80\x03K\x01X\x03\0\0\0OBJN\x87."), &m),
                     NK_EPROTO);
    assert_int_equal(m.cmd, RELAY_WIRE_OTHER); /* untouched by the failures */
    relay_value_doc_clear(&doc);
}

int nk_test_relay_wire_client(void);
int nk_test_relay_wire_client(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_write_limits),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_parse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
