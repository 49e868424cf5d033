/* SPDX-License-Identifier: MIT */
/* How much a server may send: windows follow the path and the consumer, within their bounds. The
 * server of these tests sends all that it may in each round. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "ssh/proto_channels.h"
#include "ssh/sink_testkit.h"

int nk_test_ssh_proto_channels_window(void);

enum { RTT = 50, MEASURED = RTT + 1 /* the clock's steps */, WINDOW_ADJUST = 93 };

struct fixture {
    struct ssh_kit_sink sink;
    struct ssh_channels *c;
    struct ssh_channel *ch;
    struct nk_buf in, out;
    struct nk_diag diag;
    uint64_t now, given; /* window that the server has */
    size_t held;         /* not consumed */
};

static void on_data(void *owner, struct ssh_channel *ch, uint32_t kind, const uint8_t *p, size_t n)
{
    struct fixture *f = owner;
    (void)ch, (void)kind, (void)p;
    f->held += n;
}

/* Counts the window that was given since it was looked last. */
static void look(struct fixture *f)
{
    struct ssh_str s;
    while ((s = ssh_kit_take(&f->sink, &f->out)).n > 0) {
        struct nk_cur c;
        nk_cur_init(&c, s.p, s.n);
        assert_int_equal(nk_cur_u8(&c), WINDOW_ADJUST);
        (void)nk_cur_be32(&c);
        f->given += nk_cur_be32(&c);
        assert_true(nk_cur_done(&c));
    }
}

static void get(struct fixture *f)
{
    assert_int_equal(ssh_channels_receive(f->c, nk_buf_ptr(&f->in), nk_buf_len(&f->in), &f->diag),
                     0);
    nk_buf_reset(&f->in);
}

static void open_it(struct fixture *f, uint64_t rtt)
{
    static const struct ssh_channel_ops ops = {.on_data = on_data};
    const struct ssh_channels_conf conf = {0};
    *f = (struct fixture){.now = 1000, .given = SSH_WINDOW_START};
    ssh_sink_init(&f->sink);
    nk_buf_init(&f->in, 2 * SSH_DATA_MAX);
    nk_buf_init(&f->out, 2 * SSH_DATA_MAX);
    assert_int_equal(ssh_channels_new(&conf, &f->sink.sink, &f->c), 0);
    ssh_channels_now(f->c, f->now);
    assert_int_equal(ssh_channel_open(f->c, "x", (struct ssh_str){0}, &ops, f, &f->ch, &f->diag),
                     0);
    (void)ssh_kit_take(&f->sink, &f->out);
    ssh_channels_now(f->c, f->now += rtt);
    ssh_kit_put(&f->in, "buuuu", 91, 0u, 0u, 1u, 1u);
    get(f);
    assert_int_equal(ssh_channels_rtt_ms(f->c), rtt + 1);
}

static void close_it(struct fixture *f)
{
    ssh_channels_free(f->c);
    ssh_sink_clear(&f->sink);
    nk_buf_clear(&f->in);
    nk_buf_clear(&f->out);
}

/* After ms, n bytes arrive, or as many as may. */
static void receive(struct fixture *f, uint64_t ms, size_t n)
{
    static const uint8_t zeros[SSH_DATA_MAX];
    ssh_channels_now(f->c, f->now += ms);
    n = n < f->given ? n : f->given;
    f->given -= n;
    while (n > 0) {
        size_t some = n < SSH_DATA_MAX ? n : SSH_DATA_MAX;
        ssh_kit_put(&f->in, "bux", 94, 0u, (struct ssh_str){zeros, some});
        get(f);
        n -= some;
    }
}

static void consume(struct fixture *f, size_t n)
{
    n = n < f->held ? n : f->held;
    f->held -= n;
    while (n > 0) {
        size_t some = n < SSH_DATA_MAX ? n : SSH_DATA_MAX;
        assert_int_equal(ssh_channel_consumed(f->ch, some), 0);
        n -= some;
    }
    look(f);
}

/* A window comes round in `round` ms; returns how often until it is as large as it gets. */
static int rounds_to_grow(uint64_t rtt, uint64_t round)
{
    struct fixture f;
    open_it(&f, rtt);
    int n = 0;
    for (; n < 64 && ssh_channel_window(f.ch) < SSH_WINDOW_MAX; n++) {
        receive(&f, round, SIZE_MAX);
        consume(&f, SIZE_MAX);
        assert_true(f.given <= ssh_channel_window(f.ch));
    }
    assert_int_equal(ssh_channel_window(f.ch), SSH_WINDOW_MAX);
    close_it(&f);
    return n;
}

