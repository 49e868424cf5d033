/* SPDX-License-Identifier: MIT */
#include "net/conform_testkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/registry.h"

enum {
    MAX_ROWS = 64,
    PATIENCE_MS = 5000, /* real time after which a check has failed */
    BIG = 1024 * 1024,
    TINY_BIG = 3000,
    MAX_QUEUED = 64 * 1024 * 1024 /* a writer nobody reads from must be stopped before this */
};

struct end {
    struct nk_stream *s;
    uint8_t dir, expect; /* what we send and what we read: the directions' bytes differ */
    size_t to_send, sent;
    bool shut_after; /* half-close after the last byte */
    size_t chunk;    /* most bytes per call; random below it */
    size_t got;
    ssize_t last; /* last result of read: 1 = open, 0 = ended, < 0 error */
    int connected, closed, readable, writable;
    bool close_it, no_read, wrong;
    unsigned seed;
};

struct pair {
    const struct nk_conform_row *row;
    struct nk_app *app;
    struct nk_listener *listener;
    struct end a, b; /* a dialled, b was accepted; b.s is NULL for echo rows */
};

static unsigned rnd(unsigned *seed, unsigned bound)
{
    *seed = *seed * 1103515245u + 12345u;
    return (*seed >> 16) % bound;
}

static uint8_t byte_at(uint8_t dir, size_t pos)
{
    return (uint8_t)(pos * 31 + (pos >> 8) * 7 + dir);
}

static long now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void send_more(struct end *e)
{
    uint8_t buf[65536];
    while (e->sent < e->to_send) {
        size_t n = e->to_send - e->sent, max = 1 + rnd(&e->seed, (unsigned)e->chunk);
        n = n < max ? n : max;
        for (size_t i = 0; i < n; i++) {
            buf[i] = byte_at(e->dir, e->sent + i);
        }
        size_t half = n / 2;
        struct iovec iov[2] = {{buf, half}, {buf + half, n - half}};
        ssize_t put = nk_stream_writev(e->s, iov, 2);
        if (put < 0) {
            e->wrong = e->wrong || put != NK_EAGAIN;
            return;
        }
        e->sent += (size_t)put;
    }
    if (e->shut_after) {
        e->shut_after = false;
        e->wrong = e->wrong || nk_stream_shutdown(e->s) < 0;
    }
}

static void read_more(struct end *e)
{
    uint8_t buf[65536];
    for (;;) {
        size_t max = 1 + rnd(&e->seed, (unsigned)e->chunk);
        e->last = nk_stream_read(e->s, buf, max);
        if (e->last <= 0) {
            break;
        }
        for (ssize_t i = 0; i < e->last; i++) {
            e->wrong = e->wrong || buf[i] != byte_at(e->expect, e->got + (size_t)i);
        }
        e->got += (size_t)e->last;
        if (rnd(&e->seed, 4) == 0) {
            return; /* leaves the rest: READABLE must repeat */
        }
    }
    if (e->last != NK_EAGAIN) {
        nk_stream_interest(e->s, e->s->interest & NK_WRITABLE);
    } else {
        e->last = 1;
    }
}

static void on_event(void *owner, struct nk_stream *s, unsigned events)
{
    struct end *e = owner;
    assert_ptr_equal(s, e->s);
    e->connected += (events & NK_CONNECTED) != 0;
    e->closed += (events & NK_CLOSED) != 0;
    e->readable += (events & NK_READABLE) != 0;
    e->writable += (events & NK_WRITABLE) != 0;
    assert_true(e->connected + e->closed == 1); /* one of them first, and only one */
    if (events & NK_CONNECTED) {
        (void)nk_stream_answer(s, 0); /* where the other end has asked for something, it gets it */
    }
    if (e->close_it) {
        nk_stream_close(s);
        e->s = NULL;
        return;
    }
    if ((events & NK_READABLE) && !e->no_read) {
        read_more(e);
    }
    if (events & NK_WRITABLE) {
        send_more(e);
    }
}

