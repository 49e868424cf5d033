/* SPDX-License-Identifier: MIT */
#include "tor/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/secret.h"
#include "core/app.h"
#include "core/clock.h"
#include "tor/control_testkit.h"

enum { SUBS = 3 };

struct one {
    struct tor_kit kit;
    struct tor_access access;
    struct tor_control *control;
    struct tor_control_watch watch, second;
    int readies, losts, closes, seconds, err;
    bool ready, lost, closed, close_in_state, close_in_event;
    struct sub {
        struct tor_subscription s;
        struct one *o;
        int events, answers, err;
        bool on, leave; /* unsubscribe within the event */
    } sub[SUBS];
    struct tor_request r;
    bool done;
    int reply_err;
};

static void close_it(struct one *o)
{
    tor_control_close(o->control);
    o->control = NULL;
}

static void on_state(void *owner, enum tor_control_state state, int err, const struct nk_diag *why)
{
    struct one *o = owner;
    (void)why;
    o->ready = state == TOR_CONTROL_READY;
    o->lost = state == TOR_CONTROL_LOST;
    o->closed = state == TOR_CONTROL_CLOSED;
    o->readies += o->ready;
    o->losts += o->lost;
    o->closes += o->closed;
    o->err = err;
    if (o->close_in_state) {
        close_it(o);
    }
}

static void on_second(void *owner, enum tor_control_state state, int err, const struct nk_diag *why)
{
    struct one *o = owner;
    (void)state;
    (void)err;
    (void)why;
    o->seconds++;
}

static void on_event(void *owner, const struct tor_reply *event)
{
    struct sub *s = owner;
    assert_int_equal(event->code, 650);
    s->events++;
    if (s->leave) {
        tor_control_unsubscribe(&s->s);
    }
    if (s->o->close_in_event) {
        close_it(s->o);
    }
}

static void on_ready(void *owner, int err, const struct nk_diag *why)
{
    struct sub *s = owner;
    assert_true((err < 0) == (why != NULL));
    s->answers++;
    s->err = err;
    s->on = true;
}

static void on_reply(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct one *o = owner;
    (void)reply;
    (void)why;
    o->done = true;
    o->reply_err = err;
}

static void begin(struct one *o, bool reconnect, bool wait)
{
    *o = (struct one){0};
    tor_kit_listen(&o->kit);
    o->access.control = o->kit.address;
    const struct tor_control_conf conf = {
        .app = o->kit.app, .access = &o->access, .reconnect = reconnect, .wait = wait};
    assert_int_equal(tor_control_open(&o->control, &conf, NULL), 0);
    o->watch = (struct tor_control_watch){.fn = on_state, .owner = o};
    o->second = (struct tor_control_watch){.fn = on_second, .owner = o};
    o->r = (struct tor_request){.fn = on_reply, .owner = o};
    tor_control_watch(o->control, &o->watch);
    for (size_t i = 0; i < SUBS; i++) {
        o->sub[i].o = o;
        o->sub[i].s = (struct tor_subscription){
            .event = "INFO", .fn = on_event, .on_ready = on_ready, .owner = &o->sub[i]};
    }
}

static void finish(struct one *o)
{
    tor_control_close(o->control);
    tor_kit_close(&o->kit);
}

static void subscribe(struct one *o, size_t i, const char *event)
{
    o->sub[i].s.event = event;
    assert_int_equal(tor_control_subscribe(o->control, &o->sub[i].s), 0);
}

static void commands(void **state)
{
    struct one o;
    struct nk_diag diag = {0};
    (void)state;
    begin(&o, false, false);
    assert_int_equal(tor_control_send(o.control, &o.r, "GETINFO version", NULL, 0, &diag),
                     NK_ECLOSED);
    assert_int_equal(tor_control_state(o.control), TOR_CONTROL_CONNECTING);
    tor_kit_login(&o.kit);
    tor_kit_turn(&o.kit, &o.ready);
    assert_string_equal(tor_control_version(o.control), "0.4.9.11");
    assert_int_equal(tor_control_sendf(o.control, &o.r, NULL, "GETINFO %s/%d", "ns/id", 7), 0);
    tor_kit_expect(&o.kit, "GETINFO ns/id/7");
    tor_kit_say(&o.kit, "250 OK\r\n");
    tor_kit_turn(&o.kit, &o.done);
    assert_int_equal(o.reply_err, 0);
    assert_int_equal(tor_control_sendf(o.control, &o.r, NULL, "%s", "A\r\nB"), NK_EUSAGE);
    /* one that comes later is told what the state is */
    tor_control_watch(o.control, &o.second);
    assert_int_equal(o.seconds, 0);
    tor_kit_idle(&o.kit);
    assert_int_equal(o.seconds, 1);
    assert_int_equal(o.readies, 1);
    tor_control_unwatch(&o.second);
    tor_kit_hangup(&o.kit);
    tor_kit_turn(&o.kit, &o.closed);
    assert_int_equal(o.err, NK_ECLOSED);
    assert_int_equal(o.seconds, 1);
    finish(&o);
}

