/* SPDX-License-Identifier: MIT */
/* A whole connection over a socket, against a server in the same loop: logins, refusals, deadlines,
 * ends at any byte and in any callback, replies that nobody reads, memory that is not there. */
#include "ssh/conn.h"

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
#include "ssh/conn_impl.h"
#include "ssh/transport_testkit.h"
#include "torture.h"

int nk_test_ssh_conn(void);

enum { TURNS = 20000, CHUNK = 64 * 1024, BULK = 3 * 1024 * 1024, REKEYS = 8, PLENTY = 1000000 };

/* Where the application closes the connection from. */
enum place { NOWHERE, IN_HOST_KEY, IN_CREDENTIAL, IN_OPEN, IN_CHANNEL, IN_DATA, IN_CLOSED, PLACES };

struct world {
    struct ssh_kit k;
    struct nk_app *app;
    struct ssh_conn *conn;
    struct ssh_conn_conf conf;
    int fd;     /* the server's */
    size_t cut; /* bytes after which the server's end is closed; 0: never */
    size_t sent;
    bool deaf;          /* the server does not read */
    bool only_password; /* refuse everything else */
    bool silent;        /* never answer the login */
    bool late;          /* the application answers in the next turn */
    enum place leave;
    int wait; /* milliseconds that a turn may take */
    /* what came of it */
    unsigned host_keys, questions, opens, closes, channel_ends;
    bool asked, was_closed;
    int rc;
    struct nk_diag why;
    size_t came, wrote, total;
    struct ssh_channel *ch;
    uint32_t peer; /* the client's number of the channel */
};

/* --- the application -------------------------------------------------------------------------- */

static bool leave(struct world *w, enum place at)
{
    if (w->leave != at) {
        return false;
    }
    ssh_conn_close(w->conn);
    w->conn = NULL;
    w->was_closed = true;
    return true;
}

static void write_more(struct world *w)
{
    static const uint8_t zeros[CHUNK];
    while (w->wrote < w->total) {
        size_t n = w->total - w->wrote < CHUNK ? w->total - w->wrote : CHUNK;
        const struct iovec iov = {.iov_base = (void *)(uintptr_t)zeros, .iov_len = n};
        ssize_t put = ssh_channel_writev(w->ch, &iov, 1);
        if (put <= 0) {
            return;
        }
        w->wrote += (size_t)put;
    }
    (void)ssh_channel_eof(w->ch);
}

static void on_channel_open(void *owner, struct ssh_channel *ch, struct ssh_str data)
{
    struct world *w = owner;
    (void)data;
    w->ch = ch;
    if (!leave(w, IN_CHANNEL)) {
        write_more(w);
    }
}

static void on_data(void *owner, struct ssh_channel *ch, uint32_t kind, const uint8_t *p, size_t n)
{
    struct world *w = owner;
    (void)kind;
    (void)p;
    w->came += n;
    if (!leave(w, IN_DATA)) {
        (void)ssh_channel_consumed(ch, n);
    }
}

static void on_writable(void *owner, struct ssh_channel *ch)
{
    (void)ch;
    write_more(owner);
}

static void on_channel_closed(void *owner, struct ssh_channel *ch, const struct nk_diag *why)
{
    struct world *w = owner;
    (void)ch;
    (void)why;
    w->channel_ends++;
}

static void on_failed(void *owner, struct ssh_channel *ch, uint32_t reason,
                      const struct nk_diag *why)
{
    (void)reason;
    on_channel_closed(owner, ch, why);
}

static const struct ssh_channel_ops channel_ops = {.on_open = on_channel_open,
                                                   .on_failed = on_failed,
                                                   .on_data = on_data,
                                                   .on_writable = on_writable,
                                                   .on_closed = on_channel_closed};

static void on_host_key(void *owner, const struct ssh_host_key *k)
{
    struct world *w = owner;
    w->host_keys += k->key.blob.n > 0;
    if (!leave(w, IN_HOST_KEY) && !w->late) {
        ssh_conn_trust(w->conn, w->k.answer, NULL);
    }
}

