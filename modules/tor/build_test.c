/* SPDX-License-Identifier: MIT */
/* Circuits on a control port that plays tor. */
#include "tor/build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/app.h"
#include "tor/control_testkit.h"

#define OK "250 OK\r\n"
#define R1 "$0000000000000000000000000000000000000001~r1"
#define R2 "$0000000000000000000000000000000000000002~r2"
#define R3 "$0000000000000000000000000000000000000003~r3"

struct one {
    struct tor_kit kit;
    struct tor_access access;
    struct tor_control *control;
    struct tor_control_watch watch;
    struct tor_build *build;
    bool is_ready, done;
    int err;
    char path[256];
    struct nk_diag why;
};

static void on_state(void *owner, enum tor_control_state state, int err, const struct nk_diag *why)
{
    struct one *o = owner;
    (void)err;
    (void)why;
    o->is_ready = state == TOR_CONTROL_READY;
}

static void on_done(void *owner, int err, const struct tor_event *circuit,
                    const struct nk_diag *why)
{
    struct one *o = owner;
    assert_false(o->done);
    o->done = true;
    o->err = err;
    if (err < 0)
        o->why = *why;
    else
        (void)tor_value_copy(o->path, sizeof o->path, tor_event_get(circuit, "path"));
}

static void begin(struct one *o, const char *id, const char *path)
{
    memset(o, 0, sizeof *o);
    tor_kit_listen(&o->kit);
    o->access.control = o->kit.address;
    const struct tor_control_conf conf = {.app = o->kit.app, .access = &o->access};
    assert_int_equal(tor_control_open(&o->control, &conf, NULL), 0);
    o->watch = (struct tor_control_watch){.fn = on_state, .owner = o};
    tor_control_watch(o->control, &o->watch);
    tor_kit_login(&o->kit);
    tor_kit_turn(&o->kit, &o->is_ready);
    const struct tor_build_conf build = {
        .control = o->control, .id = id, .path = path, .fn = on_done, .owner = o};
    assert_int_equal(tor_build_start(&o->build, &build, NULL), 0);
    tor_kit_expect(&o->kit, "SETEVENTS CIRC");
    tor_kit_say(&o->kit, OK);
}

static void answer(struct one *o, const char *line, const char *reply)
{
    tor_kit_expect(&o->kit, line);
    tor_kit_say(&o->kit, reply);
}

static void end(struct one *o)
{
    tor_control_close(o->control);
    tor_kit_close(&o->kit);
}

static void built(void **state)
{
    struct one o;
    (void)state;
    begin(&o, NULL, "auto");
    answer(&o, "EXTENDCIRCUIT 0",
           "250 EXTENDED 7\r\n650 CIRC 8 BUILT " R1 "\r\n650 CIRC 7 LAUNCHED\r\n"
           "650 CIRC 7 EXTENDED " R1 "\r\n650 CIRC 7 BUILT " R1 "," R2 "\r\n");
    tor_kit_turn(&o.kit, &o.done);
    assert_int_equal(o.err, 0);
    assert_string_equal(o.path, R1 "," R2);
    end(&o);
}

static void failed(void **state)
{
    struct one o;
    (void)state;
    begin(&o, NULL, "r1,r2");
    answer(&o, "EXTENDCIRCUIT 0 r1,r2",
           "250 EXTENDED 7\r\n650 CIRC 7 FAILED " R1
           " REASON=DESTROYED REMOTE_REASON=CHANNEL_CLOSED\r\n");
    tor_kit_turn(&o.kit, &o.done);
    assert_int_equal(o.err, -ECONNABORTED);
    assert_non_null(strstr(o.why.text, "DESTROYED"));
    assert_non_null(strstr(o.why.text, "CHANNEL_CLOSED"));
    end(&o);
}

/* tor's word that the circuit was built may be on its way when it is told to extend it. */
static void built_before_it_is_extended(void **state)
{
    struct one o;
    (void)state;
    begin(&o, "7", "r3");
    answer(&o, "EXTENDCIRCUIT 7 r3",
           "250 EXTENDED 7\r\n650 CIRC 7 BUILT " R1 "," R2 "\r\n"
           "650 CIRC 7 EXTENDED " R1 "," R2 "," R3 "\r\n");
    tor_kit_idle(&o.kit);
    assert_false(o.done);
    tor_kit_say(&o.kit, "650 CIRC 7 BUILT " R1 "," R2 "," R3 "\r\n");
    tor_kit_turn(&o.kit, &o.done);
    assert_int_equal(o.err, 0);
    assert_string_equal(o.path, R1 "," R2 "," R3);
    end(&o);
}

static void nonsense(void **state)
{
    static const char *const replies[] = {"250 OK\r\n", "250 EXTENDED\r\n",
                                          "250 EXTENDED 12345678901234567\r\n"};
    (void)state;
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        struct one o;
        begin(&o, NULL, NULL);
        answer(&o, "EXTENDCIRCUIT 0", replies[i]);
        tor_kit_turn(&o.kit, &o.done);
        assert_int_equal(o.err, NK_EPROTO);
        end(&o);
    }
}

int nk_test_tor_build(void);
int nk_test_tor_build(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(built), cmocka_unit_test(failed),
                                       cmocka_unit_test(built_before_it_is_extended),
                                       cmocka_unit_test(nonsense)};
    return cmocka_run_group_tests_name("tor/build", tests, NULL, NULL);
}
