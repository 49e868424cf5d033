/* SPDX-License-Identifier: MIT */
/*
 * mem:NAME - pipes inside the process, for tests: two bounded queues per connection, with pieces as
 * small as wanted and resets at a chosen byte. Names live in the app that listens on them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app.h"
#include "core/registry.h"

struct mem_conf {
    uint64_t capacity; /* bytes per direction */
    uint64_t chunk;    /* most bytes in one read or write; 0 = any number */
    uint64_t
        reset_after; /* both ends see ECONNRESET after so many bytes were written by this one */
};

static const struct nk_opt params[] = {{.name = "capacity",
                                        .type = NK_OPT_SIZE,
                                        .offset = NK_FIELD(struct mem_conf, capacity),
                                        .arg = "SIZE",
                                        .def = "64k",
                                        .min = 1,
                                        .max = 1 << 30,
                                        .help = "Bytes held per direction"},
                                       {.name = "chunk",
                                        .type = NK_OPT_SIZE,
                                        .offset = NK_FIELD(struct mem_conf, chunk),
                                        .arg = "SIZE",
                                        .min = 1,
                                        .max = 1 << 30,
                                        .help = "Most bytes moved by one call"},
                                       {.name = "reset_after",
                                        .type = NK_OPT_SIZE,
                                        .offset = NK_FIELD(struct mem_conf, reset_after),
                                        .arg = "SIZE",
                                        .min = 1,
                                        .max = 1 << 30,
                                        .help = "Reset after so many bytes from this end"},
                                       NK_OPT_END};

/* --- connections ------------------------------------------------------------------------------ */

struct queue {
    uint8_t *data;
    size_t cap, off, len;
};

struct mem_stream {
    struct nk_stream s;
    struct mem_stream *peer; /* NULL: closed */
    struct queue in;         /* what the peer wrote and we have not read */
    size_t chunk;
    uint64_t reset_left; /* bytes until the reset; 0 = never */
    bool want_write;
    bool shut;  /* no more writes from us */
    bool ended; /* the peer shut down or closed */
    int error;  /* reset */
    char name[64];
};

static struct mem_stream *of(struct nk_stream *s)
{
    return (struct mem_stream *)s;
}

static size_t piece(const struct mem_stream *m, size_t n)
{
    return m->chunk && n > m->chunk ? m->chunk : n;
}

/* Copies n (<= len) bytes out of the ring. */
static void queue_get(struct queue *q, uint8_t *out, size_t n)
{
    size_t first = q->cap - q->off < n ? q->cap - q->off : n;
    memcpy(out, q->data + q->off, first);
    memcpy(out + first, q->data, n - first);
    q->off = (q->off + n) % q->cap;
    q->len -= n;
}

static void queue_put(struct queue *q, const uint8_t *p, size_t n)
{
    size_t at = (q->off + q->len) % q->cap;
    size_t first = q->cap - at < n ? q->cap - at : n;
    memcpy(q->data + at, p, first);
    memcpy(q->data, p + first, n - first);
    q->len += n;
}

static ssize_t mem_read(struct nk_stream *s, void *p, size_t n)
{
    struct mem_stream *m = of(s);
    if (m->in.len == 0) {
        return m->error ? m->error : m->ended ? 0 : NK_EAGAIN;
    }
    n = piece(m, n < m->in.len ? n : m->in.len);
    queue_get(&m->in, p, n);
    if (m->in.len > 0 || m->ended || m->error) {
        nk_stream_again(s);
    }
    if (m->peer && m->peer->want_write) {
        m->peer->want_write = false;
        nk_stream_raise(&m->peer->s, NK_WRITABLE);
    }
    return (ssize_t)n;
}

static void reset_pair(struct mem_stream *m)
{
    m->error = -ECONNRESET;
    nk_stream_again(&m->s);
    if (m->peer) {
        m->peer->error = -ECONNRESET;
        nk_stream_again(&m->peer->s);
    }
}

/* What fits of one buffer; less than asked means the peer's queue is full. */
static size_t put_some(struct mem_stream *m, const void *p, size_t n)
{
    struct queue *q = &m->peer->in;
    size_t room = q->cap - q->len;
    n = n < room ? n : room;
    if (m->reset_left && n > m->reset_left) {
        n = (size_t)m->reset_left;
    }
    queue_put(q, p, n);
    return n;
}

