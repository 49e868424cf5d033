/* SPDX-License-Identifier: MIT */
/* Channels against a scripted server: what is sent for what, and what a server may not do. */
#include "ssh/proto_channels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ssh/sink_testkit.h"
#include "torture.h"

int nk_test_ssh_proto_channels(void);

enum { BYTES = SSH_WINDOW_MAX };

/* What the callbacks have seen. */
struct seen {
    unsigned opened, failed, closed, eof, writable, requests, replies;
    uint32_t reason;
    int code, last_reply;
    struct nk_buf data, err;
    struct ssh_channel *ch;
    bool answer, close_on_data, close_on_closed;
};

struct fixture {
    struct ssh_kit_sink sink;
    struct ssh_channels *c;
    struct nk_buf in, out;
    struct nk_diag diag;
    struct seen seen[3];
    size_t room;
    struct ssh_channel *incoming;
    unsigned globals;
};

static void on_open(void *owner, struct ssh_channel *ch, struct ssh_str data)
{
    struct seen *s = owner;
    s->opened++;
    assert_ptr_equal(s->ch, ch);
    assert_int_equal(data.n, 0);
}

static void on_failed(void *owner, struct ssh_channel *ch, uint32_t reason,
                      const struct nk_diag *why)
{
    struct seen *s = owner;
    s->failed++;
    s->reason = reason;
    s->code = why ? why->code : 0;
    ssh_channel_close(ch); /* harmless */
}

static void on_data(void *owner, struct ssh_channel *ch, uint32_t kind, const uint8_t *p, size_t n)
{
    struct seen *s = owner;
    assert_true(n > 0);
    assert_int_equal(nk_buf_put(kind == SSH_EXTENDED_STDERR ? &s->err : &s->data, p, n), 0);
    if (s->close_on_data) {
        ssh_channel_close(ch);
    }
}

static void on_eof(void *owner, struct ssh_channel *ch)
{
    struct seen *s = owner;
    s->eof++;
    assert_ptr_equal(s->ch, ch);
}

static void on_writable(void *owner, struct ssh_channel *ch)
{
    struct seen *s = owner;
    s->writable++;
    assert_ptr_equal(s->ch, ch);
}

static bool on_request(void *owner, struct ssh_channel *ch, struct ssh_str type,
                       struct ssh_str data)
{
    struct seen *s = owner;
    s->requests++;
    assert_ptr_equal(s->ch, ch);
    return ssh_str_is(type, "exit-status") && data.n == 4;
}

static void on_closed(void *owner, struct ssh_channel *ch, const struct nk_diag *why)
{
    struct seen *s = owner;
    s->closed++;
    s->code = why ? why->code : 0;
    if (s->close_on_closed) {
        ssh_channel_close(ch);
    }
}

static const struct ssh_channel_ops ops = {on_open,     on_failed,  on_data,  on_eof,
                                           on_writable, on_request, on_closed};

static void on_reply(void *owner, int ok, struct ssh_str data)
{
    struct seen *s = owner;
    s->replies++;
    s->last_reply = ok;
    (void)data;
}

static size_t room(void *owner)
{
    const struct fixture *f = owner;
    return f->room;
}

static void on_incoming(void *owner, struct ssh_channel *ch, struct ssh_str type,
                        struct ssh_str data)
{
    struct fixture *f = owner;
    assert_true(ssh_str_is(type, "forwarded-tcpip"));
    assert_int_equal(data.n, 3);
    f->incoming = ch;
}

static bool on_global(void *owner, struct ssh_str type, struct ssh_str data)
{
    struct fixture *f = owner;
    (void)data;
    f->globals++;
    return ssh_str_is(type, "hostkeys-00@openssh.com");
}

