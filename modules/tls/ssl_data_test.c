/* SPDX-License-Identifier: MIT */
/* Records that a peer may send once a TLS 1.3 connection stands, good and bad: the stream under
 * test is a server, its client is bare mbedTLS, whose records are made by hand. */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <ssl_misc.h>

#include "base/secret.h"
#include "tls/filter.h"
#include "tls/tls_testkit.h"

int nk_test_tls_ssl_data(void);

enum {
    DAY = 86400,
    WIDE = 1 << 21,
    HEADER = 5,
    TAG = 16,
    TURNS = 200000, /* of a byte each */
    FEW = 400,
    WIRE_LIMIT = TLS_DATA_MAX + 256, /* RFC 8446 §5.2 */
    INNER_ROOM = WIRE_LIMIT + 64
};

/* RFC 8446 §5.1, §6 */
enum { ALERT = 21, HANDSHAKE = 22, DATA = 23 };
enum { UNEXPECTED = 10, BAD_MAC = 20, OVERFLOW = 22, DECODE = 50 };

struct rig {
    struct nk_app *app;
    struct kit_cert cert;
    struct tls_creds *creds;
    struct kit_pipe pipe;
    struct kit_peer server; /* the stream under test */
    struct kit_peer wire;   /* the client's end, in bytes */
    mbedtls_ssl_config conf;
    mbedtls_ssl_context ssl; /* the client */
    struct tls_keyupdate ku;
    uint8_t data[4 * TLS_DATA_MAX];
    struct nk_buf want; /* what the server's owner must get */
};

static int rng(void *arg, unsigned char *out, size_t n)
{
    (void)arg;
    nk_random(out, n);
    return 0;
}

static int wire_send(void *arg, const unsigned char *p, size_t n)
{
    struct rig *r = arg;
    kit_peer_send(&r->wire, p, n);
    return (int)n;
}

static int wire_recv(void *arg, unsigned char *p, size_t n)
{
    struct rig *r = arg;
    size_t have = nk_buf_len(&r->wire.got);
    if (have == 0) {
        return r->wire.ended ? 0 : MBEDTLS_ERR_SSL_WANT_READ;
    }
    n = n < have ? n : have;
    memcpy(p, nk_buf_ptr(&r->wire.got), n);
    nk_buf_consume(&r->wire.got, n);
    return (int)n;
}

static void client_new(struct rig *r, int suite)
{
    static int suites[2];
    suites[0] = suite;
    mbedtls_ssl_config_init(&r->conf);
    mbedtls_ssl_init(&r->ssl);
    assert_int_equal(mbedtls_ssl_config_defaults(&r->conf, MBEDTLS_SSL_IS_CLIENT,
                                                 MBEDTLS_SSL_TRANSPORT_STREAM,
                                                 MBEDTLS_SSL_PRESET_DEFAULT),
                     0);
    mbedtls_ssl_conf_rng(&r->conf, rng, NULL);
    mbedtls_ssl_conf_min_tls_version(&r->conf, MBEDTLS_SSL_VERSION_TLS1_3);
    mbedtls_ssl_conf_ciphersuites(&r->conf, suites);
    mbedtls_ssl_conf_authmode(&r->conf, MBEDTLS_SSL_VERIFY_NONE); /* not what is tested here */
    assert_int_equal(mbedtls_ssl_setup(&r->ssl, &r->conf), 0);
    assert_int_equal(mbedtls_ssl_set_hostname(&r->ssl, NULL), 0);
    mbedtls_ssl_set_bio(&r->ssl, r, wire_send, wire_recv, NULL);
}

static void turns(struct rig *r, int n)
{
    for (int i = 0; i < n; i++) {
        nk_app_turn(r->app, 0);
    }
}

/* A connection that stands; the server reads read_size bytes at a time (0: 64 KiB), the bytes come
 * in pieces of `chunk`. */
