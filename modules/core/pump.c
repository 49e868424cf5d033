/* SPDX-License-Identifier: MIT */
#include "core/pump.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/app.h"
#include "core/clock.h"
#include "core/timer.h"

enum {
    PIECE_MIN = 64 * 1024,
    PIECE_MAX = 256 * 1024, /* larger reads cost half the CPU of PIECE_MIN, more bring nothing */
    BULK_FROM = 32 * 1024,  /* a piece from which on splicing is tried ... */
    BULK_UNTIL = 4 * 1024,  /* ... and one below which it has cost more than copying */
    PIPES_MAX = 64,         /* of an app, in use and idle, and no more than one in */
    PIPES_SHARE = 16,       /* so many of the descriptors that it may have */
    PIPES_IDLE = 8          /* kept for the next piece */
};

enum { ANY_WAY = 3 }; /* both bits of advance() */

struct pipe_ends {
    int out, in; /* bytes come out here, go in there */
};

/* The pipes of an app. */
struct pipes {
    struct pipe_ends idle[PIPES_IDLE];
    size_t nidle, count, max;
};

/* One direction: bytes from `from` to `to`. */
struct way {
    struct nk_stream *from, *to;
    uint8_t *rest; /* read but not written yet: rest[off..len) */
    size_t off, len;
    size_t piece;
    struct pipe_ends pipe; /* while `piped` bytes wait in it */
    size_t piped;
    bool blocked;          /* what `from` has in memory does not fit */
    bool bulk;             /* the next piece goes through a pipe */
    uint64_t bytes, first; /* written; how many of them did not come from `from` */
    bool ended;            /* end of stream was read and passed on */
};

struct nk_pump {
    struct nk_app *app;
    struct way way[2]; /* a to b, b to a */
    struct nk_pump_conf conf;
    nk_pump_done_fn *fn;
    void *owner;
    struct nk_timer idle;
    struct nk_defer done;
    uint64_t spliced;
    uint64_t moved_ms; /* when bytes moved last */
    bool over, stood;
    int side; /* of the last failure */
    int error;
    struct nk_diag why;
};

static const char too_long[] = "nothing moved for too long";

static const char scratch_key = 0; /* its address names the shared read buffer in an app */

/* Reads go to one buffer per app; what cannot be written at once is copied away. */
static uint8_t *scratch(struct nk_app *app)
{
    uint8_t *p = nk_app_slot(app, &scratch_key);
    if (!p && (p = malloc(PIECE_MAX)) != NULL && nk_app_slot_set(app, &scratch_key, p, free) < 0) {
        free(p);
        p = NULL;
    }
    return p;
}

/* --- pipes ------------------------------------------------------------------------------------ */

static const char pipes_key = 0;

static void pipe_close(struct pipes *l, struct pipe_ends e)
{
    close(e.out);
    close(e.in);
    l->count--;
}

static void pipes_free(void *value)
{
    struct pipes *l = value;
    while (l->nidle > 0) {
        pipe_close(l, l->idle[--l->nidle]);
    }
    free(l);
}

static struct pipes *pipes_of(struct nk_app *app)
{
    struct pipes *l = nk_app_slot(app, &pipes_key);
    struct rlimit r;
    if (l || (l = calloc(1, sizeof(*l))) == NULL) {
        return l;
    }
    l->max = getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < PIPES_MAX * PIPES_SHARE
                 ? (size_t)r.rlim_cur / PIPES_SHARE
                 : PIPES_MAX;
    if (nk_app_slot_set(app, &pipes_key, l, pipes_free) < 0) {
        free(l);
        l = NULL;
    }
    return l;
}

