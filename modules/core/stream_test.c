/* SPDX-License-Identifier: MIT */
/* The measured traps of descriptors below the stream contract, on socket pairs and pipes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/app.h"
#include "core/stream.h"
#include "core/watch.h"

struct end {
    struct nk_app *app;
    struct nk_stream *s;
    int readable, writable, connected, closed;
    size_t eat; /* read at most this much in one event; 0 = nothing */
    size_t got;
    ssize_t last;  /* last result of read */
    bool close_it; /* close inside the next event */
    bool in_call;  /* events must not arrive while this is set */
};

static void on_event(void *owner, struct nk_stream *s, unsigned events)
{
    struct end *e = owner;
    char buf[4096];
    assert_false(e->in_call);
    assert_ptr_equal(s, e->s);
    e->connected += (events & NK_CONNECTED) != 0;
    e->closed += (events & NK_CLOSED) != 0;
    e->writable += (events & NK_WRITABLE) != 0;
    e->readable += (events & NK_READABLE) != 0;
    if (e->close_it) {
        nk_stream_close(s);
        e->s = NULL;
        return;
    }
    if ((events & NK_READABLE) && e->eat) {
        e->last = nk_stream_read(s, buf, e->eat < sizeof(buf) ? e->eat : sizeof(buf));
        if (e->last > 0) {
            e->got += (size_t)e->last;
        } else if (e->last != NK_EAGAIN) {
            nk_stream_interest(s, 0);
        }
    }
}

struct pair {
    struct nk_app *app;
    struct end e;
    int peer; /* the other, plain descriptor */
};

static void open_over(struct pair *p, int fd)
{
    struct nk_app_conf conf = {0};
    assert_int_equal(nk_app_new(&p->app, &conf, NULL), 0);
    p->e = (struct end){.app = p->app, .last = 1};
    assert_int_equal(nk_stream_from_fd(p->app, fd, "pair", &p->e.s), 0);
    nk_stream_own(p->e.s, on_event, &p->e);
    nk_app_turn(p->app, 0);
    assert_int_equal(p->e.connected, 1);
}

static void open_pair(struct pair *p)
{
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    p->peer = fd[1];
    open_over(p, fd[0]);
}

static void close_pair(struct pair *p)
{
    nk_stream_close(p->e.s);
    if (p->peer >= 0) {
        close(p->peer);
    }
    nk_app_free(p->app);
}

