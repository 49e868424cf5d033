/* SPDX-License-Identifier: MIT */
/* A whole connection over a socket, against a server in the same loop: logins, refusals, deadlines,
 * ends at any byte and in any callback, replies that nobody reads, memory that is not there. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/app.h"
#include "core/clock.h"
#include "core/stream.h"
#include "core/work.h"
#include "ssh/channel.h"
#include "ssh/conn_impl.h"
#include "ssh/conn_testkit.h"
#include "torture.h"

int nk_test_ssh_conn(void);

enum {
    TURNS = 20000,
    CHUNK = 64 * 1024,
    BULK = 3 * 1024 * 1024,
    REKEYS = 8,
    PLENTY = 1000000,
    PARTS = 6,
    PART = 4000
};

/* --- tests ------------------------------------------------------------------------------------ */

static void test_echo(void **state)
{
    (void)state;
    for (int late = 0; late <= 1; late++) {
        struct ssh_world w;
        ssh_world_init(&w);
        w.total = BULK;
        w.late = late;
        w.only_password = true;
        w.conf.rekey_bytes = 256 * 1024;
        assert_int_equal(ssh_world_open(&w), 0);
        ssh_world_run(&w);
        assert_int_equal(w.closes, 0);
        assert_int_equal(w.host_keys, 1);
        assert_int_equal(w.questions, 1);
        assert_int_equal(w.opens, 1);
        assert_int_equal(w.channel_ends, 1);
        assert_int_equal(w.came, BULK);
        assert_true(ssh_transport_rekeys(ssh_conn_transport(w.conn)) >= REKEYS);
        assert_int_equal(w.host_keys, 1);
        ssh_world_clear(&w);
    }
}

/* With one known key the login is on its way with NEWKEYS, and nobody is asked. */
static void test_key(void **state)
{
    struct ssh_world w;
    struct nk_diag diag = {0};
    (void)state;
    ssh_world_init(&w);
    assert_int_equal(ssh_private_generate(&ssh_key_types[0], 0, "", &w.conf.key, &diag), 0);
    assert_int_equal(ssh_world_open(&w), 0);
    ssh_world_run(&w);
    assert_int_equal(w.opens, 1);
    assert_int_equal(w.questions, 0);
    ssh_private_unref(w.conf.key);
    ssh_world_clear(&w);
}

static void ends_with(struct ssh_world *w, int rc, const char *word)
{
    assert_int_equal(ssh_world_open(w), 0);
    ssh_world_run(w);
    assert_int_equal(w->closes, 1);
    assert_int_equal(w->rc, rc);
    assert_int_equal(w->why.code, rc);
    assert_non_null(strstr(w->why.text, word));
    assert_int_equal(w->opens, 0);
    ssh_world_clear(w);
}

static void test_refusals(void **state)
{
    struct ssh_world w;
    (void)state;
    for (int late = 0; late <= 1; late++) {
        ssh_world_init(&w);
        w.late = late;
        w.k.answer = NK_EVERIFY;
        ends_with(&w, NK_EVERIFY, "refused");
    }
    ssh_world_init(&w);
    w.only_password = true;
    w.questions = 1; /* the application has nothing */
    ends_with(&w, NK_EAUTH, "permission denied");
    ssh_world_init(&w);
    w.k.kex = "diffie-hellman-group1-sha1";
    ends_with(&w, NK_EPROTO, "in common");
    assert_int_equal(nk_exit_code(NK_EPROTO), NK_EXIT_PROTOCOL);
    assert_int_equal(nk_exit_code(NK_EAUTH), NK_EXIT_DENIED);
}

static void test_deadlines(void **state)
{
    (void)state;
    for (int login = 0; login <= 1; login++) {
        struct ssh_world w;
        ssh_world_init(&w);
        w.deaf = !login;
        w.k.ident = login ? w.k.ident : "";
        w.silent = true;
        assert_int_equal(ssh_world_open(&w), 0);
        for (int i = 0; i < 200; i++) {
            (void)ssh_world_turn(&w);
        }
        assert_int_equal(w.closes, 0);
        nk_clock_skip(w.app, (login ? SSH_CONN_LOGIN_MS : SSH_CONN_CONNECT_MS) + 1);
        ssh_world_run(&w);
        assert_int_equal(w.rc, -ETIMEDOUT);
        assert_non_null(strstr(w.why.text, login ? "let us in" : "answer"));
        ssh_world_clear(&w);
    }
}

