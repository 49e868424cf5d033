/* SPDX-License-Identifier: MIT */
/*
 * The relay as endpoints see it, over socket pairs: every test runs over the memory engine, over
 * the engine that delays and reorders, and over the log; some over one that fails.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "core/app.h"
#include "core/clock.h"
#include "core/stream.h"
#include "relay/engine_testkit.h"
#include "relay/hub.h"
#include "relay/log_testkit.h"
#include "relay/wire_client.h"
#include "relay/wire_native.h"
#include "relay/wire_tlspyo.h"

enum { HEADER = 10, PEERS = 8, PATIENCE = 2000, CLOCK_SCALE = 60 };
#define MIB ((size_t)1024 * 1024)

/* An endpoint: our end of the socket pair. */
struct peer {
    int fd;
    struct nk_buf in;
    struct relay_value_doc doc;
    struct relay_wire_message msg; /* the last one; points into `frame` */
    uint8_t *frame;
    size_t frame_len;
    int64_t stamp;
    bool slow; /* send one byte per turn */
};

struct world {
    struct nk_app *app;
    struct relay_engine *engine;
    struct relay_groups *groups;
    struct relay_hub *hub;
    struct relay_login *login;
    struct relay_memory memory;
    struct peer p[PEERS];
    struct nk_secret pw;
    bool drained;
    char dir[RELAY_LOG_TESTKIT_DIR]; /* of the log engine */
};

/* Which engine the tests below run over. */
static enum relay_engine_kind over;

static void on_drained(void *owner)
{
    ((struct world *)owner)->drained = true;
}

static struct relay_limits default_limits(void)
{
    return (struct relay_limits){.header_size = HEADER,
                                 .max_object = 4 * MIB,
                                 .max_memory = 64 * MIB,
                                 .max_backlog = 8 * MIB,
                                 .max_connections = 100,
                                 .max_guests = 50,
                                 .hello_ms = 10000,
                                 .ping_ms = 3600000,
                                 .dead_ms = 3 * 3600000,
                                 .stall_ms = 10000};
}

static void open_engine(struct world *w)
{
    const struct relay_engine_chaos chaos = {.seed = 42, .delay_percent = 50};
    assert_int_equal(
        relay_engine_testkit_open(over, &chaos, w->app, w->groups, &w->memory, w->dir, &w->engine),
        0);
}

static struct world *world_new(struct relay_limits limits, bool listed)
{
    struct world *w = calloc(1, sizeof(*w));
    struct nk_app_conf app_conf = {.clock_scale = CLOCK_SCALE};
    struct relay_groups_conf groups = {.max_groups = 100, .listed_only = listed};
    struct nk_secret pw = {0};
    assert_int_equal(nk_app_new(&w->app, &app_conf, NULL), 0);
    w->groups = relay_groups_new(&groups);
    open_engine(w);
    assert_int_equal(nk_secret_set(&pw, "pw", 2), 0);
    assert_int_equal(nk_secret_set(&w->pw, "pw", 2), 0);
    w->login = relay_login_new(&pw);
    struct relay_hub_conf conf = {.app = w->app,
                                  .limits = limits,
                                  .login = w->login,
                                  .engine = w->engine,
                                  .groups = w->groups,
                                  .memory = &w->memory,
                                  .on_drained = on_drained,
                                  .owner = w};
    assert_int_equal(relay_hub_new(&w->hub, &conf), 0);
    for (size_t i = 0; i < PEERS; i++) {
        w->p[i].fd = -1;
    }
    return w;
}

static void peer_close(struct peer *p)
{
    if (p->fd >= 0) {
        close(p->fd);
    }
    p->fd = -1;
    nk_buf_clear(&p->in);
    relay_value_doc_clear(&p->doc);
    free(p->frame);
    p->frame = NULL;
}

static void world_free(struct world *w)
{
    relay_hub_free(w->hub);
    relay_engine_free(w->engine);
    if (w->dir[0]) {
        while (nk_app_turn(w->app, 1000)) { /* what is under way on the disk */
        }
        relay_log_testkit_remove(w->dir);
    }
    assert_int_equal(w->memory.used, 0);
    relay_groups_free(w->groups);
    relay_memory_trim(&w->memory);
    relay_login_unref(w->login);
    nk_secret_clear(&w->pw);
    for (size_t i = 0; i < PEERS; i++) {
        peer_close(&w->p[i]);
    }
    nk_app_free(w->app);
    free(w);
}

