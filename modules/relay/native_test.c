/* SPDX-License-Identifier: MIT */
/*
 * The native wire as clients see it, over socket pairs: the tests run over the memory engine and
 * over the engine that delays and reorders.
 */
#include "relay/native_testkit.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static enum relay_engine_kind over; /* which engine the tests below run over */

/* --- tests ------------------------------------------------------------------------------------ */

static void test_broadcast(void **state)
{
    (void)state;
    struct nt_world *w = nt_world_with(nt_default_limits(), RELAY_WIRES_NATIVE, over);
    uint32_t a = nt_join(w, 0, "g"), b = nt_join(w, 1, "g");
    assert_int_equal(a, b); /* ids are the same everywhere */
    nt_broadcast(w, 0, a, 10, "one");
    nt_get(w, 0, RELAY_N_BROADCAST, "one");
    nt_get(w, 1, RELAY_N_BROADCAST, "one");
    assert_int_equal(w->p[1].h.seq, 1); /* the group's version, not the producer's number */
    assert_int_equal(w->p[1].h.flags, RELAY_CONTENT_TEXT << RELAY_N_CONTENT_SHIFT);
    nt_broadcast(w, 1, a, 1, "two");
    nt_get(w, 0, RELAY_N_BROADCAST, "two");
    nt_get(w, 1, RELAY_N_BROADCAST, "two");
    nt_log_in(w, 2);
    struct relay_native_opened o = nt_open_known(w, 2, "g", true, 0, 0);
    assert_int_equal(o.version, 2);
    nt_get(w, 2, RELAY_N_BROADCAST, "two");
    assert_int_equal(w->p[2].h.seq, 2);
    assert_true(w->p[2].h.flags & RELAY_N_RETAINED);
    nt_log_in(w, 3);
    nt_open_known(w, 3, "g", true, o.epoch, 2); /* it knows that one */
    nt_get_nothing(w, 3);
    nt_log_in(w, 4);
    nt_open_group(w, 4, "g", false); /* publishes only */
    nt_broadcast(w, 4, a, 1, "three");
    nt_receipt(w, 4, 1);
    nt_get(w, 3, RELAY_N_BROADCAST, "three");
    nt_get_nothing(w, 4);
    nt_world_free(w);
}

static void test_runs(void **state)
{
    (void)state;
    struct nt_world *w = nt_world_with(nt_default_limits(), RELAY_WIRES_NATIVE, over);
    uint32_t g = nt_join(w, 0, "g");
    uint8_t *b = malloc(NT_RUN * 80);
    nt_join(w, 1, "g");
    for (uint64_t round = 0; round < 2; round++) {
        size_t n = nt_make_run(b, g, 1 + round * NT_RUN);
        w->p[0].slow = round == 1; /* byte by byte: no runs, the same result */
        nt_raw_send(w, 0, b, n);
        for (int i = 0; i < 2; i++) {
            for (uint64_t k = 0; k < NT_RUN; k++) {
                nt_expect(w, i, RELAY_N_BROADCAST);
                assert_int_equal(w->p[i].h.seq, 1 + round * NT_RUN + k);
                assert_int_equal(w->p[i].h.len, 64);
                assert_int_equal(w->p[i].p[63], (uint8_t)k);
            }
        }
    }
    nt_join(w, 2, "g"); /* the last one of the run was retained */
    nt_expect(w, 2, RELAY_N_BROADCAST);
    assert_int_equal(w->p[2].h.seq, 2 * NT_RUN);
    assert_int_equal(w->p[2].p[0], (uint8_t)(NT_RUN - 1));
    free(b);
    nt_world_free(w);
}

static void put_copies(struct nt_world *w, int i, uint32_t g, uint64_t seq, uint64_t copies,
                       const char *text)
{
    uint8_t b[256];
    struct relay_meta_writer m;
    relay_meta_begin(&m, b, sizeof(b));
    relay_meta_add_u64(&m, RELAY_META_COPIES, copies);
    size_t n = relay_meta_end(&m);
    memcpy(b + n, text, strlen(text));
    nt_frame(w, i, RELAY_N_ITEM, RELAY_N_META, g, seq, b, n + strlen(text));
}

