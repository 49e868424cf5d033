/* SPDX-License-Identifier: MIT */
/* Links and what listens on the server, against a server in the same loop that can go away. */
#include "ssh/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/app.h"
#include "core/clock.h"
#include "core/listener.h"
#include "core/timer.h"
#include "ssh/remote.h"
#include "ssh/transport_testkit.h"

enum { TURNS = 20000, CHUNK = 64 * 1024, SCALE = 10, CHOSEN = 4711, FIRST = 100, TIMES = 40 };

struct world {
    struct nk_app *app;
    struct ssh_link *l;
    struct ssh_link_user user;
    unsigned ups, downs;
    /* the server */
    struct ssh_kit k;
    int listener, fd;
    char port[16];
    bool have_kit;
    bool refuse_login, refuse_forward;
    bool go_away; /* what sshd(8) says to addresses with penalties */
    unsigned accepts;
    unsigned logins, asked, cancelled, opened, refused;
    uint32_t peer; /* the client's number of the last channel that it has confirmed or opened */
    /* a stream */
    unsigned connected, closed;
    struct nk_stream *accepted, *many[SSH_REMOTE_WAITING_MAX + 8];
    int nmany;
    uint32_t reason; /* of the last refusal */
    int told;
    uint16_t told_port;
};

/* --- the server ------------------------------------------------------------------------------- */

static bool send_u32s(struct ssh_kit *k, uint8_t number, const uint32_t *v, size_t n)
{
    struct nk_buf b;
    nk_buf_init(&b, 64);
    bool fine = nk_buf_u8(&b, number) == 0;
    for (size_t i = 0; i < n && fine; i++) {
        fine = nk_buf_be32(&b, v[i]) == 0;
    }
    fine = fine && ssh_kit_send(k, nk_buf_ptr(&b), nk_buf_len(&b));
    nk_buf_clear(&b);
    return fine;
}

static bool global(struct world *w, struct nk_cur *c)
{
    struct ssh_str type = ssh_cur_string(c);
    static const uint32_t chosen[] = {CHOSEN};
    bool wanted = nk_cur_u8(c) != 0;
    w->cancelled += ssh_str_is(type, "cancel-tcpip-forward");
    if (!ssh_str_is(type, "tcpip-forward") || !wanted) {
        return !wanted || ssh_kit_send_number(&w->k, SSH_MSG_REQUEST_FAILURE);
    }
    (void)ssh_cur_string(c);
    w->asked++;
    if (w->refuse_forward) {
        return ssh_kit_send_number(&w->k, SSH_MSG_REQUEST_FAILURE);
    }
    return send_u32s(&w->k, SSH_MSG_REQUEST_SUCCESS, chosen, nk_cur_be32(c) == 0 ? 1 : 0);
}

