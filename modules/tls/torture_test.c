/* SPDX-License-Identifier: MIT */
/* Every allocation of credentials and handshakes fails once, and from then on: nothing leaks, and a
 * missing piece of memory never makes a client accept a server that it must refuse. */
#include "torture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "core/app.h"
#include "core/stream.h"
#include "tls/tls.h"
#include "tls/tls_testkit.h"

#define WRONG 1
#define DAY ((int64_t)24 * 3600)
#define SPARSE                                                                                     \
    7 /* a handshake has hundreds of allocations; prime, to hit different ones of loops */
#define TURNS_MAX 1000 /* far more than a handshake over memory takes */

struct world {
    struct kit_cert own, other;
    const char *own_cert, *own_key, *other_cert; /* PEM */
    const char *trusted;                         /* what the client trusts */
    bool must_fail;
};

static int setup(void **state)
{
    static struct world w;
    memset(&w, 0, sizeof(w));
    kit_cert_make(&w.own, "default", "DNS:default", -DAY, DAY, NULL, false);
    kit_cert_make(&w.other, "default", "DNS:default", -DAY, DAY, NULL, false);
    w.own_cert = kit_cert_pem(&w.own);
    w.own_key = kit_key_pem(&w.own);
    w.other_cert = kit_cert_pem(&w.other);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    kit_cert_clear(&w->own);
    kit_cert_clear(&w->other);
    return 0;
}

static int server_creds(const struct world *w, struct tls_creds **out)
{
    const struct tls_creds_conf conf = {
        .role = TLS_SERVER, .cert_text = w->own_cert, .key_text = w->own_key};
    return tls_creds_new(out, &conf, NULL);
}

static int client_creds(const struct world *w, struct tls_creds **out)
{
    const struct tls_creds_conf conf = {.role = TLS_CLIENT, .ca_text = w->trusted};
    return tls_creds_new(out, &conf, NULL);
}

static int creds_once(void *arg)
{
    const struct world *w = arg;
    struct tls_creds *server = NULL, *client = NULL;
    uint8_t spki[TLS_HASH];
    int rc = server_creds(w, &server);
    rc = rc < 0 ? rc : client_creds(w, &client);
    rc = rc < 0 ? rc : tls_creds_hash(server, NULL, spki);
    tls_creds_unref(server);
    tls_creds_unref(client);
    /* mbedTLS's parser of EC keys calls every failure a wrong format */
    return rc < 0 ? -ENOMEM : 0;
}

static void credentials(void **state)
{
    struct world *w = *state;
    w->trusted = w->own_cert;
    assert_true(nk_torture(creds_once, w) > 10);
}

/* One end of the connection. */
struct end {
    struct nk_stream *s;
    bool connected, closed, got;
};

static void on_event(void *owner, struct nk_stream *s, unsigned events)
{
    struct end *e = owner;
    char byte;
    e->connected = e->connected || (events & NK_CONNECTED);
    e->closed = e->closed || (events & NK_CLOSED);
    if ((events & NK_READABLE) && nk_stream_read(s, &byte, 1) == 1) {
        e->got = true;
    }
    if (e->connected && !e->closed) {
        nk_stream_interest(s, e->got ? 0 : NK_READABLE);
    }
}

static void take(struct end *e, struct nk_stream *s)
{
    e->s = s;
    nk_stream_own(s, on_event, e);
}

/* Turn the loop until a byte went each way or something ended. */
static bool converse(struct nk_app *app, struct end *client, struct end *server)
{
    bool sent[2] = {false, false};
    for (int i = 0; i < TURNS_MAX; i++) {
        nk_app_turn(app, 0);
        if (client->connected && !sent[0]) {
            sent[0] = nk_stream_write(client->s, "c", 1) == 1;
        }
        if (server->connected && !sent[1]) {
            sent[1] = nk_stream_write(server->s, "s", 1) == 1;
        }
        if (client->got && server->got) {
            return true;
        }
        if (client->closed || server->closed) {
            return false;
        }
    }
    return false;
}

/* Two streams that are joined, with all the memory they need. */
static int open_pair(struct nk_app *app, struct nk_stream **a, struct nk_stream **b)
{
    int fd[2];
    nk_torture_pause();
    int rc =
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) < 0 ? -errno : 0;
    rc = rc < 0 ? rc : nk_stream_from_fd(app, fd[0], "test", a);
    rc = rc < 0 ? rc : nk_stream_from_fd(app, fd[1], "test", b);
    nk_torture_resume();
    return rc;
}

static int handshake(const struct world *w, struct nk_app *app, struct tls_creds *sc,
                     struct tls_creds *cc)
{
    struct nk_stream *a, *b;
    struct end client = {0}, server = {0};
    if (open_pair(app, &a, &b) < 0) {
        return WRONG;
    }
    int rc = tls_wrap_client(app, cc, "default", a, &a, NULL);
    if (rc < 0) {
        nk_stream_close(b);
        return rc;
    }
    take(&client, a);
    rc = tls_wrap_server(app, sc, b, &b, NULL);
    if (rc == 0) {
        take(&server, b);
        rc = converse(app, &client, &server) ? 0 : -ENOMEM;
    }
    if (w->must_fail) {
        rc = client.connected || client.got || server.got ? WRONG : 0;
    }
    nk_stream_close(client.s);
    nk_stream_close(server.s);
    return rc;
}

static int handshake_once(void *arg)
{
    const struct world *w = arg;
    struct nk_app_conf conf = {0};
    struct nk_app *app = NULL;
    struct tls_creds *sc = NULL, *cc = NULL;
    /* mbedTLS 3.6 forgets the first cipher context when the second one of a transform fails
     * (mbedtls_ssl_tls13_compute_handshake_transform frees without mbedtls_ssl_transform_free). */
    nk_torture_forgive();
    nk_torture_pause();
    int rc = nk_app_new(&app, &conf, NULL);
    rc = rc < 0 ? rc : server_creds(w, &sc);
    rc = rc < 0 ? rc : client_creds(w, &cc);
    nk_torture_resume();
    rc = rc < 0 ? rc : handshake(w, app, sc, cc);
    nk_torture_pause();
    for (int i = 0; i < 10; i++) {
        nk_app_turn(app, 0);
    }
    tls_creds_unref(sc);
    tls_creds_unref(cc);
    nk_app_free(app);
    nk_torture_resume();
    return rc;
}

static void handshakes(void **state)
{
    struct world *w = *state;
    w->trusted = w->own_cert;
    w->must_fail = false;
    assert_true(nk_torture_sparse(handshake_once, w, SPARSE) > 20);
}

static void refusals(void **state)
{
    struct world *w = *state;
    w->trusted = w->other_cert;
    w->must_fail = true;
    assert_true(nk_torture_sparse(handshake_once, w, SPARSE) > 20);
}

int nk_test_tls_torture(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credentials),
        cmocka_unit_test(handshakes),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests_name("tls/torture", tests, setup, teardown);
}
