/* SPDX-License-Identifier: MIT */
/* TLS streams over memory: every way a handshake can end, and every way bytes can come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tls/filter.h"
#include "tls/tls_testkit.h"

int nk_test_tls_filter(void);

static uint8_t *pattern(size_t n, unsigned seed)
{
    uint8_t *p = malloc(n);
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1103515245U + 12345U;
        p[i] = (uint8_t)(seed >> 16);
    }
    return p;
}

/* Both directions at once, then close_notify from both. */
static void exchange(struct kit_rig *r, size_t n)
{
    uint8_t *a = pattern(n, 1), *b = pattern(n, 2);
    r->server.shut_when_sent = r->client.shut_when_sent = true;
    kit_peer_send(&r->server, a, n);
    kit_peer_send(&r->client, b, n);
    assert_true(kit_run(r->app, kit_both_ended, r));
    assert_int_equal(r->server.error, 0);
    assert_int_equal(r->client.error, 0);
    assert_int_equal(nk_buf_len(&r->client.got), n);
    assert_int_equal(nk_buf_len(&r->server.got), n);
    assert_memory_equal(nk_buf_ptr(&r->client.got), a, n);
    assert_memory_equal(nk_buf_ptr(&r->server.got), b, n);
    free(a);
    free(b);
}

static void test_exchange(void **state)
{
    static const struct {
        size_t window, chunk, n, read_size;
        bool tls12;
    } cases[] = {
        {KIT_WIDE, KIT_WIDE, 1 << 20, 0, false},
        {KIT_WIDE, KIT_WIDE, 1 << 20, 0, true},
        {KIT_WIDE, 1, 5000, 0, false},
        {1, 1, 5000, 0, false},
        {7, 5, 40000, 3, false},
        {1, 1, 5000, 1, true},
        {1000, 333, 100000, 1, false},
        {20000, KIT_WIDE, 1 << 20, 100000, false},
        {KIT_WIDE, KIT_WIDE, 0, 0, false},
        {KIT_WIDE, KIT_WIDE, 1, 0, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kit_rig r;
        struct tls_creds_conf sc = kit_server_conf(*state), cc = kit_client_conf(*state);
        sc.tls12 = cc.tls12 = cc.no_tls13 = cases[i].tls12;
        kit_rig_new(&r, &sc, &cc);
        kit_rig_connect(&r, "srv.test", cases[i].window, cases[i].chunk);
        r.server.read_size = r.client.read_size = cases[i].read_size;
        if (!kit_run(r.app, kit_both_connected, &r)) {
            fail_msg("case %zu: %s / %s", i, r.server.why.text, r.client.why.text);
        }
        exchange(&r, cases[i].n);
        kit_rig_disconnect(&r);
        kit_rig_free(&r);
    }
}

/* One way in which a handshake must fail, on which side, and what the text says. */
struct refusal {
    const char *host;
    const char *client_says, *client_hint;
    const char *server_says;
    int client_code, server_code;
};

static void expect_refusal(struct tls_creds_conf *sc, struct tls_creds_conf *cc,
                           const struct refusal *want)
{
    struct kit_rig r;
    static const char secret[] = "must not arrive";
    kit_rig_new(&r, sc, cc);
    kit_rig_connect(&r, want->host, KIT_WIDE, KIT_WIDE);
    kit_peer_send(&r.server, secret, sizeof(secret));
    kit_peer_send(&r.client, secret, sizeof(secret));
    assert_true(kit_run(r.app, kit_both_settled, &r));
    if (r.client.connected) {
        assert_true(
            kit_run(r.app, kit_both_ended, &r)); /* TLS 1.3: the client learns it afterwards */
    }
    if (want->client_code) {
        assert_int_equal(r.client.error, want->client_code);
    }
    if (want->client_says) {
        assert_non_null(strstr(r.client.why.text, want->client_says));
    }
    if (want->client_hint) {
        assert_non_null(strstr(r.client.why.hint, want->client_hint));
    }
    assert_false(r.server.connected);
    assert_int_equal(nk_buf_len(&r.server.got), 0);
    assert_int_equal(nk_buf_len(&r.client.got), 0);
    assert_int_equal(r.server.error, want->server_code);
    if (want->server_says) {
        assert_non_null(strstr(r.server.why.text, want->server_says));
    }
    kit_rig_disconnect(&r);
    kit_rig_free(&r);
}

static void test_client_refuses(void **state)
{
    struct kit_fixture *x = *state;
    for (int tls12 = 0; tls12 < 2; tls12++) {
        struct tls_creds_conf sc = kit_server_conf(x), cc = kit_client_conf(x);
        const char *pin[] = {
            "sha256:0000000000000000000000000000000000000000000000000000000000000000"};
        struct refusal r = {.host = "srv.test", .client_code = NK_EVERIFY, .server_code = NK_EAUTH};
        sc.tls12 = cc.tls12 = cc.no_tls13 = tls12 != 0;
        r.host = "evil.test";
        r.client_says = "not for 'evil.test'";
        expect_refusal(&sc, &cc, &r);
        r.host = "127.0.0.2";
        r.client_says = "IP:127.0.0.1, not for '127.0.0.2'";
        expect_refusal(&sc, &cc, &r);
        r.host = "srv.test";
        cc.ca_text = kit_cert_pem(&x->other_ca);
        r.client_says = "issued by CN=test CA";
        r.client_hint = "pin=sha256:";
        expect_refusal(&sc, &cc, &r);
        cc.ca_text = kit_cert_pem(&x->ca);
        cc.pins = pin;
        cc.npins = 1;
        r.client_says = "does not match the pin";
        r.client_hint = NULL;
        expect_refusal(&sc, &cc, &r);
        cc.npins = 0;
        sc.cert_text = kit_cert_pem(&x->old_leaf);
        sc.key_text = kit_key_pem(&x->old_leaf);
        r.client_says = "expired on 2";
        r.client_hint = NULL;
        expect_refusal(&sc, &cc, &r);
    }
}

/* Every pairing of what a server asks for with what a client brings: no byte reaches the server's
 * owner. */
static void test_server_refuses(void **state)
{
    struct kit_fixture *x = *state;
    struct kit_cert *brings[] = {NULL, &x->stranger, &x->old_client};
    char pin[TLS_PIN_TEXT];
    const char *pins[] = {pin};
    uint8_t hash[TLS_HASH];
    assert_int_equal(
        tls_hash_cert(nk_buf_ptr(&x->client.cert), nk_buf_len(&x->client.cert), NULL, hash, NULL),
        0);
    tls_pin_format(pin, hash);
    for (int ask = 0; ask < 3; ask++) {
        for (size_t i = 0; i < 3; i++) {
            for (int tls12 = 0; tls12 < 2; tls12++) {
                struct tls_creds_conf sc = kit_server_conf(x), cc = kit_client_conf(x);
                struct refusal r = {.host = "srv.test", .server_code = NK_EVERIFY};
                sc.ca_text = ask != 1 ? kit_cert_pem(&x->ca) : NULL;
                sc.pins = pins;
                sc.npins = ask >= 1;
                sc.tls12 = cc.tls12 = cc.no_tls13 = tls12 != 0;
                if (brings[i]) {
                    cc.cert_text = kit_cert_pem(brings[i]);
                    cc.key_text = kit_key_pem(brings[i]);
                }
                /* TLS 1.2 has no alert of its own for a missing certificate */
                r.client_code = tls12 && !brings[i] ? NK_EPROTO : NK_EAUTH;
                expect_refusal(&sc, &cc, &r);
            }
        }
    }
}

static void test_client_cert(void **state)
{
    struct kit_fixture *x = *state;
    struct kit_rig r;
    struct tls_creds_conf sc = kit_server_conf(x), cc = kit_client_conf(x);
    char text[256];
    uint8_t want[TLS_HASH], got[TLS_HASH], ea[32], eb[32];
    size_t n = sizeof(text);
    int one;
    const char *alpn[] = {"netkit-test/1", "other"}, *first[] = {"other"};
    sc.ca_text = kit_cert_pem(&x->ca);
    sc.alpn = alpn;
    sc.nalpn = 2;
    cc.alpn = first;
    cc.nalpn = 1;
    cc.cert_text = kit_cert_pem(&x->client);
    cc.key_text = kit_key_pem(&x->client);
    for (int tls12 = 0; tls12 < 2; tls12++) {
        sc.tls12 = cc.tls12 = cc.no_tls13 = tls12 != 0;
        kit_rig_new(&r, &sc, &cc);
        kit_rig_connect(&r, "127.0.0.1", KIT_WIDE, KIT_WIDE);
        assert_true(kit_run(r.app, kit_both_connected, &r));
        n = sizeof(text);
        assert_int_equal(nk_stream_query(r.server.s, NK_Q_IDENTITY, text, &n), 0);
        assert_string_equal(text, "CN=alice");
        n = sizeof(text);
        assert_int_equal(nk_stream_query(r.client.s, NK_Q_IDENTITY, text, &n), 0);
        assert_string_equal(text, "CN=server");
        n = sizeof(text);
        assert_int_equal(nk_stream_query(r.server.s, NK_Q_ALPN, text, &n), 0);
        assert_string_equal(text, "other");
        n = sizeof(one);
        assert_int_equal(nk_stream_query(r.server.s, NK_Q_ENCRYPTED, &one, &n), 0);
        assert_int_equal(one, 1);
        n = sizeof(got);
        assert_int_equal(nk_stream_query(r.server.s, NK_Q_PEERCERT, got, &n), 0);
        tls_hash_cert(nk_buf_ptr(&x->client.cert), nk_buf_len(&x->client.cert), want, NULL, NULL);
        assert_memory_equal(got, want, TLS_HASH);
        n = 32;
        assert_int_equal(nk_stream_query(r.server.s, NK_Q_EXPORTER, ea, &n), 0);
        assert_int_equal(nk_stream_query(r.client.s, NK_Q_EXPORTER, eb, &n), 0);
        assert_memory_equal(ea, eb, 32);
        exchange(&r, 1000);
        kit_rig_disconnect(&r);
        kit_rig_free(&r);
    }
}

/* A pin is enough: no CA, another name, an expired certificate. */
static void test_pin(void **state)
{
    struct kit_fixture *x = *state;
    struct kit_rig r;
    char pin[TLS_PIN_TEXT];
    const char *pins[] = {pin};
    uint8_t cert[TLS_HASH], spki[TLS_HASH];
    tls_hash_cert(nk_buf_ptr(&x->old_leaf.cert), nk_buf_len(&x->old_leaf.cert), cert, spki, NULL);
    for (int i = 0; i < 2; i++) {
        struct tls_creds_conf sc = kit_server_conf(x);
        struct tls_creds_conf cc = {.role = TLS_CLIENT, .pins = pins, .npins = 1};
        sc.cert_text = kit_cert_pem(&x->old_leaf);
        sc.key_text = kit_key_pem(&x->old_leaf);
        tls_pin_format(pin, i ? cert : spki);
        kit_rig_new(&r, &sc, &cc);
        kit_rig_connect(&r, i ? NULL : "whatever.test", KIT_WIDE, KIT_WIDE);
        assert_true(kit_run(r.app, kit_both_connected, &r));
        exchange(&r, 100);
        kit_rig_disconnect(&r);
        kit_rig_free(&r);
    }
}

static void test_truncation(void **state)
{
    struct kit_rig r;
    struct tls_creds_conf sc = kit_server_conf(*state), cc = kit_client_conf(*state);
    uint8_t *data = pattern(50000, 3);
    for (int i = 0; i < 4; i++) {
        int cut = i & 1;
        cc.end_unsaid = i >= 2; /* then it is an end, but not in the middle of a record */
        kit_rig_new(&r, &sc, &cc);
        kit_rig_connect(&r, "srv.test", KIT_WIDE, KIT_WIDE);
        assert_true(kit_run(r.app, kit_both_connected, &r));
        /* a whole first record arrives; the second one is cut, or everything arrives but its end */
        r.pipe.cut_at[0] = (int64_t)r.pipe.moved[0] + (cut ? 20000 : 1 << 19);
        kit_peer_send(&r.server, data, 50000);
        for (int t = 0; t < 1000 && nk_buf_len(&r.client.got) < (cut ? 16384U : 50000U); t++) {
            nk_app_turn(r.app, 10);
        }
        nk_stream_close(r.server.s);
        r.server.s = NULL;
        r.server.ended = true;
        assert_true(kit_run(r.app, kit_both_ended, &r));
        assert_int_equal(r.client.error, i == 2 ? 0 : NK_ETRUNC);
        assert_memory_equal(nk_buf_ptr(&r.client.got), data, cut ? 16384 : 50000);
        kit_rig_disconnect(&r);
        kit_rig_free(&r);
    }
    free(data);
}

static void test_damage(void **state)
{
    struct kit_rig r;
    struct tls_creds_conf sc = kit_server_conf(*state), cc = kit_client_conf(*state);
    uint8_t *data = pattern(50000, 4);
    /* during the handshake, at many places; afterwards, in the second record */
    for (int at = 0; at < 900; at += 37) {
        kit_rig_new(&r, &sc, &cc);
        kit_rig_connect(&r, "srv.test", KIT_WIDE, KIT_WIDE);
        r.pipe.damage_at[0] = at;
        for (int i = 0; i < 50 && !kit_both_settled(&r); i++) {
            nk_app_turn(r.app, 0);
        }
        assert_false(r.client.connected && r.server.connected && at < 200);
        assert_true(!r.client.closed || r.client.error < 0);
        kit_rig_disconnect(&r);
        kit_rig_free(&r);
    }
    kit_rig_new(&r, &sc, &cc);
    kit_rig_connect(&r, "srv.test", KIT_WIDE, KIT_WIDE);
    assert_true(kit_run(r.app, kit_both_connected, &r));
    r.pipe.damage_at[0] = (int64_t)r.pipe.moved[0] + 17000;
    kit_peer_send(&r.server, data, 50000);
    r.server.ended = true;
    assert_true(kit_run(r.app, kit_both_ended, &r));
    assert_int_equal(r.client.error, NK_EPROTO);
    assert_int_equal(nk_buf_len(&r.client.got), 16384);
    kit_rig_disconnect(&r);
    kit_rig_free(&r);
    free(data);
}

/* Talks plainly to the server. */
static void test_garbage(void **state)
{
    static const struct {
        const char *text;
        int code;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", NK_EPROTO},   {"SSH-2.0-x\r\n", NK_EPROTO},
        {"\x16\x03\x01\xff\xff", NK_EPROTO},     {"\x16\x02", NK_EPROTO},
        {"\x17\x03\x03\x01\x01\x17", NK_EPROTO}, {"", NK_EPROTO},
    };
    struct tls_creds_conf sc = kit_server_conf(*state), cc = kit_client_conf(*state);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kit_rig r;
        struct nk_stream *a, *b, *ts;
        kit_rig_new(&r, &sc, &cc);
        kit_pipe_open(r.app, &r.pipe, KIT_WIDE, KIT_WIDE, &a, &b);
        assert_int_equal(tls_wrap_server(r.app, r.sc, a, &ts, NULL), 0);
        kit_peer_init(&r.server, ts);
        kit_peer_init(&r.client, b);
        kit_peer_send(&r.client, cases[i].text, strlen(cases[i].text));
        r.client.connected = true;
        r.client.shut_when_sent = true;
        kit_peer_send(&r.client, "", 0);
        r.client.connected = false;
        assert_true(kit_run(r.app, kit_both_settled, &r));
        assert_true(r.server.closed);
        assert_int_equal(r.server.error, cases[i].code);
        kit_rig_disconnect(&r);
        kit_rig_free(&r);
    }
}

