/* SPDX-License-Identifier: MIT */
/* A channel as a stream: its events, its bytes, its ends. */
#include "ssh/channel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/app.h"
#include "core/stream.h"
#include "ssh/sink_testkit.h"

int nk_test_ssh_channel(void);

enum { BYTES = 4 * 1024 * 1024 };

struct fixture {
    struct nk_app *app;
    struct ssh_kit_sink sink;
    struct ssh_channels *c;
    struct nk_stream *s;
    struct nk_buf in, out;
    struct nk_diag diag;
    unsigned events;
};

static void on_event(void *owner, struct nk_stream *s, unsigned events)
{
    struct fixture *f = owner;
    assert_ptr_equal(f->s, s);
    f->events |= events;
}

static void turn(struct fixture *f)
{
    for (int i = 0; i < 3; i++) {
        (void)nk_app_turn(f->app, 0);
    }
}

static void open_it(struct fixture *f)
{
    const struct nk_app_conf conf = {0};
    const struct ssh_channels_conf channels = {0};
    *f = (struct fixture){0};
    nk_buf_init(&f->in, BYTES);
    nk_buf_init(&f->out, BYTES);
    ssh_sink_init(&f->sink);
    assert_int_equal(nk_app_new(&f->app, &conf, &f->diag), 0);
    assert_int_equal(ssh_channels_new(&channels, &f->sink.sink, &f->c), 0);
}

static void close_it(struct fixture *f)
{
    nk_stream_close(f->s);
    turn(f);
    ssh_channels_free(f->c);
    nk_app_free(f->app);
    ssh_sink_clear(&f->sink);
    nk_buf_clear(&f->in);
    nk_buf_clear(&f->out);
}

#define SENT(f, ...)                                                                               \
    do {                                                                                           \
        nk_buf_reset(&(f)->in);                                                                    \
        ssh_kit_put(&(f)->in, __VA_ARGS__);                                                        \
        struct ssh_str got_ = ssh_kit_take(&(f)->sink, &(f)->out);                                 \
        assert_int_equal(got_.n, nk_buf_len(&(f)->in));                                            \
        assert_memory_equal(got_.p, nk_buf_ptr(&(f)->in), got_.n);                                 \
    } while (0)
#define GETS(f, ...)                                                                               \
    do {                                                                                           \
        ssh_channels_keep((f)->c); /* f->in is written over */                                     \
        nk_buf_reset(&(f)->in);                                                                    \
        ssh_kit_put(&(f)->in, __VA_ARGS__);                                                        \
        assert_int_equal(                                                                          \
            ssh_channels_receive((f)->c, nk_buf_ptr(&(f)->in), nk_buf_len(&(f)->in), &(f)->diag),  \
            0);                                                                                    \
    } while (0)

static void dial(struct fixture *f)
{
    open_it(f);
    assert_int_equal(ssh_channel_dial_tcp(f->app, f->c, "db", 5432, &f->s, &f->diag), 0);
    nk_stream_own(f->s, on_event, f);
    nk_stream_interest(f->s, NK_READABLE | NK_WRITABLE);
    SENT(f, "bsuuususu", 90, "direct-tcpip", 0u, (unsigned)SSH_WINDOW_START, (unsigned)SSH_DATA_MAX,
         "db", 5432u, "127.0.0.1", 0u);
}

static void confirmed(struct fixture *f, unsigned window)
{
    dial(f);
    turn(f);
    assert_int_equal(f->events, 0);
    GETS(f, "buuuu", 91, 0u, 9u, window, 1000u);
    turn(f);
    assert_int_equal(f->events, NK_CONNECTED);
    f->events = 0;
}

