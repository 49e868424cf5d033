/* SPDX-License-Identifier: MIT */
#include "relay/client_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

static const struct nk_secret no_password;
static const struct relay_wire_format format = {.header_size = 10, .password = &no_password};

static int64_t put(struct relay_client_out *o, size_t head, size_t data)
{
    static uint8_t bytes[40000];
    struct relay_client_item item = {
        .dest = {"g", 1}, .head = bytes, .head_len = head, .data_len = data, .dot = data % 2};
    if (head % 2) {
        item.wrap_len = relay_value_head(item.wrap, head + data, false);
    }
    memset(bytes, 'h', sizeof(bytes));
    uint8_t *p = data > 0 ? malloc(data) : NULL;
    if (p) {
        memset(p, 'd', data);
    }
    return relay_client_out_object(o, &format, &item, p);
}

/* Write everything, `step` bytes at a time, and collect it. */
static void drain(struct relay_client_out *o, size_t step, struct nk_buf *to)
{
    struct iovec iov[RELAY_CLIENT_IOV];
    while (!relay_client_out_empty(o)) {
        int n = relay_client_out_iov(o, iov);
        assert_int_in_range(n, 1, RELAY_CLIENT_IOV);
        size_t left = step;
        for (int i = 0; i < n; i++) {
            size_t k = iov[i].iov_len < left ? iov[i].iov_len : left;
            assert_int_equal(nk_buf_put(to, iov[i].iov_base, k), 0);
            left -= k;
        }
        relay_client_out_sent(o, step - left);
    }
}

static void fill(struct relay_client_out *o, size_t step, struct nk_buf *to)
{
    static const size_t sizes[][2] = {{0, 0},        {1, 0},        {100, 0},
                                      {32 << 10, 0}, {0, 16 << 10}, {9, 70000},
                                      {3, 17},       {11, 200000},  {0, 200001}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (!relay_client_out_room(o)) {
            drain(o, step, to);
        }
        assert_int_equal(put(o, sizes[i][0], sizes[i][1]), (int64_t)i + 1);
        if (i == 5) { /* a small frame behind a large object */
            assert_int_equal(relay_wire_put_ack(relay_client_out_frames(o), &format, 77), 0);
        }
    }
    drain(o, step, to);
}

/* However the kernel cuts the writes, the bytes are the same. */
static void test_every_split(void **state)
{
    (void)state;
    static const size_t steps[] = {1 << 20, 1, 7, 4096, 100000};
    struct nk_buf reference, b;
    nk_buf_init(&reference, 1 << 21);
    nk_buf_init(&b, 1 << 21);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct relay_client_out o;
        relay_client_out_init(&o);
        fill(&o, steps[i], i == 0 ? &reference : &b);
        assert_int_equal(relay_client_out_waiting(&o), 9);
        relay_client_out_clear(&o);
        if (i > 0) {
            assert_int_equal(nk_buf_len(&b), nk_buf_len(&reference));
            assert_memory_equal(nk_buf_ptr(&b), nk_buf_ptr(&reference), nk_buf_len(&b));
            nk_buf_reset(&b);
        }
    }
    /* and each frame's header tells its length */
    size_t off = 0, total, frames = 0;
    while (off < nk_buf_len(&reference)) {
        assert_int_equal(relay_wire_frame_length(nk_buf_ptr(&reference) + off,
                                                 nk_buf_len(&reference) - off, 10, 1 << 20, &total),
                         0);
        assert_true(total > 10);
        off += total;
        frames++;
    }
    assert_int_equal(off, nk_buf_len(&reference));
    assert_int_equal(frames, 10);
    nk_buf_clear(&reference);
    nk_buf_clear(&b);
}