static bool server_closed(void *arg)
{
    return ((struct kit_rig *)arg)->server.closed;
}

static void test_deadline(void **state)
{
    struct kit_rig r;
    struct nk_stream *a, *b, *ts;
    struct tls_creds_conf sc = kit_server_conf(*state), cc = kit_client_conf(*state);
    sc.handshake_ms = 50;
    kit_rig_new(&r, &sc, &cc);
    kit_pipe_open(r.app, &r.pipe, KIT_WIDE, KIT_WIDE, &a, &b);
    assert_int_equal(tls_wrap_server(r.app, r.sc, a, &ts, NULL), 0);
    kit_peer_init(&r.server, ts);
    kit_peer_init(&r.client, b);
    kit_peer_send(&r.client, "\x16\x03\x01", 3);
    assert_true(kit_run(r.app, server_closed, &r));
    assert_int_equal(r.server.error, -ETIMEDOUT);
    kit_rig_disconnect(&r);
    kit_rig_free(&r);
}

static bool server_ended(void *arg)
{
    return ((struct kit_rig *)arg)->server.ended;
}

static bool client_ended(void *arg)
{
    return ((struct kit_rig *)arg)->client.ended;
}

/* One side ends; the other goes on writing as long as it likes. */
static void test_half_close(void **state)
{
    struct kit_rig r;
    struct tls_creds_conf sc = kit_server_conf(*state), cc = kit_client_conf(*state);
    uint8_t *data = pattern(300000, 5);
    kit_rig_new(&r, &sc, &cc);
    kit_rig_connect(&r, "srv.test", KIT_WIDE, KIT_WIDE);
    r.client.shut_when_sent = true;
    kit_peer_send(&r.client, "question", 8);
    assert_true(kit_run(r.app, server_ended, &r));
    assert_int_equal(nk_buf_len(&r.server.got), 8);
    assert_int_equal(nk_stream_write(r.client.s, "x", 1), -EPIPE);
    r.server.shut_when_sent = true;
    kit_peer_send(&r.server, data, 300000);
    assert_true(kit_run(r.app, client_ended, &r));
    assert_int_equal(nk_buf_len(&r.client.got), 300000);
    assert_memory_equal(nk_buf_ptr(&r.client.got), data, 300000);
    free(data);
    kit_rig_disconnect(&r);
    kit_rig_free(&r);
}