/* Whoever is asked has all the time. */
static void test_patience(void **state)
{
    struct ssh_world w;
    (void)state;
    ssh_world_init(&w);
    w.late = true;
    assert_int_equal(ssh_world_open(&w), 0);
    for (int i = 0; i < TURNS && w.host_keys == 0; i++) {
        ssh_world_receive(&w);
        ssh_world_send(&w);
        (void)nk_app_turn(w.app, 0);
    }
    assert_int_equal(w.host_keys, 1);
    nk_clock_skip(w.app, 10u * SSH_CONN_LOGIN_MS);
    for (int i = 0; i < 20; i++) {
        (void)nk_app_turn(w.app, 0);
    }
    assert_int_equal(w.closes, 0);
    ssh_world_run(&w);
    assert_int_equal(w.opens, 1);
    ssh_world_clear(&w);
}

static void test_close_anywhere(void **state)
{
    (void)state;
    for (int at = SSH_WORLD_IN_HOST_KEY; at < SSH_WORLD_PLACES; at++) {
        struct ssh_world w;
        ssh_world_init(&w);
        w.only_password = true;
        w.total = at == SSH_WORLD_IN_DATA ? CHUNK : 0;
        w.leave = (enum ssh_world_place)at;
        w.cut = at == SSH_WORLD_IN_CLOSED ? 100 : 0;
        assert_int_equal(ssh_world_open(&w), 0);
        for (int i = 0; i < TURNS && !w.was_closed; i++) {
            (void)ssh_world_turn(&w);
        }
        assert_true(w.was_closed);
        unsigned closes = w.closes, ends = w.channel_ends;
        for (int i = 0; i < 50; i++) {
            (void)ssh_world_turn(&w);
        }
        assert_int_equal(w.closes, closes);
        assert_int_equal(w.channel_ends, ends);
        assert_true(at < SSH_WORLD_IN_CHANNEL || at == SSH_WORLD_IN_CLOSED || w.k.disconnects == 1);
        ssh_world_clear(&w);
    }
}

/* The server's end goes away after any of its bytes. */
static void test_cut_anywhere(void **state)
{
    size_t all = PLENTY;
    (void)state;
    for (size_t at = 1; at < all; at += 7) {
        struct ssh_world w;
        ssh_world_init(&w);
        w.only_password = true;
        w.total = 1000;
        w.cut = at;
        assert_int_equal(ssh_world_open(&w), 0);
        for (int i = 0; i < TURNS && w.closes == 0 && (ssh_world_turn(&w) || w.fd < 0); i++) {
        }
        if (w.closes == 0) {
            all = 0; /* it lived long enough to do all of it */
            assert_int_equal(w.channel_ends, 1);
        } else {
            assert_true(w.rc == NK_ECLOSED || w.rc == NK_ETRUNC || w.rc == -EPIPE ||
                        w.rc == -ECONNRESET);
            assert_true(*w.why.text);
            assert_int_equal(w.opens, w.channel_ends);
        }
        ssh_world_clear(&w);
    }
    assert_int_equal(all, 0);
}

/* Numbers that RFC 4250 leaves to others are answered, and change nothing. */
static void test_unknown_messages(void **state)
{
    static const uint8_t numbers[] = {101, 127, 128, 200, 255, SSH_MSG_SERVICE_REQUEST};
    struct ssh_world w;
    (void)state;
    ssh_world_init(&w);
    assert_int_equal(ssh_world_open(&w), 0);
    for (int i = 0; i < TURNS && w.ch == NULL; i++) {
        (void)ssh_world_turn(&w);
    }
    for (size_t i = 0; i < sizeof(numbers); i++) {
        assert_true(ssh_kit_send_number(&w.k, numbers[i]));
    }
    for (int i = 0; i < TURNS && w.k.unimplemented < sizeof(numbers); i++) {
        (void)ssh_world_turn(&w);
    }
    assert_int_equal(w.k.unimplemented, sizeof(numbers));
    assert_int_equal(w.closes, 0);
    ssh_world_clear(&w);
}