static void connect_peer(struct world *w, int i)
{
    int fd[2];
    struct nk_stream *s;
    struct peer *p = &w->p[i];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
    assert_int_equal(nk_stream_from_fd(w->app, fd[0], "tcp", &s), 0);
    nk_stream_raise(s, NK_CONNECTED);
    p->fd = fd[1];
    p->stamp = 0;
    nk_buf_init(&p->in, 32 * MIB);
    relay_hub_accept(w->hub, s, false);
}

/* Read what is there. Returns false at the end of the stream. */
static bool pull(struct peer *p)
{
    for (;;) {
        uint8_t *to;
        assert_int_equal(nk_buf_reserve(&p->in, 65536, &to), 0);
        ssize_t n = recv(p->fd, to, 65536, 0);
        if (n < 0 && errno == EAGAIN) {
            return true;
        }
        if (n <= 0) {
            return false;
        }
        nk_buf_commit(&p->in, (size_t)n);
    }
}

static bool take_frame(struct peer *p)
{
    size_t total = 0;
    assert_int_equal(
        relay_wire_frame_length(nk_buf_ptr(&p->in), nk_buf_len(&p->in), HEADER, 32 * MIB, &total),
        0);
    if (total == 0 || total > nk_buf_len(&p->in)) {
        return false;
    }
    free(p->frame);
    p->frame = malloc(total);
    memcpy(p->frame, nk_buf_ptr(&p->in), total);
    p->frame_len = total;
    nk_buf_consume(&p->in, total);
    assert_int_equal(relay_wire_parse(&p->doc, p->frame + HEADER, total - HEADER, &p->msg), 0);
    return true;
}

/* The next frame, within patience. */
static void next_frame(struct world *w, int i)
{
    struct peer *p = &w->p[i];
    for (int turn = 0; !take_frame(p); turn++) {
        bool open = pull(p);
        if (take_frame(p)) {
            return;
        }
        assert_true(open);
        assert_true(turn < PATIENCE);
        nk_app_turn(w->app, 2);
    }
}

static void expect(struct world *w, int i, enum relay_wire_command cmd)
{
    next_frame(w, i);
    assert_int_equal(w->p[i].msg.cmd, cmd);
}

static void raw_send(struct world *w, int i, const void *data, size_t n)
{
    const uint8_t *at = data;
    size_t step = w->p[i].slow ? 1 : n;
    while (n) {
        ssize_t put = send(w->p[i].fd, at, step < n ? step : n, MSG_NOSIGNAL);
        if (put < 0) {
            assert_int_equal(errno, EAGAIN);
            assert_true(pull(&w->p[i]));
        } else {
            at += put;
            n -= (size_t)put;
        }
        if (n) {
            nk_app_turn(w->app, 0);
        }
    }
}

static struct relay_wire_format format_of(const struct world *w)
{
    return (struct relay_wire_format){.header_size = HEADER, .password = &w->pw};
}

static void flush(struct world *w, int i, struct nk_buf *b)
{
    raw_send(w, i, nk_buf_ptr(b), nk_buf_len(b));
    nk_buf_clear(b);
}

static void ack(struct world *w, int i)
{
    struct relay_wire_format f = format_of(w);
    struct nk_buf b;
    nk_buf_init(&b, 1000);
    assert_int_equal(relay_wire_put_ack(&b, &f, w->p[i].msg.stamp), 0);
    flush(w, i, &b);
}

static void hello(struct world *w, int i, const char *const *groups, size_t n)
{
    struct relay_wire_format f = format_of(w);
    struct nk_buf b;
    nk_buf_init(&b, 10000);
    assert_int_equal(relay_wire_put_hello(&b, &f, ++w->p[i].stamp, groups, n), 0);
    flush(w, i, &b);
}