/* A reader that does not read stops the writer; nothing grows. Reading again, all arrives. */
static void test_back_pressure(void **state)
{
    struct kit_rig r;
    struct tls_creds_conf sc = kit_server_conf(*state), cc = kit_client_conf(*state);
    size_t n = (size_t)4 << 20;
    uint8_t *data = pattern(n, 6);
    kit_rig_new(&r, &sc, &cc);
    kit_rig_connect(&r, "srv.test", 100000, KIT_WIDE);
    assert_true(kit_run(r.app, kit_both_connected, &r));
    r.client.reading = false;
    kit_peer_send(&r.client, "", 0);
    r.server.shut_when_sent = r.client.shut_when_sent = true;
    kit_peer_send(&r.server, data, n);
    for (int i = 0; i < 100; i++) {
        nk_app_turn(r.app, 0);
    }
    size_t taken = n - nk_buf_len(&r.server.to_send);
    assert_true(taken >= 100000 && taken < 100000 + (size_t)200 * 1024);
    r.client.reading = true;
    kit_peer_send(&r.client, "", 0);
    assert_true(kit_run(r.app, kit_both_ended, &r));
    assert_int_equal(nk_buf_len(&r.client.got), n);
    assert_memory_equal(nk_buf_ptr(&r.client.got), data, n);
    free(data);
    kit_rig_disconnect(&r);
    kit_rig_free(&r);
}

