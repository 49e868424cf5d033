/* SPDX-License-Identifier: MIT */
/*
 * client_native_testkit - a relay of the native wire that a test plays by hand, on top of
 * client_testkit. Everything fails the test when it does not go as its name says.
 */
#ifndef NK_RELAY_CLIENT_NATIVE_TESTKIT_H
#define NK_RELAY_CLIENT_NATIVE_TESTKIT_H

#include "relay/client_testkit.h"

struct cn_native {
    struct client_kit k;
    struct relay_native_head h; /* the last frame */
    uint8_t payload[RELAY_NATIVE_FRAGMENT];
    uint8_t frame[RELAY_NATIVE_HEAD + 2048];
    struct relay_native_hello hello;
    struct relay_native_open open;
};

/* cn_setup, cn_teardown - of a test, whose state is the struct cn_native. */
int cn_setup(void **state);
int cn_teardown(void **state);

/* cn_send - the first n bytes of t->frame. */
void cn_send(struct cn_native *t, size_t n);

/* cn_expect - the next frame, of this type; returns its payload. cn_expect_hello, cn_expect_open -
 * and read it. cn_expect_object - of group 5. */
const uint8_t *cn_expect(struct cn_native *t, enum relay_native_type type);
void cn_expect_hello(struct cn_native *t);
void cn_expect_open(struct cn_native *t, const char *name, bool member);
void cn_expect_object(struct cn_native *t, enum relay_native_type type, uint64_t seq,
                      const char *text);

/* cn_challenge, cn_welcome, cn_opened, cn_refuse (the OPEN that came last), cn_object (of group 5),
 * cn_receipt, cn_settled - what a relay says. */
void cn_challenge(struct cn_native *t);
void cn_welcome(struct cn_native *t, bool resumed);
void cn_opened(struct cn_native *t, uint32_t id, uint64_t window);
void cn_refuse(struct cn_native *t, int32_t status, const char *text);
void cn_object(struct cn_native *t, enum relay_native_type type, uint8_t flags, uint64_t seq,
               const void *p, size_t n);
void cn_receipt(struct cn_native *t, uint64_t seq, const struct relay_native_failure *v,
                uint32_t n);
void cn_settled(struct cn_native *t, uint64_t request);

/* cn_greet - from HELLO to ALIVE with group "g" as number 5. cn_login - the first time.
 * cn_hang_up_and_return - again. */
void cn_greet(struct cn_native *t, bool resumed);
void cn_login(struct cn_native *t);
void cn_hang_up_and_return(struct cn_native *t, bool resumed);

/* cn_publish - the client produces a text; returns its number. cn_expect_settled - what it hears
 * of it. */
uint64_t cn_publish(struct cn_native *t, uint32_t group, uint64_t copies, const char *text);
void cn_expect_settled(struct cn_native *t, uint64_t first, uint64_t last, int status);

#endif
