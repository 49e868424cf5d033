/* SPDX-License-Identifier: MIT */
/* The client's native session against a relay played by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/client_testkit.h"

static const char *const one_group[] = {"g"};

struct native {
    struct client_kit k;
    struct relay_native_head h; /* the last frame */
    uint8_t payload[RELAY_NATIVE_FRAGMENT];
    uint8_t frame[RELAY_NATIVE_HEAD + 2048];
    struct relay_native_hello hello;
    struct relay_native_open open;
};

static int setup(void **state)
{
    struct native *t = calloc(1, sizeof(*t));
    client_kit_open(&t->k, "mem:relay");
    t->k.conf.groups = one_group;
    t->k.conf.ngroups = 1;
    t->k.conf.wire = RELAY_CLIENT_NATIVE;
    t->k.conf.local = true;
    t->k.conf.name = "tester";
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct native *t = *state;
    client_kit_close(&t->k);
    free(t);
    return 0;
}

/* --- the relay's side ------------------------------------------------------------------------- */

static void send(struct native *t, size_t n)
{
    client_kit_send(&t->k, t->frame, n);
}

/* The next frame, of this type. */
static const uint8_t *expect(struct native *t, enum relay_native_type type)
{
    int got = 0;
    client_kit_read(&t->k, 1);
    while ((got = relay_native_head(nk_buf_ptr(&t->k.in), nk_buf_len(&t->k.in), RELAY_FROM_CLIENT,
                                    RELAY_NATIVE_FRAGMENT, &t->h, NULL)) == 0) {
        client_kit_read(&t->k, nk_buf_len(&t->k.in) + 1);
    }
    assert_int_equal(got, 1);
    client_kit_read(&t->k, RELAY_NATIVE_HEAD + t->h.len);
    memcpy(t->payload, nk_buf_ptr(&t->k.in) + RELAY_NATIVE_HEAD, t->h.len);
    nk_buf_consume(&t->k.in, RELAY_NATIVE_HEAD + t->h.len);
    assert_int_equal(t->h.type, type);
    return t->payload;
}

static void expect_hello(struct native *t)
{
    (void)expect(t, RELAY_N_HELLO);
    assert_int_equal(relay_native_get_hello(t->payload, t->h.len, &t->hello), 0);
}

static void challenge(struct native *t)
{
    const struct relay_native_challenge v = {
        .version = RELAY_NATIVE_VERSION, .methods = RELAY_METHOD_PEER, .logged_in = true};
    send(t, relay_native_put_challenge(t->frame, &v));
}

static void welcome(struct native *t, bool resumed)
{
    const struct relay_native_welcome v = {.session = {7},
                                           .resumed = resumed,
                                           .heartbeat_ms = 15000,
                                           .grace_ms = 5000,
                                           .max_object = 1 << 20,
                                           .max_open_groups = 100};
    send(t, relay_native_put_welcome(t->frame, &v));
}

static void expect_open(struct native *t, const char *name, bool member)
{
    (void)expect(t, RELAY_N_OPEN);
    assert_int_equal(relay_native_get_open(&t->h, t->payload, &t->open), 0);
    assert_int_equal(t->open.name.len, strlen(name));
    assert_memory_equal(t->open.name.p, name, strlen(name));
    assert_int_equal(t->open.member, member);
}

static void opened(struct native *t, uint32_t id, uint64_t window)
{
    const struct relay_native_opened v = {
        .request = t->open.request, .group = id, .window = window, .epoch = 9, .version = 4};
    send(t, relay_native_put_opened(t->frame, &v));
}

static void refuse(struct native *t, int32_t status, const char *text)
{
    const struct relay_native_opened v = {
        .request = t->open.request, .status = status, .text = {text, strlen(text)}};
    send(t, relay_native_put_opened(t->frame, &v));
}

/* From HELLO to ALIVE with group "g" as number 5. */
static void greet(struct native *t, bool resumed)
{
    expect_hello(t);
    challenge(t);
    client_kit_quiet(&t->k);
    welcome(t, resumed);
    expect_open(t, "g", true);
    opened(t, 5, 1 << 20);
    (void)client_kit_expect(&t->k, 'A');
}

static void login(struct native *t)
{
    client_kit_client(&t->k);
    client_kit_accept(&t->k);
    greet(t, false);
}