static struct rig *rig_new(int suite, size_t chunk, size_t read_size)
{
    struct nk_app_conf conf = {0};
    struct nk_stream *a, *b, *s;
    struct rig *r = calloc(1, sizeof(*r));
    assert_non_null(r);
    assert_int_equal(nk_app_new(&r->app, &conf, NULL), 0);
    kit_cert_make(&r->cert, "t", NULL, -DAY, DAY, NULL, false);
    const struct tls_creds_conf sc = {
        .role = TLS_SERVER, .cert_text = kit_cert_pem(&r->cert), .key_text = kit_key_pem(&r->cert)};
    assert_int_equal(tls_creds_new(&r->creds, &sc, NULL), 0);
    kit_pipe_open(r->app, &r->pipe, WIDE, WIDE, &a, &b);
    assert_int_equal(tls_wrap_server(r->app, r->creds, a, &s, NULL), 0);
    kit_peer_init(&r->server, s);
    kit_peer_init(&r->wire, b);
    client_new(r, suite);
    int rc = MBEDTLS_ERR_SSL_WANT_READ;
    for (int i = 0; i < TURNS && rc != 0; i++) {
        nk_app_turn(r->app, 0);
        rc = r->wire.connected ? mbedtls_ssl_handshake(&r->ssl) : rc;
        assert_true(rc == 0 || rc == MBEDTLS_ERR_SSL_WANT_READ);
    }
    turns(r, 10);
    assert_true(rc == 0 && r->server.connected);
    r->pipe.chunk = chunk;
    r->server.read_size = read_size;
    nk_random(r->data, sizeof(r->data));
    nk_buf_init(&r->want, (size_t)1 << 24);
    return r;
}

static struct rig *rig_plain(void)
{
    return rig_new(MBEDTLS_TLS1_3_AES_256_GCM_SHA384, WIDE, 0);
}

static void rig_free(struct rig *r)
{
    kit_peer_clear(&r->server);
    kit_peer_clear(&r->wire);
    nk_app_turn(r->app, 0);
    mbedtls_ssl_free(&r->ssl);
    mbedtls_ssl_config_free(&r->conf);
    kit_cert_clear(&r->cert);
    nk_buf_clear(&r->want);
    tls_creds_unref(r->creds);
    nk_app_free(r->app);
    free(r);
}

/* One record to out (INNER_ROOM and header): content, its type, zeros. Returns its length. */
static size_t make(struct rig *r, uint8_t *out, int type, const uint8_t *p, size_t n, size_t pad)
{
    mbedtls_ssl_transform *t = r->ssl.transform_out;
    uint8_t nonce[12], *seq = r->ssl.cur_out_ctr;
    size_t inner = n + (type != 0) + pad, put;
    const uint8_t head[HEADER] = {DATA, 3, 3, (uint8_t)((inner + TAG) >> 8),
                                  (uint8_t)(inner + TAG)};
    memcpy(nonce, t->iv_enc, sizeof(nonce));
    for (int i = 0; i < 8; i++) {
        nonce[4 + i] ^= seq[i];
    }
    memcpy(out, head, HEADER);
    memset(out + HEADER, 0, inner);
    memcpy(out + HEADER, p, n);
    if (type) {
        out[HEADER + n] = (uint8_t)type;
    }
    assert_int_equal(mbedtls_cipher_auth_encrypt_ext(&t->cipher_ctx_enc, nonce, 12, head, HEADER,
                                                     out + HEADER, inner, out + HEADER, inner + TAG,
                                                     &put, TAG),
                     0);
    for (int i = 8; i > 0 && ++seq[i - 1] == 0; i--) {
    }
    return HEADER + inner + TAG;
}

static void send_record(struct rig *r, int type, const void *p, size_t n, size_t pad)
{
    uint8_t record[HEADER + INNER_ROOM];
    kit_peer_send(&r->wire, record, make(r, record, type, p, n, pad));
}

/* n bytes of application data that must arrive. */
static void send_data(struct rig *r, size_t n, size_t pad)
{
    size_t from = nk_buf_len(&r->want) % TLS_DATA_MAX;
    send_record(r, DATA, r->data + from, n, pad);
    assert_int_equal(nk_buf_put(&r->want, r->data + from, n), 0);
}