static void test_items(void **state)
{
    (void)state;
    struct nt_world *w = nt_world_with(nt_default_limits(), RELAY_WIRES_NATIVE, over);
    uint32_t g = nt_join(w, 0, "g");
    nt_join(w, 1, "g");
    nt_produce(w, 0, g, 1, "a");
    nt_produce(w, 0, g, 2, "b");
    put_copies(w, 0, g, 3, 2, "c");
    nt_receipt(w, 0, 3);
    nt_credit(w, 1, g, 2, 0);
    nt_get(w, 1, RELAY_N_ITEM, "a");
    assert_int_equal(w->p[1].h.seq, 1);
    nt_get(w, 1, RELAY_N_ITEM, "b");
    nt_get_nothing(w, 1);
    nt_credit(w, 1, g, 1, 0); /* an old one: nothing */
    nt_get_nothing(w, 1);
    nt_settle(w, 1, RELAY_N_ACK, g, 1, 1, RELAY_STATUS_OK);
    nt_settle(w, 1, RELAY_N_ACK, g, 1, 1, RELAY_STATUS_UNKNOWN); /* twice */
    nt_settle(w, 1, RELAY_N_ACK, g, 99, 1, RELAY_STATUS_UNKNOWN);
    nt_settle(w, 0, RELAY_N_ACK, g, 2, 1, RELAY_STATUS_UNKNOWN); /* somebody else's */
    nt_settle(w, 1, RELAY_N_NACK, g, 2, 1, RELAY_STATUS_OK);
    nt_credit(w, 0, g, 2, 0);
    nt_expect(w, 0, RELAY_N_DELIVERIES);
    assert_int_equal(relay_native_get_u32(w->p[0].p), 1);
    assert_int_equal(w->p[0].h.seq, 2);
    nt_get(w, 0, RELAY_N_ITEM, "b");
    assert_true(w->p[0].h.flags & RELAY_N_REDELIVERED);
    nt_expect(w, 0, RELAY_N_ITEM);
    assert_int_equal(w->p[0].h.seq, 3);
    assert_true(w->p[0].h.flags & RELAY_N_META);
    nt_peer_close(&w->p[0]); /* it dies: both go back, in their order, when its grace is over */
    nt_get_nothing(w, 1);
    nt_after_grace(w);
    nt_credit(w, 1, g, 5, 0);
    for (uint64_t seq = 2; seq <= 4; seq++) {
        if (seq < 4) {
            nt_expect(w, 1, RELAY_N_DELIVERIES);
        }
        nt_expect(w, 1, RELAY_N_ITEM);
        assert_int_equal(w->p[1].h.seq, seq);
    }
    nt_settle(w, 1, RELAY_N_ACK, g, 1, 100, RELAY_STATUS_UNKNOWN); /* the three were its own */
    nt_get_nothing(w, 1);
    nt_world_free(w);
}