static void open_it(struct fixture *f)
{
    *f = (struct fixture){.room = SIZE_MAX};
    const struct ssh_channels_conf conf = {.owner = f,
                                           .room = room,
                                           .on_incoming = on_incoming,
                                           .on_global = on_global,
                                           .keepalive_ms = 15000};
    ssh_sink_init(&f->sink);
    nk_buf_init(&f->in, BYTES);
    nk_buf_init(&f->out, BYTES);
    for (int i = 0; i < 3; i++) {
        nk_buf_init(&f->seen[i].data, BYTES);
        nk_buf_init(&f->seen[i].err, BYTES);
    }
    assert_int_equal(ssh_channels_new(&conf, &f->sink.sink, &f->c), 0);
    ssh_channels_now(f->c, 1000);
}

static void close_it(struct fixture *f)
{
    ssh_channels_free(f->c);
    ssh_sink_clear(&f->sink);
    nk_buf_clear(&f->in);
    nk_buf_clear(&f->out);
    for (int i = 0; i < 3; i++) {
        nk_buf_clear(&f->seen[i].data);
        nk_buf_clear(&f->seen[i].err);
    }
}

#define SENT(f, ...)                                                                               \
    do {                                                                                           \
        struct nk_buf want_;                                                                       \
        nk_buf_init(&want_, BYTES);                                                                \
        ssh_kit_put(&want_, __VA_ARGS__);                                                          \
        struct ssh_str got_ = ssh_kit_take(&(f)->sink, &(f)->out);                                 \
        assert_int_equal(got_.n, nk_buf_len(&want_));                                              \
        assert_memory_equal(got_.p, nk_buf_ptr(&want_), got_.n);                                   \
        nk_buf_clear(&want_);                                                                      \
    } while (0)
#define NOTHING_SENT(f) assert_int_equal(nk_buf_len(&(f)->sink.out), 0)

#define GETS(f, ...)                                                                               \
    (nk_buf_reset(&(f)->in), ssh_kit_put(&(f)->in, __VA_ARGS__),                                   \
     ssh_channels_receive((f)->c, nk_buf_ptr(&(f)->in), nk_buf_len(&(f)->in), &(f)->diag))

/* Channel i, which the server knows as 100 + i. */
static struct ssh_channel *opened(struct fixture *f, unsigned i, uint32_t window, uint32_t packet)
{
    struct seen *s = &f->seen[i];
    assert_int_equal(
        ssh_channel_open(f->c, "session", (struct ssh_str){0}, &ops, s, &s->ch, &f->diag), 0);
    SENT(f, "bsuuu", 90, "session", i, (unsigned)SSH_WINDOW_START, (unsigned)SSH_DATA_MAX);
    assert_int_equal(GETS(f, "buuuu", 91, i, 100 + i, window, packet), 0);
    assert_int_equal(s->opened, 1);
    return s->ch;
}

static ssize_t write_text(struct ssh_channel *ch, const char *text)
{
    const struct iovec iov = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
    return ssh_channel_writev(ch, &iov, 1);
}