static void object(struct native *t, enum relay_native_type type, uint8_t flags, uint64_t seq,
                   const void *p, size_t n)
{
    const struct relay_native_head h = {
        .type = (uint8_t)type, .flags = flags, .len = (uint32_t)n, .group = 5, .seq = seq};
    relay_native_put_head(t->frame, &h);
    send(t, RELAY_NATIVE_HEAD);
    client_kit_send(&t->k, p, n);
}

static void receipt(struct native *t, uint64_t seq, const struct relay_native_failure *v,
                    uint32_t n)
{
    send(t, relay_native_put_receipt(t->frame, 5, seq, v, n));
}

static uint64_t publish(struct native *t, uint32_t group, uint64_t copies, const char *text)
{
    const struct relay_client_publish p = {
        .group = group, .copies = copies, .content = RELAY_CONTENT_TEXT};
    uint64_t number = 0;
    assert_int_equal(relay_client_publish(t->k.client, &p, text, strlen(text), &number), 0);
    return number;
}

static void expect_object(struct native *t, enum relay_native_type type, uint64_t seq,
                          const char *text)
{
    (void)expect(t, type);
    assert_int_equal(t->h.group, 5);
    assert_int_equal(t->h.seq, seq);
    assert_int_equal(t->h.len, strlen(text));
    assert_memory_equal(t->payload, text, strlen(text));
}

static void expect_settled(struct native *t, uint64_t first, uint64_t last, int status)
{
    const struct client_note *n = client_kit_expect(&t->k, 'S');
    assert_int_equal(n->first, first);
    assert_int_equal(n->last, last);
    assert_int_equal(n->status, status);
}