/* Connect and join: the relay's HELLO comes first, then its ACK of ours. */
static void join(struct world *w, int i, const char *group)
{
    connect_peer(w, i);
    expect(w, i, RELAY_WIRE_HELLO);
    assert_int_equal(w->p[i].msg.stamp, RELAY_NATIVE_STAMP); /* both wires are spoken */
    ack(w, i);
    hello(w, i, &group, group ? 1 : 0);
    expect(w, i, RELAY_WIRE_ACK);
    assert_int_equal(w->p[i].msg.stamp, 1);
}

static void send_bytes(struct world *w, int i, const char *group, int64_t n, const void *obj,
                       size_t len)
{
    struct relay_wire_format f = format_of(w);
    struct relay_wire_dest d = {.group = group, .n = n};
    struct nk_buf b;
    nk_buf_init(&b, 32 * MIB);
    assert_int_equal(relay_wire_put_object(&b, &f, ++w->p[i].stamp, &d, 1, len), 0);
    assert_int_equal(nk_buf_put(&b, obj, len), 0);
    assert_int_equal(nk_buf_puts(&b, RELAY_WIRE_OBJECT_TAIL), 0);
    flush(w, i, &b);
}

static void send_text(struct world *w, int i, const char *group, int64_t n, const char *text)
{
    send_bytes(w, i, group, n, text, strlen(text));
}

/* The ACK of what was sent last. What comes before it (over the log a broadcast is acknowledged
 * only when it is stored) is read afterwards. */
static void expect_ack(struct world *w, int i)
{
    struct peer *p = &w->p[i];
    struct nk_buf early;
    nk_buf_init(&early, 32 * MIB);
    size_t before = 0;
    for (next_frame(w, i); p->msg.cmd != RELAY_WIRE_ACK; next_frame(w, i)) {
        assert_int_equal(over, RELAY_OVER_LOG);
        assert_int_equal(p->msg.cmd, RELAY_WIRE_OBJ);
        assert_int_equal(nk_buf_put(&early, p->frame, p->frame_len), 0);
        before++;
    }
    assert_int_equal(p->msg.stamp, p->stamp);
    if (before) {
        assert_int_equal(nk_buf_put(&early, nk_buf_ptr(&p->in), nk_buf_len(&p->in)), 0);
        nk_buf_clear(&p->in);
        p->in = early;
    }
}

static void put(struct world *w, int i, const char *group, int64_t n, const char *text)
{
    send_text(w, i, group, n, text);
    expect_ack(w, i);
}

static void notify(struct world *w, int i, const char *group, int64_t n)
{
    struct relay_wire_format f = format_of(w);
    struct relay_wire_dest d = {.group = group, .n = n};
    struct nk_buf b;
    nk_buf_init(&b, 1000);
    assert_int_equal(relay_wire_put_notify(&b, &f, ++w->p[i].stamp, &d, 1), 0);
    flush(w, i, &b);
    expect(w, i, RELAY_WIRE_ACK);
    assert_int_equal(w->p[i].msg.stamp, w->p[i].stamp);
}

/* Receive this object; acknowledge it or not. */
static void get(struct world *w, int i, const char *text, bool acknowledge)
{
    expect(w, i, RELAY_WIRE_OBJ);
    assert_int_equal(w->p[i].msg.obj_len, strlen(text));
    assert_memory_equal(w->p[i].msg.obj, text, strlen(text));
    if (acknowledge) {
        ack(w, i);
    }
}

static void get_nothing(struct world *w, int i)
{
    for (int turn = 0; turn < 20; turn++) {
        nk_app_turn(w->app, 1);
    }
    assert_true(pull(&w->p[i]));
    assert_false(take_frame(&w->p[i]));
}

/* The relay closes; what it sent before is kept for take_frame. */
static void expect_close(struct world *w, int i)
{
    for (int turn = 0; pull(&w->p[i]); turn++) {
        assert_true(turn < PATIENCE);
        nk_app_turn(w->app, 2);
    }
}

static void settle(struct world *w)
{
    for (int turn = 0; turn < 30; turn++) {
        nk_app_turn(w->app, 1);
    }
}

/* --- what endpoints do ------------------------------------------------------------------------ */

