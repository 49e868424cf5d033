/* SPDX-License-Identifier: MIT */
#include "ssh/channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app.h"
#include "core/clock.h"
#include "core/stream.h"
#include "ssh/inbox.h"

_Static_assert((int)SSH_INBOX_PIECES <= (int)NK_PEEK_PIECES, "all of them are lent");

enum {
    KEPT = 4 * 1024,        /* memory that an empty stream keeps; more is given to the next one */
    SPARE_MAX = 512 * 1024, /* that waits for the next one */
    OPEN_DATA_MAX = 4096
};

struct channel {
    struct nk_stream s;     /* first */
    struct ssh_channel *ch; /* NULL: gone */
    struct ssh_inbox in;
    bool opened;                   /* NK_CONNECTED is on its way, or was delivered */
    bool ended;                    /* the server sends no more */
    int error;                     /* the connection ended */
    char *request;                 /* to be asked once it is open; text behind its NUL */
    struct ssh_channel_wait *wait; /* for a connection */
    unsigned *waiting;             /* the server waits for our answer, and is counted there */
    void (*closed)(void *arg);
    void *arg;
    char peer[SSH_CHANNEL_PEER_MAX];
};

/* A channel in a queue. */
struct ssh_channel_wait {
    struct ssh_channel_queue *q;
    struct channel *c;
    struct ssh_channel_wait *prev, *next;
    uint64_t since_ms;
    char *type;
    struct nk_buf data;
};

static struct channel *of(struct nk_stream *s)
{
    return (struct channel *)s;
}

/* --- memory ----------------------------------------------------------------------------------- */

static const char spare_key = 0; /* its address names the spare memory in an app */

static void spare_free(void *value)
{
    nk_buf_clear(value);
    free(value);
}

/* What one stream has emptied, the next one fills: bulk causes no allocations, and what is idle
 * holds no memory. NULL when there is none of it for that. */
static struct nk_buf *spare(struct nk_app *app)
{
    struct nk_buf *b = nk_app_slot(app, &spare_key);
    if (!b && (b = malloc(sizeof(*b))) != NULL) {
        nk_buf_init(b, SSH_WINDOW_MAX);
        if (nk_app_slot_set(app, &spare_key, b, spare_free) < 0) {
            free(b);
            b = NULL;
        }
    }
    return b;
}

/* Both are empty and have the same maximum. */
static void exchange(struct nk_buf *a, struct nk_buf *b)
{
    struct nk_buf was = *a;
    *a = *b;
    *b = was;
}

static void fail(struct channel *c, int error);

/* What is lent has to be copied. */
static void keep(struct channel *c)
{
    struct nk_buf *in = &c->in.kept;
    struct nk_buf *b = nk_buf_len(in) == 0 && in->cap < c->in.bytes ? spare(c->s.app) : NULL;
    if (b && b->cap > in->cap) {
        exchange(in, b);
    }
    int rc = ssh_inbox_keep(&c->in);
    if (rc < 0) {
        fail(c, rc);
    }
}

static void emptied(struct channel *c)
{
    struct nk_buf *in = &c->in.kept;
    if (in->cap <= KEPT) {
        return;
    }
    struct nk_buf *b = in->cap <= SPARE_MAX ? spare(c->s.app) : NULL;
    if (b && b->cap < in->cap) {
        exchange(in, b);
    }
    if (in->cap > KEPT) {
        nk_buf_clear(in);
    }
}

/* Nothing may be missing in between. */
static void fail(struct channel *c, int error)
{
    c->error = error;
    ssh_channel_close(c->ch);
    c->ch = NULL;
    nk_stream_again(&c->s);
}

/* --- the stream ------------------------------------------------------------------------------- */

static const struct ssh_channel_ops channel_ops;

static bool channel_waits(struct nk_stream *s)
{
    return of(s)->waiting != NULL;
}

static void answered(struct channel *c)
{
    --*c->waiting;
    c->waiting = NULL;
}

