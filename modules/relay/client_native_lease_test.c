/* SPDX-License-Identifier: MIT */
/* What the client's native session says about the items that it holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/client_native_testkit.h"

static void test_acknowledgements_are_batched_and_said_again(void **state)
{
    struct cn_native *t = *state;
    struct relay_client_lease l[10];
    struct relay_native_ranges r;
    cn_login(t);
    relay_client_credit(t->k.client, 0, 100);
    (void)cn_expect(t, RELAY_N_CREDIT);
    for (uint64_t i = 0; i < 10; i++) {
        cn_object(t, RELAY_N_ITEM, 0, 100 + i + (i > 4), "a", 1);
        l[i] = client_kit_expect(&t->k, 'O')->d.lease;
    }
    for (int i = 0; i < 8; i++) {
        relay_client_ack(t->k.client, &l[i]);
    }
    assert_int_equal(relay_client_nack(t->k.client, &l[8], 250), 0);
    (void)cn_expect(t, RELAY_N_ACK);
    assert_int_equal(t->h.flags, RELAY_N_WANT);
    assert_int_equal(relay_native_get_ranges(&t->h, t->payload, &r), 0);
    assert_int_equal(r.n, 2);
    assert_int_equal(relay_native_range(&r, 0).first, 100);
    assert_int_equal(relay_native_range(&r, 0).count, 5);
    assert_int_equal(relay_native_range(&r, 1).first, 106);
    assert_int_equal(relay_native_range(&r, 1).count, 3);
    uint64_t first = t->h.seq;
    (void)cn_expect(t, RELAY_N_NACK);
    assert_int_equal(relay_native_get_ranges(&t->h, t->payload, &r), 0);
    assert_int_equal(r.ms, 250);
    cn_settled(t, first);
    client_kit_quiet(&t->k);
    client_kit_hang_up(&t->k);
    (void)client_kit_expect(&t->k, 'L');
    relay_client_ack(t->k.client, &l[9]); /* while there is no connection */
    client_kit_accept(&t->k);
    cn_greet(t, true);
    (void)cn_expect(t, RELAY_N_NACK); /* it was not answered */
    (void)cn_expect(t, RELAY_N_ACK);
    assert_int_equal(relay_native_get_ranges(&t->h, t->payload, &r), 0);
    assert_int_equal(relay_native_range(&r, 0).first, 110);
    (void)cn_expect(t, RELAY_N_CREDIT);
    assert_int_equal(relay_client_extend(t->k.client, &l[9], 9000), 0);
    (void)cn_expect(t, RELAY_N_EXTEND);
    assert_int_equal(relay_native_get_ranges(&t->h, t->payload, &r), 0);
    assert_int_equal(relay_native_range(&r, 0).first, 110);
    cn_hang_up_and_return(t, false); /* a new session: the leases are void */
    (void)cn_expect(t, RELAY_N_CREDIT);
    relay_client_ack(t->k.client, &l[9]);
    assert_int_equal(relay_client_nack(t->k.client, &l[9], 0), NK_ECLOSED);
    client_kit_quiet(&t->k);
}

static void test_claims_of_a_resumed_session(void **state)
{
    struct cn_native *t = *state;
    struct relay_client_lease l[4];
    struct relay_native_ranges r;
    cn_login(t);
    relay_client_credit(t->k.client, 0, 4);
    (void)cn_expect(t, RELAY_N_CREDIT);
    for (uint64_t i = 0; i < 4; i++) {
        cn_object(t, RELAY_N_ITEM, 0, 10 + i, "a", 1);
        l[i] = client_kit_expect(&t->k, 'O')->d.lease;
    }
    relay_client_ack(t->k.client, &l[1]);
    (void)cn_expect(t, RELAY_N_ACK);
    cn_hang_up_and_return(t, true);
    (void)cn_expect(t, RELAY_N_EXTEND);
    assert_int_equal(relay_native_get_ranges(&t->h, t->payload, &r), 0);
    assert_int_equal(r.ms, 0);
    assert_int_equal(r.n, 2);
    assert_int_equal(relay_native_range(&r, 0).first, 10);
    assert_int_equal(relay_native_range(&r, 1).first, 12);
    assert_int_equal(relay_native_range(&r, 1).count, 2);
    (void)cn_expect(t, RELAY_N_ACK); /* again: it was not answered */
    (void)cn_expect(t, RELAY_N_CREDIT);
    assert_int_equal(t->h.seq, 0);
    cn_hang_up_and_return(t, false); /* nothing is held in a new session */
    client_kit_quiet(&t->k);
}

