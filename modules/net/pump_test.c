/* SPDX-License-Identifier: MIT */
/* client - (front) - pump - (back) - server, over any pair of schemes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/app.h"
#include "core/endpoint_testkit.h"
#include "core/clock.h"
#include "core/pump.h"

enum { TURNS = 100000 };

struct peer {
    struct nk_stream *s;
    size_t to_send, sent, got;
    bool shut_after, wrong, greedy;
    uint8_t salt, expect;
    ssize_t last;
};

struct chain {
    struct nk_app *app;
    struct nk_listener *front, *back;
    struct nk_endpoint *to_back;
    struct nk_pump *pump;
    struct nk_pump_conf conf;
    struct peer client, server;
    struct nk_pump_result result;
    char text[320];
    int results;
};

static void send_more(struct peer *p)
{
    uint8_t buf[5000];
    while (p->sent < p->to_send) {
        size_t n = p->to_send - p->sent < sizeof(buf) ? p->to_send - p->sent : sizeof(buf);
        for (size_t i = 0; i < n; i++) {
            buf[i] = (uint8_t)((p->sent + i) * 13 + ((p->sent + i) >> 8) + p->salt);
        }
        ssize_t put = nk_stream_write(p->s, buf, n);
        if (put < 0) {
            return;
        }
        p->sent += (size_t)put;
    }
    if (p->shut_after) {
        p->shut_after = false;
        nk_stream_shutdown(p->s);
    }
}

static void on_peer(void *owner, struct nk_stream *s, unsigned events)
{
    struct peer *p = owner;
    uint8_t buf[5000];
    if (events & (NK_CONNECTED | NK_WRITABLE)) {
        send_more(p);
    }
    if (events & NK_CLOSED) {
        p->last = nk_stream_error(s, NULL);
    }
    if (!(events & NK_READABLE)) {
        return;
    }
    while ((p->last = nk_stream_read(s, buf, sizeof(buf))) > 0) {
        for (ssize_t i = 0; i < p->last; i++) {
            size_t at = p->got + (size_t)i;
            p->wrong = p->wrong || buf[i] != (uint8_t)(at * 13 + (at >> 8) + p->expect);
        }
        p->got += (size_t)p->last;
    }
    if (p->last == NK_EAGAIN) {
        p->last = 1;
    } else {
        nk_stream_interest(s, s->interest & NK_WRITABLE);
    }
}

static void on_pump_done(void *owner, const struct nk_pump_result *r)
{
    struct chain *c = owner;
    c->results++;
    c->result = *r;
    snprintf(c->text, sizeof(c->text), "%s", r->why->text);
    c->pump = NULL;
}

static void on_front(void *owner, struct nk_listener *l, struct nk_stream *take_s)
{
    struct chain *c = owner;
    struct nk_stream *back;
    (void)l;
    assert_int_equal(nk_dial(c->app, c->to_back, NULL, NULL, &back, NULL), 0);
    assert_int_equal(nk_pump_start(c->app, take_s, back, &c->conf, on_pump_done, c, &c->pump), 0);
}

static void on_back(void *owner, struct nk_listener *l, struct nk_stream *take_s)
{
    struct chain *c = owner;
    (void)l;
    c->server.s = take_s;
    nk_stream_own(take_s, on_peer, &c->server);
    nk_stream_interest(take_s, NK_READABLE | NK_WRITABLE);
}

static void open_chain(struct chain *c, const char *front, const char *back, const char *dial)
{
    struct nk_app_conf conf = {.test_endpoints = true, .clock_scale = 1000};
    char text[256];
    memset(c, 0, sizeof(*c));
    assert_int_equal(nk_app_new(&c->app, &conf, NULL), 0);
    c->client = (struct peer){.last = 1, .salt = 1, .expect = 2};
    c->server = (struct peer){.last = 1, .salt = 2, .expect = 1};
    c->front = nk_kit_listen(c->app, front, on_front, c);
    if (back) {
        c->back = nk_kit_listen(c->app, back, on_back, c);
        assert_int_equal(nk_listener_local(c->back, text, sizeof(text)), 0);
        dial = text;
    }
    assert_int_equal(nk_endpoint_parse(dial, NK_EP_CONNECT, &c->to_back, NULL), 0);
    assert_int_equal(nk_listener_local(c->front, text, sizeof(text)), 0);
    c->client.s = nk_kit_dial(c->app, text, on_peer, &c->client);
    nk_stream_interest(c->client.s, NK_READABLE | NK_WRITABLE);
}

static void close_chain(struct chain *c)
{
    nk_pump_close(c->pump);
    nk_stream_close(c->client.s);
    nk_stream_close(c->server.s);
    nk_listener_close(c->front);
    nk_listener_close(c->back);
    nk_endpoint_free(c->to_back);
    nk_app_free(c->app);
}

static void run_to_result(struct chain *c)
{
    for (int i = 0; i < TURNS && c->results == 0; i++) {
        nk_app_turn(c->app, 1000);
    }
    assert_int_equal(c->results, 1);
}

/* "unix" becomes a name of this process. */
static const char *const pairs[][2] = {
    {"mem:front", "mem:back"},
    {"mem:front,capacity=11,chunk=4", "tcp:127.0.0.1:0"},
    {"tcp:127.0.0.1:0", "tcp:127.0.0.1:0,sndbuf=4096,rcvbuf=2048"},
    {"unix", "mem:back"},
};