/* The server has got what it must, so far. */
static void check_got(struct rig *r)
{
    size_t n = nk_buf_len(&r->want);
    assert_int_equal(nk_buf_len(&r->server.got), n);
    if (n > 0) {
        assert_memory_equal(nk_buf_ptr(&r->server.got), nk_buf_ptr(&r->want), n);
    }
}

/* Turns until the server has what it must get, and says nothing else. */
static void expect_data(struct rig *r)
{
    for (int i = 0; i < TURNS && nk_buf_len(&r->server.got) < nk_buf_len(&r->want); i++) {
        nk_app_turn(r->app, 0);
    }
    check_got(r);
    assert_int_equal(r->server.error, 0);
}

/* The client reads at most n bytes, KeyUpdates on the way. */
static int client_read(struct rig *r, uint8_t *p, size_t n)
{
    int rc = 0;
    for (int i = 0; i < FEW; i++) {
        rc = mbedtls_ssl_read(&r->ssl, p, n);
        rc = rc > 0 ? rc : tls_keyupdate_take(&r->ssl, &r->ku, rc);
        if (rc != 0 && rc != MBEDTLS_ERR_SSL_WANT_READ &&
            rc != MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) {
            return rc;
        }
        nk_app_turn(r->app, 0);
    }
    return rc;
}

/* What was sent ends the connection, behind the data that came before; the client learns why. */
static void expect_fatal(struct rig *r, int alert)
{
    uint8_t b;
    for (int i = 0; i < TURNS && !r->server.error; i++) {
        nk_app_turn(r->app, 0);
    }
    assert_int_equal(r->server.error, NK_EPROTO);
    check_got(r);
    assert_int_equal(nk_stream_write(r->server.s, "x", 1), -EPIPE);
    assert_int_equal(client_read(r, &b, 1), MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE);
    assert_int_equal(tls_rec_alert(&r->ssl), alert);
    rig_free(r);
}

/* --- what may come ---------------------------------------------------------------------------- */

static const size_t sizes[] = {1, 2, 64, 4096, 16383, 16384};
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

static void sizes_received(void **state)
{
    static const int suites[] = {MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
                                 MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
                                 MBEDTLS_TLS1_3_AES_128_GCM_SHA256};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct rig *r = rig_new(suites[i], WIDE, 0);
        for (size_t k = 0; k < SIZES; k++) {
            send_data(r, 0, 0);
            send_data(r, sizes[k], 0);
            expect_data(r);
        }
        struct tls_stream *f = (struct tls_stream *)r->server.s;
        turns(r, 3);
        assert_true(f->data_here && f->park.parked);
        assert_null(f->in.p);
        rig_free(r);
    }
}

/* Each write is one record, of exactly its size; more than fits goes into the next one. */
static void sizes_sent(void **state)
{
    struct rig *r = rig_plain();
    uint8_t got[TLS_DATA_MAX + 1];
    (void)state;
    assert_int_equal(client_read(r, got, 1), MBEDTLS_ERR_SSL_WANT_READ); /* tickets */
    for (size_t k = 0; k < SIZES; k++) {
        assert_int_equal(nk_stream_write(r->server.s, r->data, sizes[k]), (int)sizes[k]);
        turns(r, 3);
        const uint8_t *w = nk_buf_ptr(&r->wire.got);
        assert_int_equal(nk_buf_len(&r->wire.got), sizes[k] + TLS_DATA_ADDED);
        assert_int_equal((size_t)w[3] << 8 | w[4], sizes[k] + 1 + TAG);
        assert_int_equal(client_read(r, got, sizeof(got)), (int)sizes[k]);
        assert_memory_equal(got, r->data, sizes[k]);
    }
    assert_int_equal(nk_stream_write(r->server.s, r->data, TLS_DATA_MAX + 1), TLS_DATA_MAX + 1);
    assert_int_equal(client_read(r, got, sizeof(got)), TLS_DATA_MAX);
    assert_int_equal(client_read(r, got, sizeof(got)), 1);
    assert_int_equal(got[0], r->data[TLS_DATA_MAX]);
    assert_int_equal(nk_stream_write(r->server.s, r->data, 0), 0);
    rig_free(r);
}