static void test_drain_and_bytes(void **state)
{
    (void)state;
    struct nt_world *w = nt_world_with(nt_default_limits(), RELAY_WIRES_NATIVE, over);
    uint32_t g = nt_join(w, 0, "g");
    uint8_t b[RELAY_NATIVE_HEAD];
    char text[1000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    for (uint64_t i = 1; i <= 20; i++) {
        nt_produce(w, 0, g, i, text);
    }
    nt_receipt(w, 0, 20);
    nt_credit(w, 0, g, 100, 2500); /* 999 + 16 bytes each: two fit, the third goes beyond */
    for (int i = 0; i < 2; i++) {
        nt_get(w, 0, RELAY_N_ITEM, text);
    }
    for (int turn = 0; turn < 20; turn++) {
        nk_app_turn(w->k.app, 1);
    }
    nt_pull(&w->p[0]);
    int more = 0;
    while (nt_take_frame(&w->p[0])) {
        more += w->p[0].h.type == RELAY_N_ITEM;
    }
    assert_true(more <= 1);
    nt_raw_send(w, 0, b, relay_native_put_plain(b, RELAY_N_DRAIN, g, 0));
    for (int i = 2 + more; i < 20; i++) {
        nt_get(w, 0, RELAY_N_ITEM, text);
    }
    nt_expect(w, 0, RELAY_N_DRAINED);
    assert_int_equal(w->p[0].h.seq, 20);
    nt_world_free(w);
}

static void test_drain_with_a_limit(void **state)
{
    (void)state;
    struct nt_world *w = nt_world_with(nt_default_limits(), RELAY_WIRES_NATIVE, over);
    uint32_t g = nt_join(w, 0, "g");
    uint8_t b[RELAY_NATIVE_HEAD];
    const char *text[] = {"1", "2", "3", "4", "5"};
    for (uint64_t i = 0; i < 5; i++) {
        nt_produce(w, 0, g, i + 1, text[i]);
    }
    nt_receipt(w, 0, 5);
    nt_raw_send(w, 0, b, relay_native_put_plain(b, RELAY_N_DRAIN, g, 2));
    nt_get(w, 0, RELAY_N_ITEM, "1");
    nt_get(w, 0, RELAY_N_ITEM, "2");
    nt_expect(w, 0, RELAY_N_DRAINED);
    assert_int_equal(w->p[0].h.seq, 2);
    nt_get_nothing(w, 0);
    nt_raw_send(w, 0, b, relay_native_put_plain(b, RELAY_N_DRAIN, g, RELAY_NATIVE_SEQ_MAX));
    for (uint64_t i = 2; i < 5; i++) {
        nt_get(w, 0, RELAY_N_ITEM, text[i]);
    }
    nt_expect(w, 0, RELAY_N_DRAINED);
    assert_int_equal(w->p[0].h.seq, 5);
    nt_world_free(w);
}

static void fragment(struct nt_world *w, int i, uint8_t type, uint32_t g, uint64_t seq,
                     uint8_t flags, size_t n, uint8_t b)
{
    uint8_t *p = malloc(n ? n : 1);
    memset(p, b, n);
    nt_frame(w, i, type, flags, g, seq, p, n);
    free(p);
}

/* Reads the fragments of one object; other frames may stand in between. Returns its length. */
static size_t collect(struct nt_world *w, int i, uint32_t g, uint64_t *sum)
{
    size_t total = 0;
    for (;;) {
        nt_next_frame(w, i);
        const struct relay_native_head *h = &w->p[i].h;
        if ((h->type == RELAY_N_BROADCAST || h->type == RELAY_N_ITEM) && h->group == g) {
            for (size_t k = 0; k < h->len; k++) {
                *sum += w->p[i].p[k];
            }
            total += h->len;
            if (!(h->flags & RELAY_N_MORE)) {
                return total;
            }
        }
    }
}

static void test_fragments(void **state)
{
    (void)state;
    struct nt_world *w = nt_world_with(nt_default_limits(), RELAY_WIRES_NATIVE, over);
    const uint8_t B = RELAY_N_BROADCAST, I = RELAY_N_ITEM, M = RELAY_N_MORE;
    uint32_t g = nt_join(w, 0, "g"), h = nt_open_group(w, 0, "h", true);
    nt_join(w, 1, "g");
    uint64_t sum = 0;
    fragment(w, 0, B, g, 1, M | 4, RELAY_NATIVE_FRAGMENT, 1);
    fragment(w, 0, I, h, 1, M, 20000, 3); /* of another group, in between */
    fragment(w, 0, B, g, 1, M, RELAY_NATIVE_FRAGMENT, 2);
    fragment(w, 0, I, h, 2 - 1, 0, 10, 3);
    fragment(w, 0, B, g, 1, 0, 0, 0); /* the last one may be empty */
    assert_int_equal(collect(w, 1, g, &sum), 2 * RELAY_NATIVE_FRAGMENT);
    assert_int_equal(sum, 3 * RELAY_NATIVE_FRAGMENT);
    nt_credit(w, 0, h, 1, 0);
    sum = 0;
    assert_int_equal(collect(w, 0, h, &sum), 20010);
    assert_int_equal(sum, 3 * 20010);
    /* longer than max_object: refused by name, and the connection lives on */
    for (int i = 0; i < 17; i++) {
        fragment(w, 0, B, g, 5, i < 16 ? M : 0, RELAY_NATIVE_FRAGMENT, 1);
    }
    nt_receipt(w, 0, 5);
    assert_int_equal(relay_native_get_receipt(&w->p[0].h, w->p[0].p), 1);
    assert_int_equal(relay_native_failure(w->p[0].p, 0).status, RELAY_STATUS_TOO_BIG);
    nt_broadcast(w, 0, g, 6, "after");
    nt_get(w, 1, RELAY_N_BROADCAST, "after");
    nt_world_free(w);
}

/* Every frame of a client before its login, and what only a relay may say. */
static void test_before_login(void **state)
{
    (void)state;
    struct nt_world *w = nt_world_with(nt_default_limits(), RELAY_WIRES_NATIVE, over);
    for (unsigned type = 0; type < 256; type++) {
        uint8_t b[RELAY_NATIVE_HEAD + 64] = {(uint8_t)type, 45};
        if (type == RELAY_N_HELLO || type == RELAY_N_GOAWAY) {
            continue;
        }
        nt_connect_peer(w, 0);
        nt_raw_send(w, 0, b, sizeof(b));
        nt_refused(w, 0, RELAY_GOAWAY_PROTOCOL);
    }
    nt_connect_peer(w, 0); /* too long for somebody who is not logged in */
    nt_frame(w, 0, RELAY_N_HELLO, 0, 0, 0, (uint8_t[400]){0}, 400);
    nt_refused(w, 0, RELAY_GOAWAY_PROTOCOL);
    nt_connect_peer(w, 0); /* not our magic */
    nt_frame(w, 0, RELAY_N_HELLO, 0, 0, 0, (uint8_t[45]){0}, 45);
    nt_refused(w, 0, RELAY_GOAWAY_PROTOCOL);
    nt_log_in(w, 0);
    nt_say_hello(w, 0);
    nt_refused(w, 0, RELAY_GOAWAY_PROTOCOL);
    nt_world_free(w);
}

static void bad_frame(struct nt_world *w, uint8_t type, uint8_t flags, uint32_t group, uint64_t seq,
                      const void *p, size_t n, enum relay_goaway code)
{
    uint32_t g = nt_join(w, 0, "g");
    nt_frame(w, 0, type, flags, group == 1 ? g : group, seq, p, n);
    nt_refused(w, 0, code);
}

static void test_bad_frames(void **state)
{
    (void)state;
    struct nt_world *w = nt_world_with(nt_default_limits(), RELAY_WIRES_NATIVE, over);
    static const uint8_t zero[64];
    const enum relay_goaway P = RELAY_GOAWAY_PROTOCOL;
    bad_frame(w, RELAY_N_BROADCAST, 0, 999, 1, zero, 1, P); /* groups that are not open */
    bad_frame(w, RELAY_N_ITEM, 0, 999, 1, zero, 1, P);
    bad_frame(w, RELAY_N_CREDIT, 0, 999, 1, zero, 8, P);
    bad_frame(w, RELAY_N_DRAIN, 0, 999, 0, zero, 0, P);
    bad_frame(w, RELAY_N_ACK, 0, 999, 1, zero, 0, P);
    bad_frame(w, RELAY_N_CLOSE, 0, 999, 0, zero, 0, P);
    bad_frame(w, RELAY_N_BROADCAST, 0, 1, 0, zero, 1, P); /* seq 0 */
    bad_frame(w, RELAY_N_BROADCAST, 0x40, 1, 1, zero, 1, P);
    bad_frame(w, RELAY_N_BROADCAST, RELAY_N_RETAINED, 1, 1, zero, 1, P);
    bad_frame(w, RELAY_N_ITEM, RELAY_N_META, 1, 1, zero, 1, P);                 /* half a length */
    bad_frame(w, RELAY_N_ITEM, RELAY_N_META, 1, 1, "\x05\0\x63\x02\0ab", 7, P); /* unknown tag */
    bad_frame(w, RELAY_N_ACK, 0, 1, 0, zero, 0, P); /* neither a list nor a lease */
    bad_frame(w, RELAY_N_ACK, 0, 1, 1, zero, 12, P);
    bad_frame(w, RELAY_N_ACK, 0, 1, 1, zero, 13, P);
    bad_frame(w, RELAY_N_NACK, 0, 1, 1, zero, 3, P);
    bad_frame(w, RELAY_N_OPEN, 0, 0, 1, zero, 17, P); /* no name */
    bad_frame(w, RELAY_N_OPEN, 2, 0, 1, zero, 18, P);
    bad_frame(w, RELAY_N_RECEIPT, 0, 1, 1, zero, 0, P); /* the relay's */
    bad_frame(w, RELAY_N_AUTH, 0, 0, 1, zero, 1, P);
    bad_frame(w, RELAY_N_PING, 0, 0, 0, (uint8_t[65]){0}, 65, P);
    uint32_t g = nt_join(w, 0, "g"); /* a number twice */
    nt_produce(w, 0, g, 3, "x");
    nt_produce(w, 0, g, 3, "x");
    nt_refused(w, 0, P);
    g = nt_join(w, 0, "g"); /* an object between the fragments of another */
    fragment(w, 0, RELAY_N_ITEM, g, 1, RELAY_N_MORE, 20000, 1);
    nt_produce(w, 0, g, 2, "x");
    nt_refused(w, 0, P);
    nt_log_in(w, 0); /* credit without being a member */
    g = nt_open_group(w, 0, "g", false);
    nt_credit(w, 0, g, 1, 0);
    nt_refused(w, 0, P);
    nt_world_free(w);
}

/* Fragments that never end are not acknowledged, and at the end of the connection they are gone. */
static void test_window(void **state)
{
    (void)state;
    struct relay_limits l = nt_default_limits();
    l.max_memory = 4 * MIB;
    struct nt_world *w = nt_world_with(l, RELAY_WIRES_NATIVE, over);
    nt_log_in(w, 0);
    struct relay_native_opened o = nt_open_known(w, 0, "g", false, 0, 0);
    assert_int_equal(o.status, 0);
    uint64_t sent = 0, window = o.window;
    /* nobody consumes: the window stays when memory is nearly used up */
    for (uint64_t seq = 1; seq < 1000; seq++) {
        while (nt_pull(&w->p[0]) && nt_take_frame(&w->p[0])) {
            if (w->p[0].h.type == RELAY_N_WINDOW) {
                window = relay_native_get_u64(w->p[0].p);
            }
        }
        if (sent + 20016 > window) {
            break;
        }
        fragment(w, 0, RELAY_N_ITEM, o.group, seq, 0, 20000, 1);
        sent += 20016;
        for (int i = 0; i < 6; i++) {
            nk_app_turn(w->k.app, 0);
        }
    }
    assert_true(sent > 2 * MIB && sent < 5 * MIB);
    assert_true(w->k.memory.used <=
                l.max_memory + 128 * 1024);                   /* and the chunk that is read into */
    fragment(w, 0, RELAY_N_ITEM, o.group, 1000, 0, 20000, 1); /* and who does not care is out */
    nt_refused(w, 0, RELAY_GOAWAY_LIMIT);
    /* the next one gets on as soon as there is room */
    uint32_t g = nt_join(w, 1, "g");
    uint8_t b[RELAY_NATIVE_HEAD];
    nt_raw_send(w, 1, b, relay_native_put_plain(b, RELAY_N_DRAIN, g, 0));
    nt_expect(w, 1, RELAY_N_ITEM);
    nt_world_free(w);
}

static void test_ping_close_goaway(void **state)
{
    (void)state;
    struct nt_world *w = nt_world_with(nt_default_limits(), RELAY_WIRES_NATIVE, over);
    uint32_t g = nt_join(w, 0, "g");
    uint8_t b[RELAY_NATIVE_GOAWAY_MAX];
    nt_raw_send(w, 0, b, relay_native_put_echo(b, RELAY_N_PING, "12345", 5));
    nt_get(w, 0, RELAY_N_PONG, "12345");
    struct relay_native_opened o = nt_open_known(w, 0, "g", true, 0, 0); /* twice */
    assert_int_equal(o.status, RELAY_STATUS_INVALID);
    nt_raw_send(w, 0, b, relay_native_put_plain(b, RELAY_N_CLOSE, g, 0));
    o = nt_open_known(w, 0, "g", true, 0, 0); /* and again after CLOSE */
    assert_int_equal(o.status, 0);
    assert_int_equal(o.group, g);
    nt_join(w, 1, "g");
    nt_produce(w, 0, g, 1, "last words");
    nt_raw_send(w, 0, b, relay_native_put_goaway(b, RELAY_GOAWAY_DONE, ""));
    nt_receipt(w, 0, 1);
    nt_refused(w, 0, RELAY_GOAWAY_DONE);
    relay_hub_drain(w->k.hub);
    nt_refused(w, 1, RELAY_GOAWAY_DRAIN);
    for (int turn = 0; !w->k.drained; turn++) {
        assert_true(turn < PATIENCE);
        nk_app_turn(w->k.app, 1);
    }
    nt_world_free(w);
}

/* A connection that breaks: its leases wait for it; what it does not claim goes back. */
static void test_resume(void **state)
{
    (void)state;
    struct nt_world *w = nt_world_with(nt_default_limits(), RELAY_WIRES_NATIVE, over);
    uint32_t g = nt_join(w, 0, "g");
    assert_false(w->p[0].resumed);
    for (uint64_t seq = 1; seq <= 5; seq++) {
        nt_produce(w, 0, g, seq, &"abcde"[seq - 1]);
    }
    nt_receipt(w, 0, 5);
    nt_credit(w, 0, g, 3, 0);
    for (int i = 0; i < 3; i++) {
        nt_expect(w, 0, RELAY_N_ITEM);
    }
    nt_join(w, 1, "g");
    nt_credit(w, 1, g, 1, 0);
    nt_get(w, 1, RELAY_N_ITEM, "de");
    nt_peer_close(&w->p[0]);
    nt_get_nothing(w, 1);
    nt_log_in(w, 0);
    assert_true(w->p[0].resumed);
    struct relay_native_opened o = nt_open_known(w, 0, "g", true, 0, 0);
    assert_int_equal(o.group, g);
    nt_settle(w, 0, RELAY_N_ACK, g, 1, 1, RELAY_STATUS_OK);    /* finished meanwhile */
    nt_settle(w, 0, RELAY_N_EXTEND, g, 3, 1, RELAY_STATUS_OK); /* still working on that one */
    nt_credit(w, 0, g, 2,
              0); /* the second one was lost on the way: it comes again, then the fifth */
    nt_expect(w, 0, RELAY_N_DELIVERIES);
    nt_get(w, 0, RELAY_N_ITEM, "bcde");
    assert_int_equal(w->p[0].h.seq, 2);
    nt_get(w, 0, RELAY_N_ITEM, "e");
    nt_settle(w, 0, RELAY_N_ACK, g, 3, 1, RELAY_STATUS_OK);
    int old = w->p[0].fd; /* the same session from another connection, while this one is there */
    w->p[0].fd = -1;
    nt_peer_close(&w->p[0]);
    nt_log_in(w, 0);
    assert_true(w->p[0].resumed);
    close(old);
    o = nt_open_known(w, 0, "g", true, 0, 0);
    assert_int_equal(o.group, g);
    nt_settle(w, 0, RELAY_N_ACK, g, 2, 1, RELAY_STATUS_OK);
    nt_settle(w, 0, RELAY_N_ACK, g, 2, 1, RELAY_STATUS_UNKNOWN);
    nt_after_grace(w);
    nt_world_free(w);
}

static int32_t receipt_status(struct nt_world *w, int i, uint64_t seq)
{
    int n = relay_native_get_receipt(&w->p[i].h, w->p[i].p);
    for (int k = 0; k < n; k++) {
        struct relay_native_failure f = relay_native_failure(w->p[i].p, (uint32_t)k);
        if (f.seq == seq) {
            return f.status;
        }
    }
    return RELAY_STATUS_OK;
}

/* A sender that did not hear of its receipts sends again: nobody gets an object twice. */
static void test_broadcasts_come_once(void **state)
{
    (void)state;
    struct nt_world *w = nt_world_with(nt_default_limits(), RELAY_WIRES_NATIVE, over);
    uint32_t g = nt_join(w, 0, "g");
    uint8_t *b = malloc(NT_RUN * 80);
    nt_join(w, 1, "g");
    uint64_t sent = 0;
    for (int round = 0; round < 3; round++) { /* half of each but the first was there before */
        uint64_t first = round ? sent - NT_RUN / 2 + 1 : 1;
        nt_raw_send(w, 0, b, nt_make_run(b, g, first));
        for (; sent < first + NT_RUN - 1; sent++) {
            nt_expect(w, 1, RELAY_N_BROADCAST);
            assert_int_equal(w->p[1].h.seq, sent + 1);
            assert_int_equal(w->p[1].p[0], (uint8_t)(sent + 1 - first));
        }
        nt_get_nothing(w, 1);
        nt_peer_close(&w->p[0]);
        nt_log_in(w, 0);
        assert_true(w->p[0].resumed);
        g = nt_open_group(w, 0, "g", false);
    }
    nt_broadcast(w, 0, g, sent, "old");
    nt_receipt(w, 0, sent);
    assert_int_equal(receipt_status(w, 0, sent), RELAY_STATUS_DUPLICATE);
    nt_produce(w, 0, g, sent + 1, "items count by themselves");
    nt_receipt(w, 0, sent + 1);
    assert_int_equal(receipt_status(w, 0, sent + 1), RELAY_STATUS_OK);
    nt_broadcast(w, 0, g, sent + 2, "new");
    nt_get(w, 1, RELAY_N_BROADCAST, "new");
    free(b);
    nt_world_free(w);
}

/* Who was away gets the last one of those that it missed, once, and none that it had. */
static void test_missed_broadcasts(void **state)
{
    (void)state;
    struct nt_world *w = nt_world_with(nt_default_limits(), RELAY_WIRES_NATIVE, over);
    uint32_t g = nt_join(w, 0, "g");
    nt_log_in(w, 1);
    struct relay_native_opened o = nt_open_known(w, 1, "g", true, 0, 0);
    nt_broadcast(w, 0, g, 1, "one");
    nt_get(w, 1, RELAY_N_BROADCAST, "one");
    uint64_t had = w->p[1].h.seq;
    for (int round = 0; round < 2; round++) {
        nt_peer_close(&w->p[1]); /* nothing is missed */
        nt_log_in(w, 1);
        assert_true(w->p[1].resumed);
        o = nt_open_known(w, 1, "g", true, o.epoch, had);
        assert_int_equal(o.version, had);
        nt_get_nothing(w, 1);
    }
    nt_peer_close(&w->p[1]);
    nt_broadcast(w, 0, g, 2, "two");
    nt_broadcast(w, 0, g, 3, "three");
    nt_receipt(w, 0, 3);
    nt_log_in(w, 1);
    o = nt_open_known(w, 1, "g", true, o.epoch, had);
    assert_int_equal(o.version, had + 2);
    nt_get(w, 1, RELAY_N_BROADCAST, "three");
    assert_true(w->p[1].h.flags & RELAY_N_RETAINED);
    nt_broadcast(w, 0, g, 4, "four");
    nt_get(w, 1, RELAY_N_BROADCAST, "four");
    nt_get_nothing(w, 1);
    nt_world_free(w);
}

/* Who says goodbye keeps nothing. */
static void test_leave(void **state)
{
    (void)state;
    struct nt_world *w = nt_world_with(nt_default_limits(), RELAY_WIRES_NATIVE, over);
    uint32_t g = nt_join(w, 0, "g");
    uint8_t b[RELAY_NATIVE_GOAWAY_MAX];
    nt_join(w, 1, "g");
    nt_produce(w, 1, g, 1, "a");
    nt_receipt(w, 1, 1);
    nt_credit(w, 0, g, 1, 0);
    nt_get(w, 0, RELAY_N_ITEM, "a");
    nt_raw_send(w, 0, b, relay_native_put_goaway(b, RELAY_GOAWAY_DONE, ""));
    nt_refused(w, 0, RELAY_GOAWAY_DONE);
    nt_credit(w, 1, g, 1, 0);
    nt_expect(w, 1, RELAY_N_DELIVERIES);
    nt_get(w, 1, RELAY_N_ITEM, "a");
    nt_world_free(w);
}

int nk_test_relay_native(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broadcast),
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_drain_and_bytes),
        cmocka_unit_test(test_drain_with_a_limit),
        cmocka_unit_test(test_fragments),
        cmocka_unit_test(test_before_login),
        cmocka_unit_test(test_bad_frames),
        cmocka_unit_test(test_ping_close_goaway),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_broadcasts_come_once),
        cmocka_unit_test(test_missed_broadcasts),
        cmocka_unit_test(test_leave),
    };
    /* what it expects of memory is not so over the log */
    const struct CMUnitTest in_memory[] = {cmocka_unit_test(test_window)};
    static const char *const names[] = {"relay/native over memory", "relay/native over chaos",
                                        "relay/native over the log"};
    int failed = 0;
    for (over = RELAY_OVER_MEMORY; over <= RELAY_OVER_LOG; over++) {
        failed += cmocka_run_group_tests_name(names[over], tests, NULL, NULL);
        if (over != RELAY_OVER_LOG) {
            failed += cmocka_run_group_tests_name(names[over], in_memory, NULL, NULL);
        }
    }
    over = RELAY_OVER_MEMORY;
    return failed;
}