static void copies_both_ways(enum nk_pump_how how)
{
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        for (int first = 0; first < 2; first++) { /* who ends first */
            struct chain c;
            char name[48];
            snprintf(name, sizeof(name), "unix:@netkit-pump-%d", (int)getpid());
            bool named = strcmp(pairs[i][0], "unix") == 0;
            open_chain(&c, named ? name : pairs[i][0], pairs[i][1], NULL);
            c.conf.how = how;
            size_t big = i == 1 ? 5000 : 700000;
            c.client.to_send = first ? big : 1;
            c.server.to_send = first ? 1 : big;
            c.client.shut_after = c.server.shut_after = true;
            run_to_result(&c);
            for (int t = 0; t < TURNS && (c.client.last > 0 || c.server.last > 0); t++) {
                nk_app_turn(c.app, 1000);
            }
            assert_int_equal(c.result.error, 0);
            assert_false(c.client.wrong || c.server.wrong);
            assert_int_equal(c.client.last, 0);
            assert_int_equal(c.server.last, 0);
            assert_int_equal(c.client.got, c.server.to_send);
            assert_int_equal(c.server.got, c.client.to_send);
            assert_int_equal(c.result.bytes[0], c.client.to_send);
            assert_int_equal(c.result.bytes[1], c.server.to_send);
            bool sockets =
                strncmp(pairs[i][0], "mem", 3) != 0 && strncmp(pairs[i][1], "mem", 3) != 0;
            size_t all = c.client.to_send + c.server.to_send;
            if (how == NK_PUMP_SPLICE || !sockets) {
                assert_int_equal(c.result.spliced, sockets ? all : 0);
            } else {
                assert_true(how == NK_PUMP_COPY ? c.result.spliced == 0 : c.result.spliced < all);
            }
            close_chain(&c);
        }
    }
}

static void test_copies_both_ways(void **state)
{
    (void)state;
    copies_both_ways(NK_PUMP_AUTO);
    copies_both_ways(NK_PUMP_COPY);
    copies_both_ways(NK_PUMP_SPLICE);
}

