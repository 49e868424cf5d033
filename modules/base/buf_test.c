/* SPDX-License-Identifier: MIT */
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

static void put_and_consume(void **state)
{
    (void)state;
    struct nk_buf b;
    nk_buf_init(&b, 1000);
    assert_null(nk_buf_ptr(&b));
    assert_int_equal(nk_buf_len(&b), 0);
    assert_int_equal(nk_buf_put(&b, NULL, 0), 0);
    assert_int_equal(nk_buf_puts(&b, "hello "), 0);
    assert_int_equal(nk_buf_puts(&b, "world"), 0);
    assert_memory_equal(nk_buf_ptr(&b), "hello world", 11);
    nk_buf_consume(&b, 6);
    assert_string_equal(nk_buf_str(&b), "world");
    assert_int_equal(nk_buf_len(&b), 5);
    nk_buf_consume(&b, 5);
    assert_string_equal(nk_buf_str(&b), "");
    nk_buf_clear(&b);
    assert_null(b.data);
    assert_int_equal(b.max, 1000);
    assert_int_equal(nk_buf_puts(&b, "again"), 0);
    nk_buf_reset(&b);
    assert_int_equal(nk_buf_len(&b), 0);
    assert_non_null(b.data);
    nk_buf_clear(&b);
}

static void maximum_holds(void **state)
{
    (void)state;
    struct nk_buf b;
    uint8_t *p;
    nk_buf_init(&b, 10);
    assert_int_equal(nk_buf_puts(&b, "0123456789"), 0);
    assert_int_equal(nk_buf_u8(&b, 1), NK_ETOOBIG);
    assert_int_equal(nk_buf_reserve(&b, 1, &p), NK_ETOOBIG);
    assert_int_equal(nk_buf_reserve(&b, SIZE_MAX, &p), NK_ETOOBIG);
    assert_int_equal(nk_buf_printf(&b, "x"), NK_ETOOBIG);
    assert_int_equal(nk_buf_reserve(&b, 0, &p), 0);
    assert_string_equal(nk_buf_str(&b), "0123456789"); /* the terminator fits above max */
    nk_buf_consume(&b, 4);
    assert_int_equal(nk_buf_puts(&b, "abcde"), NK_ETOOBIG);
    assert_int_equal(nk_buf_puts(&b, "abcd"), 0);
    assert_string_equal(nk_buf_str(&b), "456789abcd");
    assert_true(b.cap <= 11);
    nk_buf_clear(&b);
}

static void integers(void **state)
{
    (void)state;
    static const uint8_t want[] = {0x7f, 1, 2, 1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 7, 8,
                                   2,    1, 4, 3, 2, 1, 8, 7, 6, 5, 4, 3, 2, 1};
    struct nk_buf b;
    nk_buf_init(&b, 100);
    assert_int_equal(nk_buf_u8(&b, 0x7f), 0);
    assert_int_equal(nk_buf_be16(&b, 0x0102), 0);
    assert_int_equal(nk_buf_be32(&b, 0x01020304), 0);
    assert_int_equal(nk_buf_be64(&b, 0x0102030405060708), 0);
    assert_int_equal(nk_buf_le16(&b, 0x0102), 0);
    assert_int_equal(nk_buf_le32(&b, 0x01020304), 0);
    assert_int_equal(nk_buf_le64(&b, 0x0102030405060708), 0);
    assert_int_equal(nk_buf_len(&b), sizeof want);
    assert_memory_equal(nk_buf_ptr(&b), want, sizeof want);
    nk_buf_clear(&b);
}

static void formatted(void **state)
{
    (void)state;
    struct nk_buf b;
    nk_buf_init(&b, 200);
    assert_int_equal(nk_buf_printf(&b, "%s", ""), 0);
    assert_int_equal(nk_buf_len(&b), 0);
    assert_int_equal(nk_buf_printf(&b, "%d-%s", 42, "x"), 0);
    assert_int_equal(nk_buf_printf(&b, "%0150d", 7), 0);
    assert_int_equal(nk_buf_len(&b), 154);
    assert_memory_equal(nk_buf_str(&b), "42-x000", 7);
    assert_int_equal(nk_buf_printf(&b, "%047d", 7), NK_ETOOBIG);
    assert_int_equal(nk_buf_len(&b), 154);
    assert_int_equal(nk_buf_printf(&b, "%046d", 7), 0);
    assert_int_equal(nk_buf_len(&b), 200);
    nk_buf_clear(&b);
}

/* A ring of random appends and consumes must always show the bytes of a counter. */
static void random_walk(void **state)
{
    (void)state;
    struct nk_buf b;
    nk_buf_init(&b, 5000);
    uint8_t in = 0, out = 0;
    uint32_t seed = 1;
    for (int i = 0; i < 20000; i++) {
        seed = seed * 1103515245u + 12345u;
        size_t n = seed >> 16 & 0x1ff;
        if (seed >> 30 & 1) {
            uint8_t *p;
            int r = nk_buf_reserve(&b, n, &p);
            assert_true(r == 0 || (r == NK_ETOOBIG && b.len + n > b.max));
            for (size_t k = 0; r == 0 && k < n; k++)
                p[k] = in++;
            if (r == 0)
                nk_buf_commit(&b, n);
        } else {
            n = n < b.len ? n : b.len;
            for (size_t k = 0; k < n; k++)
                assert_int_equal(nk_buf_ptr(&b)[k], out++);
            nk_buf_consume(&b, n);
        }
        assert_true(b.off + b.len <= b.cap && b.len <= b.max);
    }
    nk_buf_clear(&b);
}

static void detach_hands_over(void **state)
{
    (void)state;
    struct nk_buf b;
    size_t n = 99;
    nk_buf_init(&b, 100);
    assert_null(nk_buf_detach(&b, &n));
    assert_int_equal(n, 0);
    nk_buf_puts(&b, "xxpayload");
    nk_buf_consume(&b, 2);
    uint8_t *p = nk_buf_detach(&b, &n);
    assert_int_equal(n, 7);
    assert_memory_equal(p, "payload", 7);
    free(p);
    assert_int_equal(nk_buf_len(&b), 0);
    assert_int_equal(nk_buf_puts(&b, "more"), 0);
    nk_buf_clear(&b);
}

static void secret_is_wiped(void **state)
{
    (void)state;
    struct nk_buf b;
    nk_buf_init_secret(&b, 1000);
    nk_buf_puts(&b, "topsecret");
    const uint8_t *at = b.data;
    nk_buf_consume(&b, 3);
    assert_memory_equal(at, "\0\0\0secret", 9);
    size_t n;
    uint8_t *p = nk_buf_detach(&b, &n);
    assert_memory_equal(p, "secret\0\0\0", 9); /* moved to the front, the rest wiped */
    free(p);
    nk_buf_puts(&b, "another");
    at = b.data;
    nk_buf_reset(&b);
    assert_memory_equal(at, "\0\0\0\0\0\0\0", 7);
    nk_buf_clear(&b);
}

int nk_test_base_buf(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(put_and_consume), cmocka_unit_test(maximum_holds),
        cmocka_unit_test(integers),        cmocka_unit_test(formatted),
        cmocka_unit_test(random_walk),     cmocka_unit_test(detach_hands_over),
        cmocka_unit_test(secret_is_wiped),
    };
    return cmocka_run_group_tests_name("base/buf", tests, NULL, NULL);
}
