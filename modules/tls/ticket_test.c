/* SPDX-License-Identifier: MIT */
/* How long sessions may be resumed, by a wall clock that is moved. */
#include "tls/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/app.h"
#include "core/clock.h"
#include "tls/tls_testkit.h"

int nk_test_tls_ticket(void);

enum {
    A_MINUTE = 60 * 1000,
    CERTIFICATE = 300 /* bytes that a resumption does without, at least */
};
#define LIFE_MS ((int64_t)TLS_TICKET_SECONDS * 1000)

struct world {
    struct kit_rig r;
    struct nk_app *clock; /* nothing runs in it */
    uint64_t full;        /* bytes of a server that shows its certificate */
};

static uint64_t connect_once(struct world *w)
{
    kit_rig_connect(&w->r, "srv.test", KIT_WIDE, KIT_WIDE);
    kit_peer_send(&w->r.server, "hello", 5);
    kit_peer_send(&w->r.client, "hello", 5);
    assert_true(kit_run(w->r.app, kit_got_both, &w->r));
    uint64_t n = w->r.pipe.moved[0];
    kit_rig_disconnect(&w->r);
    return n;
}

static bool resumes(struct world *w)
{
    return connect_once(w) + CERTIFICATE < w->full;
}

/* The clock is the server's, the client's or both's. */
static void begin(struct world *w, void *fixture, bool server, bool client)
{
    const struct nk_app_conf conf = {0};
    struct tls_creds_conf sc = kit_server_conf(fixture), cc = kit_client_conf(fixture);
    assert_int_equal(nk_app_new(&w->clock, &conf, NULL), 0);
    sc.app = server ? w->clock : NULL;
    cc.app = client ? w->clock : NULL;
    kit_rig_new(&w->r, &sc, &cc);
    w->full = connect_once(w);
    assert_true(resumes(w));
}

static void end(struct world *w)
{
    kit_rig_free(&w->r);
    nk_app_free(w->clock);
}

static void test_client_forgets(void **state)
{
    struct world w;
    begin(&w, *state, false, true);
    nk_clock_set_wall(w.clock, LIFE_MS - A_MINUTE);
    assert_true(resumes(&w)); /* which brings a new ticket, dated now */
    nk_clock_set_wall(w.clock, LIFE_MS - A_MINUTE);
    assert_true(resumes(&w));
    nk_clock_set_wall(w.clock, LIFE_MS);
    assert_false(resumes(&w));
    end(&w);
}

/* Two keys: tickets of the one before are read, as long again. */
static void test_server_changes_keys(void **state)
{
    struct world w;
    begin(&w, *state, true, false);
    nk_clock_set_wall(w.clock, LIFE_MS + A_MINUTE);
    assert_true(resumes(&w)); /* by the old key; the new ticket is the new key's */
    nk_clock_set_wall(w.clock, LIFE_MS - A_MINUTE);
    assert_true(resumes(&w));
    nk_clock_set_wall(w.clock, 2 * LIFE_MS);
    assert_false(resumes(&w));
    assert_true(resumes(&w));
    end(&w);
}

/* A server that broke off at a session is offered none any more; others are. */
static void test_refused(void **state)
{
    struct world w;
    begin(&w, *state, false, false);
    struct tls_state *s = tls_creds_state(w.r.cc);
    tls_sessions_refused(s->sessions, "other.test");
    assert_true(resumes(&w));
    tls_sessions_refused(s->sessions, "srv.test");
    assert_false(resumes(&w));
    assert_false(resumes(&w));
    tls_state_unref(s);
    end(&w);
}

int nk_test_tls_ticket(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_forgets),
        cmocka_unit_test(test_server_changes_keys),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests_name("tls/ticket", tests, kit_set_up, kit_tear_down);
}