static void life(void **state)
{
    (void)state;
    struct fixture f;
    open_it(&f);
    struct ssh_channel *ch = opened(&f, 0, 1000, 500);
    assert_int_equal(
        ssh_channel_request(ch, "exec", ssh_kit_str("\0\0\0\3cat"), on_reply, &f.seen[0]), 0);
    nk_buf_consume(&f.sink.out, nk_buf_len(&f.sink.out));
    assert_int_equal(GETS(&f, "bu", 99, 0u), 0);
    assert_int_equal(f.seen[0].last_reply, 1);
    assert_int_equal(write_text(ch, "hello"), 5);
    SENT(&f, "bus", 94, 100u, "hello");
    assert_int_equal(GETS(&f, "bus", 94, 0u, "hel"), 0);
    assert_int_equal(GETS(&f, "buus", 95, 0u, 1u, "err"), 0);
    assert_int_equal(ssh_channel_eof(ch), 0);
    assert_int_equal(ssh_channel_eof(ch), 0);
    SENT(&f, "bu", 96, 100u);
    assert_int_equal(write_text(ch, "late"), -EPIPE);
    assert_int_equal(GETS(&f, "bus", 94, 0u, "lo"), 0); /* half-closed */
    assert_int_equal(GETS(&f, "bustu", 98, 0u, "exit-status", 0, 7u), 0);
    assert_int_equal(GETS(&f, "bust", 98, 0u, "eow@openssh.com", 1), 0);
    SENT(&f, "bu", 100, 100u);
    assert_int_equal(GETS(&f, "bu", 96, 0u), 0);
    assert_int_equal(f.seen[0].eof, 1);
    assert_int_equal(GETS(&f, "bu", 97, 0u), 0);
    SENT(&f, "bu", 97, 100u);
    NOTHING_SENT(&f);
    assert_int_equal(f.seen[0].closed, 1);
    assert_string_equal(nk_buf_str(&f.seen[0].data), "hello");
    assert_string_equal(nk_buf_str(&f.seen[0].err), "err");
    assert_int_equal(ssh_channels_count(f.c), 0);
    assert_int_equal(GETS(&f, "bu", 97, 0u), NK_EPROTO); /* it is not there any more */
    close_it(&f);
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        unsigned reason;
        int code;
    } rows[] = {
        {1, NK_EAUTH}, {2, -ECONNREFUSED}, {3, NK_EUNSUPPORTED}, {4, NK_ELIMIT}, {77, NK_ELIMIT}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture f;
        open_it(&f);
        assert_int_equal(ssh_channel_open(f.c, "x", ssh_kit_str("data"), &ops, &f.seen[0],
                                          &f.seen[0].ch, &f.diag),
                         0);
        if (i % 2) {
            assert_int_equal(GETS(&f, "buuss", 92, 0u, rows[i].reason, "no\x1b", ""), 0);
        } else {
            assert_int_equal(GETS(&f, "buu", 92, 0u, rows[i].reason), 0);
        }
        assert_int_equal(f.seen[0].failed, 1);
        assert_int_equal(f.seen[0].reason, rows[i].reason);
        assert_int_equal(f.seen[0].code, rows[i].code);
        assert_int_equal(ssh_channels_count(f.c), 0);
        close_it(&f);
    }
}

static void closed_by_us(void **state)
{
    (void)state;
    struct fixture f;
    open_it(&f);
    struct ssh_channel *ch = opened(&f, 0, 1000, 500);
    assert_int_equal(ssh_channel_request(ch, "x", (struct ssh_str){0}, on_reply, &f.seen[0]), 0);
    nk_buf_consume(&f.sink.out, nk_buf_len(&f.sink.out));
    ssh_channel_close(ch);
    ssh_channel_close(ch);
    SENT(&f, "bu", 97, 100u);
    assert_int_equal(ssh_channels_count(f.c), 0);
    /* what was on its way */
    assert_int_equal(GETS(&f, "bus", 94, 0u, "abc"), 0);
    assert_int_equal(GETS(&f, "bu", 100, 0u), 0);
    assert_int_equal(GETS(&f, "bust", 98, 0u, "exit-status", 1), 0);
    assert_int_equal(GETS(&f, "buu", 93, 0u, 5u), 0);
    assert_int_equal(GETS(&f, "bu", 96, 0u), 0);
    NOTHING_SENT(&f);
    /* its number is not used before the server agrees */
    assert_int_equal(
        ssh_channel_open(f.c, "x", (struct ssh_str){0}, &ops, &f.seen[1], &f.seen[1].ch, &f.diag),
        0);
    SENT(&f, "bsuuu", 90, "x", 1u, (unsigned)SSH_WINDOW_START, (unsigned)SSH_DATA_MAX);
    assert_int_equal(GETS(&f, "bu", 97, 0u), 0);
    NOTHING_SENT(&f);
    assert_int_equal(f.seen[0].closed + f.seen[0].replies + f.seen[0].eof, 0);
    /* closed before the server has said yes */
    ssh_channel_close(f.seen[1].ch);
    NOTHING_SENT(&f);
    assert_int_equal(GETS(&f, "buuuu", 91, 1u, 101u, 5u, 5u), 0);
    SENT(&f, "bu", 97, 101u);
    assert_int_equal(f.seen[1].opened, 0);
    assert_int_equal(GETS(&f, "bu", 97, 1u), 0);
    NOTHING_SENT(&f);
    ssh_channel_close(NULL);
    close_it(&f);
}

