/* SPDX-License-Identifier: MIT */
#include "relay/proto_native.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct relay_native in_state(enum relay_native_state s)
{
    struct relay_native p;
    relay_native_init(&p);
    if (s == RELAY_NATIVE_HELLO) {
        return p;
    }
    relay_native_challenged(&p, false);
    if (s != RELAY_NATIVE_AUTH) {
        relay_native_logged_in(&p);
    }
    if (s > RELAY_NATIVE_RESUMING) {
        relay_native_welcomed(&p);
    }
    if (s == RELAY_NATIVE_LEAVING) {
        relay_native_frame(&p, &(struct relay_native_head){.type = RELAY_N_GOAWAY});
    }
    if (s == RELAY_NATIVE_CLOSED) {
        relay_native_refused(&p);
    }
    assert_int_equal(p.state, s);
    return p;
}

/* What is legal; every other frame in every state must be refused and end in CLOSED. */
static const struct row {
    enum relay_native_state from;
    uint8_t type;
    enum relay_native_do what;
    enum relay_native_state to;
} rows[] = {
    {RELAY_NATIVE_HELLO, RELAY_N_HELLO, RELAY_NDO_HELLO, RELAY_NATIVE_HELLO},
    {RELAY_NATIVE_HELLO, RELAY_N_GOAWAY, RELAY_NDO_LEAVE, RELAY_NATIVE_LEAVING},
    {RELAY_NATIVE_AUTH, RELAY_N_AUTH, RELAY_NDO_AUTH, RELAY_NATIVE_AUTH},
    {RELAY_NATIVE_AUTH, RELAY_N_GOAWAY, RELAY_NDO_LEAVE, RELAY_NATIVE_LEAVING},
    {RELAY_NATIVE_ALIVE, RELAY_N_OPEN, RELAY_NDO_OPEN, RELAY_NATIVE_ALIVE},
    {RELAY_NATIVE_ALIVE, RELAY_N_CLOSE, RELAY_NDO_CLOSE, RELAY_NATIVE_ALIVE},
    {RELAY_NATIVE_ALIVE, RELAY_N_BROADCAST, RELAY_NDO_OBJECT, RELAY_NATIVE_ALIVE},
    {RELAY_NATIVE_ALIVE, RELAY_N_ITEM, RELAY_NDO_OBJECT, RELAY_NATIVE_ALIVE},
    {RELAY_NATIVE_ALIVE, RELAY_N_CREDIT, RELAY_NDO_CREDIT, RELAY_NATIVE_ALIVE},
    {RELAY_NATIVE_ALIVE, RELAY_N_DRAIN, RELAY_NDO_CREDIT, RELAY_NATIVE_ALIVE},
    {RELAY_NATIVE_ALIVE, RELAY_N_ACK, RELAY_NDO_SETTLE, RELAY_NATIVE_ALIVE},
    {RELAY_NATIVE_ALIVE, RELAY_N_PURGE, RELAY_NDO_PURGE, RELAY_NATIVE_ALIVE},
    {RELAY_NATIVE_ALIVE, RELAY_N_NACK, RELAY_NDO_SETTLE, RELAY_NATIVE_ALIVE},
    {RELAY_NATIVE_ALIVE, RELAY_N_EXTEND, RELAY_NDO_SETTLE, RELAY_NATIVE_ALIVE},
    {RELAY_NATIVE_ALIVE, RELAY_N_PING, RELAY_NDO_PING, RELAY_NATIVE_ALIVE},
    {RELAY_NATIVE_ALIVE, RELAY_N_PONG, RELAY_NDO_NOTHING, RELAY_NATIVE_ALIVE},
    {RELAY_NATIVE_ALIVE, RELAY_N_GOAWAY, RELAY_NDO_LEAVE, RELAY_NATIVE_LEAVING},
    {RELAY_NATIVE_LEAVING, RELAY_N_ACK, RELAY_NDO_SETTLE, RELAY_NATIVE_LEAVING},
    {RELAY_NATIVE_LEAVING, RELAY_N_NACK, RELAY_NDO_SETTLE, RELAY_NATIVE_LEAVING},
    {RELAY_NATIVE_LEAVING, RELAY_N_EXTEND, RELAY_NDO_SETTLE, RELAY_NATIVE_LEAVING},
    {RELAY_NATIVE_LEAVING, RELAY_N_PING, RELAY_NDO_PING, RELAY_NATIVE_LEAVING},
    {RELAY_NATIVE_LEAVING, RELAY_N_PONG, RELAY_NDO_NOTHING, RELAY_NATIVE_LEAVING},
    {RELAY_NATIVE_LEAVING, RELAY_N_CREDIT, RELAY_NDO_NOTHING, RELAY_NATIVE_LEAVING},
    {RELAY_NATIVE_LEAVING, RELAY_N_CLOSE, RELAY_NDO_NOTHING, RELAY_NATIVE_LEAVING},
};

static const struct row *row_of(int from, unsigned type)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if ((int)rows[i].from == from && rows[i].type == type) {
            return &rows[i];
        }
    }
    return NULL;
}

/* Every type in every state: the whole table. */
static void test_table(void **state)
{
    (void)state;
    static const uint8_t types[] = {
#define TYPE(name, code, c, r, min, max, rules) (code),
        RELAY_NATIVE_TYPES(TYPE)
#undef TYPE
    };
    for (int from = RELAY_NATIVE_HELLO; from <= RELAY_NATIVE_CLOSED; from++) {
        for (size_t i = 0; i < sizeof(types); i++) {
            struct relay_native p = in_state((enum relay_native_state)from);
            struct relay_native_head h = {.type = types[i], .seq = 1};
            struct relay_native_action a = relay_native_frame(&p, &h);
            const struct row *r = row_of(from, types[i]);
            assert_int_equal(a.what, r ? r->what : RELAY_NDO_REFUSE);
            assert_int_equal(p.state, r ? r->to : RELAY_NATIVE_CLOSED);
            assert_int_equal(a.why != NULL, !r);
        }
    }
    assert_string_equal(relay_native_state_name(RELAY_NATIVE_RESUMING), "RESUMING");
}