static int channel_answer(struct nk_stream *s, int error)
{
    struct channel *c = of(s);
    if (!c->waiting) {
        return -ENOENT;
    }
    answered(c);
    if (!c->ch) {
        return c->error ? c->error : NK_ECLOSED;
    }
    if (error == 0) {
        return ssh_channel_accept(c->ch, &channel_ops, c);
    }
    struct ssh_channel *ch = c->ch;
    c->ch = NULL;
    c->error = error;
    return ssh_channel_refuse(ch, error == NK_EAUTH ? SSH_REFUSED_PROHIBITED : SSH_REFUSED_CONNECT,
                              nk_strerror(error));
}

/* Whoever uses it without an answer says yes. */
static void used(struct channel *c)
{
    if (c->waiting) {
        (void)channel_answer(&c->s, 0); /* a dead sink ends the connection by itself */
    }
}

static void channel_consume(struct nk_stream *s, size_t n)
{
    struct channel *c = of(s);
    ssh_inbox_consume(&c->in, n);
    if (c->ch) {
        (void)ssh_channel_consumed(c->ch, n); /* a dead sink ends the connection by itself */
    }
    if (ssh_inbox_len(&c->in) > 0 || c->ended || c->error) {
        nk_stream_again(s);
    } else {
        emptied(c);
    }
}

static ssize_t channel_peek(struct nk_stream *s, struct iovec iov[NK_PEEK_PIECES])
{
    struct channel *c = of(s);
    used(c);
    if (ssh_inbox_len(&c->in) == 0) {
        return c->error < 0 ? c->error : c->ended ? 0 : NK_EAGAIN;
    }
    return ssh_inbox_pieces(&c->in, iov);
}

static ssize_t channel_read(struct nk_stream *s, void *p, size_t n)
{
    struct iovec iov[NK_PEEK_PIECES];
    ssize_t pieces = channel_peek(s, iov);
    size_t done = 0;
    if (pieces <= 0) {
        return pieces;
    }
    for (ssize_t i = 0; i < pieces && done < n; i++) {
        size_t some = iov[i].iov_len < n - done ? iov[i].iov_len : n - done;
        memcpy((uint8_t *)p + done, iov[i].iov_base, some);
        done += some;
    }
    channel_consume(s, done);
    return (ssize_t)done;
}

static ssize_t channel_writev(struct nk_stream *s, const struct iovec *iov, int n)
{
    struct channel *c = of(s);
    used(c);
    if (!c->ch) {
        return c->error ? c->error : -EPIPE;
    }
    return ssh_channel_writev(c->ch, iov, n);
}

static int channel_shutdown(struct nk_stream *s)
{
    struct channel *c = of(s);
    used(c);
    return c->ch ? ssh_channel_eof(c->ch) : 0;
}

static void wait_free(struct ssh_channel_wait *w)
{
    if (!w) {
        return;
    }
    struct ssh_channel_queue *q = w->q;
    if (q->first == w) {
        q->first = w->next;
    } else {
        w->prev->next = w->next;
    }
    if (q->last == w) {
        q->last = w->prev;
    } else {
        w->next->prev = w->prev;
    }
    q->n--;
    w->c->wait = NULL;
    nk_buf_clear(&w->data);
    free(w->type);
    free(w);
}

static void give_back(struct channel *c)
{
    wait_free(c->wait);
    if (c->waiting) {
        answered(c);
    }
    ssh_channel_close(c->ch);
    ssh_inbox_clear(&c->in);
    free(c->request);
}

static void channel_close(struct nk_stream *s)
{
    struct channel *c = of(s);
    give_back(c);
    if (c->closed) {
        c->closed(c->arg);
    }
    nk_stream_done(s);
}

static int channel_query(struct nk_stream *s, enum nk_query what, void *out, size_t *n)
{
    int no = 0;
    const char *text = of(s)->peer;
    if (what == NK_Q_ENCRYPTED && *n >= sizeof(no)) { /* the server sees everything */
        memcpy(out, &no, sizeof(no));
        *n = sizeof(no);
        return 0;
    }
    if (what != NK_Q_PEER || *n == 0) {
        return -ENOENT;
    }
    size_t len = strnlen(text, *n - 1);
    memcpy(out, text, len);
    ((char *)out)[len] = '\0';
    *n = len;
    return 0;
}