/* One SETEVENTS for all of a turn, ahead of the command that follows; each name once. */
static void subscriptions(void **state)
{
    struct one o;
    (void)state;
    begin(&o, false, false);
    subscribe(&o, 0, "HS_DESC");
    tor_kit_login(&o.kit);
    tor_kit_expect(&o.kit, "SETEVENTS HS_DESC");
    tor_kit_say(&o.kit, "250 OK\r\n");
    tor_kit_turn(&o.kit, &o.sub[0].on);
    subscribe(&o, 1, "INFO");
    subscribe(&o, 2, "HS_DESC");
    assert_int_equal(tor_control_send(o.control, &o.r, "ADD_ONION x", NULL, 0, NULL), 0);
    tor_kit_expect(&o.kit, "SETEVENTS HS_DESC INFO");
    tor_kit_expect(&o.kit, "ADD_ONION x");
    tor_kit_say(
        &o.kit,
        "250 OK\r\n650 HS_DESC CREATED x\r\n650 HS_DESC_CONTENT y\r\n650 INFO\r\n250 OK\r\n");
    tor_kit_turn(&o.kit, &o.done);
    assert_true(o.sub[0].events == 1 && o.sub[1].events == 1 && o.sub[2].events == 1);
    assert_true(o.sub[0].answers == 1 && o.sub[1].answers == 1 && o.sub[2].err == 0);
    /* the last of a name takes it away; more in one turn are one command */
    tor_control_unsubscribe(&o.sub[0].s);
    tor_control_unsubscribe(&o.sub[0].s);
    tor_control_unsubscribe(&o.sub[1].s);
    tor_kit_expect(&o.kit, "SETEVENTS HS_DESC");
    tor_control_unsubscribe(&o.sub[2].s);
    tor_kit_expect(&o.kit, "SETEVENTS");
    finish(&o);
}

/* A name that tor does not know: its subscribers are told, the others get their events. */
static void refused_event(void **state)
{
    struct one o;
    (void)state;
    begin(&o, false, false);
    assert_int_equal(tor_control_subscribe(o.control, &(struct tor_subscription){.event = "A B"}),
                     NK_EUSAGE);
    assert_int_equal(tor_control_subscribe(o.control, &(struct tor_subscription){.event = ""}),
                     NK_EUSAGE);
    assert_int_equal(tor_control_subscribe(o.control, &(struct tor_subscription){.event = "A\n"}),
                     NK_EUSAGE);
    subscribe(&o, 0, "NOSUCH");
    subscribe(&o, 1, "INFO");
    tor_kit_login(&o.kit);
    tor_kit_expect(&o.kit, "SETEVENTS NOSUCH INFO");
    tor_kit_say(&o.kit, "552 Unrecognized event \"NOSUCH\"\r\n");
    tor_kit_expect(&o.kit, "SETEVENTS INFO");
    tor_kit_say(&o.kit, "250 OK\r\n650 INFO\r\n");
    tor_kit_turn(&o.kit, &o.sub[1].on);
    tor_kit_idle(&o.kit);
    assert_true(o.sub[0].err == NK_EUNSUPPORTED && o.sub[0].answers == 1);
    assert_true(o.sub[1].err == 0 && o.sub[1].events == 1);
    /* nothing that helps to find out which: all that are new */
    subscribe(&o, 2, "NOTICE");
    tor_kit_expect(&o.kit, "SETEVENTS INFO NOTICE");
    tor_kit_say(&o.kit, "552 no\r\n");
    tor_kit_expect(&o.kit, "SETEVENTS INFO");
    assert_true(o.sub[2].err == NK_EUNSUPPORTED);
    finish(&o);
}

