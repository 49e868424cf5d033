/* SPDX-License-Identifier: MIT */
/* The service of [tls NAME] over memory: who gets through, and what a target ever sees. */
#include "tls/serve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "core/app.h"
#include "core/endpoint_testkit.h"
#include "tls/changed.h"
#include "tls/tls_testkit.h"

int nk_test_tls_serve(void);

enum { SCALE = 100, PATH = 96, TURNS = 5, PATIENCE = 10000 };

struct fixture {
    struct kit_fixture *certs;
    char dir[40];
    char srv[PATH], ca[PATH], alice[PATH], mallory[PATH], moving[PATH];
};

static void write_pem(const char *path, struct kit_cert *cert, bool key)
{
    struct nk_buf b;
    nk_buf_init(&b, 65536);
    assert_int_equal(nk_buf_puts(&b, kit_cert_pem(cert)), 0);
    assert_int_equal(key ? nk_buf_puts(&b, kit_key_pem(cert)) : 0, 0);
    assert_int_equal(nk_file_write(path, NK_FILE_OVERWRITE, nk_buf_ptr(&b), nk_buf_len(&b), NULL),
                     0);
    nk_buf_clear(&b);
}

static int set_up(void **state)
{
    struct fixture *x = calloc(1, sizeof(*x));
    kit_set_up((void **)&x->certs);
    snprintf(x->dir, sizeof(x->dir), "/tmp/netkit-tls-serve-XXXXXX");
    assert_non_null(mkdtemp(x->dir));
    struct {
        char *path;
        const char *name;
        struct kit_cert *cert;
        bool key;
    } files[] = {{x->srv, "srv", &x->certs->leaf, true},
                 {x->ca, "ca", &x->certs->ca, false},
                 {x->alice, "alice", &x->certs->client, true},
                 {x->mallory, "mallory", &x->certs->stranger, true},
                 {x->moving, "moving", &x->certs->leaf, true}};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(files[i].path, PATH, "%s/%s.pem", x->dir, files[i].name);
        write_pem(files[i].path, files[i].cert, files[i].key);
    }
    *state = x;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *x = *state;
    const char *paths[] = {x->srv, x->ca, x->alice, x->mallory, x->moving};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        unlink(paths[i]);
    }
    rmdir(x->dir);
    kit_tear_down((void **)&x->certs);
    free(x);
    return 0;
}

/* A service, what it forwards to, and one client of it. */
struct world {
    struct fixture *x;
    struct nk_app *app;
    struct nk_service *s[2];
    struct nk_listener *target;
    struct kit_peer seen, client; /* seen: the last connection that the target got */
    int accepted, ready, ended;
    struct nk_diag diag;
};

static void on_target(void *owner, struct nk_listener *l, struct nk_stream *take_s)
{
    struct world *w = owner;
    (void)l;
    if (w->accepted++ > 0) {
        kit_peer_clear(&w->seen);
    }
    kit_peer_init(&w->seen, take_s);
}

static void on_ready(void *owner)
{
    ((struct world *)owner)->ready++;
}

static void on_end(void *owner, int status, const struct nk_diag *diag)
{
    (void)diag;
    assert_int_equal(status, 0);
    ((struct world *)owner)->ended++;
}

static void turns(struct world *w)
{
    for (int i = 0; i < TURNS; i++) {
        nk_app_turn(w->app, 1);
    }
}

static void open_world(struct world *w, struct fixture *x)
{
    const struct nk_app_conf conf = {.test_endpoints = true, .clock_scale = SCALE};
    struct nk_endpoint *ep;
    memset(w, 0, sizeof(*w));
    w->x = x;
    assert_int_equal(nk_app_new(&w->app, &conf, NULL), 0);
    assert_int_equal(nk_endpoint_parse("mem:target", NK_EP_LISTEN, &ep, NULL), 0);
    assert_int_equal(nk_listen(w->app, ep, on_target, w, &w->target, NULL), 0);
    nk_endpoint_free(ep);
}

static void close_world(struct world *w)
{
    for (int i = 0; i < 2; i++) {
        if (w->s[i]) {
            tls_serve_service.close(w->s[i]);
        }
    }
    if (w->client.s) {
        kit_peer_clear(&w->client);
    }
    if (w->accepted > 0) {
        kit_peer_clear(&w->seen);
    }
    turns(w);
    nk_listener_close(w->target);
    nk_app_free(w->app);
}

