/* SPDX-License-Identifier: MIT */
/* Random traffic over several channels, against a model of the server: every byte arrives in order,
 * no window and no packet size is exceeded in either direction, and nothing is left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ssh/proto_channels.h"
#include "ssh/sink_testkit.h"

int nk_test_ssh_proto_channels_model(void);

enum { CHANNELS = 6, STEPS = 8000, SEEDS = 4, BYTES = 1 << 24, PRIME = 251, MOST = 70000 };

/* One channel, seen from both sides. */
struct side {
    struct ssh_channel *ch; /* NULL once it is gone */
    bool open, eof_in, eof_out, closed_out;
    uint64_t allowed, received, consumed; /* server to us; allowed: what it may send in all */
    uint64_t granted, sent, written;      /* us to server */
    uint32_t packet;
    bool wants;
};

struct model {
    struct ssh_kit_sink sink;
    struct ssh_channels *c;
    struct side side[CHANNELS];
    struct nk_buf in, out;
    struct nk_diag diag;
    uint32_t seed;
    size_t room;
    uint64_t now;
};

static uint32_t rnd(struct model *m, uint32_t bound)
{
    m->seed = m->seed * 1664525 + 1013904223; /* Numerical Recipes */
    return (uint32_t)((uint64_t)(m->seed >> 8) * bound >> 24);
}

static uint8_t byte_at(uint64_t i)
{
    return (uint8_t)(i % PRIME);
}

static bool right(const uint8_t *p, size_t n, uint64_t from)
{
    unsigned wrong = 0;
    for (size_t i = 0; i < n; i++) {
        wrong += p[i] != byte_at(from + i);
    }
    return wrong == 0;
}

static void on_data(void *owner, struct ssh_channel *ch, uint32_t kind, const uint8_t *p, size_t n)
{
    struct side *s = owner;
    assert_ptr_equal(s->ch, ch);
    assert_int_equal(kind, 0);
    assert_true(right(p, n, s->received));
    s->received += n;
}

static void on_writable(void *owner, struct ssh_channel *ch)
{
    struct side *s = owner;
    assert_ptr_equal(s->ch, ch);
    assert_true(s->wants); /* it was asked for */
    s->wants = false;
}

static void on_closed(void *owner, struct ssh_channel *ch, const struct nk_diag *why)
{
    struct side *s = owner;
    assert_ptr_equal(s->ch, ch);
    assert_null(why);
    s->ch = NULL;
}

static const struct ssh_channel_ops ops = {
    .on_data = on_data, .on_writable = on_writable, .on_closed = on_closed};

static size_t room(void *owner)
{
    return ((struct model *)owner)->room;
}

/* What we have sent, as the server understands it. */
static void listen(struct model *m)
{
    for (struct ssh_str s; (s = ssh_kit_take(&m->sink, &m->out)).n > 0;) {
        struct nk_cur c;
        nk_cur_init(&c, s.p, s.n);
        uint8_t number = nk_cur_u8(&c);
        struct side *x = &m->side[nk_cur_be32(&c) % CHANNELS];
        assert_false(x->closed_out);
        if (number == SSH_MSG_CHANNEL_WINDOW_ADJUST) {
            x->allowed += nk_cur_be32(&c);
            assert_true(x->allowed - x->received <= SSH_WINDOW_MAX);
        } else if (number == SSH_MSG_CHANNEL_DATA) {
            struct ssh_str data = ssh_cur_string(&c);
            assert_true(data.n > 0 && data.n <= x->packet && data.n <= SSH_DATA_MAX);
            assert_true(x->sent + data.n <= x->granted && !x->eof_out);
            assert_true(right(data.p, data.n, x->sent));
            x->sent += data.n;
        } else if (number == SSH_MSG_CHANNEL_EOF) {
            assert_false(x->eof_out);
            x->eof_out = true;
        } else {
            assert_int_equal(number, SSH_MSG_CHANNEL_CLOSE);
            x->closed_out = true;
        }
        assert_true(nk_cur_done(&c));
    }
}

static void tell(struct model *m)
{
    assert_int_equal(ssh_channels_receive(m->c, nk_buf_ptr(&m->in), nk_buf_len(&m->in), &m->diag),
                     0);
    nk_buf_reset(&m->in);
    listen(m);
}

static void start(struct model *m, unsigned i)
{
    struct side *s = &m->side[i];
    struct nk_cur c;
    *s = (struct side){.open = true, .packet = 1 + rnd(m, MOST), .granted = rnd(m, MOST)};
    assert_int_equal(ssh_channel_open(m->c, "x", (struct ssh_str){0}, &ops, s, &s->ch, &m->diag),
                     0);
    struct ssh_str sent = ssh_kit_take(&m->sink, &m->out);
    nk_cur_init(&c, sent.p, sent.n);
    (void)nk_cur_u8(&c);
    (void)ssh_cur_string(&c);
    uint32_t id = nk_cur_be32(&c);
    assert_int_equal(id, i); /* the lowest free number */
    s->allowed = nk_cur_be32(&c);
    m->now += rnd(m, 3) * 20;
    ssh_channels_now(m->c, m->now);
    ssh_kit_put(&m->in, "buuuu", 91, id, i, (unsigned)s->granted, (unsigned)s->packet);
    tell(m);
}

