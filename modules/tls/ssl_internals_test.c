/* SPDX-License-Identifier: MIT */
/* Parking and KeyUpdate between two mbedTLS connections in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <mbedtls/platform.h>
#include <mbedtls/ssl.h>

#include "base/buf.h"
#include "base/secret.h"
#include "tls/internal.h"
#include "tls/ssl_keyupdate.h"
#include "tls/ssl_park.h"

enum { WIRE_MAX = 1 << 20, RECORD = 16000 };

struct side {
    mbedtls_ssl_config conf;
    mbedtls_ssl_context ssl;
    struct tls_keyupdate ku;
    struct tls_park park;
    struct nk_buf in; /* bytes on their way to this side */
    struct side *peer;
};

struct pair {
    struct side client, server;
    struct tls_park_pool pool;
    mbedtls_x509_crt crt;
    mbedtls_pk_context key;
};

static int rng(void *arg, unsigned char *out, size_t n)
{
    (void)arg;
    nk_random(out, n);
    return 0;
}

static int wire_send(void *arg, const unsigned char *p, size_t n)
{
    struct side *s = arg;
    assert_int_equal(nk_buf_put(&s->peer->in, p, n), 0);
    return (int)n;
}

static int wire_recv(void *arg, unsigned char *p, size_t n)
{
    struct side *s = arg;
    size_t have = nk_buf_len(&s->in);
    if (have == 0) {
        return MBEDTLS_ERR_SSL_WANT_READ;
    }
    n = n < have ? n : have;
    memcpy(p, nk_buf_ptr(&s->in), n);
    nk_buf_consume(&s->in, n);
    return (int)n;
}

static void side_open(struct side *s, struct side *peer, int endpoint, struct pair *p)
{
    static const int suites[] = {MBEDTLS_TLS1_3_AES_256_GCM_SHA384, 0};
    mbedtls_ssl_config_init(&s->conf);
    mbedtls_ssl_init(&s->ssl);
    assert_int_equal(mbedtls_ssl_config_defaults(&s->conf, endpoint, MBEDTLS_SSL_TRANSPORT_STREAM,
                                                 MBEDTLS_SSL_PRESET_DEFAULT),
                     0);
    mbedtls_ssl_conf_rng(&s->conf, rng, NULL);
    mbedtls_ssl_conf_min_tls_version(&s->conf, MBEDTLS_SSL_VERSION_TLS1_3);
    mbedtls_ssl_conf_ciphersuites(&s->conf, suites);
    mbedtls_ssl_conf_authmode(&s->conf, MBEDTLS_SSL_VERIFY_NONE); /* not what is tested here */
    if (endpoint == MBEDTLS_SSL_IS_SERVER) {
        assert_int_equal(mbedtls_ssl_conf_own_cert(&s->conf, &p->crt, &p->key), 0);
    }
    assert_int_equal(tls_park_setup(&s->ssl, &s->conf, &p->pool), 0);
    nk_buf_init(&s->in, WIRE_MAX);
    s->peer = peer;
    mbedtls_ssl_set_bio(&s->ssl, s, wire_send, wire_recv, NULL);
}

/* A certificate for the server side. */
static void make_identity(struct pair *p)
{
    const struct tls_cert_spec spec = {.cn = "t", .not_before = 1, .not_after = INT32_MAX};
    struct nk_secret key = {0};
    struct nk_buf cert;
    nk_buf_init(&cert, RECORD);
    assert_int_equal(tls_cert_generate(&spec, &key, &cert, NULL), 0);
    mbedtls_x509_crt_init(&p->crt);
    mbedtls_pk_init(&p->key);
    assert_int_equal(mbedtls_x509_crt_parse(&p->crt, (const unsigned char *)nk_buf_str(&cert),
                                            nk_buf_len(&cert) + 1),
                     0);
    assert_int_equal(tls_parse_key(&p->key, &key), 0);
    nk_secret_clear(&key);
    nk_buf_clear(&cert);
}

static void pair_open_with(struct pair *p, const struct tls_park_pool *spares)
{
    memset(p, 0, sizeof(*p));
    p->pool = *spares;
    assert_int_equal(tls_crypto_start(NULL), 0);
    make_identity(p);
    side_open(&p->client, &p->server, MBEDTLS_SSL_IS_CLIENT, p);
    side_open(&p->server, &p->client, MBEDTLS_SSL_IS_SERVER, p);
    assert_int_equal(mbedtls_ssl_set_hostname(&p->client.ssl, "t"), 0);
    int a = -1, b = -1;
    for (int i = 0; i < 64 && (a || b); i++) {
        a = mbedtls_ssl_handshake(&p->client.ssl);
        b = mbedtls_ssl_handshake(&p->server.ssl);
    }
    assert_int_equal(a, 0);
    assert_int_equal(b, 0);
}