static void closed_in_callbacks(void **state)
{
    (void)state;
    struct fixture f;
    open_it(&f);
    (void)opened(&f, 0, 1000, 500);
    f.seen[0].close_on_data = true;
    assert_int_equal(GETS(&f, "bus", 94, 0u, "abc"), 0);
    SENT(&f, "bu", 97, 100u);
    assert_int_equal(GETS(&f, "bu", 97, 0u), 0);
    assert_int_equal(f.seen[0].closed, 0);
    f.seen[0] = (struct seen){.data = f.seen[0].data, .err = f.seen[0].err};
    (void)opened(&f, 0, 1000, 500);
    f.seen[0].close_on_closed = true;
    assert_int_equal(GETS(&f, "bu", 97, 0u), 0);
    assert_int_equal(f.seen[0].closed, 1);
    assert_int_equal(ssh_channels_count(f.c), 0);
    close_it(&f);
}

/* The server's window and packet size are never exceeded. */
static void sending(void **state)
{
    (void)state;
    struct fixture f;
    open_it(&f);
    struct ssh_channel *ch = opened(&f, 0, 7, 3);
    assert_int_equal(write_text(ch, "abcdefghij"), 7);
    SENT(&f, "bus", 94, 100u, "abc");
    SENT(&f, "bus", 94, 100u, "def");
    SENT(&f, "bus", 94, 100u, "g");
    NOTHING_SENT(&f);
    assert_int_equal(write_text(ch, "x"), NK_EAGAIN);
    assert_int_equal(GETS(&f, "buu", 93, 0u, 0u), 0);
    assert_int_equal(f.seen[0].writable, 0);
    assert_int_equal(GETS(&f, "buu", 93, 0u, 2u), 0);
    assert_int_equal(f.seen[0].writable, 1);
    char h[] = "h", ij[] = "ij";
    const struct iovec iov[] = {{h, 1}, {h, 0}, {ij, 2}};
    assert_int_equal(ssh_channel_writev(ch, iov, 3), 2);
    SENT(&f, "bus", 94, 100u, "hi");
    assert_int_equal(GETS(&f, "buu", 93, 0u, UINT32_MAX), 0);
    assert_int_equal(GETS(&f, "buu", 93, 0u, 1u), NK_EPROTO);
    close_it(&f);
}

struct bulk {
    struct ssh_channel *ch;
    char order[32];
    size_t *n;
    char *log;
    char name;
};

static void bulk_writable(void *owner, struct ssh_channel *ch)
{
    static const char block[1024 * 1024];
    struct bulk *b = owner;
    const struct iovec iov = {.iov_base = (void *)(uintptr_t)block, .iov_len = sizeof(block)};
    b->log[(*b->n)++] = b->name;
    while (ssh_channel_writev(ch, &iov, 1) > 0) {
    }
}

static void key_writable(void *owner, struct ssh_channel *ch)
{
    struct bulk *b = owner;
    b->log[(*b->n)++] = b->name;
    assert_int_equal(write_text(ch, "k"), 1);
}

static size_t budget_room(void *owner)
{
    struct fixture *f = owner;
    size_t used = nk_buf_len(&f->sink.out);
    return used < f->room ? f->room - used : 0;
}