/* An empty one. False when there is none to be had: the bytes are copied then. */
static bool pipe_take(struct nk_app *app, struct pipe_ends *out)
{
    struct pipes *l = pipes_of(app);
    int fd[2];
    if (l && l->nidle > 0) {
        *out = l->idle[--l->nidle];
        return true;
    }
    if (!l || l->count >= l->max || pipe2(fd, O_CLOEXEC | O_NONBLOCK) < 0) {
        return false;
    }
    l->count++;
    *out = (struct pipe_ends){.out = fd[0], .in = fd[1]};
    (void)fcntl(fd[1], F_SETPIPE_SZ, PIECE_MAX); /* else it has the usual 64 KiB, or less */
    return true;
}

/* It is empty again. */
static void pipe_give(struct nk_app *app, struct pipe_ends e)
{
    struct pipes *l = pipes_of(app);
    if (l->nidle < PIPES_IDLE) {
        l->idle[l->nidle++] = e;
    } else {
        pipe_close(l, e);
    }
}

/* --- the end ---------------------------------------------------------------------------------- */

static bool connected(const struct nk_pump *p)
{
    return p->way[0].from->connected && p->way[1].from->connected;
}

/* The idle limit in force; 0 = none. */
static uint64_t idle_limit(const struct nk_pump *p)
{
    uint64_t limit = p->conf.idle_ms, half = p->conf.half_idle_ms;
    bool one_ended = p->way[0].ended || p->way[1].ended;
    return one_ended && half && (!limit || half < limit) ? half : limit;
}

static void arm_idle(struct nk_pump *p)
{
    uint64_t limit = idle_limit(p);
    if (limit == 0) {
        return;
    }
    uint64_t due = p->moved_ms + limit, now = nk_now_ms(p->app);
    if (!p->idle.armed || p->idle.due_ms > due) {
        nk_timer_start(&p->idle, due > now ? due - now : 0);
    }
}

/* After its end: what filters hold of what was written, or why it will never go. */
static int unsent(struct nk_stream *s)
{
    int held = 0;
    size_t n = sizeof(held);
    return nk_stream_query(s, NK_Q_UNSENT, &held, &n) == 0 ? held : 0;
}

/* Gives a stream up. It is reset unless its peer has got everything, with the end: what is cut must
 * not look whole. False: the rest is on its way yet (never with `now`). */
static bool let_go(struct nk_pump *p, int i, bool now)
{
    struct nk_stream *s = p->way[i].from;
    bool ended = p->way[1 - i].ended;
    int held = s && ended ? unsent(s) : 0;
    if (held > 0 && !now) {
        nk_stream_interest(s, NK_WRITABLE);
        return false;
    }
    if (s && (!ended || held != 0)) {
        (void)nk_stream_tune(s, NK_TUNE_RESET, 1); /* what has no resets is just closed */
    }
    if (held != 0 && p->error == 0) {
        p->error = held < 0 ? held : -ETIMEDOUT;
        p->side = held < 0 ? i : -1;
        nk_fail(&p->why, p->error, "%s", held < 0 ? nk_strerror(held) : too_long);
    }
    nk_stream_close(s);
    p->way[i].from = p->way[1 - i].to = NULL;
    return true;
}

static void drop_waiting(struct nk_pump *p)
{
    for (int i = 0; i < 2; i++) {
        if (p->way[i].piped > 0) {
            pipe_close(pipes_of(p->app), p->way[i].pipe);
            p->way[i].piped = 0;
        }
        free(p->way[i].rest);
        p->way[i].rest = NULL;
    }
}

static void let_both_go(struct nk_pump *p, bool now)
{
    bool gone = let_go(p, 0, now);
    if (let_go(p, 1, now) && gone) {
        nk_timer_stop(&p->idle);
        nk_app_defer(p->app, &p->done);
    } else {
        arm_idle(p);
    }
}

static void finish(struct nk_pump *p, int error)
{
    p->over = true;
    p->stood = connected(p);
    p->error = error;
    p->moved_ms = nk_now_ms(p->app);
    if (error < 0 && p->side >= 0 && p->why.text[0] == '\0') {
        (void)nk_stream_error(p->way[p->side].from, &p->why); /* it may know more than the code */
    }
    if (error < 0 && p->why.text[0] == '\0') {
        nk_fail(&p->why, error, "%s", nk_strerror(error));
    }
    drop_waiting(p);
    let_both_go(p, error == -ETIMEDOUT);
}