/* Configuration strings are not const, as rows fill them; nothing writes to them. */
static char *lit(const char *s)
{
    return (char *)(uintptr_t)s;
}

static struct tls_serve_conf server_conf(struct fixture *x)
{
    return (struct tls_serve_conf){.role = TLS_SERVE_SERVER,
                                   .listen = lit("mem:front"),
                                   .connect = lit("mem:target"),
                                   .cert = x->srv,
                                   .ca = x->ca,
                                   .handshake_ms = 1000 * 1000,
                                   .drain_ms = 1000 * 1000,
                                   .max_connections = 100};
}

static struct tls_serve_conf client_conf(struct fixture *x)
{
    return (struct tls_serve_conf){.role = TLS_SERVE_CLIENT,
                                   .listen = lit("mem:local"),
                                   .connect = lit("mem:front"),
                                   .cert = x->alice,
                                   .ca = x->ca,
                                   .server_name = lit("srv.test"),
                                   .handshake_ms = 1000 * 1000,
                                   .drain_ms = 1000 * 1000,
                                   .max_connections = 100};
}

static int start(struct world *w, int i, const struct tls_serve_conf *conf)
{
    const struct nk_service_args args = {
        .app = w->app, .conf = conf, .on_ready = on_ready, .on_end = on_end, .owner = w};
    memset(&w->diag, 0, sizeof(w->diag));
    return tls_serve_service.start(&args, &w->s[i], &w->diag);
}

/* A TLS client with this certificate, or none. */
static void connect_as(struct world *w, struct kit_cert *cert)
{
    struct tls_creds_conf cc = kit_client_conf(w->x->certs);
    struct tls_creds *creds;
    struct nk_stream *tls;
    if (cert) {
        cc.cert_text = kit_cert_pem(cert);
        cc.key_text = kit_key_pem(cert);
    }
    cc.handshake_ms = 1000 * 1000;
    assert_int_equal(tls_creds_new(&creds, &cc, NULL), 0);
    assert_int_equal(tls_wrap_client(w->app, creds, "srv.test",
                                     nk_kit_dial(w->app, "mem:front", NULL, NULL), &tls, NULL),
                     0);
    tls_creds_unref(creds);
    if (w->client.s) {
        kit_peer_clear(&w->client);
    }
    kit_peer_init(&w->client, tls);
    kit_peer_send(&w->client, "hello", 5);
}

static bool arrived(void *arg)
{
    const struct world *w = arg;
    return w->accepted > 0 && nk_buf_len(&w->seen.got) >= 5;
}

static bool refused(void *arg)
{
    const struct world *w = arg;
    return w->client.error != 0 || w->client.ended;
}

static uint64_t counter(struct world *w, const char *key)
{
    struct nk_buf b;
    struct nk_json j;
    char want[64];
    nk_buf_init(&b, 4096);
    nk_json_init(&j, &b, false);
    nk_json_object(&j);
    tls_serve_service.status(w->s[0], &j);
    nk_json_close(&j);
    assert_int_equal(nk_json_end(&j), 0);
    snprintf(want, sizeof(want), "\"%s\":", key);
    const char *at = strstr(nk_buf_str(&b), want);
    assert_non_null(at);
    uint64_t v = strtoull(at + strlen(want), NULL, 10);
    nk_buf_clear(&b);
    return v;
}