/* Lost and found: with backoff, and the events as before. */
static void reconnects(void **state)
{
    struct one o;
    uint64_t last = 0;
    (void)state;
    begin(&o, true, false);
    subscribe(&o, 0, "INFO");
    tor_kit_login(&o.kit);
    tor_kit_expect(&o.kit, "SETEVENTS INFO");
    tor_kit_say(&o.kit, "250 OK\r\n");
    tor_kit_turn(&o.kit, &o.sub[0].on);
    assert_int_equal(tor_control_send(o.control, &o.r, "GETINFO version", NULL, 0, NULL), 0);
    for (int i = 0; i < 12; i++) {
        tor_kit_expect(&o.kit, "GETINFO version");
        tor_kit_hangup(&o.kit);
        tor_kit_turn(&o.kit, &o.lost);
        assert_true(o.done && o.reply_err == NK_ECLOSED);
        last = tor_control_retry_ms(o.control);
        assert_true(last >= 125 && last <= 30000 && (i < 8 || last >= 15000));
        assert_int_equal(tor_control_send(o.control, &o.r, "X", NULL, 0, NULL), NK_ECLOSED);
        nk_clock_skip(o.kit.app, last);
        o.done = false;
        tor_kit_login(&o.kit);
        tor_kit_turn(&o.kit, &o.ready);
        tor_kit_expect(&o.kit, "SETEVENTS INFO");
        tor_kit_say(&o.kit, "250 OK\r\n650 INFO\r\n");
        assert_int_equal(tor_control_send(o.control, &o.r, "GETINFO version", NULL, 0, NULL), 0);
    }
    tor_kit_expect(&o.kit, "GETINFO version");
    tor_kit_idle(&o.kit);
    assert_true(o.sub[0].events == 12 && o.sub[0].answers == 13 && o.readies == 13 &&
                o.losts == 12);
    /* one that has lasted begins with short delays again */
    nk_clock_skip(o.kit.app, 10000);
    tor_kit_hangup(&o.kit);
    tor_kit_turn(&o.kit, &o.lost);
    assert_true(tor_control_retry_ms(o.control) <= 250);
    finish(&o);
}

/* The first connection is only tried again when that was asked for. */
static void first_attempt(void **state)
{
    struct one o;
    (void)state;
    begin(&o, true, false);
    o.access.control = (char *)(uintptr_t) "unix:/nowhere/at/all";
    tor_kit_turn(&o.kit, &o.closed);
    assert_int_equal(o.err, -ECONNREFUSED);
    finish(&o);
    begin(&o, true, true);
    o.access.control = (char *)(uintptr_t) "unix:/nowhere/at/all";
    tor_kit_turn(&o.kit, &o.lost);
    assert_int_equal(o.err, -ECONNREFUSED);
    o.access.control = o.kit.address;
    nk_clock_skip(o.kit.app, tor_control_retry_ms(o.control));
    tor_kit_login(&o.kit);
    tor_kit_turn(&o.kit, &o.ready);
    finish(&o);
}

/* Closed from inside every kind of callback. */
static void closed_inside(void **state)
{
    struct one o;
    (void)state;
    begin(&o, true, false);
    o.close_in_state = true;
    tor_control_watch(o.control, &o.second);
    tor_kit_login(&o.kit);
    tor_kit_turn(&o.kit, &o.ready);
    tor_kit_idle(&o.kit);
    assert_int_equal(o.seconds, 0);
    finish(&o);
    begin(&o, true, false);
    o.close_in_event = true;
    o.sub[1].leave = true;
    subscribe(&o, 0, "INFO");
    subscribe(&o, 1, "INFO");
    tor_kit_login(&o.kit);
    tor_kit_expect(&o.kit, "SETEVENTS INFO");
    tor_kit_say(&o.kit, "250 OK\r\n650 INFO\r\n650 INFO\r\n");
    tor_kit_idle(&o.kit);
    assert_true(!o.control && o.sub[0].events == 1 && o.sub[1].events == 0);
    finish(&o);
    begin(&o, false, false);
    o.close_in_state = true;
    tor_kit_accept(&o.kit);
    tor_kit_hangup(&o.kit);
    tor_kit_turn(&o.kit, &o.closed);
    finish(&o);
    begin(&o, false, false);
    o.sub[0].leave = true;
    subscribe(&o, 0, "INFO");
    subscribe(&o, 1, "INFO");
    tor_kit_login(&o.kit);
    tor_kit_say(&o.kit, "650 INFO\r\n650 INFO\r\n");
    tor_kit_idle(&o.kit);
    assert_true(o.sub[0].events == 1 && o.sub[1].events == 2);
    finish(&o);
}

/* What answers is no tor, or does not answer at all. */
static void no_tor(void **state)
{
    struct one o;
    (void)state;
    begin(&o, false, false);
    tor_kit_accept(&o.kit);
    tor_kit_say(&o.kit, "220 smtp.example ESMTP\r\n");
    tor_kit_turn(&o.kit, &o.closed);
    assert_int_equal(o.err, NK_EPROTO);
    finish(&o);
    begin(&o, false, false);
    tor_kit_accept(&o.kit);
    tor_kit_expect(&o.kit, "PROTOCOLINFO 1");
    nk_clock_skip(o.kit.app, 20000);
    tor_kit_turn(&o.kit, &o.closed);
    assert_int_equal(o.err, -ETIMEDOUT);
    finish(&o);
}

static int setup(void **state)
{
    (void)state;
    return nk_crypto_init();
}

int nk_test_tor_control(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands),      cmocka_unit_test(subscriptions),
        cmocka_unit_test(refused_event), cmocka_unit_test(reconnects),
        cmocka_unit_test(first_attempt), cmocka_unit_test(closed_inside),
        cmocka_unit_test(no_tor),
    };
    return cmocka_run_group_tests_name("tor/control", tests, setup, NULL);
}