static ssize_t mem_writev(struct nk_stream *s, const struct iovec *iov, int n)
{
    struct mem_stream *m = of(s);
    size_t total = 0, left = m->chunk ? m->chunk : SIZE_MAX;
    if (m->error || m->shut || !m->peer) {
        return m->error ? m->error : -EPIPE;
    }
    bool all = true;
    for (int i = 0; i < n && all && !m->error; i++) {
        size_t want = iov[i].iov_len < left ? iov[i].iov_len : left;
        size_t put = put_some(m, iov[i].iov_base, want);
        all = put == iov[i].iov_len;
        left -= put;
        total += put;
        if (m->reset_left && (m->reset_left -= put) == 0) {
            reset_pair(m);
        }
    }
    if (total > 0) {
        nk_stream_again(&m->peer->s);
    }
    if (!all && !m->error) {
        if (m->peer->in.len < m->peer->in.cap) {
            nk_stream_raise(s, NK_WRITABLE); /* only the chunk was used up */
        } else {
            m->want_write = true;
        }
    }
    return total > 0 || all ? (ssize_t)total : m->error ? m->error : NK_EAGAIN;
}

static int mem_shutdown(struct nk_stream *s)
{
    struct mem_stream *m = of(s);
    if (!m->shut && m->peer) {
        m->peer->ended = true;
        nk_stream_again(&m->peer->s);
    }
    m->shut = true;
    return 0;
}

static void mem_close(struct nk_stream *s)
{
    struct mem_stream *m = of(s);
    if (m->peer) {
        struct mem_stream *p = m->peer;
        p->peer = NULL;
        p->ended = true;
        if (m->in.len > 0) {
            p->error = -ECONNRESET; /* as TCP: bytes that nobody read reset the connection */
        }
        nk_stream_again(&p->s);
        if (p->want_write) {
            p->want_write = false;
            nk_stream_raise(&p->s, NK_WRITABLE);
        }
    }
    free(m->in.data);
    m->in.data = NULL;
    nk_stream_done(s);
}

static int mem_query(struct nk_stream *s, enum nk_query what, void *out, size_t *n)
{
    if ((what == NK_Q_PEER || what == NK_Q_LOCAL) && *n > 0) {
        snprintf(out, *n, "mem:%s", of(s)->name);
        *n = strlen(out) + 1;
        return 0;
    }
    if (what == NK_Q_ENCRYPTED && *n >= sizeof(int)) {
        memset(out, 0, sizeof(int));
        *n = sizeof(int);
        return 0;
    }
    return -ENOENT;
}

static void mem_interest(struct nk_stream *s)
{
    (void)s; /* core remembers what is due */
}

static const struct nk_stream_ops mem_ops = {
    .name = "mem",
    .read = mem_read,
    .writev = mem_writev,
    .shutdown = mem_shutdown,
    .close = mem_close,
    .query = mem_query,
    .interest = mem_interest,
};

static struct mem_stream *new_end(struct nk_app *app, const struct mem_conf *conf, const char *name)
{
    struct mem_stream *m = calloc(1, sizeof(*m));
    uint8_t *data = malloc((size_t)conf->capacity);
    if (!m || !data) {
        free(m);
        free(data);
        return NULL;
    }
    nk_stream_init(&m->s, &mem_ops, app);
    m->in = (struct queue){.data = data, .cap = (size_t)conf->capacity};
    m->chunk = (size_t)conf->chunk;
    m->reset_left = conf->reset_after;
    snprintf(m->name, sizeof(m->name), "%s", name);
    return m;
}

/* --- names ------------------------------------------------------------------------------------ */

struct mem_listener {
    struct nk_listener l;
    struct mem_listener *next;
    struct mem_listener **head;
    struct nk_stream *waiting[32]; /* accepted in the next turn; more are refused */
    size_t nwaiting;
    struct nk_defer hand_over, gone;
    struct mem_conf conf;
    bool paused;
    char name[64];
};

static const char slot_key = 0; /* its address names the list of listeners in an app */

static void free_list(void *value)
{
    free(value);
}

/* The list's head, which lives as long as the app; NULL without memory. */
static struct mem_listener **listeners(struct nk_app *app)
{
    struct mem_listener **head = nk_app_slot(app, &slot_key);
    if (head) {
        return head;
    }
    head = calloc(1, sizeof(*head)); /* NOLINT(bugprone-sizeof-expression): a pointer is meant */
    if (head && nk_app_slot_set(app, &slot_key, head, free_list) < 0) {
        free(head);
        head = NULL;
    }
    return head;
}

static struct mem_listener *find(struct mem_listener *list, const char *name)
{
    while (list && strcmp(list->name, name) != 0) {
        list = list->next;
    }
    return list;
}

static void on_hand_over(void *owner)
{
    struct mem_listener *l = owner;
    if (l->paused || l->nwaiting == 0) {
        return;
    }
    struct nk_stream *s = l->waiting[0];
    l->nwaiting--;
    memmove(l->waiting, l->waiting + 1, l->nwaiting * sizeof(struct nk_stream *));
    if (l->nwaiting > 0) {
        nk_app_defer(l->l.app, &l->hand_over);
    }
    nk_stream_raise(s, NK_CONNECTED);
    l->l.on_accept(l->l.owner, &l->l, s); /* last: it may close the listener */
}

