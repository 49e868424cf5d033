/* SPDX-License-Identifier: MIT */
/* Credentials by themselves: what is refused, and who shares them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "tls/tls_testkit.h"

int nk_test_tls_creds(void);

enum { DAY = 86400, WIDE = 1 << 20, SHARED_MAX = 32 };

/* Certificates are made once. */
struct fixture {
    struct kit_cert ca, other_ca, leaf, client;
};

static int set_up(void **state)
{
    struct fixture *x = calloc(1, sizeof(*x));
    kit_cert_make(&x->ca, "test CA", NULL, -DAY, DAY, NULL, true);
    kit_cert_make(&x->other_ca, "other CA", NULL, -DAY, DAY, NULL, true);
    kit_cert_make(&x->leaf, "server", "DNS:srv.test", -DAY, DAY, &x->ca, false);
    kit_cert_make(&x->client, "alice", NULL, -DAY, DAY, &x->ca, false);
    *state = x;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *x = *state;
    kit_cert_clear(&x->ca);
    kit_cert_clear(&x->other_ca);
    kit_cert_clear(&x->leaf);
    kit_cert_clear(&x->client);
    free(x);
    return 0;
}

static void test_bad_creds(void **state)
{
    struct fixture *x = *state;
    struct tls_creds *c;
    struct nk_diag diag;
    const char *badpin[] = {"sha256:zz"};
    struct tls_creds_conf bad[] = {
        {.role = TLS_SERVER},
        {.role = TLS_SERVER, .cert_text = kit_cert_pem(&x->leaf)},
        {.role = TLS_SERVER,
         .cert_text = kit_cert_pem(&x->leaf),
         .key_text = kit_key_pem(&x->client)},
        {.role = TLS_SERVER, .cert_text = "junk", .key_text = kit_key_pem(&x->client)},
        {.role = TLS_SERVER, .cert_text = "", .key_text = kit_key_pem(&x->client)},
        {.role = TLS_CLIENT, .ca_text = ""},
        {.role = TLS_CLIENT,
         .ca_text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
        {.role = TLS_CLIENT, .ca_text = kit_cert_pem(&x->ca), .pins = badpin, .npins = 1},
        {.role = TLS_CLIENT, .ca_text = kit_cert_pem(&x->ca), .key_text = kit_key_pem(&x->ca)},
        {.role = TLS_CLIENT, .ca = "/nonexistent/ca.pem"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        memset(&diag, 0, sizeof(diag));
        int rc = tls_creds_new(&c, &bad[i], &diag);
        if (rc >= 0 || diag.code != rc || diag.text[0] == 0) {
            fail_msg("case %zu: %d %s", i, rc, diag.text);
        }
    }
}

/* --- shared credentials ------------------------------------------------------------------------
 */

struct share {
    struct nk_app *app;
    struct tls_creds *server;
    char dir[40], ca[64], key[64], cert[64];
};

static void put(const char *path, const char *text)
{
    assert_int_equal(nk_file_write(path, NK_FILE_OVERWRITE, text, strlen(text), NULL), 0);
}

static void share_open(struct share *s, struct fixture *x)
{
    const struct tls_creds_conf conf = {
        .role = TLS_SERVER, .cert_text = kit_cert_pem(&x->leaf), .key_text = kit_key_pem(&x->leaf)};
    const struct nk_app_conf app = {0};
    assert_int_equal(nk_app_new(&s->app, &app, NULL), 0);
    assert_int_equal(tls_creds_new(&s->server, &conf, NULL), 0);
    snprintf(s->dir, sizeof(s->dir), "/tmp/netkit-creds-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->ca, sizeof(s->ca), "%s/ca.pem", s->dir);
    snprintf(s->key, sizeof(s->key), "%s/key.pem", s->dir);
    snprintf(s->cert, sizeof(s->cert), "%s/cert.pem", s->dir);
    put(s->ca, kit_cert_pem(&x->ca));
    put(s->key, kit_key_pem(&x->client));
    put(s->cert, kit_cert_pem(&x->client));
}

static void share_close(struct share *s)
{
    tls_creds_unref(s->server);
    nk_app_free(s->app);
    unlink(s->ca);
    unlink(s->key);
    unlink(s->cert);
    rmdir(s->dir);
}

struct pair {
    struct kit_peer server, client;
};

static bool pair_done(void *arg)
{
    struct pair *p = arg;
    return p->client.closed || (nk_buf_len(&p->server.got) > 0 && nk_buf_len(&p->client.got) > 0);
}

/* One connection as a dial makes it. Returns the bytes that the server sent, which are many more
 * when it sends its certificate; 0 when it was refused. */
static uint64_t dial(struct share *s, const struct tls_creds_conf *conf, const char *target)
{
    struct kit_pipe pipe;
    struct nk_stream *a, *b, *ts, *tc;
    struct tls_creds *creds;
    struct pair p;
    assert_int_equal(tls_creds_shared(s->app, &creds, conf, NULL), 0);
    kit_pipe_open(s->app, &pipe, WIDE, WIDE, &a, &b);
    assert_int_equal(tls_wrap_server(s->app, s->server, a, &ts, NULL), 0);
    assert_int_equal(tls_wrap_client_to(s->app, creds, "srv.test", target, b, &tc, NULL), 0);
    tls_creds_unref(creds);
    kit_peer_init(&p.server, ts);
    kit_peer_init(&p.client, tc);
    kit_peer_send(&p.server, "hello", 5);
    kit_peer_send(&p.client, "hello", 5);
    assert_true(kit_run(s->app, pair_done, &p));
    uint64_t sent = p.client.closed ? 0 : pipe.moved[0];
    kit_peer_clear(&p.server);
    kit_peer_clear(&p.client);
    nk_app_turn(s->app, 0);
    return sent;
}

/* A second dial resumes; nothing of the first one helps under other trust settings. */
static void test_sessions_are_shared(void **state)
{
    struct fixture *x = *state;
    struct share s;
    char good[TLS_PIN_TEXT], bad[TLS_PIN_TEXT], both[8192];
    uint8_t hash[TLS_HASH], zero[TLS_HASH] = {0};
    share_open(&s, x);
    tls_hash_cert(nk_buf_ptr(&x->leaf.cert), nk_buf_len(&x->leaf.cert), hash, NULL, NULL);
    const char *goods[] = {tls_pin_format(good, hash)}, *bads[] = {tls_pin_format(bad, zero)};
    struct tls_creds_conf conf = {.role = TLS_CLIENT, .ca = s.ca};
    uint64_t full = dial(&s, &conf, "a");
    assert_true(full > 0);
    assert_true(dial(&s, &conf, "a") + 300 < full);
    assert_true(dial(&s, &conf, "a") + 300 < full);
    assert_true(dial(&s, &conf, "b") + 300 > full); /* another way to it */
    struct tls_creds_conf pinned = conf, wrong = conf;
    pinned.pins = goods;
    wrong.pins = bads;
    pinned.npins = wrong.npins = 1;
    assert_int_equal(dial(&s, &wrong, "a"), 0);
    assert_true(dial(&s, &pinned, "a") + 300 > full);
    assert_true(dial(&s, &pinned, "a") + 300 < full);
    assert_int_equal(dial(&s, &wrong, "a"), 0);
    /* the file changes: one more CA, another one, the first one again */
    snprintf(both, sizeof(both), "%s%s", kit_cert_pem(&x->other_ca), kit_cert_pem(&x->ca));
    put(s.ca, both);
    assert_true(dial(&s, &conf, "a") + 300 > full);
    put(s.ca, kit_cert_pem(&x->other_ca));
    assert_int_equal(dial(&s, &conf, "a"), 0);
    put(s.ca, kit_cert_pem(&x->ca));
    assert_true(dial(&s, &conf, "a") + 300 > full);
    assert_true(dial(&s, &conf, "a") + 300 < full);
    share_close(&s);
}

static struct tls_creds *get(struct share *s, const struct tls_creds_conf *conf)
{
    struct tls_creds *c;
    assert_int_equal(tls_creds_shared(s->app, &c, conf, NULL), 0);
    tls_creds_unref(c); /* the app has one more */
    return c;
}

/* Who verifies by itself shares nothing with who wants it done. */
static void test_unverified_is_apart(void **state)
{
    struct share s;
    share_open(&s, *state);
    assert_int_equal(setenv("SSL_CERT_FILE", s.ca, 1), 0);
    const struct tls_creds_conf closed = {.role = TLS_CLIENT},
                                open = {.role = TLS_CLIENT, .unverified = true};
    struct tls_creds *loose = get(&s, &open), *strict = get(&s, &closed);
    assert_ptr_not_equal(loose, strict);
    assert_ptr_equal(get(&s, &open), loose);
    assert_int_equal(unsetenv("SSL_CERT_FILE"), 0);
    share_close(&s);
}

/* Every option counts, and so does what the key file looks like now. */
static void test_what_is_the_same(void **state)
{
    struct share s;
    struct nk_diag diag = {0};
    struct tls_creds *c;
    const char *one[] = {"h2"}, *two[] = {"h2", "http/1.1"};
    share_open(&s, *state);
    const struct tls_creds_conf base = {
        .role = TLS_CLIENT, .ca = s.ca, .cert = s.cert, .key = s.key};
    struct tls_creds_conf other[] = {base, base, base, base, base, base, base, base};
    other[0].name = "x";
    other[1].alpn = one;
    other[1].nalpn = 1;
    other[2].alpn = two;
    other[2].nalpn = 2;
    other[3].tls12 = true;
    other[4].handshake_ms = 5;
    other[5].cert = other[5].key = NULL;
    other[6].rekey_bytes = 1 << 20;
    other[7].name = "";
    struct tls_creds *first = get(&s, &base);
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        struct tls_creds *o = get(&s, &other[i]);
        assert_ptr_not_equal(o, first);
        assert_ptr_equal(get(&s, &other[i]), o);
        assert_ptr_equal(get(&s, &base), first);
    }
    assert_int_equal(chmod(s.key, 0666), 0);
    assert_int_equal(tls_creds_shared(s.app, &c, &base, &diag), NK_EBADMODE);
    assert_int_equal(chmod(s.key, 0600), 0);
    assert_ptr_equal(get(&s, &base), first);
    put(s.key, "nonsense");
    assert_int_equal(tls_creds_shared(s.app, &c, &base, &diag), NK_ECONFIG);
    unlink(s.key);
    assert_int_equal(tls_creds_shared(s.app, &c, &base, &diag), NK_ECONFIG);
    share_close(&s);
}

/* The least recently used one goes. */
static void test_sharing_is_bounded(void **state)
{
    struct share s;
    char name[16];
    share_open(&s, *state);
    struct tls_creds_conf conf = {.role = TLS_CLIENT, .ca = s.ca, .name = "first"};
    struct tls_creds *first = get(&s, &conf);
    assert_int_equal(tls_creds_shared(s.app, &first, &conf, NULL), 0); /* kept for comparison */
    for (int i = 0; i < SHARED_MAX; i++) {
        conf.name = i == SHARED_MAX / 2 ? "first" : name;
        snprintf(name, sizeof(name), "n%d", i);
        get(&s, &conf);
    }
    conf.name = "first";
    assert_ptr_equal(get(&s, &conf), first);
    for (int i = 0; i < SHARED_MAX; i++) {
        conf.name = name;
        snprintf(name, sizeof(name), "m%d", i);
        get(&s, &conf);
    }
    conf.name = "first";
    assert_ptr_not_equal(get(&s, &conf), first);
    tls_creds_unref(first);
    share_close(&s);
}

int nk_test_tls_creds(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_creds),           cmocka_unit_test(test_sessions_are_shared),
        cmocka_unit_test(test_unverified_is_apart), cmocka_unit_test(test_what_is_the_same),
        cmocka_unit_test(test_sharing_is_bounded),
    };
    return cmocka_run_group_tests_name("tls/creds", tests, set_up, tear_down);
}