static void test_broadcast_and_retained(void **state)
{
    (void)state;
    struct world *w = world_new(default_limits(), false);
    join(w, 0, "A");
    join(w, 1, "B");
    put(w, 0, "B", -1, "hi");
    get(w, 1, "hi", true);
    put(w, 1, "B", -1, "own"); /* the sender is a member; its ACK may come after */
    get(w, 1, "own", true);
    join(w, 2, "B");
    get(w, 2, "own", true);
    get_nothing(w, 0);
    world_free(w);
}

static void test_produce_and_notify(void **state)
{
    (void)state;
    struct world *w = world_new(default_limits(), false);
    join(w, 0, NULL); /* no group at all: may still send */
    put(w, 0, "Q", 2, "a");
    put(w, 0, "Q", 1, "b");
    join(w, 1, "Q");
    get_nothing(w, 1);
    notify(w, 1, "Q", 1);
    get(w, 1, "a", true);
    notify(w, 1, "Q", -1);
    get(w, 1, "a", true);
    get(w, 1, "b", true);
    notify(w, 1, "Q", 2);
    notify(w, 1, "elsewhere", 5);
    put(w, 0, "Q", 1, "c");
    get(w, 1, "c", true);
    world_free(w);
}

static void test_dead_consumer_loses_its_objects(void **state)
{
    (void)state;
    struct world *w = world_new(default_limits(), false);
    join(w, 0, NULL);
    join(w, 1, "Q");
    join(w, 2, "Q");
    notify(w, 1, "Q", 3);
    put(w, 0, "Q", 1, "a");
    put(w, 0, "Q", 1, "b");
    put(w, 0, "Q", 1, "c");
    put(w, 0, "Q", 1, "d");
    get(w, 1, "a", true);
    get(w, 1, "b", false);
    settle(w);
    peer_close(&w->p[1]);
    settle(w);
    notify(w, 2, "Q", -1);
    get(w, 2, "b", true);
    get(w, 2, "c", true);
    get(w, 2, "d", true);
    get_nothing(w, 2);
    world_free(w);
}

/* Every byte of every frame alone. */
static void test_byte_at_a_time(void **state)
{
    (void)state;
    struct world *w = world_new(default_limits(), false);
    w->p[0].slow = true;
    join(w, 0, "A");
    put(w, 0, "A", -1, "hello");
    get(w, 0, "hello", true);
    notify(w, 0, "A", 1);
    put(w, 0, "A", 1, "more");
    get(w, 0, "more", true);
    world_free(w);
}

static void test_large_objects(void **state)
{
    (void)state;
    struct world *w = world_new(default_limits(), false);
    uint8_t *big = malloc(4 * MIB);
    static const size_t sizes[] = {1, 1000, 1025, 30000, 32768, 70000, 200000, 1000000};
    for (size_t i = 0; i < 4 * MIB; i++) {
        big[i] = (uint8_t)(i * 31 + (i >> 13));
    }
    join(w, 0, "A");
    join(w, 1, "A");
    for (size_t i = 0; i <= sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t n = i < sizeof(sizes) / sizeof(sizes[0]) ? sizes[i] : 4 * MIB;
        send_bytes(w, 0, "A", -1, big, n);
        for (int who = 1; who >= 0; who--) {
            do {
                next_frame(w, who);
            } while (w->p[who].msg.cmd == RELAY_WIRE_ACK);
            assert_int_equal(w->p[who].msg.cmd, RELAY_WIRE_OBJ);
            assert_int_equal(w->p[who].msg.obj_len, n);
            assert_memory_equal(w->p[who].msg.obj, big, n);
            ack(w, who);
        }
    }
    free(big);
    world_free(w);
}

/* --- what they must not do -------------------------------------------------------------------- */

static void test_duplicate_groups(void **state)
{
    (void)state;
    struct world *w = world_new(default_limits(), false);
    static const char *const twice[] = {"A", "B", "A", "A"};
    connect_peer(w, 0);
    expect(w, 0, RELAY_WIRE_HELLO);
    hello(w, 0, twice, 4);
    expect(w, 0, RELAY_WIRE_ACK);
    join(w, 1, NULL);
    put(w, 1, "A", -1, "x");
    get(w, 0, "x", true);
    get_nothing(w, 0); /* once */
    peer_close(&w->p[0]);
    put(w, 1, "A", -1, "y");
    world_free(w);
}

