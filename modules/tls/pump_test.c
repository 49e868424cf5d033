/* SPDX-License-Identifier: MIT */
/* A pump into a TLS stream whose peer is slow: what the stream still holds when both directions
 * have ended is not lost, and when it cannot be delivered that is an error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/pump.h"
#include "tls/tls_testkit.h"

int nk_test_tls_pump(void);

enum { BYTES = 50000, WINDOW = 4096, TURNS = 200 };

struct chain {
    struct kit_rig r; /* its client's stream is the pump's b; the server is slow */
    struct kit_pipe plain;
    struct kit_peer source; /* behind the pump's a */
    struct nk_pump *pump;
    struct nk_pump_result result;
    int results;
};

static void on_done(void *owner, const struct nk_pump_result *r)
{
    struct chain *c = owner;
    c->result = *r;
    c->results++;
    c->pump = NULL;
}

static bool is_done(void *arg)
{
    return ((struct chain *)arg)->results > 0;
}

static bool server_ended(void *arg)
{
    const struct chain *c = arg;
    return c->r.server.ended || c->r.server.error;
}

/* Everything is written, both directions have ended, and the server has read nothing. */
static void open_chain(struct chain *c, struct kit_fixture *x, const uint8_t *data,
                       const struct nk_pump_conf *conf)
{
    struct tls_creds_conf sc = kit_server_conf(x), cc = kit_client_conf(x);
    struct nk_stream *a, *b;
    memset(c, 0, sizeof(*c));
    kit_rig_new(&c->r, &sc, &cc);
    kit_rig_connect(&c->r, "srv.test", WINDOW, WINDOW);
    assert_true(kit_run(c->r.app, kit_both_connected, &c->r));
    kit_pipe_open(c->r.app, &c->plain, KIT_WIDE, KIT_WIDE, &a, &b);
    kit_peer_init(&c->source, a);
    assert_int_equal(nk_pump_start(c->r.app, b, c->r.client.s, conf, on_done, c, &c->pump), 0);
    c->r.client.s = NULL;
    c->r.server.reading = false;
    c->r.server.shut_when_sent = c->source.shut_when_sent = true;
    kit_peer_send(&c->r.server, "x", 1);
    kit_peer_send(&c->source, data, BYTES);
    for (int i = 0; i < TURNS; i++) {
        nk_app_turn(c->r.app, 1);
    }
    assert_int_equal(nk_buf_len(&c->r.server.got), 0);
    if (!conf || !conf->half_idle_ms) { /* a busy machine may have taken that long already */
        assert_int_equal(c->results, 0);
    }
}

static void close_chain(struct chain *c)
{
    nk_pump_close(c->pump);
    kit_peer_clear(&c->source);
    kit_rig_disconnect(&c->r);
    kit_rig_free(&c->r);
}

static void test_waits(void **state)
{
    struct chain c;
    uint8_t *data = malloc(BYTES);
    for (size_t i = 0; i < BYTES; i++) {
        data[i] = (uint8_t)(i * 7 + (i >> 8));
    }
    open_chain(&c, *state, data, NULL);
    c.r.server.reading = true;
    nk_stream_interest(c.r.server.s, NK_READABLE);
    assert_true(kit_run(c.r.app, server_ended, &c));
    assert_int_equal(c.r.server.error, 0);
    assert_int_equal(nk_buf_len(&c.r.server.got), BYTES);
    assert_memory_equal(nk_buf_ptr(&c.r.server.got), data, BYTES);
    assert_true(kit_run(c.r.app, is_done, &c));
    assert_int_equal(c.result.error, 0);
    assert_int_equal(c.result.bytes[0], BYTES);
    close_chain(&c);
    free(data);
}

/* The slow one goes away, or the time for it is over. */
static void test_gives_up(void **state)
{
    for (int timed = 0; timed < 2; timed++) {
        const struct nk_pump_conf conf = {.half_idle_ms = timed ? 300 : 0};
        uint8_t *data = calloc(1, BYTES);
        struct chain c;
        open_chain(&c, *state, data, &conf);
        if (!timed) {
            nk_stream_close(c.r.server.s);
            c.r.server.s = NULL;
        }
        assert_true(kit_run(c.r.app, is_done, &c));
        assert_true(c.result.stood);
        assert_int_equal(c.result.error, timed ? -ETIMEDOUT : -EPIPE);
        close_chain(&c);
        free(data);
    }
}

int nk_test_tls_pump(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits),
        cmocka_unit_test(test_gives_up),
    };
    return cmocka_run_group_tests_name("tls/pump", tests, kit_set_up, kit_tear_down);
}
