/* SPDX-License-Identifier: MIT */
/* Native clients that read slowly or not at all, and long objects. */
#include "relay/native_testkit.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

enum { PAYLOAD = 4096 };

static enum relay_engine_kind over; /* which engine the tests below run over */

static struct nt_world *world_with(const struct relay_group_settings *set)
{
    struct relay_limits l = nt_default_limits();
    l.stall_ms = 3600000;
    struct nt_world *w = nt_world_with(l, RELAY_WIRES_NATIVE, over);
    assert_int_equal(relay_groups_configure(w->k.groups, "g", 1, set), 0);
    return w;
}

static struct nt_world *world_of(enum relay_policy policy, uint64_t count, uint64_t bytes)
{
    const struct relay_group_settings set = {.max_count = RELAY_UNLIMITED,
                                             .max_consumables = RELAY_UNLIMITED,
                                             .policy = policy,
                                             .backlog_count = count,
                                             .backlog_bytes = bytes};
    return world_with(&set);
}

/* Peer 0 sends up to n objects, as many as its window allows; returns how many. Peer 1 reads
 * nothing meanwhile. */
static uint64_t publish_as(struct nt_world *w, uint8_t type, uint32_t g, uint64_t window,
                           uint64_t n)
{
    uint64_t sent = 0, seq = 0;
    uint8_t *b = calloc(1, PAYLOAD);
    for (int waited = 0; seq < n && waited < 60;) {
        while (nt_pull(&w->p[0]) && nt_take_frame(&w->p[0])) {
            if (w->p[0].h.type == RELAY_N_WINDOW) {
                window = relay_native_get_u64(w->p[0].p);
            }
        }
        if (sent + RELAY_NATIVE_HEAD + PAYLOAD > window) {
            waited++;
            nk_app_turn(w->k.app, 2);
            continue;
        }
        waited = 0;
        seq++;
        memcpy(b, &seq, sizeof(seq));
        nt_frame(w, 0, type, 0, g, seq, b, PAYLOAD);
        sent += RELAY_NATIVE_HEAD + PAYLOAD;
        nk_app_turn(w->k.app, 0);
    }
    free(b);
    return seq;
}

static uint64_t publish(struct nt_world *w, uint32_t g, uint64_t window, uint64_t n)
{
    return publish_as(w, RELAY_N_BROADCAST, g, window, n);
}

/* Peer 1 reads all that waits for it, up to the version `last`: how many came, in their order. */
static uint64_t read_all(struct nt_world *w, uint64_t last)
{
    uint64_t n = 0, version = 0;
    while (version < last) {
        nt_expect(w, 1, RELAY_N_BROADCAST);
        assert_true(w->p[1].h.seq > version);
        version = w->p[1].h.seq;
        uint64_t seq;
        memcpy(&seq, w->p[1].p, sizeof(seq));
        assert_int_equal(seq, version);
        n++;
    }
    assert_int_equal(version, last);
    return n;
}

static uint32_t start(struct nt_world *w, uint64_t *window)
{
    nt_log_in(w, 0);
    struct relay_native_opened o = nt_open_known(w, 0, "g", false, 0, 0);
    *window = o.window;
    assert_int_equal(nt_join(w, 1, "g"), o.group);
    return o.group;
}

static void test_conflate(void **state)
{
    (void)state;
    struct nt_world *w = world_of(RELAY_POLICY_CONFLATE, 0, 0);
    uint64_t window;
    uint32_t g = start(w, &window);
    assert_int_equal(publish(w, g, window, 3000), 3000);
    uint64_t n = read_all(w, 3000);
    assert_true(n < 400);
    assert_int_equal(relay_hub_counters(w->k.hub)->dropped_slow, 3000 - n);
    nt_world_free(w);
}

static void test_drop_oldest(void **state)
{
    (void)state;
    struct nt_world *w = world_of(RELAY_POLICY_DROP_OLDEST, 100, 0);
    uint64_t window;
    uint32_t g = start(w, &window);
    assert_int_equal(publish(w, g, window, 3000), 3000);
    uint64_t n = read_all(w, 3000);
    assert_true(n >= 100 && n < 500);
    assert_int_equal(relay_hub_counters(w->k.hub)->dropped_slow, 3000 - n);
    nt_world_free(w);
}

static void test_disconnect(void **state)
{
    (void)state;
    struct nt_world *w = world_of(RELAY_POLICY_DISCONNECT, 0, 100000);
    uint64_t window;
    uint32_t g = start(w, &window);
    assert_int_equal(publish(w, g, window, 1000), 1000);
    nt_refused(w, 1, RELAY_GOAWAY_SLOW);
    assert_int_equal(relay_hub_counters(w->k.hub)->closed_slow, 1);
    nt_world_free(w);
}

