/* SPDX-License-Identifier: MIT */
/* The client's native session against a relay played by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/client_native_testkit.h"

static void test_greeting(void **state)
{
    struct cn_native *t = *state;
    client_kit_client(&t->k);
    cn_publish(t, 0, 1, "early");
    client_kit_accept(&t->k);
    cn_expect_hello(t);
    assert_int_equal(t->hello.version_max, RELAY_NATIVE_VERSION);
    assert_true(t->hello.producer != 0);
    assert_int_equal(t->hello.session[0], 0);
    assert_int_equal(t->hello.name.len, 6);
    cn_challenge(t);
    cn_welcome(t, false);
    cn_expect_open(t, "g", true);
    assert_false(t->open.known);
    client_kit_quiet(&t->k); /* nothing before OPENED */
    cn_opened(t, 5, 1 << 20);
    (void)client_kit_expect(&t->k, 'A');
    cn_expect_object(t, RELAY_N_ITEM, 1, "early");
    assert_int_equal(t->h.flags, RELAY_CONTENT_TEXT << RELAY_N_CONTENT_SHIFT);
}

static void test_the_stamp_chooses_the_wire(void **state)
{
    struct cn_native *t = *state;
    uint8_t hello[10 + RELAY_HELLO_LEN] = "20        ";
    t->k.conf.wire = RELAY_CLIENT_AUTO;
    t->k.conf.local = false;
    t->k.conf.trust = RELAY_TRUST_LOCAL;
    client_kit_client(&t->k);
    client_kit_accept(&t->k);
    client_kit_quiet(&t->k);
    (void)relay_pickle_hello(hello + 10, RELAY_NATIVE_STAMP);
    client_kit_send(&t->k, hello, sizeof(hello));
    t->k.conf.local = true;
    cn_greet(t, false);
    struct relay_client_state st;
    relay_client_state(t->k.client, &st);
    assert_int_equal(st.wire, RELAY_CLIENT_NATIVE);
}

static void test_a_greeting_of_the_other_wire_is_skipped(void **state)
{
    struct cn_native *t = *state;
    uint8_t hello[10 + RELAY_HELLO_LEN] = "20        ";
    client_kit_client(&t->k);
    client_kit_accept(&t->k);
    (void)relay_pickle_hello(hello + 10, RELAY_NATIVE_STAMP);
    client_kit_send(&t->k, hello, 15);
    client_kit_read(&t->k, RELAY_NATIVE_HEAD + 45 + 6); /* it has not waited for it */
    client_kit_quiet(&t->k);
    client_kit_send(&t->k, hello + 15, sizeof(hello) - 15);
    cn_greet(t, false);
}

static void test_receipts(void **state)
{
    struct cn_native *t = *state;
    const struct relay_native_failure bad[] = {{2, RELAY_STATUS_FULL}, {4, RELAY_STATUS_DUPLICATE}};
    cn_login(t);
    for (int i = 0; i < 6; i++) {
        cn_publish(t, 0, 0, "x");
    }
    for (uint64_t i = 1; i <= 6; i++) {
        cn_expect_object(t, RELAY_N_BROADCAST, i, "x");
    }
    cn_receipt(t, 5, bad, 2);
    cn_expect_settled(t, 1, 1, 0);
    cn_expect_settled(t, 2, 2, NK_ELIMIT);
    cn_expect_settled(t, 3, 3, 0);
    cn_expect_settled(t, 4, 4, 1);
    cn_expect_settled(t, 5, 5, 0);
    assert_int_equal(relay_client_unsettled(t->k.client), 1);
    cn_receipt(t, 6, NULL, 0);
    cn_expect_settled(t, 6, 6, 0);
    cn_receipt(t, 7, NULL, 0); /* a lie */
    assert_int_equal(client_kit_expect(&t->k, 'L')->status, NK_EPROTO);
}

