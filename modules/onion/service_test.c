/* SPDX-License-Identifier: MIT */
/* One service on a control port that plays what each test tells it to. */
#include "onion/service.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/app.h"
#include "tor/control_testkit.h"

int nk_test_onion_service(void);

#define HSDIR "$F8D867EFE7EC94F9BA8E4536CFAE4C7696C118A5~a1"

static char port[] = "80:8080", *port_list[] = {port};

struct scene {
    struct tor_kit kit;
    struct tor_access access;
    struct tor_control *control;
    struct onion_plan plan;
    struct onion_service *service;
    char add[512], label[NK_ONION_LABEL + 1];
    bool ended, published;
    int error;
    struct nk_diag why;
};

static void on_change(void *owner)
{
    struct scene *o = owner;
    o->published = onion_service_state(o->service) == ONION_PUBLISHED;
}

static void on_end(void *owner, int err, const struct nk_diag *why)
{
    struct scene *o = owner;
    assert_false(o->ended);
    o->ended = true;
    o->error = err;
    o->why = *why;
}

static void begin(struct scene *o, char *key)
{
    const struct onion_conf conf = {.ports = {.v = port_list, .n = 1}, .key = key};
    struct nk_diag diag;
    struct nk_buf line;
    memset(o, 0, sizeof(*o));
    tor_kit_listen(&o->kit);
    o->access.control = o->kit.address;
    assert_int_equal(onion_plan_init(&o->plan, &conf, NULL, &diag), 0);
    nk_buf_init_secret(&line, ONION_SPEC_LINE);
    assert_int_equal(onion_spec_add(&line, &o->plan.spec, &diag), 0);
    (void)snprintf(o->add, sizeof(o->add), "%s", nk_buf_str(&line));
    nk_buf_clear(&line);
    (void)snprintf(o->label, sizeof(o->label), "%.*s", NK_ONION_LABEL, o->plan.address);
    const struct tor_control_conf control = {
        .app = o->kit.app, .access = &o->access, .reconnect = true};
    assert_int_equal(tor_control_open(&o->control, &control, &diag), 0);
    const struct onion_service_conf service = {.app = o->kit.app,
                                               .control = o->control,
                                               .plan = &o->plan,
                                               .on_change = on_change,
                                               .on_end = on_end,
                                               .owner = o};
    assert_int_equal(onion_service_open(&o->service, &service, &diag), 0);
}

static void finish(struct scene *o)
{
    onion_service_close(o->service);
    tor_control_close(o->control);
    onion_plan_clear(&o->plan);
    tor_kit_close(&o->kit);
}

/* Events are asked for before the service is added, or they would be missed. */
static void login(struct scene *o)
{
    tor_kit_login(&o->kit);
    tor_kit_expect(&o->kit, "SETEVENTS HS_DESC");
    tor_kit_expect(&o->kit, o->add);
    tor_kit_say(&o->kit, "250 OK\r\n");
}

/* With the service's address between both. */
static void say(struct scene *o, const char *before, const char *after)
{
    char text[512];
    (void)snprintf(text, sizeof(text), "%s%s%s", before, o->label, after);
    tor_kit_say(&o->kit, text);
}

static void publish(struct scene *o)
{
    say(o, "250-ServiceID=", "\r\n250 OK\r\n");
    say(o, "650 HS_DESC UPLOAD ", " UNKNOWN " HSDIR " D1\r\n");
    say(o, "650 HS_DESC UPLOADED ", " UNKNOWN " HSDIR "\r\n");
    tor_kit_turn(&o->kit, &o->published);
    assert_true(onion_service_reached(o->service, ONION_WAIT_ALL));
}

static void expect_delete(struct scene *o)
{
    char line[128];
    (void)snprintf(line, sizeof(line), "DEL_ONION %s", o->label);
    tor_kit_expect(&o->kit, line);
}

static void check_life(void **state)
{
    struct scene o;
    (void)state;
    begin(&o, NULL);
    login(&o);
    publish(&o);
    onion_service_again(o.service); /* dead, or its clients have changed */
    expect_delete(&o);
    tor_kit_say(&o.kit, "250 OK\r\n");
    tor_kit_expect(&o.kit, o.add);
    publish(&o);
    onion_service_drain(o.service);
    expect_delete(&o);
    assert_false(o.ended);
    tor_kit_say(&o.kit, "250 OK\r\n");
    tor_kit_turn(&o.kit, &o.ended);
    assert_int_equal(o.error, 0);
    finish(&o);
}

