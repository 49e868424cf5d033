/* SPDX-License-Identifier: MIT */
#include "tor/conn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/app.h"
#include "core/clock.h"
#include "core/stream.h"
#include "tor/control_testkit.h"

struct one {
    struct tor_kit kit;
    struct tor_conn *conn;
    struct tor_request r[3];
    struct answer {
        bool done;
        int err, code;
        size_t lines, single; /* in the reply; delivered one by one */
        int order;
        struct one *o;
        bool close; /* the connection, from inside */
    } a[3];
    int order, events;
    bool ended, opened, close_in_event;
    int end_err;
    char text[NK_DIAG_TEXT];
};

static void on_reply(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct answer *a = owner;
    assert_false(a->done);
    assert_true((reply != NULL) == (err == 0) && (why != NULL) == (err < 0));
    a->done = true;
    a->err = err;
    a->code = reply ? reply->code : 0;
    a->lines = reply ? reply->n : 0;
    a->order = ++a->o->order;
    if (a->close) {
        tor_conn_close(a->o->conn);
        a->o->conn = NULL;
    }
}

static void on_line(void *owner, const struct tor_line *line)
{
    struct answer *a = owner;
    assert_true(line->kind == '-' || line->kind == '+' || line->kind == '=');
    a->single++;
}

static void on_tor_event(void *owner, const struct tor_reply *event)
{
    struct one *o = owner;
    assert_int_equal(event->code, 650);
    o->events++;
    if (o->close_in_event) {
        tor_conn_close(o->conn);
        o->conn = NULL;
    }
}

static void on_open(void *owner)
{
    struct one *o = owner;
    o->opened = true;
}

static void on_end(void *owner, int err, const struct nk_diag *why)
{
    struct one *o = owner;
    assert_false(o->ended);
    o->ended = true;
    o->end_err = err;
    (void)memcpy(o->text, why->text, sizeof(o->text));
    o->order++;
}

static void begin(struct one *o)
{
    *o = (struct one){0};
    tor_kit_open(&o->kit);
    const struct tor_conn_conf conf = {.app = o->kit.app,
                                       .timeout_ms = 5000,
                                       .on_event = on_tor_event,
                                       .on_open = on_open,
                                       .on_end = on_end,
                                       .owner = o};
    assert_int_equal(tor_conn_new(&o->conn, &conf, o->kit.stream, NULL), 0);
    for (size_t i = 0; i < 3; i++) {
        o->r[i] = (struct tor_request){.fn = on_reply, .owner = &o->a[i]};
        o->a[i].o = o;
    }
}

static void finish(struct one *o)
{
    tor_conn_close(o->conn);
    tor_kit_close(&o->kit);
}

static void send_line(struct one *o, size_t i, const char *line)
{
    assert_int_equal(tor_conn_send(o->conn, &o->r[i], line, NULL, 0, NULL), 0);
    assert_false(o->a[i].done);
}

/* Sent before it is connected; answered in order, each once. */
static void requests(void **state)
{
    struct one o;
    (void)state;
    begin(&o);
    send_line(&o, 0, "GETINFO version");
    send_line(&o, 1, "GETINFO nosuch");
    o.r[2].on_line = on_line;
    assert_int_equal(tor_conn_send(o.conn, &o.r[2], "LOADCONF", "a\n.b", 4, NULL), 0);
    assert_int_equal(tor_conn_pending(o.conn), 3);
    tor_kit_expect(&o.kit, "GETINFO version");
    assert_true(o.opened);
    tor_kit_expect(&o.kit, "GETINFO nosuch");
    tor_kit_expect(&o.kit, "+LOADCONF");
    tor_kit_expect(&o.kit, "a");
    tor_kit_expect(&o.kit, "..b");
    tor_kit_expect(&o.kit, ".");
    tor_kit_say(&o.kit, "250-version=1\r\n250 OK\r\n650 INFO x\r\n552 Unrecognized key\r\n");
    tor_kit_say(&o.kit, "250-a\r\n250+b=\r\nc\r\n.\r\n250 OK\r\n");
    tor_kit_turn(&o.kit, &o.a[2].done);
    assert_true(o.a[0].lines == 2 && o.a[0].code == 250 && o.a[0].order == 1);
    assert_true(o.a[1].lines == 1 && o.a[1].code == 552 && o.a[1].order == 2);
    assert_true(o.a[2].lines == 1 && o.a[2].single == 3 && o.a[2].order == 3);
    assert_int_equal(o.events, 1);
    assert_null(o.r[0].conn);
    finish(&o);
}

static void refused(void **state)
{
    struct one o;
    (void)state;
    begin(&o);
    assert_int_equal(tor_conn_send(o.conn, &o.r[0], "A\r\nB", NULL, 0, NULL), NK_EUSAGE);
    assert_int_equal(
        tor_conn_send(o.conn, &o.r[0], "ADD_ONION NEW:BEST ClientAuth=a", NULL, 0, NULL),
        NK_EUSAGE);
    assert_null(o.r[0].conn);
    assert_int_equal(tor_conn_pending(o.conn), 0);
    finish(&o);
}

/* No answer: the connection is given up, as the next reply would be taken for this one's. */
static void late(void **state)
{
    struct one o;
    (void)state;
    begin(&o);
    o.r[0].timeout_ms = 100;
    send_line(&o, 0, "GETINFO version");
    send_line(&o, 1, "GETINFO version");
    tor_kit_expect(&o.kit, "GETINFO version");
    tor_kit_say(&o.kit, "250-");
    nk_clock_skip(o.kit.app, 99);
    tor_kit_turn(&o.kit, &o.ended);
    assert_int_equal(o.a[0].err, -ETIMEDOUT);
    assert_int_equal(o.a[1].err, -ETIMEDOUT);
    assert_true(o.a[0].order == 1 && o.a[1].order == 2 && o.order == 3);
    assert_int_equal(o.end_err, -ETIMEDOUT);
    assert_int_equal(tor_conn_send(o.conn, &o.r[0], "X", NULL, 0, NULL), NK_ECLOSED);
    finish(&o);
}

