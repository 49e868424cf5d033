/* SPDX-License-Identifier: MIT */
/*
 * A tor that is a shell script, started through a real launcher; its control port is played by the
 * test. Time is skipped, not waited for.
 */
#include "tor/launch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "core/app.h"
#include "core/clock.h"
#include "core/launcher.h"
#include "tor/control_testkit.h"
#include "torture.h"

int nk_test_tor_launch(void);

#define OK "250 OK\r\n"
#define LISTENS "echo 'Nov 21 09:19:51.376 [notice] Opened Control listener connection (ready)'\n"
#define STAYS "exec sleep 60\n"
#define DONE "PROGRESS=100 TAG=done SUMMARY=\"Done\""

enum { TURN_MS = 50, TURNS = 400, LONG_MS = 60 * 1000 };

struct scene {
    struct nk_launcher *launcher;
    struct tor_kit kit;
    char dir[64], binary[128], socket[2][128]; /* socket: where the kit has it, where tor has */
    struct tor_launch *l;
    unsigned progress;
    bool open, ready, ended, close_in_fn;
    int err;
    struct nk_diag why;
};

static void on_launch(void *owner, enum tor_launch_event what, int err, const struct nk_diag *why)
{
    struct scene *o = owner;
    assert_false(o->ended);
    o->open = o->open || what == TOR_LAUNCH_OPEN;
    o->ready = o->ready || what == TOR_LAUNCH_READY;
    o->progress += what == TOR_LAUNCH_PROGRESS;
    if (what == TOR_LAUNCH_ENDED) {
        o->ended = true;
        o->err = err;
        o->why = why ? *why : (struct nk_diag){.code = 0};
    }
    if (o->close_in_fn) {
        tor_launch_close(o->l);
        o->l = NULL;
    }
}

static void write_script(const struct scene *o, const char *body)
{
    FILE *file = fopen(o->binary, "w");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\n%s", body);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(o->binary, 0700), 0);
}

/* The launcher is forked before anything else is there. */
static void open_scene(struct scene *o, const char *body)
{
    memset(o, 0, sizeof(*o));
    assert_int_equal(nk_launcher_start(&o->launcher, NULL), 0);
    const struct nk_app_conf conf = {.launcher = o->launcher};
    tor_kit_listen(&o->kit);
    nk_app_free(o->kit.app);
    assert_int_equal(nk_app_new(&o->kit.app, &conf, NULL), 0);
    (void)snprintf(o->dir, sizeof(o->dir), "/tmp/netkit-launch-XXXXXX");
    assert_non_null(mkdtemp(o->dir));
    (void)snprintf(o->socket[0], sizeof(o->socket[0]), "%s/control", o->kit.dir);
    (void)snprintf(o->socket[1], sizeof(o->socket[1]), "%s/control.sock", o->dir);
    assert_int_equal(rename(o->socket[0], o->socket[1]), 0);
    (void)snprintf(o->binary, sizeof(o->binary), "%s/tor", o->dir);
    write_script(o, body);
}

static int start(struct scene *o, uint64_t timeout_ms)
{
    const struct tor_launch_conf conf = {
        .binary = o->binary, .dir = o->dir, .timeout_ms = timeout_ms, .fn = on_launch, .owner = o};
    return tor_launch_start(o->kit.app, &conf, &o->l, &o->why);
}

static void begin(struct scene *o, const char *body, uint64_t timeout_ms)
{
    open_scene(o, body);
    assert_int_equal(start(o, timeout_ms), 0);
    assert_false(o->open || o->ended);
}

static void end(struct scene *o)
{
    tor_launch_close(o->l);
    tor_kit_idle(&o->kit);
    assert_int_equal(rename(o->socket[1], o->socket[0]), 0);
    tor_kit_close(&o->kit);
    nk_launcher_free(o->launcher);
    assert_int_equal(nk_remove_tree(o->dir), 0);
}

static void answer(struct scene *o, const char *line, const char *reply)
{
    tor_kit_expect(&o->kit, line);
    tor_kit_say(&o->kit, reply);
}

static void own_until_enabled(struct scene *o)
{
    tor_kit_login(&o->kit);
    answer(o, "SETEVENTS STATUS_CLIENT", OK);
    answer(o, "TAKEOWNERSHIP", OK);
    answer(o, "RESETCONF __OwningControllerProcess", OK);
    answer(o, "SETCONF DisableNetwork=0", OK);
}

static void from_start_to_end(void **state)
{
    struct scene o;
    struct nk_buf torrc;
    char path[256];
    (void)state;
    begin(&o, LISTENS STAYS, 0);
    own_until_enabled(&o);
    answer(&o, "GETINFO net/listeners/socks", "250-net/listeners/socks=\"127.0.0.1:9150\"\r\n" OK);
    answer(&o, "GETINFO status/bootstrap-phase",
           "250-status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY=\"a\"\r\n" OK);
    tor_kit_turn(&o.kit, &o.open);
    assert_false(o.ready);
    assert_int_equal(o.progress, 1);
    for (int i = 0; i < TURNS && tor_launch_pid(o.l) == 0; i++) {
        (void)nk_app_turn(o.kit.app, TURN_MS); /* the launcher's word comes on another way */
    }
    assert_true(tor_launch_pid(o.l) > 0);
    assert_non_null(tor_launch_control(o.l));
    /* an older phase comes late and counts for nothing */
    tor_kit_say(&o.kit, "650 STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=0 TAG=x SUMMARY=\"b\"\r\n"
                        "650 STATUS_CLIENT NOTICE BOOTSTRAP " DONE "\r\n");
    tor_kit_turn(&o.kit, &o.ready);
    assert_int_equal(o.progress, 2);
    assert_string_equal(tor_launch_socks(o.l), "tcp:127.0.0.1:9150");
    /* what a reload would read has the network enabled */
    nk_buf_init(&torrc, 1 << 16);
    (void)snprintf(path, sizeof(path), "%s/torrc", o.dir);
    assert_int_equal(nk_file_read(path, 0, &torrc, NULL), 0);
    assert_null(strstr(nk_buf_str(&torrc), "DisableNetwork 1"));
    nk_buf_clear(&torrc);
    tor_launch_end(o.l);
    tor_kit_turn(&o.kit, &o.ended);
    assert_int_equal(o.err, 0);
    assert_int_equal(tor_launch_pid(o.l), 0);
    end(&o);
}