static void test_unsettled_is_sent_again_with_its_numbers(void **state)
{
    struct cn_native *t = *state;
    char *big = malloc(200001);
    memset(big, 'b', 200000);
    big[200000] = '\0';
    cn_login(t);
    uint64_t producer = t->hello.producer;
    cn_publish(t, 0, 1, "a");
    cn_publish(t, 0, 1, "b");
    cn_publish(t, 0, 1, big);
    cn_expect_object(t, RELAY_N_ITEM, 1, "a");
    cn_expect_object(t, RELAY_N_ITEM, 2, "b");
    (void)cn_expect(t, RELAY_N_ITEM); /* half of the large one */
    assert_int_equal(t->h.flags & RELAY_N_MORE, RELAY_N_MORE);
    cn_receipt(t, 1, NULL, 0);
    cn_expect_settled(t, 1, 1, 0);
    cn_hang_up_and_return(t, false);
    assert_int_equal(t->hello.producer, producer);
    assert_int_equal(t->hello.session[0], 7);
    cn_expect_object(t, RELAY_N_ITEM, 2, "b");
    (void)cn_expect(t, RELAY_N_ITEM);
    assert_int_equal(t->h.seq, 3);
    assert_int_equal(t->h.len, 128 << 10);
    (void)cn_expect(t, RELAY_N_ITEM);
    assert_int_equal(t->h.seq, 3);
    assert_int_equal(t->h.len, 200000 - (128 << 10));
    assert_int_equal(t->h.flags & RELAY_N_MORE, 0);
    cn_receipt(t, 3, NULL, 0);
    cn_expect_settled(t, 2, 3, 0);
    free(big);
}

static void test_window_of_one_group_only(void **state)
{
    struct cn_native *t = *state;
    uint32_t other;
    cn_login(t);
    assert_int_equal(relay_client_group(t->k.client, "other", false, &other), 0);
    cn_expect_open(t, "other", false);
    cn_opened(t, 6, 3 * (RELAY_NATIVE_HEAD + 1));
    client_kit_quiet(&t->k);
    for (int i = 0; i < 5; i++) {
        cn_publish(t, other, 1, "o");
        cn_publish(t, 0, 1, "g");
    }
    unsigned o = 0, g = 0;
    for (int i = 0; i < 8; i++) { /* three of them, and all of ours */
        (void)cn_expect(t, RELAY_N_ITEM);
        o += t->h.group == 6;
        g += t->h.group == 5;
    }
    assert_int_equal(o, 3);
    assert_int_equal(g, 5);
    client_kit_quiet(&t->k);
    cn_send(t, relay_native_put_u64(t->frame, RELAY_N_WINDOW, 6, 0, 4 * (RELAY_NATIVE_HEAD + 1)));
    (void)cn_expect(t, RELAY_N_ITEM);
    assert_int_equal(t->h.group, 6);
    assert_int_equal(t->h.seq, 4);
    client_kit_quiet(&t->k);
}