/* Two bulk writers take turns; a keystroke goes first. */
static void turns(void **state)
{
    (void)state;
    struct fixture f;
    open_it(&f);
    ssh_channels_free(f.c);
    const struct ssh_channels_conf conf = {.owner = &f, .room = budget_room};
    assert_int_equal(ssh_channels_new(&conf, &f.sink.sink, &f.c), 0);
    static const struct ssh_channel_ops bulk_ops = {.on_writable = bulk_writable},
                                        key_ops = {.on_writable = key_writable};
    size_t n = 0;
    char log[64] = "";
    struct bulk b[3];
    for (unsigned i = 0; i < 3; i++) {
        b[i] = (struct bulk){.n = &n, .log = log, .name = (char)('A' + i)};
        assert_int_equal(ssh_channel_open(f.c, "x", (struct ssh_str){0},
                                          i == 2 ? &key_ops : &bulk_ops, &b[i], &b[i].ch, &f.diag),
                         0);
        assert_int_equal(GETS(&f, "buuuu", 91, i, i, UINT32_MAX, 32768u), 0);
    }
    nk_buf_consume(&f.sink.out, nk_buf_len(&f.sink.out));
    f.room = 0;
    bulk_writable(&b[0], b[0].ch);
    bulk_writable(&b[1], b[1].ch);
    NOTHING_SENT(&f);
    assert_true(ssh_channels_waiting(f.c));
    assert_int_equal(write_text(b[2].ch, "k"), NK_EAGAIN);
    f.room = 4 * (SSH_DATA_MAX + 100);
    assert_int_equal(ssh_channels_writable(f.c, &f.diag), 0);
    log[n] = '\0';
    assert_memory_equal(log, "ABCBABA", 7); /* B asked last of the two, the keystroke after it */
    assert_true(nk_buf_len(&f.sink.out) <= f.room + 64);
    close_it(&f);
}

/* One way of reading everything that came, and how much window that gives. */
static uint64_t told(struct fixture *f)
{
    uint64_t sum = 0;
    for (;;) {
        struct ssh_str s = ssh_kit_take(&f->sink, &f->out);
        struct nk_cur c;
        if (s.n == 0) {
            return sum;
        }
        nk_cur_init(&c, s.p, s.n);
        assert_int_equal(nk_cur_u8(&c), 93);
        (void)nk_cur_be32(&c);
        sum += nk_cur_be32(&c);
        assert_true(nk_cur_done(&c));
    }
}

static void put_data(struct fixture *f, size_t n)
{
    static const uint8_t zeros[SSH_DATA_MAX];
    while (n > 0) {
        size_t some = n < SSH_DATA_MAX ? n : SSH_DATA_MAX;
        assert_int_equal(GETS(f, "bux", 94, 0u, (struct ssh_str){zeros, some}), 0);
        n -= some;
    }
}

static void receiving(void **state)
{
    (void)state;
    struct fixture f;
    open_it(&f);
    struct ssh_channel *ch = opened(&f, 0, 0, 1);
    put_data(&f, SSH_WINDOW_START);
    NOTHING_SENT(&f); /* nothing was consumed */
    assert_int_equal(GETS(&f, "bus", 94, 0u, "1"), NK_EPROTO);
    assert_int_equal(ssh_channel_consumed(ch, 1), 0);
    NOTHING_SENT(&f); /* not worth a packet */
    assert_int_equal(ssh_channel_consumed(ch, SSH_WINDOW_START - 1), 0);
    assert_int_equal(told(&f), SSH_WINDOW_START);
    assert_int_equal(ssh_channel_consumed(ch, 1), 0); /* more than there was */
    NOTHING_SENT(&f);
    close_it(&f);
}

static void wrong(struct fixture *f, const uint8_t *p, size_t n)
{
    f->diag = (struct nk_diag){0};
    assert_int_equal(ssh_channels_receive(f->c, p, n, &f->diag), NK_EPROTO);
    assert_int_equal(f->diag.code, NK_EPROTO);
}

#define WRONG(...)                                                                                 \
    do {                                                                                           \
        struct fixture f_;                                                                         \
        open_it(&f_);                                                                              \
        (void)opened(&f_, 0, 10, 10);                                                              \
        nk_buf_reset(&f_.in);                                                                      \
        ssh_kit_put(&f_.in, __VA_ARGS__);                                                          \
        wrong(&f_, nk_buf_ptr(&f_.in), nk_buf_len(&f_.in));                                        \
        close_it(&f_);                                                                             \
    } while (0)