static void channel_interest(struct nk_stream *s)
{
    struct channel *c = of(s);
    if (s->interest & NK_READABLE) {
        used(c);
    }
    if (s->interest & NK_READABLE && (ssh_inbox_len(&c->in) > 0 || c->ended || c->error)) {
        nk_stream_again(s);
    }
}

static const struct nk_stream_ops stream_ops = {.name = "ssh",
                                                .read = channel_read,
                                                .writev = channel_writev,
                                                .shutdown = channel_shutdown,
                                                .close = channel_close,
                                                .query = channel_query,
                                                .answer = channel_answer,
                                                .waits = channel_waits,
                                                .interest = channel_interest,
                                                .peek = channel_peek,
                                                .consume = channel_consume};

/* --- the channel ------------------------------------------------------------------------------ */

static void connected(struct channel *c)
{
    c->opened = true;
    nk_stream_raise(&c->s, NK_CONNECTED);
}

static void refused(struct channel *c, int code, const char *text)
{
    struct nk_diag why;
    ssh_channel_close(c->ch);
    c->ch = NULL;
    c->error = code;
    ssh_inbox_clear(&c->in); /* nobody says any more when it has to be kept */
    nk_stream_fail(&c->s, code, (nk_fail(&why, code, "%s", text), &why));
}

static void on_agreed(void *owner, int ok, struct ssh_str data)
{
    struct channel *c = owner;
    (void)data;
    if (ok > 0) {
        connected(c);
    } else if (ok == 0) {
        refused(c, NK_EUNSUPPORTED, "the server does not do that");
    } /* else on_closed follows */
}

static void on_open(void *owner, struct ssh_channel *ch, struct ssh_str data)
{
    struct channel *c = owner;
    (void)data;
    if (!c->request) {
        connected(c);
        return;
    }
    const char *text = c->request + strlen(c->request) + 1;
    struct nk_buf b;
    nk_buf_init(&b, sizeof(uint32_t) + SSH_DATA_MAX);
    int rc = ssh_put_text(&b, text);
    rc = rc < 0
             ? rc
             : ssh_channel_request(ch, c->request, (struct ssh_str){nk_buf_ptr(&b), nk_buf_len(&b)},
                                   on_agreed, c);
    nk_buf_clear(&b);
    if (rc < 0) {
        refused(c, rc, "cannot ask the server");
    }
}

static void on_failed(void *owner, struct ssh_channel *ch, uint32_t reason,
                      const struct nk_diag *why)
{
    struct channel *c = owner;
    (void)ch;
    (void)reason;
    c->ch = NULL;
    nk_stream_fail(&c->s, why ? why->code : NK_ECLOSED, why);
}

static void on_data(void *owner, struct ssh_channel *ch, uint32_t kind, const uint8_t *p, size_t n)
{
    struct channel *c = owner;
    if (kind != 0) {
        (void)ssh_channel_consumed(ch, n);
        return;
    }
    int rc = ssh_inbox_lend(&c->in, p, n);
    if (rc < 0) {
        fail(c, rc);
    }
    nk_stream_again(&c->s);
}

static void on_keep(void *owner, struct ssh_channel *ch)
{
    (void)ch;
    keep(owner);
}

static void on_eof(void *owner, struct ssh_channel *ch)
{
    struct channel *c = owner;
    (void)ch;
    c->ended = true;
    nk_stream_again(&c->s);
}

static void on_writable(void *owner, struct ssh_channel *ch)
{
    struct channel *c = owner;
    (void)ch;
    nk_stream_raise(&c->s, NK_WRITABLE);
}

static void on_closed(void *owner, struct ssh_channel *ch, const struct nk_diag *why)
{
    struct channel *c = owner;
    (void)ch;
    c->ch = NULL;
    c->ended = true;
    keep(c);
    c->error = c->error ? c->error : why && why->code < 0 ? why->code : 0;
    if (!c->opened) {
        nk_stream_fail(&c->s, c->error ? c->error : NK_ECLOSED, why);
        return;
    }
    nk_stream_again(&c->s);
    nk_stream_raise(&c->s, NK_WRITABLE); /* whoever waits for that learns it */
}