static void test_who_gets_through(void **state)
{
    struct fixture *x = *state;
    struct world w;
    char *alice = lit("alice"), *bob = lit("bob"), pin[TLS_PIN_TEXT], *pins = pin;
    uint8_t hash[TLS_HASH];
    const char *cert = kit_cert_pem(&x->certs->client);
    assert_int_equal(tls_hash_cert(cert, strlen(cert), NULL, hash, NULL), 0);
    tls_pin_format(pin, hash);
    struct {
        struct nk_strlist cn, pin;
        bool all, no_ca, none;
        struct kit_cert *client;
        bool ok;
        const char *counted;
    } cases[] = {
        {.cn = {&alice, 1}, .client = &x->certs->client, .ok = true},
        {.cn = {&bob, 1}, .client = &x->certs->client, .counted = "denied"},
        {.all = true, .client = &x->certs->client, .ok = true},
        {.all = true, .client = &x->certs->stranger, .counted = "failed"},
        {.all = true, .client = &x->certs->old_client, .counted = "failed"},
        {.all = true, .client = NULL, .counted = "failed"},
        {.pin = {&pins, 1}, .client = &x->certs->client, .ok = true},
        {.pin = {&pins, 1}, .no_ca = true, .client = &x->certs->client, .ok = true},
        {.pin = {&pins, 1}, .no_ca = true, .client = &x->certs->stranger, .counted = "failed"},
        {.none = true, .no_ca = true, .client = NULL, .ok = true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tls_serve_conf c = server_conf(x);
        c.allow[TLS_ALLOW_CN - 1] = cases[i].cn;
        c.allow[TLS_ALLOW_PIN - 1] = cases[i].pin;
        c.allow_all = cases[i].all;
        c.ca = cases[i].no_ca ? NULL : c.ca;
        c.client_cert = cases[i].none ? TLS_CLIENT_CERT_NONE : TLS_CLIENT_CERT_REQUIRED;
        open_world(&w, x);
        if (start(&w, 0, &c) < 0) {
            fail_msg("case %zu: %s", i, w.diag.text);
        }
        connect_as(&w, cases[i].client);
        if (!kit_run(w.app, cases[i].ok ? arrived : refused, &w)) {
            fail_msg("case %zu", i);
        }
        turns(&w);
        assert_int_equal(w.accepted, cases[i].ok); /* who is refused reaches nothing */
        assert_int_equal(counter(&w, "active"), cases[i].ok);
        if (cases[i].counted) {
            assert_int_equal(counter(&w, cases[i].counted), 1);
        }
        close_world(&w);
    }
}

static void test_wrong_configuration(void **state)
{
    struct fixture *x = *state;
    struct world w;
    char *alice = lit("alice"), *empty = lit(""), *suite = lit("RC4");
    struct nk_strlist one = {&alice, 1};
    struct tls_serve_conf s = server_conf(x), k = client_conf(x);
    const struct {
        struct tls_serve_conf c;
        const char *says;
    } cases[] = {
        {s, "nothing says which clients"},
        {{.listen = s.listen}, "'connect' is missing"},
        {{.connect = s.connect}, "'listen' is missing"},
        {{.listen = s.listen, .connect = s.connect, .allow_all = true}, "needs 'cert'"},
        {{.listen = s.listen, .connect = s.connect, .key = x->srv}, "'key' needs 'cert'"},
        {{.listen = s.listen, .connect = s.connect, .cert = x->srv}, "nothing says"},
        {{.listen = s.listen, .connect = s.connect, .cert = x->srv, .allow_all = true},
         "without ca"},
        {{.listen = s.listen, .connect = s.connect, .cert = x->srv, .allow = {one}}, "without ca"},
        {{.listen = s.listen,
          .connect = s.connect,
          .cert = x->srv,
          .ca = x->ca,
          .allow = {one, one}},
         "allow_cn and allow_dns"},
        {{.listen = s.listen,
          .connect = s.connect,
          .cert = x->srv,
          .ca = x->ca,
          .allow = {one},
          .allow_all = true},
         "allow_all and allow_cn"},
        {{.listen = s.listen,
          .connect = s.connect,
          .cert = x->srv,
          .ca = x->ca,
          .allow = {{&empty, 1}}},
         "cannot stand in"},
        {{.listen = s.listen,
          .connect = s.connect,
          .cert = x->srv,
          .ca = x->ca,
          .client_cert = TLS_CLIENT_CERT_NONE},
         "asks for no certificates"},
        {{.listen = s.listen,
          .connect = s.connect,
          .cert = x->srv,
          .allow = {one},
          .client_cert = TLS_CLIENT_CERT_NONE},
         "asks for no certificates"},
        {{.listen = s.listen,
          .connect = s.connect,
          .cert = x->srv,
          .ca = x->ca,
          .allow_all = true,
          .pin = one},
         "'pin' is for a client"},
        {{.listen = s.listen,
          .connect = lit("tcp:192.0.2.1:80"),
          .cert = x->srv,
          .ca = x->ca,
          .allow_all = true},
         "would not be encrypted"},
        {{.listen = lit("tls:127.0.0.1:0,cert=x"),
          .connect = s.connect,
          .cert = x->srv,
          .ca = x->ca,
          .allow_all = true},
         "names a transport only"},
        {{.listen = s.listen,
          .connect = s.connect,
          .cert = x->srv,
          .ca = x->ca,
          .allow_all = true,
          .ciphers = {&suite, 1}},
         "not a cipher suite"},
        {{.role = TLS_SERVE_CLIENT, .listen = lit("tcp::0"), .connect = lit("tcp:a.test:1")},
         "in your name"},
        {{.role = TLS_SERVE_CLIENT, .listen = k.listen, .connect = lit("mem:front"), .ca = x->ca},
         "no name"},
        {{.role = TLS_SERVE_CLIENT, .listen = k.listen, .connect = lit("tls:a.test:1")},
         "names a transport only"},
        {{.role = TLS_SERVE_CLIENT,
          .listen = k.listen,
          .connect = lit("tcp:a.test:1"),
          .allow_all = true},
         "for a server"},
        {{.role = TLS_SERVE_CLIENT,
          .listen = k.listen,
          .connect = lit("tcp:a.test:1"),
          .allow_uid = one},
         "allow_uid"},
    };
    open_world(&w, x);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int rc = start(&w, 0, &cases[i].c);
        if (rc != NK_ECONFIG || !strstr(w.diag.text, cases[i].says)) {
            fail_msg("case %zu: %d %s", i, rc, w.diag.text);
        }
        assert_null(w.s[0]);
    }
    close_world(&w);
}

