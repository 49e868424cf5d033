/* SPDX-License-Identifier: MIT */
#include "net/forward.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/app.h"
#include "core/endpoint_testkit.h"

enum { TURNS = 500 };

struct client {
    struct nk_stream *s;
    char text[64];
    ssize_t last;
    bool closed;
};

struct world {
    struct nk_app *app;
    struct nk_service *f;
    struct net_forward_conf conf;
    struct nk_listener *echo;
    int ready, ended, status;
    struct nk_diag diag;
};

static void on_client(void *owner, struct nk_stream *s, unsigned events)
{
    struct client *c = owner;
    size_t have = strlen(c->text);
    c->closed |= (events & NK_CLOSED) != 0;
    if (events & NK_CONNECTED) {
        nk_stream_write(s, "hello", 5);
    }
    if (events & NK_READABLE) {
        c->last = nk_stream_read(s, c->text + have, sizeof(c->text) - 1 - have);
        if (c->last <= 0 && c->last != NK_EAGAIN) {
            nk_stream_interest(s, 0);
        }
    }
}

/* The other end: gives back what it reads, on a stream of its own. */
static void on_echo(void *owner, struct nk_stream *s, unsigned events)
{
    char buf[64];
    (void)owner;
    if (events & NK_READABLE) {
        ssize_t n = nk_stream_read(s, buf, sizeof(buf));
        if (n > 0) {
            assert_int_equal(nk_stream_write(s, buf, (size_t)n), n);
        } else if (n != NK_EAGAIN) {
            nk_stream_close(s);
        }
    }
}

static void on_echo_accept(void *owner, struct nk_listener *l, struct nk_stream *take_s)
{
    (void)l;
    nk_stream_own(take_s, on_echo, owner);
    nk_stream_interest(take_s, NK_READABLE);
}

static void on_ready(void *owner)
{
    ((struct world *)owner)->ready++;
}

static void on_end(void *owner, int status, const struct nk_diag *diag)
{
    struct world *w = owner;
    (void)diag;
    w->ended++;
    w->status = status;
}

static void turns(struct world *w, int n)
{
    for (int i = 0; i < n; i++) {
        nk_app_turn(w->app, 1);
    }
}

/* Configuration strings are not const, as rows fill them; nothing writes to them. */
static char *lit(const char *s)
{
    return (char *)(uintptr_t)s;
}

static int start(struct world *w, const char *listen, const char *connect)
{
    struct nk_service_args args = {
        .app = w->app, .conf = &w->conf, .on_ready = on_ready, .on_end = on_end, .owner = w};
    w->conf.listen = lit(listen);
    w->conf.connect = lit(connect);
    w->conf.max_connections = w->conf.max_connections ? w->conf.max_connections : 100;
    return net_forward_service.start(&args, &w->f, &w->diag);
}

static void open_world(struct world *w)
{
    struct nk_app_conf conf = {.test_endpoints = true, .clock_scale = 100};
    memset(w, 0, sizeof(*w));
    assert_int_equal(nk_app_new(&w->app, &conf, NULL), 0);
    w->echo = nk_kit_listen(w->app, "mem:echo", on_echo_accept, w);
}

static void close_world(struct world *w)
{
    if (w->f) {
        net_forward_service.close(w->f);
    }
    turns(w, 3);
    nk_listener_close(w->echo);
    nk_app_free(w->app);
}

static void dial(struct world *w, struct client *c, const char *text)
{
    memset(c, 0, sizeof(*c));
    c->last = 1;
    c->s = nk_kit_dial(w->app, text, on_client, c);
    nk_stream_interest(c->s, NK_READABLE);
}

static void must_echo(struct world *w, struct client *c, const char *text)
{
    dial(w, c, text);
    for (int i = 0; i < TURNS && strlen(c->text) < 5; i++) {
        nk_app_turn(w->app, 10);
    }
    assert_string_equal(c->text, "hello");
}

static uint64_t counter(struct world *w, const char *key)
{
    struct nk_buf b;
    struct nk_json j;
    char want[64];
    nk_buf_init(&b, 4096);
    nk_json_init(&j, &b, false);
    nk_json_object(&j);
    net_forward_service.status(w->f, &j);
    nk_json_close(&j);
    assert_int_equal(nk_json_end(&j), 0);
    snprintf(want, sizeof(want), "\"%s\":", key);
    const char *at = strstr(nk_buf_str(&b), want);
    assert_non_null(at);
    uint64_t v = strtoull(at + strlen(want), NULL, 10);
    nk_buf_clear(&b);
    return v;
}

static void test_forwards_and_counts(void **state)
{
    (void)state;
    struct world w;
    struct client a, b;
    open_world(&w);
    assert_int_equal(start(&w, "mem:front", "mem:echo"), 0);
    assert_int_equal(w.ready, 0);
    turns(&w, 2);
    assert_int_equal(w.ready, 1);
    must_echo(&w, &a, "mem:front");
    must_echo(&w, &b, "mem:front");
    assert_int_equal(counter(&w, "active"), 2);
    assert_int_equal(counter(&w, "accepted"), 2);
    assert_int_equal(counter(&w, "bytes_in"), 10);
    nk_stream_close(a.s);
    turns(&w, 10);
    assert_int_equal(counter(&w, "active"), 1);
    assert_int_equal(counter(&w, "bytes_out"), 10); /* ended ones still count */
    nk_stream_close(b.s);
    close_world(&w);
}

static void test_failed_connection(void **state)
{
    (void)state;
    struct world w;
    struct client a;
    open_world(&w);
    assert_int_equal(start(&w, "mem:front", "mem:nobody"), 0);
    dial(&w, &a, "mem:front");
    for (int i = 0; i < TURNS && a.last > 0; i++) {
        nk_app_turn(w.app, 10);
    }
    assert_true(a.last <= 0);
    assert_int_equal(counter(&w, "failed"), 1);
    assert_int_equal(counter(&w, "active"), 0);
    nk_stream_close(a.s);
    close_world(&w);
}