/* Small writes of one turn share one write below; one read below feeds many records. */
static void test_batching(void **state)
{
    struct kit_rig r;
    struct tls_creds_conf sc = kit_server_conf(*state), cc = kit_client_conf(*state);
    kit_rig_new(&r, &sc, &cc);
    kit_rig_connect(&r, "srv.test", KIT_WIDE, KIT_WIDE);
    assert_true(kit_run(r.app, kit_both_connected, &r));
    for (int i = 0; i < 10; i++) {
        nk_app_turn(r.app, 0);
    }
    uint64_t writes = r.pipe.writes[0], reads = r.pipe.reads[1];
    for (int i = 0; i < 100; i++) {
        assert_int_equal(nk_stream_write(r.server.s, "0123456789", 10), 10);
    }
    for (int i = 0; i < 10; i++) {
        nk_app_turn(r.app, 0);
    }
    assert_int_equal(nk_buf_len(&r.client.got), 1000);
    assert_int_equal(r.pipe.writes[0] - writes, 1);
    assert_true(r.pipe.reads[1] - reads <= 3);
    kit_rig_disconnect(&r);
    kit_rig_free(&r);
}

static void test_resumption(void **state)
{
    struct kit_rig r;
    struct tls_creds_conf sc = kit_server_conf(*state), cc = kit_client_conf(*state);
    uint64_t bytes[4];
    char text[64];
    for (int tls12 = 0; tls12 < 2; tls12++) {
        sc.tls12 = cc.tls12 = cc.no_tls13 = tls12 != 0;
        kit_rig_new(&r, &sc, &cc);
        for (int i = 0; i < 4; i++) {
            if (i == 3) {
                assert_int_equal(tls_creds_reload(r.sc, NULL), 0); /* voids tickets */
            }
            kit_rig_connect(&r, "srv.test", KIT_WIDE, KIT_WIDE);
            kit_peer_send(&r.server, "hello", 5);
            kit_peer_send(&r.client, "hello", 5);
            assert_true(kit_run(r.app, kit_got_both, &r));
            size_t n = sizeof(text);
            assert_int_equal(nk_stream_query(r.client.s, NK_Q_IDENTITY, text, &n), 0);
            assert_string_equal(text, "CN=server");
            bytes[i] = r.pipe.moved[0];
            kit_rig_disconnect(&r);
        }
        assert_true(bytes[1] + 300 < bytes[0]); /* no certificate was sent */
        assert_true(bytes[2] + 300 < bytes[0]);
        assert_true(bytes[3] + 300 > bytes[0]);
        kit_rig_free(&r);
    }
}