/* A server that asks without end and never reads the answers is not read any more. */
static void test_unread_replies(void **state)
{
    static const uint8_t ask[] = {SSH_MSG_GLOBAL_REQUEST, 0, 0, 0, 1, 'x', 1};
    struct ssh_world w;
    (void)state;
    ssh_world_init(&w);
    assert_int_equal(ssh_world_open(&w), 0);
    for (int i = 0; i < TURNS && w.ch == NULL; i++) {
        (void)ssh_world_turn(&w);
    }
    w.deaf = true;
    w.channel_ends = 0;
    size_t asked = 0;
    for (int i = 0; i < 3000; i++) {
        for (int j = 0; j < 100 && nk_buf_len(&w.k.out) < CHUNK; j++) {
            assert_true(ssh_kit_send(&w.k, ask, sizeof(ask)));
            asked++;
        }
        ssh_world_send(&w);
        (void)nk_app_turn(w.app, 0);
    }
    size_t waiting = nk_buf_len(ssh_transport_out(ssh_conn_transport(w.conn)));
    assert_true(waiting > SSH_CONN_REPLIES_MAX / 2);
    assert_true(waiting < SSH_CONN_REPLIES_MAX + 2u * NK_TURN_BYTES);
    assert_true(nk_buf_len(&w.k.out) >= CHUNK / 2); /* it is stuck */
    assert_true(asked > 1000);
    ssh_world_clear(&w);
}

/* Keys of a large group are made elsewhere while the loop goes on, also when they are made anew
 * with data in both directions. */
static void test_large_group(void **state)
{
    struct ssh_world w;
    (void)state;
    ssh_world_init(&w);
    w.k.kex = "diffie-hellman-group16-sha512";
    w.total = BULK / 4;
    w.only_password = true;
    w.conf.rekey_bytes = 256 * 1024;
    w.wait = 1;
    assert_int_equal(ssh_world_open(&w), 0);
    unsigned waits = 0;
    for (int i = 0; i < TURNS && ssh_world_turn(&w); i++) {
        waits += w.conn->kex != NULL;
    }
    assert_true(waits > 0);
    assert_int_equal(w.closes, 0);
    assert_int_equal(w.came, w.total);
    assert_true(ssh_transport_rekeys(ssh_conn_transport(w.conn)) >= 2);
    ssh_world_clear(&w);
}

static uint8_t pattern(size_t i)
{
    return (uint8_t)(i * 7 + (i >> 8));
}

static void on_stream(void *owner, struct nk_stream *s, unsigned events)
{
    (void)s;
    *(unsigned *)owner |= events;
}

/* How much waits in s; all of it is what was sent. lent: the last of it is where it came. */
static size_t waits_in(const struct ssh_world *w, struct nk_stream *s, bool *lent)
{
    struct iovec iov[NK_PEEK_PIECES];
    const struct nk_buf *in = &ssh_conn_transport(w->conn)->in;
    size_t sum = 0;
    *lent = false;
    for (ssize_t i = 0, n = nk_stream_peek(s, iov); i < n; i++) {
        const uint8_t *p = iov[i].iov_base;
        for (size_t j = 0; j < iov[i].iov_len; j++) {
            assert_int_equal(p[j], pattern(sum++));
        }
        *lent = p >= in->data && p < in->data + in->cap;
    }
    return sum;
}

/* The echo of some bytes comes in one read with what begins new keys, or is lent when we begin
 * with them: nobody reads until the last of them are made. */
static void rekey_while_lent(struct ssh_world *w, struct nk_stream *s)
{
    static uint8_t part[PART], all[PARTS * PART];
    uint64_t before = ssh_transport_rekeys(ssh_conn_transport(w->conn));
    bool lent;
    for (size_t k = 0; k < PARTS; k++) {
        for (size_t i = 0; i < PART; i++) {
            part[i] = pattern(k * PART + i);
        }
        assert_int_equal(nk_stream_write(s, part, PART), PART);
        (void)nk_app_turn(w->app, 0);
        ssh_world_receive(w);
        assert_true(k % 2 == 1 || ssh_kit_rekey(&w->k));
        ssh_world_send(w);
        (void)nk_app_turn(w->app, 0);
        assert_int_equal(waits_in(w, s, &lent), (k + 1) * PART);
        assert_true(lent);
        if (k % 2 == 1) {
            ssh_conn_rekey(w->conn);
        }
        for (int i = 0;
             i < TURNS && ssh_transport_rekeys(ssh_conn_transport(w->conn)) <= before + k; i++) {
            (void)ssh_world_turn(w);
        }
        assert_int_equal(ssh_transport_rekeys(ssh_conn_transport(w->conn)), before + k + 1);
        assert_int_equal(waits_in(w, s, &lent), (k + 1) * PART);
    }
    assert_int_equal(nk_stream_read(s, all, sizeof(all)), sizeof(all));
    assert_int_equal(all[sizeof(all) - 1], pattern(sizeof(all) - 1));
    assert_int_equal(waits_in(w, s, &lent), 0);
}