static void on_done(void *owner)
{
    struct nk_pump *p = owner;
    struct nk_pump_result r = {.error = p->error,
                               .stood = p->stood,
                               .side = p->side,
                               .bytes = {nk_pump_bytes(p, 0), nk_pump_bytes(p, 1)},
                               .spliced = p->spliced,
                               .why = &p->why};
    p->fn(p->owner, &r);
    free(p);
}

/* --- moving bytes ----------------------------------------------------------------------------- */

static bool waiting(const struct way *w)
{
    return w->rest != NULL || w->piped > 0 || w->blocked;
}

static bool can_splice(const struct way *w)
{
    return nk_stream_can_splice(w->from) && nk_stream_can_splice(w->to);
}

static void wrote(struct nk_pump *p, struct way *w, size_t n)
{
    w->bytes += n;
    p->moved_ms = nk_now_ms(p->app);
}

static int flush_pipe(struct nk_pump *p, struct way *w)
{
    ssize_t n = nk_stream_splice_out(w->to, w->pipe.out, w->piped);
    if (n < 0) {
        return (int)n;
    }
    w->piped -= (size_t)n;
    p->spliced += (size_t)n;
    wrote(p, w, (size_t)n);
    if (w->piped > 0) {
        return NK_EAGAIN;
    }
    pipe_give(p->app, w->pipe);
    return 0;
}

/* Writes what waits. 0 when nothing is left, NK_EAGAIN, or the error. */
static int flush(struct nk_pump *p, struct way *w)
{
    if (w->piped > 0) {
        return flush_pipe(p, w);
    }
    while (w->off < w->len) {
        ssize_t n = nk_stream_write(w->to, w->rest + w->off, w->len - w->off);
        if (n < 0) {
            return (int)n;
        }
        w->off += (size_t)n;
        wrote(p, w, (size_t)n);
    }
    free(w->rest);
    w->rest = NULL;
    w->off = w->len = 0;
    w->blocked = false; /* move() tries them again */
    return 0;
}

/* Passes n bytes on; keeps what does not fit. */
static int pass(struct nk_pump *p, struct way *w, const uint8_t *data, size_t n)
{
    ssize_t put = nk_stream_write(w->to, data, n);
    if (put < 0 && put != NK_EAGAIN) {
        return (int)put;
    }
    size_t taken = put > 0 ? (size_t)put : 0;
    wrote(p, w, taken);
    w->bulk = n >= BULK_FROM && p->conf.how == NK_PUMP_AUTO && can_splice(w);
    if (taken == n) {
        if (n == w->piece && w->piece < PIECE_MAX) {
            w->piece *= 2;
        }
        return 0;
    }
    w->piece = PIECE_MIN;
    w->rest = malloc(n - taken);
    if (!w->rest) {
        return -ENOMEM;
    }
    memcpy(w->rest, data + taken, n - taken);
    w->off = 0;
    w->len = n - taken;
    return NK_EAGAIN;
}

static int pass_end(struct way *w)
{
    int rc = nk_stream_shutdown(w->to);
    rc = rc == NK_EUNSUPPORTED ? 0 : rc;
    w->ended = rc == 0;
    return rc;
}

/* Nothing was read from w: if that is a failure, it is its side's. */
static int unread(struct nk_pump *p, const struct way *w, ssize_t rc)
{
    p->side = w == &p->way[0] ? 0 : 1;
    return (int)rc;
}

