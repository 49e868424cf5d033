/* SPDX-License-Identifier: MIT */
/*
 * The owner's side of every stream, and the ready list: streams with events due, delivered once per
 * turn. A stream that was served in this turn and is raised again keeps its place for the next one.
 *
 * `pending` holds events until the interest lets them through; `again` is a READABLE that repeats
 * until the owner reads.
 */
#include "core/app_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STATE_EVENTS = NK_CONNECTED | NK_CLOSED };

static unsigned due(const struct nk_stream *s)
{
    unsigned all = s->pending | (s->again ? (unsigned)NK_READABLE : 0);
    if (!s->connected) {
        return all & STATE_EVENTS; /* nothing before the one of these */
    }
    return all & s->interest;
}

static void list_add(struct nk_stream *s)
{
    struct nk_app *app = s->app;
    if (s->listed || s->closing || !s->on_event || due(s) == 0) {
        return;
    }
    unsigned which = app->in_pass && s->seen == app->turn;
    struct nk_ready_list *list = &app->ready[which];
    s->listed = (unsigned char)(1 + which);
    s->ready_next = NULL;
    s->ready_prev = list->last;
    *(list->last ? &list->last->ready_next : &list->first) = s;
    list->last = s;
}

static void list_remove(struct nk_stream *s)
{
    if (!s->listed) {
        return;
    }
    struct nk_ready_list *list = &s->app->ready[s->listed - 1];
    *(s->ready_prev ? &s->ready_prev->ready_next : &list->first) = s->ready_next;
    *(s->ready_next ? &s->ready_next->ready_prev : &list->last) = s->ready_prev;
    s->ready_prev = s->ready_next = NULL;
    s->listed = 0;
}

/* One delivery: the state event alone, then what the (perhaps new) owner is interested in. */
static void deliver(struct nk_stream *s)
{
    unsigned events = due(s);
    s->seen = s->app->turn;
    if (events & NK_CLOSED) {
        s->pending = 0;
        s->again = false;
        s->on_event(s->owner, s, NK_CLOSED);
        return;
    }
    if (events & NK_CONNECTED) {
        s->pending &= ~(unsigned)NK_CONNECTED;
        s->connected = true;
        s->on_event(s->owner, s, NK_CONNECTED);
        events = s->closing || !s->on_event ? 0 : due(s);
    }
    if (events) {
        s->pending &= ~events;
        s->on_event(s->owner, s, events);
    }
}

void nk_streams_run(struct nk_app *app)
{
    struct nk_stream *s;
    app->in_pass = true;
    while ((s = app->ready[0].first) != NULL) {
        list_remove(s);
        deliver(s);  /* memory stays until nk_streams_reap, also when the owner closes s */
        list_add(s); /* what repeats goes to the other list */
    }
    for (s = app->ready[1].first; s; s = s->ready_next) {
        s->listed = 1;
    }
    app->ready[0] = app->ready[1];
    app->ready[1] = (struct nk_ready_list){NULL, NULL};
    app->in_pass = false; /* what deferred calls raise is for the next turn, on the first list */
}

void nk_streams_reap(struct nk_app *app)
{
    struct nk_stream *s;
    while ((s = app->dead) != NULL) {
        app->dead = s->ready_next;
        free(s->why);
        free(s);
    }
}

/* --- for owners ------------------------------------------------------------------------------- */

void nk_stream_own(struct nk_stream *s, nk_stream_event_fn *fn, void *owner)
{
    s->on_event = fn;
    s->owner = owner;
    list_add(s);
}

/* How much of n may be read in this turn. */
static size_t turn_share(struct nk_stream *s, size_t n)
{
    const struct nk_app *app = s->app;
    if (s->turn != app->turn) {
        s->turn = app->turn;
        s->turn_bytes = 0;
    }
    if (s->turn_bytes >= NK_TURN_BYTES) {
        nk_stream_again(s);
        return 0;
    }
    s->again = false; /* the implementation says so again if bytes are left */
    s->pending &= ~(unsigned)NK_READABLE;
    return n < NK_TURN_BYTES - s->turn_bytes ? n : NK_TURN_BYTES - s->turn_bytes;
}

static ssize_t was_read(struct nk_stream *s, ssize_t got)
{
    if (got > 0) {
        s->turn_bytes += (size_t)got;
    } else if (got != NK_EAGAIN) {
        nk_stream_again(s); /* the end and errors stay readable */
    }
    return got;
}

ssize_t nk_stream_read(struct nk_stream *s, void *p, size_t n)
{
    n = turn_share(s, n);
    return n > 0 ? was_read(s, s->ops->read(s, p, n)) : NK_EAGAIN;
}

