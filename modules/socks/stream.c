/* SPDX-License-Identifier: MIT */
/*
 * The stream of both sides: while it lasts, the negotiation (proto.h) is driven here; afterwards
 * every call goes straight to the stream below. README.md has the states.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "core/app.h"
#include "core/clock.h"
#include "core/timer.h"
#include "socks/proto.h"
#include "socks/socks.h"

enum { DRAIN_MAX = 4096 /* bytes of a refused client that are read, so that it sees the answer */ };

/* Only until the stream is open or has failed. */
struct attempt {
    struct socks_proto proto;
    struct socks_addr to;
    struct nk_timer deadline;
    struct nk_preauth preauth;
    struct nk_defer start; /* the stream below was connected before */
    uint64_t timeout_ms;
    char *what;
    int (*explain)(unsigned code, const struct socks_addr *to, struct nk_diag *diag);
};

struct socks_stream {
    struct nk_stream s; /* first */
    struct nk_stream *lower;
    struct attempt *attempt;
    struct socks_addr *bound; /* client, answers of RESOLVE */
    void (*closed)(void *arg);
    void *arg;
    bool server, encrypted;
    struct nk_timer linger; /* until a half-close goes down */
    uint64_t linger_ms, moved_ms;
    bool open, asked; /* asked: server, the owner knows of the request */
    bool want_write, shut;
    int reply; /* client: see socks_client_reply; of an attempt that is over */
};

static struct socks_stream *of(struct nk_stream *s)
{
    return (struct socks_stream *)s;
}

static void attempt_free(struct socks_stream *f)
{
    struct attempt *a = f->attempt;
    if (!a) {
        return;
    }
    f->attempt = NULL;
    nk_timer_stop(&a->deadline);
    nk_preauth_leave(&a->preauth);
    nk_app_defer_cancel(f->s.app, &a->start);
    socks_proto_clear(&a->proto);
    free(a->what);
    free(a);
}

/* --- the end of the negotiation --------------------------------------------------------------- */

/* Writes what waits, without waiting. 0, NK_EAGAIN, or the error. */
static int flush(struct socks_stream *f)
{
    size_t n;
    const uint8_t *p;
    while (p = socks_proto_out(&f->attempt->proto, &n), n > 0) {
        ssize_t put = nk_stream_write(f->lower, p, n);
        if (put < 0) {
            return (int)put;
        }
        socks_proto_sent(&f->attempt->proto, (size_t)put);
    }
    return 0;
}

/* A refused client must get our words: bytes that nobody reads would reset the connection. */
static void bid_farewell(struct socks_stream *f)
{
    uint8_t rest[DRAIN_MAX];
    if (f->lower && f->lower->connected && flush(f) == 0) {
        (void)nk_stream_shutdown(f->lower);
        (void)nk_stream_read(f->lower, rest, sizeof(rest));
    }
}

static int reply_of(const struct socks_proto *p)
{
    if (p->code != UINT8_MAX) {
        return p->code;
    }
    return p->state > SOCKS_AWAIT_CHOICE ? -EAGAIN : -ENOTCONN;
}

static void fail(struct socks_stream *f, int rc, struct nk_diag *why)
{
    f->reply = reply_of(&f->attempt->proto);
    if (f->server) {
        bid_farewell(f);
    }
    if (f->lower) {
        nk_stream_interest(f->lower, 0);
    }
    if (f->attempt->what) {
        nk_fail_context(why, "%s", f->attempt->what);
    }
    attempt_free(f);
    nk_stream_fail(&f->s, rc, why);
}

/* The owner has ended its direction. */
static int pass_end(struct socks_stream *f)
{
    if (f->linger_ms == 0) {
        return nk_stream_shutdown(f->lower);
    }
    f->moved_ms = nk_now_ms(f->s.app);
    nk_timer_start(&f->linger, f->linger_ms);
    return 0;
}

static void on_linger(void *owner)
{
    struct socks_stream *f = owner;
    uint64_t quiet = nk_now_ms(f->s.app) - f->moved_ms;
    if (quiet < f->linger_ms) {
        nk_timer_start(&f->linger, f->linger_ms - quiet);
    } else {
        (void)nk_stream_shutdown(f->lower); /* an error shows at the next read */
    }
}

static void opened(struct socks_stream *f)
{
    attempt_free(f);
    f->open = true;
    if (f->shut) {
        (void)pass_end(f); /* an error shows at the next read or write */
    }
    if (!f->server) {
        nk_stream_raise(&f->s, NK_CONNECTED);
    }
    if (f->want_write) {
        f->want_write = false;
        nk_stream_raise(&f->s, NK_WRITABLE);
    }
    nk_stream_interest(f->lower, f->s.interest);
}

