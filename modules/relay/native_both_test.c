/* SPDX-License-Identifier: MIT */
/* Native and stock endpoints on one listener, over each engine. */
#include "relay/native_testkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static enum relay_engine_kind over; /* which engine the tests below run over */

/* On a listener of both wires tlspyo's HELLO comes first, with the stamp that says so. */
static void test_detection(void **state)
{
    (void)state;
    struct nt_world *w = nt_world_with(nt_default_limits(), RELAY_WIRES_AUTO, over);
    nt_connect_peer(w, 0);
    nt_say_hello(w, 0);
    while (nk_buf_len(&w->p[0].in) < 30) {
        assert_true(nt_pull(&w->p[0]));
        nk_app_turn(w->k.app, 1);
    }
    static const uint8_t hello[] = {'2', '0',  ' ', ' ', ' ', ' ', ' ', ' ', ' ',
                                    ' ', 0x80, 3,   'J', 'n', 'k', 'r', '1'};
    assert_memory_equal(nk_buf_ptr(&w->p[0].in), hello, sizeof(hello));
    nk_buf_consume(&w->p[0].in, 30);
    nt_expect(w, 0, RELAY_N_CHALLENGE);
    nt_expect(w, 0, RELAY_N_WELCOME);
    uint32_t g = nt_open_group(w, 0, "g", true);
    nt_broadcast(w, 0, g, 1, "x");
    nt_get(w, 0, RELAY_N_BROADCAST, "x");
    nt_world_free(w);
}

/* Frames of tlspyo's wire, by hand: header_size 10, password "pw". */
static void stock_send(struct nt_world *w, int i, const char *payload, size_t n)
{
    char b[300];
    int at = snprintf(b, sizeof(b), "%-10zupw", n);
    memcpy(b + at, payload, n);
    nt_raw_send(w, i, b, (size_t)at + n);
}

/* The next OBJ of a stock endpoint must hold these bytes. */
static void stock_get(struct nt_world *w, int i, const void *want, size_t n)
{
    struct nt_peer *p = &w->p[i];
    for (int turn = 0;; turn++) {
        size_t len = nk_buf_len(&p->in) >= 10 ? strtoul((char *)nk_buf_ptr(&p->in), NULL, 10) : 0;
        if (len && nk_buf_len(&p->in) >= 10 + len) {
            const uint8_t *f = nk_buf_ptr(&p->in) + 10;
            bool obj = len > 20 && memcmp(f + 12, "OBJ", 3) == 0;
            if (obj) { /* 80 03 4a <stamp> 58 03 0 0 0 OBJ 42 <u32> bytes 87 2e */
                assert_int_equal(relay_native_get_u32(f + 16), n);
                assert_memory_equal(f + 20, want, n);
            }
            nk_buf_consume(&p->in, 10 + len);
            if (obj) {
                return;
            }
            continue;
        }
        assert_true(nt_pull(p));
        assert_true(turn < PATIENCE);
        nk_app_turn(w->k.app, 1);
    }
}

#define LITERAL(s) (s), sizeof(s) - 1

/* Native and stock endpoints in one group. */
static void test_mixed(void **state)
{
    (void)state;
    struct nt_world *w = nt_world_with(nt_default_limits(), RELAY_WIRES_AUTO, over);
    nt_connect_peer(w, 0);
    stock_send(w, 0, LITERAL("\x80\x03(K\x01X\x05\0\0\0HELLOX\0\0\0\0X\x01\0\0\0gt."));
    nt_connect_peer(w, 1);
    nt_say_hello(w, 1);
    while (nk_buf_len(&w->p[1].in) < 30) {
        assert_true(nt_pull(&w->p[1]));
        nk_app_turn(w->k.app, 1);
    }
    nk_buf_consume(&w->p[1].in, 30);
    nt_expect(w, 1, RELAY_N_CHALLENGE);
    nt_expect(w, 1, RELAY_N_WELCOME);
    uint32_t g = nt_open_group(w, 1, "g", true);
    nt_broadcast(w, 1, g, 1, "text");
    stock_get(w, 0, LITERAL("\x80\x03X\x04\0\0\0text."));
    nt_frame(w, 1, RELAY_N_BROADCAST, RELAY_CONTENT_TEXT << 2, g, 2, "\xff\xfe", 2); /* it is not */
    stock_get(w, 0,
              LITERAL("\x80\x03"
                      "B\x02\0\0\0\xff\xfe."));
    nt_frame(w, 1, RELAY_N_BROADCAST, RELAY_CONTENT_PICKLE << 2, g, 3, "N.", 2);
    stock_get(w, 0, LITERAL("N."));
    uint8_t *run = malloc(NT_RUN * 80);
    nt_raw_send(w, 1, run, nt_make_run(run, g, 4));
    for (int i = 0; i < NT_RUN; i++) {
        uint8_t want[72] = "\x80\x03"
                           "B\x40";
        memset(want + 7, i, 64);
        want[71] = '.';
        stock_get(w, 0, want, sizeof(want));
    }
    free(run);
    for (int i = 0; i < NT_RUN + 3; i++) {
        nt_expect(w, 1, RELAY_N_BROADCAST);
    }
    /* and back: OBJ, {"g": -1}, b"x." */
    stock_send(w, 0,
               LITERAL("\x80\x03(K\x02X\x03\0\0\0OBJ}X\x01\0\0\0gJ\xff\xff\xff\xffsC\x02N.t."));
    nt_get(w, 1, RELAY_N_BROADCAST, "N.");
    assert_int_equal(w->p[1].h.flags, RELAY_CONTENT_PICKLE << RELAY_N_CONTENT_SHIFT);
    nt_world_free(w);
}

int nk_test_relay_native_both(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_detection),
        cmocka_unit_test(test_mixed),
    };
    static const char *const names[] = {"both wires over memory", "both wires over chaos",
                                        "both wires over the log"};
    int failed = 0;
    for (over = RELAY_OVER_MEMORY; over <= RELAY_OVER_LOG; over++) {
        failed += cmocka_run_group_tests_name(names[over], tests, NULL, NULL);
    }
    over = RELAY_OVER_MEMORY;
    return failed;
}
