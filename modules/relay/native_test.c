/* SPDX-License-Identifier: MIT */
/*
 * The native wire as clients see it, over socket pairs: the tests run over the memory engine and
 * over the engine that delays and reorders.
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
#include "relay/wire_meta.h"
#include "relay/wire_native.h"

enum { PEERS = 6, PATIENCE = 3000, CLOCK_SCALE = 60 };
#define MIB ((size_t)1024 * 1024)

struct peer {
    int fd;
    struct nk_buf in;
    struct relay_native_head h; /* the last frame, and its payload */
    uint8_t *p;
    bool slow; /* send one byte per turn */
    uint64_t request;
    uint8_t session[RELAY_NATIVE_ID];
    bool resumed;
};

struct world {
    struct nk_app *app;
    struct relay_engine *engine;
    struct relay_groups *groups;
    struct relay_hub *hub;
    struct relay_login *login;
    struct relay_memory memory;
    struct peer p[PEERS];
    bool drained;
};

static bool use_chaos; /* which engine the tests below run over */

static void on_drained(void *owner)
{
    ((struct world *)owner)->drained = true;
}

static struct relay_limits default_limits(void)
{
    return (struct relay_limits){.header_size = 10,
                                 .max_object = 4 * MIB,
                                 .max_memory = 64 * MIB,
                                 .max_backlog = 8 * MIB,
                                 .max_connections = 100,
                                 .max_guests = 50,
                                 .hello_ms = 10000,
                                 .ping_ms = 3600000,
                                 .dead_ms = 3 * 3600000,
                                 .stall_ms = 10000,
                                 .grace_ms = 30000};
}