static void pair_open(struct pair *p)
{
    pair_open_with(p, &(const struct tls_park_pool){.n = 0});
}

static void side_close(struct side *s)
{
    mbedtls_ssl_free(&s->ssl);
    mbedtls_ssl_config_free(&s->conf);
    nk_buf_clear(&s->in);
}

static void pair_close(struct pair *p)
{
    side_close(&p->client);
    side_close(&p->server);
    tls_park_pool_clear(&p->pool);
    mbedtls_x509_crt_free(&p->crt);
    mbedtls_pk_free(&p->key);
}

/* Reads at most n bytes; takes KeyUpdates on the way. Returns bytes, or the code it ended with. */
static int side_read(struct side *s, void *buf, size_t n)
{
    int rc;
    do {
        rc = mbedtls_ssl_read(&s->ssl, buf, n);
        if (rc > 0) {
            tls_keyupdate_count_in(&s->ku, (size_t)rc);
            return rc;
        }
        rc = tls_keyupdate_take(&s->ssl, &s->ku, rc);
    } while (rc == 0);
    return rc;
}

static void send_all(struct side *s, const unsigned char *p, size_t n)
{
    assert_int_equal(mbedtls_ssl_write(&s->ssl, p, n), (int)n);
    tls_keyupdate_count_out(&s->ku, n);
}

/* One message in each direction arrives unchanged. */
static void talk(struct pair *p, size_t n)
{
    unsigned char out[RECORD], in[RECORD];
    struct side *from[] = {&p->client, &p->server};
    for (size_t i = 0; i < 2; i++) {
        size_t got = 0;
        nk_random(out, n);
        send_all(from[i], out, n);
        while (got < n) {
            int rc = side_read(from[i]->peer, in + got, n - got);
            assert_true(rc > 0);
            got += (size_t)rc;
        }
        assert_memory_equal(in, out, n);
    }
}

static void keyupdate_both_ways(void **state)
{
    struct pair p;
    unsigned char b;
    (void)state;
    pair_open(&p);
    for (unsigned i = 0; i < 5; i++) {
        talk(&p, 1000);
        assert_int_equal(tls_keyupdate_send(&p.client.ssl, &p.client.ku, i & 1), 0);
        talk(&p, RECORD);
        assert_int_equal(p.server.ku.received, i + 1);
        assert_int_equal(p.server.ku.answer, i & 1);
        assert_int_equal(tls_keyupdate_due(&p.server.ssl, &p.server.ku), i & 1);
        if (i & 1) {
            assert_int_equal(tls_keyupdate_send(&p.server.ssl, &p.server.ku, false), 0);
            assert_false(tls_keyupdate_due(&p.server.ssl, &p.server.ku));
            assert_int_equal(side_read(&p.client, &b, 1), MBEDTLS_ERR_SSL_WANT_READ);
            assert_false(p.client.ku.asked);
        }
    }
    talk(&p, 1);
    pair_close(&p);
}

static void keyupdate_by_limit(void **state)
{
    struct pair p;
    (void)state;
    pair_open(&p);
    p.client.ku.limit = 4 * RECORD;
    for (unsigned i = 0; i < 64; i++) {
        talk(&p, RECORD);
        if (tls_keyupdate_due(&p.client.ssl, &p.client.ku)) {
            assert_int_equal(tls_keyupdate_send(&p.client.ssl, &p.client.ku, false), 0);
        }
        if (tls_keyupdate_due(&p.server.ssl, &p.server.ku)) {
            assert_int_equal(tls_keyupdate_send(&p.server.ssl, &p.server.ku, false), 0);
        }
    }
    /* 64 records and a limit of 4: its sending key at least 15 times, the other because it asked */
    assert_true(p.server.ku.received >= 15 && p.server.ku.received <= 32);
    assert_true(p.client.ku.received >= 12 && p.client.ku.received <= 16);
    pair_close(&p);
}

static void keyupdate_flood(void **state)
{
    struct pair p;
    unsigned char b;
    (void)state;
    pair_open(&p);
    for (unsigned i = 0; i <= TLS_KEYUPDATE_BURST; i++) {
        assert_int_equal(tls_keyupdate_send(&p.client.ssl, &p.client.ku, true), 0);
    }
    assert_int_equal(side_read(&p.server, &b, 1), MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE);
    assert_int_equal(p.server.ku.received, TLS_KEYUPDATE_BURST);
    pair_close(&p);
}