static void hostile(void **state)
{
    (void)state;
    static const uint8_t big[SSH_DATA_MAX + 1];
    WRONG("buuuu", 91, 0u, 0u, 1u, 1u);   /* open already */
    WRONG("buuss", 92, 0u, 1u, "", "");   /* open already */
    WRONG("buuuu", 91, 1u, 0u, 1u, 1u);   /* not there */
    WRONG("buu", 93, UINT32_MAX, 1u);     /* not there */
    WRONG("buu", 93, 0u, UINT32_MAX - 9); /* beyond 2^32 - 1 */
    WRONG("bu", 93, 0u);
    WRONG("bux", 94, 0u, (struct ssh_str){big, sizeof(big)});
    WRONG("buu", 94, 0u, 5u); /* not as long as it says */
    WRONG("bus", 94, 7u, "x");
    WRONG("busb", 94, 0u, "x", 0);
    WRONG("buus", 95, 0u, 0u, "x");
    WRONG("bus", 95, 0u, "x");
    WRONG("bub", 96, 0u, 1);
    WRONG("bub", 97, 0u, 1);
    WRONG("bus", 98, 0u, "x");
    WRONG("bu", 99, 0u); /* nothing was asked */
    WRONG("bu", 100, 0u);
    WRONG("b", 81);
    WRONG("b", 82);
    WRONG("bs", 80, "x");
    WRONG("bsuuu", 90, "x", 0u, 0u, 0u); /* packets of nothing */
    WRONG("bsuu", 90, "x", 0u, 0u);
    WRONG("b", 101);
    WRONG("b", 83);
    WRONG("b", 0);
    struct fixture f;
    open_it(&f);
    (void)opened(&f, 0, 10, 10);
    assert_int_equal(GETS(&f, "bu", 96, 0u), 0);
    assert_int_equal(GETS(&f, "bu", 96, 0u), NK_EPROTO);
    close_it(&f);
    open_it(&f);
    (void)opened(&f, 0, 10, 10);
    assert_int_equal(GETS(&f, "bu", 96, 0u), 0);
    assert_int_equal(GETS(&f, "bus", 94, 0u, "x"), NK_EPROTO);
    close_it(&f);
    open_it(&f); /* packets of nothing; before the answer */
    assert_int_equal(
        ssh_channel_open(f.c, "x", (struct ssh_str){0}, &ops, &f.seen[0], &f.seen[0].ch, &f.diag),
        0);
    assert_int_equal(GETS(&f, "bus", 94, 0u, "x"), NK_EPROTO);
    assert_int_equal(GETS(&f, "buuuu", 91, 0u, 0u, 1u, 0u), NK_EPROTO);
    close_it(&f);
}

static void incoming(void **state)
{
    (void)state;
    struct fixture f;
    open_it(&f);
    assert_int_equal(GETS(&f, "bsuuur", 90, "forwarded-tcpip", 9u, 5u, 5u, ssh_kit_str("abc")), 0);
    assert_non_null(f.incoming);
    NOTHING_SENT(&f);
    assert_int_equal(GETS(&f, "bus", 94, 0u, "x"), NK_EPROTO); /* it is too early */
    f.seen[0].ch = f.incoming;
    assert_int_equal(ssh_channel_accept(f.incoming, &ops, &f.seen[0]), 0);
    SENT(&f, "buuuu", 91, 9u, 0u, (unsigned)SSH_WINDOW_START, (unsigned)SSH_DATA_MAX);
    assert_int_equal(write_text(f.incoming, "hi"), 2);
    SENT(&f, "bus", 94, 9u, "hi");
    assert_int_equal(GETS(&f, "bsuuur", 90, "forwarded-tcpip", 8u, 5u, 5u, ssh_kit_str("abc")), 0);
    assert_int_equal(ssh_channel_refuse(f.incoming, SSH_REFUSED_PROHIBITED, "no"), 0);
    SENT(&f, "buuss", 92, 8u, 1u, "no", "");
    assert_int_equal(ssh_channels_count(f.c), 1);
    /* the end comes before the answer */
    assert_int_equal(GETS(&f, "bsuuur", 90, "forwarded-tcpip", 8u, 5u, 5u, ssh_kit_str("abc")), 0);
    ssh_channel_own(f.incoming, &ops, &f.seen[1]);
    const struct nk_diag why = {.code = NK_ETRUNC};
    ssh_channels_end(f.c, &why);
    assert_int_equal(f.seen[1].closed, 1);
    close_it(&f);
}

