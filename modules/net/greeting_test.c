/* SPDX-License-Identifier: MIT */
/* Headers of the PROXY protocol through a join: read from what is accepted, written to what is
 * dialled. */
#include "net/greeting.h"
#include "torture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/app.h"
#include "core/endpoint_testkit.h"
#include "core/clock.h"
#include "net/join.h"

#define V2_TO_192                                                                                  \
    "\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x13\xc0\x00\x02\x01\xc6\x33\x64\x07\xca\xfe\x01\xbb"

struct world {
    struct nk_app *app;
    struct net_join *j;
    struct net_join_conf conf;
    struct nk_listener *out;
    struct nk_stream *client, *far; /* far: the accepted end of mem:out */
    char got[512];                  /* there */
    size_t len;
};

static void on_out(void *owner, struct nk_listener *l, struct nk_stream *take_s)
{
    (void)l;
    ((struct world *)owner)->far = take_s;
}

static int dial(void *owner, const struct nk_target *target, nk_stream_event_fn *fn, void *fn_owner,
                struct nk_stream **out, struct nk_diag *diag)
{
    (void)target;
    (void)diag;
    *out = nk_kit_dial(((struct world *)owner)->app, "mem:out", fn, fn_owner);
    return 0;
}

static int more_fields(void *owner, struct nk_stream *from, struct nk_buf *tlvs)
{
    (void)owner;
    assert_non_null(from);
    return net_proxy_put(tlvs, NET_PROXY_ALPN, "h2", 2);
}

static void open_world(struct world *w, bool in, int out)
{
    const struct nk_app_conf conf = {.test_endpoints = true, .clock_scale = in ? 200 : 0};
    char local[64];
    memset(w, 0, sizeof(*w));
    assert_int_equal(nk_app_new(&w->app, &conf, NULL), 0);
    w->conf = (struct net_join_conf){.app = w->app,
                                     .module = "test",
                                     .proxy_in = in,
                                     .proxy_out = out,
                                     .dial = dial,
                                     .owner = w};
    assert_int_equal(net_join_new(&w->conf, &w->j), 0);
    net_join_listener(w->j, nk_kit_listen(w->app, "tcp:127.0.0.1:0", net_join_accept, w->j));
    w->out = nk_kit_listen(w->app, "mem:out", on_out, w);
    assert_int_equal(net_join_local(w->j, local, sizeof(local)), 0);
    w->client = nk_kit_dial(w->app, local, NULL, NULL);
}

static void close_world(struct world *w)
{
    net_join_close(w->j);
    nk_stream_close(w->client);
    nk_stream_close(w->far);
    nk_listener_close(w->out);
    nk_app_free(w->app);
}

static struct net_join_counts counts(const struct world *w)
{
    struct net_join_counts c;
    net_join_counts(w->j, &c);
    return c;
}

/* Until n bytes have come out at the far end. */
static void must_come(struct world *w, size_t n)
{
    for (int i = 0; i < 2000 && w->len < n; i++) {
        nk_app_turn(w->app, 1);
        ssize_t got = w->far ? nk_stream_read(w->far, w->got + w->len, sizeof(w->got) - w->len) : 0;
        w->len += got > 0 ? (size_t)got : 0;
    }
    assert_int_equal(w->len, n);
}

static void must_fail(struct world *w)
{
    char c;
    ssize_t n = NK_EAGAIN;
    for (int i = 0; i < 2000 && n == NK_EAGAIN; i++) {
        nk_app_turn(w->app, 1);
        n = nk_stream_read(w->client, &c, 1);
    }
    assert_true(n <= 0 && n != NK_EAGAIN);
    assert_int_equal(counts(w).failed, 1);
    assert_int_equal(counts(w).active, 0);
    assert_null(w->far); /* nothing was dialled */
}

/* A byte each turn. */
static void drip(struct world *w, const void *p, size_t n)
{
    const char *bytes = p;
    for (size_t i = 0; i < n;) {
        nk_app_turn(w->app, 1);
        i += nk_stream_write(w->client, bytes + i, 1) == 1;
    }
}

