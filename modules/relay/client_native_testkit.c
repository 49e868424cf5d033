/* SPDX-License-Identifier: MIT */
#include "relay/client_native_testkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char *const one_group[] = {"g"};

int cn_setup(void **state)
{
    struct cn_native *t = calloc(1, sizeof(*t));
    client_kit_open(&t->k, "mem:relay");
    t->k.conf.groups = one_group;
    t->k.conf.ngroups = 1;
    t->k.conf.wire = RELAY_CLIENT_NATIVE;
    t->k.conf.local = true;
    t->k.conf.name = "tester";
    *state = t;
    return 0;
}

int cn_teardown(void **state)
{
    struct cn_native *t = *state;
    client_kit_close(&t->k);
    free(t);
    return 0;
}

/* --- the relay's side ------------------------------------------------------------------------- */

void cn_send(struct cn_native *t, size_t n)
{
    client_kit_send(&t->k, t->frame, n);
}

/* The next frame, of this type. */
const uint8_t *cn_expect(struct cn_native *t, enum relay_native_type type)
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

void cn_expect_hello(struct cn_native *t)
{
    (void)cn_expect(t, RELAY_N_HELLO);
    assert_int_equal(relay_native_get_hello(t->payload, t->h.len, &t->hello), 0);
}

void cn_challenge(struct cn_native *t)
{
    const struct relay_native_challenge v = {
        .version = RELAY_NATIVE_VERSION, .methods = RELAY_METHOD_PEER, .logged_in = true};
    cn_send(t, relay_native_put_challenge(t->frame, &v));
}

void cn_welcome(struct cn_native *t, bool resumed)
{
    const struct relay_native_welcome v = {.session = {7},
                                           .resumed = resumed,
                                           .heartbeat_ms = 15000,
                                           .grace_ms = 5000,
                                           .max_object = 1 << 20,
                                           .max_open_groups = 100};
    cn_send(t, relay_native_put_welcome(t->frame, &v));
}

void cn_expect_open(struct cn_native *t, const char *name, bool member)
{
    (void)cn_expect(t, RELAY_N_OPEN);
    assert_int_equal(relay_native_get_open(&t->h, t->payload, &t->open), 0);
    assert_int_equal(t->open.name.len, strlen(name));
    assert_memory_equal(t->open.name.p, name, strlen(name));
    assert_int_equal(t->open.member, member);
}

void cn_opened(struct cn_native *t, uint32_t id, uint64_t window)
{
    const struct relay_native_opened v = {
        .request = t->open.request, .group = id, .window = window, .epoch = 9, .version = 4};
    cn_send(t, relay_native_put_opened(t->frame, &v));
}

void cn_refuse(struct cn_native *t, int32_t status, const char *text)
{
    const struct relay_native_opened v = {
        .request = t->open.request, .status = status, .text = {text, strlen(text)}};
    cn_send(t, relay_native_put_opened(t->frame, &v));
}

/* From HELLO to ALIVE with group "g" as number 5. */
void cn_greet(struct cn_native *t, bool resumed)
{
    cn_expect_hello(t);
    cn_challenge(t);
    client_kit_quiet(&t->k);
    cn_welcome(t, resumed);
    cn_expect_open(t, "g", true);
    cn_opened(t, 5, 1 << 20);
    (void)client_kit_expect(&t->k, 'A');
}

void cn_login(struct cn_native *t)
{
    client_kit_client(&t->k);
    client_kit_accept(&t->k);
    cn_greet(t, false);
}

void cn_object(struct cn_native *t, enum relay_native_type type, uint8_t flags, uint64_t seq,
               const void *p, size_t n)
{
    const struct relay_native_head h = {
        .type = (uint8_t)type, .flags = flags, .len = (uint32_t)n, .group = 5, .seq = seq};
    relay_native_put_head(t->frame, &h);
    cn_send(t, RELAY_NATIVE_HEAD);
    client_kit_send(&t->k, p, n);
}

void cn_receipt(struct cn_native *t, uint64_t seq, const struct relay_native_failure *v, uint32_t n)
{
    cn_send(t, relay_native_put_receipt(t->frame, 5, seq, v, n));
}

uint64_t cn_publish(struct cn_native *t, uint32_t group, uint64_t copies, const char *text)
{
    const struct relay_client_publish p = {
        .group = group, .copies = copies, .content = RELAY_CONTENT_TEXT};
    uint64_t number = 0;
    assert_int_equal(relay_client_publish(t->k.client, &p, text, strlen(text), &number), 0);
    return number;
}

void cn_expect_object(struct cn_native *t, enum relay_native_type type, uint64_t seq,
                      const char *text)
{
    (void)cn_expect(t, type);
    assert_int_equal(t->h.group, 5);
    assert_int_equal(t->h.seq, seq);
    assert_int_equal(t->h.len, strlen(text));
    assert_memory_equal(t->payload, text, strlen(text));
}

void cn_expect_settled(struct cn_native *t, uint64_t first, uint64_t last, int status)
{
    const struct client_note *n = client_kit_expect(&t->k, 'S');
    assert_int_equal(n->first, first);
    assert_int_equal(n->last, last);
    assert_int_equal(n->status, status);
}

void cn_hang_up_and_return(struct cn_native *t, bool resumed)
{
    client_kit_hang_up(&t->k);
    (void)client_kit_expect(&t->k, 'L');
    client_kit_accept(&t->k);
    cn_greet(t, resumed);
}

void cn_settled(struct cn_native *t, uint64_t request)
{
    cn_send(t, relay_native_put_u32(t->frame, RELAY_N_SETTLED, 5, request, 0));
}