static void give(struct world *w)
{
    const struct ssh_gift password = {.kind = SSH_GIVE_PASSWORD,
                                      .text = {(const uint8_t *)"secret", 6}};
    const struct ssh_gift nothing = {.kind = SSH_GIVE_NOTHING};
    w->asked = false;
    (void)ssh_conn_give(w->conn, w->questions == 1 ? &password : &nothing, NULL);
}

static void on_credential(void *owner, const struct ssh_question *q)
{
    struct world *w = owner;
    w->questions += q->want == SSH_AUTH_CREDENTIAL;
    w->asked = true;
    if (!leave(w, IN_CREDENTIAL) && !w->late) {
        give(w);
    }
}

static void on_open(void *owner)
{
    struct world *w = owner;
    struct ssh_channel *ch;
    w->opens++;
    if (!leave(w, IN_OPEN)) {
        (void)ssh_channel_open(ssh_conn_channels(w->conn), "session", (struct ssh_str){0},
                               &channel_ops, w, &ch, NULL);
    }
}

static void on_closed(void *owner, int rc, const struct nk_diag *why)
{
    struct world *w = owner;
    w->closes++;
    w->rc = rc;
    w->why = *why;
    (void)leave(w, IN_CLOSED);
}

static const struct ssh_conn_ops conn_ops = {
    .host_key = on_host_key, .credential = on_credential, .open = on_open, .closed = on_closed};

/* --- the server ------------------------------------------------------------------------------- */

static bool answer_login(struct ssh_kit *k, const uint8_t *p, size_t n)
{
    static const uint8_t failure[] = {
        SSH_MSG_USERAUTH_FAILURE, 0, 0, 0, 8, 'p', 'a', 's', 's', 'w', 'o', 'r', 'd', 0};
    struct world *w = k->arg;
    struct nk_cur c;
    nk_cur_init(&c, p + 1, n - 1);
    (void)ssh_cur_string(&c);
    (void)ssh_cur_string(&c);
    struct ssh_str method = ssh_cur_string(&c);
    bool good = ssh_str_is(method, "password") ||
                (!w->only_password && ssh_str_is(method, "publickey-hostbound-v00@openssh.com"));
    return w->silent || (good ? ssh_kit_send_number(k, SSH_MSG_USERAUTH_SUCCESS)
                              : ssh_kit_send(k, failure, sizeof(failure)));
}

static bool confirm(struct ssh_kit *k, uint32_t client)
{
    struct nk_buf b;
    struct world *w = k->arg;
    w->peer = client;
    nk_buf_init(&b, 64);
    bool fine = nk_buf_u8(&b, SSH_MSG_CHANNEL_OPEN_CONFIRMATION) == 0 &&
                nk_buf_be32(&b, client) == 0 && nk_buf_be32(&b, 7) == 0 &&
                nk_buf_be32(&b, 64 * 1024 * 1024) == 0 && nk_buf_be32(&b, 32 * 1024) == 0 &&
                ssh_kit_send(k, nk_buf_ptr(&b), nk_buf_len(&b));
    nk_buf_clear(&b);
    return fine;
}

/* A message that has only the client's number of the channel. */
static bool send_about(struct ssh_kit *k, uint8_t number)
{
    const struct world *w = k->arg;
    const uint8_t p[] = {number, (uint8_t)(w->peer >> 24), (uint8_t)(w->peer >> 16),
                         (uint8_t)(w->peer >> 8), (uint8_t)w->peer};
    return ssh_kit_send(k, p, sizeof(p));
}