/* Bulk goes through a pipe by itself, and without one when there are no descriptors. */
static void test_bulk(void **state)
{
    (void)state;
    for (int pipes = 0; pipes < 2; pipes++) {
        struct rlimit old, none;
        struct chain c;
        open_chain(&c, "tcp:127.0.0.1:0", "tcp:127.0.0.1:0", NULL);
        for (int t = 0; t < TURNS && !c.server.s; t++) {
            nk_app_turn(c.app, 10);
        }
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
        none = (struct rlimit){.rlim_cur = 3, .rlim_max = old.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, pipes ? &old : &none), 0);
        c.client.to_send = 8 << 20;
        c.client.shut_after = c.server.shut_after = true;
        send_more(&c.client);
        send_more(&c.server);
        run_to_result(&c);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
        for (int t = 0; t < TURNS && c.server.last > 0; t++) {
            nk_app_turn(c.app, 1000);
        }
        assert_int_equal(c.server.got, c.client.to_send);
        assert_false(c.server.wrong);
        assert_true(pipes ? c.result.spliced > c.server.got / 2 : c.result.spliced == 0);
        close_chain(&c);
    }
}

/* Closed while bytes wait in a pipe. */
static void test_close_with_a_full_pipe(void **state)
{
    (void)state;
    struct chain c;
    open_chain(&c, "tcp:127.0.0.1:0", "tcp:127.0.0.1:0", NULL);
    c.conf.how = NK_PUMP_SPLICE;
    c.client.to_send = 64 << 20;
    for (int t = 0; t < TURNS && !c.server.s; t++) {
        nk_app_turn(c.app, 10);
    }
    nk_stream_interest(c.server.s, 0); /* reads nothing */
    for (uint64_t before = 1, t = 0; t < TURNS && nk_pump_bytes(c.pump, 0) != before; t++) {
        before = t % 8 ? before : nk_pump_bytes(c.pump, 0);
        nk_app_turn(c.app, 5);
    }
    assert_true(c.client.sent < c.client.to_send);
    close_chain(&c);
}

static void test_refused_back(void **state)
{
    (void)state;
    struct chain c;
    open_chain(&c, "mem:front", NULL, "tcp:127.0.0.1:1");
    c.client.to_send = 10;
    run_to_result(&c);
    assert_int_equal(c.result.error, -ECONNREFUSED);
    assert_non_null(strstr(c.text, "tcp:127.0.0.1:1: Connection refused"));
    for (int t = 0; t < TURNS && c.client.last > 0; t++) {
        nk_app_turn(c.app, 1000);
    }
    assert_true(c.client.last <= 0); /* the client sees an end, too */
    close_chain(&c);
}

static void test_reset_passes_what_came_before(void **state)
{
    (void)state;
    struct chain c;
    open_chain(&c, "mem:front", "mem:back,reset_after=100", NULL);
    c.server.to_send = 1000;
    run_to_result(&c);
    assert_int_equal(c.result.error, -ECONNRESET);
    for (int t = 0; t < TURNS && c.client.last > 0; t++) {
        nk_app_turn(c.app, 1000);
    }
    assert_int_equal(c.client.got, 100);
    assert_false(c.client.wrong);
    close_chain(&c);
}

static void wait_for_server(struct chain *c)
{
    for (int t = 0; t < TURNS && !c->server.s; t++) {
        nk_app_turn(c->app, 10);
    }
    assert_non_null(c->server.s);
}

static void wait_for_end(struct chain *c, const struct peer *p)
{
    for (int t = 0; t < TURNS && p->last > 0; t++) {
        nk_app_turn(c->app, 1000);
    }
}

/* Whichever side breaks off, by a reset or without having ended: the other one is told the same. */
static void test_resets(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct chain c;
        open_chain(&c, "tcp:127.0.0.1:0", "tcp:127.0.0.1:0", NULL);
        wait_for_server(&c);
        struct peer *breaks = i ? &c.server : &c.client, *other = i ? &c.client : &c.server;
        breaks->to_send = 100;
        send_more(breaks);
        for (int t = 0; t < TURNS && other->got < 100; t++) {
            nk_app_turn(c.app, 10);
        }
        assert_int_equal(nk_stream_tune(breaks->s, NK_TUNE_RESET, 1), 0);
        nk_stream_close(breaks->s);
        breaks->s = NULL;
        run_to_result(&c);
        assert_int_equal(c.result.error, -ECONNRESET);
        assert_int_equal(c.result.side, i);
        assert_true(c.result.stood);
        wait_for_end(&c, other);
        assert_int_equal(other->last, -ECONNRESET);
        assert_int_equal(other->got, 100);
        close_chain(&c);
    }
}

