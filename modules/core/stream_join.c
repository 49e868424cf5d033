/* SPDX-License-Identifier: MIT */
/* One stream made of two: reads come from one, writes go to the other. Both are connected. */
#include "core/app_internal.h"
#include "core/stream_fd.h"

#include <stdlib.h>

struct join_stream {
    struct nk_stream s;
    struct nk_stream *in, *out; /* out is NULL after its shutdown */
};

static struct join_stream *of(struct nk_stream *s)
{
    return (struct join_stream *)s;
}

static void on_in(void *owner, struct nk_stream *s, unsigned events)
{
    struct join_stream *j = owner;
    (void)s;
    if (events & NK_READABLE) {
        nk_stream_raise(&j->s, NK_READABLE);
    }
}

static void on_out(void *owner, struct nk_stream *s, unsigned events)
{
    struct join_stream *j = owner;
    (void)s;
    if (events & NK_WRITABLE) {
        nk_stream_raise(&j->s, NK_WRITABLE);
    }
}

static ssize_t join_read(struct nk_stream *s, void *p, size_t n)
{
    return nk_stream_read(of(s)->in, p, n);
}

static ssize_t join_writev(struct nk_stream *s, const struct iovec *iov, int n)
{
    return of(s)->out ? nk_stream_writev(of(s)->out, iov, n) : -EPIPE;
}

/* Ending the output means that its reader sees the end, so the descriptor is closed. */
static int join_shutdown(struct nk_stream *s)
{
    struct join_stream *j = of(s);
    if (j->out) {
        (void)nk_stream_shutdown(j->out); /* what has no half-close is closed all the same */
        nk_stream_close(j->out);
        j->out = NULL;
    }
    return 0;
}

static void join_close(struct nk_stream *s)
{
    nk_stream_close(of(s)->in);
    nk_stream_close(of(s)->out);
    nk_stream_done(s);
}

static int join_query(struct nk_stream *s, enum nk_query what, void *out, size_t *n)
{
    return what == NK_Q_FD ? -ENOENT : nk_stream_query(of(s)->in, what, out, n);
}

static void join_interest(struct nk_stream *s)
{
    struct join_stream *j = of(s);
    nk_stream_interest(j->in, s->interest & NK_READABLE);
    if (j->out) {
        nk_stream_interest(j->out, s->interest & NK_WRITABLE);
    }
}

static int join_tune(struct nk_stream *s, enum nk_tune what, int value)
{
    struct join_stream *j = of(s);
    return j->out ? nk_stream_tune(j->out, what, value) : -ENOENT;
}

static const struct nk_stream_ops join_ops = {
    .name = "join",
    .read = join_read,
    .writev = join_writev,
    .shutdown = join_shutdown,
    .close = join_close,
    .query = join_query,
    .interest = join_interest,
    .tune = join_tune,
};

int nk_stream_join(struct nk_app *app, struct nk_stream *take_in, struct nk_stream *take_out,
                   struct nk_stream **out)
{
    struct join_stream *j = calloc(1, sizeof(*j));
    if (!j) {
        nk_stream_close(take_in);
        nk_stream_close(take_out);
        return -ENOMEM;
    }
    nk_stream_init(&j->s, &join_ops, app);
    j->in = take_in;
    j->out = take_out;
    nk_stream_own(take_in, on_in, j);
    nk_stream_own(take_out, on_out, j);
    nk_stream_raise(&j->s, NK_CONNECTED);
    *out = &j->s;
    return 0;
}