static void test_frames_behind_large_object(void **state)
{
    (void)state;
    struct relay_client_out o;
    struct iovec iov[RELAY_CLIENT_IOV];
    struct nk_buf b;
    size_t total;
    relay_client_out_init(&o);
    nk_buf_init(&b, 1 << 21);
    assert_int_equal(put(&o, 0, 100000), 1);
    assert_false(relay_client_out_room(&o));
    assert_int_equal(relay_client_out_iov(&o, iov), 3);
    assert_int_equal(nk_buf_put(&b, iov[0].iov_base, 5), 0);
    relay_client_out_sent(&o, 5); /* the object is under way */
    assert_int_equal(relay_wire_put_ack(relay_client_out_frames(&o), &format, 9), 0);
    drain(&o, 1 << 20, &b);
    assert_int_equal(relay_wire_frame_length(nk_buf_ptr(&b), nk_buf_len(&b), 10, 1 << 20, &total),
                     0);
    assert_int_equal(nk_buf_len(&b), total + 10 + 20);
    assert_memory_equal(nk_buf_ptr(&b) + total, "20        \x80\x04(J\x09", 15);
    relay_client_out_clear(&o);
    nk_buf_clear(&b);
}

static void test_window(void **state)
{
    (void)state;
    struct relay_client_out o;
    relay_client_out_init(&o);
    for (int i = 1; i <= RELAY_CLIENT_WINDOW; i++) {
        assert_int_equal(put(&o, 1, 0), i);
    }
    assert_false(relay_client_out_room(&o));
    assert_int_equal(relay_client_out_waiting(&o), RELAY_CLIENT_WINDOW);
    assert_int_equal(relay_client_out_stamp(&o), 0);
    assert_false(relay_client_out_ack(&o, 0));
    assert_false(relay_client_out_ack(&o, RELAY_CLIENT_WINDOW + 1));
    /* out of order: nothing moves before the oldest one is there */
    assert_true(relay_client_out_ack(&o, 2));
    assert_true(relay_client_out_acked(&o, 2));
    assert_false(relay_client_out_acked(&o, 3));
    assert_false(relay_client_out_ack(&o, 2));
    assert_int_equal(relay_client_out_waiting(&o), RELAY_CLIENT_WINDOW);
    assert_true(relay_client_out_ack(&o, 1));
    assert_int_equal(relay_client_out_waiting(&o), RELAY_CLIENT_WINDOW - 2);
    assert_int_equal(put(&o, 1, 0), RELAY_CLIENT_WINDOW + 1);
    for (int64_t s = 3; s <= RELAY_CLIENT_WINDOW + 1; s++) {
        assert_true(relay_client_out_ack(&o, s));
    }
    assert_int_equal(relay_client_out_waiting(&o), 0);
    relay_client_out_clear(&o);
}

static void test_restart(void **state)
{
    (void)state;
    struct relay_client_out o;
    struct iovec iov[RELAY_CLIENT_IOV];
    relay_client_out_init(&o);
    assert_int_equal(put(&o, 0, 100000), 1);
    assert_int_equal(relay_client_out_iov(&o, iov), 3);
    relay_client_out_sent(&o, 1000);
    relay_client_out_restart(&o);
    assert_int_equal(relay_client_out_waiting(&o), 0);
    assert_int_equal(relay_client_out_iov(&o, iov), 0);
    assert_false(relay_client_out_ack(&o, 1));
    assert_int_equal(put(&o, 50, 0), 2);
    assert_int_equal(relay_client_out_iov(&o, iov), 1);
    assert_true(relay_client_out_ack(&o, 2));
    relay_client_out_clear(&o);
}

static void test_header_too_small(void **state)
{
    (void)state;
    const struct relay_wire_format small = {.header_size = 2, .password = &no_password};
    const struct relay_client_item item = {
        .dest = {"g", 1}, .head = (const uint8_t *)"", .data_len = 20000};
    struct relay_client_out o;
    relay_client_out_init(&o);
    assert_int_equal(relay_client_out_object(&o, &small, &item, calloc(1, 20000)), NK_ETOOBIG);
    relay_client_out_clear(&o);
}

int nk_test_relay_client_out(void);
int nk_test_relay_client_out(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_split),      cmocka_unit_test(test_frames_behind_large_object),
        cmocka_unit_test(test_window),           cmocka_unit_test(test_restart),
        cmocka_unit_test(test_header_too_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