static void client_refused(struct socks_stream *f, int rc, struct nk_diag *why)
{
    const struct attempt *a = f->attempt;
    bool answered = a->proto.code != UINT8_MAX;
    if (answered && a->explain) {
        rc = a->explain(a->proto.code, &a->to, why);
    }
    fail(f, rc, why);
}

/* The answer of RESOLVE is kept, everything else about the attempt is not. */
static void client_open(struct socks_stream *f)
{
    const struct socks_proto *p = &f->attempt->proto;
    if (p->command != SOCKS_CONNECT) {
        f->bound = malloc(sizeof(*f->bound));
        if (!f->bound) {
            struct nk_diag why = {0};
            fail(f, nk_fail_sys(&why, -ENOMEM, "SOCKS"), &why);
            return;
        }
        *f->bound = p->addr;
    }
    opened(f);
}

static void server_asked(struct socks_stream *f)
{
    nk_timer_stop(&f->attempt->deadline);
    nk_preauth_leave(&f->attempt->preauth);
    nk_stream_interest(f->lower, 0);
    f->asked = true;
    nk_stream_raise(&f->s, NK_CONNECTED);
}

/* --- the negotiation -------------------------------------------------------------------------- */

/* One read of what is wanted. 1: go on; 0: wait; otherwise it has failed, why is filled. */
static int receive(struct socks_stream *f, struct nk_diag *why)
{
    size_t want;
    uint8_t *p = socks_proto_room(&f->attempt->proto, &want);
    ssize_t got = want > 0 ? nk_stream_read(f->lower, p, want) : NK_EAGAIN;
    if (got == NK_EAGAIN) {
        return 0;
    }
    if (got == 0) {
        return nk_fail(why, NK_ECLOSED, "the SOCKS %s ended the connection",
                       f->server ? "client" : "server");
    }
    if (got < 0) {
        return nk_fail_sys(why, (int)got, "SOCKS");
    }
    int rc = socks_proto_got(&f->attempt->proto, (size_t)got, why);
    return rc < 0 ? rc : 1;
}

static void run(struct socks_stream *f)
{
    struct nk_diag why = {0};
    int rc, sent;
    do {
        sent = flush(f);
        rc = sent == 0 || sent == NK_EAGAIN ? receive(f, &why) : nk_fail_sys(&why, sent, "SOCKS");
    } while (rc > 0);
    if (rc < 0 && f->server) {
        fail(f, rc, &why);
    } else if (rc < 0) {
        client_refused(f, rc, &why);
    } else if (f->attempt->proto.state == SOCKS_OPEN && sent == 0) {
        client_open(f); /* of a server too: it has no command but CONNECT */
    } else if (f->attempt->proto.state == SOCKS_AWAIT_ANSWER && !f->asked) {
        server_asked(f);
    } else {
        bool reads = f->attempt->proto.state < SOCKS_AWAIT_ANSWER;
        nk_stream_interest(f->lower, (reads ? (unsigned)NK_READABLE : 0) |
                                         (sent == NK_EAGAIN ? (unsigned)NK_WRITABLE : 0));
    }
}

static void on_lower(void *owner, struct nk_stream *lower, unsigned events)
{
    struct socks_stream *f = owner;
    struct nk_diag why = {0};
    if (f->open) {
        nk_stream_raise(&f->s, events & ((unsigned)NK_READABLE | NK_WRITABLE));
    } else if (!f->attempt) {
        return; /* failed: the owner is about to close it */
    } else if (events & NK_CLOSED) {
        int rc = nk_stream_error(lower, &why);
        fail(f, rc < 0 ? rc : nk_fail(&why, NK_ECLOSED, "closed"), &why);
    } else {
        run(f);
    }
}

static void on_start(void *owner)
{
    struct socks_stream *f = owner;
    if (f->lower->connected) {
        run(f);
    }
}

static void on_deadline(void *owner)
{
    struct socks_stream *f = owner;
    struct nk_diag why = {0};
    uint64_t s = (f->attempt->timeout_ms + 999) / 1000;
    fail(f,
         nk_fail(&why, -ETIMEDOUT, "no %s within %llu s",
                 f->server ? "whole SOCKS request" : "answer", (unsigned long long)s),
         &why);
}

/* --- the owner's side ------------------------------------------------------------------------- */