/* Too early: answered and ignored, as tlspyo does. */
static void test_before_hello(void **state)
{
    (void)state;
    struct world *w = world_new(default_limits(), false);
    connect_peer(w, 0);
    expect(w, 0, RELAY_WIRE_HELLO);
    put(w, 0, "A", -1, "lost");
    notify(w, 0, "A", 1);
    hello(w, 0, (const char *const[]){"A"}, 1);
    expect(w, 0, RELAY_WIRE_ACK);
    get_nothing(w, 0);
    world_free(w);
}

static void test_refused_groups(void **state)
{
    (void)state;
    struct world *w = world_new(default_limits(), true);
    static const char *const some[] = {"A", "nope"};
    assert_int_equal(relay_groups_configure(
                         w->groups, "A", 1,
                         &(struct relay_group_settings){.max_count = 1, .max_consumables = -1}),
                     0);
    connect_peer(w, 0);
    expect(w, 0, RELAY_WIRE_HELLO);
    hello(w, 0, some, 2);
    expect(w, 0, RELAY_WIRE_ACK); /* then it closes */
    expect_close(w, 0);
    join(w, 1, "A");
    connect_peer(w, 2);
    expect(w, 2, RELAY_WIRE_HELLO);
    hello(w, 2, some, 1);
    expect(w, 2, RELAY_WIRE_ACK);
    expect_close(w, 2);         /* full */
    put(w, 1, "nope", -1, "x"); /* skipped without a word */
    peer_close(&w->p[1]);
    settle(w);
    join(w, 3, "A"); /* there is room again */
    put(w, 3, "A", -1, "y");
    world_free(w);
}

static void test_second_hello(void **state)
{
    (void)state;
    struct world *w = world_new(default_limits(), false);
    join(w, 0, "A");
    hello(w, 0, (const char *const[]){"A"}, 1);
    expect(w, 0, RELAY_WIRE_ACK);
    expect_close(w, 0);
    world_free(w);
}

static void bad_bytes(const char *frame, size_t n, bool after_hello)
{
    struct world *w = world_new(default_limits(), false);
    join(w, 1, "A");
    if (after_hello) {
        join(w, 0, "A");
    } else {
        connect_peer(w, 0);
        expect(w, 0, RELAY_WIRE_HELLO);
    }
    raw_send(w, 0, frame, n);
    expect_close(w, 0);
    assert_false(take_frame(&w->p[0]));
    put(w, 1, "A", -1, "still here"); /* nobody else noticed */
    get(w, 1, "still here", true);
    world_free(w);
}

#define BAD(text) bad_bytes(text, sizeof(text) - 1, false), bad_bytes(text, sizeof(text) - 1, true)

static void test_bad_frames(void **state)
{
    (void)state;
    BAD("GET / HTTP/1.1\r\n\r\n");
    BAD("\x16\x03\x01\x02\x00\x01\x00");
    BAD("-5        pw");
    BAD("4000000000");   /* more than max_object */
    BAD("32        pX"); /* wrong password */
    BAD("24        pw\x80\x04"
        "cos\nsystem\n(X\x02\0\0\0idtR."); /* a global */
    BAD("8         pwheader\x80\x04");     /* a serializer of its own */
    BAD("4         pw\x80\x04N.");         /* no tuple */
}

static void test_guesses_wait(void **state)
{
    (void)state;
    struct world *w = world_new(default_limits(), false);
    connect_peer(w, 0);
    expect(w, 0, RELAY_WIRE_HELLO);
    uint64_t before = nk_now_ms(w->app);
    raw_send(w, 0, "32        pX", 12);
    expect_close(w, 0);
    assert_true(nk_now_ms(w->app) - before >= RELAY_PENALTY_FIRST_MS);
    assert_int_equal(relay_hub_counters(w->hub)->auth_fail, 1);
    world_free(w);
}

/* --- time ------------------------------------------------------------------------------------- */

static void test_hello_deadline(void **state)
{
    (void)state;
    struct world *w = world_new(default_limits(), false);
    connect_peer(w, 0);
    expect(w, 0, RELAY_WIRE_HELLO);
    raw_send(w, 0, "32     ", 7); /* and then nothing */
    uint64_t before = nk_now_ms(w->app);
    expect_close(w, 0);
    uint64_t took = nk_now_ms(w->app) - before;
    assert_true(took >= 9000 && took < 15000);
    world_free(w);
}

