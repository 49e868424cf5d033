/* SPDX-License-Identifier: MIT */
/* When a socket is looked at less often, by the numbers and on a TCP connection. */
#include "core/gather.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/app.h"
#include "core/clock.h"
#include "core/stream.h"

int nk_test_core_gather(void);

enum {
    PACKET = 32 * 1024,
    TRIES = 20000, /* of turns, for what a busy machine may delay */
    KB = 1024
};

/* --- numbers ---------------------------------------------------------------------------------- */

/* Reads packets of n bytes, per_ms of them in each millisecond, until it begins; the bytes that it
 * took, or 0 when it did not begin with `most` of them. */
static size_t bulk(struct nk_gather *g, uint64_t *now, unsigned per_ms, size_t n, size_t most)
{
    size_t sum = 0;
    for (unsigned i = 1; sum < most; i++) {
        sum += n;
        if (nk_gather_read(g, n, *now)) {
            return sum;
        }
        *now += i % per_ms == 0;
    }
    return 0;
}

static void follows_the_rate(void **state)
{
    (void)state;
    struct nk_gather g = {0};
    uint64_t now = 1000;
    assert_int_equal(bulk(&g, &now, 10, PACKET, (size_t)16 << 20), NK_GATHER_FROM);
    assert_int_in_range(g.least, 5 * PACKET, 6 * PACKET); /* half a millisecond's */

    g = (struct nk_gather){0};
    assert_int_equal(bulk(&g, &now, 100, PACKET, (size_t)16 << 20), NK_GATHER_FROM);
    assert_int_equal(g.least, NK_GATHER_MOST);

    g = (struct nk_gather){0}; /* 98 MB/s: a wake-up for 64 KiB would be too late */
    assert_int_equal(bulk(&g, &now, 3, PACKET, (size_t)64 << 20), 0);
    assert_int_equal(g.least, 0);
}

static void pauses_begin_anew(void **state)
{
    (void)state;
    struct nk_gather g = {0};
    uint64_t now = 1000;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(bulk(&g, &now, 100, PACKET, NK_GATHER_FROM / 2), 0);
        now += NK_GATHER_PAUSE_MS + 1;
    }
    assert_int_equal(g.least, 0);
}

static void answers_end_it(void **state)
{
    (void)state;
    struct nk_gather g = {0};
    uint64_t now = 1000;
    for (int i = 0; i < 1000; i++) { /* 100 KB there and back, as fast as can be */
        for (int k = 0; k < 4; k++) {
            assert_false(nk_gather_read(&g, 25 * KB, now));
        }
        assert_false(nk_gather_wrote(&g));
        now += i & 1;
    }
    /* what is written seldom enough is no conversation: windows of SSH */
    for (int i = 0; i < 100 && g.least == 0; i++) {
        (void)bulk(&g, &now, 100, PACKET, (size_t)256 * KB);
        (void)nk_gather_wrote(&g);
    }
    assert_int_equal(g.least, NK_GATHER_MOST);
    assert_false(nk_gather_read(&g, PACKET, now));
    assert_true(nk_gather_wrote(&g));
    assert_int_equal(g.least, 0);
}

static void errors_double(void **state)
{
    (void)state;
    struct nk_gather g = {0};
    uint64_t now = 1000;
    size_t from = NK_GATHER_FROM;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(bulk(&g, &now, 100, PACKET, (size_t)256 << 20), from);
        assert_true(nk_gather_late(&g));
        assert_int_equal(g.least, 0);
        from = from < NK_GATHER_FROM_MAX ? 2 * from : from;
    }
    assert_int_equal(from, NK_GATHER_FROM_MAX);
    assert_int_equal(bulk(&g, &now, 100, PACKET, (size_t)256 << 20), from);
    assert_int_equal(bulk(&g, &now, 100, PACKET, NK_GATHER_FROM_MAX),
                     0); /* it was right for long */
    assert_true(nk_gather_late(&g));
    assert_int_equal(bulk(&g, &now, 100, PACKET, (size_t)256 << 20), 2 * NK_GATHER_FROM);
}

/* --- a connection ----------------------------------------------------------------------------- */

struct fixture {
    struct nk_app *app;
    struct nk_stream *s;
    int fd, peer;
    size_t got;
    bool ended;
};

static uint8_t bytes[NK_TURN_BYTES];

static void on_event(void *owner, struct nk_stream *s, unsigned events)
{
    struct fixture *f = owner;
    ssize_t n;
    if (!(events & NK_READABLE)) {
        return;
    }
    while ((n = nk_stream_read(s, bytes, sizeof(bytes))) > 0) {
        f->got += (size_t)n;
    }
    if (n == 0) {
        f->ended = true;
        nk_stream_interest(s, 0);
    }
}

static int listening(struct sockaddr_in *at)
{
    socklen_t n = sizeof(*at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)at, sizeof(*at)), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)at, &n), 0);
    return fd;
}