static void on_accept(void *owner, struct nk_listener *l, struct nk_stream *take_s)
{
    struct pair *p = owner;
    (void)l;
    if (p->b.s) {
        nk_stream_close(take_s);
        return;
    }
    p->b.s = take_s;
    nk_stream_own(take_s, on_event, &p->b);
}

/* --- setup ------------------------------------------------------------------------------------ */

static struct nk_launcher **the_launcher(void)
{
    static struct nk_launcher *launcher; /* of this test program */
    return &launcher;
}

static int dial_text(struct pair *p, const char *text, struct end *e, struct nk_diag *diag)
{
    struct nk_endpoint *ep;
    int rc = nk_endpoint_parse(text, NK_EP_CONNECT, &ep, diag);
    if (rc == 0) {
        rc = nk_dial(p->app, ep, on_event, e, &e->s, diag);
        nk_endpoint_free(ep);
    }
    return rc;
}

/* Two runs of the tests at the same time must not meet: "$$" in a row's string is our pid. */
static const char *with_pid(char *out, size_t max, const char *text)
{
    const char *at = strstr(text, "$$");
    if (at) {
        snprintf(out, max, "%.*s%d%s", (int)(at - text), text, (int)getpid(), at + 2);
    } else {
        snprintf(out, max, "%s", text);
    }
    return out;
}

static int connect_text(struct pair *p, char *out, size_t max)
{
    char local[512];
    if (p->row->connect || p->row->echo) {
        snprintf(out, max, "%s", p->row->echo ? p->row->echo : p->row->connect);
        return 0;
    }
    int rc = nk_listener_local(p->listener, local, sizeof(local));
    if (rc == 0) {
        snprintf(out, max, "%s%s", local, p->row->suffix ? p->row->suffix : "");
    }
    return rc;
}

static bool up(const struct pair *p)
{
    return (p->a.connected || p->a.closed) && (p->row->echo || p->b.connected || p->b.closed);
}

/* Turns the loop until done(p) or patience is over. */
static bool turn_until(struct pair *p, bool (*done)(const struct pair *))
{
    long end = now_ms() + PATIENCE_MS;
    while (!done(p) && now_ms() < end) {
        nk_app_turn(p->app, 200);
    }
    return done(p);
}

static void open_listener(struct pair *p, struct nk_diag *diag)
{
    struct nk_endpoint *ep;
    if (!p->row->listen) {
        return;
    }
    char text[512];
    int rc = nk_endpoint_parse(with_pid(text, sizeof(text), p->row->listen), NK_EP_LISTEN_OPEN, &ep,
                               diag);
    if (rc == 0) {
        rc = nk_listen(p->app, ep, on_accept, p, &p->listener, diag);
        nk_endpoint_free(ep);
    }
    if (rc < 0) {
        fail_msg("%s: %s", p->row->name, diag->text);
    }
}

static void open_pair(struct pair *p, const struct nk_conform_row *row)
{
    struct nk_diag diag = {0};
    char text[1024];
    struct nk_app_conf conf = {.test_endpoints = true, .launcher = *the_launcher()};
    *p = (struct pair){.row = row};
    p->a =
        (struct end){.dir = 0, .expect = row->echo ? 0 : 1, .chunk = 65536, .last = 1, .seed = 1};
    p->b = (struct end){.dir = 1, .chunk = 65536, .last = 1, .seed = 2};
    assert_int_equal(nk_app_new(&p->app, &conf, &diag), 0);
    open_listener(p, &diag);
    if (row->open) {
        assert_int_equal(row->open(p->app, &p->a.s, &p->b.s), 0);
        nk_stream_own(p->a.s, on_event, &p->a);
        nk_stream_own(p->b.s, on_event, &p->b);
    } else {
        assert_int_equal(connect_text(p, text, sizeof(text)), 0);
        if (dial_text(p, text, &p->a, &diag) < 0) {
            fail_msg("%s: %s", row->name, diag.text);
        }
        assert_int_equal(p->a.connected, 0); /* never from inside the dial */
    }
    assert_true(turn_until(p, up));
    if (p->a.closed && nk_stream_error(p->a.s, &diag) < 0) {
        fail_msg("%s: %s", row->name, diag.text);
    }
    assert_int_equal(p->a.connected, 1);
    assert_int_equal(p->b.connected, row->echo ? 0 : 1);
}