static void test_deliveries(void **state)
{
    struct cn_native *t = *state;
    uint8_t meta[64];
    struct relay_meta_writer w;
    cn_login(t);
    cn_object(t, RELAY_N_BROADCAST, RELAY_N_RETAINED | 0x0c, 4, "kept", 4);
    const struct client_note *n = client_kit_expect(&t->k, 'O');
    assert_int_equal(n->d.kind, RELAY_KIND_RETAINED);
    assert_int_equal(n->d.content, RELAY_CONTENT_PICKLE);
    assert_int_equal(n->d.seq, 4);
    cn_send(t, relay_native_put_u32(t->frame, RELAY_N_DELIVERIES, 5, 17, 3));
    relay_meta_begin(&w, meta, sizeof(meta));
    relay_meta_add(&w, RELAY_META_REPLY_TO, "back", 4);
    size_t len = relay_meta_end(&w);
    memcpy(meta + len, "job", 3);
    cn_object(t, RELAY_N_ITEM, RELAY_N_REDELIVERED | RELAY_N_META, 17, meta, len + 3);
    n = client_kit_expect(&t->k, 'O');
    assert_int_equal(n->d.kind, RELAY_KIND_ITEM);
    assert_int_equal(n->d.tries, 3);
    assert_string_equal(n->text, "job");
    /* two objects in fragments, interleaved, and one between them */
    static char one[RELAY_NATIVE_MORE_MIN] = "one", two[RELAY_NATIVE_MORE_MIN] = "two";
    cn_object(t, RELAY_N_ITEM, RELAY_N_MORE, 20, one, sizeof(one));
    cn_object(t, RELAY_N_ITEM, RELAY_N_MORE, 21, two, sizeof(two));
    cn_object(t, RELAY_N_BROADCAST, 0, 5, "live", 4);
    cn_object(t, RELAY_N_ITEM, 0, 20, "end", 3);
    cn_object(t, RELAY_N_ITEM, 0, 21, "end", 3);
    assert_string_equal(client_kit_expect(&t->k, 'O')->text, "live");
    n = client_kit_expect(&t->k, 'O');
    assert_string_equal(n->text, "one");
    assert_int_equal(n->len, sizeof(one) + 3);
    n = client_kit_expect(&t->k, 'O');
    assert_string_equal(n->text, "two");
    assert_int_equal(n->len, sizeof(two) + 3);
    cn_object(t, RELAY_N_ITEM, RELAY_N_META, 30, "\xff\xff", 2);
    assert_int_equal(client_kit_expect(&t->k, 'L')->status, NK_EPROTO);
}

static void test_versions_and_resumption(void **state)
{
    struct cn_native *t = *state;
    cn_login(t);
    cn_object(t, RELAY_N_BROADCAST, 0, 12, "x", 1);
    (void)client_kit_expect(&t->k, 'O');
    cn_hang_up_and_return(t, true);
    (void)cn_expect(t, RELAY_N_CREDIT); /* ends the (empty) list of claims */
    assert_int_equal(t->h.seq, 0);
    assert_true(t->open.known);
    assert_int_equal(t->open.epoch, 9);
    assert_int_equal(t->open.version, 12);
}

static void test_credit_is_absolute(void **state)
{
    struct cn_native *t = *state;
    t->k.ack = true;
    cn_login(t);
    relay_client_credit(t->k.client, 0, 3);
    (void)cn_expect(t, RELAY_N_CREDIT);
    assert_int_equal(t->h.seq, 3);
    cn_object(t, RELAY_N_ITEM, 0, 50, "a", 1);
    (void)client_kit_expect(&t->k, 'O');
    (void)cn_expect(t, RELAY_N_ACK);
    assert_int_equal(relay_client_wanted(t->k.client, 0), 2);
    relay_client_credit(t->k.client, 0, 2);
    (void)cn_expect(t, RELAY_N_CREDIT);
    assert_int_equal(t->h.seq, 5);
    cn_hang_up_and_return(t, false);
    (void)cn_expect(t, RELAY_N_CREDIT); /* what is left of it, from the beginning */
    assert_int_equal(t->h.seq, 4);
}

static void test_drain(void **state)
{
    struct cn_native *t = *state;
    cn_login(t);
    relay_client_drain(t->k.client, 0, 0);
    (void)cn_expect(t, RELAY_N_DRAIN);
    cn_hang_up_and_return(t, true);
    (void)cn_expect(t, RELAY_N_CREDIT);
    (void)cn_expect(t, RELAY_N_DRAIN);
    cn_object(t, RELAY_N_ITEM, 0, 1, "a", 1);
    cn_send(t, relay_native_put_plain(t->frame, RELAY_N_DRAINED, 5, 1));
    (void)client_kit_expect(&t->k, 'O');
    assert_int_equal(client_kit_expect(&t->k, 'D')->group, 0);
    relay_client_credit(t->k.client, 0, 1);
    (void)cn_expect(t, RELAY_N_CREDIT);
    assert_int_equal(t->h.seq, 2); /* the drained one counts */
}