static void connect_it(struct fixture *f)
{
    const struct nk_app_conf conf = {0};
    struct sockaddr_in at;
    int listener = listening(&at);
    *f = (struct fixture){0};
    f->peer = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void)connect(f->peer, (struct sockaddr *)&at, sizeof(at));
    f->fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    close(listener);
    assert_int_equal(nk_app_new(&f->app, &conf, NULL), 0);
    assert_int_equal(nk_stream_from_fd(f->app, f->fd, "tcp", &f->s), 0);
    nk_stream_own(f->s, on_event, f);
    nk_stream_interest(f->s, NK_READABLE);
    nk_app_turn(f->app, 0);
}

static void end_it(struct fixture *f)
{
    nk_stream_close(f->s);
    close(f->peer);
    nk_app_free(f->app);
}

static int lowat(const struct fixture *f)
{
    int v = 0;
    socklen_t n = sizeof(v);
    assert_int_equal(getsockopt(f->fd, SOL_SOCKET, SO_RCVLOWAT, &v, &n), 0);
    return v;
}

static bool readable(const struct fixture *f)
{
    struct pollfd p = {.fd = f->fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

/* Sends until it gathers, for those who ask; then nothing is there. */
static void gathers(struct fixture *f, bool ask)
{
    static const uint8_t zeros[NK_TURN_BYTES];
    connect_it(f);
    if (ask) {
        assert_int_equal(nk_stream_tune(f->s, NK_TUNE_GATHER, 1), 0);
    }
    for (int i = 0; i < (ask ? TRIES : 64) && lowat(f) == 1; i++) {
        (void)!write(f->peer, zeros, sizeof(zeros));
        nk_app_turn(f->app, 0);
    }
    while (recv(f->fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0) {
    }
    if (ask) {
        assert_int_in_range(lowat(f), NK_GATHER_LEAST, NK_GATHER_MOST);
    }
}

static void turns_until(struct fixture *f, size_t got)
{
    for (int i = 0; i < TRIES && f->got < got; i++) {
        nk_app_turn(f->app, 10);
    }
    assert_int_equal(f->got, got);
}

static void only_who_asked(void **state)
{
    (void)state;
    struct fixture f;
    gathers(&f, false);
    assert_int_equal(lowat(&f), 1);
    end_it(&f);
}

static void little_comes_late(void **state)
{
    (void)state;
    struct fixture f;
    gathers(&f, true);
    assert_int_equal(write(f.peer, "x", 1), 1);
    assert_false(readable(&f));
    turns_until(&f, f.got + 1);
    for (int i = 0; i < TRIES && lowat(&f) > 1; i++) { /* it was read by what else woke us */
        nk_app_turn(f.app, 10);
    }
    assert_int_equal(lowat(&f), 1);
    end_it(&f);
}

static void the_end_comes_at_once(void **state)
{
    (void)state;
    struct fixture f;
    gathers(&f, true);
    assert_int_equal(shutdown(f.peer, SHUT_WR), 0);
    assert_true(readable(&f));
    for (int i = 0; i < TRIES && !f.ended; i++) {
        nk_app_turn(f.app, 10);
    }
    assert_true(f.ended);
    end_it(&f);
}

static void a_conversation_ends_it(void **state)
{
    (void)state;
    struct fixture f;
    gathers(&f, true);
    assert_int_equal(nk_stream_write(f.s, "a", 1), 1);
    assert_int_equal(nk_stream_write(f.s, "b", 1), 1);
    assert_int_equal(lowat(&f), 1);
    assert_int_equal(write(f.peer, "x", 1), 1);
    assert_true(readable(&f));
    end_it(&f);
}

/* A consumer that waits for room is no proof against it; what comes meanwhile is not lost. */
static void nobody_reads(void **state)
{
    (void)state;
    struct fixture f;
    gathers(&f, true);
    nk_stream_interest(f.s, 0);
    nk_clock_skip(f.app, 100);
    nk_app_turn(f.app, 0);
    assert_true(lowat(&f) > 1);
    size_t got = f.got;
    assert_int_equal(write(f.peer, "x", 1), 1);
    assert_false(readable(&f));
    nk_app_turn(f.app, 0);
    assert_int_equal(f.got, got);
    nk_stream_interest(f.s, NK_READABLE);
    turns_until(&f, got + 1);
    end_it(&f);
}

int nk_test_core_gather(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_rate),      cmocka_unit_test(pauses_begin_anew),
        cmocka_unit_test(answers_end_it),        cmocka_unit_test(errors_double),
        cmocka_unit_test(only_who_asked),        cmocka_unit_test(little_comes_late),
        cmocka_unit_test(the_end_comes_at_once), cmocka_unit_test(a_conversation_ends_it),
        cmocka_unit_test(nobody_reads)};
    return cmocka_run_group_tests_name("core/gather", tests, NULL, NULL);
}