static void test_drain_waits_for_connections(void **state)
{
    (void)state;
    struct world w;
    struct client a, b;
    open_world(&w);
    assert_int_equal(start(&w, "mem:front", "mem:echo"), 0);
    must_echo(&w, &a, "mem:front");
    net_forward_service.drain(w.f);
    turns(&w, 5);
    assert_int_equal(w.ended, 0);
    dial(&w, &b, "mem:front");
    turns(&w, 5);
    assert_true(b.closed); /* nothing new */
    nk_stream_close(b.s);
    nk_stream_close(a.s);
    turns(&w, 10);
    assert_int_equal(w.ended, 1);
    assert_int_equal(w.status, 0);
    close_world(&w);
}

static void test_most_connections(void **state)
{
    (void)state;
    struct world w;
    struct client a, b;
    open_world(&w);
    w.conf.max_connections = 1;
    assert_int_equal(start(&w, "mem:front", "mem:echo"), 0);
    must_echo(&w, &a, "mem:front");
    dial(&w, &b, "mem:front");
    turns(&w, 10);
    assert_string_equal(b.text, ""); /* waits */
    nk_stream_close(a.s);
    for (int i = 0; i < TURNS && strlen(b.text) < 5; i++) {
        nk_app_turn(w.app, 10);
    }
    assert_string_equal(b.text, "hello");
    nk_stream_close(b.s);
    close_world(&w);
}

static void test_users(void **state)
{
    (void)state;
    char us[24], other[24];
    snprintf(us, sizeof(us), "%u", (unsigned)getuid());
    snprintf(other, sizeof(other), "%u", (unsigned)getuid() + 1);
    char name[48];
    snprintf(name, sizeof(name), "unix:@netkit-forward-%d", (int)getpid());
    for (int allowed = 0; allowed < 2; allowed++) {
        struct world w;
        struct client a;
        char *list[2] = {other, us};
        open_world(&w);
        w.conf.allow_uid = (struct nk_strlist){.v = list, .n = allowed ? 2 : 1};
        assert_int_equal(start(&w, name, "mem:echo"), 0);
        if (allowed) {
            must_echo(&w, &a, name);
        } else {
            dial(&w, &a, name);
            for (int i = 0; i < TURNS && a.last > 0; i++) {
                nk_app_turn(w.app, 10);
            }
            assert_true(a.last <= 0);
            assert_int_equal(counter(&w, "denied"), 1);
            assert_int_equal(counter(&w, "accepted"), 0);
        }
        nk_stream_close(a.s);
        close_world(&w);
    }
}

static void test_refused_configuration(void **state)
{
    (void)state;
    struct world w;
    char *list[1] = {lit("root")}, *number[1] = {lit("0")};
    open_world(&w);
    assert_int_equal(start(&w, "mem:front", NULL), NK_ECONFIG);
    assert_int_equal(start(&w, "mem:front", "stdio"), NK_ECONFIG);
    w.conf.allow_uid = (struct nk_strlist){.v = list, .n = 1};
    assert_int_equal(start(&w, "unix:@x", "mem:echo"), NK_ECONFIG);
    w.conf.allow_uid = (struct nk_strlist){.v = number, .n = 1};
    assert_int_equal(start(&w, "mem:front", "mem:echo"), NK_ECONFIG); /* knows no users */
    assert_null(w.f);
    close_world(&w);
}

static void test_reload(void **state)
{
    (void)state;
    struct world w;
    struct client a, b;
    open_world(&w);
    assert_int_equal(start(&w, "mem:front", "mem:nobody"), 0);
    struct net_forward_conf next = w.conf, broken = w.conf;
    next.connect = lit("mem:echo");
    next.listen = lit("mem:other");
    broken.connect = lit("tcp:nowhere");
    assert_int_equal(net_forward_service.reload(w.f, &broken, NULL, &w.diag), NK_ECONFIG);
    broken.connect = lit("mem:echo");
    broken.listen = lit("mem:echo"); /* taken by the echo server */
    assert_int_equal(net_forward_service.reload(w.f, &broken, NULL, &w.diag), -EADDRINUSE);
    dial(&w, &a, "mem:front"); /* the old one is still in force */
    turns(&w, 10);
    assert_int_equal(counter(&w, "failed"), 1);
    nk_stream_close(a.s);
    assert_int_equal(net_forward_service.reload(w.f, &next, NULL, &w.diag), 0);
    must_echo(&w, &b, "mem:other");
    dial(&w, &a, "mem:front");
    turns(&w, 10);
    assert_true(a.closed);
    nk_stream_close(a.s);
    nk_stream_close(b.s);
    close_world(&w);
}

static void test_what_listens(void **state)
{
    (void)state;
    assert_true(net_forward_can_listen("tcp::80"));
    assert_true(net_forward_can_listen("tcp:localhost:80"));
    assert_true(net_forward_can_listen("nonsense")); /* and then the listener's error is told */
    assert_false(net_forward_can_listen("stdio:"));
    assert_false(net_forward_can_listen("exec:cat"));
}

int nk_test_net_forward(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forwards_and_counts),
        cmocka_unit_test(test_failed_connection),
        cmocka_unit_test(test_drain_waits_for_connections),
        cmocka_unit_test(test_most_connections),
        cmocka_unit_test(test_users),
        cmocka_unit_test(test_refused_configuration),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_what_listens),
    };
    return cmocka_run_group_tests_name("net/forward", tests, NULL, NULL);
}