/* Logs in whom it likes, opens every channel, sends data back, closes after their end. */
static bool above(struct ssh_kit *k, const uint8_t *p, size_t n)
{
    static const uint8_t accept[] = {SSH_MSG_SERVICE_ACCEPT,
                                     0,
                                     0,
                                     0,
                                     12,
                                     's',
                                     's',
                                     'h',
                                     '-',
                                     'u',
                                     's',
                                     'e',
                                     'r',
                                     'a',
                                     'u',
                                     't',
                                     'h'};
    struct world *w = k->arg;
    struct nk_cur c;
    nk_cur_init(&c, p + 1, n - 1);
    switch (*p) {
    case SSH_MSG_SERVICE_REQUEST:
        return ssh_kit_send(k, accept, sizeof(accept));
    case SSH_MSG_USERAUTH_REQUEST:
        return answer_login(k, p, n);
    case SSH_MSG_CHANNEL_OPEN:
        (void)ssh_cur_string(&c);
        return confirm(k, nk_cur_be32(&c));
    case SSH_MSG_CHANNEL_DATA: {
        uint8_t *copy = malloc(n);
        bool fine = copy != NULL;
        if (copy) {
            memcpy(copy, p, n);
            for (int i = 0; i < 4; i++) {
                copy[1 + i] = (uint8_t)(w->peer >> (8 * (3 - i)));
            }
            fine = ssh_kit_send(k, copy, n);
        }
        free(copy);
        return fine;
    }
    case SSH_MSG_CHANNEL_EOF:
        return send_about(k, SSH_MSG_CHANNEL_EOF) && send_about(k, SSH_MSG_CHANNEL_CLOSE);
    default:
        return true;
    }
}

static void hang_up(struct world *w)
{
    if (w->fd >= 0) {
        close(w->fd);
        w->fd = -1;
    }
}

static void serve_in(struct world *w)
{
    uint8_t *p;
    if (w->deaf || nk_buf_reserve(&w->k.in, CHUNK, &p) < 0) {
        return;
    }
    ssize_t n = read(w->fd, p, CHUNK);
    if (n == 0) {
        hang_up(w);
    } else if (n > 0) {
        nk_buf_commit(&w->k.in, (size_t)n);
        if (!ssh_kit_serve(&w->k)) {
            hang_up(w);
        }
    }
}

static void serve_out(struct world *w)
{
    size_t n = nk_buf_len(&w->k.out);
    if (w->fd < 0 || n == 0) {
        return;
    }
    n = w->cut && n > w->cut - w->sent ? w->cut - w->sent : n;
    ssize_t put = send(w->fd, nk_buf_ptr(&w->k.out), n, MSG_NOSIGNAL);
    if (put > 0) {
        nk_buf_consume(&w->k.out, (size_t)put);
        w->sent += (size_t)put;
    }
    if (w->cut && w->sent == w->cut) {
        hang_up(w);
    }
}

/* --- the world -------------------------------------------------------------------------------- */

static void world_init(struct world *w)
{
    *w = (struct world){.fd = -1};
    ssh_kit_init(&w->k);
    w->k.kex = "curve25519-sha256";
    w->k.arg = w;
    w->k.above = above;
    w->k.ext_info = true;
    w->conf = (struct ssh_conn_conf){.ops = &conn_ops, .user = "user"};
}

static int world_open(struct world *w)
{
    struct nk_diag diag = {0};
    struct nk_stream *s;
    int fds[2];
    const struct nk_app_conf conf = {0};
    int rc = nk_app_new(&w->app, &conf, &diag);
    if (rc < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0) {
        return rc < 0 ? rc : -errno;
    }
    w->fd = fds[1];
    rc = nk_stream_from_fd(w->app, fds[0], "test", &s);
    w->conf.app = w->app;
    w->conf.owner = w;
    rc = rc < 0 ? rc : ssh_conn_new(&w->conn, &w->conf, s, &diag);
    return rc < 0 ? rc : nk_buf_puts(&w->k.out, w->k.ident);
}