/* The clock of a later request runs from its own sending. */
static void in_time(void **state)
{
    struct one o;
    (void)state;
    begin(&o);
    send_line(&o, 0, "GETINFO version");
    tor_kit_expect(&o.kit, "GETINFO version");
    nk_clock_skip(o.kit.app, 4000);
    tor_kit_idle(&o.kit);
    tor_kit_say(&o.kit, "250 OK\r\n");
    tor_kit_turn(&o.kit, &o.a[0].done);
    send_line(&o, 1, "GETINFO version");
    nk_clock_skip(o.kit.app, 4000);
    tor_kit_idle(&o.kit);
    assert_false(o.ended);
    nk_clock_skip(o.kit.app, 1000);
    tor_kit_turn(&o.kit, &o.ended);
    assert_int_equal(o.a[1].err, -ETIMEDOUT);
    finish(&o);
}

static void cancelled(void **state)
{
    struct one o;
    (void)state;
    begin(&o);
    send_line(&o, 0, "A");
    send_line(&o, 1, "B");
    tor_request_cancel(&o.r[0]);
    assert_null(o.r[0].conn);
    tor_request_cancel(&o.r[0]);
    tor_kit_expect(&o.kit, "A");
    tor_kit_say(&o.kit, "250-1\r\n250 OK\r\n250 OK\r\n");
    tor_kit_turn(&o.kit, &o.a[1].done);
    assert_false(o.a[0].done);
    send_line(&o, 0, "C");
    tor_request_cancel(&o.r[0]);
    tor_kit_hangup(&o.kit);
    tor_kit_turn(&o.kit, &o.ended);
    assert_false(o.a[0].done);
    finish(&o);
}

/* The ways a connection ends, and what is said about it. */
static void ends(void **state)
{
    static const struct {
        const char *say;
        int err;
    } cases[] = {{"", NK_ECLOSED},
                 {"250-x\r\n", NK_ETRUNC},
                 {"SSH-2.0-OpenSSH\r\n", NK_EPROTO},
                 {"250 OK\r\n250 OK\r\n250 OK\r\n", NK_EPROTO}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct one o;
        begin(&o);
        send_line(&o, 0, "A");
        send_line(&o, 1, "B");
        tor_kit_expect(&o.kit, "A");
        tor_kit_say(&o.kit, cases[i].say);
        tor_kit_hangup(&o.kit);
        tor_kit_turn(&o.kit, &o.ended);
        assert_int_equal(o.end_err, cases[i].err);
        assert_true(o.text[0] != '\0');
        assert_true(o.a[0].done && o.a[1].done);
        finish(&o);
    }
}

/* Closing from inside its own callbacks ends every callback. */
static void closed_inside(void **state)
{
    struct one o;
    (void)state;
    begin(&o);
    o.a[0].close = true;
    send_line(&o, 0, "A");
    send_line(&o, 1, "B");
    tor_kit_expect(&o.kit, "A");
    tor_kit_say(&o.kit, "250 OK\r\n250 OK\r\n650 INFO x\r\n");
    tor_kit_turn(&o.kit, &o.a[0].done);
    tor_kit_idle(&o.kit);
    assert_true(!o.a[1].done && !o.ended && o.events == 0 && !o.r[1].conn);
    finish(&o);
    begin(&o);
    o.close_in_event = true;
    send_line(&o, 0, "A");
    tor_kit_expect(&o.kit, "A");
    tor_kit_say(&o.kit, "650 INFO x\r\n650 INFO x\r\n250 OK\r\n");
    tor_kit_idle(&o.kit);
    assert_true(!o.a[0].done && o.events == 1);
    finish(&o);
    begin(&o);
    o.a[0].close = true;
    send_line(&o, 0, "A");
    send_line(&o, 1, "B");
    tor_kit_expect(&o.kit, "A");
    tor_kit_hangup(&o.kit);
    tor_kit_turn(&o.kit, &o.a[0].done);
    tor_kit_idle(&o.kit);
    assert_true(!o.a[1].done && !o.ended);
    finish(&o);
}

/* A storm of events: nothing is lost, nothing grows. */
static void storm(void **state)
{
    enum { BATCH = 500, BATCHES = 40 };
    static char text[BATCH * 64];
    struct one o;
    size_t n = 0;
    (void)state;
    begin(&o);
    for (int i = 0; i < BATCH; i++) {
        static const char line[] = "650 BW 1234 5678 DIR=1,2 EXIT=3,4\r\n";
        memcpy(text + n, line, sizeof(line) - 1);
        n += sizeof(line) - 1;
    }
    for (int i = 0; i < BATCHES; i++) {
        tor_kit_put(&o.kit, text, n);
    }
    send_line(&o, 0, "A");
    tor_kit_expect(&o.kit, "A");
    tor_kit_say(&o.kit, "250 OK\r\n");
    tor_kit_turn(&o.kit, &o.a[0].done);
    assert_int_equal(o.events, BATCH * BATCHES);
    finish(&o);
}

int nk_test_tor_conn(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),      cmocka_unit_test(refused),   cmocka_unit_test(late),
        cmocka_unit_test(in_time),       cmocka_unit_test(cancelled), cmocka_unit_test(ends),
        cmocka_unit_test(closed_inside), cmocka_unit_test(storm),
    };
    return cmocka_run_group_tests_name("tor/conn", tests, NULL, NULL);
}