static const struct ssh_channel_ops channel_ops = {.on_open = on_open,
                                                   .on_failed = on_failed,
                                                   .on_data = on_data,
                                                   .on_keep = on_keep,
                                                   .on_eof = on_eof,
                                                   .on_writable = on_writable,
                                                   .on_closed = on_closed};

/* --- making ----------------------------------------------------------------------------------- */

static int keep_request(struct channel *c, const struct ssh_channel_conf *conf)
{
    if (!conf->request) {
        return 0;
    }
    size_t name = strlen(conf->request) + 1, text = strlen(conf->request_text) + 1;
    c->request = malloc(name + text);
    if (!c->request) {
        return -ENOMEM;
    }
    memcpy(c->request, conf->request, name);
    memcpy(c->request + name, conf->request_text, text);
    return 0;
}

static struct channel *make(struct nk_app *app, const char *peer)
{
    struct channel *c = calloc(1, sizeof(*c));
    if (c) {
        nk_stream_init(&c->s, &stream_ops, app);
        ssh_inbox_init(&c->in, SSH_WINDOW_MAX);
        (void)snprintf(c->peer, sizeof(c->peer), "%s", peer);
    }
    return c;
}

static int queue(struct channel *c, struct ssh_channel_queue *q,
                 const struct ssh_channel_conf *conf)
{
    struct ssh_channel_wait *w = calloc(1, sizeof(*w));
    char *type = w ? strdup(conf->type) : NULL;
    if (!type) {
        free(w);
        return -ENOMEM;
    }
    *w = (struct ssh_channel_wait){.q = q, .c = c, .type = type, .since_ms = nk_now_ms(c->s.app)};
    nk_buf_init(&w->data, OPEN_DATA_MAX);
    w->prev = q->last;
    if (q->last) {
        q->last->next = w;
    } else {
        q->first = w;
    }
    q->last = w;
    q->n++;
    c->wait = w;
    return nk_buf_put(&w->data, conf->data.p, conf->data.n);
}

int ssh_channel_dial_at(struct nk_app *app, const struct ssh_channel_place *place,
                        const struct ssh_channel_conf *conf, struct nk_stream **out,
                        struct nk_diag *diag)
{
    struct channel *c = make(app, conf->peer);
    int rc = c ? keep_request(c, conf) : -ENOMEM;
    if (rc == 0 && place->now) {
        rc = ssh_channel_open(place->now, conf->type, conf->data, &channel_ops, c, &c->ch, diag);
    } else if (rc == 0) {
        rc = place->later ? queue(c, place->later, conf) : NK_ECLOSED;
    }
    if (rc == -ENOMEM || rc == NK_ETOOBIG) {
        (void)nk_fail_sys(diag, rc, "cannot open a channel");
    }
    if (rc < 0 && c) {
        channel_close(&c->s);
    }
    if (rc < 0) {
        return rc;
    }
    c->closed = place->closed;
    c->arg = place->arg;
    *out = &c->s;
    return 0;
}

void ssh_channel_queue_open(struct ssh_channel_queue *q, struct ssh_channels *set)
{
    for (struct ssh_channel_wait *w = q->first, *next; w; w = next) {
        struct channel *c = w->c;
        next = w->next;
        struct nk_diag why = {0};
        const struct ssh_str data = {nk_buf_ptr(&w->data), nk_buf_len(&w->data)};
        int rc = ssh_channel_open(set, w->type, data, &channel_ops, c, &c->ch, &why);
        wait_free(w);
        if (rc < 0) {
            nk_stream_fail(&c->s, rc, &why);
        }
    }
}

void ssh_channel_queue_fail(struct ssh_channel_queue *q, uint64_t before_ms,
                            const struct nk_diag *why)
{
    for (struct ssh_channel_wait *w = q->first, *next; w && w->since_ms <= before_ms; w = next) {
        struct channel *c = w->c;
        next = w->next;
        wait_free(w);
        nk_stream_fail(&c->s, why->code < 0 ? why->code : NK_ECLOSED, why);
    }
}