static void server_sends(struct model *m, unsigned i)
{
    struct side *s = &m->side[i];
    static _Thread_local uint8_t data[SSH_DATA_MAX];
    uint64_t left = s->allowed - s->received;
    size_t n = rnd(m, SSH_DATA_MAX + 1);
    n = n < left ? n : (size_t)left;
    for (size_t k = 0; k < n; k++) {
        data[k] = byte_at(s->received + k);
    }
    ssh_kit_put(&m->in, "bux", 94, i, (struct ssh_str){data, n});
    tell(m);
}

static void we_write(struct model *m, struct side *s)
{
    static _Thread_local uint8_t data[MOST];
    size_t n = 1 + rnd(m, MOST), cut = rnd(m, (uint32_t)n);
    for (size_t k = 0; k < n; k++) {
        data[k] = byte_at(s->written + k);
    }
    const struct iovec iov[] = {{data, cut}, {data + cut, n - cut}};
    ssize_t done = ssh_channel_writev(s->ch, iov, 2);
    if (s->eof_out) {
        assert_int_equal(done, -EPIPE);
        return;
    }
    assert_true(done > 0 || done == NK_EAGAIN);
    s->written += done > 0 ? (uint64_t)done : 0;
    s->wants = s->wants || done < (ssize_t)n;
    listen(m);
    assert_int_equal(s->sent, s->written);
}

static void finish(struct model *m, unsigned i)
{
    struct side *s = &m->side[i];
    if (rnd(m, 2)) {
        ssh_channel_close(s->ch);
        s->ch = NULL;
        listen(m);
        assert_true(s->closed_out);
    }
    ssh_kit_put(&m->in, "bu", 97, i);
    tell(m);
    assert_true(s->closed_out);
    assert_null(s->ch);
    start(m, i);
}

static void step(struct model *m)
{
    unsigned i = rnd(m, CHANNELS);
    struct side *s = &m->side[i];
    ssh_channels_now(m->c, m->now += rnd(m, 4));
    m->room = rnd(m, 8) ? rnd(m, 4 * MOST) : 0;
    switch (rnd(m, 64)) {
    case 0:
        finish(m, i);
        break;
    case 1:
        if (!s->eof_in) {
            s->eof_in = true;
            ssh_kit_put(&m->in, "bu", 96, i);
            tell(m);
        }
        break;
    case 2:
        assert_int_equal(ssh_channel_eof(s->ch), 0);
        listen(m);
        break;
    case 3 ... 12: {
        uint32_t more = rnd(m, MOST);
        s->granted += more;
        ssh_kit_put(&m->in, "buu", 93, i, more);
        tell(m);
        break;
    }
    case 13 ... 25:
        we_write(m, s);
        break;
    case 26 ... 34:
        assert_int_equal(ssh_channels_writable(m->c, &m->diag), 0);
        listen(m);
        break;
    case 35 ... 45: {
        uint64_t held = s->received - s->consumed;
        size_t n = rnd(m, 2) ? (size_t)held : rnd(m, (uint32_t)held + 1);
        s->consumed += n;
        assert_int_equal(ssh_channel_consumed(s->ch, n), 0);
        listen(m);
        break;
    }
    default:
        if (!s->eof_in) {
            server_sends(m, i);
        }
    }
}

static void random_traffic(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= SEEDS; seed++) {
        struct model m = {.seed = seed, .now = 1};
        const struct ssh_channels_conf conf = {.owner = &m, .room = room};
        ssh_sink_init(&m.sink);
        nk_buf_init(&m.in, BYTES);
        nk_buf_init(&m.out, BYTES);
        assert_int_equal(ssh_channels_new(&conf, &m.sink.sink, &m.c), 0);
        for (unsigned i = 0; i < CHANNELS; i++) {
            start(&m, i);
        }
        for (int i = 0; i < STEPS; i++) {
            step(&m);
        }
        assert_int_equal(ssh_channels_count(m.c), CHANNELS);
        ssh_channels_free(m.c);
        ssh_sink_clear(&m.sink);
        nk_buf_clear(&m.in);
        nk_buf_clear(&m.out);
    }
}

int nk_test_ssh_proto_channels_model(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_traffic)};
    return cmocka_run_group_tests_name("ssh/proto_channels_model", tests, NULL, NULL);
}