static void growing(void **state)
{
    (void)state;
    assert_int_in_range(rounds_to_grow(RTT, MEASURED), 3, 5);
    assert_int_in_range(rounds_to_grow(RTT, 2 * RTT), 4, 8); /* both ends are slow */
}

/* A consumer that takes what came in a burst only after a while keeps up nevertheless. */
static void bursts(void **state)
{
    (void)state;
    struct fixture f;
    open_it(&f, RTT);
    for (int i = 0; i < 6; i++) {
        receive(&f, RTT / 2, SIZE_MAX);
        ssh_channels_now(f.c, f.now += RTT / 2 + 1);
        consume(&f, SIZE_MAX);
    }
    assert_int_equal(ssh_channel_window(f.ch), SSH_WINDOW_MAX);
    close_it(&f);
}

/* What a slow consumer leaves lying becomes less, but not less than its rate asks for. */
static void slow_consumer(void **state)
{
    (void)state;
    enum { RATE = 2 * 1024 * 1024 }; /* in a round */
    struct fixture f;
    open_it(&f, RTT);
    for (int i = 0; i < 8; i++) {
        receive(&f, MEASURED, SIZE_MAX);
        consume(&f, SIZE_MAX);
    }
    assert_int_equal(ssh_channel_window(f.ch), SSH_WINDOW_MAX);
    for (int i = 0; i < 64; i++) {
        receive(&f, MEASURED, SIZE_MAX);
        consume(&f, RATE);
        assert_true(f.held + f.given <= SSH_WINDOW_MAX);
    }
    assert_int_in_range(ssh_channel_window(f.ch), RATE, 9 * RATE);
    close_it(&f);
}

/* 1 ms away the usual window is enough for 250 MB/s. */
static void near_by(void **state)
{
    (void)state;
    struct fixture f;
    open_it(&f, 0);
    for (int i = 0; i < 100; i++) {
        receive(&f, 8, SSH_WINDOW_START);
        consume(&f, SIZE_MAX);
    }
    assert_int_equal(ssh_channel_window(f.ch), SSH_WINDOW_START);
    close_it(&f);
}

static void on_reply(void *owner, int ok, struct ssh_str data)
{
    (void)owner, (void)ok, (void)data;
}

static uint64_t clock_now(void *owner)
{
    const struct fixture *f = owner;
    return f->now;
}

/* What is begun between two turns of the loop begins then, not in the turn before. */
static void idle_before(void **state)
{
    (void)state;
    struct fixture f = {.now = 1000};
    const struct ssh_channels_conf conf = {.owner = &f, .clock = clock_now};
    ssh_sink_init(&f.sink);
    nk_buf_init(&f.in, SSH_DATA_MAX);
    assert_int_equal(ssh_channels_new(&conf, &f.sink.sink, &f.c), 0);
    ssh_channels_now(f.c, f.now);
    f.now += 10000;
    assert_int_equal(ssh_channel_open(f.c, "x", (struct ssh_str){0}, NULL, NULL, &f.ch, &f.diag),
                     0);
    ssh_channels_now(f.c, f.now += RTT);
    ssh_kit_put(&f.in, "buuuu", 91, 0u, 0u, 1u, 1u);
    get(&f);
    assert_int_equal(ssh_channels_rtt_ms(f.c), MEASURED);
    f.now += 10000;
    assert_int_equal(ssh_global_request(f.c, "x", (struct ssh_str){0}, on_reply, &f), 0);
    ssh_channels_now(f.c, f.now += RTT - 1);
    ssh_kit_put(&f.in, "b", 81);
    get(&f);
    assert_int_equal(ssh_channels_rtt_ms(f.c), MEASURED - 1);
    close_it(&f);
}

/* All windows together stay within their bound, but for the least that a channel gets. */
static void total(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t sum = SSH_WINDOW_START;
    open_it(&f, RTT);
    for (int i = 0; i < 4000; i++) {
        struct ssh_channel *ch;
        assert_int_equal(ssh_channel_open(f.c, "x", (struct ssh_str){0}, NULL, NULL, &ch, &f.diag),
                         0);
        sum += ssh_channel_window(ch);
        assert_true(ssh_channel_window(ch) >= SSH_WINDOW_LEAST);
    }
    assert_true(sum < SSH_WINDOWS_TOTAL + (uint64_t)4000 * SSH_WINDOW_LEAST);
    close_it(&f);
}

int nk_test_ssh_proto_channels_window(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(growing), cmocka_unit_test(bursts),      cmocka_unit_test(slow_consumer),
        cmocka_unit_test(near_by), cmocka_unit_test(idle_before), cmocka_unit_test(total),
    };
    return cmocka_run_group_tests_name("ssh/proto_channels_window", tests, NULL, NULL);
}
