/* SPDX-License-Identifier: MIT */
#include "net/greeting.h"

#include <stdlib.h>

#include "core/app.h"
#include "core/timer.h"

enum { PIECE = 512 /* memory follows what has come, not what is announced */ };

struct net_greeting {
    struct nk_stream *s;
    struct nk_timer deadline;
    struct nk_buf bytes;
    struct net_proxy_header header;
    net_greeting_fn *fn;
    void *owner;
};

static void finish(struct net_greeting *g, int rc, const struct nk_diag *why)
{
    nk_timer_stop(&g->deadline);
    nk_stream_interest(g->s, 0);
    g->fn(g->owner, rc, why);
}

/* 0 when the header is complete, NK_EAGAIN, or the error. */
static int read_more(struct net_greeting *g, struct nk_diag *why)
{
    for (;;) {
        uint8_t *p;
        ssize_t n = net_proxy_want(nk_buf_ptr(&g->bytes), nk_buf_len(&g->bytes), why);
        if (n <= 0) {
            return (int)n;
        }
        size_t piece = n < PIECE ? (size_t)n : PIECE;
        int rc = nk_buf_reserve(&g->bytes, piece, &p);
        if (rc < 0) {
            return nk_fail_sys(why, rc, "PROXY protocol");
        }
        n = nk_stream_read(g->s, p, piece);
        if (n == 0) {
            return nk_fail(why, NK_ETRUNC, "PROXY protocol: the connection ended in its header");
        }
        if (n < 0) {
            return n == NK_EAGAIN ? NK_EAGAIN : nk_fail_sys(why, (int)n, "PROXY protocol");
        }
        nk_buf_commit(&g->bytes, (size_t)n);
    }
}

static void on_event(void *owner, struct nk_stream *s, unsigned events)
{
    struct net_greeting *g = owner;
    struct nk_diag why = {0};
    int rc = NK_EAGAIN;
    if (events & NK_CLOSED) {
        rc = nk_stream_error(s, &why);
        finish(g, rc < 0 ? rc : NK_ECLOSED, &why);
        return;
    }
    if (events & NK_READABLE) {
        rc = read_more(g, &why);
    }
    if (rc == 0) {
        rc = net_proxy_read(nk_buf_ptr(&g->bytes), nk_buf_len(&g->bytes), &g->header, &why);
    }
    if (rc != NK_EAGAIN) {
        finish(g, rc, &why);
    }
}

static void on_deadline(void *owner)
{
    struct nk_diag why = {0};
    nk_fail(&why, -ETIMEDOUT, "PROXY protocol: no whole header in %d s", NET_GREETING_MS / 1000);
    finish(owner, -ETIMEDOUT, &why);
}

int net_greeting_start(struct nk_app *app, struct nk_stream *s, net_greeting_fn *fn, void *owner,
                       struct net_greeting **out)
{
    struct net_greeting *g = calloc(1, sizeof(*g));
    if (!g) {
        return -ENOMEM;
    }
    g->s = s;
    g->fn = fn;
    g->owner = owner;
    nk_buf_init(&g->bytes, NET_PROXY_MAX);
    nk_timer_init(&g->deadline, app, on_deadline, g);
    nk_timer_start(&g->deadline, NET_GREETING_MS);
    nk_stream_own(s, on_event, g);
    nk_stream_interest(s, NK_READABLE);
    *out = g;
    return 0;
}

const struct net_proxy_header *net_greeting_header(const struct net_greeting *g)
{
    return &g->header;
}

void net_greeting_free(struct net_greeting *g)
{
    if (g) {
        nk_timer_stop(&g->deadline);
        nk_buf_clear(&g->bytes);
        free(g);
    }
}
