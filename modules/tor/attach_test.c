/* SPDX-License-Identifier: MIT */
#include "tor/attach.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/app.h"
#include "core/clock.h"
#include "tor/control_testkit.h"

#define ASK "GETCONF __LeaveStreamsUnattached"
#define SET "SETCONF __LeaveStreamsUnattached=1"
#define RESET "RESETCONF __LeaveStreamsUnattached"
#define OK "250 OK\r\n"
#define ZERO "250 __LeaveStreamsUnattached=0\r\n"
#define ONE "250 __LeaveStreamsUnattached=1\r\n"
#define STATUS "GETINFO stream-status"

enum { STREAMS = 2, LOOKS = 20, LOOK_MS = 100 };

struct one {
    struct tor_kit kit;
    struct tor_access access;
    struct tor_control *control;
    struct tor_control_watch watch;
    bool is_ready;
    struct bound {
        struct tor_attach *a;
        char user[TOR_ATTACH_USER];
        bool ready, failed;
        int err;
        struct nk_diag why;
    } s[STREAMS];
};

static void on_state(void *owner, enum tor_control_state state, int err, const struct nk_diag *why)
{
    struct one *o = owner;
    (void)err;
    (void)why;
    o->is_ready = state == TOR_CONTROL_READY;
}

static void on_ready(void *owner)
{
    struct bound *b = owner;
    assert_false(b->ready);
    b->ready = true;
}

static void on_failed(void *owner, int err, const struct nk_diag *why)
{
    struct bound *b = owner;
    assert_false(b->failed);
    b->failed = true;
    b->err = err;
    b->why = *why;
}

static void begin(struct one *o, bool reconnect)
{
    memset(o, 0, sizeof *o);
    tor_kit_listen(&o->kit);
    o->access.control = o->kit.address;
    const struct tor_control_conf conf = {
        .app = o->kit.app, .access = &o->access, .reconnect = reconnect};
    assert_int_equal(tor_control_open(&o->control, &conf, NULL), 0);
    o->watch = (struct tor_control_watch){.fn = on_state, .owner = o};
    tor_control_watch(o->control, &o->watch);
    tor_kit_login(&o->kit);
    tor_kit_turn(&o->kit, &o->is_ready);
}

static void start(struct one *o, size_t i, const char *circuit)
{
    struct bound *b = &o->s[i];
    tor_attach_user(b->user);
    const struct tor_attach_conf conf = {.app = o->kit.app,
                                         .control = o->control,
                                         .circuit = circuit,
                                         .user = b->user,
                                         .ready = on_ready,
                                         .failed = on_failed,
                                         .owner = b};
    assert_int_equal(tor_attach_start(&b->a, &conf, NULL), 0);
    assert_false(b->ready || b->failed);
}

/* Say text, with the user name for each '@'. */
static void say(struct one *o, const char *text, const char *user)
{
    char out[512];
    size_t n = 0;
    for (; *text; text++) {
        size_t len = *text == '@' ? strlen(user) : 1;
        assert_true(n + len < sizeof out);
        memcpy(out + n, *text == '@' ? user : text, len);
        n += len;
    }
    tor_kit_put(&o->kit, out, n);
}

/* tor answers the command that comes next. */
static void answer(struct one *o, const char *line, const char *reply)
{
    tor_kit_expect(&o->kit, line);
    tor_kit_say(&o->kit, reply);
}

/* The first stream of an attacher, until it may begin. */
static void take_over(struct one *o)
{
    answer(o, "SETEVENTS STREAM", OK);
    answer(o, ASK, ZERO);
    answer(o, SET, OK);
    tor_kit_turn(&o->kit, &o->s[0].ready);
}

/* The last one is gone. */
static void give_back(struct one *o)
{
    answer(o, RESET, OK);
    answer(o, STATUS, "250-stream-status=\r\n250 OK\r\n");
    answer(o, "SETEVENTS", OK);
}

static void finish(struct one *o)
{
    tor_kit_idle(&o->kit);
    for (size_t i = 0; i < STREAMS; i++)
        tor_attach_end(o->s[i].a);
    tor_kit_idle(&o->kit);
    tor_control_close(o->control);
    tor_kit_close(&o->kit);
}

