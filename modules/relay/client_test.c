/* SPDX-License-Identifier: MIT */
/* The client's connection part and its tlspyo session, against a relay played by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "relay/client_testkit.h"

static const char *const two_groups[] = {"g", "h"};
static const char *const one_group[] = {"g"};

static int setup(void **state)
{
    struct client_kit *k = calloc(1, sizeof(*k));
    client_kit_open(k, "mem:relay");
    k->conf.groups = one_group;
    k->conf.ngroups = 1;
    *state = k;
    return 0;
}

static int teardown(void **state)
{
    client_kit_close(*state);
    free(*state);
    return 0;
}

static uint64_t publish(struct client_kit *k, uint32_t group, uint64_t copies, const char *text)
{
    const struct relay_client_publish p = {
        .group = group, .copies = copies, .content = RELAY_CONTENT_PICKLE};
    uint64_t number = 0;
    assert_int_equal(relay_client_publish(k->client, &p, text, strlen(text), &number), 0);
    return number;
}

static void expect_bytes(struct client_kit *k, const char *group, int64_t n, const char *text,
                         size_t len)
{
    const struct relay_envelope *e = client_kit_command(k, RELAY_CMD_OBJ);
    assert_int_equal(e->ndest, 1);
    assert_int_equal(e->dest[0].len, strlen(group));
    assert_memory_equal(e->dest[0].name, group, strlen(group));
    assert_int_equal(e->dest[0].n, n);
    assert_int_equal(e->obj_len, len);
    assert_memory_equal(k->frame + e->obj_off, text, len);
}

static void expect_object(struct client_kit *k, const char *group, int64_t n, const char *text)
{
    expect_bytes(k, group, n, text, strlen(text));
}

static void expect_notify(struct client_kit *k, const char *group, int64_t n)
{
    const struct relay_envelope *e = client_kit_command(k, RELAY_CMD_NTF);
    assert_int_equal(e->ndest, group ? 1 : 0);
    if (group) {
        assert_memory_equal(e->dest[0].name, group, strlen(group));
        assert_int_equal(e->dest[0].n, n);
    }
}

static void test_login_holds_everything_back(void **state)
{
    struct client_kit *k = *state;
    k->conf.groups = two_groups;
    k->conf.ngroups = 2;
    client_kit_client(k);
    assert_int_equal(publish(k, 0, 0, "one"), 1);
    client_kit_accept(k);
    client_kit_quiet(k); /* the relay speaks first */
    client_kit_acked(k, client_kit_hello(k));
    const struct relay_envelope *e = client_kit_command(k, RELAY_CMD_HELLO);
    assert_int_equal(e->ndest, 2);
    client_kit_quiet(k);
    client_kit_ack(k, e->stamp);
    expect_notify(k, NULL, 0);
    client_kit_quiet(k); /* not proved yet that we are in */
    client_kit_ack(k, k->env.stamp);
    assert_false(client_kit_expect(k, 'A')->again);
    expect_object(k, "g", -1, "one");
    client_kit_ack(k, k->env.stamp);
    const struct client_note *n = client_kit_expect(k, 'S');
    assert_int_equal(n->first, 1);
    assert_int_equal(n->last, 1);
    assert_int_equal(n->status, 0);
    relay_client_finish(k->client);
    for (int i = 0; !k->ended; i++) {
        assert_true(i < CLIENT_KIT_TURNS);
        if (nk_buf_len(&k->in) > 0) {
            expect_notify(k, NULL, 0); /* has our last acknowledgement arrived? */
            client_kit_ack(k, k->env.stamp);
        }
        client_kit_turn(k);
    }
    client_kit_hang_up(k);
    assert_int_equal(client_kit_expect(k, 'E')->status, 0);
}

/* Without TLS a relay greets at once; one that is silent has TLS, or is no relay. */
static void test_nobody_greets(void **state)
{
    struct client_kit *k = *state;
    client_kit_client(k);
    client_kit_accept(k);
    uint64_t begin = nk_now_ms(k->app);
    assert_int_equal(client_kit_expect(k, 'E')->status, NK_ECLOSED);
    uint64_t took = nk_now_ms(k->app) - begin;
    assert_true(took >= 2500 && took < 10000);
}