static void requests(void **state)
{
    (void)state;
    struct fixture f;
    open_it(&f);
    assert_int_equal(GETS(&f, "bst", 80, "hostkeys-00@openssh.com", 0), 0);
    NOTHING_SENT(&f);
    assert_int_equal(GETS(&f, "bst", 80, "hostkeys-00@openssh.com", 1), 0);
    SENT(&f, "b", 81);
    assert_int_equal(GETS(&f, "bst", 80, "keepalive@openssh.com", 1), 0);
    SENT(&f, "b", 82);
    assert_int_equal(f.globals, 3);
    for (int i = 0; i < 3; i++) { /* answers come in order */
        assert_int_equal(
            ssh_global_request(f.c, "tcpip-forward", ssh_kit_str("d"), on_reply, &f.seen[i]), 0);
        SENT(&f, "bstr", 80, "tcpip-forward", 1, ssh_kit_str("d"));
    }
    ssh_global_forget(f.c, &f.seen[1]);
    assert_int_equal(GETS(&f, "bu", 81, 4711u), 0);
    assert_int_equal(GETS(&f, "b", 81), 0);
    assert_int_equal(GETS(&f, "b", 82), 0);
    assert_int_equal(f.seen[0].last_reply, 1);
    assert_int_equal(f.seen[1].replies, 0);
    assert_int_equal(f.seen[2].last_reply, 0);
    assert_int_equal(f.seen[2].replies, 1);
    int rc = 0, n = 0;
    for (; rc == 0 && n < 2 * SSH_REQUESTS_MAX; n++) {
        rc = ssh_global_request(f.c, "x", (struct ssh_str){0}, on_reply, &f.seen[0]);
    }
    assert_int_equal(rc, NK_ELIMIT);
    assert_int_equal(n, SSH_REQUESTS_MAX + 1);
    close_it(&f);
}

static void keepalive(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t next;
    open_it(&f);
    assert_int_equal(ssh_channels_tick(f.c, &next, &f.diag), 0);
    assert_int_equal(next, 15000);
    NOTHING_SENT(&f);
    ssh_channels_now(f.c, 1000 + 15000);
    assert_int_equal(ssh_channels_tick(f.c, &next, &f.diag), 0);
    assert_int_equal(next, 15000);
    SENT(&f, "bst", 80, "keepalive@openssh.com", 1);
    assert_int_equal(GETS(&f, "b", 82), 0);
    for (uint64_t i = 2; i < 5; i++) {
        ssh_channels_now(f.c, 1000 + i * 15000);
        assert_int_equal(ssh_channels_tick(f.c, &next, &f.diag), 0);
    }
    ssh_channels_heard(f.c); /* anything will do */
    for (uint64_t i = 5; i < 8; i++) {
        ssh_channels_now(f.c, 1000 + i * 15000);
        assert_int_equal(ssh_channels_tick(f.c, &next, &f.diag), 0);
    }
    ssh_channels_now(f.c, 1000 + (uint64_t)8 * 15000);
    assert_int_equal(ssh_channels_tick(f.c, &next, &f.diag), -ETIMEDOUT);
    close_it(&f);
}