static void one_is_bound_and_others_are_handed_back(void **state)
{
    struct one o;
    (void)state;
    begin(&o, false);
    start(&o, 0, "7");
    take_over(&o);
    tor_kit_say(&o.kit, "650 STREAM 20 NEW 0 a.test:80 PURPOSE=USER\r\n"
                        "650 STREAM 20 CONTROLLER_WAIT 0 a.test:80\r\n");
    answer(&o, "ATTACHSTREAM 20 0", "552 Unknown stream \"20\"\r\n");
    say(&o,
        "650 STREAM 21 NEW 0 b.test:80 SOCKS_USERNAME=\"@\"\r\n"
        "650 STREAM 22 NEW 0 c.test:80 PURPOSE=DIR_FETCH\r\n",
        o.s[0].user);
    say(&o, "650 STREAM 21 CONTROLLER_WAIT 0 b.test:80 SOCKS_USERNAME=\"@\"\r\n", o.s[0].user);
    answer(&o, "ATTACHSTREAM 21 7", OK);
    say(&o, "650 STREAM 21 DETACHED 7 b.test:80 REASON=TIMEOUT SOCKS_USERNAME=\"@\"\r\n",
        o.s[0].user);
    say(&o, "650 STREAM 21 CONTROLLER_WAIT 0 b.test:80 SOCKS_USERNAME=\"@\"\r\n", o.s[0].user);
    answer(&o, "ATTACHSTREAM 21 7", OK);
    say(&o, "650 STREAM 21 SENTCONNECT 7 b.test:80 SOCKS_USERNAME=\"@\"\r\n", o.s[0].user);
    say(&o, "650 STREAM 21 SUCCEEDED 7 b.test:80 SOCKS_USERNAME=\"@\"\r\n", o.s[0].user);
    answer(&o, RESET, OK);
    /* one that came just before goes back, too */
    answer(&o, STATUS, "250-stream-status=30 NEW 0 d.test:80\r\n250 OK\r\n");
    answer(&o, "ATTACHSTREAM 30 0", OK);
    answer(&o, "SETEVENTS", OK);
    assert_false(o.s[0].failed);
    finish(&o);
}

static void several_share_one_attacher(void **state)
{
    struct one o;
    (void)state;
    begin(&o, false);
    start(&o, 0, "7");
    start(&o, 1, "8");
    take_over(&o);
    tor_kit_turn(&o.kit, &o.s[1].ready);
    assert_string_not_equal(o.s[0].user, o.s[1].user);
    tor_attach_end(o.s[0].a);
    o.s[0].a = NULL;
    say(&o, "650 STREAM 5 CONTROLLER_WAIT 0 b.test:80 SOCKS_USERNAME=\"@\"\r\n", o.s[1].user);
    answer(&o, "ATTACHSTREAM 5 8", OK);
    say(&o, "650 STREAM 5 SUCCEEDED 8 b.test:80 SOCKS_USERNAME=\"@\"\r\n", o.s[1].user);
    tor_kit_expect(&o.kit, RESET);
    o.s[0].ready = false;
    start(&o, 0, "9"); /* while it is given back */
    tor_kit_say(&o.kit, OK);
    answer(&o, ASK, ZERO);
    answer(&o, SET, OK);
    tor_kit_turn(&o.kit, &o.s[0].ready);
    tor_attach_end(o.s[0].a);
    o.s[0].a = NULL;
    give_back(&o);
    finish(&o);
}