/* Turns that the loop makes within ms milliseconds of real time. */
static uint64_t turns_in(struct nk_app *app, int ms)
{
    struct timespec a, b;
    uint64_t before = nk_app_turn_id(app);
    clock_gettime(CLOCK_MONOTONIC, &a);
    do {
        nk_app_turn(app, ms);
        clock_gettime(CLOCK_MONOTONIC, &b);
    } while ((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 < ms &&
             nk_app_turn_id(app) != before && nk_app_turn_id(app) - before < 10000);
    return nk_app_turn_id(app) - before;
}

static void test_readable_is_a_level(void **state)
{
    (void)state;
    struct pair p;
    open_pair(&p);
    assert_int_equal(write(p.peer, "0123456789", 10), 10);
    nk_app_turn(p.app, 0);
    assert_int_equal(p.e.readable, 0); /* no interest, no event */
    nk_stream_interest(p.e.s, NK_READABLE);
    for (int i = 0; i < 3; i++) {
        nk_app_turn(p.app, 10); /* not read: the event repeats */
    }
    assert_true(p.e.readable >= 3 - 1);
    p.e.eat = 3;
    p.e.readable = 0;
    for (int i = 0; i < 8 && p.e.got < 10; i++) {
        nk_app_turn(p.app, 10);
    }
    assert_int_equal(p.e.got, 10);
    assert_int_equal(p.e.readable, 4);
    nk_app_turn(p.app, 5);
    assert_int_equal(p.e.readable, 4); /* nothing left: silence */
    close_pair(&p);
}

/* A reader that pauses and resumes loses nothing, whatever arrived meanwhile. */
static void test_pause_and_resume(void **state)
{
    (void)state;
    struct pair p;
    open_pair(&p);
    p.e.eat = 4096;
    nk_stream_interest(p.e.s, NK_READABLE);
    nk_app_turn(p.app, 0);
    for (int i = 0; i < 5; i++) {
        nk_stream_interest(p.e.s, 0);
        assert_int_equal(write(p.peer, "abc", 3), 3);
        int before = p.e.readable;
        assert_true(turns_in(p.app, 3) < 10); /* paused: no spin */
        assert_int_equal(p.e.readable, before);
        nk_stream_interest(p.e.s, NK_READABLE);
        nk_app_turn(p.app, 10);
        nk_app_turn(p.app, 1);
        assert_int_equal(p.e.got, (size_t)(i + 1) * 3);
    }
    close_pair(&p);
}

enum how { HALF_CLOSED, CLOSED, RESET };

static void end_peer(struct pair *p, enum how how)
{
    if (how == HALF_CLOSED) {
        shutdown(p->peer, SHUT_WR);
        return;
    }
    if (how == RESET) { /* a unix socket closed with unread bytes resets its peer */
        assert_int_equal(nk_stream_write(p->e.s, "unread", 6), 6);
    }
    close(p->peer);
    p->peer = -1;
}

/* A paused stream costs no CPU, whatever the peer does (it spins with plain uv_poll). */
static void test_paused_stream_never_spins(void **state)
{
    (void)state;
    for (int how = HALF_CLOSED; how <= RESET; how++) {
        for (unsigned before = 0; before <= NK_READABLE; before++) {
            struct pair p;
            open_pair(&p);
            nk_stream_interest(p.e.s, before); /* armed, then paused */
            nk_app_turn(p.app, 0);
            nk_stream_interest(p.e.s, 0);
            end_peer(&p, (enum how)how);
            nk_app_turn(p.app, 0);
            int events = p.e.readable;
            uint64_t turns = turns_in(p.app, 10);
            assert_true(turns <= 6);
            assert_int_equal(p.e.readable, events);
            close_pair(&p);
        }
    }
}

/* Interest in WRITABLE alone, both sides shut: HUP would fire for ever. */
static void test_write_interest_never_spins(void **state)
{
    (void)state;
    struct pair p;
    open_pair(&p);
    nk_stream_interest(p.e.s, NK_WRITABLE);
    nk_stream_shutdown(p.e.s);
    end_peer(&p, CLOSED);
    assert_true(turns_in(p.app, 10) <= 6);
    assert_int_equal(p.e.writable, 0); /* no write was refused */
    close_pair(&p);
}

static void test_bytes_before_the_end(void **state)
{
    (void)state;
    struct pair p;
    open_pair(&p);
    assert_int_equal(write(p.peer, "bye", 3), 3);
    end_peer(&p, CLOSED);
    p.e.eat = 4096;
    nk_stream_interest(p.e.s, NK_READABLE);
    for (int i = 0; i < 10 && p.e.last > 0; i++) {
        nk_app_turn(p.app, 10);
    }
    assert_int_equal(p.e.got, 3);
    assert_int_equal(p.e.last, 0);
    char c;
    assert_int_equal(nk_stream_read(p.e.s, &c, 1), 0); /* the end stays the end */
    close_pair(&p);
}

/* A TCP connection in both directions over loopback: [0] is ours, [1] the peer's. */
static void tcp_pair(int fd[2])
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    int l = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(l, (struct sockaddr *)&in, len), 0);
    assert_int_equal(listen(l, 1), 0);
    assert_int_equal(getsockname(l, (struct sockaddr *)&in, &len), 0);
    fd[1] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd[1], (struct sockaddr *)&in, len), 0);
    fd[0] = accept(l, NULL, NULL);
    assert_true(fd[0] >= 0);
    close(l);
}