static void hang_up_and_return(struct native *t, bool resumed)
{
    client_kit_hang_up(&t->k);
    (void)client_kit_expect(&t->k, 'L');
    client_kit_accept(&t->k);
    greet(t, resumed);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void test_greeting(void **state)
{
    struct native *t = *state;
    client_kit_client(&t->k);
    publish(t, 0, 1, "early");
    client_kit_accept(&t->k);
    expect_hello(t);
    assert_int_equal(t->hello.version_max, RELAY_NATIVE_VERSION);
    assert_true(t->hello.producer != 0);
    assert_int_equal(t->hello.session[0], 0);
    assert_int_equal(t->hello.name.len, 6);
    challenge(t);
    welcome(t, false);
    expect_open(t, "g", true);
    assert_false(t->open.known);
    client_kit_quiet(&t->k); /* nothing before OPENED */
    opened(t, 5, 1 << 20);
    (void)client_kit_expect(&t->k, 'A');
    expect_object(t, RELAY_N_ITEM, 1, "early");
    assert_int_equal(t->h.flags, RELAY_CONTENT_TEXT << RELAY_N_CONTENT_SHIFT);
}

static void test_the_stamp_chooses_the_wire(void **state)
{
    struct native *t = *state;
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
    greet(t, false);
    struct relay_client_state st;
    relay_client_state(t->k.client, &st);
    assert_int_equal(st.wire, RELAY_CLIENT_NATIVE);
}

static void test_a_greeting_of_the_other_wire_is_skipped(void **state)
{
    struct native *t = *state;
    uint8_t hello[10 + RELAY_HELLO_LEN] = "20        ";
    client_kit_client(&t->k);
    client_kit_accept(&t->k);
    (void)relay_pickle_hello(hello + 10, RELAY_NATIVE_STAMP);
    client_kit_send(&t->k, hello, 15);
    client_kit_read(&t->k, RELAY_NATIVE_HEAD + 45 + 6); /* it has not waited for it */
    client_kit_quiet(&t->k);
    client_kit_send(&t->k, hello + 15, sizeof(hello) - 15);
    greet(t, false);
}

static void test_receipts(void **state)
{
    struct native *t = *state;
    const struct relay_native_failure bad[] = {{2, RELAY_STATUS_FULL}, {4, RELAY_STATUS_DUPLICATE}};
    login(t);
    for (int i = 0; i < 6; i++) {
        publish(t, 0, 0, "x");
    }
    for (uint64_t i = 1; i <= 6; i++) {
        expect_object(t, RELAY_N_BROADCAST, i, "x");
    }
    receipt(t, 5, bad, 2);
    expect_settled(t, 1, 1, 0);
    expect_settled(t, 2, 2, NK_ELIMIT);
    expect_settled(t, 3, 3, 0);
    expect_settled(t, 4, 4, 1);
    expect_settled(t, 5, 5, 0);
    assert_int_equal(relay_client_unsettled(t->k.client), 1);
    receipt(t, 6, NULL, 0);
    expect_settled(t, 6, 6, 0);
    receipt(t, 7, NULL, 0); /* a lie */
    assert_int_equal(client_kit_expect(&t->k, 'L')->status, NK_EPROTO);
}

static void test_unsettled_is_sent_again_with_its_numbers(void **state)
{
    struct native *t = *state;
    char *big = malloc(200001);
    memset(big, 'b', 200000);
    big[200000] = '\0';
    login(t);
    uint64_t producer = t->hello.producer;
    publish(t, 0, 1, "a");
    publish(t, 0, 1, "b");
    publish(t, 0, 1, big);
    expect_object(t, RELAY_N_ITEM, 1, "a");
    expect_object(t, RELAY_N_ITEM, 2, "b");
    (void)expect(t, RELAY_N_ITEM); /* half of the large one */
    assert_int_equal(t->h.flags & RELAY_N_MORE, RELAY_N_MORE);
    receipt(t, 1, NULL, 0);
    expect_settled(t, 1, 1, 0);
    hang_up_and_return(t, false);
    assert_int_equal(t->hello.producer, producer);
    assert_int_equal(t->hello.session[0], 7);
    expect_object(t, RELAY_N_ITEM, 2, "b");
    (void)expect(t, RELAY_N_ITEM);
    assert_int_equal(t->h.seq, 3);
    assert_int_equal(t->h.len, 128 << 10);
    (void)expect(t, RELAY_N_ITEM);
    assert_int_equal(t->h.seq, 3);
    assert_int_equal(t->h.len, 200000 - (128 << 10));
    assert_int_equal(t->h.flags & RELAY_N_MORE, 0);
    receipt(t, 3, NULL, 0);
    expect_settled(t, 2, 3, 0);
    free(big);
}

static void test_window_of_one_group_only(void **state)
{
    struct native *t = *state;
    uint32_t other;
    login(t);
    assert_int_equal(relay_client_group(t->k.client, "other", false, &other), 0);
    expect_open(t, "other", false);
    opened(t, 6, 3 * (RELAY_NATIVE_HEAD + 1));
    client_kit_quiet(&t->k);
    for (int i = 0; i < 5; i++) {
        publish(t, other, 1, "o");
        publish(t, 0, 1, "g");
    }
    unsigned o = 0, g = 0;
    for (int i = 0; i < 8; i++) { /* three of them, and all of ours */
        (void)expect(t, RELAY_N_ITEM);
        o += t->h.group == 6;
        g += t->h.group == 5;
    }
    assert_int_equal(o, 3);
    assert_int_equal(g, 5);
    client_kit_quiet(&t->k);
    send(t, relay_native_put_u64(t->frame, RELAY_N_WINDOW, 6, 0, 4 * (RELAY_NATIVE_HEAD + 1)));
    (void)expect(t, RELAY_N_ITEM);
    assert_int_equal(t->h.group, 6);
    assert_int_equal(t->h.seq, 4);
    client_kit_quiet(&t->k);
}

static void test_deliveries(void **state)
{
    struct native *t = *state;
    uint8_t meta[64];
    struct relay_meta_writer w;
    login(t);
    object(t, RELAY_N_BROADCAST, RELAY_N_RETAINED | 0x0c, 4, "kept", 4);
    const struct client_note *n = client_kit_expect(&t->k, 'O');
    assert_int_equal(n->d.kind, RELAY_KIND_RETAINED);
    assert_int_equal(n->d.content, RELAY_CONTENT_PICKLE);
    assert_int_equal(n->d.seq, 4);
    send(t, relay_native_put_u32(t->frame, RELAY_N_DELIVERIES, 5, 17, 3));
    relay_meta_begin(&w, meta, sizeof(meta));
    relay_meta_add(&w, RELAY_META_REPLY_TO, "back", 4);
    size_t len = relay_meta_end(&w);
    memcpy(meta + len, "job", 3);
    object(t, RELAY_N_ITEM, RELAY_N_REDELIVERED | RELAY_N_META, 17, meta, len + 3);
    n = client_kit_expect(&t->k, 'O');
    assert_int_equal(n->d.kind, RELAY_KIND_ITEM);
    assert_int_equal(n->d.tries, 3);
    assert_string_equal(n->text, "job");
    /* two objects in fragments, interleaved, and one between them */
    static char one[RELAY_NATIVE_MORE_MIN] = "one", two[RELAY_NATIVE_MORE_MIN] = "two";
    object(t, RELAY_N_ITEM, RELAY_N_MORE, 20, one, sizeof(one));
    object(t, RELAY_N_ITEM, RELAY_N_MORE, 21, two, sizeof(two));
    object(t, RELAY_N_BROADCAST, 0, 5, "live", 4);
    object(t, RELAY_N_ITEM, 0, 20, "end", 3);
    object(t, RELAY_N_ITEM, 0, 21, "end", 3);
    assert_string_equal(client_kit_expect(&t->k, 'O')->text, "live");
    n = client_kit_expect(&t->k, 'O');
    assert_string_equal(n->text, "one");
    assert_int_equal(n->len, sizeof(one) + 3);
    n = client_kit_expect(&t->k, 'O');
    assert_string_equal(n->text, "two");
    assert_int_equal(n->len, sizeof(two) + 3);
    object(t, RELAY_N_ITEM, RELAY_N_META, 30, "\xff\xff", 2);
    assert_int_equal(client_kit_expect(&t->k, 'L')->status, NK_EPROTO);
}

static void test_versions_and_resumption(void **state)
{
    struct native *t = *state;
    login(t);
    object(t, RELAY_N_BROADCAST, 0, 12, "x", 1);
    (void)client_kit_expect(&t->k, 'O');
    hang_up_and_return(t, true);
    (void)expect(t, RELAY_N_CREDIT); /* ends the (empty) list of claims */
    assert_int_equal(t->h.seq, 0);
    assert_true(t->open.known);
    assert_int_equal(t->open.epoch, 9);
    assert_int_equal(t->open.version, 12);
}

static void test_credit_is_absolute(void **state)
{
    struct native *t = *state;
    t->k.ack = true;
    login(t);
    relay_client_credit(t->k.client, 0, 3);
    (void)expect(t, RELAY_N_CREDIT);
    assert_int_equal(t->h.seq, 3);
    object(t, RELAY_N_ITEM, 0, 50, "a", 1);
    (void)client_kit_expect(&t->k, 'O');
    (void)expect(t, RELAY_N_ACK);
    assert_int_equal(relay_client_wanted(t->k.client, 0), 2);
    relay_client_credit(t->k.client, 0, 2);
    (void)expect(t, RELAY_N_CREDIT);
    assert_int_equal(t->h.seq, 5);
    hang_up_and_return(t, false);
    (void)expect(t, RELAY_N_CREDIT); /* what is left of it, from the beginning */
    assert_int_equal(t->h.seq, 4);
}

static void test_drain(void **state)
{
    struct native *t = *state;
    login(t);
    relay_client_drain(t->k.client, 0, 0);
    (void)expect(t, RELAY_N_DRAIN);
    hang_up_and_return(t, true);
    (void)expect(t, RELAY_N_CREDIT);
    (void)expect(t, RELAY_N_DRAIN);
    object(t, RELAY_N_ITEM, 0, 1, "a", 1);
    send(t, relay_native_put_plain(t->frame, RELAY_N_DRAINED, 5, 1));
    (void)client_kit_expect(&t->k, 'O');
    assert_int_equal(client_kit_expect(&t->k, 'D')->group, 0);
    relay_client_credit(t->k.client, 0, 1);
    (void)expect(t, RELAY_N_CREDIT);
    assert_int_equal(t->h.seq, 2); /* the drained one counts */
}

static void test_drain_with_a_limit(void **state)
{
    struct native *t = *state;
    login(t);
    relay_client_drain(t->k.client, 0, 3);
    (void)expect(t, RELAY_N_DRAIN);
    assert_int_equal(t->h.seq, 3);
    object(t, RELAY_N_ITEM, 0, 1, "a", 1);
    (void)client_kit_expect(&t->k, 'O');
    hang_up_and_return(t, true);
    (void)expect(t, RELAY_N_EXTEND); /* it has one of them */
    (void)expect(t, RELAY_N_CREDIT);
    (void)expect(t, RELAY_N_DRAIN);
    assert_int_equal(t->h.seq, 2);
    object(t, RELAY_N_ITEM, 0, 2, "b", 1);
    object(t, RELAY_N_ITEM, 0, 3, "c", 1);
    (void)client_kit_expect(&t->k, 'O');
    (void)client_kit_expect(&t->k, 'O');
    client_kit_hang_up(&t->k); /* before DRAINED: nothing is left to ask for */
    assert_int_equal(client_kit_expect(&t->k, 'D')->group, 0);
    (void)client_kit_expect(&t->k, 'L');
}

static void settled(struct native *t, uint64_t request)
{
    send(t, relay_native_put_u32(t->frame, RELAY_N_SETTLED, 5, request, 0));
}

static void test_acknowledgements_are_batched_and_said_again(void **state)
{
    struct native *t = *state;
    struct relay_client_lease l[10];
    struct relay_native_ranges r;
    login(t);
    relay_client_credit(t->k.client, 0, 100);
    (void)expect(t, RELAY_N_CREDIT);
    for (uint64_t i = 0; i < 10; i++) {
        object(t, RELAY_N_ITEM, 0, 100 + i + (i > 4), "a", 1);
        l[i] = client_kit_expect(&t->k, 'O')->d.lease;
    }
    for (int i = 0; i < 8; i++) {
        relay_client_ack(t->k.client, &l[i]);
    }
    assert_int_equal(relay_client_nack(t->k.client, &l[8], 250), 0);
    (void)expect(t, RELAY_N_ACK);
    assert_int_equal(t->h.flags, RELAY_N_WANT);
    assert_int_equal(relay_native_get_ranges(&t->h, t->payload, &r), 0);
    assert_int_equal(r.n, 2);
    assert_int_equal(relay_native_range(&r, 0).first, 100);
    assert_int_equal(relay_native_range(&r, 0).count, 5);
    assert_int_equal(relay_native_range(&r, 1).first, 106);
    assert_int_equal(relay_native_range(&r, 1).count, 3);
    uint64_t first = t->h.seq;
    (void)expect(t, RELAY_N_NACK);
    assert_int_equal(relay_native_get_ranges(&t->h, t->payload, &r), 0);
    assert_int_equal(r.ms, 250);
    settled(t, first);
    client_kit_quiet(&t->k);
    client_kit_hang_up(&t->k);
    (void)client_kit_expect(&t->k, 'L');
    relay_client_ack(t->k.client, &l[9]); /* while there is no connection */
    client_kit_accept(&t->k);
    greet(t, true);
    (void)expect(t, RELAY_N_NACK); /* it was not answered */
    (void)expect(t, RELAY_N_ACK);
    assert_int_equal(relay_native_get_ranges(&t->h, t->payload, &r), 0);
    assert_int_equal(relay_native_range(&r, 0).first, 110);
    (void)expect(t, RELAY_N_CREDIT);
    assert_int_equal(relay_client_extend(t->k.client, &l[9], 9000), 0);
    (void)expect(t, RELAY_N_EXTEND);
    assert_int_equal(relay_native_get_ranges(&t->h, t->payload, &r), 0);
    assert_int_equal(relay_native_range(&r, 0).first, 110);
    hang_up_and_return(t, false); /* a new session: the leases are void */
    (void)expect(t, RELAY_N_CREDIT);
    relay_client_ack(t->k.client, &l[9]);
    assert_int_equal(relay_client_nack(t->k.client, &l[9], 0), NK_ECLOSED);
    client_kit_quiet(&t->k);
}

static void test_claims_of_a_resumed_session(void **state)
{
    struct native *t = *state;
    struct relay_client_lease l[4];
    struct relay_native_ranges r;
    login(t);
    relay_client_credit(t->k.client, 0, 4);
    (void)expect(t, RELAY_N_CREDIT);
    for (uint64_t i = 0; i < 4; i++) {
        object(t, RELAY_N_ITEM, 0, 10 + i, "a", 1);
        l[i] = client_kit_expect(&t->k, 'O')->d.lease;
    }
    relay_client_ack(t->k.client, &l[1]);
    (void)expect(t, RELAY_N_ACK);
    hang_up_and_return(t, true);
    (void)expect(t, RELAY_N_EXTEND);
    assert_int_equal(relay_native_get_ranges(&t->h, t->payload, &r), 0);
    assert_int_equal(r.ms, 0);
    assert_int_equal(r.n, 2);
    assert_int_equal(relay_native_range(&r, 0).first, 10);
    assert_int_equal(relay_native_range(&r, 1).first, 12);
    assert_int_equal(relay_native_range(&r, 1).count, 2);
    (void)expect(t, RELAY_N_ACK); /* again: it was not answered */
    (void)expect(t, RELAY_N_CREDIT);
    assert_int_equal(t->h.seq, 0);
    hang_up_and_return(t, false); /* nothing is held in a new session */
    client_kit_quiet(&t->k);
}

static void test_finish(void **state)
{
    struct native *t = *state;
    t->k.ack = true;
    login(t);
    relay_client_credit(t->k.client, 0, 1);
    (void)expect(t, RELAY_N_CREDIT);
    object(t, RELAY_N_ITEM, 0, 3, "a", 1);
    (void)client_kit_expect(&t->k, 'O');
    publish(t, 0, 1, "x");
    relay_client_finish(t->k.client);
    (void)expect(t, RELAY_N_ACK);
    uint64_t request = t->h.seq;
    expect_object(t, RELAY_N_ITEM, 1, "x");
    receipt(t, 1, NULL, 0);
    expect_settled(t, 1, 1, 0);
    client_kit_quiet(&t->k); /* the acknowledgement is not answered */
    settled(t, request);
    (void)expect(t, RELAY_N_GOAWAY);
    send(t, relay_native_put_goaway(t->frame, RELAY_GOAWAY_DONE, ""));
    client_kit_hang_up(&t->k);
    assert_int_equal(client_kit_expect(&t->k, 'E')->status, 0);
}

/* An item that was to be extended is somebody else's: the owner hears of it, once. */
static void test_lease_is_gone(void **state)
{
    struct native *t = *state;
    login(t);
    relay_client_credit(t->k.client, 0, 2);
    (void)expect(t, RELAY_N_CREDIT);
    object(t, RELAY_N_ITEM, 0, 3, "a", 1);
    const struct relay_client_lease first = client_kit_expect(&t->k, 'O')->d.lease;
    object(t, RELAY_N_ITEM, 0, 4, "b", 1);
    const struct relay_client_lease second = client_kit_expect(&t->k, 'O')->d.lease;
    assert_int_equal(relay_client_extend(t->k.client, &first, 1000), 0);
    assert_int_equal(relay_client_extend(t->k.client, &second, 1000), 0);
    (void)expect(t, RELAY_N_EXTEND);
    uint64_t one = t->h.seq;
    (void)expect(t, RELAY_N_EXTEND);
    assert_true(t->h.flags & RELAY_N_WANT);
    send(t, relay_native_put_u32(t->frame, RELAY_N_SETTLED, 5, t->h.seq,
                                 (uint32_t)RELAY_STATUS_UNKNOWN));
    assert_int_equal(client_kit_expect(&t->k, 'G')->first, 4);
    settled(t, one);
    settled(t, one); /* of nothing */
    client_kit_quiet(&t->k);
}

/* Who ends at once says so, with what it has acknowledged: the rest goes back without delay. */
static void test_close_says_goodbye(void **state)
{
    struct native *t = *state;
    login(t);
    relay_client_credit(t->k.client, 0, 2);
    (void)expect(t, RELAY_N_CREDIT);
    object(t, RELAY_N_ITEM, 0, 3, "a", 1);
    (void)client_kit_expect(&t->k, 'O');
    object(t, RELAY_N_ITEM, 0, 4, "b", 1);
    const struct relay_client_lease first = client_kit_expect(&t->k, 'O')->d.lease;
    relay_client_ack(t->k.client, &first);
    relay_client_close(t->k.client);
    t->k.client = NULL;
    (void)expect(t, RELAY_N_ACK);
    (void)expect(t, RELAY_N_GOAWAY);
}

static void test_refusals(void **state)
{
    struct native *t = *state;
    uint32_t other;
    login(t);
    assert_int_equal(relay_client_group(t->k.client, "other", false, &other), 0);
    publish(t, other, 1, "a");
    expect_open(t, "other", false);
    refuse(t, RELAY_STATUS_DENIED, "no");
    expect_settled(t, 1, 1, NK_EAUTH);
    publish(t, other, 1, "b");
    expect_settled(t, 2, 2, NK_EAUTH);
    send(t, relay_native_put_goaway(t->frame, RELAY_GOAWAY_DRAIN, "maintenance"));
    client_kit_hang_up(&t->k);
    assert_int_equal(client_kit_expect(&t->k, 'L')->status, NK_ECLOSED);
    client_kit_accept(&t->k);
    expect_hello(t);
    send(t, relay_native_put_goaway(t->frame, RELAY_GOAWAY_AUTH, "who are you"));
    client_kit_hang_up(&t->k);
    assert_int_equal(client_kit_expect(&t->k, 'E')->status, NK_EAUTH);
}

static void test_refused_membership_ends(void **state)
{
    struct native *t = *state;
    client_kit_client(&t->k);
    client_kit_accept(&t->k);
    expect_hello(t);
    challenge(t);
    welcome(t, false);
    expect_open(t, "g", true);
    refuse(t, RELAY_STATUS_FULL, "the group is full");
    assert_int_equal(client_kit_expect(&t->k, 'E')->status, NK_EAUTH);
}

static void test_becoming_a_member_later(void **state)
{
    struct native *t = *state;
    uint32_t other;
    login(t);
    assert_int_equal(relay_client_group(t->k.client, "other", false, &other), 0);
    expect_open(t, "other", false);
    opened(t, 6, 1 << 20);
    publish(t, other, 1, "a");
    (void)expect(t, RELAY_N_ITEM);
    assert_int_equal(relay_client_group(t->k.client, "other", true, NULL), 0);
    relay_client_credit(t->k.client, other, 2);
    (void)expect(t, RELAY_N_CLOSE);
    assert_int_equal(t->h.group, 6);
    expect_open(t, "other", true);
    send(t, relay_native_put_receipt(t->frame, 6, 1, NULL, 0)); /* late: not ours any more */
    opened(t, 6, 1 << 20);
    (void)expect(t, RELAY_N_CREDIT);
    (void)expect(t, RELAY_N_ITEM); /* once more, with its number */
    assert_int_equal(t->h.seq, 1);
    send(t, relay_native_put_receipt(t->frame, 6, 1, NULL, 0));
    expect_settled(t, 1, 1, 0);
}

static void test_signs_of_life(void **state)
{
    struct native *t = *state;
    login(t);
    send(t, relay_native_put_echo(t->frame, RELAY_N_PING, "12345678", 8));
    (void)expect(t, RELAY_N_PONG);
    assert_int_equal(t->h.len, 8);
    assert_memory_equal(t->payload, "12345678", 8);
    (void)expect(t, RELAY_N_PING); /* after the relay's heartbeat time */
    send(t, relay_native_put_echo(t->frame, RELAY_N_PONG, NULL, 0));
    relay_client_pause(t->k.client, true);
    (void)expect(t, RELAY_N_PING); /* we live, although we read nothing */
    (void)expect(t, RELAY_N_PING);
}

static void test_bad_frames(void **state)
{
    static const char *const bad[] = {
        "\x30\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",         /* no such type */
        "\x01\x2d\0\0\0\0\0\0\0\0\0\0\0\0\0\0",       /* HELLO is ours to say */
        "\x18\0\0\0\x63\0\0\0\1\0\0\0\0\0\0\0",       /* a group that is not open */
        "\x1b\4\0\0\5\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0", /* SETTLED nobody asked for: ignored */
    };
    struct native *t = *state;
    login(t);
    for (size_t i = 0; i < 3; i++) {
        client_kit_send(&t->k, bad[i], RELAY_NATIVE_HEAD);
        assert_int_equal(client_kit_expect(&t->k, 'L')->status, NK_EPROTO);
        client_kit_accept(&t->k);
        greet(t, false);
    }
    client_kit_send(&t->k, bad[3], RELAY_NATIVE_HEAD + 4);
    client_kit_quiet(&t->k);
}

int nk_test_relay_client_native(void);
int nk_test_relay_client_native(void)
{
#define ROW(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
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
        ROW(test_acknowledgements_are_batched_and_said_again),
        ROW(test_claims_of_a_resumed_session),
        ROW(test_finish),
        ROW(test_lease_is_gone),
        ROW(test_close_says_goodbye),
        ROW(test_refusals),
        ROW(test_refused_membership_ends),
        ROW(test_becoming_a_member_later),
        ROW(test_signs_of_life),
        ROW(test_bad_frames),
    };
#undef ROW
    return cmocka_run_group_tests(tests, NULL, NULL);
}