/* tor is killed before it answers: the same service comes again, and its key's file not before. */
static void check_killed(void **state)
{
    char dir[] = "/tmp/nk-killed-XXXXXX", key[64];
    struct scene o;
    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(key, sizeof(key), "%s/k", dir);
    begin(&o, key);
    for (int i = 0; i < 3; i++) {
        login(&o);
        assert_int_equal(access(key, F_OK), -1);
        if (i == 1) { /* in the middle of its answer */
            say(&o, "250-ServiceID=", "\r\n25");
        }
        if (i < 2) {
            tor_kit_hangup(&o.kit);
        }
    }
    publish(&o);
    assert_int_equal(access(key, F_OK), 0);
    finish(&o);
    assert_int_equal(unlink(key), 0);
    assert_int_equal(rmdir(dir), 0); /* nothing else was left in it */

    assert_int_equal(mkdir(dir, 0700), 0);
    begin(&o, key);
    login(&o);
    tor_kit_hangup(&o.kit);
    tor_kit_idle(&o.kit);
    onion_service_drain(o.service); /* without a tor */
    tor_kit_turn(&o.kit, &o.ended);
    assert_int_equal(o.error, 0);
    finish(&o);
    assert_int_equal(rmdir(dir), 0);
}

/* Its clients change while tor is being told the old ones: they are not what it stays with. */
static void check_changed_meanwhile(void **state)
{
    struct scene o;
    (void)state;
    begin(&o, NULL);
    login(&o);
    onion_service_again(o.service);
    onion_service_again(o.service);
    say(&o, "250-ServiceID=", "\r\n250 OK\r\n");
    expect_delete(&o);
    onion_service_again(o.service); /* nothing was told yet that could be old */
    tor_kit_say(&o.kit, "250 OK\r\n");
    tor_kit_expect(&o.kit, o.add);
    publish(&o);
    tor_kit_idle(&o.kit);
    assert_int_equal(onion_service_state(o.service), ONION_PUBLISHED);
    finish(&o);
}

/* tor goes, and comes back: the same key; the service of the old connection is still there at
 * first. */
static void check_lost(void **state)
{
    struct scene o;
    (void)state;
    begin(&o, NULL);
    login(&o);
    publish(&o);
    tor_kit_hangup(&o.kit);
    login(&o);
    assert_false(o.published);
    tor_kit_say(&o.kit, "550 Onion address collision\r\n");
    tor_kit_expect(&o.kit, o.add);
    publish(&o);
    finish(&o);
}

static void check_refused(void **state)
{
    static const struct {
        const char *reply;
        int error;
    } cases[] = {
        {"512 Tor is in anonymous hidden service mode\r\n", NK_EFORMAT},
        {"550 Onion address collision\r\n", -EEXIST}, /* somebody else has it */
        {"551 Failed to generate key\r\n", NK_EFORMAT},
        {"250 OK\r\n", NK_EPROTO},
        {"250-ServiceID=aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead\r\n250 OK\r\n",
         NK_EPROTO},
        {"250-ServiceID=x\r\n250 OK\r\n", NK_EPROTO},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct scene o;
        begin(&o, NULL);
        login(&o);
        tor_kit_say(&o.kit, cases[i].reply);
        tor_kit_turn(&o.kit, &o.ended);
        assert_int_equal(o.error, cases[i].error);
        assert_true(o.why.text[0] != '\0');
        finish(&o);
    }
}

/* An address whose key nobody has cannot be had again. */
static void check_discarded(void **state)
{
    static char word[] = ONION_KEY_DISCARD;
    struct scene o;
    (void)state;
    begin(&o, word);
    login(&o);
    strcpy(o.label, "aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead");
    publish(&o);
    tor_kit_hangup(&o.kit);
    tor_kit_login(&o.kit);
    tor_kit_turn(&o.kit, &o.ended);
    assert_int_equal(o.error, NK_ECLOSED);
    finish(&o);
}

/* Drained while tor still adds it: it goes all the same. Closed: tor is told, nobody waits. */
static void check_early_end(void **state)
{
    struct scene o;
    (void)state;
    begin(&o, NULL);
    login(&o);
    onion_service_drain(o.service);
    expect_delete(&o);
    say(&o, "250-ServiceID=", "\r\n250 OK\r\n");
    tor_kit_say(&o.kit, "250 OK\r\n");
    tor_kit_turn(&o.kit, &o.ended);
    assert_int_equal(o.error, 0);
    finish(&o);

    begin(&o, NULL);
    login(&o);
    publish(&o);
    onion_service_close(o.service);
    o.service = NULL;
    expect_delete(&o);
    tor_kit_idle(&o.kit);
    assert_false(o.ended);
    finish(&o);
}

int nk_test_onion_service(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_life),      cmocka_unit_test(check_lost),
        cmocka_unit_test(check_refused),   cmocka_unit_test(check_discarded),
        cmocka_unit_test(check_early_end), cmocka_unit_test(check_changed_meanwhile),
        cmocka_unit_test(check_killed),
    };
    return cmocka_run_group_tests_name("onion/service", tests, NULL, NULL);
}