static void padding(void **state)
{
    struct rig *r = rig_plain();
    (void)state;
    for (size_t pad = 0; pad < 40; pad++) {
        send_data(r, pad % 3 * 50, pad);
    }
    send_data(r, 0, TLS_DATA_MAX);
    send_data(r, 1, TLS_DATA_MAX - 1);
    send_data(r, TLS_DATA_MAX - 1, 1);
    expect_data(r);
    rig_free(r);
}

static void empty_records(void **state)
{
    struct rig *r = rig_plain();
    (void)state;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < TLS_EMPTY_MAX; i++) {
            send_record(r, DATA, "", 0, 0);
        }
        send_data(r, 5, 0);
        expect_data(r);
    }
    for (int i = 0; i <= TLS_EMPTY_MAX; i++) {
        send_record(r, DATA, "", 0, 0);
    }
    expect_fatal(r, UNEXPECTED);
}

/* Data, KeyUpdates and data again, in one piece and in the smallest pieces, read in ways that make
 * mbedTLS and ssl_data.c take turns. */
static void key_updates_between(void **state)
{
    static const size_t reads[] = {0, 1, 7, 100, 1000, 5017, 16384, 16385, 40000};
    uint8_t got[100];
    (void)state;
    for (size_t i = 0; i < 2 * sizeof(reads) / sizeof(reads[0]); i++) {
        struct rig *r = rig_new(MBEDTLS_TLS1_3_AES_256_GCM_SHA384, i & 1 ? 1 : WIDE, reads[i / 2]);
        for (unsigned k = 0; k < 4; k++) {
            send_data(r, 100, 0);
            send_data(r, i & 1 ? 1000 : TLS_DATA_MAX, 0);
            assert_int_equal(tls_keyupdate_send(&r->ssl, &r->ku, k & 1), 0);
            send_data(r, 5000, 17);
            send_data(r, 0, 3);
        }
        expect_data(r);
        struct tls_stream *f = (struct tls_stream *)r->server.s;
        assert_int_equal(f->ku.received, 4);
        /* its own key has changed too, before its next data */
        assert_int_equal(nk_stream_write(r->server.s, r->data, 100), 100);
        assert_int_equal(client_read(r, got, 100), 100);
        assert_memory_equal(got, r->data, 100);
        assert_true(r->ku.received >= 1);
        send_data(r, 10, 0);
        expect_data(r);
        rig_free(r);
    }
}

/* The server changes its key while it writes; the client follows. */
static void key_update_by_limit(void **state)
{
    struct rig *r = rig_plain();
    struct tls_stream *f = (struct tls_stream *)r->server.s;
    uint8_t got[1000];
    (void)state;
    f->ku.limit = 10000;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(nk_stream_write(r->server.s, r->data + i, 1000), 1000);
        assert_int_equal(client_read(r, got, 1000), 1000);
        assert_memory_equal(got, r->data + i, 1000);
    }
    assert_true(r->ku.received >= 8 && r->ku.received <= 10);
    rig_free(r);
}

/* --- how it ends ------------------------------------------------------------------------------ */

static void close_notify_then_data(void **state)
{
    static const uint8_t close_notify[2] = {1, 0};
    static const size_t reads[] = {0, 1};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct rig *r = rig_new(MBEDTLS_TLS1_3_AES_256_GCM_SHA384, WIDE, reads[i]);
        uint8_t got[10];
        send_data(r, 300, 0);
        send_record(r, ALERT, close_notify, 2, 0);
        send_record(r, DATA, "too late", 8, 0);
        expect_data(r);
        turns(r, 400);
        assert_true(r->server.ended);
        expect_data(r);
        /* the other direction goes on */
        assert_int_equal(nk_stream_write(r->server.s, "still", 5), 5);
        assert_int_equal(client_read(r, got, 10), 5);
        rig_free(r);
    }
}