static void test_rekey_while_lent(void **state)
{
    (void)state;
    for (int large = 0; large <= 1; large++) {
        struct ssh_world w;
        struct nk_stream *s = NULL;
        unsigned events = 0;
        ssh_world_init(&w);
        w.k.kex = large ? "diffie-hellman-group16-sha512" : w.k.kex;
        w.wait = large;
        w.only_password = true;
        assert_int_equal(ssh_world_open(&w), 0);
        ssh_world_run(&w); /* its own channel is over */
        assert_int_equal(w.channel_ends, 1);
        assert_int_equal(ssh_channel_dial_tcp(w.app, ssh_conn_channels(w.conn), "db", 1, &s, NULL),
                         0);
        nk_stream_own(s, on_stream, &events);
        for (int i = 0; i < TURNS && events == 0; i++) {
            (void)ssh_world_turn(&w);
        }
        assert_int_equal(events, NK_CONNECTED);
        rekey_while_lent(&w, s);
        nk_stream_close(s);
        ssh_world_clear(&w);
    }
}

/* The application, or the server, leaves in the middle of a step: the first ones, and later. */
static void test_close_in_step(void **state)
{
    (void)state;
    for (int at = 0; at < 6; at++) {
        struct ssh_world w;
        int steps = -1;
        bool before = false, inside = false;
        ssh_world_init(&w);
        w.k.kex = "diffie-hellman-group16-sha512";
        w.wait = 1;
        assert_int_equal(ssh_world_open(&w), 0);
        for (int i = 0; i < TURNS && (steps != at / 3 || !inside); i++) {
            (void)ssh_world_turn(&w);
            inside = w.conn->kex != NULL;
            steps += inside && !before;
            before = inside;
        }
        assert_non_null(w.conn->kex);
        if (at % 3 == 0) {
            ssh_world_close(&w);
        } else if (at % 3 == 1) {
            ssh_world_hang_up(&w);
        } else {
            nk_clock_skip(w.app, SSH_CONN_LOGIN_MS + 1);
        }
        for (int i = 0; i < TURNS && w.conn && ssh_world_turn(&w); i++) {
        }
        assert_int_equal(w.closes, at % 3 != 0);
        assert_int_equal(w.opens, 0);
        ssh_world_clear(&w);
    }
}

static int whole_life(void *arg)
{
    struct ssh_world w;
    (void)arg;
    nk_torture_pause();
    ssh_world_init(&w);
    w.only_password = true;
    w.total = 1000;
    nk_torture_resume();
    int rc = ssh_world_open(&w);
    if (rc == 0) {
        ssh_world_run(&w);
        rc = w.closes ? w.rc : w.came == w.total ? 0 : 1;
        rc = rc == NK_ECLOSED || rc == 1 ? -ENOMEM : rc; /* the server had none */
    }
    ssh_world_clear(&w);
    return rc;
}

static void test_torture(void **state)
{
    (void)state;
    assert_int_equal(whole_life(NULL), 0);
    (void)nk_torture_sparse(whole_life, NULL, 5);
}

int nk_test_ssh_conn(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_key),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_patience),
        cmocka_unit_test(test_close_anywhere),
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_unread_replies),
        cmocka_unit_test(test_unknown_messages),
        cmocka_unit_test(test_large_group),
        cmocka_unit_test(test_rekey_while_lent),
        cmocka_unit_test(test_close_in_step),
        cmocka_unit_test(test_torture),
    };
    return cmocka_run_group_tests_name("ssh/conn", tests, NULL, NULL);
}