/* One turn of everybody; false when it is over. */
static bool turn(struct world *w)
{
    if (w->fd >= 0) {
        serve_in(w);
        serve_out(w);
    }
    (void)nk_app_turn(w->app, w->wait);
    if (w->late && w->asked && w->conn) {
        give(w);
    } else if (w->late && w->host_keys && w->conn) {
        ssh_conn_trust(w->conn, w->k.answer, NULL); /* fine when nobody asks any more */
    }
    return w->closes == 0 && !w->was_closed && w->channel_ends == 0;
}

static void world_run(struct world *w)
{
    for (int i = 0; i < TURNS && turn(w); i++) {
    }
}

/* What is under way beside the loop is over then: nk_app_free leaves behind what is not. */
static void world_close(struct world *w)
{
    struct nk_work *step = w->conn ? w->conn->kex : NULL;
    ssh_conn_close(w->conn);
    w->conn = NULL;
    if (step) {
        (void)nk_work_wait(step);
    }
}

static void world_clear(struct world *w)
{
    world_close(w);
    if (w->app) {
        (void)nk_app_turn(w->app, 0);
        nk_app_free(w->app);
    }
    hang_up(w);
    ssh_kit_clear(&w->k);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void test_echo(void **state)
{
    (void)state;
    for (int late = 0; late <= 1; late++) {
        struct world w;
        world_init(&w);
        w.total = BULK;
        w.late = late;
        w.only_password = true;
        w.conf.rekey_bytes = 256 * 1024;
        assert_int_equal(world_open(&w), 0);
        world_run(&w);
        assert_int_equal(w.closes, 0);
        assert_int_equal(w.host_keys, 1);
        assert_int_equal(w.questions, 1);
        assert_int_equal(w.opens, 1);
        assert_int_equal(w.channel_ends, 1);
        assert_int_equal(w.came, BULK);
        assert_true(ssh_transport_rekeys(ssh_conn_transport(w.conn)) >= REKEYS);
        assert_int_equal(w.host_keys, 1);
        world_clear(&w);
    }
}

/* With one known key the login is on its way with NEWKEYS, and nobody is asked. */
static void test_key(void **state)
{
    struct world w;
    struct nk_diag diag = {0};
    (void)state;
    world_init(&w);
    assert_int_equal(ssh_private_generate(&ssh_key_types[0], 0, "", &w.conf.key, &diag), 0);
    assert_int_equal(world_open(&w), 0);
    world_run(&w);
    assert_int_equal(w.opens, 1);
    assert_int_equal(w.questions, 0);
    ssh_private_unref(w.conf.key);
    world_clear(&w);
}

static void ends_with(struct world *w, int rc, const char *word)
{
    assert_int_equal(world_open(w), 0);
    world_run(w);
    assert_int_equal(w->closes, 1);
    assert_int_equal(w->rc, rc);
    assert_int_equal(w->why.code, rc);
    assert_non_null(strstr(w->why.text, word));
    assert_int_equal(w->opens, 0);
    world_clear(w);
}

static void test_refusals(void **state)
{
    struct world w;
    (void)state;
    for (int late = 0; late <= 1; late++) {
        world_init(&w);
        w.late = late;
        w.k.answer = NK_EVERIFY;
        ends_with(&w, NK_EVERIFY, "refused");
    }
    world_init(&w);
    w.only_password = true;
    w.questions = 1; /* the application has nothing */
    ends_with(&w, NK_EAUTH, "permission denied");
    world_init(&w);
    w.k.kex = "diffie-hellman-group1-sha1";
    ends_with(&w, NK_EPROTO, "in common");
    assert_int_equal(nk_exit_code(NK_EPROTO), NK_EXIT_PROTOCOL);
    assert_int_equal(nk_exit_code(NK_EAUTH), NK_EXIT_DENIED);
}

static void test_deadlines(void **state)
{
    (void)state;
    for (int login = 0; login <= 1; login++) {
        struct world w;
        world_init(&w);
        w.deaf = !login;
        w.k.ident = login ? w.k.ident : "";
        w.silent = true;
        assert_int_equal(world_open(&w), 0);
        for (int i = 0; i < 200; i++) {
            (void)turn(&w);
        }
        assert_int_equal(w.closes, 0);
        nk_clock_skip(w.app, (login ? SSH_CONN_LOGIN_MS : SSH_CONN_CONNECT_MS) + 1);
        world_run(&w);
        assert_int_equal(w.rc, -ETIMEDOUT);
        assert_non_null(strstr(w.why.text, login ? "let us in" : "answer"));
        world_clear(&w);
    }
}

/* Whoever is asked has all the time. */
static void test_patience(void **state)
{
    struct world w;
    (void)state;
    world_init(&w);
    w.late = true;
    assert_int_equal(world_open(&w), 0);
    for (int i = 0; i < TURNS && w.host_keys == 0; i++) {
        serve_in(&w);
        serve_out(&w);
        (void)nk_app_turn(w.app, 0);
    }
    assert_int_equal(w.host_keys, 1);
    nk_clock_skip(w.app, 10u * SSH_CONN_LOGIN_MS);
    for (int i = 0; i < 20; i++) {
        (void)nk_app_turn(w.app, 0);
    }
    assert_int_equal(w.closes, 0);
    world_run(&w);
    assert_int_equal(w.opens, 1);
    world_clear(&w);
}

static void test_close_anywhere(void **state)
{
    (void)state;
    for (int at = IN_HOST_KEY; at < PLACES; at++) {
        struct world w;
        world_init(&w);
        w.only_password = true;
        w.total = at == IN_DATA ? CHUNK : 0;
        w.leave = (enum place)at;
        w.cut = at == IN_CLOSED ? 100 : 0;
        assert_int_equal(world_open(&w), 0);
        for (int i = 0; i < TURNS && !w.was_closed; i++) {
            (void)turn(&w);
        }
        assert_true(w.was_closed);
        unsigned closes = w.closes, ends = w.channel_ends;
        for (int i = 0; i < 50; i++) {
            (void)turn(&w);
        }
        assert_int_equal(w.closes, closes);
        assert_int_equal(w.channel_ends, ends);
        assert_true(at < IN_CHANNEL || at == IN_CLOSED || w.k.disconnects == 1);
        world_clear(&w);
    }
}

/* The server's end goes away after any of its bytes. */
static void test_cut_anywhere(void **state)
{
    size_t all = PLENTY;
    (void)state;
    for (size_t at = 1; at < all; at += 7) {
        struct world w;
        world_init(&w);
        w.only_password = true;
        w.total = 1000;
        w.cut = at;
        assert_int_equal(world_open(&w), 0);
        for (int i = 0; i < TURNS && w.closes == 0 && (turn(&w) || w.fd < 0); i++) {
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
        world_clear(&w);
    }
    assert_int_equal(all, 0);
}

/* Numbers that RFC 4250 leaves to others are answered, and change nothing. */
static void test_unknown_messages(void **state)
{
    static const uint8_t numbers[] = {101, 127, 128, 200, 255, SSH_MSG_SERVICE_REQUEST};
    struct world w;
    (void)state;
    world_init(&w);
    assert_int_equal(world_open(&w), 0);
    for (int i = 0; i < TURNS && w.ch == NULL; i++) {
        (void)turn(&w);
    }
    for (size_t i = 0; i < sizeof(numbers); i++) {
        assert_true(ssh_kit_send_number(&w.k, numbers[i]));
    }
    for (int i = 0; i < TURNS && w.k.unimplemented < sizeof(numbers); i++) {
        (void)turn(&w);
    }
    assert_int_equal(w.k.unimplemented, sizeof(numbers));
    assert_int_equal(w.closes, 0);
    world_clear(&w);
}

/* A server that asks without end and never reads the answers is not read any more. */
static void test_unread_replies(void **state)
{
    static const uint8_t ask[] = {SSH_MSG_GLOBAL_REQUEST, 0, 0, 0, 1, 'x', 1};
    struct world w;
    (void)state;
    world_init(&w);
    assert_int_equal(world_open(&w), 0);
    for (int i = 0; i < TURNS && w.ch == NULL; i++) {
        (void)turn(&w);
    }
    w.deaf = true;
    w.channel_ends = 0;
    size_t asked = 0;
    for (int i = 0; i < 3000; i++) {
        for (int j = 0; j < 100 && nk_buf_len(&w.k.out) < CHUNK; j++) {
            assert_true(ssh_kit_send(&w.k, ask, sizeof(ask)));
            asked++;
        }
        serve_out(&w);
        (void)nk_app_turn(w.app, 0);
    }
    size_t waiting = nk_buf_len(ssh_transport_out(ssh_conn_transport(w.conn)));
    assert_true(waiting > SSH_CONN_REPLIES_MAX / 2);
    assert_true(waiting < SSH_CONN_REPLIES_MAX + 2u * NK_TURN_BYTES);
    assert_true(nk_buf_len(&w.k.out) >= CHUNK / 2); /* it is stuck */
    assert_true(asked > 1000);
    world_clear(&w);
}

/* Keys of a large group are made elsewhere while the loop goes on, also when they are made anew
 * with data in both directions. */
static void test_large_group(void **state)
{
    struct world w;
    (void)state;
    world_init(&w);
    w.k.kex = "diffie-hellman-group16-sha512";
    w.total = BULK / 4;
    w.only_password = true;
    w.conf.rekey_bytes = 256 * 1024;
    w.wait = 1;
    assert_int_equal(world_open(&w), 0);
    unsigned waits = 0;
    for (int i = 0; i < TURNS && turn(&w); i++) {
        waits += w.conn->kex != NULL;
    }
    assert_true(waits > 0);
    assert_int_equal(w.closes, 0);
    assert_int_equal(w.came, w.total);
    assert_true(ssh_transport_rekeys(ssh_conn_transport(w.conn)) >= 2);
    world_clear(&w);
}

/* The application, or the server, leaves in the middle of a step: the first ones, and later. */
static void test_close_in_step(void **state)
{
    (void)state;
    for (int at = 0; at < 6; at++) {
        struct world w;
        int steps = -1;
        bool before = false, inside = false;
        world_init(&w);
        w.k.kex = "diffie-hellman-group16-sha512";
        w.wait = 1;
        assert_int_equal(world_open(&w), 0);
        for (int i = 0; i < TURNS && (steps != at / 3 || !inside); i++) {
            (void)turn(&w);
            inside = w.conn->kex != NULL;
            steps += inside && !before;
            before = inside;
        }
        assert_non_null(w.conn->kex);
        if (at % 3 == 0) {
            world_close(&w);
        } else if (at % 3 == 1) {
            hang_up(&w);
        } else {
            nk_clock_skip(w.app, SSH_CONN_LOGIN_MS + 1);
        }
        for (int i = 0; i < TURNS && w.conn && turn(&w); i++) {
        }
        assert_int_equal(w.closes, at % 3 != 0);
        assert_int_equal(w.opens, 0);
        world_clear(&w);
    }
}

static int whole_life(void *arg)
{
    struct world w;
    (void)arg;
    nk_torture_pause();
    world_init(&w);
    w.only_password = true;
    w.total = 1000;
    nk_torture_resume();
    int rc = world_open(&w);
    if (rc == 0) {
        world_run(&w);
        rc = w.closes ? w.rc : w.came == w.total ? 0 : 1;
        rc = rc == NK_ECLOSED || rc == 1 ? -ENOMEM : rc; /* the server had none */
    }
    world_clear(&w);
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
        cmocka_unit_test(test_close_in_step),
        cmocka_unit_test(test_torture),
    };
    return cmocka_run_group_tests_name("ssh/conn", tests, NULL, NULL);
}