static void test_reset_gives_bytes_then_the_real_error(void **state)
{
    (void)state;
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    struct pair p;
    int fd[2];
    tcp_pair(fd);
    p.peer = fd[1];
    open_over(&p, fd[0]);
    assert_int_equal(write(p.peer, "12345", 5), 5);
    setsockopt(p.peer, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    close(p.peer); /* RST */
    p.peer = -1;
    p.e.eat = 4096;
    nk_stream_interest(p.e.s, NK_READABLE);
    for (int i = 0; i < 10 && p.e.last > 0; i++) {
        nk_app_turn(p.app, 10);
    }
    assert_int_equal(p.e.got, 5);
    assert_int_equal(p.e.last, -ECONNRESET); /* libuv would say EBADF */
    char c;
    assert_int_equal(nk_stream_read(p.e.s, &c, 1), -ECONNRESET); /* sticky */
    int rc = (int)nk_stream_write(p.e.s, "x", 1);
    assert_true(rc == -EPIPE || rc == -ECONNRESET);
    close_pair(&p);
}

/* WRITABLE: once after a refused write, when there is room again. */
static void test_writable_once(void **state)
{
    (void)state;
    static char big[65536];
    struct pair p;
    ssize_t n;
    size_t put = 0;
    open_pair(&p);
    nk_stream_interest(p.e.s, NK_WRITABLE);
    assert_true(turns_in(p.app, 2) < 6);
    assert_int_equal(p.e.writable, 0);
    while ((n = nk_stream_write(p.e.s, big, sizeof(big))) > 0) {
        put += (size_t)n;
    }
    assert_int_equal(n, NK_EAGAIN);
    nk_app_turn(p.app, 0);
    assert_int_equal(p.e.writable, 0);
    while (put > 0) {
        n = read(p.peer, big, sizeof(big));
        assert_true(n > 0);
        put -= (size_t)n;
    }
    assert_true(turns_in(p.app, 5) < 8);
    assert_int_equal(p.e.writable, 1);
    close_pair(&p);
}

/* At most NK_TURN_BYTES per turn, and the rest comes in the following turns without new traffic. */
static void test_turn_limit(void **state)
{
    (void)state;
    static char big[65536];
    struct pair p;
    open_pair(&p);
    int wanted = 4 * NK_TURN_BYTES;
    setsockopt(p.peer, SOL_SOCKET, SO_SNDBUFFORCE, &wanted, sizeof(wanted));
    fcntl(p.peer, F_SETFL, O_NONBLOCK);
    size_t sent = 0, got = 0;
    ssize_t n;
    while ((n = write(p.peer, big, sizeof(big))) > 0) {
        sent += (size_t)n;
    }
    if (sent <= NK_TURN_BYTES) {
        print_message("skipped: the kernel holds only %zu bytes\n", sent);
        close_pair(&p);
        return;
    }
    nk_stream_interest(p.e.s, NK_READABLE);
    while ((n = nk_stream_read(p.e.s, big, sizeof(big))) > 0) {
        got += (size_t)n;
    }
    assert_int_equal(n, NK_EAGAIN);
    assert_int_equal(got, NK_TURN_BYTES);
    p.e.eat = 4096;
    nk_app_turn(p.app, 10);
    assert_true(p.e.got > 0);
    close_pair(&p);
}

static void test_close_inside_event(void **state)
{
    (void)state;
    struct pair p;
    open_pair(&p);
    p.e.close_it = true;
    assert_int_equal(write(p.peer, "x", 1), 1);
    nk_stream_interest(p.e.s, NK_READABLE);
    nk_app_turn(p.app, 10);
    assert_null(p.e.s);
    assert_int_equal(p.e.readable, 1);
    char c;
    assert_true(read(p.peer, &c, 1) <= 0); /* closed at once */
    nk_app_turn(p.app, 0);
    assert_int_equal(p.e.readable, 1);
    close_pair(&p);
}

static void test_no_events_inside_calls(void **state)
{
    (void)state;
    struct pair p;
    open_pair(&p);
    assert_int_equal(write(p.peer, "x", 1), 1);
    p.e.in_call = true;
    nk_stream_interest(p.e.s, NK_READABLE | NK_WRITABLE);
    nk_stream_write(p.e.s, "y", 1);
    nk_stream_again(p.e.s);
    nk_stream_raise(p.e.s, NK_WRITABLE);
    nk_stream_own(p.e.s, on_event, &p.e);
    p.e.in_call = false;
    nk_app_turn(p.app, 0);
    assert_int_equal(p.e.readable, 1);
    assert_int_equal(p.e.writable, 1);
    close_pair(&p);
}

static void test_write_end_of_pipe(void **state)
{
    (void)state;
    struct pair p;
    int fd[2];
    char buf[8];
    assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
    p.peer = fd[0];
    open_over(&p, fd[1]);
    assert_int_equal(nk_stream_write(p.e.s, "hello", 5), 5);
    assert_int_equal(nk_stream_shutdown(p.e.s), 0); /* the only half-close a pipe has */
    assert_int_equal(nk_stream_shutdown(p.e.s), 0);
    assert_int_equal(nk_stream_write(p.e.s, "x", 1), -EPIPE);
    assert_int_equal(read(p.peer, buf, sizeof(buf)), 5);
    assert_int_equal(read(p.peer, buf, sizeof(buf)), 0);
    close_pair(&p);
}

static void test_pipe_reader_gone(void **state)
{
    (void)state;
    struct pair p;
    int fd[2];
    assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
    p.peer = -1;
    open_over(&p, fd[1]);
    nk_stream_interest(p.e.s, NK_WRITABLE);
    close(fd[0]);
    assert_true(turns_in(p.app, 5) <= 6);
    assert_int_equal(nk_stream_write(p.e.s, "x", 1), -EPIPE); /* no SIGPIPE either */
    close_pair(&p);
}

static void on_watch(void *owner, struct nk_watch *w, unsigned ready)
{
    (void)w;
    *(unsigned *)owner |= ready;
}

static void test_refused_connect_reports_the_reason(void **state)
{
    (void)state;
    struct nk_app *app;
    struct nk_app_conf conf = {0};
    struct nk_watch *w;
    unsigned seen = 0;
    int fd[2], error = 0;
    struct sockaddr_in in;
    socklen_t len = sizeof(in);
    tcp_pair(fd); /* a port that is free again once both are gone */
    getsockname(fd[0], (struct sockaddr *)&in, &len);
    close(fd[0]);
    close(fd[1]);
    assert_int_equal(nk_app_new(&app, &conf, NULL), 0);
    int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int rc = connect(s, (struct sockaddr *)&in, sizeof(in));
    assert_true(rc < 0 && (errno == EINPROGRESS || errno == ECONNREFUSED));
    assert_int_equal(nk_watch_open(app, s, 0, on_watch, &seen, &w), 0);
    nk_watch_set(w, NK_WRITABLE);
    nk_app_turn(app, 100);
    assert_int_equal(seen, NK_READABLE | NK_WRITABLE); /* no negative status reaches anybody */
    assert_true(turns_in(app, 5) <= 3);                /* and it does not repeat */
    len = sizeof(error);
    getsockopt(s, SOL_SOCKET, SO_ERROR, &error, &len);
    assert_int_equal(error, ECONNREFUSED);
    nk_watch_close(w);
    nk_app_free(app);
}

/* The number of a closed descriptor is reused at once: no stale event reaches the new stream. */
static void test_descriptor_reuse(void **state)
{
    (void)state;
    struct pair a, b;
    int fd[2];
    open_pair(&a);
    nk_stream_interest(a.e.s, NK_READABLE);
    nk_app_turn(a.app, 0);
    assert_int_equal(write(a.peer, "old", 3), 3);
    int number = -1;
    size_t n = sizeof(number);
    assert_int_equal(nk_stream_query(a.e.s, NK_Q_FD, &number, &n), 0);
    nk_stream_close(a.e.s);
    a.e.s = NULL;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    assert_int_equal(fd[0], number);
    b = (struct pair){.app = a.app, .peer = fd[1]};
    b.e = (struct end){.app = a.app, .last = 1, .eat = 100};
    assert_int_equal(nk_stream_from_fd(a.app, fd[0], "pair", &b.e.s), 0);
    nk_stream_own(b.e.s, on_event, &b.e);
    nk_stream_interest(b.e.s, NK_READABLE);
    for (int i = 0; i < 3; i++) {
        nk_app_turn(a.app, 2);
    }
    assert_int_equal(b.e.readable, 0);
    assert_int_equal(a.e.readable, 0);
    assert_int_equal(write(b.peer, "new", 3), 3);
    nk_app_turn(a.app, 10);
    assert_int_equal(b.e.got, 3);
    nk_stream_close(b.e.s);
    close(b.peer);
    close_pair(&a);
}

static void test_owner_changes_keep_events(void **state)
{
    (void)state;
    struct pair p;
    open_pair(&p);
    struct end second = {.app = p.app, .s = p.e.s, .eat = 100, .last = 1};
    assert_int_equal(write(p.peer, "x", 1), 1);
    nk_stream_interest(p.e.s, NK_READABLE);
    nk_stream_raise(p.e.s, NK_READABLE);
    nk_stream_own(p.e.s, on_event, &second);
    nk_app_turn(p.app, 0);
    assert_int_equal(p.e.readable, 0);
    assert_int_equal(second.got, 1);
    close_pair(&p);
}

int nk_test_core_stream(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readable_is_a_level),
        cmocka_unit_test(test_pause_and_resume),
        cmocka_unit_test(test_paused_stream_never_spins),
        cmocka_unit_test(test_write_interest_never_spins),
        cmocka_unit_test(test_bytes_before_the_end),
        cmocka_unit_test(test_reset_gives_bytes_then_the_real_error),
        cmocka_unit_test(test_writable_once),
        cmocka_unit_test(test_turn_limit),
        cmocka_unit_test(test_close_inside_event),
        cmocka_unit_test(test_no_events_inside_calls),
        cmocka_unit_test(test_write_end_of_pipe),
        cmocka_unit_test(test_pipe_reader_gone),
        cmocka_unit_test(test_refused_connect_reports_the_reason),
        cmocka_unit_test(test_descriptor_reuse),
        cmocka_unit_test(test_owner_changes_keep_events),
    };
    return cmocka_run_group_tests_name("core/stream", tests, NULL, NULL);
}