static void the_end(void **state)
{
    (void)state;
    struct fixture f;
    open_it(&f);
    struct ssh_channel *ch = opened(&f, 0, 10, 10);
    assert_int_equal(ssh_channel_request(ch, "x", (struct ssh_str){0}, on_reply, &f.seen[0]), 0);
    assert_int_equal(
        ssh_channel_open(f.c, "x", (struct ssh_str){0}, &ops, &f.seen[1], &f.seen[1].ch, &f.diag),
        0);
    assert_int_equal(ssh_global_request(f.c, "x", (struct ssh_str){0}, on_reply, &f.seen[2]), 0);
    const struct nk_diag why = {.code = -ECONNRESET};
    ssh_channels_end(f.c, &why);
    assert_int_equal(f.seen[0].closed, 1);
    assert_int_equal(f.seen[0].code, -ECONNRESET);
    assert_int_equal(f.seen[0].last_reply, NK_ECLOSED);
    assert_int_equal(f.seen[1].failed, 1);
    assert_int_equal(f.seen[2].last_reply, NK_ECLOSED);
    assert_int_equal(
        ssh_channel_open(f.c, "x", (struct ssh_str){0}, &ops, &f.seen[1], &f.seen[1].ch, &f.diag),
        NK_ECLOSED);
    assert_int_equal(ssh_channels_count(f.c), 0);
    close_it(&f);
    open_it(&f); /* no sink any more */
    ch = opened(&f, 0, 10, 10);
    f.sink.fail = NK_ECLOSED;
    assert_int_equal(write_text(ch, "x"), NK_ECLOSED);
    assert_int_equal(ssh_channel_eof(ch), NK_ECLOSED);
    assert_int_equal(GETS(&f, "bu", 96, 0u), NK_ECLOSED);
    close_it(&f);
}

static int drop_begin(struct ssh_sink *s, size_t max, uint8_t **payload)
{
    static _Thread_local uint8_t room_for_one[SSH_DATA_MAX + 1024];
    (void)s;
    *payload = room_for_one;
    return max <= sizeof(room_for_one) ? 0 : NK_ETOOBIG;
}

static void drop_end(struct ssh_sink *s, uint8_t *payload, size_t n)
{
    (void)s;
    (void)payload;
    (void)n;
}

/* Channels, requests and data: nothing but opening and asking allocates. */
static int session(void *arg)
{
    static const uint8_t confirm[] = "\133\0\0\0\0\0\0\0\0\0\0\1\0\0\0\1\0",
                         data[] = "\136\0\0\0\0\0\0\0\1x", good[] = "\143\0\0\0\0",
                         ask[] = "\120\0\0\0\1x\1";
    static const struct ssh_channel_ops none = {0};
    static const struct ssh_sink_ops sink_ops = {drop_begin, drop_end};
    struct ssh_sink sink = {.ops = &sink_ops};
    const struct ssh_channels_conf conf = {0};
    struct nk_diag diag = {0};
    struct ssh_channels *c;
    struct ssh_channel *ch;
    struct seen *s = arg;
    int rc = ssh_channels_new(&conf, &sink, &c);
    if (rc < 0) {
        return rc;
    }
    rc = ssh_channel_open(c, "x", (struct ssh_str){0}, &none, NULL, &ch, &diag);
    rc = rc < 0 ? rc : ssh_channels_receive(c, confirm, sizeof(confirm) - 1, &diag);
    rc = rc < 0 ? rc : ssh_channel_request(ch, "x", (struct ssh_str){0}, on_reply, s);
    rc = rc < 0 ? rc : ssh_channels_receive(c, good, sizeof(good) - 1, &diag);
    rc = rc < 0 ? rc : ssh_channels_receive(c, ask, sizeof(ask) - 1, &diag);
    for (int i = 0; i < 100 && rc == 0; i++) {
        rc = ssh_channels_receive(c, data, sizeof(data) - 1, &diag);
        rc = rc < 0 ? rc : write_text(ch, "x") == 1 ? 0 : 1;
    }
    ssh_channels_free(c);
    return rc;
}

static void allocations(void **state)
{
    (void)state;
    struct seen s = {0};
    assert_int_equal(nk_torture(session, &s), 4); /* the set, its numbers, a channel, a reply */
}

int nk_test_ssh_proto_channels(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(life),         cmocka_unit_test(refused),
        cmocka_unit_test(closed_by_us), cmocka_unit_test(closed_in_callbacks),
        cmocka_unit_test(sending),      cmocka_unit_test(turns),
        cmocka_unit_test(receiving),    cmocka_unit_test(hostile),
        cmocka_unit_test(incoming),     cmocka_unit_test(requests),
        cmocka_unit_test(keepalive),    cmocka_unit_test(the_end),
        cmocka_unit_test(allocations),
    };
    return cmocka_run_group_tests_name("ssh/proto_channels", tests, NULL, NULL);
}