/* One that has begun to speak gets all of the time for the login. */
static void test_slow_greeting(void **state)
{
    struct client_kit *k = *state;
    client_kit_client(k);
    client_kit_accept(k);
    uint64_t begin = nk_now_ms(k->app);
    client_kit_send(k, "2", 1);
    assert_int_equal(client_kit_expect(k, 'E')->status, -ETIMEDOUT);
    assert_true(nk_now_ms(k->app) - begin >= 14000);
}

static void test_wrong_password_and_refused_group(void **state)
{
    struct client_kit *k = *state;
    k->conf.retry_ms = 1000000;
    client_kit_client(k);
    client_kit_accept(k);
    client_kit_hello(k);
    (void)client_kit_command(k, RELAY_CMD_HELLO);
    client_kit_hang_up(k);
    assert_int_equal(client_kit_expect(k, 'E')->status, NK_EAUTH);
    relay_client_close(k->client);
    k->client = NULL;
    client_kit_client(k);
    client_kit_accept(k);
    client_kit_hello(k);
    client_kit_ack(k, client_kit_command(k, RELAY_CMD_HELLO)->stamp);
    expect_notify(k, NULL, 0);
    client_kit_hang_up(k);
    assert_int_equal(client_kit_expect(k, 'E')->status, NK_EAUTH);
}

static void test_retry_before_the_first_login(void **state)
{
    struct client_kit *k = *state;
    client_kit_refuse(k);
    k->conf.retry_ms = 1000000;
    client_kit_client(k);
    publish(k, 0, 1, "kept");
    (void)client_kit_expect(k, 'L');
    (void)client_kit_expect(k, 'L');
    client_kit_listen(k);
    for (int i = 0; k->accepted == 0; i++) { /* attempts may go on failing for a moment */
        assert_true(i < CLIENT_KIT_TURNS);
        client_kit_turn(k);
    }
    k->seen = k->notes;
    client_kit_acked(k, client_kit_hello(k));
    client_kit_ack(k, client_kit_command(k, RELAY_CMD_HELLO)->stamp);
    client_kit_ack(k, client_kit_command(k, RELAY_CMD_NTF)->stamp);
    (void)client_kit_expect(k, 'A');
    expect_object(k, "g", 1, "kept");
}

static void test_no_retry(void **state)
{
    struct client_kit *k = *state;
    client_kit_refuse(k);
    client_kit_client(k);
    assert_true(client_kit_expect(k, 'E')->status < 0);
}

static void test_demand_stands_across_connections(void **state)
{
    struct client_kit *k = *state;
    k->ack = true;
    client_kit_client(k);
    relay_client_credit(k->client, 0, 3);
    client_kit_login(k);
    expect_notify(k, "g", 3);
    client_kit_ack(k, k->env.stamp);
    uint32_t stamp = client_kit_object(k, "a");
    const struct client_note *n = client_kit_expect(k, 'O');
    assert_string_equal(n->text, "a");
    assert_int_equal(n->group, 0);
    assert_int_equal(n->d.kind, RELAY_KIND_UNKNOWN);
    assert_int_equal(n->d.content, RELAY_CONTENT_PICKLE);
    client_kit_acked(k, stamp);
    assert_int_equal(relay_client_wanted(k->client, 0), 2);
    client_kit_hang_up(k);
    (void)client_kit_expect(k, 'L');
    client_kit_login(k);
    expect_notify(k, "g", 2);
    relay_client_credit(k->client, 0, 5);
    expect_notify(k, "g", 5);
}

static void test_broadcasts_before_demand_are_known_as_such(void **state)
{
    struct client_kit *k = *state;
    client_kit_client(k);
    client_kit_login(k);
    client_kit_object(k, "kept");
    assert_int_equal(client_kit_expect(k, 'O')->d.kind, RELAY_KIND_BROADCAST);
    relay_client_credit(k->client, 0, 1);
    expect_notify(k, "g", 1);
    client_kit_object(k, "x");
    assert_int_equal(client_kit_expect(k, 'O')->d.kind, RELAY_KIND_UNKNOWN);
}