static void test_drain_with_a_limit(void **state)
{
    struct cn_native *t = *state;
    cn_login(t);
    relay_client_drain(t->k.client, 0, 3);
    (void)cn_expect(t, RELAY_N_DRAIN);
    assert_int_equal(t->h.seq, 3);
    cn_object(t, RELAY_N_ITEM, 0, 1, "a", 1);
    (void)client_kit_expect(&t->k, 'O');
    cn_hang_up_and_return(t, true);
    (void)cn_expect(t, RELAY_N_EXTEND); /* it has one of them */
    (void)cn_expect(t, RELAY_N_CREDIT);
    (void)cn_expect(t, RELAY_N_DRAIN);
    assert_int_equal(t->h.seq, 2);
    cn_object(t, RELAY_N_ITEM, 0, 2, "b", 1);
    cn_object(t, RELAY_N_ITEM, 0, 3, "c", 1);
    (void)client_kit_expect(&t->k, 'O');
    (void)client_kit_expect(&t->k, 'O');
    client_kit_hang_up(&t->k); /* before DRAINED: nothing is left to ask for */
    assert_int_equal(client_kit_expect(&t->k, 'D')->group, 0);
    (void)client_kit_expect(&t->k, 'L');
}

static void test_finish(void **state)
{
    struct cn_native *t = *state;
    t->k.ack = true;
    cn_login(t);
    relay_client_credit(t->k.client, 0, 1);
    (void)cn_expect(t, RELAY_N_CREDIT);
    cn_object(t, RELAY_N_ITEM, 0, 3, "a", 1);
    (void)client_kit_expect(&t->k, 'O');
    cn_publish(t, 0, 1, "x");
    relay_client_finish(t->k.client);
    (void)cn_expect(t, RELAY_N_ACK);
    uint64_t request = t->h.seq;
    cn_expect_object(t, RELAY_N_ITEM, 1, "x");
    cn_receipt(t, 1, NULL, 0);
    cn_expect_settled(t, 1, 1, 0);
    client_kit_quiet(&t->k); /* the acknowledgement is not answered */
    cn_settled(t, request);
    (void)cn_expect(t, RELAY_N_GOAWAY);
    cn_send(t, relay_native_put_goaway(t->frame, RELAY_GOAWAY_DONE, ""));
    client_kit_hang_up(&t->k);
    assert_int_equal(client_kit_expect(&t->k, 'E')->status, 0);
}

static void test_refusals(void **state)
{
    struct cn_native *t = *state;
    uint32_t other;
    cn_login(t);
    assert_int_equal(relay_client_group(t->k.client, "other", false, &other), 0);
    cn_publish(t, other, 1, "a");
    cn_expect_open(t, "other", false);
    cn_refuse(t, RELAY_STATUS_DENIED, "no");
    cn_expect_settled(t, 1, 1, NK_EAUTH);
    cn_publish(t, other, 1, "b");
    cn_expect_settled(t, 2, 2, NK_EAUTH);
    cn_send(t, relay_native_put_goaway(t->frame, RELAY_GOAWAY_DRAIN, "maintenance"));
    client_kit_hang_up(&t->k);
    assert_int_equal(client_kit_expect(&t->k, 'L')->status, NK_ECLOSED);
    client_kit_accept(&t->k);
    cn_expect_hello(t);
    cn_send(t, relay_native_put_goaway(t->frame, RELAY_GOAWAY_AUTH, "who are you"));
    client_kit_hang_up(&t->k);
    assert_int_equal(client_kit_expect(&t->k, 'E')->status, NK_EAUTH);
}

static void test_refused_membership_ends(void **state)
{
    struct cn_native *t = *state;
    client_kit_client(&t->k);
    client_kit_accept(&t->k);
    cn_expect_hello(t);
    cn_challenge(t);
    cn_welcome(t, false);
    cn_expect_open(t, "g", true);
    cn_refuse(t, RELAY_STATUS_FULL, "the group is full");
    assert_int_equal(client_kit_expect(&t->k, 'E')->status, NK_EAUTH);
}