/* An item that was to be extended is somebody else's: the owner hears of it, once. */
static void test_lease_is_gone(void **state)
{
    struct cn_native *t = *state;
    cn_login(t);
    relay_client_credit(t->k.client, 0, 2);
    (void)cn_expect(t, RELAY_N_CREDIT);
    cn_object(t, RELAY_N_ITEM, 0, 3, "a", 1);
    const struct relay_client_lease first = client_kit_expect(&t->k, 'O')->d.lease;
    cn_object(t, RELAY_N_ITEM, 0, 4, "b", 1);
    const struct relay_client_lease second = client_kit_expect(&t->k, 'O')->d.lease;
    assert_int_equal(relay_client_extend(t->k.client, &first, 1000), 0);
    assert_int_equal(relay_client_extend(t->k.client, &second, 1000), 0);
    (void)cn_expect(t, RELAY_N_EXTEND);
    uint64_t one = t->h.seq;
    (void)cn_expect(t, RELAY_N_EXTEND);
    assert_true(t->h.flags & RELAY_N_WANT);
    cn_send(t, relay_native_put_u32(t->frame, RELAY_N_SETTLED, 5, t->h.seq,
                                    (uint32_t)RELAY_STATUS_UNKNOWN));
    assert_int_equal(client_kit_expect(&t->k, 'G')->first, 4);
    cn_settled(t, one);
    cn_settled(t, one); /* of nothing */
    client_kit_quiet(&t->k);
}

/* Who ends at once says so, with what it has acknowledged: the rest goes back without delay. */
static void test_close_says_goodbye(void **state)
{
    struct cn_native *t = *state;
    cn_login(t);
    relay_client_credit(t->k.client, 0, 2);
    (void)cn_expect(t, RELAY_N_CREDIT);
    cn_object(t, RELAY_N_ITEM, 0, 3, "a", 1);
    (void)client_kit_expect(&t->k, 'O');
    cn_object(t, RELAY_N_ITEM, 0, 4, "b", 1);
    const struct relay_client_lease first = client_kit_expect(&t->k, 'O')->d.lease;
    relay_client_ack(t->k.client, &first);
    relay_client_close(t->k.client);
    t->k.client = NULL;
    (void)cn_expect(t, RELAY_N_ACK);
    (void)cn_expect(t, RELAY_N_GOAWAY);
}

static void expect_purged(struct cn_native *t, int status)
{
    const struct client_note *n = client_kit_expect(&t->k, 'P');
    assert_int_equal(n->group, 0);
    assert_int_equal(n->status, status);
}

static void test_purge(void **state)
{
    struct cn_native *t = *state;
    cn_login(t);
    assert_int_equal(relay_client_purge(t->k.client, 9), NK_ECLOSED);
    assert_int_equal(relay_client_purge(t->k.client, 0), 0);
    (void)cn_expect(t, RELAY_N_PURGE);
    assert_int_equal(t->h.group, 5);
    cn_settled(t, t->h.seq);
    expect_purged(t, 0);
    assert_int_equal(relay_client_purge(t->k.client, 0), 0);
    (void)cn_expect(t, RELAY_N_PURGE);
    cn_send(t, relay_native_put_u32(t->frame, RELAY_N_SETTLED, 5, t->h.seq,
                                    (uint32_t)RELAY_STATUS_DENIED));
    expect_purged(t, NK_EAUTH);
    assert_int_equal(relay_client_purge(t->k.client, 0), 0);
    (void)cn_expect(t, RELAY_N_PURGE);
    cn_hang_up_and_return(t, true); /* no answer, and it is not said again */
    (void)cn_expect(t, RELAY_N_CREDIT);
    client_kit_quiet(&t->k);
}

int nk_test_relay_client_native_lease(void);
int nk_test_relay_client_native_lease(void)
{
#define ROW(fn) cmocka_unit_test_setup_teardown(fn, cn_setup, cn_teardown)
    const struct CMUnitTest tests[] = {
        ROW(test_acknowledgements_are_batched_and_said_again),
        ROW(test_claims_of_a_resumed_session),
        ROW(test_lease_is_gone),
        ROW(test_purge),
        ROW(test_close_says_goodbye),
    };
#undef ROW
    return cmocka_run_group_tests(tests, NULL, NULL);
}
