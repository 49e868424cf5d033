/* SPDX-License-Identifier: MIT */
/* Which tor, over a control port that plays what the tests say. Tors of our own are started in
 * tests/e2e/test_tor_instance.py. */
#include "tor/instance.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/app.h"
#include "tor/control.h"
#include "tor/control_testkit.h"
#include "torture.h"

enum { TURNS = 400, TURN_MS = 50 };

struct one {
    struct tor_instance_wait *wait;
    struct tor_instance *instance;
    int err;
    bool done;
    char why[320];
};

static void on_instance(void *owner, int err, struct tor_instance *instance,
                        const struct nk_diag *why)
{
    struct one *o = owner;
    assert_false(o->done);
    o->wait = NULL;
    o->err = err;
    o->instance = instance;
    o->done = true;
    (void)snprintf(o->why, sizeof(o->why), "%s", why ? why->text : "");
    assert_true((err < 0) == (why != NULL) && (err < 0) == (instance == NULL));
}

static void ask(struct tor_kit *k, struct one *o, unsigned needs)
{
    const struct tor_instance_conf conf = {.needs = needs, .access = {.control = k->address}};
    *o = (struct one){.err = 1};
    assert_int_equal(tor_instance_get(k->app, &conf, on_instance, o, &o->wait, NULL), 0);
    assert_false(o->done);
}

static void login_socks(struct tor_kit *k)
{
    tor_kit_login(k);
    tor_kit_expect(k, "GETINFO net/listeners/socks");
    tor_kit_say(k, "250-net/listeners/socks=\"unix:/run/s\" \"127.0.0.1:9050\"\r\n250 OK\r\n");
}

/* Two who ask get the same one over one connection; SOCKS is asked for when it is needed. */
static void one_for_all(void **state)
{
    struct tor_kit k;
    struct one a, b, c;
    (void)state;
    tor_kit_listen(&k);
    ask(&k, &a, TOR_NEEDS_CONTROL);
    ask(&k, &b, TOR_NEEDS_SOCKS | TOR_NEEDS_NETWORK);
    login_socks(&k);
    tor_kit_turn(&k, &a.done);
    tor_kit_turn(&k, &b.done);
    assert_int_equal(a.err, 0);
    assert_ptr_equal(a.instance, b.instance);
    assert_int_equal(tor_instance_kind(a.instance), TOR_SYSTEM);
    assert_string_equal(tor_instance_socks(a.instance), "unix:/run/s");
    assert_int_equal(tor_control_state(tor_instance_control(a.instance)), TOR_CONTROL_READY);
    tor_instance_release(a.instance);
    tor_instance_release(b.instance);
    ask(&k, &c, TOR_NEEDS_CONTROL | TOR_NEEDS_SOCKS); /* it lingers */
    tor_kit_turn(&k, &c.done);
    assert_ptr_equal(c.instance, b.instance);
    tor_instance_release(c.instance);
    tor_kit_close(&k);
}

/* Started again, tor may offer SOCKS elsewhere: whoever asks from then on hears the new place. */
static void after_a_restart(void **state)
{
    struct tor_kit k;
    struct one a, b;
    (void)state;
    tor_kit_listen(&k);
    ask(&k, &a, TOR_NEEDS_SOCKS);
    login_socks(&k);
    tor_kit_turn(&k, &a.done);
    tor_kit_hangup(&k);
    tor_kit_idle(&k);
    ask(&k, &b, TOR_NEEDS_SOCKS);
    tor_kit_login(&k);
    tor_kit_expect(&k, "GETINFO net/listeners/socks");
    tor_kit_say(&k, "250-net/listeners/socks=\"127.0.0.1:4\"\r\n250 OK\r\n");
    tor_kit_turn(&k, &b.done);
    assert_ptr_equal(a.instance, b.instance);
    assert_string_equal(tor_instance_socks(b.instance), "tcp:127.0.0.1:4");
    tor_instance_release(a.instance);
    tor_instance_release(b.instance);
    tor_kit_close(&k);
}

static void cancelled(void **state)
{
    struct tor_kit k;
    struct one a, b;
    (void)state;
    tor_kit_listen(&k);
    ask(&k, &a, TOR_NEEDS_SOCKS);
    ask(&k, &b, TOR_NEEDS_CONTROL);
    tor_instance_cancel(a.wait);
    tor_kit_login(&k);
    tor_kit_turn(&k, &b.done);
    tor_kit_idle(&k);
    assert_false(a.done);
    ask(&k, &a, TOR_NEEDS_CONTROL);
    tor_instance_cancel(a.wait); /* what it needs is there: still before it was told */
    tor_kit_idle(&k);
    assert_false(a.done);
    tor_instance_release(b.instance);
    tor_kit_close(&k);
}