/* Unsafe places are used when that is said. */
static void test_unsafe(void **state)
{
    struct fixture *x = *state;
    struct world w;
    struct tls_serve_conf c = server_conf(x), k = client_conf(x);
    open_world(&w, x);
    c.allow_all = c.unsafe_target = true;
    c.connect = lit("tcp:192.0.2.1:80");
    assert_int_equal(start(&w, 0, &c), 0);
    k.unsafe_listen = true;
    k.listen = lit("tcp::0");
    assert_int_equal(start(&w, 1, &k), 0);
    turns(&w);
    assert_int_equal(w.ready, 2);
    close_world(&w);
}

static bool both_got(void *arg)
{
    const struct world *w = arg;
    return arrived(arg) && nk_buf_len(&w->client.got) >= 6 && w->seen.ended && w->client.ended;
}

/* One service on each side: plain bytes in, plain bytes out, and each direction ends by itself. */
static void test_both_sides(void **state)
{
    struct world w;
    struct tls_serve_conf c = server_conf(*state), k = client_conf(*state);
    open_world(&w, *state);
    c.allow_all = true;
    assert_int_equal(start(&w, 0, &c), 0);
    assert_int_equal(start(&w, 1, &k), 0);
    kit_peer_init(&w.client, nk_kit_dial(w.app, "mem:local", NULL, NULL));
    w.client.shut_when_sent = true;
    kit_peer_send(&w.client, "hello", 5);
    assert_true(kit_run(w.app, arrived, &w));
    assert_memory_equal(nk_buf_ptr(&w.seen.got), "hello", 5);
    for (int i = 0; i < PATIENCE && !w.seen.ended; i++) {
        nk_app_turn(w.app, 1);
    }
    w.seen.shut_when_sent = true;
    kit_peer_send(&w.seen, "answer", 6);
    assert_true(kit_run(w.app, both_got, &w));
    assert_int_equal(w.client.error, 0);
    turns(&w);
    assert_int_equal(counter(&w, "active"), 0);
    assert_int_equal(counter(&w, "failed"), 0);
    assert_int_equal(counter(&w, "bytes_in"), 5);
    assert_int_equal(counter(&w, "bytes_out"), 6);
    close_world(&w);
}

static bool reloaded(void *arg)
{
    return counter(arg, "certificate_reloads") == 1;
}

static bool not_reloaded(void *arg)
{
    return counter(arg, "certificate_reload_failures") == 1;
}

static void must_arrive(struct world *w, struct kit_cert *cert)
{
    int before = w->accepted;
    connect_as(w, cert);
    for (int i = 0; i < PATIENCE && w->accepted == before && !w->client.error; i++) {
        nk_app_turn(w->app, 1);
    }
    assert_int_equal(w->client.error, 0);
    assert_true(kit_run(w->app, arrived, w));
}