static void alert_between(void **state)
{
    static const uint8_t internal_error[2] = {2, 80};
    struct rig *r = rig_plain();
    (void)state;
    send_data(r, 300, 0);
    send_record(r, ALERT, internal_error, 2, 0);
    send_record(r, DATA, "too late", 8, 0);
    expect_data(r);
    turns(r, 3);
    assert_int_equal(r->server.error, NK_EPROTO);
    assert_int_equal(nk_buf_len(&r->server.got), 300);
    rig_free(r);
}

static void cut(void **state)
{
    uint8_t record[HEADER + INNER_ROOM];
    (void)state;
    for (size_t left = 0; left < 200; left += 13) {
        struct rig *r = rig_plain();
        send_data(r, 50, 0);
        size_t n = make(r, record, DATA, r->data, 300, 0);
        kit_peer_send(&r->wire, record, left);
        r->wire.shut_when_sent = true;
        kit_peer_send(&r->wire, "", 0);
        assert_true(left < n);
        expect_data(r);
        turns(r, 3);
        assert_int_equal(r->server.error, NK_ETRUNC);
        rig_free(r);
    }
}

/* --- what must not come ----------------------------------------------------------------------- */

static void damaged(void **state)
{
    uint8_t record[HEADER + INNER_ROOM];
    (void)state;
    /* a byte of the ciphertext, of the tag, of the type inside */
    for (size_t at = 0; at < 3; at++) {
        struct rig *r = rig_plain();
        send_data(r, 50, 0);
        size_t n = make(r, record, DATA, r->data, 300, 0);
        record[at == 0 ? HEADER : at == 1 ? n - 1 : n - TAG - 1] ^= 1;
        kit_peer_send(&r->wire, record, n);
        expect_fatal(r, BAD_MAC);
    }
}

static void replayed_and_skipped(void **state)
{
    uint8_t record[HEADER + INNER_ROOM];
    struct rig *r = rig_plain();
    (void)state;
    size_t n = make(r, record, DATA, r->data, 300, 0);
    kit_peer_send(&r->wire, record, n);
    nk_buf_put(&r->want, r->data, 300);
    kit_peer_send(&r->wire, record, n);
    expect_fatal(r, BAD_MAC);
    r = rig_plain();
    make(r, record, DATA, r->data, 300, 0); /* never sent */
    send_record(r, DATA, "x", 1, 0);
    expect_fatal(r, BAD_MAC);
}

static void oversize(void **state)
{
    uint8_t record[HEADER + INNER_ROOM], content[TLS_DATA_MAX + 300] = {0};
    (void)state;
    struct rig *r = rig_plain();
    send_data(r, 50, 0);
    send_record(r, DATA, content, TLS_DATA_MAX + 1, 0);
    expect_fatal(r, OVERFLOW);
    r = rig_plain();
    size_t n = make(r, record, DATA, content, 100, TLS_DATA_MAX + 200);
    assert_true(n > HEADER + WIRE_LIMIT);
    kit_peer_send(&r->wire, record, n);
    expect_fatal(r, OVERFLOW);
    r = rig_plain();
    kit_peer_send(&r->wire, "\x17\x03\x03\xff\xff", HEADER);
    expect_fatal(r, OVERFLOW);
}

static void not_records(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        int alert;
    } cases[] = {
        {"\x17\x03\x03\x00\x00", 5, UNEXPECTED},
        {"\x17\x03\x03\x00\x01x", 6, BAD_MAC},
        {"\x17\x03\x03\x00\x10xxxxxxxxxxxxxxxx", 21, BAD_MAC},
        {"\x17\x03\x03\x00\x11xxxxxxxxxxxxxxxxx", 22, BAD_MAC},
        {"\x18\x03\x03\x00\x01x", 6, UNEXPECTED},
        {"\x16\x03\x03\x00\x05\x18\x00\x00\x01\x00", 10, BAD_MAC},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rig *r = rig_plain();
        send_data(r, 50, 0);
        kit_peer_send(&r->wire, cases[i].bytes, cases[i].n);
        expect_fatal(r, cases[i].alert);
    }
}