static ssize_t socks_read(struct nk_stream *s, void *p, size_t n)
{
    struct socks_stream *f = of(s);
    ssize_t got = f->open ? nk_stream_read(f->lower, p, n) : NK_EAGAIN;
    if (got > 0 && f->shut && f->linger_ms > 0) {
        f->moved_ms = nk_now_ms(s->app);
    }
    return got;
}

static ssize_t socks_writev(struct nk_stream *s, const struct iovec *iov, int n)
{
    struct socks_stream *f = of(s);
    if (f->shut) {
        return -EPIPE;
    }
    if (f->open) {
        return nk_stream_writev(f->lower, iov, n);
    }
    f->want_write = true;
    return NK_EAGAIN;
}

static int socks_shutdown(struct nk_stream *s)
{
    bool again = of(s)->shut;
    of(s)->shut = true;
    return of(s)->open && !again ? pass_end(of(s)) : 0;
}

static void socks_close(struct nk_stream *s)
{
    struct socks_stream *f = of(s);
    struct attempt *a = f->attempt;
    if (a && f->server && a->proto.state == SOCKS_AWAIT_ANSWER) {
        socks_proto_answer(&a->proto, SOCKS_REPLY_FAILURE);
    }
    if (a && f->server) {
        bid_farewell(f);
    }
    attempt_free(f);
    nk_timer_stop(&f->linger);
    free(f->bound);
    nk_stream_close(f->lower);
    if (f->closed) {
        f->closed(f->arg);
    }
    nk_stream_done(s);
}

static int query_target(const struct socks_stream *f, void *out, size_t *n)
{
    struct nk_target *t = out;
    if (!f->asked || !f->attempt || *n < sizeof(*t)) {
        return -ENOENT;
    }
    const struct socks_proto *p = &f->attempt->proto;
    memset(t, 0, sizeof(*t));
    (void)socks_addr_host(&p->addr, t->host);
    t->port = p->addr.port;
    t->has_login = p->logged_in;
    t->user_len = p->user_len;
    t->password_len = p->password_len;
    memcpy(t->user, p->user, p->user_len);
    memcpy(t->password, p->password, p->password_len);
    *n = sizeof(*t);
    return 0;
}

static int query_int(int value, void *out, size_t *n)
{
    if (*n < sizeof(value)) {
        return -ENOENT;
    }
    memcpy(out, &value, sizeof(value));
    *n = sizeof(value);
    return 0;
}

static int socks_query(struct nk_stream *s, enum nk_query what, void *out, size_t *n)
{
    const struct socks_stream *f = of(s);
    switch (what) {
    case NK_Q_TARGET:
        return query_target(f, out, n);
    case NK_Q_FD:
        return f->open ? nk_stream_query(f->lower, what, out, n) : query_int(-1, out, n);
    case NK_Q_ENCRYPTED:
        if (!f->server) {
            return query_int(f->encrypted, out, n);
        }
        break;
    case NK_Q_PEER:
    case NK_Q_LOCAL:
    case NK_Q_UNSENT:
        break;
    default:
        if (!f->server) {
            return -ENOENT; /* what the stream below knows is about the proxy */
        }
    }
    return f->lower ? nk_stream_query(f->lower, what, out, n) : -ENOENT;
}

static void socks_interest(struct nk_stream *s)
{
    if (of(s)->open) {
        nk_stream_interest(of(s)->lower, s->interest);
    }
}

static int socks_tune(struct nk_stream *s, enum nk_tune what, int value)
{
    return of(s)->lower ? nk_stream_tune(of(s)->lower, what, value) : -ENOENT;
}

static int socks_answer(struct nk_stream *s, int error)
{
    struct socks_stream *f = of(s);
    if (!f->asked || !f->attempt || f->attempt->proto.state != SOCKS_AWAIT_ANSWER) {
        return -EINVAL;
    }
    socks_proto_answer(&f->attempt->proto, socks_reply_for(error));
    if (error == 0) {
        run(f);
    }
    return 0;
}

static const struct nk_stream_ops socks_ops = {
    .name = "socks5",
    .read = socks_read,
    .writev = socks_writev,
    .shutdown = socks_shutdown,
    .close = socks_close,
    .query = socks_query,
    .interest = socks_interest,
    .tune = socks_tune,
    .answer = socks_answer,
};

/* --- making one ------------------------------------------------------------------------------- */

