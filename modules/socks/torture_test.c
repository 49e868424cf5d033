/* SPDX-License-Identifier: MIT */
/* Every allocation of both sides of a negotiation fails once: errors are returned, nothing leaks.
 */
#include "torture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/app.h"
#include "core/registry.h"
#include "socks/socks.h"

enum { TURNS = 200, WRONG = 1 };

struct ends {
    struct nk_app *app;
    struct nk_stream *client, *server;
    unsigned seen; /* by the client */
};

static void on_client(void *owner, struct nk_stream *s, unsigned events)
{
    (void)s;
    ((struct ends *)owner)->seen |= events;
}

static void on_server(void *owner, struct nk_stream *s, unsigned events)
{
    struct ends *e = owner;
    if (events & NK_CONNECTED) {
        (void)nk_stream_answer(s, 0); /* the client tells what came of it */
    } else if (events & NK_CLOSED) {
        nk_stream_close(s);
        e->server = NULL;
    }
}

static void on_accept(void *owner, struct nk_listener *l, struct nk_stream *take_s)
{
    struct ends *e = owner;
    (void)l;
    nk_stream_close(e->server);
    e->server = take_s;
    nk_stream_own(take_s, on_server, e);
}

static int negotiate(struct ends *e, const char *connect)
{
    struct nk_endpoint *ep = NULL;
    int rc = nk_endpoint_parse(connect, NK_EP_CONNECT, &ep, NULL);
    if (rc == 0) {
        rc = nk_dial(e->app, ep, on_client, e, &e->client, NULL);
        nk_endpoint_free(ep);
    }
    for (int i = 0; rc == 0 && !e->seen && i < TURNS; i++) {
        nk_app_turn(e->app, 20);
    }
    if (rc == 0 && !(e->seen & NK_CONNECTED)) {
        rc = e->seen ? nk_stream_error(e->client, NULL) : WRONG;
        rc = rc == NK_ECLOSED || rc == -ECONNRESET ? -ENOMEM : rc; /* it was the server's */
    }
    nk_stream_close(e->client);
    return rc;
}

static int once(void *arg)
{
    const struct nk_app_conf conf = {.test_endpoints = true};
    struct ends e = {.seen = 0};
    struct nk_endpoint *ep = NULL;
    struct nk_listener *l = NULL;
    int rc = nk_app_new(&e.app, &conf, NULL);
    if (rc < 0) {
        return rc;
    }
    rc = nk_endpoint_parse("socks5+mem:x", NK_EP_LISTEN_OPEN, &ep, NULL);
    if (rc == 0) {
        rc = nk_listen(e.app, ep, on_accept, &e, &l, NULL);
        nk_endpoint_free(ep);
    }
    if (rc == 0) {
        rc = negotiate(&e, arg);
    }
    nk_listener_close(l);
    nk_stream_close(e.server);
    for (int i = 0; i < 5; i++) {
        nk_app_turn(e.app, 0);
    }
    nk_app_free(e.app);
    return rc;
}

static void negotiating(void **state)
{
    char plain[] = "socks5+mem:x,to=far.example:80,pipeline=yes";
    char with_login[] = "socks5+mem:x,to=far.example:80,user=alice";
    (void)state;
    assert_true(nk_torture(once, plain) >= 10);
    assert_true(nk_torture(once, with_login) >= 10);
}

int nk_test_socks_torture(void);
int nk_test_socks_torture(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(negotiating)};
    return cmocka_run_group_tests_name("socks/torture", tests, NULL, NULL);
}
