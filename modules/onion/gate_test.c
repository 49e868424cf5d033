/* SPDX-License-Identifier: MIT */
#include "onion/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/app.h"
#include "core/clock.h"
#include "hs/store_testkit.h"

int nk_test_onion_gate(void);

#define KEY_A "beaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LINE_A "descriptor:x25519:" KEY_A
#define LINE_B "descriptor:x25519:bmaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* A service's folder, its gate, and how often the gate has told of a change. */
struct one {
    struct hs_testdir *d;
    struct nk_app *app;
    struct onion_gate gate;
    struct onion_gate_conf conf;
    struct onion_clients fixed;
    char folder[NK_PATH_MAX];
    int told;
};

static void on_change(void *owner)
{
    struct one *o = owner;
    o->told++;
}

static int open_gate(struct one *o)
{
    return onion_gate_open(&o->gate, o->app, &o->conf, &o->fixed, o->folder, on_change, o,
                           &o->d->diag);
}

static void begin(struct one *o, void **state)
{
    const struct nk_app_conf conf = {.clock_scale = 1};
    *o = (struct one){.d = *state};
    hs_testdir_at(o->d, "web", o->folder);
    assert_int_equal(mkdir(o->folder, 0700), 0);
    assert_int_equal(nk_app_new(&o->app, &conf, NULL), 0);
}

static void finish(struct one *o)
{
    onion_gate_close(&o->gate);
    onion_gate_close(&o->gate);
    onion_clients_clear(&o->fixed);
    nk_app_free(o->app);
}

static void put(struct one *o, const char *name, const char *text)
{
    hs_testdir_put(o->d, name, text, strlen(text), 0600);
}

/* Until a change has been told. */
static void wait_told(struct one *o, int count)
{
    for (int i = 0; i < 1000 && o->told < count; i++) {
        (void)nk_app_turn(o->app, 20);
    }
    assert_int_equal(o->told, count);
}

/* Nothing that has happened is told: time passes, and something else that does. */
static void not_told(struct one *o, int count)
{
    for (int i = 0; i < 4; i++) {
        (void)nk_app_turn(o->app, 0);
        nk_clock_skip(o->app, 5000);
    }
    (void)nk_app_turn(o->app, 0);
    assert_int_equal(o->told, count);
}

static void settings(void **state)
{
    struct one o;
    begin(&o, state);
    assert_int_equal(open_gate(&o), 0);
    assert_false(o.gate.clients.restricted); /* nothing says that it should be */
    onion_gate_close(&o.gate);
    o.conf.enabled = ONION_CLIENTS_YES;
    assert_int_equal(open_gate(&o), 0);
    assert_true(o.gate.clients.restricted && o.gate.clients.n == 0); /* nobody */
    onion_gate_close(&o.gate);
    assert_int_equal(onion_clients_load(&o.fixed, LINE_A, NULL, &o.d->diag), 0);
    o.conf.enabled = ONION_CLIENTS_AUTO;
    assert_int_equal(open_gate(&o), 0);
    assert_int_equal(o.gate.clients.n, 1);
    onion_gate_close(&o.gate);
    o.conf.enabled = ONION_CLIENTS_NO;
    assert_int_equal(open_gate(&o), NK_ECONFIG);
    onion_gate_close(&o.gate);
    o.conf = (struct onion_gate_conf){.dir = o.folder};
    put(&o, "web/bob.auth", LINE_B);
    assert_int_equal(open_gate(&o), 0);
    assert_int_equal(o.gate.clients.n, 2);
    onion_gate_close(&o.gate);
    char none[NK_PATH_MAX];
    o.conf.dir = (char *)(uintptr_t)hs_testdir_at(o.d, "none", none);
    assert_int_equal(open_gate(&o), -ENOENT); /* a typing error opens nothing */
    finish(&o);
}

/* Sets of keys that change are told, and nothing else; the last client that goes leaves nobody. */
static void watched(void **state)
{
    struct one o;
    char dir[NK_PATH_MAX], file[NK_PATH_MAX];
    begin(&o, state);
    assert_int_equal(open_gate(&o), 0);
    hs_testdir_at(o.d, "web/authorized_clients", dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    wait_told(&o, 1);
    assert_true(o.gate.clients.restricted && o.gate.clients.n == 0);
    put(&o, "web/authorized_clients/alice.auth", LINE_A);
    wait_told(&o, 2);
    assert_int_equal(o.gate.clients.n, 1);
    put(&o, "web/authorized_clients/alice.auth", LINE_A "\n"); /* the same key */
    put(&o, "web/authorized_clients/readme", "x");
    not_told(&o, 2);
    put(&o, "web/authorized_clients/bob.auth", LINE_B);
    wait_told(&o, 3);
    assert_int_equal(unlink(hs_testdir_at(o.d, "web/authorized_clients/alice.auth", file)), 0);
    assert_int_equal(unlink(hs_testdir_at(o.d, "web/authorized_clients/bob.auth", file)), 0);
    wait_told(&o, 4);
    assert_true(o.gate.clients.restricted && o.gate.clients.n == 0);
    assert_int_equal(unlink(hs_testdir_at(o.d, "web/authorized_clients/readme", file)), 0);
    assert_int_equal(rmdir(dir), 0);
    not_told(&o, 4);
    assert_true(o.gate.clients.restricted); /* without its directory, too */

    const struct onion_gate_conf again = {.enabled = ONION_CLIENTS_AUTO},
                                 open = {.enabled = ONION_CLIENTS_NO};
    assert_int_equal(onion_gate_reload(&o.gate, &again, &o.fixed, o.folder, &o.d->diag), 0);
    not_told(&o, 4);
    assert_true(o.gate.clients.restricted);
    assert_int_equal(onion_gate_reload(&o.gate, &open, &o.fixed, o.folder, &o.d->diag), 0);
    wait_told(&o, 5);
    assert_false(o.gate.clients.restricted); /* somebody has said so */
    finish(&o);
}

static void broken(void **state)
{
    struct one o;
    char dir[NK_PATH_MAX];
    begin(&o, state);
    hs_testdir_at(o.d, "web/authorized_clients", dir);
    put(&o, "web/authorized_clients/alice.auth", "HidServAuth x\n");
    assert_int_equal(open_gate(&o), 0);
    assert_true(o.gate.clients.restricted && o.gate.clients.n == 0);
    put(&o, "web/authorized_clients/bob.auth", LINE_B);
    wait_told(&o, 1);
    assert_int_equal(chmod(dir, 0777), 0); /* somebody else could let himself in */
    put(&o, "web/authorized_clients/alice.auth", LINE_A);
    not_told(&o, 1);
    assert_int_equal(o.gate.clients.n, 1);
    assert_int_equal(chmod(dir, 0700), 0);
    wait_told(&o, 2);
    assert_int_equal(o.gate.clients.n, 2);
    finish(&o);
}

int nk_test_onion_gate(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(settings, hs_testdir_open, hs_testdir_close),
        cmocka_unit_test_setup_teardown(watched, hs_testdir_open, hs_testdir_close),
        cmocka_unit_test_setup_teardown(broken, hs_testdir_open, hs_testdir_close),
    };
    return cmocka_run_group_tests_name("onion/gate", tests, NULL, NULL);
}