static void test_liveness(void **state)
{
    (void)state;
    struct relay_limits limits = default_limits();
    limits.ping_ms = 30000;
    limits.dead_ms = 90000;
    struct world *w = world_new(limits, false);
    join(w, 0, "A");
    join(w, 1, "A");
    expect(w, 0, RELAY_WIRE_OTHER); /* PING */
    ack(w, 0);
    expect(w, 1, RELAY_WIRE_OTHER); /* which this one never answers */
    for (int turn = 0; relay_hub_connections(w->hub) == 2; turn++) {
        assert_true(turn < 20 * PATIENCE);
        nk_app_turn(w->app, 2);
        if (pull(&w->p[0]) && take_frame(&w->p[0])) {
            ack(w, 0);
        }
    }
    put(w, 0, "A", -1, "alive");
    world_free(w);
}

/* Who still reads a large object cannot answer yet. */
static void test_liveness_of_a_slow_reader(void **state)
{
    (void)state;
    struct relay_limits limits = default_limits();
    limits.ping_ms = 30000;
    limits.dead_ms = 90000;
    struct world *w = world_new(limits, false);
    size_t size = 2 * MIB; /* a bit more than 32 s at 64 bytes per millisecond */
    uint8_t *obj = calloc(1, size);
    join(w, 0, "A");
    join(w, 1, NULL);
    send_bytes(w, 1, "A", -1, obj, size);
    expect(w, 1, RELAY_WIRE_ACK);
    expect(w, 0, RELAY_WIRE_OBJ); /* read, but not acknowledged */
    uint64_t before = nk_now_ms(w->app);
    while (relay_hub_connections(w->hub) == 2) {
        nk_app_turn(w->app, 2);
        (void)pull(&w->p[0]);
        if (pull(&w->p[1]) && take_frame(&w->p[1])) {
            ack(w, 1);
        }
    }
    uint64_t took = nk_now_ms(w->app) - before;
    assert_true(took >= 90000 + 25000 && took < 90000 + 75000);
    free(obj);
    world_free(w);
}

/* --- back-pressure ---------------------------------------------------------------------------- */

/* A member that reads nothing stops whoever broadcasts to it, but not others; then it is closed. */
static void test_slow_member(void **state)
{
    (void)state;
    struct relay_limits limits = default_limits();
    limits.max_backlog = MIB;
    struct world *w = world_new(limits, false);
    uint8_t *obj = calloc(1, 300000);
    join(w, 0, "A");
    join(w, 1, NULL);
    join(w, 2, "B");
    uint64_t before = nk_now_ms(w->app);
    for (int i = 0; i < 20 && w->memory.used <= 2 * MIB; i++) {
        send_bytes(w, 1, "A", -1, obj, 300000);
        settle(w);
        if (relay_hub_counters(w->hub)->stalls > 4) { /* three of them are the joins */
            break;
        }
    }
    assert_true(w->memory.used < 3 * MIB);
    put(w, 2, "B", -1, "other groups go on");
    while (relay_hub_connections(w->hub) == 3) {
        nk_app_turn(w->app, 5);
        assert_true(nk_now_ms(w->app) - before < 60000);
    }
    assert_int_equal(relay_hub_counters(w->hub)->closed_slow, 1);
    free(obj);
    world_free(w);
}

/* A consumer gets no more than it can hold, the rest stays for others. */
static void test_consumer_is_paused(void **state)
{
    (void)state;
    struct world *w = world_new(default_limits(), false);
    uint8_t *obj = calloc(1, 300000);
    join(w, 0, "Q");
    join(w, 1, NULL);
    notify(w, 0, "Q", 1000000);
    for (int i = 0; i < 30; i++) {
        send_bytes(w, 1, "Q", 1, obj, 300000);
        expect(w, 1, RELAY_WIRE_ACK);
    }
    join(w, 2, "Q");
    notify(w, 2, "Q", 1);
    expect(w, 2, RELAY_WIRE_OBJ); /* not all went to the first */
    ack(w, 2);
    for (int i = 0; i < 29; i++) { /* it reads on: the rest follows */
        expect(w, 0, RELAY_WIRE_OBJ);
        ack(w, 0);
    }
    free(obj);
    world_free(w);
}