/* Files that change are read again; what cannot be used changes nothing. */
static void test_files_change(void **state)
{
    struct fixture *x = *state;
    struct world w;
    struct tls_serve_conf c = server_conf(x);
    c.cert = x->moving;
    c.allow_all = true;
    c.timed_reload_ms = 1000;
    open_world(&w, x);
    assert_int_equal(start(&w, 0, &c), 0);
    must_arrive(&w, &x->certs->client);
    assert_int_equal(nk_file_write(x->moving, NK_FILE_OVERWRITE, "garbage", 7, NULL), 0);
    assert_true(kit_run(w.app, not_reloaded, &w));
    must_arrive(&w, &x->certs->client);
    write_pem(x->moving, &x->certs->old_leaf, true);
    assert_true(kit_run(w.app, reloaded, &w));
    connect_as(&w, &x->certs->client);
    assert_true(kit_run(w.app, refused, &w)); /* it is the new one: out of date */
    assert_int_equal(w.client.error, NK_EVERIFY);
    close_world(&w);
    write_pem(x->moving, &x->certs->leaf, true);
}

static void test_reload(void **state)
{
    struct fixture *x = *state;
    struct world w;
    char *bob = lit("bob");
    struct tls_serve_conf c = server_conf(x), bad = server_conf(x), next = server_conf(x);
    c.allow_all = true;
    bad.allow_all = true;
    bad.cert = lit("/nonexistent.pem");
    next.allow[TLS_ALLOW_CN - 1] = (struct nk_strlist){&bob, 1};
    open_world(&w, x);
    assert_int_equal(start(&w, 0, &c), 0);
    must_arrive(&w, &x->certs->client);
    assert_true(tls_serve_service.reload(w.s[0], &bad, NULL, &w.diag) < 0);
    must_arrive(&w, &x->certs->client);
    assert_int_equal(tls_serve_service.reload(w.s[0], &next, NULL, &w.diag), 0);
    connect_as(&w, &x->certs->client);
    assert_true(kit_run(w.app, refused, &w));
    assert_int_equal(counter(&w, "denied"), 1);
    close_world(&w);
}

static bool ended(void *arg)
{
    return ((struct world *)arg)->ended > 0;
}

/* An open connection holds the end up, but not for ever. */
static void test_drain(void **state)
{
    struct world w;
    struct tls_serve_conf c = server_conf(*state);
    c.allow_all = true;
    c.drain_ms = 20 * SCALE;
    open_world(&w, *state);
    assert_int_equal(start(&w, 0, &c), 0);
    must_arrive(&w, &w.x->certs->client);
    tls_serve_service.drain(w.s[0]);
    assert_int_equal(w.ended, 0);
    assert_true(kit_run(w.app, ended, &w));
    turns(&w);
    assert_int_equal(w.ended, 1);
    close_world(&w);
}

static void on_changed(void *owner)
{
    ++*(int *)owner;
}

static bool changed_once(void *arg)
{
    return *(int *)arg > 0;
}

/* A symbolic link that is pointed elsewhere is a change, as is a file that comes or goes. */
static void test_changed(void **state)
{
    struct fixture *x = *state;
    const struct nk_app_conf conf = {.clock_scale = SCALE};
    struct nk_app *app;
    struct tls_changed c;
    char link[PATH];
    int times = 0;
    snprintf(link, sizeof(link), "%s/link", x->dir);
    assert_int_equal(symlink(x->srv, link), 0);
    const char *const paths[TLS_CHANGED_FILES] = {link, NULL, NULL};
    assert_int_equal(nk_app_new(&app, &conf, NULL), 0);
    tls_changed_init(&c, app, on_changed, &times);
    tls_changed_watch(&c, paths, 500);
    for (int i = 0; i < TURNS; i++) {
        nk_app_turn(app, 10);
    }
    assert_int_equal(times, 0);
    unlink(link);
    assert_true(kit_run(app, changed_once, &times));
    times = 0;
    assert_int_equal(symlink(x->alice, link), 0);
    assert_true(kit_run(app, changed_once, &times));
    unlink(link);
    tls_changed_stop(&c);
    nk_app_free(app);
}

int nk_test_tls_serve(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_gets_through),
        cmocka_unit_test(test_wrong_configuration),
        cmocka_unit_test(test_unsafe),
        cmocka_unit_test(test_both_sides),
        cmocka_unit_test(test_files_change),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_changed),
    };
    return cmocka_run_group_tests_name("tls/serve", tests, set_up, tear_down);
}