/* One piece through a pipe. As move(); without a pipe or where it does not work `bulk` ends. */
static int move_piped(struct nk_pump *p, struct way *w)
{
    struct pipe_ends e;
    if (!pipe_take(p->app, &e)) {
        w->bulk = false;
        return 0;
    }
    ssize_t n = nk_stream_splice_in(w->from, e.in, PIECE_MAX);
    if (n <= 0) {
        pipe_give(p->app, e);
        w->bulk = w->bulk && n != NK_EUNSUPPORTED;
        return n == 0 ? pass_end(w) : n == NK_EUNSUPPORTED ? 0 : unread(p, w, n);
    }
    w->pipe = e;
    w->piped = (size_t)n;
    w->bulk = n >= BULK_UNTIL || p->conf.how == NK_PUMP_SPLICE;
    return flush_pipe(p, w);
}

/* Bytes that are in memory are written from where they are; those that are not taken stay there.
 * As move(), or NK_EUNSUPPORTED when they have to be read. */
static int move_lent(struct nk_pump *p, struct way *w)
{
    struct iovec iov[NK_PEEK_PIECES];
    size_t sum = 0;
    ssize_t n = nk_stream_peek(w->from, iov);
    if (n <= 0) {
        return n == 0 ? pass_end(w) : n == NK_EUNSUPPORTED ? NK_EUNSUPPORTED : unread(p, w, n);
    }
    for (ssize_t i = 0; i < n; i++) {
        sum += iov[i].iov_len;
    }
    ssize_t put = nk_stream_writev(w->to, iov, (int)n);
    size_t taken = put > 0 ? (size_t)put : 0;
    nk_stream_consume(w->from, taken);
    if (put < 0 && put != NK_EAGAIN) {
        return (int)put;
    }
    wrote(p, w, taken);
    w->blocked = taken < sum;
    return w->blocked ? NK_EAGAIN : 0;
}

static int move_copied(struct nk_pump *p, struct way *w, uint8_t *buf)
{
    int rc = move_lent(p, w);
    if (rc != NK_EUNSUPPORTED) {
        return rc;
    }
    ssize_t n = nk_stream_read(w->from, buf, w->piece);
    return n < 0 ? unread(p, w, n) : n == 0 ? pass_end(w) : pass(p, w, buf, (size_t)n);
}

/* Reads and writes until one side has to be waited for. 0, or the error that ends the pump. */
static int move(struct nk_pump *p, struct way *w)
{
    uint8_t *buf = scratch(p->app);
    if (!buf) {
        return -ENOMEM;
    }
    int rc = waiting(w) ? flush(p, w) : 0;
    while (rc == 0 && !w->ended) {
        rc = w->bulk ? move_piped(p, w) : move_copied(p, w, buf);
    }
    return rc == NK_EAGAIN ? 0 : rc;
}

static void set_interest(struct nk_pump *p)
{
    for (int i = 0; i < 2; i++) {
        const struct way *out = &p->way[i], *in = &p->way[1 - i]; /* as seen from out->from */
        unsigned mask = (!out->ended && !waiting(out) ? (unsigned)NK_READABLE : 0) |
                        (waiting(in) ? (unsigned)NK_WRITABLE : 0);
        nk_stream_interest(out->from, mask);
    }
}

static void on_idle(void *owner)
{
    struct nk_pump *p = owner;
    if (nk_now_ms(p->app) - p->moved_ms < idle_limit(p)) {
        arm_idle(p); /* armed once per limit, not once per byte */
    } else if (p->over) {
        let_both_go(p, true);
    } else {
        nk_fail(&p->why, -ETIMEDOUT, "%s", too_long);
        p->side = -1;
        finish(p, -ETIMEDOUT);
    }
}

/* The ways whose bit is set may have something to do: to try the other one would cost a system call
 * that brings nothing. */
static void advance(struct nk_pump *p, unsigned ways)
{
    if (!connected(p)) {
        return;
    }
    for (int i = 0; i < 2; i++) {
        if (!(ways & 1U << i)) {
            continue;
        }
        p->way[i].bulk =
            p->way[i].bulk || (p->conf.how == NK_PUMP_SPLICE && can_splice(&p->way[i]));
        p->side = 1 - i; /* who is written to, unless reading fails */
        int rc = p->way[i].ended && !waiting(&p->way[i]) ? 0 : move(p, &p->way[i]);
        if (rc < 0) {
            finish(p, rc);
            return;
        }
    }
    if (p->way[0].ended && p->way[1].ended) {
        finish(p, 0);
        return;
    }
    set_interest(p);
    arm_idle(p);
}