static void both_ways(void **state)
{
    (void)state;
    struct fixture f;
    char text[64];
    size_t n = sizeof(text);
    int no = 1;
    confirmed(&f, 5);
    assert_int_equal(nk_stream_read(f.s, text, sizeof(text)), NK_EAGAIN);
    GETS(&f, "bus", 94, 0u, "hello");
    GETS(&f, "buus", 95, 0u, 1u, "not shown");
    turn(&f);
    assert_int_equal(f.events, NK_READABLE);
    assert_int_equal(nk_stream_read(f.s, text, 2), 2);
    f.events = 0;
    turn(&f);
    assert_int_equal(f.events, NK_READABLE); /* it repeats */
    assert_int_equal(nk_stream_read(f.s, text + 2, sizeof(text) - 2), 3);
    assert_memory_equal(text, "hello", 5);
    f.events = 0;
    turn(&f);
    assert_int_equal(f.events, 0);
    assert_int_equal(nk_stream_write(f.s, "abcdefgh", 8), 5);
    SENT(&f, "bus", 94, 9u, "abcde");
    assert_int_equal(nk_stream_write(f.s, "fgh", 3), NK_EAGAIN);
    GETS(&f, "buu", 93, 0u, 10u);
    turn(&f);
    assert_int_equal(f.events, NK_WRITABLE);
    assert_int_equal(nk_stream_shutdown(f.s), 0);
    SENT(&f, "bu", 96, 9u);
    assert_int_equal(nk_stream_write(f.s, "fgh", 3), -EPIPE);
    GETS(&f, "bus", 94, 0u, "more"); /* half-closed */
    GETS(&f, "bu", 96, 0u);
    GETS(&f, "bu", 97, 0u);
    assert_int_equal(nk_stream_read(f.s, text, sizeof(text)), 4);
    assert_int_equal(nk_stream_read(f.s, text, sizeof(text)), 0);
    assert_int_equal(nk_stream_query(f.s, NK_Q_PEER, text, &n), 0);
    assert_string_equal(text, "db:5432");
    n = sizeof(no);
    assert_int_equal(nk_stream_query(f.s, NK_Q_ENCRYPTED, &no, &n), 0);
    assert_int_equal(no, 0);
    close_it(&f);
}

static void refused(void **state)
{
    (void)state;
    struct fixture f;
    struct nk_diag why = {0};
    dial(&f);
    GETS(&f, "buuss", 92, 0u, 2u, "nobody there", "");
    turn(&f);
    assert_int_equal(f.events, NK_CLOSED);
    assert_int_equal(nk_stream_error(f.s, &why), -ECONNREFUSED);
    assert_non_null(strstr(why.text, "nobody there"));
    close_it(&f);
}

static void connection_lost(void **state)
{
    (void)state;
    struct fixture f;
    char text[64];
    const struct nk_diag why = {.code = -ECONNRESET, .text = "gone"};
    confirmed(&f, 5);
    GETS(&f, "bus", 94, 0u, "last");
    ssh_channels_end(f.c, &why);
    assert_int_equal(nk_stream_read(f.s, text, sizeof(text)), 4); /* what came before */
    assert_int_equal(nk_stream_read(f.s, text, sizeof(text)), -ECONNRESET);
    assert_int_equal(nk_stream_write(f.s, "x", 1), -ECONNRESET);
    close_it(&f);
    dial(&f);
    ssh_channels_end(f.c, &why);
    turn(&f);
    assert_int_equal(f.events, NK_CLOSED);
    assert_int_equal(nk_stream_error(f.s, NULL), -ECONNRESET);
    close_it(&f);
}

static void window(void **state)
{
    (void)state;
    struct fixture f;
    static uint8_t data[SSH_DATA_MAX], out[SSH_DATA_MAX];
    confirmed(&f, 5);
    for (size_t sent = 0; sent < SSH_WINDOW_START; sent += sizeof(data)) {
        GETS(&f, "bux", 94, 0u, (struct ssh_str){data, sizeof(data)});
    }
    assert_int_equal(nk_buf_len(&f.sink.out), 0); /* nobody has read */
    size_t read = 0;
    for (ssize_t n; (n = nk_stream_read(f.s, out, sizeof(out))) > 0; read += (size_t)n) {
        turn(&f); /* a stream gives so much in a turn, and no more */
    }
    assert_int_equal(read, SSH_WINDOW_START);
    assert_true(nk_buf_len(&f.sink.out) > 0);
    close_it(&f);
}

/* What came in a turn is where it came, in order behind what is kept. */
static void lent(void **state)
{
    (void)state;
    struct fixture f;
    struct iovec iov[NK_PEEK_PIECES];
    char text[64];
    confirmed(&f, 5);
    assert_int_equal(nk_stream_peek(f.s, iov), NK_EAGAIN);
    GETS(&f, "bus", 94, 0u, "kept ");
    GETS(&f, "bus", 94, 0u, "lent");
    turn(&f);
    assert_int_equal(f.events, NK_READABLE);
    assert_int_equal(nk_stream_peek(f.s, iov), 2);
    assert_memory_equal(iov[0].iov_base, "kept ", 5);
    assert_memory_equal(iov[1].iov_base, "lent", 4);
    const uint8_t *in = nk_buf_ptr(&f.in), *at = iov[1].iov_base;
    assert_true(at >= in && at < in + nk_buf_len(&f.in)); /* no copy was made */
    nk_stream_consume(f.s, 6);
    f.events = 0;
    turn(&f);
    assert_int_equal(f.events, NK_READABLE); /* it repeats */
    ssh_channels_keep(f.c);
    memset(nk_buf_ptr(&f.in), 'x', nk_buf_len(&f.in));
    assert_int_equal(nk_stream_peek(f.s, iov), 1);
    assert_int_equal(iov[0].iov_len, 3);
    assert_int_equal(nk_stream_read(f.s, text, 2), 2);
    assert_memory_equal(text, "en", 2);
    GETS(&f, "bus", 94, 0u, "end");
    GETS(&f, "bu", 97, 0u); /* the channel is gone, and the memory may be */
    memset(nk_buf_ptr(&f.in), 'x', nk_buf_len(&f.in));
    assert_int_equal(nk_stream_read(f.s, text, sizeof(text)), 4);
    assert_memory_equal(text, "tend", 4);
    assert_int_equal(nk_stream_peek(f.s, iov), 0);
    close_it(&f);
}