static void ends_by_itself(void **state)
{
    static const struct {
        const char *body, *text;
        int err;
    } cases[] = {
        {"echo 'Nov 21 09:19:51.376 [err] Something new'; exit 1\n", "Something new", NK_ECLOSED},
        {"exit 3\n", "status 3", NK_ECLOSED},
        {"kill -9 $$\n", "signal 9", NK_ECLOSED},
        {"exit 0\n", "status 0", NK_ECLOSED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct scene o;
        begin(&o, cases[i].body, 0);
        tor_kit_turn(&o.kit, &o.ended);
        assert_int_equal(o.err, cases[i].err);
        assert_non_null(strstr(o.why.text, cases[i].text));
        end(&o);
    }
}

static void silent(void **state)
{
    struct scene o;
    (void)state;
    begin(&o, STAYS, LONG_MS);
    tor_kit_idle(&o.kit);
    nk_clock_skip(o.kit.app, LONG_MS + 1);
    tor_kit_turn(&o.kit, &o.ended);
    assert_int_equal(o.err, -ETIMEDOUT);
    assert_non_null(strstr(o.why.text, "0 % (starting)"));
    end(&o);
}

/* One that takes no notice of TERM is killed. */
static void stubborn(void **state)
{
    struct scene o;
    (void)state;
    begin(&o, "trap '' TERM\n" LISTENS "while :; do sleep 60 & wait; done\n", 0);
    own_until_enabled(&o); /* so it has come that far */
    tor_launch_end(o.l);
    tor_kit_idle(&o.kit);
    assert_false(o.ended);
    nk_clock_skip(o.kit.app, LONG_MS);
    tor_kit_turn(&o.kit, &o.ended);
    assert_int_equal(o.err, 0);
    end(&o);
}

static void refusals(void **state)
{
    static const char *const steps[] = {"TAKEOWNERSHIP", "RESETCONF __OwningControllerProcess",
                                        "SETCONF DisableNetwork=0"};
    (void)state;
    for (size_t refused = 0; refused < 3; refused++) {
        struct scene o;
        begin(&o, LISTENS STAYS, 0);
        tor_kit_login(&o.kit);
        answer(&o, "SETEVENTS STATUS_CLIENT", OK);
        for (size_t i = 0; i < refused; i++) {
            answer(&o, steps[i], OK);
        }
        answer(&o, steps[refused], "553 Transition not allowed\r\n");
        tor_kit_turn(&o.kit, &o.ended);
        assert_int_equal(o.err, NK_EPROTO);
        assert_non_null(strstr(o.why.text, steps[refused]));
        assert_non_null(strstr(o.why.text, "Transition not allowed"));
        assert_false(o.open);
        end(&o);
    }
}

static void connection_is_lost(void **state)
{
    struct scene o;
    (void)state;
    begin(&o, LISTENS STAYS, 0);
    own_until_enabled(&o);
    tor_kit_hangup(&o.kit);
    tor_kit_turn(&o.kit, &o.ended);
    assert_true(o.err < 0);
    end(&o);
}

static void closed_inside_of_fn(void **state)
{
    struct scene o;
    (void)state;
    begin(&o, "exit 1\n", 0);
    o.close_in_fn = true;
    tor_kit_turn(&o.kit, &o.ended);
    assert_null(o.l);
    end(&o);
}

static void what_cannot_be_started(void **state)
{
    struct scene o;
    (void)state;
    open_scene(&o, "exit 1\n");
    assert_int_equal(unlink(o.binary), 0);
    assert_int_equal(start(&o, 0), NK_ENOCMD);
    write_script(&o, "exit 1\n");
    assert_int_equal(chmod(o.binary, 0600), 0);
    assert_int_equal(start(&o, 0), NK_ENOCMD);
    assert_null(o.l);
    end(&o);
}

/* Started, ended by itself, closed. */
static int run_once(void *arg)
{
    struct scene *o = arg;
    o->l = NULL;
    o->ended = false;
    int rc = start(o, 0);
    for (int i = 0; rc == 0 && i < TURNS && !o->ended; i++) {
        nk_app_turn(o->kit.app, TURN_MS);
    }
    if (rc == 0) {
        rc = !o->ended ? 1 : o->err == NK_ECLOSED ? 0 : o->err;
    }
    tor_launch_close(o->l);
    nk_app_turn(o->kit.app, 0);
    return rc;
}

static void without_memory(void **state)
{
    struct scene o;
    (void)state;
    open_scene(&o, "exit 3\n");
    assert_int_equal(run_once(&o), 0); /* what the app keeps is there from now on */
    assert_true(nk_torture(run_once, &o) >= 3);
    o.l = NULL;
    end(&o);
}

int nk_test_tor_launch(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_start_to_end),
        cmocka_unit_test(ends_by_itself),
        cmocka_unit_test(silent),
        cmocka_unit_test(stubborn),
        cmocka_unit_test(refusals),
        cmocka_unit_test(connection_is_lost),
        cmocka_unit_test(closed_inside_of_fn),
        cmocka_unit_test(what_cannot_be_started),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests_name("tor/launch", tests, NULL, NULL);
}