static void bad_content(void **state)
{
    struct rig *r = rig_plain();
    (void)state;
    send_data(r, 50, 0);
    send_record(r, 0, "", 0, 100); /* zeros only: no type */
    expect_fatal(r, UNEXPECTED);
    r = rig_plain();
    send_record(r, 99, "abc", 3, 0);
    expect_fatal(r, UNEXPECTED);
    r = rig_plain();
    send_record(r, ALERT, "\x02", 1, 0);
    expect_fatal(r, DECODE);
    /* RFC 8446 §5.1: nothing between the parts of a handshake message */
    r = rig_plain();
    send_data(r, 50, 0);
    send_record(r, HANDSHAKE, "\x18\x00\x00", 3, 0);
    send_record(r, DATA, "abc", 3, 0);
    expect_fatal(r, UNEXPECTED);
}

/* --- limits ----------------------------------------------------------------------------------- */

static void last_sequence_number(void **state)
{
    struct rig *r = rig_plain();
    struct tls_stream *f = (struct tls_stream *)r->server.s;
    uint8_t got[8];
    (void)state;
    assert_int_equal(client_read(r, got, 1), MBEDTLS_ERR_SSL_WANT_READ); /* tickets */
    memset(f->ssl.cur_out_ctr, 0xff, 8);
    f->ssl.cur_out_ctr[7] = 0xfe;
    assert_int_equal(nk_stream_write(r->server.s, "a", 1), 1);
    turns(r, 3);
    assert_int_equal(nk_stream_write(r->server.s, "b", 1), NK_EPROTO);
    memset(r->ssl.in_ctr, 0xff, 8);
    r->ssl.in_ctr[7] = 0xfe;
    assert_int_equal(client_read(r, got, sizeof(got)), 1);
    rig_free(r);
}

static void not_for_others(void **state)
{
    struct rig *r = rig_plain();
    struct tls_stream *f = (struct tls_stream *)r->server.s;
    uint8_t record[HEADER + INNER_ROOM], to[INNER_ROOM] = {0};
    (void)state;
    size_t n = make(r, record, DATA, r->data, 30, 0);
    struct tls_park unparked = f->park;
    unparked.parked = false;
    assert_int_equal(tls_data_open(&f->ssl, &unparked, record, n, to), TLS_DATA_OTHER);
    assert_int_equal(tls_data_room(record, n), 31);
    assert_int_equal(tls_data_room(record, n - 1), 0);
    assert_int_equal(tls_data_room(record, 21), 0);
    f->ssl.transform_in->tls_version = MBEDTLS_SSL_VERSION_TLS1_2;
    assert_false(tls_data_usable(&f->ssl));
    assert_int_equal(tls_data_open(&f->ssl, &f->park, record, n, to), TLS_DATA_OTHER);
    f->ssl.transform_in->tls_version = MBEDTLS_SSL_VERSION_TLS1_3;
    assert_int_equal(tls_data_open(&f->ssl, &f->park, record, n, to), 30);
    assert_memory_equal(to, r->data, 30);
    assert_int_equal(tls_data_open(&f->ssl, &f->park, record, n, to), TLS_DATA_OTHER);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(to[i], 0);
    }
    rig_free(r);
}

int nk_test_tls_ssl_data(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_received),
        cmocka_unit_test(sizes_sent),
        cmocka_unit_test(padding),
        cmocka_unit_test(empty_records),
        cmocka_unit_test(key_updates_between),
        cmocka_unit_test(key_update_by_limit),
        cmocka_unit_test(close_notify_then_data),
        cmocka_unit_test(alert_between),
        cmocka_unit_test(cut),
        cmocka_unit_test(damaged),
        cmocka_unit_test(replayed_and_skipped),
        cmocka_unit_test(oversize),
        cmocka_unit_test(not_records),
        cmocka_unit_test(bad_content),
        cmocka_unit_test(last_sequence_number),
        cmocka_unit_test(not_for_others),
    };
    return cmocka_run_group_tests_name("tls/ssl_data", tests, NULL, NULL);
}