static void test_becoming_a_member_later(void **state)
{
    struct cn_native *t = *state;
    uint32_t other;
    cn_login(t);
    assert_int_equal(relay_client_group(t->k.client, "other", false, &other), 0);
    cn_expect_open(t, "other", false);
    cn_opened(t, 6, 1 << 20);
    cn_publish(t, other, 1, "a");
    (void)cn_expect(t, RELAY_N_ITEM);
    assert_int_equal(relay_client_group(t->k.client, "other", true, NULL), 0);
    relay_client_credit(t->k.client, other, 2);
    (void)cn_expect(t, RELAY_N_CLOSE);
    assert_int_equal(t->h.group, 6);
    cn_expect_open(t, "other", true);
    cn_send(t, relay_native_put_receipt(t->frame, 6, 1, NULL, 0)); /* late: not ours any more */
    cn_opened(t, 6, 1 << 20);
    (void)cn_expect(t, RELAY_N_CREDIT);
    (void)cn_expect(t, RELAY_N_ITEM); /* once more, with its number */
    assert_int_equal(t->h.seq, 1);
    cn_send(t, relay_native_put_receipt(t->frame, 6, 1, NULL, 0));
    cn_expect_settled(t, 1, 1, 0);
}

static void test_signs_of_life(void **state)
{
    struct cn_native *t = *state;
    cn_login(t);
    cn_send(t, relay_native_put_echo(t->frame, RELAY_N_PING, "12345678", 8));
    (void)cn_expect(t, RELAY_N_PONG);
    assert_int_equal(t->h.len, 8);
    assert_memory_equal(t->payload, "12345678", 8);
    (void)cn_expect(t, RELAY_N_PING); /* after the relay's heartbeat time */
    cn_send(t, relay_native_put_echo(t->frame, RELAY_N_PONG, NULL, 0));
    relay_client_pause(t->k.client, true);
    (void)cn_expect(t, RELAY_N_PING); /* we live, although we read nothing */
    (void)cn_expect(t, RELAY_N_PING);
}

static void test_bad_frames(void **state)
{
    static const char *const bad[] = {
        "\x30\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",         /* no such type */
        "\x01\x2d\0\0\0\0\0\0\0\0\0\0\0\0\0\0",       /* HELLO is ours to say */
        "\x18\0\0\0\x63\0\0\0\1\0\0\0\0\0\0\0",       /* a group that is not open */
        "\x1b\4\0\0\5\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0", /* SETTLED nobody asked for: ignored */
    };
    struct cn_native *t = *state;
    cn_login(t);
    for (size_t i = 0; i < 3; i++) {
        client_kit_send(&t->k, bad[i], RELAY_NATIVE_HEAD);
        assert_int_equal(client_kit_expect(&t->k, 'L')->status, NK_EPROTO);
        client_kit_accept(&t->k);
        cn_greet(t, false);
    }
    client_kit_send(&t->k, bad[3], RELAY_NATIVE_HEAD + 4);
    client_kit_quiet(&t->k);
}

int nk_test_relay_client_native(void);
int nk_test_relay_client_native(void)
{
#define ROW(fn) cmocka_unit_test_setup_teardown(fn, cn_setup, cn_teardown)
    const struct CMUnitTest tests[] = {
        ROW(test_greeting),
        ROW(test_the_stamp_chooses_the_wire),
        ROW(test_a_greeting_of_the_other_wire_is_skipped),
        ROW(test_receipts),
        ROW(test_unsettled_is_sent_again_with_its_numbers),
        ROW(test_window_of_one_group_only),
        ROW(test_deliveries),
        ROW(test_versions_and_resumption),
        ROW(test_credit_is_absolute),
        ROW(test_drain),
        ROW(test_drain_with_a_limit),
        ROW(test_finish),
        ROW(test_refusals),
        ROW(test_refused_membership_ends),
        ROW(test_becoming_a_member_later),
        ROW(test_signs_of_life),
        ROW(test_bad_frames),
    };
#undef ROW
    return cmocka_run_group_tests(tests, NULL, NULL);
}