static void test_writes_the_real_addresses(void **state)
{
    (void)state;
    for (int version = 1; version <= 2; version++) {
        struct world w;
        struct net_proxy_header h;
        char from[64], to[64], text[64], line[128];
        size_t n = sizeof(text);
        open_world(&w, false, version);
        drip(&w, "hello", 5);
        assert_int_equal(nk_stream_query(w.client, NK_Q_LOCAL, text, &n), 0);
        int len = snprintf(line, sizeof(line), "PROXY TCP4 127.0.0.1 127.0.0.1 %s ",
                           strchr(text, ':') + 1);
        net_join_local(w.j, to, sizeof(to));
        len +=
            snprintf(line + len, sizeof(line) - (size_t)len, "%s\r\nhello", strrchr(to, ':') + 1);
        must_come(&w, version == 1 ? (size_t)len : 28 + 5);
        if (version == 1) {
            assert_memory_equal(w.got, line, (size_t)len);
        } else {
            assert_int_equal(net_proxy_read((uint8_t *)w.got, 28, &h, NULL), 0);
            assert_string_equal(nk_addr_format(from, sizeof(from), &h.from), text);
            assert_string_equal(nk_addr_format(text, sizeof(text), &h.to), strchr(to, ':') + 1);
        }
        assert_memory_equal(w.got + w.len - 5, "hello", 5);
        assert_int_equal(counts(&w).bytes_in, 5); /* the header is nobody's */
        close_world(&w);
    }
}

static void test_passes_what_came_in(void **state)
{
    (void)state;
    static const char v2[] = V2_TO_192 "\x05\x00\x04id-1hello";
    static const char line[] = "PROXY TCP4 192.0.2.1 198.51.100.7 51966 443\r\nhello";
    for (int in = 1; in <= 2; in++) {
        for (int out = 0; out <= 2; out++) {
            struct world w;
            const char *sent = in == 1 ? line : v2;
            size_t n = in == 1 ? sizeof(line) - 1 : sizeof(v2) - 1;
            open_world(&w, true, out);
            drip(&w, sent, n);
            if (out == 0) {
                must_come(&w, 5);
                assert_memory_equal(w.got, "hello", 5);
            } else if (out == 1) {
                must_come(&w, sizeof(line) - 1);
                assert_memory_equal(w.got, line, sizeof(line) - 1);
            } else { /* from version 1 there is no id */
                must_come(&w, sizeof(v2) - 1 - (in == 1 ? 7 : 0));
                assert_memory_equal(w.got, v2, 14);
                assert_memory_equal(w.got + 16, v2 + 16, 12);
                assert_memory_equal(w.got + 28, in == 1 ? "hello" : "\x05\x00\x04id-1hello",
                                    in == 1 ? 5 : 12);
            }
            assert_int_equal(counts(&w).bytes_in, 5);
            close_world(&w);
        }
    }
}

static void test_fields_of_the_owner(void **state)
{
    (void)state;
    struct world w;
    struct net_proxy_header h;
    struct net_proxy_tlv t;
    open_world(&w, true, 2);
    w.conf.fields = more_fields;
    net_join_set(w.j, &w.conf);
    drip(&w, V2_TO_192 "\x05\x00\x04id-1", 16 + 12 + 7);
    must_come(&w, 16 + 12 + 5 + 7);
    assert_int_equal(net_proxy_read((uint8_t *)w.got, w.len, &h, NULL), 0);
    assert_true(net_proxy_find(h.tlvs, h.tlvs_len, NET_PROXY_ALPN, &t));
    assert_true(net_proxy_find(h.tlvs, h.tlvs_len, NET_PROXY_UNIQUE_ID, &t));
    close_world(&w);
}

static void test_refuses(void **state)
{
    (void)state;
    static const char *const wrong[] = {"GET / HTTP/1.0\r\n", "PROXY TCP4 1.1.1.1 1.1.1.1 1 x\r\n"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct world w;
        open_world(&w, true, 1);
        for (size_t put = 0; put < strlen(wrong[i]);) {
            nk_app_turn(w.app, 1);
            ssize_t n = nk_stream_write(w.client, wrong[i] + put, strlen(wrong[i]) - put);
            put += n > 0 ? (size_t)n : 0;
        }
        must_fail(&w);
        close_world(&w);
    }
}

static void test_slow_and_missing(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct world w;
        open_world(&w, true, 0);
        uint64_t before = nk_now_ms(w.app);
        if (i == 1) {
            drip(&w, "PROXY TCP4", 10);
        } else if (i == 2) {
            nk_app_turn(w.app, 1);
            nk_stream_shutdown(w.client);
        }
        must_fail(&w);
        assert_true(i == 2 || nk_now_ms(w.app) - before >= NET_GREETING_MS);
        close_world(&w);
    }
}

static void test_closed_while_it_reads(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, true, 0);
    drip(&w, "PROXY", 5);
    assert_int_equal(counts(&w).active, 1);
    close_world(&w); /* and the sanitizer finds nothing left */
}

