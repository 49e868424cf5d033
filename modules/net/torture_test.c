/* SPDX-License-Identifier: MIT */
/* Every allocation of parsing, dialling and listening fails once: errors are returned, nothing
 * leaks. */
#include "torture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/app.h"
#include "core/listener.h"
#include "core/registry.h"
#include "core/stream.h"

#define WRONG 1

static int parse_once(void *arg)
{
    struct nk_endpoint *ep = NULL;
    int r = nk_endpoint_parse(arg, NK_EP_CONNECT, &ep, NULL);
    if (r == 0 && strcmp(nk_endpoint_text(ep), arg) != 0)
        r = WRONG;
    nk_endpoint_free(ep);
    return r;
}

static void parsing(void **state)
{
    (void)state;
    char tcp[] = "tcp:127.0.0.1:1";
    char unix_path[] = "unix:/tmp/nk-torture-nobody";
    assert_true(nk_torture(parse_once, tcp) >= 2);
    assert_true(nk_torture(parse_once, unix_path) >= 2);
}

/* What happened to a connection. */
struct ends {
    struct nk_stream *dialled, *accepted;
    bool connected, failed;
};

static void on_event(void *owner, struct nk_stream *s, unsigned events)
{
    struct ends *e = owner;
    if (s != e->dialled)
        return;
    if (events & NK_CONNECTED)
        e->connected = true;
    if (events & NK_CLOSED)
        e->failed = true;
}

static void on_accept(void *owner, struct nk_listener *l, struct nk_stream *take_s)
{
    struct ends *e = owner;
    (void)l;
    nk_stream_close(e->accepted);
    e->accepted = take_s;
    nk_stream_own(take_s, on_event, e);
}

static int dial(struct nk_app *app, const char *text, struct ends *e)
{
    struct nk_endpoint *ep = NULL;
    int r = nk_endpoint_parse(text, NK_EP_CONNECT, &ep, NULL);
    if (r == 0)
        r = nk_dial(app, ep, on_event, e, &e->dialled, NULL);
    nk_endpoint_free(ep);
    while (r == 0 && !e->connected && !e->failed)
        nk_app_turn(app, 1000);
    if (r == 0 && e->failed)
        r = nk_stream_error(e->dialled, NULL);
    nk_stream_close(e->dialled);
    return r;
}

/* Listen on loopback and connect to it, over a loop of its own. */
static int connect_once(void *arg)
{
    (void)arg;
    struct nk_app_conf conf = {0};
    struct nk_app *app = NULL;
    struct nk_endpoint *ep = NULL;
    struct nk_listener *l = NULL;
    struct ends e = {0};
    char local[128];
    int r = nk_app_new(&app, &conf, NULL);
    if (r < 0)
        return r;
    r = nk_endpoint_parse("tcp:127.0.0.1:0", NK_EP_LISTEN, &ep, NULL);
    if (r == 0)
        r = nk_listen(app, ep, on_accept, &e, &l, NULL);
    nk_endpoint_free(ep);
    if (r == 0)
        r = nk_listener_local(l, local, sizeof local);
    if (r == 0)
        r = dial(app, local, &e);
    nk_listener_close(l);
    nk_stream_close(e.accepted);
    for (int i = 0; i < 10; i++)
        nk_app_turn(app, 0);
    nk_app_free(app);
    return r;
}

static void connecting(void **state)
{
    (void)state;
    assert_true(nk_torture(connect_once, NULL) >= 5);
}

int nk_test_net_torture(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parsing),
        cmocka_unit_test(connecting),
    };
    return cmocka_run_group_tests_name("net/torture", tests, NULL, NULL);
}