static void failures(void **state)
{
    struct tor_kit k;
    struct one a;
    (void)state;
    tor_kit_listen(&k);
    ask(&k, &a, TOR_NEEDS_SOCKS);
    tor_kit_login(&k);
    tor_kit_expect(&k, "GETINFO net/listeners/socks");
    tor_kit_say(&k, "552 Unrecognized key\r\n");
    tor_kit_turn(&k, &a.done);
    assert_int_equal(a.err, NK_EPROTO);
    ask(&k, &a, TOR_NEEDS_CONTROL); /* the failed one is not given to anybody */
    tor_kit_accept(&k);
    tor_kit_hangup(&k);
    tor_kit_turn(&k, &a.done);
    assert_true(a.err < 0);
    assert_true(a.why[0]);
    tor_kit_close(&k);
}

/* A given SOCKS needs no control port. */
static void given_socks(void **state)
{
    static const char *const rows[][2] = {
        {"9050", "tcp:127.0.0.1:9050"}, {"unix:/s", "unix:/s"}, {"tcp:[::1]:1", "tcp:[::1]:1"}};
    struct tor_kit k;
    (void)state;
    tor_kit_listen(&k);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct tor_instance_conf conf = {.needs = TOR_NEEDS_SOCKS | TOR_NEEDS_NETWORK,
                                               .socks = rows[i][0]};
        struct one a = {.err = 1};
        assert_int_equal(tor_instance_get(k.app, &conf, on_instance, &a, &a.wait, NULL), 0);
        tor_kit_turn(&k, &a.done);
        assert_int_equal(a.err, 0);
        assert_string_equal(tor_instance_socks(a.instance), rows[i][1]);
        assert_null(tor_instance_control(a.instance));
        tor_instance_release(a.instance);
    }
    tor_kit_close(&k);
}

static void contradictions(void **state)
{
    struct tor_instance_conf conf = {.kind = TOR_PRIVATE, .needs = TOR_NEEDS_CONTROL};
    struct tor_kit k;
    struct one a = {.err = 1};
    struct nk_diag diag;
    (void)state;
    tor_kit_listen(&k);
    for (conf.kind = TOR_GLOBAL; conf.kind <= TOR_PRIVATE; conf.kind++) {
        conf.socks = "9050";
        assert_int_equal(tor_instance_get(k.app, &conf, on_instance, &a, &a.wait, &diag),
                         NK_EUSAGE);
        conf.socks = NULL; /* and this app starts no programs */
        assert_int_equal(tor_instance_get(k.app, &conf, on_instance, &a, &a.wait, &diag),
                         NK_EUNSUPPORTED);
    }
    tor_kit_idle(&k);
    assert_false(a.done);
    tor_kit_close(&k);
}

/* Nothing listens where it is said to be, or SOCKS is given; the app is not under test. */
static int get_once(void *arg)
{
    static char nowhere[] = "unix:/nonexistent/control";
    const bool given = *(const bool *)arg;
    const struct nk_app_conf app_conf = {0};
    const struct tor_instance_conf conf = {.needs = given ? TOR_NEEDS_SOCKS : TOR_NEEDS_CONTROL,
                                           .access = {.control = given ? NULL : nowhere},
                                           .socks = given ? "9050" : NULL};
    struct one o = {.err = 1};
    struct nk_app *app;
    nk_torture_pause();
    int rc = nk_app_new(&app, &app_conf, NULL);
    nk_torture_resume();
    if (rc < 0) {
        return 1;
    }
    rc = tor_instance_get(app, &conf, on_instance, &o, &o.wait, NULL);
    for (int i = 0; rc == 0 && !o.done && i < TURNS; i++) {
        nk_app_turn(app, TURN_MS);
    }
    if (rc == 0) {
        rc = o.err == (given ? 0 : -ECONNREFUSED) ? 0 : o.err;
    }
    tor_instance_release(o.instance);
    nk_torture_pause();
    nk_app_free(app);
    nk_torture_resume();
    return rc;
}

static void without_memory(void **state)
{
    (void)state;
    for (int given = 0; given < 2; given++) {
        bool arg = given;
        assert_true(nk_torture(get_once, &arg) >= 2);
    }
}

int nk_test_tor_instance(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_for_all),    cmocka_unit_test(after_a_restart),
        cmocka_unit_test(cancelled),      cmocka_unit_test(failures),
        cmocka_unit_test(given_socks),    cmocka_unit_test(contradictions),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests_name("tor/instance", tests, NULL, NULL);
}
