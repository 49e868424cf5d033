/* SPDX-License-Identifier: MIT */
/* Probes through a SOCKS port that plays tor: what each answer says of the service. */
#include "onion/probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/app.h"
#include "core/clock.h"
#include "core/registry.h"
#include "socks/socks.h"

int nk_test_onion_probe(void);

#define ADDRESS "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"

enum {
    TURNS = 2000, /* of the loop, before a test gives up */
    TURN_MS = 5,
    INTERVAL_MS = 1,
    MINUTE_MS = 61 * 1000,
    GREETING = 3,         /* bytes: version, one method */
    LOGIN = 3 + 7 + 6,    /* probe-N, netkit */
    REQUEST = 5 + 62 + 2, /* the address by name */
    SILENT = 256,         /* takes the request, and no more */
    MUTE                  /* does not even speak SOCKS */
};

struct scene {
    struct nk_app *app;
    struct nk_listener *listener;
    struct nk_stream *s;
    char place[64];
    unsigned reply;
    size_t got, said;
    struct onion_probe probe;
    unsigned deaths;
};

static void say(struct scene *o, const char *bytes, size_t n)
{
    assert_int_equal(nk_stream_write(o->s, bytes, n), n);
    o->said++;
}

static void on_stream(void *owner, struct nk_stream *s, unsigned events)
{
    struct scene *o = owner;
    char bytes[256];
    ssize_t n = events & NK_READABLE ? nk_stream_read(s, bytes, sizeof(bytes)) : 0;
    nk_stream_interest(s, events & NK_READABLE && n == 0 ? 0 : NK_READABLE);
    o->got += n > 0 ? (size_t)n : 0;
    if (o->said == 0 && o->got >= GREETING && o->reply != MUTE) {
        say(o, "\5\2", 2);
    }
    if (o->said == 1 && o->got >= GREETING + LOGIN + REQUEST && o->reply < SILENT) {
        const char answer[] = {1, 0, 5, (char)o->reply, 0, 1, 0, 0, 0, 0, 0, 0};
        say(o, answer, sizeof(answer));
    }
}

static void on_accept(void *owner, struct nk_listener *l, struct nk_stream *take_s)
{
    struct scene *o = owner;
    (void)l;
    nk_stream_close(o->s);
    o->s = take_s;
    o->got = o->said = 0;
    nk_stream_own(take_s, on_stream, o);
    nk_stream_interest(take_s, NK_READABLE);
}

static void on_dead(void *owner)
{
    struct scene *o = owner;
    o->deaths++;
}

static void listen_at(struct scene *o, const char *where)
{
    struct nk_endpoint *ep;
    assert_int_equal(nk_endpoint_parse(where, NK_EP_LISTEN, &ep, NULL), 0);
    assert_int_equal(nk_listen(o->app, ep, on_accept, o, &o->listener, NULL), 0);
    nk_endpoint_free(ep);
    assert_int_equal(nk_listener_local(o->listener, o->place, sizeof(o->place)), 0);
}

static void stop_listening(struct scene *o)
{
    nk_listener_close(o->listener);
    o->listener = NULL;
}

static void begin(struct scene *o, unsigned reply)
{
    const struct nk_app_conf conf = {.test_endpoints = true};
    memset(o, 0, sizeof(*o));
    o->reply = reply;
    assert_int_equal(nk_app_new(&o->app, &conf, NULL), 0);
    listen_at(o, "tcp:127.0.0.1:0");
    onion_probe_init(&o->probe, o->app, INTERVAL_MS, o->place, on_dead, o);
    onion_probe_start(&o->probe, ADDRESS, 80);
}

static void end(struct scene *o)
{
    onion_probe_stop(&o->probe);
    nk_stream_close(o->s);
    nk_listener_close(o->listener);
    nk_app_turn(o->app, 0);
    nk_app_free(o->app);
}

/* Until so many probes are over, or the service is found dead. */
static void go(struct scene *o, uint64_t probes)
{
    for (int i = 0; i < TURNS && o->probe.done < probes && o->deaths == 0; i++) {
        nk_app_turn(o->app, TURN_MS);
    }
}

static void check(unsigned reply, bool dead, bool failed)
{
    struct scene o;
    begin(&o, reply);
    go(&o, 4);
    assert_int_equal(o.deaths, dead);
    assert_int_equal(o.probe.done, dead ? 2 : 4);
    assert_int_equal(o.probe.failed, dead ? 2 : failed ? 4 : 0);
    end(&o);
}

static void answers(void **state)
{
    (void)state;
    check(SOCKS_REPLY_OK, false, false);
    check(SOCKS_REPLY_REFUSED, false, false);
    check(SOCKS_REPLY_HS_AUTH_MISSING, false, false);
    check(SOCKS_REPLY_FAILURE, false, true);
    check(SOCKS_REPLY_NOT_ALLOWED, false, true);
    check(SOCKS_REPLY_COMMAND, false, true);
    check(SOCKS_REPLY_HOST_UNREACHABLE, true, true);
    check(SOCKS_REPLY_EXPIRED, true, true);
    check(SOCKS_REPLY_HS_DESC_NOT_FOUND, true, true);
    check(SOCKS_REPLY_HS_INTRO_FAILED, true, true);
    check(SOCKS_REPLY_HS_INTRO_TIMEOUT, true, true);
}

/* One dead probe, then a port that is closed, then one more: those beside it do not count. */
static void refused_port_is_not_the_service(void **state)
{
    struct scene o;
    (void)state;
    begin(&o, SOCKS_REPLY_HOST_UNREACHABLE);
    go(&o, 1);
    assert_int_equal(o.probe.dead, 1);
    stop_listening(&o);
    go(&o, 5);
    assert_int_equal(o.deaths, 0);
    assert_int_equal(o.probe.dead, 1);
    assert_true(o.probe.blind);
    listen_at(&o, o.place);
    go(&o, 100);
    assert_int_equal(o.deaths, 1);
    assert_false(o.probe.blind);
    end(&o);
}

static void wait_for_bytes(struct scene *o, size_t n)
{
    for (int i = 0; i < TURNS && o->got < n; i++) {
        nk_app_turn(o->app, TURN_MS);
    }
    assert_true(o->got >= n);
}

static void silence(void **state)
{
    static const struct {
        unsigned how;
        size_t after;
        unsigned dead;
    } cases[] = {{SILENT, GREETING + LOGIN + REQUEST, 1}, {MUTE, GREETING, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct scene o;
        begin(&o, cases[i].how);
        wait_for_bytes(&o, cases[i].after);
        nk_clock_skip(o.app, MINUTE_MS);
        go(&o, 1);
        assert_int_equal(o.probe.done, 1);
        assert_int_equal(o.probe.dead, cases[i].dead);
        end(&o);
    }
}

static void closed_without_an_answer(void **state)
{
    struct scene o;
    (void)state;
    begin(&o, SILENT);
    wait_for_bytes(&o, GREETING + LOGIN + REQUEST);
    nk_stream_close(o.s);
    o.s = NULL;
    go(&o, 1);
    assert_int_equal(o.probe.done, 1);
    assert_int_equal(o.probe.dead, 0);
    assert_int_equal(o.probe.failed, 1);
    end(&o);
}

int nk_test_onion_probe(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(refused_port_is_not_the_service),
        cmocka_unit_test(silence),
        cmocka_unit_test(closed_without_an_answer),
    };
    return cmocka_run_group_tests_name("onion/probe", tests, NULL, NULL);
}