static bool above(struct ssh_kit *k, const uint8_t *p, size_t n)
{
    static const uint8_t accept[] = {6,   0,   0,   0,   12,  's', 's', 'h', '-',
                                     'u', 's', 'e', 'r', 'a', 'u', 't', 'h'};
    static const uint8_t failure[] = {
        SSH_MSG_USERAUTH_FAILURE, 0, 0, 0, 8, 'p', 'a', 's', 's', 'w', 'o', 'r', 'd', 0};
    struct world *w = k->arg;
    struct nk_cur c;
    nk_cur_init(&c, p + 1, n - 1);
    switch (*p) {
    case SSH_MSG_SERVICE_REQUEST:
        return ssh_kit_send(k, accept, sizeof(accept));
    case SSH_MSG_USERAUTH_REQUEST:
        (void)ssh_cur_string(&c);
        (void)ssh_cur_string(&c);
        if (w->refuse_login || !ssh_str_is(ssh_cur_string(&c), "password")) {
            return ssh_kit_send(k, failure, sizeof(failure));
        }
        w->logins++;
        return ssh_kit_send_number(k, SSH_MSG_USERAUTH_SUCCESS);
    case SSH_MSG_GLOBAL_REQUEST:
        return global(w, &c);
    case SSH_MSG_CHANNEL_OPEN: {
        (void)ssh_cur_string(&c);
        w->peer = nk_cur_be32(&c);
        const uint32_t v[] = {w->peer, w->peer + FIRST, 1 << 20, 32 * 1024};
        return send_u32s(k, SSH_MSG_CHANNEL_OPEN_CONFIRMATION, v, 4);
    }
    case SSH_MSG_CHANNEL_OPEN_CONFIRMATION:
        w->opened++;
        return true;
    case SSH_MSG_CHANNEL_OPEN_FAILURE:
        w->refused++;
        (void)nk_cur_be32(&c);
        w->reason = nk_cur_be32(&c);
        return true;
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

static void accept_one(struct world *w)
{
    int fd = accept4(w->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        return;
    }
    hang_up(w);
    w->accepts++;
    if (w->go_away) {
        static const char text[] = "Not allowed at this time\r\n";
        assert_int_equal(send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL), sizeof(text) - 1);
        close(fd);
        return;
    }
    if (w->have_kit) {
        ssh_kit_clear(&w->k);
    }
    w->fd = fd;
    memset(&w->k, 0, sizeof(w->k));
    ssh_kit_init(&w->k);
    w->have_kit = true;
    w->k.kex = "curve25519-sha256";
    w->k.arg = w;
    w->k.above = above;
    assert_int_equal(nk_buf_puts(&w->k.out, w->k.ident), 0);
}

static void serve(struct world *w)
{
    uint8_t *p;
    accept_one(w);
    if (w->fd < 0 || nk_buf_reserve(&w->k.in, CHUNK, &p) < 0) {
        return;
    }
    ssize_t n = read(w->fd, p, CHUNK);
    if (n > 0) {
        nk_buf_commit(&w->k.in, (size_t)n);
    }
    if (n == 0 || (n > 0 && !ssh_kit_serve(&w->k))) {
        hang_up(w);
        return;
    }
    size_t out = nk_buf_len(&w->k.out);
    ssize_t put = out ? send(w->fd, nk_buf_ptr(&w->k.out), out, MSG_NOSIGNAL) : 0;
    if (put > 0) {
        nk_buf_consume(&w->k.out, (size_t)put);
    }
}

static void start_listening(struct world *w)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int one = 1;
    w->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    a.sin_port = htons((uint16_t)atoi(w->port));
    assert_int_equal(setsockopt(w->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
    assert_int_equal(bind(w->listener, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(w->listener, 8), 0);
    assert_int_equal(getsockname(w->listener, (struct sockaddr *)&a, &n), 0);
    (void)snprintf(w->port, sizeof(w->port), "%u", ntohs(a.sin_port));
}

/* --- the world -------------------------------------------------------------------------------- */

static void on_up(void *owner, struct ssh_link *l)
{
    struct world *w = owner;
    assert_non_null(ssh_link_channels(l));
    w->ups++;
}

static void on_down(void *owner, struct ssh_link *l, const struct nk_diag *why)
{
    struct world *w = owner;
    assert_null(ssh_link_channels(l));
    assert_true(why->text[0]);
    w->downs++;
}

static void on_stream(void *owner, struct nk_stream *s, unsigned events)
{
    struct world *w = owner;
    (void)s;
    w->connected += (events & NK_CONNECTED) != 0;
    w->closed += (events & NK_CLOSED) != 0;
}

static struct ssh_config *config(const struct world *w, const char *more)
{
    char port[32];
    (void)snprintf(port, sizeof(port), "Port=%s", w->port);
    const char *const words[] = {port,
                                 "StrictHostKeyChecking=no",
                                 "UserKnownHostsFile=/dev/null",
                                 "GlobalKnownHostsFile=/dev/null",
                                 "IdentityAgent=none",
                                 "PreferredAuthentications=password",
                                 more};
    const struct ssh_config_ask ask = {.host = "127.0.0.1",
                                       .user = "user",
                                       .file = "none",
                                       .options = words,
                                       .noptions = sizeof(words) / sizeof(words[0])};
    struct ssh_config *c;
    assert_int_equal(ssh_config_load(&c, &ask, NULL), 0);
    return c;
}

static int open_link(struct world *w, struct ssh_link_conf *conf, bool shared, const char *more,
                     struct ssh_link **out)
{
    struct nk_secret password = {0};
    struct nk_diag diag = {0};
    assert_int_equal(nk_secret_set(&password, "secret", 6), 0);
    conf->app = w->app;
    conf->config = config(w, more);
    conf->password = &password;
    conf->no_input = true;
    int rc = shared ? ssh_link_get(conf, out, &diag) : ssh_link_new(conf, out, &diag);
    nk_secret_clear(&password);
    return rc;
}

static void open_world_at(struct world *w, struct ssh_link_conf *conf, unsigned scale)
{
    const struct nk_app_conf app = {.clock_scale = scale};
    memset(w, 0, sizeof(*w));
    w->fd = -1;
    (void)snprintf(w->port, sizeof(w->port), "0");
    assert_int_equal(nk_app_new(&w->app, &app, NULL), 0);
    start_listening(w);
    assert_int_equal(open_link(w, conf, false, "Compression=no", &w->l), 0);
    w->user = (struct ssh_link_user){.up = on_up, .down = on_down, .owner = w};
    ssh_link_attach(w->l, &w->user);
}

static void open_world(struct world *w, struct ssh_link_conf *conf)
{
    open_world_at(w, conf, SCALE);
}

static void turn(struct world *w)
{
    serve(w);
    (void)nk_app_turn(w->app, 1);
}

#define UNTIL(w, what)                                                                             \
    do {                                                                                           \
        for (int i_ = 0; i_ < TURNS && !(what); i_++) {                                            \
            turn(w);                                                                               \
        }                                                                                          \
        assert_true(what);                                                                         \
    } while (0)

static void close_world(struct world *w)
{
    if (w->l) {
        ssh_link_detach(w->l, &w->user);
        ssh_link_unref(w->l);
    }
    for (int i = 0; i < 5; i++) {
        turn(w);
    }
    nk_app_free(w->app);
    hang_up(w);
    if (w->listener >= 0) {
        close(w->listener);
    }
    if (w->have_kit) {
        ssh_kit_clear(&w->k);
    }
}

static struct nk_stream *must_dial(struct world *w)
{
    struct nk_stream *s;
    assert_int_equal(ssh_link_dial_tcp(w->l, "db", 5432, on_stream, w, &s, NULL), 0);
    return s;
}

/* --- tests ------------------------------------------------------------------------------------ */

/* Streams that are asked for early wait; after a loss they wait for the next connection. */
static void test_made_again(void **state)
{
    (void)state;
    struct world w;
    struct ssh_link_conf conf = {0};
    open_world(&w, &conf);
    assert_int_equal(ssh_link_state(w.l), SSH_LINK_CONNECTING);
    struct nk_stream *a = must_dial(&w);
    UNTIL(&w, w.connected == 1);
    assert_int_equal(w.ups, 1);
    assert_int_equal(ssh_link_config(w.l)->alive_interval, SSH_LINK_ALIVE_S);
    hang_up(&w);
    close(w.listener);
    UNTIL(&w, w.downs >= 1);
    char byte;
    assert_true(nk_stream_read(a, &byte, 1) < 0);
    nk_stream_close(a);
    struct nk_stream *b = must_dial(&w), *never = must_dial(&w);
    nk_stream_close(never);
    UNTIL(&w, w.downs >= 3); /* tried, in vain */
    assert_int_equal(w.connected, 1);
    start_listening(&w);
    ssh_link_retry(w.l);
    UNTIL(&w, w.connected == 2);
    assert_int_equal(ssh_link_ups(w.l), 2);
    assert_string_equal(ssh_link_why(w.l)->text, "");
    nk_stream_close(b);
    close_world(&w);
}

static void test_over(void **state)
{
    (void)state;
    for (int once = 0; once < 2; once++) {
        struct world w;
        struct ssh_link_conf conf = {.once = once};
        struct nk_diag diag = {0};
        struct nk_stream *s;
        open_world(&w, &conf);
        w.refuse_login = !once;
        struct nk_stream *held = must_dial(&w);
        if (once) {
            UNTIL(&w, w.connected == 1);
            hang_up(&w);
        }
        UNTIL(&w, w.downs == 1);
        assert_int_equal(ssh_link_state(w.l), SSH_LINK_OVER);
        for (int i = 0; i < 5; i++) {
            turn(&w);
        }
        assert_int_equal(w.closed, once ? 0 : 1);
        int rc = ssh_link_dial_tcp(w.l, "db", 1, on_stream, &w, &s, &diag);
        assert_true(rc < 0 && rc == ssh_link_why(w.l)->code);
        assert_true(once || rc == NK_EAUTH);
        nk_stream_close(held);
        close_world(&w);
    }
}

/* The time that a stream waits is bounded; with refuse it does not wait at all. */
static void test_bounds(void **state)
{
    (void)state;
    struct world w;
    struct ssh_link_conf conf = {.hold_ms = 2000};
    open_world(&w, &conf);
    close(w.listener);
    w.listener = -1;
    struct nk_stream *s = must_dial(&w);
    UNTIL(&w, w.closed == 1);
    struct nk_diag why = {0};
    assert_int_equal(nk_stream_error(s, &why), -ETIMEDOUT);
    nk_stream_close(s);
    close_world(&w);
    conf = (struct ssh_link_conf){.refuse = true};
    open_world(&w, &conf);
    hang_up(&w);
    close(w.listener);
    w.listener = -1;
    UNTIL(&w, w.downs == 1);
    assert_int_equal(ssh_link_dial_tcp(w.l, "db", 1, on_stream, &w, &s, &why),
                     ssh_link_why(w.l)->code);
    close_world(&w);
}

/* A server that wants nobody now is left alone for a while, whoever waits. */
static void test_told_off(void **state)
{
    (void)state;
    struct world w;
    struct ssh_link_conf conf = {.hold_ms = 3600 * 1000};
    open_world_at(&w, &conf, 10 * SCALE);
    w.go_away = true;
    UNTIL(&w, w.downs == 1);
    assert_int_equal(w.accepts, 1);
    assert_int_equal(ssh_link_state(w.l), SSH_LINK_WAITING);
    uint64_t since = nk_now_ms(w.app);
    struct nk_stream *s = must_dial(&w);
    UNTIL(&w, w.accepts == 2);
    assert_true(nk_now_ms(w.app) - since >= SSH_LINK_PENALTY_MS - 100 * SCALE);
    assert_int_equal(w.closed, 0);
    nk_stream_close(s);
    close_world(&w);
}

static void test_shared(void **state)
{
    (void)state;
    struct world w;
    struct ssh_link_conf conf = {0};
    struct ssh_link *a, *b, *c, *d;
    open_world(&w, &conf);
    assert_int_equal(open_link(&w, &conf, true, "Compression=no", &a), 0);
    assert_int_equal(open_link(&w, &conf, true, "Compression=no", &b), 0);
    assert_int_equal(open_link(&w, &conf, true, "NumberOfPasswordPrompts=1", &c), 0);
    conf.refuse = true;
    assert_int_equal(open_link(&w, &conf, true, "Compression=no", &d), 0);
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, w.l); /* that one is not to be shared */
    assert_ptr_not_equal(a, c);
    assert_ptr_not_equal(a, d);
    ssh_link_unref(d);
    ssh_link_unref(c);
    ssh_link_unref(w.l);
    w.l = NULL;
    UNTIL(&w, ssh_link_state(a) == SSH_LINK_UP);
    ssh_link_unref(a);
    ssh_link_unref(b); /* it lingers, and is found again */
    conf.refuse = false;
    assert_int_equal(open_link(&w, &conf, true, "Compression=no", &c), 0);
    assert_ptr_equal(a, c);
    assert_int_equal(ssh_link_state(c), SSH_LINK_UP);
    ssh_link_unref(c);
    close_world(&w);
}

static void on_time(void *owner)
{
    *(bool *)owner = true;
}

/* A refused login is not repeated by whoever comes next, until the server has forgotten it. */
static void test_shared_refused(void **state)
{
    (void)state;
    struct world w;
    struct ssh_link_conf conf = {0};
    struct nk_diag diag = {0};
    struct ssh_link *a, *b;
    struct nk_stream *s;
    open_world_at(&w, &conf, 10 * SCALE);
    ssh_link_unref(w.l);
    w.l = NULL;
    w.refuse_login = true;
    assert_int_equal(open_link(&w, &conf, true, "Compression=no", &a), 0);
    UNTIL(&w, ssh_link_state(a) == SSH_LINK_OVER);
    unsigned accepts = w.accepts;
    ssh_link_unref(a);
    assert_int_equal(open_link(&w, &conf, true, "Compression=no", &b), 0);
    assert_ptr_equal(a, b);
    assert_int_equal(ssh_link_dial_tcp(b, "db", 1, on_stream, &w, &s, &diag), NK_EAUTH);
    ssh_link_unref(b);
    assert_int_equal(w.accepts, accepts);

    struct nk_timer timer;
    bool over = false;
    nk_timer_init(&timer, w.app, on_time, &over);
    nk_timer_start(&timer, SSH_LINK_PENALTY_MS);
    UNTIL(&w, over);
    w.refuse_login = false;
    assert_int_equal(open_link(&w, &conf, true, "Compression=no", &b), 0);
    UNTIL(&w, ssh_link_state(b) == SSH_LINK_UP);
    ssh_link_unref(b);
    close_world(&w);
}

/* --- listeners there -------------------------------------------------------------------------- */

static void on_accept(void *owner, struct nk_listener *l, struct nk_stream *take_s)
{
    struct world *w = owner;
    (void)l;
    nk_stream_close(w->accepted);
    w->accepted = take_s;
    nk_stream_own(take_s, on_stream, w);
}

static void on_told(void *owner, struct nk_listener *l, int rc, uint16_t port,
                    const struct nk_diag *why)
{
    struct world *w = owner;
    (void)l;
    assert_true(rc == 0 || why->text[0]);
    w->told = rc < 0 ? rc : w->told + 1;
    w->told_port = port;
}

/* The server says that somebody has connected. */
static void forwarded(struct world *w, const char *address, uint32_t port)
{
    struct nk_buf b;
    nk_buf_init(&b, 256);
    assert_int_equal(nk_buf_u8(&b, SSH_MSG_CHANNEL_OPEN), 0);
    assert_int_equal(ssh_put_text(&b, "forwarded-tcpip"), 0);
    assert_int_equal(nk_buf_be32(&b, 7), 0);
    assert_int_equal(nk_buf_be32(&b, 1 << 20), 0);
    assert_int_equal(nk_buf_be32(&b, 32 * 1024), 0);
    assert_int_equal(ssh_put_text(&b, address), 0);
    assert_int_equal(nk_buf_be32(&b, port), 0);
    assert_int_equal(ssh_put_text(&b, "192.0.2.7"), 0);
    assert_int_equal(nk_buf_be32(&b, 999), 0);
    assert_true(ssh_kit_send(&w->k, nk_buf_ptr(&b), nk_buf_len(&b)));
    nk_buf_clear(&b);
}

static void test_remote(void **state)
{
    (void)state;
    struct world w;
    struct ssh_link_conf conf = {0};
    struct nk_listener *l;
    char text[128];
    open_world(&w, &conf);
    const struct ssh_remote_conf remote = {
        .link = w.l, .host = "localhost", .told = on_told, .owner = &w};
    assert_int_equal(ssh_remote_listen(&remote, on_accept, &w, &l, NULL), 0);
    assert_int_equal(nk_listener_state(l), NK_EAGAIN);
    UNTIL(&w, w.told == 1);
    assert_int_equal(nk_listener_state(l), 0);
    assert_int_equal(w.told_port, CHOSEN);
    assert_int_equal(nk_listener_local(l, text, sizeof(text)), 0);
    assert_string_equal(text, "ssh:127.0.0.1/listen:localhost:4711");
    forwarded(&w, "localhost", 80); /* nobody asked for that one */
    UNTIL(&w, w.refused == 1);
    assert_null(w.accepted);
    forwarded(&w, "localhost", CHOSEN);
    UNTIL(&w, w.accepted && w.connected == 1);
    assert_int_equal(w.opened, 0); /* not yet: it has not been used */
    nk_stream_interest(w.accepted, NK_READABLE);
    UNTIL(&w, w.opened == 1);
    assert_int_equal(nk_stream_answer(w.accepted, 0), -ENOENT); /* no more */
    nk_stream_peer(w.accepted, text, sizeof(text));
    assert_string_equal(text, "192.0.2.7:999");
    forwarded(&w, "127.0.0.1", CHOSEN); /* some servers say it in their own words */
    UNTIL(&w, w.connected == 2);
    nk_listener_pause(l, 1);
    forwarded(&w, "localhost", CHOSEN);
    UNTIL(&w, w.refused == 2);
    nk_listener_pause(l, 0);
    /* a new connection: the old session has the port for a while */
    w.refuse_forward = true;
    hang_up(&w);
    UNTIL(&w, w.told < 0);
    assert_int_equal(nk_listener_state(l), NK_EAGAIN);
    UNTIL(&w, w.asked >= 3);
    w.refuse_forward = false;
    w.told = 0;
    UNTIL(&w, w.told == 1);
    nk_listener_close(l);
    UNTIL(&w, w.cancelled == 1);
    forwarded(&w, "localhost", CHOSEN); /* too late */
    UNTIL(&w, w.refused == 3);
    nk_stream_close(w.accepted);
    close_world(&w);
}

static void on_accept_many(void *owner, struct nk_listener *l, struct nk_stream *take_s)
{
    struct world *w = owner;
    (void)l;
    assert_true(nk_stream_waits(take_s));
    w->many[w->nmany++] = take_s;
}

/* The server hears what came of each connection, and there are not too many that it waits for. */
static void test_remote_answers(void **state)
{
    (void)state;
    struct world w;
    struct ssh_link_conf conf = {0};
    struct nk_listener *l;
    open_world(&w, &conf);
    const struct ssh_remote_conf remote = {
        .link = w.l, .host = "", .port = CHOSEN, .told = on_told, .owner = &w};
    assert_int_equal(ssh_remote_listen(&remote, on_accept_many, &w, &l, NULL), 0);
    UNTIL(&w, w.told == 1);
    for (int i = 0; i < SSH_REMOTE_WAITING_MAX + 2; i++) {
        forwarded(&w, "", CHOSEN);
    }
    UNTIL(&w, w.nmany == SSH_REMOTE_WAITING_MAX && w.refused == 2);
    assert_int_equal(w.reason, SSH_REFUSED_RESOURCES);
    assert_int_equal(nk_stream_answer(w.many[0], -ECONNREFUSED), 0);
    UNTIL(&w, w.refused == 3);
    assert_int_equal(w.reason, SSH_REFUSED_CONNECT);
    assert_int_equal(nk_stream_answer(w.many[1], NK_EAUTH), 0);
    UNTIL(&w, w.refused == 4);
    assert_int_equal(w.reason, SSH_REFUSED_PROHIBITED);
    assert_int_equal(nk_stream_answer(w.many[2], 0), 0);
    UNTIL(&w, w.opened == 1);
    assert_int_equal(nk_stream_write(w.many[3], "x", 1), 1); /* means yes */
    UNTIL(&w, w.opened == 2);
    forwarded(&w, "", CHOSEN); /* there is room for four again */
    UNTIL(&w, w.nmany == SSH_REMOTE_WAITING_MAX + 1);
    nk_stream_close(w.many[4]); /* without an answer */
    w.many[4] = NULL;
    UNTIL(&w, w.refused == 5);
    hang_up(&w);
    UNTIL(&w, w.downs == 1);
    assert_true(nk_stream_answer(w.many[5], 0) < 0 && !nk_stream_waits(w.many[5]));
    for (int i = 0; i < w.nmany; i++) {
        nk_stream_close(w.many[i]);
    }
    nk_listener_close(l);
    close_world(&w);
}

/* A limit to those that wait for the connection. */
static void test_held(void **state)
{
    (void)state;
    struct world w;
    struct ssh_link_conf conf = {0};
    struct nk_diag diag = {0};
    struct nk_stream **held = calloc(SSH_LINK_HELD_MAX, sizeof(struct nk_stream *)), *more;
    assert_non_null(held);
    open_world(&w, &conf);
    for (int i = 0; i < SSH_LINK_HELD_MAX; i++) {
        held[i] = must_dial(&w);
    }
    assert_int_equal(ssh_link_dial_tcp(w.l, "db", 1, on_stream, &w, &more, &diag), NK_ELIMIT);
    nk_stream_close(held[0]);
    held[0] = must_dial(&w);
    for (int i = 0; i < SSH_LINK_HELD_MAX; i++) {
        nk_stream_close(held[i]);
    }
    free(held);
    close_world(&w);
}

static void on_state(void *owner, struct nk_listener *l, int state, const struct nk_diag *why)
{
    struct world *w = owner;
    assert_int_equal(state, nk_listener_state(l));
    assert_true(why->code == state && why->text[0]);
    w->told = state;
}

/* A listener of a link that is over is of no use any more, and there will be no new one. */
static void test_remote_over(void **state)
{
    (void)state;
    struct world w;
    struct ssh_link_conf conf = {0};
    struct nk_diag diag = {0};
    struct nk_listener *l, *late;
    open_world(&w, &conf);
    w.refuse_login = true;
    const struct ssh_remote_conf remote = {.link = w.l, .host = "localhost"};
    assert_int_equal(ssh_remote_listen(&remote, on_accept, &w, &l, NULL), 0);
    nk_listener_watch(l, on_state, &w);
    UNTIL(&w, w.told < 0);
    assert_int_equal(w.told, NK_EAUTH);
    assert_int_equal(ssh_remote_listen(&remote, on_accept, &w, &late, &diag), NK_EAUTH);
    assert_true(diag.text[0]);
    nk_listener_close(l);
    close_world(&w);
}

/* Many connections of one link: nothing is left of those before (the sanitizers look). */
static void test_many_times(void **state)
{
    (void)state;
    struct world w;
    struct ssh_link_conf conf = {0};
    struct nk_listener *l;
    open_world(&w, &conf);
    const struct ssh_remote_conf remote = {
        .link = w.l, .host = "", .port = CHOSEN, .told = on_told, .owner = &w};
    assert_int_equal(ssh_remote_listen(&remote, on_accept, &w, &l, NULL), 0);
    for (int i = 1; i <= TIMES; i++) {
        struct nk_stream *s = must_dial(&w);
        UNTIL(&w, w.told == i && w.connected == (unsigned)i);
        hang_up(&w);
        UNTIL(&w, w.downs == (unsigned)i);
        nk_stream_close(s);
        ssh_link_retry(w.l);
    }
    UNTIL(&w, w.told == TIMES + 1);
    assert_int_equal(w.asked, TIMES + 1);
    nk_listener_close(l);
    close_world(&w);
}

int nk_test_ssh_link(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made_again),     cmocka_unit_test(test_over),
        cmocka_unit_test(test_bounds),         cmocka_unit_test(test_shared),
        cmocka_unit_test(test_shared_refused), cmocka_unit_test(test_told_off),
        cmocka_unit_test(test_remote),         cmocka_unit_test(test_remote_over),
        cmocka_unit_test(test_many_times),     cmocka_unit_test(test_remote_answers),
        cmocka_unit_test(test_held),
    };
    return cmocka_run_group_tests_name("ssh/link", tests, NULL, NULL);
}