static void test_block(void **state)
{
    (void)state;
    struct nt_world *w = world_of(RELAY_POLICY_BLOCK, 200, 0);
    uint64_t window;
    uint32_t g = start(w, &window), h;
    uint64_t n = publish(w, g, window, 5000);
    assert_true(n > 200 && n < 3000);       /* then its window stood still */
    h = nt_open_group(w, 0, "other", true); /* only that group's */
    nt_broadcast(w, 0, h, 1, "x");
    nt_get(w, 0, RELAY_N_BROADCAST, "x");
    assert_int_equal(read_all(w, n), n); /* and nothing is lost */
    do {
        nt_next_frame(w, 0); /* and it may go on */
    } while (w->p[0].h.type != RELAY_N_WINDOW || w->p[0].h.group != g);
    assert_int_equal(relay_hub_counters(w->k.hub)->dropped_slow, 0);
    nt_world_free(w);
}

/* A stock endpoint that reads slowly: the same policies. */
static void stock_joins(struct nt_world *w, int i)
{
    static const char hello[] = "28        pw\x80\x03(K\x01X\x05\0\0\0HELLOX\0\0\0\0X\x01\0\0\0gt.";
    nt_connect_peer(w, i);
    nt_raw_send(w, i, hello, sizeof(hello) - 1);
    for (int turn = 0; relay_hub_counters(w->k.hub)->auth_ok < 2; turn++) {
        assert_true(turn < PATIENCE);
        nk_app_turn(w->k.app, 1);
    }
    for (int turn = 0; turn < 20; turn++) {
        nk_app_turn(w->k.app, 1);
    }
}

/* OBJs that wait for it, until nothing more comes. */
static uint64_t count_objects(struct nt_world *w, int i)
{
    uint64_t n = 0;
    for (int quiet = 0; quiet < 30; quiet++) {
        struct nt_peer *p = &w->p[i];
        bool open = nt_pull(p);
        while (nk_buf_len(&p->in) >= 10) {
            size_t len = 10 + strtoul((char *)nk_buf_ptr(&p->in), NULL, 10);
            if (len > nk_buf_len(&p->in)) {
                break;
            }
            n += len > PAYLOAD;
            quiet = 0;
            nk_buf_consume(&p->in, len);
        }
        if (!open) {
            return n;
        }
        nk_app_turn(w->k.app, 1);
    }
    return n;
}

static void test_stock_member(void **state)
{
    (void)state;
    static const enum relay_policy policies[] = {RELAY_POLICY_CONFLATE, RELAY_POLICY_DROP_OLDEST,
                                                 RELAY_POLICY_DISCONNECT};
    for (size_t i = 0; i < 3; i++) {
        struct relay_limits l = nt_default_limits();
        struct nt_world *w = nt_world_with(l, RELAY_WIRES_AUTO, over);
        const struct relay_group_settings set = {.max_count = RELAY_UNLIMITED,
                                                 .max_consumables = RELAY_UNLIMITED,
                                                 .policy = policies[i],
                                                 .backlog_count = 100};
        assert_int_equal(relay_groups_configure(w->k.groups, "g", 1, &set), 0);
        nt_connect_peer(w, 0);
        nt_say_hello(w, 0);
        while (nk_buf_len(&w->p[0].in) < 30) {
            assert_true(nt_pull(&w->p[0]));
            nk_app_turn(w->k.app, 1);
        }
        nk_buf_consume(&w->p[0].in, 30); /* tlspyo's HELLO */
        nt_expect(w, 0, RELAY_N_CHALLENGE);
        nt_expect(w, 0, RELAY_N_WELCOME);
        struct relay_native_opened o = nt_open_known(w, 0, "g", false, 0, 0);
        stock_joins(w, 1);
        assert_int_equal(publish(w, o.group, o.window, 2000), 2000);
        uint64_t n = count_objects(w, 1);
        assert_true(n > 0 && n < 500);
        const struct relay_counters *count = relay_hub_counters(w->k.hub);
        assert_int_equal(count->closed_slow, policies[i] == RELAY_POLICY_DISCONNECT);
        if (policies[i] != RELAY_POLICY_DISCONNECT) {
            assert_int_equal(count->dropped_slow, 2000 - n);
        }
        nt_world_free(w);
    }
}

/* Items are never dropped: a consumer that does not read gets no more of them, others do. */
static void test_items_wait(void **state)
{
    (void)state;
    struct nt_world *w = world_of(RELAY_POLICY_CONFLATE, 0, 0);
    uint8_t *b = calloc(1, 60000);
    uint32_t g = nt_join(w, 0, "g");
    nt_join(w, 1, "g");
    nt_credit(w, 1, g, 1000, 0);
    for (uint64_t seq = 1; seq <= 60; seq++) {
        nt_frame(w, 0, RELAY_N_ITEM, 0, g, seq, b, 60000);
        nk_app_turn(w->k.app, 0);
    }
    nt_receipt(w, 0, 60);
    nt_credit(w, 0, g, 10, 0);
    for (int i = 0; i < 10; i++) {
        nt_expect(w, 0, RELAY_N_ITEM);
    }
    assert_true(w->p[0].h.seq > 10 && w->p[0].h.seq < 60); /* what was beyond the first's room */
    for (int i = 0; i < 50; i++) {
        nt_expect(w, 1, RELAY_N_ITEM);
    }
    free(b);
    nt_world_free(w);
}

/* --- long objects ----------------------------------------------------------------------------- */

enum { LONG_FRAMES = 64 }; /* of 256 KiB each */

