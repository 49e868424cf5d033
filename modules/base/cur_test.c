/* SPDX-License-Identifier: MIT */
#include "base/cur.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
                                1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};

static void integers(void **state)
{
    (void)state;
    struct nk_cur c;
    nk_cur_init(&c, bytes, sizeof bytes);
    assert_int_equal(nk_cur_u8(&c), 1);
    assert_int_equal(nk_cur_be16(&c), 0x0203);
    assert_int_equal(nk_cur_be32(&c), 0x04050607);
    assert_true(nk_cur_be64(&c) == 0x08090a0b0c0d0e0f);
    assert_int_equal(nk_cur_le16(&c), 0x0201);
    assert_int_equal(nk_cur_le32(&c), 0x06050403);
    assert_true(nk_cur_le64(&c) == 0x0e0d0c0b0a090807);
    assert_true(nk_cur_done(&c));
    assert_int_equal(nk_cur_left(&c), 0);
}

static void failure_sticks(void **state)
{
    (void)state;
    struct nk_cur c;
    uint8_t out[8] = {9};
    nk_cur_init(&c, bytes, 3);
    assert_int_equal(nk_cur_be32(&c), 0);
    assert_true(c.failed);
    assert_false(nk_cur_done(&c));
    assert_int_equal(nk_cur_left(&c), 0);
    assert_int_equal(nk_cur_u8(&c), 0);
    assert_null(nk_cur_bytes(&c, 0));
    assert_false(nk_cur_copy(&c, out, 1));
    assert_int_equal(out[0], 9);
    assert_true(c.p == bytes); /* never moved */
}

static void unread_bytes_are_not_done(void **state)
{
    (void)state;
    struct nk_cur c;
    nk_cur_init(&c, bytes, 2);
    nk_cur_u8(&c);
    assert_false(nk_cur_done(&c));
    assert_int_equal(nk_cur_left(&c), 1);
    nk_cur_u8(&c);
    assert_true(nk_cur_done(&c));
    nk_cur_fail(&c);
    assert_false(nk_cur_done(&c));
}

static void borrowing_and_copying(void **state)
{
    (void)state;
    struct nk_cur c;
    uint8_t out[4] = {0};
    nk_cur_init(&c, bytes, 8);
    assert_true(nk_cur_bytes(&c, 0) == bytes);
    assert_true(nk_cur_bytes(&c, 4) == bytes);
    assert_true(nk_cur_copy(&c, out, 4));
    assert_memory_equal(out, bytes + 4, 4);
    assert_non_null(nk_cur_bytes(&c, 0));
    assert_true(nk_cur_copy(&c, NULL, 0));
    assert_null(nk_cur_bytes(&c, SIZE_MAX));
}

static void sub_cursors(void **state)
{
    (void)state;
    struct nk_cur c;
    nk_cur_init(&c, bytes, 6);
    struct nk_cur sub = nk_cur_sub(&c, 4);
    assert_int_equal(nk_cur_left(&c), 2);
    assert_int_equal(nk_cur_be32(&sub), 0x01020304);
    assert_true(nk_cur_done(&sub));
    assert_int_equal(nk_cur_u8(&sub), 0);
    assert_true(sub.failed);
    assert_false(c.failed);
    struct nk_cur empty = nk_cur_sub(&c, 0);
    assert_true(nk_cur_done(&empty));
    struct nk_cur late = nk_cur_sub(&c, 3);
    assert_true(late.failed && c.failed);
    assert_false(nk_cur_done(&late));
}

static void no_bytes_at_all(void **state)
{
    (void)state;
    struct nk_cur c;
    nk_cur_init(&c, NULL, 0);
    assert_true(nk_cur_done(&c));
    assert_non_null(nk_cur_bytes(&c, 0));
    assert_int_equal(nk_cur_u8(&c), 0);
    assert_true(c.failed);
}

int nk_test_base_cur(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers),
        cmocka_unit_test(failure_sticks),
        cmocka_unit_test(unread_bytes_are_not_done),
        cmocka_unit_test(borrowing_and_copying),
        cmocka_unit_test(sub_cursors),
        cmocka_unit_test(no_bytes_at_all),
    };
    return cmocka_run_group_tests_name("base/cur", tests, NULL, NULL);
}
