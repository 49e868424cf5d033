/* SPDX-License-Identifier: MIT */
#include "net/join.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/app.h"
#include "core/endpoint_testkit.h"

/* A join that is fed by hand, from the accepted ends of mem:in, and dials mem:out. */
struct world {
    struct nk_app *app;
    struct net_join *j;
    struct net_join_conf conf;
    struct nk_listener *in, *out;
    struct nk_stream *far; /* the accepted end of mem:out */
    int dials, drained, refuse, usable, useless;
};

static void turns(struct world *w, int n)
{
    for (int i = 0; i < n; i++) {
        nk_app_turn(w->app, 1);
    }
}

static void on_in(void *owner, struct nk_listener *l, struct nk_stream *take_s)
{
    struct world *w = owner;
    (void)l;
    net_join_take(w->j, take_s);
}

static void on_out(void *owner, struct nk_listener *l, struct nk_stream *take_s)
{
    struct world *w = owner;
    (void)l;
    nk_stream_close(w->far); /* of one before */
    w->far = take_s;
}

static int dial(void *owner, const struct nk_target *target, nk_stream_event_fn *fn, void *fn_owner,
                struct nk_stream **out, struct nk_diag *diag)
{
    struct world *w = owner;
    assert_null(target);
    w->dials++;
    if (w->refuse) {
        return nk_fail(diag, w->refuse, "not now");
    }
    *out = nk_kit_dial(w->app, "mem:out", fn, fn_owner);
    return 0;
}

static void on_drained(void *owner)
{
    ((struct world *)owner)->drained++;
}

static void on_usable(void *owner, int rc, const struct nk_diag *why)
{
    struct world *w = owner;
    if (rc < 0) {
        assert_string_equal(why->text, "over");
        w->useless = rc;
    } else {
        w->usable++;
    }
}

static void open_world(struct world *w)
{
    const struct nk_app_conf conf = {.test_endpoints = true};
    memset(w, 0, sizeof(*w));
    assert_int_equal(nk_app_new(&w->app, &conf, NULL), 0);
    w->conf = (struct net_join_conf){.app = w->app,
                                     .module = "test",
                                     .dial = dial,
                                     .owner = w,
                                     .usable = on_usable,
                                     .drained = on_drained};
    assert_int_equal(net_join_new(&w->conf, &w->j), 0);
    w->in = nk_kit_listen(w->app, "mem:in", on_in, w);
    w->out = nk_kit_listen(w->app, "mem:out", on_out, w);
}

static void close_world(struct world *w)
{
    net_join_close(w->j);
    nk_stream_close(w->far);
    nk_listener_close(w->in);
    nk_listener_close(w->out);
    nk_app_free(w->app);
}

static ssize_t must_end(struct world *w, struct nk_stream *s, char *buf, size_t max)
{
    ssize_t n = NK_EAGAIN;
    for (int i = 0; i < 100 && n == NK_EAGAIN; i++) {
        turns(w, 1);
        n = nk_stream_read(s, buf, max);
    }
    return n;
}

static struct net_join_counts counts(const struct world *w)
{
    struct net_join_counts c;
    net_join_counts(w->j, &c);
    return c;
}

/* Each direction ends by itself, and both ends are seen on the other side. */
static void test_half_close(void **state)
{
    (void)state;
    struct world w;
    char buf[16];
    open_world(&w);
    struct nk_stream *s = nk_kit_dial(w.app, "mem:in", NULL, NULL);
    turns(&w, 10);
    assert_non_null(w.far);
    assert_int_equal(nk_stream_write(s, "up", 2), 2);
    assert_int_equal(nk_stream_shutdown(s), 0);
    assert_int_equal(must_end(&w, w.far, buf, sizeof(buf)), 2);
    assert_int_equal(must_end(&w, w.far, buf, sizeof(buf)), 0);
    assert_int_equal(nk_stream_write(w.far, "down", 4), 4);
    assert_int_equal(must_end(&w, s, buf, sizeof(buf)), 4);
    assert_int_equal(counts(&w).active, 1);
    assert_int_equal(nk_stream_shutdown(w.far), 0);
    assert_int_equal(must_end(&w, s, buf, sizeof(buf)), 0);
    turns(&w, 5);
    struct net_join_counts c = counts(&w);
    assert_int_equal(c.active, 0);
    assert_int_equal(c.accepted, 1);
    assert_int_equal(c.failed, 0);
    assert_int_equal(c.bytes_in, 2);
    assert_int_equal(c.bytes_out, 4);
    nk_stream_close(s);
    close_world(&w);
}