/* --- every allocation fails once -------------------------------------------------------------- */

struct torture {
    struct nk_app *app;
    struct net_join *j;
    struct nk_listener *in, *out;
    struct nk_stream *client, *far;
    bool ended;
};

static void on_torture_out(void *owner, struct nk_listener *l, struct nk_stream *take_s)
{
    (void)l;
    ((struct torture *)owner)->far = take_s;
}

static void on_torture_client(void *owner, struct nk_stream *s, unsigned events)
{
    (void)s;
    ((struct torture *)owner)->ended |= (events & NK_CLOSED) != 0;
}

static int torture_dial(void *owner, const struct nk_target *target, nk_stream_event_fn *fn,
                        void *fn_owner, struct nk_stream **out, struct nk_diag *diag)
{
    struct torture *t = owner;
    struct nk_endpoint *ep;
    (void)target;
    int rc = nk_endpoint_parse("mem:out", NK_EP_CONNECT, &ep, diag);
    if (rc == 0) {
        rc = nk_dial(t->app, ep, fn, fn_owner, out, diag);
        nk_endpoint_free(ep);
    }
    return rc;
}

static int torture_listen(struct torture *t, const char *text, nk_accept_fn *fn, void *owner,
                          struct nk_listener **out)
{
    struct nk_endpoint *ep;
    int rc = nk_endpoint_parse(text, NK_EP_LISTEN, &ep, NULL);
    if (rc == 0) {
        rc = nk_listen(t->app, ep, fn, owner, out, NULL);
        nk_endpoint_free(ep);
    }
    return rc;
}

/* The client's header and bytes, and what comes out: all of it, or the client's end. */
static int exchange(struct torture *t)
{
    static const char sent[] = V2_TO_192 "\x05\x00\x04id-1hello";
    char got[128], c;
    size_t put = 0, len = 0, all = sizeof(sent) - 1;
    for (int i = 0; i < 300 && len < all && !t->ended; i++) {
        nk_app_turn(t->app, 0);
        ssize_t n = put < all ? nk_stream_write(t->client, sent + put, all - put) : 0;
        put += n > 0 ? (size_t)n : 0;
        n = t->far ? nk_stream_read(t->far, got + len, sizeof(got) - len) : 0;
        len += n > 0 ? (size_t)n : 0;
        n = nk_stream_read(t->client, &c, 1);
        t->ended |= n != NK_EAGAIN;
    }
    return len == all && memcmp(got, sent, all) == 0 ? 0 : t->ended ? -ENOMEM : 1;
}

static int torture_once(void *arg)
{
    const struct nk_app_conf conf = {.test_endpoints = true};
    struct torture t = {0};
    struct nk_endpoint *ep;
    (void)arg;
    int rc = nk_app_new(&t.app, &conf, NULL);
    if (rc < 0) {
        return rc;
    }
    const struct net_join_conf jc = {.app = t.app,
                                     .module = "test",
                                     .proxy_in = true,
                                     .proxy_out = 2,
                                     .dial = torture_dial,
                                     .owner = &t};
    rc = net_join_new(&jc, &t.j);
    rc = rc < 0 ? rc : torture_listen(&t, "mem:in", net_join_accept, t.j, &t.in);
    rc = rc < 0 ? rc : torture_listen(&t, "mem:out", on_torture_out, &t, &t.out);
    rc = rc < 0 ? rc : nk_endpoint_parse("mem:in", NK_EP_CONNECT, &ep, NULL);
    if (rc == 0) {
        rc = nk_dial(t.app, ep, on_torture_client, &t, &t.client, NULL);
        nk_endpoint_free(ep);
    }
    rc = rc < 0 ? rc : exchange(&t);
    nk_stream_close(t.client);
    net_join_close(t.j);
    nk_stream_close(t.far);
    nk_listener_close(t.in);
    nk_listener_close(t.out);
    nk_app_turn(t.app, 0);
    nk_app_free(t.app);
    return rc;
}

static void test_without_memory(void **state)
{
    (void)state;
    assert_true(nk_torture(torture_once, NULL) >= 10);
}

int nk_test_net_greeting(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writes_the_real_addresses),
        cmocka_unit_test(test_passes_what_came_in),
        cmocka_unit_test(test_fields_of_the_owner),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_slow_and_missing),
        cmocka_unit_test(test_closed_while_it_reads),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests_name("net/greeting", tests, NULL, NULL);
}