static void close_pair(struct pair *p)
{
    nk_stream_close(p->a.s);
    nk_stream_close(p->b.s);
    nk_listener_close(p->listener);
    nk_app_turn(p->app, 0);
    nk_app_free(p->app);
}

/* --- checks ----------------------------------------------------------------------------------- */

static bool all_moved(const struct pair *p)
{
    return p->a.last <= 0 && p->b.last <= 0;
}

static void check_clean(const struct end *e, size_t expected)
{
    assert_false(e->wrong);
    assert_int_equal(e->got, expected);
    assert_int_equal(e->last, 0); /* the end, not an error */
}

static void transfer(struct pair *p, size_t ab, size_t ba)
{
    p->a.to_send = ab;
    p->b.to_send = ba;
    p->a.shut_after = p->b.shut_after = true;
    nk_stream_interest(p->a.s, NK_READABLE | NK_WRITABLE);
    send_more(&p->a);
    nk_stream_interest(p->b.s, NK_READABLE | NK_WRITABLE);
    send_more(&p->b);
    assert_true(turn_until(p, all_moved));
    check_clean(&p->b, ab);
    check_clean(&p->a, ba);
}

static size_t fit(const struct nk_conform_row *row, size_t n)
{
    return (row->flags & NK_CONFORM_TINY) && n > TINY_BIG ? TINY_BIG : n;
}

static void check_sizes(const struct nk_conform_row *row)
{
    static const size_t sizes[] = {0, 1, 4096, 65537, BIG};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct pair p;
        open_pair(&p, row);
        size_t n = fit(row, sizes[i]);
        transfer(&p, n, n ? n - 1 : 0);
        close_pair(&p);
    }
}

static void check_single_bytes(const struct nk_conform_row *row)
{
    struct pair p;
    open_pair(&p, row);
    p.a.chunk = p.b.chunk = 1;
    transfer(&p, 700, 300);
    close_pair(&p);
}

static bool b_ended(const struct pair *p)
{
    return p->b.last <= 0;
}

static bool a_ended(const struct pair *p)
{
    return p->a.last <= 0;
}

/* One direction ends long before the other, which still carries everything. */
static void check_half_close(const struct nk_conform_row *row)
{
    for (int turned = 0; turned < 2; turned++) {
        struct pair p;
        open_pair(&p, row);
        struct end *early = turned ? &p.b : &p.a, *late = turned ? &p.a : &p.b;
        nk_stream_interest(early->s, NK_READABLE | NK_WRITABLE);
        nk_stream_interest(late->s, NK_READABLE | NK_WRITABLE);
        assert_int_equal(nk_stream_shutdown(early->s), 0);
        assert_int_equal(nk_stream_shutdown(early->s), 0); /* idempotent */
        assert_int_equal(nk_stream_write(early->s, "x", 1), -EPIPE);
        assert_true(turn_until(&p, turned ? a_ended : b_ended));
        late->to_send = fit(row, 100000);
        late->shut_after = true;
        send_more(late);
        assert_true(turn_until(&p, turned ? b_ended : a_ended));
        check_clean(early, fit(row, 100000));
        close_pair(&p);
    }
}

static uint64_t turns_in(struct nk_app *app, int ms)
{
    uint64_t before = nk_app_turn_id(app), last;
    long end = now_ms() + ms;
    do {
        last = nk_app_turn_id(app);
        nk_app_turn(app, ms);
    } while (now_ms() < end && nk_app_turn_id(app) != last && nk_app_turn_id(app) - before < 10000);
    return nk_app_turn_id(app) - before;
}