/* Tickets that come to a client which has dropped what it needs for them are left unused, and what
 * is behind them arrives. */
static void test_late_tickets(void **state)
{
    struct kit_rig r;
    struct tls_creds_conf sc = kit_server_conf(*state), cc = kit_client_conf(*state);
    uint64_t bytes[2];
    kit_rig_new(&r, &sc, &cc);
    for (int i = 0; i < 2; i++) {
        kit_rig_connect(&r, "srv.test", KIT_WIDE, KIT_WIDE);
        r.client.reading = false;
        assert_true(kit_run(r.app, kit_both_connected, &r));
        bytes[i] = r.pipe.moved[0];
        tls_drop_handshake(&((struct tls_stream *)r.client.s)->ssl);
        r.client.reading = true;
        nk_stream_interest(r.client.s, NK_READABLE);
        exchange(&r, 1000);
        kit_rig_disconnect(&r);
    }
    assert_true(bytes[1] + 300 > bytes[0]); /* nothing was there to resume with */
    kit_rig_free(&r);
}

/* A client whose owner authenticates the server by itself: any certificate, and what the owner
 * needs to decide, also after a resumption. */
static void test_unverified(void **state)
{
    struct kit_fixture *x = *state;
    struct tls_creds_conf sc = kit_server_conf(x), cc = {.role = TLS_CLIENT, .unverified = true};
    struct tls_creds *none;
    struct kit_rig r;
    sc.cert_text = kit_cert_pem(&x->old_leaf);
    sc.key_text = kit_key_pem(&x->old_leaf);
    kit_rig_new(&r, &sc, &cc);
    for (int i = 0; i < 2; i++) {
        uint8_t got[TLS_HASH], want[TLS_HASH];
        char names[64];
        size_t n = sizeof(got), m = sizeof(names);
        kit_rig_connect(&r, "elsewhere.test", KIT_WIDE, KIT_WIDE);
        kit_peer_send(&r.server, "hello", 5);
        kit_peer_send(&r.client, "hello", 5);
        assert_true(kit_run(r.app, kit_got_both, &r));
        assert_int_equal(nk_stream_query(r.client.s, NK_Q_PEERSPKI, got, &n), 0);
        tls_hash_cert(nk_buf_ptr(&x->old_leaf.cert), nk_buf_len(&x->old_leaf.cert), NULL, want,
                      NULL);
        assert_memory_equal(got, want, TLS_HASH);
        int rc = nk_stream_query(r.client.s, NK_Q_PEERNAMES, names, &m);
        assert_int_equal(rc, i == 0 ? 0 : -ENOENT);
        if (i == 0) {
            assert_string_equal(names, "CN:server\nDNS:srv.test");
        }
        kit_rig_disconnect(&r);
    }
    kit_rig_free(&r);
    cc.ca_text = kit_cert_pem(&x->ca);
    assert_int_equal(tls_creds_new(&none, &cc, NULL), NK_ECONFIG); /* one or the other */
    sc.unverified = true;
    assert_int_equal(tls_creds_new(&none, &sc, NULL), NK_ECONFIG);
}

int nk_test_tls_filter(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exchange),
        cmocka_unit_test(test_client_refuses),
        cmocka_unit_test(test_server_refuses),
        cmocka_unit_test(test_client_cert),
        cmocka_unit_test(test_pin),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_batching),
        cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_late_tickets),
        cmocka_unit_test(test_unverified),
    };
    return cmocka_run_group_tests_name("tls/filter", tests, kit_set_up, kit_tear_down);
}