static void test_dial_fails_at_once(void **state)
{
    (void)state;
    struct world w;
    char buf[16];
    open_world(&w);
    w.refuse = -ECONNREFUSED;
    struct nk_stream *s = nk_kit_dial(w.app, "mem:in", NULL, NULL);
    assert_true(must_end(&w, s, buf, sizeof(buf)) <= 0);
    assert_int_equal(w.dials, 1);
    assert_int_equal(counts(&w).failed, 1);
    assert_int_equal(counts(&w).active, 0);
    nk_stream_close(s);
    close_world(&w);
}

/* Fed or listening: once it drains nothing new comes in, and the end is told once. */
static void test_drain(void **state)
{
    (void)state;
    struct world w;
    char buf[16], local[32];
    open_world(&w);
    struct nk_stream *first = nk_kit_dial(w.app, "mem:in", NULL, NULL);
    turns(&w, 10);
    assert_int_equal(net_join_local(w.j, local, sizeof(local)), -ENOENT);
    net_join_drain(w.j);
    net_join_drain(w.j);
    struct nk_stream *second = nk_kit_dial(w.app, "mem:in", NULL, NULL);
    assert_true(must_end(&w, second, buf, sizeof(buf)) <= 0);
    assert_int_equal(w.dials, 1);
    assert_int_equal(w.drained, 0);
    nk_stream_close(first);
    nk_stream_close(second);
    nk_stream_close(w.far);
    w.far = NULL;
    turns(&w, 10);
    assert_int_equal(w.drained, 1);
    close_world(&w);
}

/* The listener is the join's: a new one replaces it, and new settings count from then on. */
static void test_other_listener(void **state)
{
    (void)state;
    struct world w;
    struct nk_endpoint *ep;
    struct nk_listener *l;
    open_world(&w);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(nk_endpoint_parse(i ? "mem:second" : "mem:first", NK_EP_LISTEN, &ep, NULL),
                         0);
        assert_int_equal(nk_listen(w.app, ep, net_join_accept, w.j, &l, NULL), 0);
        nk_endpoint_free(ep);
        net_join_listener(w.j, l);
    }
    w.conf.max_connections = 1;
    net_join_set(w.j, &w.conf);
    struct nk_stream *a = nk_kit_dial(w.app, "mem:second", NULL, NULL),
                     *b = nk_kit_dial(w.app, "mem:second", NULL, NULL);
    turns(&w, 10);
    assert_int_equal(counts(&w).active, 1);
    assert_int_equal(w.dials, 1); /* the other one waits */
    w.conf.max_connections = 0;
    net_join_set(w.j, &w.conf);
    turns(&w, 10);
    assert_int_equal(w.dials, 2);
    nk_stream_close(a);
    nk_stream_close(b);
    close_world(&w);
}

/* A listener may be usable later, or for some time, or never again. */
static void test_usable(void **state)
{
    (void)state;
    struct world w;
    struct nk_diag why;
    struct nk_listener *l;
    open_world(&w);
    net_join_listener(w.j, nk_kit_listen(w.app, "mem:first", net_join_accept, w.j));
    assert_int_equal(w.usable, 0); /* not from inside the call */
    turns(&w, 2);
    assert_int_equal(w.usable, 1);
    l = nk_kit_listen(w.app, "mem:second", net_join_accept, w.j);
    nk_listener_turn(l, NK_EAGAIN, NULL);
    net_join_listener(w.j, l);
    turns(&w, 2);
    assert_int_equal(w.usable, 1);
    nk_listener_turn(l, 0, NULL);
    nk_listener_turn(l, 0, NULL); /* nothing new */
    assert_int_equal(w.usable, 2);
    nk_listener_turn(l, NK_EAGAIN, NULL);
    nk_listener_turn(l, 0, NULL);
    assert_int_equal(w.usable, 3);
    l = nk_kit_listen(w.app, "mem:third", net_join_accept, w.j);
    net_join_listener(w.j, l);
    nk_listener_turn(l, -EPERM, (nk_fail(&why, -EPERM, "over"), &why)); /* at once */
    turns(&w, 2);
    assert_int_equal(w.usable, 3);
    assert_int_equal(w.useless, -EPERM);
    close_world(&w);
}

int nk_test_net_join(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half_close), cmocka_unit_test(test_dial_fails_at_once),
        cmocka_unit_test(test_drain),      cmocka_unit_test(test_other_listener),
        cmocka_unit_test(test_usable),
    };
    return cmocka_run_group_tests_name("net/join", tests, NULL, NULL);
}