static void test_drain(void **state)
{
    struct client_kit *k = *state;
    client_kit_client(k);
    relay_client_drain(k->client, 0, 0);
    client_kit_login(k);
    expect_notify(k, "g", -1);
    client_kit_quiet(k);
    client_kit_ack(k, k->env.stamp);
    client_kit_object(k, "a");
    (void)client_kit_expect(k, 'O');
    expect_notify(k, NULL, 0); /* the mark behind the objects */
    client_kit_ack(k, k->env.stamp);
    (void)client_kit_expect(k, 'D');
    relay_client_drain(k->client, 0, 7);
    expect_notify(k, "g", 7);
    client_kit_hang_up(k);
    (void)client_kit_expect(k, 'L');
    client_kit_login(k);
    expect_notify(k, "g", 7); /* asked again */
}

static void test_settled_in_order(void **state)
{
    struct client_kit *k = *state;
    int64_t stamp[3];
    client_kit_client(k);
    client_kit_login(k);
    for (int i = 0; i < 3; i++) {
        publish(k, 0, 1, "x");
    }
    for (int i = 0; i < 3; i++) {
        stamp[i] = client_kit_command(k, RELAY_CMD_OBJ)->stamp;
    }
    client_kit_ack(k, stamp[2]);
    client_kit_ack(k, stamp[1]);
    client_kit_quiet(k);
    assert_int_equal(relay_client_unsettled(k->client), 3);
    client_kit_ack(k, stamp[0]);
    for (uint64_t i = 1; i <= 3; i++) {
        const struct client_note *n = client_kit_expect(k, 'S');
        assert_int_equal(n->first, i);
        assert_int_equal(n->last, i);
    }
    assert_int_equal(relay_client_unsettled(k->client), 0);
}

static void test_doubt_ends(void **state)
{
    struct client_kit *k = *state;
    client_kit_client(k);
    client_kit_login(k);
    publish(k, 0, 1, "a");
    publish(k, 0, 1, "b");
    client_kit_ack(k, client_kit_command(k, RELAY_CMD_OBJ)->stamp);
    (void)client_kit_command(k, RELAY_CMD_OBJ);
    (void)client_kit_expect(k, 'S');
    client_kit_hang_up(k);
    const struct client_note *n = client_kit_expect(k, 'E');
    assert_int_equal(n->status, NK_ECLOSED);
    assert_non_null(strstr(n->text, "1 of 2"));
}

static void test_doubt_drops(void **state)
{
    struct client_kit *k = *state;
    k->conf.doubt = RELAY_CLIENT_DOUBT_DROPS;
    client_kit_client(k);
    client_kit_login(k);
    publish(k, 0, 1, "a");
    publish(k, 0, 1, "b");
    (void)client_kit_command(k, RELAY_CMD_OBJ);
    client_kit_ack(k, client_kit_command(k, RELAY_CMD_OBJ)->stamp);
    client_kit_quiet(k);
    client_kit_hang_up(k);
    assert_int_equal(client_kit_expect(k, 'S')->status, -ECONNRESET);
    assert_int_equal(client_kit_expect(k, 'S')->status, 0); /* this one was answered */
    publish(k, 0, 1, "c");
    (void)client_kit_expect(k, 'L');
    client_kit_login(k);
    expect_object(k, "g", 1, "c"); /* and only this one */
    client_kit_quiet(k);
}

static void test_buffer_limits(void **state)
{
    struct client_kit *k = *state;
    const struct relay_client_publish p = {.copies = 1, .content = RELAY_CONTENT_PICKLE};
    struct relay_client_state st;
    k->conf.buffer_count = 2;
    client_kit_client(k);
    publish(k, 0, 1, "a");
    publish(k, 0, 1, "b");
    assert_int_equal(relay_client_publish(k->client, &p, "c", 1, NULL), NK_ELIMIT);
    relay_client_state(k->client, &st);
    assert_int_equal(st.refused, 1);
    assert_int_equal(st.published, 2);
    client_kit_login(k);
    client_kit_ack(k, client_kit_command(k, RELAY_CMD_OBJ)->stamp);
    (void)client_kit_expect(k, 'S');
    publish(k, 0, 1, "d");
    assert_int_equal(relay_client_publish(k->client, &p, "e", 1, NULL), NK_ELIMIT);
}