static void parked_and_back(void **state)
{
    struct pair p;
    unsigned char b;
    (void)state;
    pair_open(&p);
    assert_int_equal(side_read(&p.client, &b, 1), MBEDTLS_ERR_SSL_WANT_READ); /* tickets */
    tls_drop_handshake(&p.server.ssl);
    tls_drop_handshake(&p.client.ssl); /* no more tickets are wanted */
    for (unsigned i = 0; i < 5; i++) {
        assert_true(tls_park(&p.server.ssl, &p.server.park, &p.pool));
        assert_true(tls_park(&p.client.ssl, &p.client.park, &p.pool));
        assert_int_equal(p.pool.n, 2);
        assert_int_equal(tls_unpark(&p.client.ssl, &p.client.park, &p.pool), 0);
        assert_int_equal(tls_unpark(&p.server.ssl, &p.server.park, &p.pool), 0);
        talk(&p, 100 + i);
        assert_int_equal(tls_keyupdate_send(&p.client.ssl, &p.client.ku, false), 0);
        talk(&p, RECORD);
    }
    assert_true(tls_park(&p.server.ssl, &p.server.park, &p.pool)); /* freed while parked */
    pair_close(&p);
}

/* Buffers that one connection gave back serve the next one from its handshake on. */
static void set_up_with_spares(void **state)
{
    struct pair first, second;
    unsigned char b;
    (void)state;
    pair_open(&first);
    talk(&first, RECORD);
    assert_int_equal(side_read(&first.client, &b, 1), MBEDTLS_ERR_SSL_WANT_READ);
    tls_drop_handshake(&first.server.ssl);
    assert_true(tls_park(&first.server.ssl, &first.server.park, &first.pool));
    assert_true(tls_park(&first.client.ssl, &first.client.park, &first.pool));
    assert_int_equal(first.pool.n, 2);
    pair_open_with(&second, &first.pool);
    assert_int_equal(second.pool.n, 0);
    first.pool.n = 0; /* they are the second one's */
    talk(&second, RECORD);
    pair_close(&first);
    talk(&second, 100);
    pair_close(&second);
}

static void half_read_is_not_parked(void **state)
{
    struct pair p;
    unsigned char b[2];
    (void)state;
    pair_open(&p);
    send_all(&p.client, (const unsigned char *)"ab", 2);
    assert_int_equal(side_read(&p.server, b, 1), 1);
    assert_false(tls_park(&p.server.ssl, &p.server.park, &p.pool)); /* one byte is left inside */
    assert_int_equal(side_read(&p.server, b, 1), 1);
    send_all(&p.client, (const unsigned char *)"cd", 2);
    p.server.in.len--; /* the record's last byte is still on its way */
    assert_int_equal(side_read(&p.server, b, 2), MBEDTLS_ERR_SSL_WANT_READ);
    assert_false(tls_park(&p.server.ssl, &p.server.park, &p.pool));
    pair_close(&p);
}

/* What a parked server connection holds, counted at the allocator that mbedTLS uses. */
static size_t live_bytes;

static void *count_calloc(size_t n, size_t size)
{
    size_t *p = calloc(1, sizeof(size_t) * 2 + n * size);
    if (!p) {
        return NULL;
    }
    *p = n * size;
    live_bytes += n * size;
    return p + 2;
}

static void count_free(void *p)
{
    if (p) {
        size_t *q = (size_t *)p - 2;
        live_bytes -= *q;
        free(q);
    }
}

static void parked_bytes(void **state)
{
    struct pair p;
    unsigned char b;
    (void)state;
    mbedtls_platform_set_calloc_free(count_calloc, count_free);
    pair_open(&p);
    assert_int_equal(side_read(&p.client, &b, 1), MBEDTLS_ERR_SSL_WANT_READ);
    size_t before = live_bytes;
    assert_true(before > 2 * RECORD);
    tls_drop_handshake(&p.server.ssl);
    assert_true(tls_park(&p.server.ssl, &p.server.park, &p.pool));
    tls_park_pool_clear(&p.pool);
    size_t saved = before - live_bytes;
    before = live_bytes;
    mbedtls_ssl_free(&p.server.ssl);
    size_t held = before - live_bytes;
    print_message("parked: %zu bytes held by mbedTLS, %zu given back\n", held, saved);
    assert_true(held <= 4096);
    mbedtls_ssl_init(&p.server.ssl);
    pair_close(&p);
    mbedtls_platform_set_calloc_free(calloc, free);
}

int nk_test_tls_ssl_internals(void);
int nk_test_tls_ssl_internals(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keyupdate_both_ways), cmocka_unit_test(keyupdate_by_limit),
        cmocka_unit_test(keyupdate_flood),     cmocka_unit_test(parked_and_back),
        cmocka_unit_test(set_up_with_spares),  cmocka_unit_test(half_read_is_not_parked),
        cmocka_unit_test(parked_bytes),
    };
    return cmocka_run_group_tests_name("tls/ssl_internals", tests, NULL, NULL);
}