/* Peer 0 publishes an object of 16 MiB into the group. */
static void publish_long(struct nt_world *w, uint32_t g, uint64_t seq)
{
    uint8_t *b = calloc(1, RELAY_NATIVE_FRAGMENT);
    for (int i = 0; i < LONG_FRAMES; i++) {
        b[0] = (uint8_t)i;
        nt_frame(w, 0, RELAY_N_BROADCAST, i + 1 < LONG_FRAMES ? RELAY_N_MORE : 0, g, seq, b,
                 RELAY_NATIVE_FRAGMENT);
        nk_app_turn(w->k.app, 0);
        nt_pull(&w->p[0]);
    }
    nt_receipt(w, 0, seq);
    free(b);
}

/* Bytes that peer 1 has to read until the answer to its PING comes: a receiver of 20 MB/s would
 * wait 20 ms for 400,000. */
static size_t bytes_before_pong(struct nt_world *w)
{
    uint8_t b[RELAY_NATIVE_ECHO_MAX];
    struct nt_peer *p = &w->p[1];
    size_t seen = 0;
    while (nt_take_frame(p)) {
    }
    nt_raw_send(w, 1, b, relay_native_put_echo(b, RELAY_N_PING, "now", 3));
    for (int turn = 0; turn < PATIENCE; turn++) {
        uint8_t *to;
        nk_app_turn(w->k.app, 0);
        assert_int_equal(nk_buf_reserve(&p->in, 16384, &to), 0);
        ssize_t n = recv(p->fd, to, 16384, 0);
        assert_true(n > 0 || (n < 0 && errno == EAGAIN));
        nk_buf_commit(&p->in, n > 0 ? (size_t)n : 0);
        seen += n > 0 ? (size_t)n : 0;
        while (nt_take_frame(p)) {
            if (p->h.type == RELAY_N_PONG) {
                return seen;
            }
        }
    }
    fail_msg("no PONG");
    return 0;
}

static void test_ping_overtakes(void **state)
{
    (void)state;
    struct relay_limits l = nt_default_limits();
    l.max_object = 32 * MIB;
    l.max_memory = 256 * MIB;
    l.stall_ms = 3600000;
    struct nt_world *w = nt_world_with(l, RELAY_WIRES_NATIVE, over);
    uint32_t g = nt_join(w, 1, "g"), h = nt_open_group(w, 1, "h", true);
    nt_log_in(w, 0);
    nt_open_group(w, 0, "g", false);
    nt_open_group(w, 0, "h", false);
    publish_long(w, g, 1);
    publish_long(w, h, 1);
    for (int i = 0; i < 20; i++) {
        size_t n = bytes_before_pong(w);
        if (n > 400000) {
            fail_msg("%zu bytes before the PONG", n);
        }
    }
    uint64_t got[2] = {0}, turns = 0;
    uint32_t before = 0;
    while (got[0] + got[1] < 1) { /* the two take turns, fragment by fragment */
        nt_expect(w, 1, RELAY_N_BROADCAST);
        turns += w->p[1].h.group != before;
        before = w->p[1].h.group;
        got[before == h] += !(w->p[1].h.flags & RELAY_N_MORE);
    }
    assert_true(turns > 50);
    nt_world_free(w);
}

/* Producers of a full queue go on when its items expire, though nobody on the wire does anything.
 */
static void test_expiry_opens_the_window(void **state)
{
    const struct relay_group_settings set = {.max_count = RELAY_UNLIMITED,
                                             .max_consumables = 100,
                                             .policy = RELAY_POLICY_BLOCK,
                                             .ttl_ms = 1500};
    struct nt_world *w = world_with(&set);
    (void)state;
    nt_log_in(w, 0);
    struct relay_native_opened o = nt_open_known(w, 0, "g", false, 0, 0);
    assert_true(publish_as(w, RELAY_N_ITEM, o.group, o.window, 20000) < 20000);
    bool opened = false;
    for (int turn = 0; turn < 2000 && !opened; turn++) {
        nk_app_turn(w->k.app, 5);
        assert_true(nt_pull(&w->p[0]));
        while (nt_take_frame(&w->p[0])) {
            opened |= w->p[0].h.type == RELAY_N_WINDOW;
        }
    }
    assert_true(opened);
    nt_world_free(w);
}

int nk_test_relay_native_slow(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conflate),       cmocka_unit_test(test_drop_oldest),
        cmocka_unit_test(test_disconnect),     cmocka_unit_test(test_block),
        cmocka_unit_test(test_stock_member),   cmocka_unit_test(test_items_wait),
        cmocka_unit_test(test_ping_overtakes), cmocka_unit_test(test_expiry_opens_the_window),
    };
    static const char *const names[] = {"relay/native_slow over memory",
                                        "relay/native_slow over chaos",
                                        "relay/native_slow over the log"};
    int failed = 0;
    for (over = RELAY_OVER_MEMORY; over <= RELAY_OVER_LOG; over++) {
        failed += cmocka_run_group_tests_name(names[over], tests, NULL, NULL);
    }
    over = RELAY_OVER_MEMORY;
    return failed;
}