static void test_groups_and_content(void **state)
{
    struct client_kit *k = *state;
    uint32_t other, again;
    client_kit_client(k);
    client_kit_login(k);
    assert_int_equal(relay_client_group(k->client, "other", false, &other), 0);
    assert_int_equal(relay_client_group(k->client, "other", false, &again), 0);
    assert_int_equal(other, again);
    assert_string_equal(relay_client_group_name(k->client, other), "other");
    assert_null(relay_client_group_name(k->client, other + 1));
    assert_int_equal(relay_client_group(k->client, "late", true, NULL), NK_EUNSUPPORTED);
    const struct relay_client_publish p = {
        .group = other, .copies = 2, .content = RELAY_CONTENT_TEXT, .ttl_ms = 9};
    assert_int_equal(relay_client_publish(k->client, &p, "hi", 2, NULL), 0);
    expect_bytes(k, "other", 2, "\x80\x03X\x02\0\0\0hi.", 10); /* a pickled str */
}

static void test_pause_and_finish(void **state)
{
    struct client_kit *k = *state;
    client_kit_client(k);
    client_kit_login(k);
    relay_client_pause(k->client, true);
    client_kit_object(k, "a");
    client_kit_quiet(k);
    relay_client_pause(k->client, false);
    (void)client_kit_expect(k, 'O');
    client_kit_object(k, "b");
    client_kit_object(k, "c");
    relay_client_finish(k->client); /* what comes now is not ours to keep */
    expect_notify(k, NULL, 0);
    client_kit_ack(k, k->env.stamp);
    for (int i = 0; !k->ended; i++) {
        assert_true(i < CLIENT_KIT_TURNS);
        client_kit_turn(k);
    }
    client_kit_hang_up(k);
    assert_int_equal(client_kit_expect(k, 'E')->status, 0);
}

static void test_silent_relay_is_given_up(void **state)
{
    struct client_kit *k = *state;
    client_kit_client(k);
    client_kit_login(k);
    expect_notify(k, NULL, 0); /* after 30 s (of the scaled clock): a sign of life is asked for */
    client_kit_ack(k, k->env.stamp);
    expect_notify(k, NULL, 0);
    assert_int_equal(client_kit_expect(k, 'L')->status, -ETIMEDOUT);
}

static void test_not_a_relay(void **state)
{
    struct client_kit *k = *state;
    client_kit_client(k);
    client_kit_accept(k);
    client_kit_send(k, "HTTP/1.1 400 Bad Request\r\n", 26);
    assert_int_equal(client_kit_expect(k, 'E')->status, NK_EPROTO);
}

/* Each name has one handle, in the order of the calls, however many there are. */
static void test_many_groups(void **state)
{
    struct client_kit *k = *state;
    char name[16];
    uint32_t handle = 0, first = 0;
    client_kit_client(k);
    assert_int_equal(relay_client_group(k->client, "first of many", false, &first), 0);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 10000; i++) {
            (void)snprintf(name, sizeof(name), "g%u", i);
            assert_int_equal(relay_client_group(k->client, name, false, &handle), 0);
            assert_int_equal(handle, first + 1 + i);
            assert_string_equal(relay_client_group_name(k->client, handle), name);
        }
    }
    for (uint32_t i = handle + 1; i < RELAY_CLIENT_GROUPS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "g%u", i + 1);
        assert_int_equal(relay_client_group(k->client, name, false, &handle), 0);
    }
    assert_int_equal(relay_client_group(k->client, "one more", false, &handle), NK_ELIMIT);
    assert_int_equal(relay_client_group(k->client, "g17", false, &handle), 0);
    assert_int_equal(handle, first + 18);
    assert_int_equal(relay_client_group(k->client, "", false, &handle), NK_ETOOBIG);
}

int nk_test_relay_client(void);
int nk_test_relay_client(void)
{
#define ROW(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        ROW(test_login_holds_everything_back),
        ROW(test_nobody_greets),
        ROW(test_slow_greeting),
        ROW(test_wrong_password_and_refused_group),
        ROW(test_retry_before_the_first_login),
        ROW(test_no_retry),
        ROW(test_demand_stands_across_connections),
        ROW(test_broadcasts_before_demand_are_known_as_such),
        ROW(test_drain),
        ROW(test_settled_in_order),
        ROW(test_doubt_ends),
        ROW(test_doubt_drops),
        ROW(test_buffer_limits),
        ROW(test_groups_and_content),
        ROW(test_pause_and_finish),
        ROW(test_silent_relay_is_given_up),
        ROW(test_not_a_relay),
        ROW(test_many_groups),
    };
#undef ROW
    return cmocka_run_group_tests(tests, NULL, NULL);
}