uint64_t ssh_channel_queue_since(const struct ssh_channel_queue *q)
{
    return q->first ? q->first->since_ms : UINT64_MAX;
}

int ssh_channel_take(struct nk_app *app, struct ssh_channel *ch, const char *peer,
                     unsigned *waiting, void (*closed)(void *arg), void *arg,
                     struct nk_stream **out)
{
    struct channel *c = make(app, peer);
    if (!c) {
        (void)ssh_channel_refuse(ch, SSH_REFUSED_RESOURCES, "");
        return -ENOMEM;
    }
    ssh_channel_own(ch, &channel_ops, c); /* on_closed is all that can come before the answer */
    c->ch = ch;
    c->waiting = waiting;
    ++*waiting;
    c->closed = closed;
    c->arg = arg;
    connected(c);
    *out = &c->s;
    return 0;
}

/* --- where to --------------------------------------------------------------------------------- */

static int filled(struct ssh_channel_to *to, int rc, struct nk_diag *diag)
{
    to->conf.data = (struct ssh_str){nk_buf_ptr(&to->data), nk_buf_len(&to->data)};
    to->conf.peer = to->peer;
    if (rc < 0) {
        nk_buf_clear(&to->data);
        return nk_fail_sys(diag, rc, "cannot open a channel to %s", to->peer);
    }
    return 0;
}

int ssh_channel_to_tcp(struct ssh_channel_to *to, const char *host, uint16_t port,
                       struct nk_diag *diag)
{
    *to = (struct ssh_channel_to){.conf.type = "direct-tcpip"};
    nk_buf_init(&to->data, OPEN_DATA_MAX);
    (void)snprintf(to->peer, sizeof(to->peer), strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
    int rc = ssh_put_text(&to->data, host);
    rc = rc < 0 ? rc : nk_buf_be32(&to->data, port);
    rc = rc < 0 ? rc : ssh_put_text(&to->data, "127.0.0.1"); /* whoever asks is nobody's business */
    rc = rc < 0 ? rc : nk_buf_be32(&to->data, 0);
    return filled(to, rc, diag);
}

int ssh_channel_to_unix(struct ssh_channel_to *to, const char *path, struct nk_diag *diag)
{
    *to = (struct ssh_channel_to){.conf.type = "direct-streamlocal@openssh.com"};
    nk_buf_init(&to->data, OPEN_DATA_MAX);
    (void)snprintf(to->peer, sizeof(to->peer), "%s", path);
    int rc = ssh_put_text(&to->data, path);
    rc = rc < 0 ? rc : ssh_put_text(&to->data, ""); /* reserved */
    rc = rc < 0 ? rc : nk_buf_be32(&to->data, 0);
    return filled(to, rc, diag);
}

void ssh_channel_to_clear(struct ssh_channel_to *to)
{
    nk_buf_clear(&to->data);
}

/* --- in short --------------------------------------------------------------------------------- */

int ssh_channel_dial(struct nk_app *app, struct ssh_channels *set,
                     const struct ssh_channel_conf *conf, struct nk_stream **out,
                     struct nk_diag *diag)
{
    const struct ssh_channel_place place = {.now = set};
    return ssh_channel_dial_at(app, &place, conf, out, diag);
}

static int dial(struct nk_app *app, struct ssh_channels *set, struct ssh_channel_to *to, int rc,
                struct nk_stream **out, struct nk_diag *diag)
{
    if (rc == 0) {
        rc = ssh_channel_dial(app, set, &to->conf, out, diag);
        ssh_channel_to_clear(to);
    }
    return rc;
}

int ssh_channel_dial_tcp(struct nk_app *app, struct ssh_channels *set, const char *host,
                         uint16_t port, struct nk_stream **out, struct nk_diag *diag)
{
    struct ssh_channel_to to;
    return dial(app, set, &to, ssh_channel_to_tcp(&to, host, port, diag), out, diag);
}

int ssh_channel_dial_unix(struct nk_app *app, struct ssh_channels *set, const char *path,
                          struct nk_stream **out, struct nk_diag *diag)
{
    struct ssh_channel_to to;
    return dial(app, set, &to, ssh_channel_to_unix(&to, path, diag), out, diag);
}