static void test_login_steps(void **state)
{
    (void)state;
    static const uint64_t wrong[] = {0, 1, 3, UINT64_MAX};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct relay_native p = in_state(RELAY_NATIVE_AUTH);
        struct relay_native_head h = {.type = RELAY_N_AUTH, .seq = 1};
        assert_int_equal(relay_native_frame(&p, &h).what, RELAY_NDO_AUTH);
        h.seq = wrong[i];
        assert_int_equal(relay_native_frame(&p, &h).what, RELAY_NDO_REFUSE);
    }
    struct relay_native p = in_state(RELAY_NATIVE_HELLO);
    assert_int_equal(relay_native_max_len(&p), RELAY_NATIVE_GUEST);
    relay_native_challenged(&p, true);
    assert_int_equal(p.state, RELAY_NATIVE_RESUMING);
    p = in_state(RELAY_NATIVE_AUTH);
    assert_int_equal(relay_native_max_len(&p), RELAY_NATIVE_GUEST);
    p = in_state(RELAY_NATIVE_ALIVE);
    assert_int_equal(relay_native_max_len(&p), RELAY_NATIVE_FRAGMENT);
    relay_native_logged_in(&p); /* events that come too late change nothing */
    relay_native_challenged(&p, true);
    assert_int_equal(p.state, RELAY_NATIVE_ALIVE);
}

static int lane_step(struct relay_lane *l, uint8_t type, uint64_t seq, uint8_t flags, uint32_t len)
{
    struct relay_native_head h = {.type = type, .seq = seq, .flags = flags, .len = len, .group = 1};
    enum relay_goaway code = RELAY_GOAWAY_DONE;
    const char *why = NULL;
    int v = (int)relay_lane_take(l, &h, &code, &why);
    assert_int_equal(v == RELAY_LANE_BAD, why != NULL);
    return v == RELAY_LANE_BAD && code == RELAY_GOAWAY_LIMIT ? -1 : v;
}

static void test_fragments(void **state)
{
    (void)state;
    struct relay_lane l = {.window = 1000000};
    const uint8_t B = RELAY_N_BROADCAST, I = RELAY_N_ITEM, M = RELAY_N_MORE;
    assert_int_equal(lane_step(&l, I, 5, 0, 10), RELAY_LANE_WHOLE);
    assert_int_equal(lane_step(&l, I, 9, M | RELAY_N_META | 4, 20000), RELAY_LANE_FIRST);
    assert_int_equal(lane_step(&l, I, 9, M, 20000), RELAY_LANE_NEXT);
    struct relay_lane saved = l;
    static const struct {
        uint8_t type, flags;
        uint64_t seq;
    } wrong[] = {{RELAY_N_ITEM, 0, 10},           {RELAY_N_ITEM, 0, 8}, {RELAY_N_BROADCAST, 0, 9},
                 {RELAY_N_ITEM, RELAY_N_META, 9}, {RELAY_N_ITEM, 4, 9}, {RELAY_N_ITEM, M | 4, 9}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        l = saved;
        assert_int_equal(lane_step(&l, wrong[i].type, wrong[i].seq, wrong[i].flags, 20000),
                         RELAY_LANE_BAD);
    }
    l = saved;
    assert_false(relay_lane_run(&l, 100, 2, 20));
    assert_int_equal(lane_step(&l, I, 9, 0, 0), RELAY_LANE_LAST);
    assert_int_equal(l.total, 40000);
    assert_int_equal(l.flags, RELAY_N_META | 4);
    assert_int_equal(lane_step(&l, I, 9, 0, 1), RELAY_LANE_BAD); /* again */
    assert_int_equal(lane_step(&l, B, 10, 0, 1), RELAY_LANE_WHOLE);
}

static void test_window(void **state)
{
    (void)state;
    struct relay_lane l = {.window = 100};
    assert_int_equal(lane_step(&l, RELAY_N_ITEM, 1, 0, 34), RELAY_LANE_WHOLE);
    assert_false(relay_lane_run(&l, 51, 2, 3));
    assert_int_equal(lane_step(&l, RELAY_N_ITEM, 2, 0, 35), -1);
    assert_int_equal(lane_step(&l, RELAY_N_ITEM, 2, 0, 34), RELAY_LANE_WHOLE);
    assert_int_equal(l.bytes, 100);
    assert_int_equal(lane_step(&l, RELAY_N_ITEM, 3, 0, 0), -1);
    l.window += 16;
    assert_int_equal(lane_step(&l, RELAY_N_ITEM, 3, 0, 0), RELAY_LANE_WHOLE);
    l.window = UINT64_MAX;
    assert_true(relay_lane_run(&l, 1000, 4, 7));
    assert_int_equal(l.last, 7);
    assert_false(relay_lane_run(&l, 1000, 4, 10)); /* begins at 7, which was there */
    assert_true(relay_lane_run(&l, 1000, 4, 11));
    assert_false(relay_lane_run(&l, 1000, 4, 3));
}

int nk_test_relay_proto_native(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_login_steps),
        cmocka_unit_test(test_fragments),
        cmocka_unit_test(test_window),
    };
    return cmocka_run_group_tests_name("relay/proto_native", tests, NULL, NULL);
}