static struct world *world_with(struct relay_limits limits, enum relay_wires wires)
{
    struct world *w = calloc(1, sizeof(*w));
    struct nk_app_conf app_conf = {.clock_scale = CLOCK_SCALE};
    struct relay_groups_conf groups = {.max_groups = 100};
    struct relay_engine_chaos chaos = {.seed = 42, .delay_percent = 50};
    struct nk_secret pw = {0};
    assert_int_equal(nk_app_new(&w->app, &app_conf, NULL), 0);
    assert_int_equal(use_chaos ? relay_engine_chaos_new(w->app, &chaos, &w->engine)
                               : relay_engine_memory(w->app, &w->engine),
                     0);
    w->groups = relay_groups_new(&groups);
    assert_int_equal(nk_secret_set(&pw, "pw", 2), 0);
    w->login = relay_login_new(&pw);
    struct relay_hub_conf conf = {.app = w->app,
                                  .limits = limits,
                                  .wires = wires,
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

static struct world *world_new(void)
{
    return world_with(default_limits(), RELAY_WIRES_NATIVE);
}

static void peer_close(struct peer *p)
{
    if (p->fd >= 0) {
        close(p->fd);
    }
    p->fd = -1;
    nk_buf_clear(&p->in);
    free(p->p);
    p->p = NULL;
}

static void world_free(struct world *w)
{
    relay_hub_free(w->hub);
    relay_engine_free(w->engine);
    assert_int_equal(w->memory.used, 0);
    relay_groups_free(w->groups);
    relay_memory_trim(&w->memory);
    relay_login_unref(w->login);
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
    assert_int_equal(nk_stream_from_fd(w->app, fd[0], "unix", &s), 0);
    nk_stream_raise(s, NK_CONNECTED);
    p->fd = fd[1];
    nk_buf_init(&p->in, 64 * MIB);
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
    struct relay_native_head h;
    size_t n = nk_buf_len(&p->in);
    const char *why = "";
    int rc = n ? relay_native_head(nk_buf_ptr(&p->in), n, RELAY_FROM_RELAY, RELAY_NATIVE_FRAGMENT,
                                   &h, &why)
               : 0;
    if (rc < 0) {
        fail_msg("%s (%u)", why, nk_buf_ptr(&p->in)[0]);
    }
    if (rc == 0 || h.len > n - RELAY_NATIVE_HEAD) {
        return false;
    }
    free(p->p);
    p->p = malloc(h.len ? h.len : 1);
    memcpy(p->p, nk_buf_ptr(&p->in) + RELAY_NATIVE_HEAD, h.len);
    p->h = h;
    nk_buf_consume(&p->in, RELAY_NATIVE_HEAD + h.len);
    return true;
}

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

/* The next frame but receipts and windows must be of this type. */
static void expect(struct world *w, int i, enum relay_native_type type)
{
    do {
        next_frame(w, i);
    } while (w->p[i].h.type != type &&
             (w->p[i].h.type == RELAY_N_RECEIPT || w->p[i].h.type == RELAY_N_WINDOW));
    if (w->p[i].h.type != type) {
        fail_msg("%s instead of %s", relay_native_type_name(w->p[i].h.type),
                 relay_native_type_name((uint8_t)type));
    }
}

static void raw_send(struct world *w, int i, const void *data, size_t n)
{
    const uint8_t *at = data;
    size_t step = w->p[i].slow ? 1 : n;
    for (int turn = 0; n; turn++) {
        ssize_t put = send(w->p[i].fd, at, step < n ? step : n, MSG_NOSIGNAL);
        if (put < 0) {
            assert_int_equal(errno, EAGAIN);
            assert_true(pull(&w->p[i]));
            assert_true(turn < 1000000);
        } else {
            at += put;
            n -= (size_t)put;
        }
        if (n) {
            nk_app_turn(w->app, 0);
        }
    }
}

static void frame(struct world *w, int i, uint8_t type, uint8_t flags, uint32_t group, uint64_t seq,
                  const void *p, size_t n)
{
    uint8_t *b = malloc(RELAY_NATIVE_HEAD + n);
    struct relay_native_head h = {
        .type = type, .flags = flags, .len = (uint32_t)n, .group = group, .seq = seq};
    relay_native_put_head(b, &h);
    if (n) {
        memcpy(b + RELAY_NATIVE_HEAD, p, n);
    }
    raw_send(w, i, b, RELAY_NATIVE_HEAD + n);
    free(b);
}

static void say_hello(struct world *w, int i)
{
    uint8_t b[RELAY_NATIVE_HELLO_MAX];
    struct relay_native_hello v = {
        .version_min = 1, .version_max = 1, .producer = (uint64_t)i + 1, .name = {"test", 4}};
    memcpy(v.session, w->p[i].session, sizeof(v.session));
    raw_send(w, i, b, relay_native_put_hello(b, &v));
}

static void log_in(struct world *w, int i)
{
    connect_peer(w, i);
    say_hello(w, i);
    expect(w, i, RELAY_N_CHALLENGE);
    assert_int_equal(w->p[i].h.flags, RELAY_N_LOGGED_IN);
    expect(w, i, RELAY_N_WELCOME);
    struct relay_native_welcome v;
    assert_int_equal(relay_native_get_welcome(w->p[i].p, w->p[i].h.len, &v), 0);
    memcpy(w->p[i].session, v.session, sizeof(v.session));
    w->p[i].resumed = v.resumed;
}

static struct relay_native_opened open_known(struct world *w, int i, const char *name, bool member,
                                             uint64_t epoch, uint64_t version)
{
    uint8_t b[RELAY_NATIVE_OPEN_MAX];
    struct relay_native_opened o;
    struct relay_native_open v = {.request = ++w->p[i].request,
                                  .member = member,
                                  .known = epoch != 0,
                                  .epoch = epoch,
                                  .version = version,
                                  .name = {name, strlen(name)}};
    raw_send(w, i, b, relay_native_put_open(b, &v));
    expect(w, i, RELAY_N_OPENED);
    assert_int_equal(relay_native_get_opened(&w->p[i].h, w->p[i].p, &o), 0);
    assert_int_equal(o.request, v.request);
    return o;
}

static uint32_t open_group(struct world *w, int i, const char *name, bool member)
{
    struct relay_native_opened o = open_known(w, i, name, member, 0, 0);
    assert_int_equal(o.status, 0);
    return o.group;
}

static uint32_t join(struct world *w, int i, const char *name)
{
    log_in(w, i);
    return open_group(w, i, name, true);
}

static void broadcast(struct world *w, int i, uint32_t g, uint64_t seq, const char *text)
{
    frame(w, i, RELAY_N_BROADCAST, RELAY_CONTENT_TEXT << RELAY_N_CONTENT_SHIFT, g, seq, text,
          strlen(text));
}

static void produce(struct world *w, int i, uint32_t g, uint64_t seq, const char *text)
{
    frame(w, i, RELAY_N_ITEM, 0, g, seq, text, strlen(text));
}

static void receipt(struct world *w, int i, uint64_t seq)
{
    do {
        next_frame(w, i);
    } while (w->p[i].h.type != RELAY_N_RECEIPT || w->p[i].h.seq < seq);
    assert_int_equal(w->p[i].h.seq, seq);
}

static void get(struct world *w, int i, enum relay_native_type type, const char *text)
{
    expect(w, i, type);
    assert_int_equal(w->p[i].h.len, strlen(text));
    assert_memory_equal(w->p[i].p, text, strlen(text));
}

static void get_nothing(struct world *w, int i)
{
    for (int turn = 0; turn < 20; turn++) {
        nk_app_turn(w->app, 1);
    }
    assert_true(pull(&w->p[i]));
    while (take_frame(&w->p[i])) {
        assert_true(w->p[i].h.type == RELAY_N_RECEIPT || w->p[i].h.type == RELAY_N_WINDOW);
    }
}

static void credit(struct world *w, int i, uint32_t g, uint64_t items, uint64_t bytes)
{
    uint8_t b[RELAY_NATIVE_U64_MAX];
    raw_send(w, i, b, relay_native_put_u64(b, RELAY_N_CREDIT, g, items, bytes));
}

static void settle(struct world *w, int i, enum relay_native_type type, uint32_t g, uint64_t first,
                   uint32_t count, int32_t status)
{
    uint8_t b[RELAY_NATIVE_RANGES_MAX(1)];
    struct relay_native_range r = {first, count};
    raw_send(w, i, b, relay_native_put_ranges(b, type, true, g, 7, 0, &r, 1));
    expect(w, i, RELAY_N_SETTLED);
    assert_int_equal(w->p[i].h.seq, 7);
    assert_int_equal((int32_t)relay_native_get_u32(w->p[i].p), status);
}

/* The relay says why it hangs up, and does. */
static void refused(struct world *w, int i, enum relay_goaway code)
{
    uint32_t got;
    struct relay_text t;
    do {
        next_frame(w, i);
    } while (w->p[i].h.type != RELAY_N_GOAWAY);
    relay_native_get_goaway(w->p[i].p, w->p[i].h.len, &got, &t);
    if ((int)got != (int)code) {
        fail_msg("GOAWAY %u: %.*s", got, (int)t.len, t.p);
    }
    for (int turn = 0; pull(&w->p[i]); turn++) {
        assert_true(turn < PATIENCE);
        nk_app_turn(w->app, 2);
    }
    peer_close(&w->p[i]);
}

static void after_grace(struct world *w)
{
    uint64_t end = nk_now_ms(w->app) + 32000;
    for (int turn = 0; nk_now_ms(w->app) < end; turn++) {
        assert_true(turn < PATIENCE);
        nk_app_turn(w->app, 5);
    }
}

/* --- tests ------------------------------------------------------------------------------------ */

static void test_broadcast(void **state)
{
    (void)state;
    struct world *w = world_new();
    uint32_t a = join(w, 0, "g"), b = join(w, 1, "g");
    assert_int_equal(a, b); /* ids are the same everywhere */
    broadcast(w, 0, a, 10, "one");
    receipt(w, 0, 10);
    get(w, 0, RELAY_N_BROADCAST, "one");
    get(w, 1, RELAY_N_BROADCAST, "one");
    assert_int_equal(w->p[1].h.seq, 1); /* the group's version, not the producer's number */
    assert_int_equal(w->p[1].h.flags, RELAY_CONTENT_TEXT << RELAY_N_CONTENT_SHIFT);
    broadcast(w, 1, a, 1, "two");
    get(w, 0, RELAY_N_BROADCAST, "two");
    get(w, 1, RELAY_N_BROADCAST, "two");
    log_in(w, 2);
    struct relay_native_opened o = open_known(w, 2, "g", true, 0, 0);
    assert_int_equal(o.version, 2);
    get(w, 2, RELAY_N_BROADCAST, "two");
    assert_int_equal(w->p[2].h.seq, 2);
    assert_true(w->p[2].h.flags & RELAY_N_RETAINED);
    log_in(w, 3);
    open_known(w, 3, "g", true, o.epoch, 2); /* it knows that one */
    get_nothing(w, 3);
    log_in(w, 4);
    open_group(w, 4, "g", false); /* publishes only */
    broadcast(w, 4, a, 1, "three");
    get(w, 3, RELAY_N_BROADCAST, "three");
    get_nothing(w, 4);
    world_free(w);
}

enum { RUN = 500 };

static size_t make_run(uint8_t *b, uint32_t g, uint64_t first)
{
    size_t n = 0;
    for (uint64_t i = 0; i < RUN; i++) {
        struct relay_native_head h = {
            .type = RELAY_N_BROADCAST, .len = 64, .group = g, .seq = first + i};
        relay_native_put_head(b + n, &h);
        memset(b + n + RELAY_NATIVE_HEAD, (int)i, 64);
        n += RELAY_NATIVE_HEAD + 64;
    }
    return n;
}

static void test_runs(void **state)
{
    (void)state;
    struct world *w = world_new();
    uint32_t g = join(w, 0, "g");
    uint8_t *b = malloc(RUN * 80);
    join(w, 1, "g");
    for (uint64_t round = 0; round < 2; round++) {
        size_t n = make_run(b, g, 1 + round * RUN);
        w->p[0].slow = round == 1; /* byte by byte: no runs, the same result */
        raw_send(w, 0, b, n);
        for (int i = 0; i < 2; i++) {
            for (uint64_t k = 0; k < RUN; k++) {
                expect(w, i, RELAY_N_BROADCAST);
                assert_int_equal(w->p[i].h.seq, 1 + round * RUN + k);
                assert_int_equal(w->p[i].h.len, 64);
                assert_int_equal(w->p[i].p[63], (uint8_t)k);
            }
        }
    }
    join(w, 2, "g"); /* the last one of the run was retained */
    expect(w, 2, RELAY_N_BROADCAST);
    assert_int_equal(w->p[2].h.seq, 2 * RUN);
    assert_int_equal(w->p[2].p[0], (uint8_t)(RUN - 1));
    free(b);
    world_free(w);
}

static void put_copies(struct world *w, int i, uint32_t g, uint64_t seq, uint64_t copies,
                       const char *text)
{
    uint8_t b[256];
    struct relay_meta_writer m;
    relay_meta_begin(&m, b, sizeof(b));
    relay_meta_add_u64(&m, RELAY_META_COPIES, copies);
    size_t n = relay_meta_end(&m);
    memcpy(b + n, text, strlen(text));
    frame(w, i, RELAY_N_ITEM, RELAY_N_META, g, seq, b, n + strlen(text));
}

static void test_items(void **state)
{
    (void)state;
    struct world *w = world_new();
    uint32_t g = join(w, 0, "g");
    join(w, 1, "g");
    produce(w, 0, g, 1, "a");
    produce(w, 0, g, 2, "b");
    put_copies(w, 0, g, 3, 2, "c");
    receipt(w, 0, 3);
    credit(w, 1, g, 2, 0);
    get(w, 1, RELAY_N_ITEM, "a");
    assert_int_equal(w->p[1].h.seq, 1);
    get(w, 1, RELAY_N_ITEM, "b");
    get_nothing(w, 1);
    credit(w, 1, g, 1, 0); /* an old one: nothing */
    get_nothing(w, 1);
    settle(w, 1, RELAY_N_ACK, g, 1, 1, RELAY_STATUS_OK);
    settle(w, 1, RELAY_N_ACK, g, 1, 1, RELAY_STATUS_UNKNOWN); /* twice */
    settle(w, 1, RELAY_N_ACK, g, 99, 1, RELAY_STATUS_UNKNOWN);
    settle(w, 0, RELAY_N_ACK, g, 2, 1, RELAY_STATUS_UNKNOWN); /* somebody else's */
    settle(w, 1, RELAY_N_NACK, g, 2, 1, RELAY_STATUS_OK);
    credit(w, 0, g, 2, 0);
    expect(w, 0, RELAY_N_DELIVERIES);
    assert_int_equal(relay_native_get_u32(w->p[0].p), 1);
    assert_int_equal(w->p[0].h.seq, 2);
    get(w, 0, RELAY_N_ITEM, "b");
    assert_true(w->p[0].h.flags & RELAY_N_REDELIVERED);
    expect(w, 0, RELAY_N_ITEM);
    assert_int_equal(w->p[0].h.seq, 3);
    assert_true(w->p[0].h.flags & RELAY_N_META);
    peer_close(&w->p[0]); /* it dies: both go back, in their order, when its grace is over */
    get_nothing(w, 1);
    after_grace(w);
    credit(w, 1, g, 5, 0);
    for (uint64_t seq = 2; seq <= 4; seq++) {
        if (seq < 4) {
            expect(w, 1, RELAY_N_DELIVERIES);
        }
        expect(w, 1, RELAY_N_ITEM);
        assert_int_equal(w->p[1].h.seq, seq);
    }
    settle(w, 1, RELAY_N_ACK, g, 1, 100, RELAY_STATUS_UNKNOWN); /* the three were its own */
    get_nothing(w, 1);
    world_free(w);
}

static void test_drain_and_bytes(void **state)
{
    (void)state;
    struct world *w = world_new();
    uint32_t g = join(w, 0, "g");
    uint8_t b[RELAY_NATIVE_HEAD];
    char text[1000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    for (uint64_t i = 1; i <= 20; i++) {
        produce(w, 0, g, i, text);
    }
    receipt(w, 0, 20);
    credit(w, 0, g, 100, 2500); /* 999 + 16 bytes each: two fit, the third goes beyond */
    for (int i = 0; i < 2; i++) {
        get(w, 0, RELAY_N_ITEM, text);
    }
    for (int turn = 0; turn < 20; turn++) {
        nk_app_turn(w->app, 1);
    }
    pull(&w->p[0]);
    int more = 0;
    while (take_frame(&w->p[0])) {
        more += w->p[0].h.type == RELAY_N_ITEM;
    }
    assert_true(more <= 1);
    raw_send(w, 0, b, relay_native_put_plain(b, RELAY_N_DRAIN, g, 0));
    for (int i = 2 + more; i < 20; i++) {
        get(w, 0, RELAY_N_ITEM, text);
    }
    expect(w, 0, RELAY_N_DRAINED);
    assert_int_equal(w->p[0].h.seq, 20);
    world_free(w);
}

static void fragment(struct world *w, int i, uint8_t type, uint32_t g, uint64_t seq, uint8_t flags,
                     size_t n, uint8_t b)
{
    uint8_t *p = malloc(n ? n : 1);
    memset(p, b, n);
    frame(w, i, type, flags, g, seq, p, n);
    free(p);
}

/* Reads the fragments of one object; other frames may stand in between. Returns its length. */
static size_t collect(struct world *w, int i, uint32_t g, uint64_t *sum)
{
    size_t total = 0;
    for (;;) {
        next_frame(w, i);
        const struct relay_native_head *h = &w->p[i].h;
        if ((h->type == RELAY_N_BROADCAST || h->type == RELAY_N_ITEM) && h->group == g) {
            for (size_t k = 0; k < h->len; k++) {
                *sum += w->p[i].p[k];
            }
            total += h->len;
            if (!(h->flags & RELAY_N_MORE)) {
                return total;
            }
        }
    }
}

static void test_fragments(void **state)
{
    (void)state;
    struct world *w = world_new();
    const uint8_t B = RELAY_N_BROADCAST, I = RELAY_N_ITEM, M = RELAY_N_MORE;
    uint32_t g = join(w, 0, "g"), h = open_group(w, 0, "h", true);
    join(w, 1, "g");
    uint64_t sum = 0;
    fragment(w, 0, B, g, 1, M | 4, RELAY_NATIVE_FRAGMENT, 1);
    fragment(w, 0, I, h, 1, M, 20000, 3); /* of another group, in between */
    fragment(w, 0, B, g, 1, M, RELAY_NATIVE_FRAGMENT, 2);
    fragment(w, 0, I, h, 2 - 1, 0, 10, 3);
    fragment(w, 0, B, g, 1, 0, 0, 0); /* the last one may be empty */
    assert_int_equal(collect(w, 1, g, &sum), 2 * RELAY_NATIVE_FRAGMENT);
    assert_int_equal(sum, 3 * RELAY_NATIVE_FRAGMENT);
    credit(w, 0, h, 1, 0);
    sum = 0;
    assert_int_equal(collect(w, 0, h, &sum), 20010);
    assert_int_equal(sum, 3 * 20010);
    /* longer than max_object: refused by name, and the connection lives on */
    for (int i = 0; i < 17; i++) {
        fragment(w, 0, B, g, 5, i < 16 ? M : 0, RELAY_NATIVE_FRAGMENT, 1);
    }
    receipt(w, 0, 5);
    assert_int_equal(relay_native_get_receipt(&w->p[0].h, w->p[0].p), 1);
    assert_int_equal(relay_native_failure(w->p[0].p, 0).status, RELAY_STATUS_TOO_BIG);
    broadcast(w, 0, g, 6, "after");
    get(w, 1, RELAY_N_BROADCAST, "after");
    world_free(w);
}

/* Every frame of a client before its login, and what only a relay may say. */
static void test_before_login(void **state)
{
    (void)state;
    struct world *w = world_new();
    for (unsigned type = 0; type < 256; type++) {
        uint8_t b[RELAY_NATIVE_HEAD + 64] = {(uint8_t)type, 45};
        if (type == RELAY_N_HELLO || type == RELAY_N_GOAWAY) {
            continue;
        }
        connect_peer(w, 0);
        raw_send(w, 0, b, sizeof(b));
        refused(w, 0, RELAY_GOAWAY_PROTOCOL);
    }
    connect_peer(w, 0); /* too long for somebody who is not logged in */
    frame(w, 0, RELAY_N_HELLO, 0, 0, 0, (uint8_t[400]){0}, 400);
    refused(w, 0, RELAY_GOAWAY_PROTOCOL);
    connect_peer(w, 0); /* not our magic */
    frame(w, 0, RELAY_N_HELLO, 0, 0, 0, (uint8_t[45]){0}, 45);
    refused(w, 0, RELAY_GOAWAY_PROTOCOL);
    log_in(w, 0);
    say_hello(w, 0);
    refused(w, 0, RELAY_GOAWAY_PROTOCOL);
    world_free(w);
}

static void bad_frame(struct world *w, uint8_t type, uint8_t flags, uint32_t group, uint64_t seq,
                      const void *p, size_t n, enum relay_goaway code)
{
    uint32_t g = join(w, 0, "g");
    frame(w, 0, type, flags, group == 1 ? g : group, seq, p, n);
    refused(w, 0, code);
}

static void test_bad_frames(void **state)
{
    (void)state;
    struct world *w = world_new();
    static const uint8_t zero[64];
    const enum relay_goaway P = RELAY_GOAWAY_PROTOCOL;
    bad_frame(w, RELAY_N_BROADCAST, 0, 999, 1, zero, 1, P); /* groups that are not open */
    bad_frame(w, RELAY_N_ITEM, 0, 999, 1, zero, 1, P);
    bad_frame(w, RELAY_N_CREDIT, 0, 999, 1, zero, 8, P);
    bad_frame(w, RELAY_N_DRAIN, 0, 999, 0, zero, 0, P);
    bad_frame(w, RELAY_N_ACK, 0, 999, 1, zero, 0, P);
    bad_frame(w, RELAY_N_CLOSE, 0, 999, 0, zero, 0, P);
    bad_frame(w, RELAY_N_BROADCAST, 0, 1, 0, zero, 1, P); /* seq 0 */
    bad_frame(w, RELAY_N_BROADCAST, 0x40, 1, 1, zero, 1, P);
    bad_frame(w, RELAY_N_BROADCAST, RELAY_N_RETAINED, 1, 1, zero, 1, P);
    bad_frame(w, RELAY_N_ITEM, RELAY_N_META, 1, 1, zero, 1, P);                 /* half a length */
    bad_frame(w, RELAY_N_ITEM, RELAY_N_META, 1, 1, "\x05\0\x63\x02\0ab", 7, P); /* unknown tag */
    bad_frame(w, RELAY_N_ACK, 0, 1, 0, zero, 0, P); /* neither a list nor a lease */
    bad_frame(w, RELAY_N_ACK, 0, 1, 1, zero, 12, P);
    bad_frame(w, RELAY_N_ACK, 0, 1, 1, zero, 13, P);
    bad_frame(w, RELAY_N_NACK, 0, 1, 1, zero, 3, P);
    bad_frame(w, RELAY_N_OPEN, 0, 0, 1, zero, 17, P); /* no name */
    bad_frame(w, RELAY_N_OPEN, 2, 0, 1, zero, 18, P);
    bad_frame(w, RELAY_N_RECEIPT, 0, 1, 1, zero, 0, P); /* the relay's */
    bad_frame(w, RELAY_N_AUTH, 0, 0, 1, zero, 1, P);
    bad_frame(w, RELAY_N_PING, 0, 0, 0, (uint8_t[65]){0}, 65, P);
    uint32_t g = join(w, 0, "g"); /* a number twice */
    produce(w, 0, g, 3, "x");
    produce(w, 0, g, 3, "x");
    refused(w, 0, P);
    g = join(w, 0, "g"); /* an object between the fragments of another */
    fragment(w, 0, RELAY_N_ITEM, g, 1, RELAY_N_MORE, 20000, 1);
    produce(w, 0, g, 2, "x");
    refused(w, 0, P);
    log_in(w, 0); /* credit without being a member */
    g = open_group(w, 0, "g", false);
    credit(w, 0, g, 1, 0);
    refused(w, 0, P);
    world_free(w);
}

/* Fragments that never end are not acknowledged, and at the end of the connection they are gone. */
static void test_window(void **state)
{
    (void)state;
    struct relay_limits l = default_limits();
    l.max_memory = 4 * MIB;
    struct world *w = world_with(l, RELAY_WIRES_NATIVE);
    log_in(w, 0);
    struct relay_native_opened o = open_known(w, 0, "g", false, 0, 0);
    assert_int_equal(o.status, 0);
    uint64_t sent = 0, window = o.window;
    /* nobody consumes: the window stays when memory is nearly used up */
    for (uint64_t seq = 1; seq < 1000; seq++) {
        while (pull(&w->p[0]) && take_frame(&w->p[0])) {
            if (w->p[0].h.type == RELAY_N_WINDOW) {
                window = relay_native_get_u64(w->p[0].p);
            }
        }
        if (sent + 20016 > window) {
            break;
        }
        fragment(w, 0, RELAY_N_ITEM, o.group, seq, 0, 20000, 1);
        sent += 20016;
        for (int i = 0; i < 6; i++) {
            nk_app_turn(w->app, 0);
        }
    }
    assert_true(sent > 2 * MIB && sent < 5 * MIB);
    assert_true(w->memory.used <= l.max_memory + 128 * 1024); /* and the chunk that is read into */
    fragment(w, 0, RELAY_N_ITEM, o.group, 1000, 0, 20000, 1); /* and who does not care is out */
    refused(w, 0, RELAY_GOAWAY_LIMIT);
    /* the next one gets on as soon as there is room */
    uint32_t g = join(w, 1, "g");
    uint8_t b[RELAY_NATIVE_HEAD];
    raw_send(w, 1, b, relay_native_put_plain(b, RELAY_N_DRAIN, g, 0));
    expect(w, 1, RELAY_N_ITEM);
    world_free(w);
}

static void test_ping_close_goaway(void **state)
{
    (void)state;
    struct world *w = world_new();
    uint32_t g = join(w, 0, "g");
    uint8_t b[RELAY_NATIVE_GOAWAY_MAX];
    raw_send(w, 0, b, relay_native_put_echo(b, RELAY_N_PING, "12345", 5));
    get(w, 0, RELAY_N_PONG, "12345");
    struct relay_native_opened o = open_known(w, 0, "g", true, 0, 0); /* twice */
    assert_int_equal(o.status, RELAY_STATUS_INVALID);
    raw_send(w, 0, b, relay_native_put_plain(b, RELAY_N_CLOSE, g, 0));
    o = open_known(w, 0, "g", true, 0, 0); /* and again after CLOSE */
    assert_int_equal(o.status, 0);
    assert_int_equal(o.group, g);
    join(w, 1, "g");
    produce(w, 0, g, 1, "last words");
    raw_send(w, 0, b, relay_native_put_goaway(b, RELAY_GOAWAY_DONE, ""));
    receipt(w, 0, 1);
    refused(w, 0, RELAY_GOAWAY_DONE);
    relay_hub_drain(w->hub);
    refused(w, 1, RELAY_GOAWAY_DRAIN);
    for (int turn = 0; !w->drained; turn++) {
        assert_true(turn < PATIENCE);
        nk_app_turn(w->app, 1);
    }
    world_free(w);
}

/* A connection that breaks: its leases wait for it; what it does not claim goes back. */
static void test_resume(void **state)
{
    (void)state;
    struct world *w = world_new();
    uint32_t g = join(w, 0, "g");
    assert_false(w->p[0].resumed);
    for (uint64_t seq = 1; seq <= 5; seq++) {
        produce(w, 0, g, seq, &"abcde"[seq - 1]);
    }
    receipt(w, 0, 5);
    credit(w, 0, g, 3, 0);
    for (int i = 0; i < 3; i++) {
        expect(w, 0, RELAY_N_ITEM);
    }
    join(w, 1, "g");
    credit(w, 1, g, 1, 0);
    get(w, 1, RELAY_N_ITEM, "de");
    peer_close(&w->p[0]);
    get_nothing(w, 1);
    log_in(w, 0);
    assert_true(w->p[0].resumed);
    struct relay_native_opened o = open_known(w, 0, "g", true, 0, 0);
    assert_int_equal(o.group, g);
    settle(w, 0, RELAY_N_ACK, g, 1, 1, RELAY_STATUS_OK);    /* finished meanwhile */
    settle(w, 0, RELAY_N_EXTEND, g, 3, 1, RELAY_STATUS_OK); /* still working on that one */
    credit(w, 0, g, 2, 0); /* the second one was lost on the way: it comes again, then the fifth */
    expect(w, 0, RELAY_N_DELIVERIES);
    get(w, 0, RELAY_N_ITEM, "bcde");
    assert_int_equal(w->p[0].h.seq, 2);
    get(w, 0, RELAY_N_ITEM, "e");
    settle(w, 0, RELAY_N_ACK, g, 3, 1, RELAY_STATUS_OK);
    int old = w->p[0].fd; /* the same session from another connection, while this one is there */
    w->p[0].fd = -1;
    peer_close(&w->p[0]);
    log_in(w, 0);
    assert_true(w->p[0].resumed);
    close(old);
    o = open_known(w, 0, "g", true, 0, 0);
    assert_int_equal(o.group, g);
    settle(w, 0, RELAY_N_ACK, g, 2, 1, RELAY_STATUS_OK);
    settle(w, 0, RELAY_N_ACK, g, 2, 1, RELAY_STATUS_UNKNOWN);
    after_grace(w);
    world_free(w);
}

/* Who says goodbye keeps nothing. */
static void test_leave(void **state)
{
    (void)state;
    struct world *w = world_new();
    uint32_t g = join(w, 0, "g");
    uint8_t b[RELAY_NATIVE_GOAWAY_MAX];
    join(w, 1, "g");
    produce(w, 1, g, 1, "a");
    receipt(w, 1, 1);
    credit(w, 0, g, 1, 0);
    get(w, 0, RELAY_N_ITEM, "a");
    raw_send(w, 0, b, relay_native_put_goaway(b, RELAY_GOAWAY_DONE, ""));
    refused(w, 0, RELAY_GOAWAY_DONE);
    credit(w, 1, g, 1, 0);
    expect(w, 1, RELAY_N_DELIVERIES);
    get(w, 1, RELAY_N_ITEM, "a");
    world_free(w);
}

/* On a listener of both wires tlspyo's HELLO comes first, with the stamp that says so. */
static void test_detection(void **state)
{
    (void)state;
    struct world *w = world_with(default_limits(), RELAY_WIRES_AUTO);
    connect_peer(w, 0);
    say_hello(w, 0);
    while (nk_buf_len(&w->p[0].in) < 30) {
        assert_true(pull(&w->p[0]));
        nk_app_turn(w->app, 1);
    }
    static const uint8_t hello[] = {'2', '0',  ' ', ' ', ' ', ' ', ' ', ' ', ' ',
                                    ' ', 0x80, 3,   'J', 'n', 'k', 'r', '1'};
    assert_memory_equal(nk_buf_ptr(&w->p[0].in), hello, sizeof(hello));
    nk_buf_consume(&w->p[0].in, 30);
    expect(w, 0, RELAY_N_CHALLENGE);
    expect(w, 0, RELAY_N_WELCOME);
    uint32_t g = open_group(w, 0, "g", true);
    broadcast(w, 0, g, 1, "x");
    get(w, 0, RELAY_N_BROADCAST, "x");
    world_free(w);
}

/* Frames of tlspyo's wire, by hand: header_size 10, password "pw". */
static void stock_send(struct world *w, int i, const char *payload, size_t n)
{
    char b[300];
    int at = snprintf(b, sizeof(b), "%-10zupw", n);
    memcpy(b + at, payload, n);
    raw_send(w, i, b, (size_t)at + n);
}

/* The next OBJ of a stock endpoint must hold these bytes. */
static void stock_get(struct world *w, int i, const void *want, size_t n)
{
    struct peer *p = &w->p[i];
    for (int turn = 0;; turn++) {
        size_t len = nk_buf_len(&p->in) >= 10 ? strtoul((char *)nk_buf_ptr(&p->in), NULL, 10) : 0;
        if (len && nk_buf_len(&p->in) >= 10 + len) {
            const uint8_t *f = nk_buf_ptr(&p->in) + 10;
            bool obj = len > 20 && memcmp(f + 12, "OBJ", 3) == 0;
            if (obj) { /* 80 03 4a <stamp> 58 03 0 0 0 OBJ 42 <u32> bytes 87 2e */
                assert_int_equal(relay_native_get_u32(f + 16), n);
                assert_memory_equal(f + 20, want, n);
            }
            nk_buf_consume(&p->in, 10 + len);
            if (obj) {
                return;
            }
            continue;
        }
        assert_true(pull(p));
        assert_true(turn < PATIENCE);
        nk_app_turn(w->app, 1);
    }
}

#define LITERAL(s) (s), sizeof(s) - 1

/* Native and stock endpoints in one group. */
static void test_mixed(void **state)
{
    (void)state;
    struct world *w = world_with(default_limits(), RELAY_WIRES_AUTO);
    connect_peer(w, 0);
    stock_send(w, 0, LITERAL("\x80\x03(K\x01X\x05\0\0\0HELLOX\0\0\0\0X\x01\0\0\0gt."));
    connect_peer(w, 1);
    say_hello(w, 1);
    while (nk_buf_len(&w->p[1].in) < 30) {
        assert_true(pull(&w->p[1]));
        nk_app_turn(w->app, 1);
    }
    nk_buf_consume(&w->p[1].in, 30);
    expect(w, 1, RELAY_N_CHALLENGE);
    expect(w, 1, RELAY_N_WELCOME);
    uint32_t g = open_group(w, 1, "g", true);
    broadcast(w, 1, g, 1, "text");
    stock_get(w, 0, LITERAL("\x80\x03X\x04\0\0\0text."));
    frame(w, 1, RELAY_N_BROADCAST, RELAY_CONTENT_TEXT << 2, g, 2, "\xff\xfe", 2); /* it is not */
    stock_get(w, 0,
              LITERAL("\x80\x03"
                      "B\x02\0\0\0\xff\xfe."));
    frame(w, 1, RELAY_N_BROADCAST, RELAY_CONTENT_PICKLE << 2, g, 3, "N.", 2);
    stock_get(w, 0, LITERAL("N."));
    uint8_t *run = malloc(RUN * 80);
    raw_send(w, 1, run, make_run(run, g, 4));
    for (int i = 0; i < RUN; i++) {
        uint8_t want[72] = "\x80\x03"
                           "B\x40";
        memset(want + 7, i, 64);
        want[71] = '.';
        stock_get(w, 0, want, sizeof(want));
    }
    free(run);
    for (int i = 0; i < RUN + 3; i++) {
        expect(w, 1, RELAY_N_BROADCAST);
    }
    /* and back: OBJ, {"g": -1}, b"x." */
    stock_send(w, 0,
               LITERAL("\x80\x03(K\x02X\x03\0\0\0OBJ}X\x01\0\0\0gJ\xff\xff\xff\xffsC\x02N.t."));
    get(w, 1, RELAY_N_BROADCAST, "N.");
    assert_int_equal(w->p[1].h.flags, RELAY_CONTENT_PICKLE << RELAY_N_CONTENT_SHIFT);
    world_free(w);
}

int nk_test_relay_native(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broadcast),
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_drain_and_bytes),
        cmocka_unit_test(test_fragments),
        cmocka_unit_test(test_before_login),
        cmocka_unit_test(test_bad_frames),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_ping_close_goaway),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_leave),
        cmocka_unit_test(test_detection),
        cmocka_unit_test(test_mixed),
    };
    use_chaos = false;
    int failed = cmocka_run_group_tests_name("relay/native over memory", tests, NULL, NULL);
    use_chaos = true;
    failed += cmocka_run_group_tests_name("relay/native over chaos", tests, NULL, NULL);
    use_chaos = false;
    return failed;
}