/* max_memory: the producer waits until something is consumed, nothing is lost. */
static void test_memory_limit(void **state)
{
    (void)state;
    struct relay_limits limits = default_limits();
    limits.max_memory = MIB;
    struct world *w = world_new(limits, false);
    uint8_t *obj = calloc(1, 100000);
    join(w, 0, "Q");
    join(w, 1, NULL);
    int sent = 0;
    while (sent < 15) {
        obj[0] = (uint8_t)sent++;
        send_bytes(w, 1, "Q", 1, obj, 100000);
        if (sent > 10) {
            break; /* the rest of this one may be in the socket */
        }
    }
    settle(w);
    assert_true(w->memory.used <= MIB + 200000);
    for (int i = 0; i < sent; i++) {
        notify(w, 0, "Q", 1);
        expect(w, 0, RELAY_WIRE_OBJ);
        assert_int_equal(w->p[0].msg.obj[0], i);
        ack(w, 0);
    }
    free(obj);
    world_free(w);
}

/* --- the end ---------------------------------------------------------------------------------- */

/* What was sent before the end is taken and acknowledged; nothing new is. */
static void test_drain(void **state)
{
    (void)state;
    struct world *w = world_new(default_limits(), false);
    join(w, 0, "A");
    connect_peer(w, 1); /* never says hello */
    expect(w, 1, RELAY_WIRE_HELLO);
    settle(w);
    send_text(w, 0, "A", -1, "last");
    nk_app_turn(w->app, 10); /* read, perhaps not stored yet */
    relay_hub_drain(w->hub);
    expect_close(w, 0);
    expect_close(w, 1);
    for (int turn = 0; !w->drained; turn++) {
        assert_true(turn < PATIENCE);
        nk_app_turn(w->app, 2);
    }
    bool acked = false;
    while (take_frame(&w->p[0])) {
        acked = acked || (w->p[0].msg.cmd == RELAY_WIRE_ACK && w->p[0].msg.stamp == w->p[0].stamp);
    }
    assert_true(acked);
    world_free(w);
}

/* An endpoint that sends and hangs up at once: all of it arrives. */
static void test_send_and_close(void **state)
{
    (void)state;
    struct world *w = world_new(default_limits(), false);
    join(w, 0, "Q");
    join(w, 1, NULL);
    for (int i = 0; i < 50; i++) {
        send_text(w, 1, "Q", 1, "x");
    }
    shutdown(w->p[1].fd, SHUT_WR);
    int acks = 0;
    for (int turn = 0; pull(&w->p[1]); turn++) {
        assert_true(turn < PATIENCE);
        nk_app_turn(w->app, 2);
    }
    while (take_frame(&w->p[1])) {
        acks += w->p[1].msg.cmd == RELAY_WIRE_ACK;
    }
    assert_int_equal(acks, 50);
    notify(w, 0, "Q", -1);
    for (int i = 0; i < 50; i++) {
        get(w, 0, "x", true);
    }
    world_free(w);
}

/* policy = block: a stock producer is not read while the queue is full, and never refused. */
static void test_full_queue_blocks(void **state)
{
    (void)state;
    struct world *w = world_new(default_limits(), false);
    const struct relay_group_settings set = {
        .max_count = -1, .max_consumables = 2, .policy = RELAY_POLICY_BLOCK};
    assert_int_equal(relay_groups_configure(w->groups, "Q", 1, &set), 0);
    join(w, 0, NULL);
    join(w, 1, "Q");
    put(w, 0, "Q", 1, "a");
    put(w, 0, "Q", 1, "b");
    send_text(w, 0, "Q", 1, "c");
    get_nothing(w, 0);
    notify(w, 1, "Q", 1);
    get(w, 1, "a", true);
    expect(w, 0, RELAY_WIRE_ACK);
    notify(w, 1, "Q", -1);
    get(w, 1, "b", true);
    get(w, 1, "c", true);
    world_free(w);
}