static void on_event(void *owner, struct nk_stream *s, unsigned events)
{
    struct nk_pump *p = owner;
    if (p->over) {
        let_both_go(p, false);
        return;
    }
    if (events & NK_CLOSED) {
        p->side = s == p->way[0].from ? 0 : 1;
        int rc = nk_stream_error(s, &p->why);
        finish(p, rc < 0 ? rc : NK_ECLOSED);
        return;
    }
    if (events & NK_CONNECTED) {
        p->moved_ms = nk_now_ms(p->app);
        (void)nk_stream_tune(s, NK_TUNE_GATHER, 1); /* where there is such a thing */
    }
    unsigned from = s == p->way[0].from ? 0 : 1;
    advance(p, events & NK_CONNECTED ? ANY_WAY
                                     : (events & NK_READABLE ? 1U << from : 0) |
                                           (events & NK_WRITABLE ? 1U << (1 - from) : 0));
}

/* --- birth and death -------------------------------------------------------------------------- */

static struct nk_pump *pump_new(const struct nk_pump_conf *conf)
{
    struct nk_pump *p = calloc(1, sizeof(*p));
    if (!p || !conf) {
        return p;
    }
    p->conf = *conf;
    if (conf->first_len > 0) {
        struct way *w = &p->way[0];
        w->rest = malloc(conf->first_len);
        if (!w->rest) {
            free(p);
            return NULL;
        }
        memcpy(w->rest, conf->first, conf->first_len);
        w->len = w->first = conf->first_len;
    }
    return p;
}

/* Both are connected already, and nobody will say so again. */
static void begin(struct nk_pump *p)
{
    int rc = waiting(&p->way[0]) ? flush(p, &p->way[0]) : 0;
    if (rc < 0 && rc != NK_EAGAIN) {
        p->side = 1;
        finish(p, rc);
        return;
    }
    set_interest(p);
    arm_idle(p);
}

int nk_pump_start(struct nk_app *app, struct nk_stream *take_a, struct nk_stream *take_b,
                  const struct nk_pump_conf *conf, nk_pump_done_fn *fn, void *owner,
                  struct nk_pump **out)
{
    struct nk_pump *p = pump_new(conf);
    if (!p) {
        nk_stream_close(take_a);
        nk_stream_close(take_b);
        return -ENOMEM;
    }
    p->app = app;
    p->way[0].from = p->way[1].to = take_a;
    p->way[1].from = p->way[0].to = take_b;
    p->way[0].piece = p->way[1].piece = PIECE_MIN;
    p->fn = fn;
    p->owner = owner;
    p->moved_ms = nk_now_ms(app);
    p->done = (struct nk_defer){.fn = on_done, .owner = p};
    nk_timer_init(&p->idle, app, on_idle, p);
    nk_stream_own(take_a, on_event, p);
    nk_stream_own(take_b, on_event, p);
    for (int i = 0; i < 2; i++) {
        if (p->way[i].from->connected) {
            (void)nk_stream_tune(p->way[i].from, NK_TUNE_GATHER, 1);
        }
    }
    if (connected(p)) {
        begin(p);
    }
    *out = p;
    return 0;
}

void nk_pump_close(struct nk_pump *p)
{
    if (!p) {
        return;
    }
    drop_waiting(p);
    let_both_go(p, true);
    nk_app_defer_cancel(p->app, &p->done);
    free(p);
}

uint64_t nk_pump_bytes(const struct nk_pump *p, int dir)
{
    const struct way *w = &p->way[dir];
    return w->bytes > w->first ? w->bytes - w->first : 0;
}