ssize_t nk_stream_peek(struct nk_stream *s, struct iovec iov[NK_PEEK_PIECES])
{
    if (!s->ops->peek) {
        return NK_EUNSUPPORTED;
    }
    size_t share = turn_share(s, SIZE_MAX);
    ssize_t n = share > 0 ? s->ops->peek(s, iov) : NK_EAGAIN;
    if (n <= 0) {
        return share > 0 ? was_read(s, n) : n;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (iov[i].iov_len >= share) {
            iov[i].iov_len = share;
            return i + 1;
        }
        share -= iov[i].iov_len;
    }
    return n;
}

void nk_stream_consume(struct nk_stream *s, size_t n)
{
    s->ops->consume(s, n);
    s->turn_bytes += n;
}

ssize_t nk_stream_splice_in(struct nk_stream *s, int pipe, size_t n)
{
    if (!nk_stream_can_splice(s)) {
        return NK_EUNSUPPORTED;
    }
    n = turn_share(s, n);
    return n > 0 ? was_read(s, s->ops->splice(s, pipe, n, false)) : NK_EAGAIN;
}

ssize_t nk_stream_splice_out(struct nk_stream *s, int pipe, size_t n)
{
    return nk_stream_can_splice(s) ? s->ops->splice(s, pipe, n, true) : NK_EUNSUPPORTED;
}

bool nk_stream_can_splice(struct nk_stream *s)
{
    return s->ops->splice && s->ops->splice(s, -1, 0, false) == 0;
}

ssize_t nk_stream_writev(struct nk_stream *s, const struct iovec *iov, int n)
{
    return s->ops->writev(s, iov, n);
}

ssize_t nk_stream_write(struct nk_stream *s, const void *p, size_t n)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)p, .iov_len = n};
    return s->ops->writev(s, &iov, 1);
}

int nk_stream_shutdown(struct nk_stream *s)
{
    return s->ops->shutdown(s);
}

void nk_stream_close(struct nk_stream *s)
{
    if (!s || s->closing) {
        return;
    }
    list_remove(s);
    s->closing = true;
    s->on_event = NULL;
    s->ops->close(s);
}

void nk_stream_interest(struct nk_stream *s, unsigned mask)
{
    mask &= (unsigned)NK_READABLE | NK_WRITABLE;
    if (mask == s->interest) {
        return;
    }
    s->interest = mask;
    s->ops->interest(s);
    list_add(s);
}

int nk_stream_query(struct nk_stream *s, enum nk_query what, void *out, size_t *n)
{
    return s->ops->query ? s->ops->query(s, what, out, n) : -ENOENT;
}

int nk_stream_tune(struct nk_stream *s, enum nk_tune what, int value)
{
    return s->ops->tune ? s->ops->tune(s, what, value) : -ENOENT;
}

int nk_stream_answer(struct nk_stream *s, int error)
{
    return s->ops->answer ? s->ops->answer(s, error) : -ENOENT;
}

bool nk_stream_waits(struct nk_stream *s)
{
    return s->ops->waits && s->ops->waits(s);
}

char *nk_stream_peer(struct nk_stream *s, char *out, size_t max)
{
    size_t n = max;
    if (nk_stream_query(s, NK_Q_PEER, out, &n) < 0) {
        snprintf(out, max, "?");
    }
    return out;
}

int nk_stream_error(const struct nk_stream *s, struct nk_diag *diag)
{
    if (diag && s->why) {
        *diag = *s->why;
    } else if (diag && s->error < 0) {
        nk_fail(diag, s->error, "%s", nk_strerror(s->error));
    }
    return s->error;
}

/* --- for implementations ---------------------------------------------------------------------- */

void nk_stream_init(struct nk_stream *s, const struct nk_stream_ops *ops, struct nk_app *app)
{
    memset(s, 0, sizeof(*s));
    s->ops = ops;
    s->app = app;
    app->streams++;
}

void nk_stream_raise(struct nk_stream *s, unsigned events)
{
    s->pending |= events;
    list_add(s);
}

void nk_stream_fail(struct nk_stream *s, int error, const struct nk_diag *why)
{
    s->error = error;
    if (why && !s->why && (s->why = malloc(sizeof(*s->why))) != NULL) {
        *s->why = *why; /* without memory the code alone has to do */
    }
    nk_stream_raise(s, NK_CLOSED);
}

void nk_stream_again(struct nk_stream *s)
{
    s->again = true;
    list_add(s);
}

void nk_stream_done(struct nk_stream *s)
{
    s->app->streams--;
    s->ready_next = s->app->dead;
    s->app->dead = s;
}