static struct socks_stream *stream_new(struct nk_app *app, uint64_t timeout_ms)
{
    struct socks_stream *f = calloc(1, sizeof(*f));
    struct attempt *a = calloc(1, sizeof(*a));
    if (!f || !a) {
        free(f);
        free(a);
        return NULL;
    }
    nk_stream_init(&f->s, &socks_ops, app);
    f->attempt = a;
    nk_timer_init(&f->linger, app, on_linger, f);
    a->start = (struct nk_defer){.fn = on_start, .owner = f};
    a->timeout_ms = timeout_ms;
    nk_timer_init(&a->deadline, app, on_deadline, f);
    if (timeout_ms > 0) {
        nk_timer_start(&a->deadline, timeout_ms);
    }
    return f;
}

static void take_lower(struct socks_stream *f, struct nk_stream *lower)
{
    f->lower = lower;
    nk_stream_own(lower, on_lower, f);
    if (lower->connected) {
        nk_app_defer(f->s.app, &f->attempt->start);
    }
}

int socks_client_new(struct nk_app *app, const struct socks_client_conf *conf,
                     struct nk_stream **out)
{
    const struct socks_ask ask = {.command = conf->command ? conf->command : SOCKS_CONNECT,
                                  .addr = conf->to,
                                  .login = conf->login,
                                  .login_only = conf->login_only,
                                  .pipeline = conf->pipeline};
    char *what = conf->what ? strdup(conf->what) : NULL;
    struct socks_stream *f = conf->what && !what ? NULL : stream_new(app, conf->timeout_ms);
    if (!f) {
        free(what);
        return -ENOMEM;
    }
    struct attempt *a = f->attempt;
    socks_proto_client(&a->proto, &ask);
    f->encrypted = conf->encrypted;
    a->to = conf->to;
    a->what = what;
    a->explain = conf->explain;
    f->linger_ms = conf->linger_ms;
    f->closed = conf->closed;
    f->arg = conf->arg;
    *out = &f->s;
    return 0;
}

void socks_client_take(struct nk_stream *s, struct nk_stream *lower)
{
    if (!of(s)->attempt) { /* its time is over, and the owner does not know yet */
        nk_stream_close(lower);
        return;
    }
    take_lower(of(s), lower);
}

void socks_client_fail(struct nk_stream *s, int error, const struct nk_diag *why)
{
    struct nk_diag copy = {0};
    if (why) {
        copy = *why;
    } else {
        nk_fail(&copy, error, "%s", nk_strerror(error));
    }
    if (of(s)->attempt) {
        fail(of(s), error, &copy);
    }
}

int socks_client_wrap(struct nk_app *app, const struct socks_client_conf *conf,
                      struct nk_stream *lower, struct nk_stream **out, struct nk_diag *diag)
{
    struct nk_stream *s;
    if (socks_client_new(app, conf, &s) < 0) {
        nk_stream_close(lower);
        return nk_fail_sys(diag, -ENOMEM, "SOCKS");
    }
    take_lower(of(s), lower);
    *out = s;
    return 0;
}

int socks_client_bound(const struct nk_stream *s, struct socks_addr *out)
{
    const struct socks_stream *f = (const struct socks_stream *)s;
    if (!f->bound) {
        return -ENOENT;
    }
    *out = *f->bound;
    return 0;
}

int socks_client_reply(const struct nk_stream *s)
{
    const struct socks_stream *f = (const struct socks_stream *)s;
    return f->attempt ? reply_of(&f->attempt->proto) : f->reply;
}

/* The pool of unauthenticated connections is full: the oldest makes room. */
static void on_drop(void *owner)
{
    struct nk_diag why = {0};
    fail(owner, nk_fail(&why, NK_ELIMIT, "too many clients that have not asked for anything yet"),
         &why);
}

int socks_server_wrap(struct nk_app *app, const struct socks_server_conf *conf,
                      struct nk_stream *lower, struct nk_stream **out, struct nk_diag *diag)
{
    struct socks_stream *f = stream_new(app, conf->handshake_ms);
    if (!f) {
        nk_stream_close(lower);
        return nk_fail_sys(diag, -ENOMEM, "SOCKS");
    }
    struct attempt *a = f->attempt;
    f->server = true;
    socks_proto_server(&a->proto, conf->takes4, conf->need);
    a->preauth.drop = on_drop;
    a->preauth.owner = f;
    nk_preauth_enter(nk_app_preauth(app), &a->preauth);
    take_lower(f, lower);
    if (nk_preauth_charge(&a->preauth, sizeof(*f) + sizeof(*a)) < 0) {
        nk_stream_close(&f->s);
        return nk_fail_sys(diag, NK_ELIMIT, "SOCKS");
    }
    *out = &f->s;
    return 0;
}
