/* SPDX-License-Identifier: MIT */
/* A pump whose source has its bytes in memory: they are written from where they are. */
#include "core/pump.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/app.h"

int nk_test_core_pump(void);

enum { TURNS = 10000 };

/* One end: gives `have` bytes in two pieces, counting up, and takes `room` bytes at once. */
struct end {
    struct nk_stream s; /* first */
    struct world *w;
};

struct world {
    struct nk_app *app;
    struct end *from, *to;
    struct nk_pump *pump;
    size_t given, have; /* of the source */
    size_t taken, room; /* of the target; room: until it says that there is more */
    int read_error, write_error;
    bool ended, shut, done;
    int open;
    struct nk_pump_result result;
    uint8_t bytes[256];
};

static struct end *of(struct nk_stream *s)
{
    return (struct end *)s;
}

static ssize_t no_read(struct nk_stream *s, void *p, size_t n)
{
    (void)p, (void)n;
    assert_ptr_equal(of(s), of(s)->w->to); /* which has nothing to say */
    return NK_EAGAIN;
}

static ssize_t peek(struct nk_stream *s, struct iovec iov[NK_PEEK_PIECES])
{
    struct world *w = of(s)->w;
    size_t left = w->have - w->given, at = w->given % sizeof(w->bytes);
    if (left == 0) {
        return w->read_error ? w->read_error : w->ended ? 0 : NK_EAGAIN;
    }
    left = left < sizeof(w->bytes) ? left : sizeof(w->bytes);
    size_t first = left < sizeof(w->bytes) - at ? left : sizeof(w->bytes) - at;
    iov[0] = (struct iovec){w->bytes + at, first};
    iov[1] = (struct iovec){w->bytes, left - first};
    return left > first ? 2 : 1;
}

static void consume(struct nk_stream *s, size_t n)
{
    struct world *w = of(s)->w;
    w->given += n;
    assert_true(w->given <= w->have);
    if (w->given < w->have || w->ended) {
        nk_stream_again(s);
    }
}

static ssize_t take(struct nk_stream *s, const struct iovec *iov, int n)
{
    struct world *w = of(s)->w;
    size_t before = w->taken;
    if (w->write_error) {
        return w->write_error;
    }
    for (int i = 0; i < n; i++) {
        const uint8_t *p = iov[i].iov_base;
        for (size_t k = 0; k < iov[i].iov_len && w->room > 0; k++, w->room--) {
            assert_int_equal(p[k], (uint8_t)w->taken);
            w->taken++;
        }
    }
    return w->taken > before ? (ssize_t)(w->taken - before) : NK_EAGAIN;
}

static int shut(struct nk_stream *s)
{
    of(s)->w->shut = true;
    return 0;
}

static void close_end(struct nk_stream *s)
{
    of(s)->w->open--;
    nk_stream_done(s);
}

static void interest(struct nk_stream *s)
{
    const struct world *w = of(s)->w;
    if (of(s) == w->from && s->interest & NK_READABLE && w->given < w->have) {
        nk_stream_again(s);
    }
}

static const struct nk_stream_ops from_ops = {.name = "from",
                                              .read = no_read,
                                              .writev = take,
                                              .shutdown = shut,
                                              .close = close_end,
                                              .interest = interest,
                                              .peek = peek,
                                              .consume = consume};
static const struct nk_stream_ops to_ops = {.name = "to",
                                            .read = no_read,
                                            .writev = take,
                                            .shutdown = shut,
                                            .close = close_end,
                                            .interest = interest};

static void on_done(void *owner, const struct nk_pump_result *r)
{
    struct world *w = owner;
    w->done = true;
    w->result = *r;
    w->pump = NULL;
}

static struct end *end_new(struct world *w, const struct nk_stream_ops *ops)
{
    struct end *e = calloc(1, sizeof(*e));
    assert_non_null(e);
    nk_stream_init(&e->s, ops, w->app);
    e->w = w;
    w->open++;
    nk_stream_raise(&e->s, NK_CONNECTED);
    return e;
}

static void begin(struct world *w)
{
    const struct nk_app_conf conf = {0};
    const struct nk_pump_conf pump = {0};
    *w = (struct world){0};
    for (size_t i = 0; i < sizeof(w->bytes); i++) {
        w->bytes[i] = (uint8_t)i;
    }
    assert_int_equal(nk_app_new(&w->app, &conf, NULL), 0);
    w->from = end_new(w, &from_ops);
    w->to = end_new(w, &to_ops);
    assert_int_equal(nk_pump_start(w->app, &w->from->s, &w->to->s, &pump, on_done, w, &w->pump), 0);
    nk_app_turn(w->app, 0);
}

static void end(struct world *w)
{
    nk_pump_close(w->pump);
    assert_int_equal(w->open, 0);
    nk_app_free(w->app);
}

static void arrive(struct world *w, size_t n)
{
    w->have += n;
    nk_stream_again(&w->from->s);
}

static void more_room(struct world *w, size_t n)
{
    w->room += n;
    nk_stream_raise(&w->to->s, NK_WRITABLE);
}

static void turns(struct world *w)
{
    for (int i = 0; i < 4; i++) {
        nk_app_turn(w->app, 0);
    }
}

static void what_is_not_taken_stays(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    w.room = 1000;
    arrive(&w, 700);
    turns(&w);
    assert_int_equal(w.taken, 700);
    arrive(&w, 5000);
    turns(&w);
    assert_int_equal(w.taken, 1000);
    assert_int_equal(w.given, 1000); /* the pump holds nothing */
    assert_int_equal(nk_pump_bytes(w.pump, 0), 1000);
    assert_int_equal(w.from->s.interest & NK_READABLE, 0);
    turns(&w);
    assert_int_equal(w.taken, 1000);
    for (int i = 0; i < TURNS && w.taken < 5700; i++) {
        more_room(&w, 333);
        nk_app_turn(w.app, 0);
    }
    assert_int_equal(w.taken, 5700);
    assert_false(w.shut);
    end(&w);
}

static void the_end_follows_the_bytes(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    w.room = 10;
    w.ended = true;
    arrive(&w, 300);
    turns(&w);
    assert_false(w.shut);
    more_room(&w, 290);
    turns(&w);
    assert_int_equal(w.taken, 300);
    assert_true(w.shut);
    assert_false(w.done);
    end(&w);
}

static void errors_end_it(void **state)
{
    (void)state;
    for (int reading = 0; reading < 2; reading++) {
        struct world w;
        begin(&w);
        w.room = 1000;
        w.read_error = reading ? -ECONNRESET : 0;
        w.write_error = reading ? 0 : -EPIPE;
        arrive(&w, 100);
        turns(&w);
        assert_true(w.done);
        assert_int_equal(w.result.error, reading ? -ECONNRESET : -EPIPE);
        assert_int_equal(w.taken, reading ? 100 : 0); /* what came before is delivered */
        assert_int_equal(w.result.bytes[0], w.taken);
        end(&w);
    }
}

static void no_more_than_its_turn(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    w.room = SIZE_MAX / 2;
    arrive(&w, 2 * (size_t)NK_TURN_BYTES);
    nk_app_turn(w.app, 0);
    assert_true(w.taken <= NK_TURN_BYTES);
    turns(&w);
    assert_int_equal(w.taken, 2 * NK_TURN_BYTES);
    end(&w);
}

int nk_test_core_pump(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_taken_stays), cmocka_unit_test(the_end_follows_the_bytes),
        cmocka_unit_test(errors_end_it), cmocka_unit_test(no_more_than_its_turn)};
    return cmocka_run_group_tests_name("core/pump", tests, NULL, NULL);
}