/* A side that has got everything, with its end, is not reset for what it sends into the void. */
static void test_whole_is_not_reset(void **state)
{
    (void)state;
    struct chain c;
    open_chain(&c, "tcp:127.0.0.1:0", "tcp:127.0.0.1:0", NULL);
    wait_for_server(&c);
    c.server.to_send = 1000;
    c.server.shut_after = true;
    send_more(&c.server);
    wait_for_end(&c, &c.client);
    assert_int_equal(c.client.got, 1000);
    assert_int_equal(c.client.last, 0);
    nk_stream_interest(c.server.s, 0);
    c.client.to_send = 64 << 20; /* nobody reads it */
    send_more(&c.client);
    nk_stream_tune(c.server.s, NK_TUNE_RESET, 1);
    nk_stream_close(c.server.s);
    c.server.s = NULL;
    run_to_result(&c);
    assert_true(c.result.error == -ECONNRESET || c.result.error == -EPIPE);
    assert_int_equal(c.result.side, 1);
    close_chain(&c);
}

static void test_closed_early_is_reset(void **state)
{
    (void)state;
    struct chain c;
    open_chain(&c, "tcp:127.0.0.1:0", "tcp:127.0.0.1:0", NULL);
    wait_for_server(&c);
    nk_pump_close(c.pump);
    c.pump = NULL;
    wait_for_end(&c, &c.client);
    wait_for_end(&c, &c.server);
    assert_int_equal(c.client.last, -ECONNRESET);
    assert_int_equal(c.server.last, -ECONNRESET);
    close_chain(&c);
}

static void test_idle_limits(void **state)
{
    (void)state;
    for (int half = 0; half < 2; half++) {
        struct chain c;
        open_chain(&c, "mem:front", "mem:back", NULL);
        c.conf.idle_ms = half ? 0 : 60000;
        c.conf.half_idle_ms = half ? 60000 : 0;
        c.client.to_send = 5;
        c.client.shut_after = half;
        uint64_t before = nk_now_ms(c.app);
        run_to_result(&c);
        assert_int_equal(c.result.error, -ETIMEDOUT);
        assert_int_equal(c.server.got, 5);
        assert_true(nk_now_ms(c.app) - before >= 60000);
        close_chain(&c);
    }
}

static void test_close_is_silent(void **state)
{
    (void)state;
    struct chain c;
    open_chain(&c, "mem:front", "mem:back", NULL);
    c.client.to_send = 5;
    for (int t = 0; t < TURNS && c.server.got < 5; t++) {
        nk_app_turn(c.app, 10);
    }
    assert_int_equal(nk_pump_bytes(c.pump, 0), 5);
    assert_int_equal(nk_pump_bytes(c.pump, 1), 0);
    nk_pump_close(c.pump);
    c.pump = NULL;
    for (int t = 0; t < 5; t++) {
        nk_app_turn(c.app, 1);
    }
    assert_int_equal(c.results, 0);
    assert_int_equal(c.server.last, 0); /* both sides were closed */
    close_chain(&c);
}

int nk_test_net_pump(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copies_both_ways),
        cmocka_unit_test(test_bulk),
        cmocka_unit_test(test_close_with_a_full_pipe),
        cmocka_unit_test(test_refused_back),
        cmocka_unit_test(test_reset_passes_what_came_before),
        cmocka_unit_test(test_resets),
        cmocka_unit_test(test_whole_is_not_reset),
        cmocka_unit_test(test_closed_early_is_reset),
        cmocka_unit_test(test_idle_limits),
        cmocka_unit_test(test_close_is_silent),
    };
    return cmocka_run_group_tests_name("net/pump", tests, NULL, NULL);
}
