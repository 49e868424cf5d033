/* SPDX-License-Identifier: MIT */
#include "relay/proto_tlspyo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct relay_tlspyo_action feed(struct relay_tlspyo *p, enum relay_command cmd)
{
    struct relay_envelope e = {.stamp = 1, .cmd = cmd};
    return relay_tlspyo_frame(p, &e);
}

static void check(struct relay_tlspyo_action a, enum relay_tlspyo_do what, bool ack)
{
    assert_int_equal(a.what, what);
    assert_int_equal(a.ack, ack);
    assert_int_equal(a.why != NULL, what == RELAY_DO_CLOSE);
}

static struct relay_tlspyo in_state(enum relay_tlspyo_state s)
{
    struct relay_tlspyo p;
    relay_tlspyo_init(&p);
    if (s != RELAY_TLSPYO_HELLO) {
        feed(&p, RELAY_CMD_HELLO);
    }
    if (s == RELAY_TLSPYO_ALIVE || s == RELAY_TLSPYO_CLOSED) {
        relay_tlspyo_joined(&p, s == RELAY_TLSPYO_ALIVE ? 0 : NK_ELIMIT);
    }
    assert_int_equal(p.state, s);
    return p;
}

/* Every command in every state: the whole table. */
static void test_table(void **state)
{
    (void)state;
    static const struct {
        enum relay_tlspyo_state from;
        enum relay_command cmd;
        enum relay_tlspyo_do what;
        bool ack;
        enum relay_tlspyo_state to;
    } rows[] = {
        {RELAY_TLSPYO_HELLO, RELAY_CMD_ACK, RELAY_DO_NOTHING, false, RELAY_TLSPYO_HELLO},
        {RELAY_TLSPYO_HELLO, RELAY_CMD_OBJ, RELAY_DO_NOTHING, true, RELAY_TLSPYO_HELLO},
        {RELAY_TLSPYO_HELLO, RELAY_CMD_NTF, RELAY_DO_NOTHING, true, RELAY_TLSPYO_HELLO},
        {RELAY_TLSPYO_HELLO, RELAY_CMD_OTHER, RELAY_DO_NOTHING, true, RELAY_TLSPYO_HELLO},
        {RELAY_TLSPYO_HELLO, RELAY_CMD_HELLO, RELAY_DO_JOIN, true, RELAY_TLSPYO_JOINING},
        {RELAY_TLSPYO_ALIVE, RELAY_CMD_ACK, RELAY_DO_SETTLE, false, RELAY_TLSPYO_ALIVE},
        {RELAY_TLSPYO_ALIVE, RELAY_CMD_OBJ, RELAY_DO_OBJECT, false, RELAY_TLSPYO_ALIVE},
        {RELAY_TLSPYO_ALIVE, RELAY_CMD_NTF, RELAY_DO_DEMAND, true, RELAY_TLSPYO_ALIVE},
        {RELAY_TLSPYO_ALIVE, RELAY_CMD_OTHER, RELAY_DO_CLOSE, true, RELAY_TLSPYO_CLOSED},
        {RELAY_TLSPYO_ALIVE, RELAY_CMD_HELLO, RELAY_DO_CLOSE, true, RELAY_TLSPYO_CLOSED},
        {RELAY_TLSPYO_JOINING, RELAY_CMD_ACK, RELAY_DO_CLOSE, true, RELAY_TLSPYO_CLOSED},
        {RELAY_TLSPYO_CLOSED, RELAY_CMD_OBJ, RELAY_DO_CLOSE, true, RELAY_TLSPYO_CLOSED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct relay_tlspyo p = in_state(rows[i].from);
        check(feed(&p, rows[i].cmd), rows[i].what, rows[i].ack);
        assert_int_equal(p.state, rows[i].to);
    }
    assert_string_equal(relay_tlspyo_state_name(RELAY_TLSPYO_JOINING), "JOINING");
}

static void test_stamps(void **state)
{
    (void)state;
    struct relay_stamps s = {0};
    int mine;
    void *g = NULL;
    assert_int_equal(relay_stamps_issue(&s, &mine, 0), 1); /* HELLO */
    for (uint32_t i = 2; i < 1000; i++) {
        assert_int_equal(relay_stamps_issue(&s, &mine, i % 3 ? i : 0), i);
    }
    assert_int_equal(relay_stamps_settle(&s, 1, &g), 0);
    assert_null(g);
    assert_int_equal(relay_stamps_settle(&s, 500, &g), 500); /* out of order */
    assert_ptr_equal(g, &mine);
    assert_int_equal(relay_stamps_settle(&s, 500, &g), 0);  /* twice */
    assert_int_equal(relay_stamps_settle(&s, 1000, &g), 0); /* never issued */
    assert_int_equal(relay_stamps_settle(&s, 0, &g), 0);
    assert_int_equal(relay_stamps_settle(&s, -5, &g), 0);
    assert_int_equal(relay_stamps_settle(&s, INT64_MAX, &g), 0);
    for (uint32_t i = 2; i < 1000; i++) {
        assert_int_equal(relay_stamps_settle(&s, i, &g), i % 3 && i != 500 ? i : 0);
    }
    assert_int_equal(s.open, 0);
    assert_int_equal(s.n, 0);
    relay_stamps_clear(&s);
}

static void test_stamps_wrap(void **state)
{
    (void)state;
    struct relay_stamps s = {.last = RELAY_STAMP_MAX - 2};
    int mine;
    void *g = NULL;
    assert_int_equal(relay_stamps_issue(&s, &mine, 11), RELAY_STAMP_MAX - 1);
    assert_int_equal(relay_stamps_issue(&s, &mine, 12), RELAY_STAMP_MAX);
    assert_int_equal(relay_stamps_issue(&s, &mine, 13), 1);
    assert_int_equal(relay_stamps_issue(&s, &mine, 14), 2);
    assert_int_equal(relay_stamps_settle(&s, RELAY_STAMP_MAX, &g), 12);
    assert_int_equal(relay_stamps_settle(&s, 2, &g), 14);
    assert_int_equal(relay_stamps_settle(&s, RELAY_STAMP_MAX - 1, &g), 11);
    assert_int_equal(relay_stamps_settle(&s, 1, &g), 13);
    assert_int_equal(s.n, 0);
    relay_stamps_clear(&s);
}

int nk_test_relay_proto_tlspyo(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_stamps),
        cmocka_unit_test(test_stamps_wrap),
    };
    return cmocka_run_group_tests_name("relay/proto_tlspyo", tests, NULL, NULL);
}