static void on_gone(void *owner)
{
    free(owner);
}

static void mem_listener_close(struct nk_listener *base)
{
    struct mem_listener *l = (struct mem_listener *)base;
    struct mem_listener **p = l->head;
    while (*p != l) {
        p = &(*p)->next;
    }
    *p = l->next;
    for (size_t i = 0; i < l->nwaiting; i++) {
        nk_stream_close(l->waiting[i]);
    }
    nk_app_defer_cancel(base->app, &l->hand_over);
    l->gone = (struct nk_defer){.fn = on_gone, .owner = l};
    nk_app_defer(base->app, &l->gone);
}

static void mem_listener_pause(struct nk_listener *base, int paused)
{
    struct mem_listener *l = (struct mem_listener *)base;
    l->paused = paused != 0;
    if (!paused) {
        nk_app_defer(base->app, &l->hand_over);
    }
}

static int mem_listener_local(struct nk_listener *base, char *out, size_t max)
{
    int n = snprintf(out, max, "mem:%s", ((struct mem_listener *)base)->name);
    return n >= 0 && (size_t)n < max ? 0 : NK_ETOOBIG;
}

static const struct nk_listener_ops mem_listener_ops = {
    .name = "mem",
    .close = mem_listener_close,
    .pause = mem_listener_pause,
    .local = mem_listener_local,
};

static int mem_listen(struct nk_app *app, const struct nk_ep_layer *layer, nk_accept_fn *fn,
                      void *owner, struct nk_listener **out, struct nk_diag *diag)
{
    struct mem_listener **head = listeners(app);
    struct mem_listener *l = head ? calloc(1, sizeof(*l)) : NULL;
    if (!l) {
        return nk_fail_sys(diag, -ENOMEM, "mem:%s", layer->body);
    }
    if (find(*head, layer->body)) {
        free(l);
        return nk_fail_sys(diag, -EADDRINUSE, "mem:%s", layer->body);
    }
    nk_listener_init(&l->l, &mem_listener_ops, app, fn, owner);
    l->hand_over = (struct nk_defer){.fn = on_hand_over, .owner = l};
    l->conf = *(const struct mem_conf *)layer->conf;
    snprintf(l->name, sizeof(l->name), "%s", layer->body);
    l->head = head;
    l->next = *head;
    *head = l;
    *out = &l->l;
    return 0;
}

static int mem_dial(struct nk_app *app, const struct nk_ep_layer *layer, struct nk_stream **out,
                    struct nk_diag *diag)
{
    struct mem_listener **head = listeners(app);
    struct mem_listener *l = head ? find(*head, layer->body) : NULL;
    struct mem_stream *a = new_end(app, layer->conf, layer->body);
    if (!a) {
        return nk_fail_sys(diag, -ENOMEM, "mem:%s", layer->body);
    }
    if (!l || l->nwaiting == sizeof(l->waiting) / sizeof(l->waiting[0])) {
        struct nk_diag why;
        nk_stream_fail(&a->s, nk_fail_sys(&why, -ECONNREFUSED, "mem:%s", layer->body), &why);
        *out = &a->s;
        return 0;
    }
    struct mem_stream *b = new_end(app, &l->conf, layer->body);
    if (!b) {
        nk_stream_close(&a->s);
        return nk_fail_sys(diag, -ENOMEM, "mem:%s", layer->body);
    }
    a->peer = b;
    b->peer = a;
    l->waiting[l->nwaiting++] = &b->s;
    nk_app_defer(app, &l->hand_over);
    nk_stream_raise(&a->s, NK_CONNECTED);
    *out = &a->s;
    return 0;
}

static int mem_check(const struct nk_ep_layer *layer, enum nk_ep_role role, struct nk_diag *diag)
{
    (void)role;
    if (layer->body[0] == '\0' || strlen(layer->body) >= sizeof(((struct mem_listener *)0)->name)) {
        return nk_fail(diag, NK_ECONFIG, "the name must have 1 to 63 bytes");
    }
    return 0;
}

const struct nk_ep_driver nk_ep_mem = {
    .scheme = "mem",
    .summary = "Pipe inside the process (tests)",
    .body_help = "NAME",
    .flags = NK_EP_CAN_CONNECT | NK_EP_CAN_LISTEN | NK_EP_TEST,
    .params = params,
    .conf_size = sizeof(struct mem_conf),
    .check = mem_check,
    .dial = mem_dial,
    .listen = mem_listen,
};