/* Waiting for nothing costs nothing, also when the peer has written, ended or gone. */
static void check_quiet(const struct nk_conform_row *row)
{
    for (int step = 0; step < 3; step++) {
        struct pair p;
        open_pair(&p, row);
        nk_stream_interest(p.a.s, step ? NK_READABLE : 0);
        nk_app_turn(p.app, 0);
        nk_stream_interest(p.a.s, 0);
        assert_true(nk_stream_write(p.b.s, "abc", 3) > 0);
        if (step == 1) {
            nk_stream_shutdown(p.b.s);
        } else if (step == 2) {
            nk_stream_close(p.b.s);
            p.b.s = NULL;
        }
        nk_app_turn(p.app, 1);
        int events = p.a.readable + p.a.writable;
        assert_true(turns_in(p.app, 5) <= 10);
        assert_int_equal(p.a.readable + p.a.writable, events);
        close_pair(&p);
    }
}

static bool b_readable(const struct pair *p)
{
    return p->b.readable > 0;
}

static void check_level(const struct nk_conform_row *row)
{
    struct pair p;
    open_pair(&p, row);
    p.b.no_read = true;
    nk_stream_interest(p.b.s, NK_READABLE);
    assert_true(nk_stream_write(p.a.s, "ab", 2) > 0);
    assert_true(turn_until(&p, b_readable));
    int before = p.b.readable;
    for (int i = 0; i < 4; i++) {
        nk_app_turn(p.app, 50);
    }
    assert_true(p.b.readable - before >= 3); /* not read: it repeats every turn */
    nk_stream_interest(p.b.s, 0);
    before = p.b.readable;
    nk_app_turn(p.app, 1);
    assert_int_equal(p.b.readable, before);
    close_pair(&p);
}

static bool b_gone(const struct pair *p)
{
    return p->b.s == NULL;
}

static void check_close_inside(const struct nk_conform_row *row)
{
    struct pair p;
    open_pair(&p, row);
    p.b.close_it = true;
    nk_stream_interest(p.b.s, NK_READABLE | NK_WRITABLE);
    assert_true(nk_stream_write(p.a.s, "ab", 2) > 0);
    assert_true(turn_until(&p, b_gone));
    int events = p.b.readable + p.b.writable;
    nk_stream_interest(p.a.s, NK_READABLE);
    assert_true(turn_until(&p, a_ended));                  /* the end or a reset, but something */
    assert_int_equal(p.b.readable + p.b.writable, events); /* none after the close */
    close_pair(&p);
}

/* Nobody reads: the writer is stopped. Then everything arrives and WRITABLE comes. */
static void check_back_pressure(const struct nk_conform_row *row)
{
    struct pair p;
    open_pair(&p, row);
    p.a.to_send = MAX_QUEUED;
    size_t before;
    do { /* what filters and kernels hold settles after some turns */
        before = p.a.sent;
        send_more(&p.a);
        nk_app_turn(p.app, 1);
    } while (p.a.sent != before);
    assert_false(p.a.wrong);
    assert_true(p.a.sent < MAX_QUEUED);
    assert_int_equal(p.a.writable, 0);
    p.a.to_send = p.a.sent + 10;
    p.a.shut_after = true;
    nk_stream_interest(p.a.s, NK_WRITABLE);
    nk_stream_interest(p.b.s, NK_READABLE);
    assert_true(turn_until(&p, b_ended));
    assert_true(p.a.writable > 0);
    check_clean(&p.b, p.a.to_send);
    close_pair(&p);
}

static void check_reset(const struct nk_conform_row *row)
{
    struct pair p;
    int fd = -1;
    size_t n = sizeof(fd);
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    open_pair(&p, row);
    nk_stream_interest(p.b.s, NK_READABLE);
    p.a.to_send = fit(row, 50000);
    nk_stream_interest(p.a.s, NK_WRITABLE);
    send_more(&p.a);
    nk_app_turn(p.app, 1);
    if (nk_stream_query(p.a.s, NK_Q_FD, &fd, &n) == 0 && fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    }
    nk_stream_close(p.a.s);
    p.a.s = NULL;
    assert_true(turn_until(&p, b_ended));
    assert_false(p.b.wrong);
    assert_true(p.b.got <= p.a.sent);
    ssize_t again = nk_stream_read(p.b.s, &(char){0}, 1);
    assert_int_equal(again, p.b.last); /* ends and errors stay */
    close_pair(&p);
}