/* A group's lease time is not for those who cannot know of it. */
static void test_stock_consumer_has_no_lease_time(void **state)
{
    (void)state;
    struct world *w = world_new(default_limits(), false);
    const struct relay_group_settings set = {
        .max_count = -1, .max_consumables = -1, .lease_ms = 100, .max_deliveries = 9};
    assert_int_equal(relay_groups_configure(w->groups, "Q", 1, &set), 0);
    join(w, 0, NULL);
    join(w, 1, "Q");
    join(w, 2, "Q");
    notify(w, 1, "Q", 1);
    put(w, 0, "Q", 1, "a");
    get(w, 1, "a", false);
    notify(w, 2, "Q", 1);
    get_nothing(w, 2); /* for ten times as long */
    settle(w);
    peer_close(&w->p[1]);
    get(w, 2, "a", true);
    world_free(w);
}

/* Over an engine that fails now and then: what was acknowledged is there, in order, once. */
static void test_failing_engine(void **state)
{
    (void)state;
    enum relay_engine_kind before = over;
    over = RELAY_OVER_CHAOS;
    struct world *w = world_new(default_limits(), false);
    char acked[400], got[400];
    int nacked = 0, ngot = 0;
    join(w, 0, "Q");
    relay_engine_chaos_fail(w->engine, 100);
    for (int i = 0; i < 200; i++) {
        if (w->p[1].fd < 0) {
            relay_engine_chaos_fail(w->engine, 0);
            join(w, 1, NULL);
            relay_engine_chaos_fail(w->engine, 100);
        }
        char text[2] = {(char)('!' + i % 90), 0};
        send_text(w, 1, "Q", 1, text);
        bool open = true;
        for (int turn = 0; open && !take_frame(&w->p[1]); turn++) {
            assert_true(turn < PATIENCE);
            nk_app_turn(w->app, 1);
            open = pull(&w->p[1]);
        }
        if (open) {
            acked[nacked++] = text[0];
        } else {
            peer_close(&w->p[1]);
        }
    }
    assert_true(nacked > 100 && nacked < 200);
    notify(w, 0, "Q", -1);
    for (int turn = 0; turn < 200; turn++) {
        nk_app_turn(w->app, 1);
        assert_true(pull(&w->p[0]));
        while (take_frame(&w->p[0])) {
            got[ngot++] = (char)w->p[0].msg.obj[0];
            ack(w, 0);
        }
    }
    assert_int_equal(ngot, nacked);
    assert_memory_equal(got, acked, (size_t)nacked);
    world_free(w);
    over = before;
}

/* --- run -------------------------------------------------------------------------------------- */

static int over_chaos(void **state)
{
    (void)state;
    over = RELAY_OVER_CHAOS;
    return 0;
}

static int over_memory(void **state)
{
    (void)state;
    over = RELAY_OVER_MEMORY;
    return 0;
}

static int over_log(void **state)
{
    (void)state;
    over = RELAY_OVER_LOG;
    return 0;
}

int nk_test_relay_relay(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broadcast_and_retained),
        cmocka_unit_test(test_produce_and_notify),
        cmocka_unit_test(test_dead_consumer_loses_its_objects),
        cmocka_unit_test(test_byte_at_a_time),
        cmocka_unit_test(test_large_objects),
        cmocka_unit_test(test_duplicate_groups),
        cmocka_unit_test(test_before_hello),
        cmocka_unit_test(test_refused_groups),
        cmocka_unit_test(test_second_hello),
        cmocka_unit_test(test_bad_frames),
        cmocka_unit_test(test_guesses_wait),
        cmocka_unit_test(test_hello_deadline),
        cmocka_unit_test(test_liveness),
        cmocka_unit_test(test_liveness_of_a_slow_reader),
        cmocka_unit_test(test_slow_member),
        cmocka_unit_test(test_consumer_is_paused),
        cmocka_unit_test(test_full_queue_blocks),
        cmocka_unit_test(test_stock_consumer_has_no_lease_time),
        cmocka_unit_test(test_memory_limit),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_send_and_close),
        cmocka_unit_test(test_failing_engine),
    };
    int failed = cmocka_run_group_tests_name("relay over memory", tests, over_memory, NULL);
    failed += cmocka_run_group_tests_name("relay over chaos", tests, over_chaos, NULL);
    return failed + cmocka_run_group_tests_name("relay over the log", tests, over_log, NULL);
}
