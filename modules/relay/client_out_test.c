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
static const struct relay_wire_dest dest = {"g", 1};

static uint8_t *copy_of(const void *p, size_t n)
{
    uint8_t *q = malloc(n ? n : 1);
    assert_non_null(q);
    memcpy(q, p, n);
    return q;
}

/* Write everything, `step` bytes at a time, and collect it. */
static void drain(struct relay_client_out *o, size_t step, struct nk_buf *to)
{
    struct iovec iov[RELAY_CLIENT_IOV];
    for (;;) {
        int n = relay_client_out_iov(o, &format, true, iov);
        assert_int_in_range(n, 0, RELAY_CLIENT_IOV);
        size_t left = step;
        for (int i = 0; i < n; i++) {
            size_t k = iov[i].iov_len < left ? iov[i].iov_len : left;
            assert_int_equal(nk_buf_put(to, iov[i].iov_base, k), 0);
            left -= k;
        }
        relay_client_out_sent(o, step - left);
        if (left == step) {
            assert_true(relay_client_out_empty(o) ||
                        relay_client_out_waiting(o) == RELAY_CLIENT_WINDOW);
            return;
        }
    }
}

static void fill(struct relay_client_out *o)
{
    static const size_t sizes[] = {0, 1, 100, 16 << 10, (16 << 10) + 1, 70000, 3, 200000, 200000};
    char *data = malloc(200000);
    assert_non_null(data);
    memset(data, 'x', 200000);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        enum relay_form form = (enum relay_form)(i % RELAY_FORMS);
        assert_int_equal(
            relay_client_out_push(o, &dest, 1, form, copy_of(data, sizes[i]), sizes[i]), 0);
        if (i == 5) { /* a small frame between objects */
            assert_int_equal(relay_wire_put_ack(relay_client_out_frames(o), &format, 77), 0);
        }
    }
    free(data);
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
        struct nk_buf *to = i == 0 ? &reference : &b;
        relay_client_out_init(&o);
        fill(&o);
        drain(&o, steps[i], to);
        assert_int_equal(o.queued, 0);
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
    assert_int_equal(
        relay_client_out_push(&o, &dest, 1, RELAY_FORM_BYTES, calloc(1, 100000), 100000), 0);
    assert_int_equal(relay_client_out_iov(&o, &format, true, iov), 3);
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
    struct nk_buf b;
    relay_client_out_init(&o);
    nk_buf_init(&b, 1 << 22);
    for (int i = 0; i < RELAY_CLIENT_WINDOW + 10; i++) {
        assert_int_equal(relay_client_out_push(&o, &dest, 1, RELAY_FORM_BYTES, copy_of("x", 1), 1),
                         0);
    }
    drain(&o, 1 << 20, &b);
    assert_int_equal(relay_client_out_waiting(&o), RELAY_CLIENT_WINDOW);
    assert_int_equal(o.queued, 10);
    assert_int_equal(relay_client_out_stamp(&o), 0);
    assert_false(relay_client_out_ack(&o, 0));
    assert_false(relay_client_out_ack(&o, RELAY_CLIENT_WINDOW + 1));
    /* out of order: nothing moves before the oldest one is there */
    assert_true(relay_client_out_ack(&o, 2));
    assert_false(relay_client_out_ack(&o, 2));
    assert_int_equal(relay_client_out_waiting(&o), RELAY_CLIENT_WINDOW);
    assert_true(relay_client_out_ack(&o, 1));
    assert_int_equal(relay_client_out_waiting(&o), RELAY_CLIENT_WINDOW - 2);
    drain(&o, 1 << 20, &b);
    assert_int_equal(o.queued, 8);
    for (int64_t s = 3; s <= RELAY_CLIENT_WINDOW; s++) {
        assert_true(relay_client_out_ack(&o, s));
    }
    drain(&o, 1 << 20, &b);
    for (int64_t s = RELAY_CLIENT_WINDOW + 1; s <= RELAY_CLIENT_WINDOW + 10; s++) {
        assert_true(relay_client_out_ack(&o, s));
    }
    assert_int_equal(relay_client_out_waiting(&o), 0);
    assert_int_equal(o.queued, 0);
    relay_client_out_clear(&o);
    nk_buf_clear(&b);
}

static void test_restart(void **state)
{
    (void)state;
    struct relay_client_out o;
    struct iovec iov[RELAY_CLIENT_IOV];
    relay_client_out_init(&o);
    assert_int_equal(
        relay_client_out_push(&o, &dest, 1, RELAY_FORM_BYTES, calloc(1, 100000), 100000), 0);
    assert_int_equal(relay_client_out_push(&o, &dest, 1, RELAY_FORM_BYTES, calloc(1, 50), 50), 0);
    assert_int_equal(relay_client_out_iov(&o, &format, true, iov), 3);
    relay_client_out_sent(&o, 1000);
    relay_client_out_restart(&o);
    assert_int_equal(o.queued, 50); /* the half-sent one is gone, the untouched one stays */
    assert_int_equal(relay_client_out_waiting(&o), 0);
    assert_int_equal(relay_client_out_iov(&o, &format, false, iov), 0);
    assert_int_equal(relay_client_out_iov(&o, &format, true, iov), 1);
    assert_int_equal(o.next, 3);
    assert_true(relay_client_out_ack(&o, 2));
    relay_client_out_clear(&o);
}

int nk_test_relay_client_out(void);
int nk_test_relay_client_out(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_split),
        cmocka_unit_test(test_frames_behind_large_object),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