static bool a_closed(const struct pair *p)
{
    return p->a.closed > 0;
}

static void check_refused(const struct nk_conform_row *row)
{
    struct nk_diag diag = {0};
    struct pair p = {.row = row};
    struct nk_app_conf conf = {.test_endpoints = true, .launcher = *the_launcher()};
    assert_int_equal(nk_app_new(&p.app, &conf, NULL), 0);
    char text[512];
    assert_int_equal(dial_text(&p, with_pid(text, sizeof(text), row->refused), &p.a, &diag), 0);
    assert_int_equal(p.a.closed, 0);
    assert_true(turn_until(&p, a_closed));
    assert_int_equal(p.a.connected, 0);
    int rc = nk_stream_error(p.a.s, &diag);
    assert_true(rc < 0);
    assert_int_equal(diag.code, rc);
    assert_non_null(strchr(diag.text, ':')); /* says where */
    close_pair(&p);
}

/* A listener that was closed accepts nobody; a dial that is given up raises no event. */
static void check_listener_close(const struct nk_conform_row *row)
{
    struct pair p;
    struct nk_diag diag = {0};
    char text[1024];
    open_pair(&p, row);
    assert_int_equal(connect_text(&p, text, sizeof(text)), 0);
    nk_listener_close(p.listener);
    p.listener = NULL;
    struct end late = {.last = 1, .chunk = 10};
    struct pair q = {.row = row, .app = p.app};
    q.a = late;
    assert_int_equal(dial_text(&q, text, &q.a, &diag), 0);
    assert_true(turn_until(&q, a_closed));
    assert_int_equal(q.a.connected, 0);
    nk_stream_close(q.a.s);
    q.a = late;
    assert_int_equal(dial_text(&q, text, &q.a, &diag), 0);
    nk_stream_close(q.a.s);
    nk_app_turn(p.app, 1);
    assert_int_equal(q.a.connected + q.a.closed, 0);
    close_pair(&p);
}

static void check_echo(const struct nk_conform_row *row)
{
    static const size_t sizes[] = {0, 1, 65537, BIG};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct pair p;
        open_pair(&p, row);
        p.a.to_send = sizes[i];
        p.a.shut_after = true;
        nk_stream_interest(p.a.s, NK_READABLE | NK_WRITABLE);
        send_more(&p.a);
        assert_true(turn_until(&p, a_ended));
        check_clean(&p.a, sizes[i]);
        close_pair(&p);
    }
}

/* --- the group -------------------------------------------------------------------------------- */

static void check_row(void **state)
{
    const struct nk_conform_row *row = *state;
    if (row->echo) {
        check_echo(row);
        return;
    }
    if (!(row->flags & NK_CONFORM_NO_HALF_CLOSE)) {
        check_sizes(row);
        check_single_bytes(row);
        check_half_close(row);
        check_back_pressure(row);
    }
    check_quiet(row);
    check_level(row);
    check_close_inside(row);
    check_reset(row);
    if (row->refused) {
        check_refused(row);
    }
    if (row->listen) {
        check_listener_close(row);
    }
}

int nk_conform_run(const char *group, const struct nk_conform_row *rows, size_t n,
                   struct nk_launcher *launcher)
{
    struct CMUnitTest tests[MAX_ROWS];
    *the_launcher() = launcher;
    if (n > MAX_ROWS) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        tests[i] = (struct CMUnitTest){.name = rows[i].name,
                                       .test_func = check_row,
                                       .initial_state = (void *)(uintptr_t)&rows[i]};
    }
    return _cmocka_run_group_tests(group, tests, n, NULL, NULL);
}