/* Many small pieces, and a stream that is closed while they are lent. */
static void lent_and_closed(void **state)
{
    (void)state;
    struct fixture f;
    static char text[1024];
    nk_stream_interest((confirmed(&f, 5), f.s), 0);
    nk_buf_reset(&f.in);
    size_t n = 0;
    for (unsigned i = 0; i < 100; i++) { /* as one read of the transport brings them */
        size_t at = nk_buf_len(&f.in);
        ssh_kit_put(&f.in, "buub", 94, 0u, 1u, (int)i);
        if (i == 0) {
            uint8_t *room; /* nothing moves from now on */
            assert_int_equal(nk_buf_reserve(&f.in, 4096, &room), 0);
        }
        assert_int_equal(
            ssh_channels_receive(f.c, nk_buf_ptr(&f.in) + at, nk_buf_len(&f.in) - at, &f.diag), 0);
        n++;
    }
    assert_int_equal(nk_stream_read(f.s, text, 30), 30);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(text[i], i);
    }
    assert_int_equal(nk_stream_read(f.s, text, sizeof(text)), n - 30);
    assert_int_equal(text[69], 99);
    GETS(&f, "bus", 94, 0u, "never read");
    nk_stream_close(f.s);
    f.s = NULL;
    ssh_channels_keep(f.c);
    close_it(&f);
}

static void subsystem(void **state)
{
    (void)state;
    const struct ssh_channel_conf conf = {
        .type = "session", .request = "subsystem", .request_text = "sftp", .peer = "sftp"};
    for (int good = 0; good < 2; good++) {
        struct fixture f;
        open_it(&f);
        assert_int_equal(ssh_channel_dial(f.app, f.c, &conf, &f.s, &f.diag), 0);
        nk_stream_own(f.s, on_event, &f);
        (void)ssh_kit_take(&f.sink, &f.out);
        GETS(&f, "buuuu", 91, 0u, 9u, 5u, 1000u);
        SENT(&f, "busts", 98, 9u, "subsystem", 1, "sftp");
        turn(&f);
        assert_int_equal(f.events, 0);
        GETS(&f, "bu", good ? 99 : 100, 0u);
        turn(&f);
        assert_int_equal(f.events, good ? NK_CONNECTED : NK_CLOSED);
        close_it(&f);
    }
}

/* What a server says before it refuses to start what was asked for. */
static void refused_with_data(void **state)
{
    (void)state;
    const struct ssh_channel_conf conf = {
        .type = "session", .request = "subsystem", .request_text = "sftp", .peer = "sftp"};
    struct fixture f;
    struct iovec iov[NK_PEEK_PIECES];
    char text[64];
    open_it(&f);
    assert_int_equal(ssh_channel_dial(f.app, f.c, &conf, &f.s, &f.diag), 0);
    nk_stream_own(f.s, on_event, &f);
    GETS(&f, "buuuu", 91, 0u, 9u, 5u, 1000u);
    GETS(&f, "bus", 94, 0u, "lent");
    uint8_t failure[] = {100, 0, 0, 0, 0}; /* from the same read: nothing is kept before */
    assert_int_equal(ssh_channels_receive(f.c, failure, sizeof(failure), &f.diag), 0);
    turn(&f);
    assert_int_equal(f.events, NK_CLOSED);
    ssh_channels_keep(f.c);
    nk_buf_clear(&f.in); /* where the bytes were */
    assert_int_equal(nk_stream_peek(f.s, iov), NK_EUNSUPPORTED);
    assert_int_equal(nk_stream_read(f.s, text, sizeof(text)), NK_EUNSUPPORTED);
    assert_int_equal(nk_stream_write(f.s, "x", 1), NK_EUNSUPPORTED);
    close_it(&f);
}

int nk_test_ssh_channel(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),       cmocka_unit_test(refused),
        cmocka_unit_test(connection_lost), cmocka_unit_test(window),
        cmocka_unit_test(subsystem),       cmocka_unit_test(lent),
        cmocka_unit_test(lent_and_closed), cmocka_unit_test(refused_with_data),
    };
    return cmocka_run_group_tests_name("ssh/channel", tests, NULL, NULL);
}
