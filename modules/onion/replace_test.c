/* SPDX-License-Identifier: MIT */
/* A detached service gets other clients, on a control port that plays what each test tells it. */
#include "onion/replace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/app.h"
#include "tor/control_testkit.h"

int nk_test_onion_replace(void);

#define HSDIR "$F8D867EFE7EC94F9BA8E4536CFAE4C7696C118A5~a1"
#define OTHER "aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead"

static char port[] = "80:8080", *port_list[] = {port};

struct scene {
    struct tor_kit kit;
    struct tor_access access;
    struct tor_control *control;
    struct tor_control_watch watch;
    struct onion_plan plan;
    struct onion_replace replace;
    bool there, done; /* steps that were told */
    unsigned steps;
    int error;
    struct nk_diag why;
};

static void on_step(void *owner, int err, const struct nk_diag *why)
{
    struct scene *o = owner;
    o->steps++;
    o->done = o->there;
    o->there = true;
    o->error = err;
    if (err < 0) {
        o->why = *why;
    }
}

static void on_state(void *owner, enum tor_control_state state, int err, const struct nk_diag *why)
{
    struct scene *o = owner;
    struct nk_diag diag;
    (void)err;
    (void)why;
    if (state == TOR_CONTROL_READY) {
        assert_int_equal(
            onion_replace_open(&o->replace, o->kit.app, o->control, &o->plan, on_step, o, &diag),
            0);
    }
}

static void begin(struct scene *o)
{
    const struct onion_conf conf = {.ports = {.v = port_list, .n = 1}, .detach = true};
    struct nk_diag diag;
    memset(o, 0, sizeof(*o));
    tor_kit_listen(&o->kit);
    o->access.control = o->kit.address;
    assert_int_equal(onion_plan_init(&o->plan, &conf, NULL, &diag), 0);
    const struct tor_control_conf control = {.app = o->kit.app, .access = &o->access};
    assert_int_equal(tor_control_open(&o->control, &control, &diag), 0);
    o->watch = (struct tor_control_watch){.fn = on_state, .owner = o};
    tor_control_watch(o->control, &o->watch);
    tor_kit_login(&o->kit);
    tor_kit_expect(&o->kit, "GETINFO onions/detached");
}

static void finish(struct scene *o)
{
    onion_replace_close(&o->replace);
    onion_replace_close(&o->replace);
    tor_control_unwatch(&o->watch);
    tor_control_close(o->control);
    onion_plan_clear(&o->plan);
    tor_kit_close(&o->kit);
}

/* With the label of our service in it. */
static void say(struct scene *o, const char *before, const char *after)
{
    char text[512];
    (void)snprintf(text, sizeof(text), "%s%.*s%s", before, NK_ONION_LABEL, o->plan.address, after);
    tor_kit_say(&o->kit, text);
}

static void expect_add(struct scene *o)
{
    struct nk_buf line;
    struct nk_diag diag;
    nk_buf_init_secret(&line, ONION_SPEC_LINE);
    assert_int_equal(onion_spec_add(&line, &o->plan.spec, &diag), 0);
    assert_non_null(strstr(nk_buf_str(&line), "Flags=Detach"));
    tor_kit_expect(&o->kit, nk_buf_str(&line));
    nk_buf_clear(&line);
}

static void check_replaced(void **state)
{
    struct scene o;
    struct nk_diag diag;
    char line[128];
    (void)state;
    begin(&o);
    say(&o, "250+onions/detached=\r\n" OTHER "\r\n", "\r\n.\r\n250 OK\r\n");
    tor_kit_turn(&o.kit, &o.there);
    assert_int_equal(o.error, 0);
    assert_int_equal(onion_replace_begin(&o.replace, ONION_WAIT_FIRST, on_step, &diag), 0);
    tor_kit_expect(&o.kit, "SETEVENTS HS_DESC");
    (void)snprintf(line, sizeof(line), "DEL_ONION %.*s", NK_ONION_LABEL, o.plan.address);
    tor_kit_say(&o.kit, "250 OK\r\n");
    tor_kit_expect(&o.kit, line);
    tor_kit_say(&o.kit, "250 OK\r\n");
    expect_add(&o);
    say(&o, "250-ServiceID=", "\r\n250 OK\r\n");
    say(&o, "650 HS_DESC UPLOAD ", " UNKNOWN " HSDIR " D1\r\n");
    tor_kit_idle(&o.kit);
    assert_false(o.done);
    say(&o, "650 HS_DESC UPLOADED ", " UNKNOWN " HSDIR "\r\n");
    tor_kit_turn(&o.kit, &o.done);
    assert_int_equal(o.error, 0);
    say(&o, "650 HS_DESC UPLOAD ", " UNKNOWN " HSDIR " D2\r\n");
    say(&o, "650 HS_DESC UPLOADED ", " UNKNOWN " HSDIR "\r\n");
    tor_kit_idle(&o.kit);
    assert_int_equal(o.steps, 2); /* once each */
    finish(&o);                   /* and tor keeps it */
}

/* What tor does not have, or cannot tell of, is not added. */
static void check_absent(void **state)
{
    static const struct {
        const char *answer;
        int error;
    } cases[] = {{"250-onions/detached=\r\n250 OK\r\n", -ENOENT},
                 {"250-onions/detached=" OTHER "\r\n250 OK\r\n", -ENOENT},
                 {"552 Unrecognized key\r\n", NK_EFORMAT}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct scene o;
        begin(&o);
        tor_kit_say(&o.kit, cases[i].answer);
        tor_kit_turn(&o.kit, &o.there);
        assert_int_equal(o.error, cases[i].error);
        finish(&o);
    }
}

/* It is taken away, and cannot be added: that is told. */
static void check_refused(void **state)
{
    struct scene o;
    struct nk_diag diag;
    (void)state;
    begin(&o);
    say(&o, "250-onions/detached=", "\r\n250 OK\r\n");
    tor_kit_turn(&o.kit, &o.there);
    assert_int_equal(onion_replace_begin(&o.replace, ONION_WAIT_NONE, on_step, &diag), 0);
    tor_kit_expect(&o.kit, "SETEVENTS HS_DESC");
    tor_kit_say(&o.kit, "250 OK\r\n");
    char line[128];
    (void)snprintf(line, sizeof(line), "DEL_ONION %.*s", NK_ONION_LABEL, o.plan.address);
    tor_kit_expect(&o.kit, line);
    tor_kit_say(&o.kit, "250 OK\r\n");
    expect_add(&o);
    tor_kit_say(&o.kit, "551 Failed to generate\r\n");
    tor_kit_turn(&o.kit, &o.done);
    assert_int_equal(o.error, NK_EFORMAT);
    assert_non_null(strstr(o.why.text, "551"));
    finish(&o);
}

int nk_test_onion_replace(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_replaced),
        cmocka_unit_test(check_absent),
        cmocka_unit_test(check_refused),
    };
    return cmocka_run_group_tests_name("onion/replace", tests, NULL, NULL);
}