static void failures(void **state)
{
    static const struct {
        const char *event, *reply; /* instead of each other */
        const char *text;
    } cases[] = {
        {NULL, "552 Unknown circuit \"7\"\r\n", "circuit 7: tor says: 552"},
        {"650 STREAM 21 DETACHED 7 b.test:80 REASON=END REMOTE_REASON=EXITPOLICY "
         "SOCKS_USERNAME=\"@\"\r\n",
         OK, "the exit's reason: EXITPOLICY"},
        {"650 STREAM 21 FAILED 7 b.test:80 REASON=DESTROY SOCKS_USERNAME=\"@\"\r\n", OK,
         "circuit 7 failed: DESTROY"},
        {"650 STREAM 21 CLOSED 7 b.test:80 SOCKS_USERNAME=\"@\"\r\n", OK, "no reason given"},
        {"650 STREAM 21 SENTCONNECT 6 b.test:80 SOCKS_USERNAME=\"@\"\r\n", OK, "elsewhere"},
        {"650 STREAM 21 SUCCEEDED 77 b.test:80 SOCKS_USERNAME=\"@\"\r\n", OK, "elsewhere"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct one o;
        begin(&o, false);
        start(&o, 0, "7");
        take_over(&o);
        say(&o, "650 STREAM 21 CONTROLLER_WAIT 0 b.test:80 SOCKS_USERNAME=\"@\"\r\n", o.s[0].user);
        answer(&o, "ATTACHSTREAM 21 7", cases[i].reply);
        if (cases[i].event)
            say(&o, cases[i].event, o.s[0].user);
        tor_kit_turn(&o.kit, &o.s[0].failed);
        assert_int_equal(o.s[0].err, -ECONNABORTED);
        assert_non_null(strstr(o.s[0].why.text, cases[i].text));
        give_back(&o);
        finish(&o);
    }
}

static void somebody_else_attaches(void **state)
{
    struct one o;
    (void)state;
    begin(&o, false);
    start(&o, 0, "7");
    start(&o, 1, "8");
    answer(&o, "SETEVENTS STREAM", OK);
    answer(&o, ASK, ONE);
    for (int i = 0; i < LOOKS; i++) { /* it may be another one that is done in a moment */
        tor_kit_idle(&o.kit);
        assert_false(o.s[0].failed);
        nk_clock_skip(o.kit.app, LOOK_MS);
        answer(&o, ASK, ONE);
    }
    tor_kit_turn(&o.kit, &o.s[0].failed);
    assert_true(o.s[1].failed);
    assert_int_equal(o.s[1].err, -EBUSY);
    assert_non_null(strstr(o.s[0].why.text, "another controller"));
    answer(&o, "SETEVENTS", OK); /* and the option stays as it is */
    finish(&o);
}

static void another_netkit_is_waited_for(void **state)
{
    struct one o;
    (void)state;
    begin(&o, false);
    start(&o, 0, "7");
    answer(&o, "SETEVENTS STREAM", OK);
    answer(&o, ASK, ONE);
    tor_kit_idle(&o.kit);
    nk_clock_skip(o.kit.app, LOOK_MS);
    answer(&o, ASK, ZERO);
    answer(&o, SET, OK);
    tor_kit_turn(&o.kit, &o.s[0].ready);
    /* should both have set it, each leaves the other's streams alone */
    tor_kit_say(&o.kit, "650 STREAM 4 CONTROLLER_WAIT 0 a.test:80 "
                        "SOCKS_USERNAME=\"netkit-circuit-00112233445566778899aabbccddeeff\"\r\n"
                        "650 STREAM 5 CONTROLLER_WAIT 0 a.test:80 SOCKS_USERNAME=\"me\"\r\n");
    answer(&o, "ATTACHSTREAM 5 0", OK);
    /* one that gives up while it waits leaves nothing behind */
    tor_attach_end(o.s[0].a);
    o.s[0].a = NULL;
    give_back(&o);
    start(&o, 1, "8");
    answer(&o, "SETEVENTS STREAM", OK);
    answer(&o, ASK, ONE);
    tor_kit_idle(&o.kit);
    tor_attach_end(o.s[1].a);
    o.s[1].a = NULL;
    answer(&o, "SETEVENTS", OK);
    finish(&o);
}

/* Nobody wants the circuit any more before it is built. */
static void a_circuit_that_is_being_built_is_closed(void **state)
{
    struct one o;
    (void)state;
    begin(&o, false);
    start(&o, 0, "r1,r2"); /* tor has named it */
    answer(&o, "SETEVENTS CIRC", OK);
    answer(&o, "EXTENDCIRCUIT 0 r1,r2 purpose=controller", "250 EXTENDED 12\r\n");
    tor_kit_idle(&o.kit);
    tor_attach_end(o.s[0].a);
    o.s[0].a = NULL;
    answer(&o, "SETEVENTS", OK);
    answer(&o, "CLOSECIRCUIT 12", OK);
    tor_kit_idle(&o.kit);
    start(&o, 0, "r1,r2"); /* tor has not answered */
    answer(&o, "SETEVENTS CIRC", OK);
    tor_kit_expect(&o.kit, "EXTENDCIRCUIT 0 r1,r2 purpose=controller");
    tor_attach_end(o.s[0].a);
    o.s[0].a = NULL;
    tor_kit_expect(&o.kit, "SETEVENTS");
    tor_kit_say(&o.kit, "250 EXTENDED 13\r\n" OK);
    answer(&o, "CLOSECIRCUIT 13", OK);
    start(&o, 1, "r1,r2"); /* the same, and tor refuses it */
    answer(&o, "SETEVENTS CIRC", OK);
    tor_kit_expect(&o.kit, "EXTENDCIRCUIT 0 r1,r2 purpose=controller");
    tor_attach_end(o.s[1].a);
    o.s[1].a = NULL;
    tor_kit_expect(&o.kit, "SETEVENTS");
    tor_kit_say(&o.kit, "552 No such router \"r1\"\r\n" OK);
    finish(&o);
}

static void a_circuit_is_built_and_closed_when_it_is_for_nothing(void **state)
{
    struct one o;
    (void)state;
    begin(&o, false);
    start(&o, 0, "r1,r2");
    answer(&o, "SETEVENTS CIRC", OK);
    answer(&o, "EXTENDCIRCUIT 0 r1,r2 purpose=controller", "250 EXTENDED 12\r\n");
    tor_kit_say(&o.kit, "650 CIRC 12 BUILT $0000000000000000000000000000000000000001~r1\r\n");
    answer(&o, "SETEVENTS STREAM", OK);
    answer(&o, ASK, ZERO);
    answer(&o, SET, OK);
    tor_kit_turn(&o.kit, &o.s[0].ready);
    say(&o, "650 STREAM 21 CONTROLLER_WAIT 0 b.test:80 SOCKS_USERNAME=\"@\"\r\n", o.s[0].user);
    answer(&o, "ATTACHSTREAM 21 12", OK);
    tor_attach_end(o.s[0].a);
    o.s[0].a = NULL;
    answer(&o, "CLOSECIRCUIT 12", OK);
    give_back(&o);
    start(&o, 1, "r1,nobody");
    answer(&o, "SETEVENTS CIRC", OK);
    answer(&o, "EXTENDCIRCUIT 0 r1,nobody purpose=controller", "552 No such router \"nobody\"\r\n");
    tor_kit_turn(&o.kit, &o.s[1].failed);
    finish(&o);
}

static void a_connection_that_comes_back(void **state)
{
    struct one o;
    (void)state;
    begin(&o, true);
    start(&o, 0, "7");
    take_over(&o);
    o.is_ready = false;
    tor_kit_login(&o.kit); /* the first one is hung up */
    answer(&o, "SETEVENTS STREAM", OK);
    answer(&o, ASK, ONE); /* ours */
    answer(&o, SET, OK);
    tor_kit_expect(&o.kit, STATUS);
    say(&o,
        "250+stream-status=\r\n3 SUCCEEDED 4 a.test:80\r\n4 NEW 0 a.test:80\r\n"
        "5 NEW 0 b.test:80 SOCKS_USERNAME=\"@\"\r\n.\r\n250 OK\r\n",
        o.s[0].user);
    tor_kit_expect(&o.kit, "ATTACHSTREAM 4 0");
    tor_kit_expect(&o.kit, "ATTACHSTREAM 5 7");
    /* the events about the same come behind it, and change nothing */
    tor_kit_say(&o.kit, "650 STREAM 4 CONTROLLER_WAIT 0 a.test:80\r\n" OK OK);
    tor_attach_end(o.s[0].a);
    o.s[0].a = NULL;
    tor_kit_expect(&o.kit, RESET);
    tor_kit_login(&o.kit); /* lost before it is answered: once more */
    answer(&o, "SETEVENTS STREAM", OK);
    give_back(&o);
    finish(&o);
}

static void the_end_of_the_program(void **state)
{
    struct one o;
    (void)state;
    begin(&o, true);
    start(&o, 0, "7");
    take_over(&o);
    tor_control_close(o.control); /* under its feet */
    tor_attach_end(o.s[0].a);
    tor_kit_close(&o.kit);
}

static void circuits_in_words(void **state)
{
    (void)state;
    assert_int_equal(tor_attach_check("12", NULL), 0);
    assert_int_equal(tor_attach_check("auto", NULL), 0);
    assert_int_equal(tor_attach_check("r1,*,$0000000000000000000000000000000000000001", NULL), 0);
    assert_int_equal(tor_attach_check("", NULL), NK_EUSAGE);
    assert_int_equal(tor_attach_check("1\r\n2", NULL), NK_EUSAGE);
    assert_int_equal(tor_attach_check("a b", NULL), NK_EUSAGE);
}

int nk_test_tor_attach(void);
int nk_test_tor_attach(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_is_bound_and_others_are_handed_back),
        cmocka_unit_test(several_share_one_attacher),
        cmocka_unit_test(failures),
        cmocka_unit_test(somebody_else_attaches),
        cmocka_unit_test(another_netkit_is_waited_for),
        cmocka_unit_test(a_circuit_that_is_being_built_is_closed),
        cmocka_unit_test(a_circuit_is_built_and_closed_when_it_is_for_nothing),
        cmocka_unit_test(a_connection_that_comes_back),
        cmocka_unit_test(the_end_of_the_program),
        cmocka_unit_test(circuits_in_words),
    };
    return cmocka_run_group_tests_name("tor/attach", tests, NULL, NULL);
}
