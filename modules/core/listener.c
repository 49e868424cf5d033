/* SPDX-License-Identifier: MIT */
#include "core/listener.h"

#include "core/app_internal.h"
#include "core/resolve.h"
#include "core/stream_fd.h"
#include "core/watch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    RETRY_MS = 100,         /* after descriptors or memory ran out */
    COMPLAIN_MS = 60 * 1000 /* at most one log line in this time */
};

struct fd_listener {
    struct nk_listener l;
    const char *name; /* scheme of its streams; static */
    struct nk_watch *w;
    struct nk_timer retry;
    struct nk_defer gone; /* frees it after the turn */
    void (*release)(void *arg);
    void *arg;
    uint64_t complained_ms;
    bool complained;
    bool paused;
    bool closing;
    bool shared; /* other processes may accept here too, on a blocking description */
};

static struct fd_listener *of(struct nk_listener *l)
{
    return (struct fd_listener *)l;
}

static void update_watch(struct fd_listener *f)
{
    bool want = !f->paused && !f->retry.armed;
    nk_watch_set(f->w, want ? (unsigned)NK_READABLE : 0);
}

static void on_retry(void *owner)
{
    update_watch(owner);
}

/* Out of descriptors or memory: leave the connections in the queue for a moment. */
static void back_off(struct fd_listener *f, int error)
{
    uint64_t now = nk_now_ms(f->l.app);
    char where[160];
    if (!f->complained || now - f->complained_ms >= COMPLAIN_MS) {
        f->complained = true;
        f->complained_ms = now;
        if (nk_listener_local(&f->l, where, sizeof(where)) < 0) {
            snprintf(where, sizeof(where), "%s", f->name);
        }
        nk_warn(nk_app_log(f->l.app), "core",
                "%s: cannot accept connections now: %s; they wait (hint: raise the limit of open "
                "files)",
                where, nk_strerror(error));
    }
    nk_timer_start(&f->retry, RETRY_MS);
    update_watch(f);
}

static int accept_one(struct fd_listener *f)
{
    int fd = nk_watch_fd(f->w);
    if (f->shared) {
        /* the description may be blocking, and may not be changed: ask first. Another process that
         * accepts in between can delay us until the next connection; nothing better is possible */
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 0) != 1 || !(p.revents & POLLIN)) {
            return NK_EAGAIN;
        }
    }
    int conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return conn < 0 ? -errno : conn;
}

static void hand_over(struct fd_listener *f, int fd)
{
    struct nk_stream *s;
    int rc = nk_stream_from_fd(f->l.app, fd, f->name, &s);
    if (rc < 0) {
        back_off(f, rc);
        return;
    }
    f->l.on_accept(f->l.owner, &f->l, s);
}

/* Codes of accept(2) that concern one connection only; the next may be fine. */
static bool is_transient(int error)
{
    switch (error) {
    case -ECONNABORTED:
    case -EINTR:
    case -EPROTO:
    case -EPERM: /* a firewall rule said no */
    case -ENETDOWN:
    case -ENOPROTOOPT:
    case -EHOSTDOWN:
    case -ENONET:
    case -EHOSTUNREACH:
    case -EOPNOTSUPP:
    case -ENETUNREACH:
        return true;
    default:
        return false;
    }
}

static void on_ready(void *owner, struct nk_watch *w, unsigned ready)
{
    struct fd_listener *f = owner;
    (void)w;
    (void)ready;
    for (int i = 0; i < NK_TURN_ACCEPTS && !f->closing && !f->paused && !f->retry.armed; i++) {
        int fd = accept_one(f);
        if (fd >= 0) {
            hand_over(f, fd);
        } else if (fd == NK_EAGAIN) {
            break;
        } else if (!is_transient(fd)) {
            back_off(f, fd);
        }
    }
    if (!f->closing) {
        update_watch(f);
    }
}

static void on_gone(void *owner)
{
    free(owner);
}

static void fd_listener_close(struct nk_listener *l)
{
    struct fd_listener *f = of(l);
    f->closing = true;
    nk_timer_stop(&f->retry);
    if (f->release) {
        f->release(f->arg);
    }
    nk_watch_close(f->w);
    f->w = NULL;
    f->gone.fn = on_gone;
    f->gone.owner = f;
    nk_app_defer(l->app, &f->gone);
}

static void fd_listener_pause(struct nk_listener *l, int paused)
{
    of(l)->paused = paused != 0;
    update_watch(of(l));
}

static int fd_listener_local(struct nk_listener *l, char *out, size_t max)
{
    struct fd_listener *f = of(l);
    struct nk_addr a = {.len = sizeof(a.ss)};
    if (getsockname(nk_watch_fd(f->w), (struct sockaddr *)&a.ss, &a.len) < 0) {
        return -errno;
    }
    char text[160];
    nk_addr_format(text, sizeof(text), &a);
    bool named = a.ss.ss_family == AF_UNIX;
    int n = snprintf(out, max, "%s%s", named ? "" : "tcp:", text);
    return n >= 0 && (size_t)n < max ? 0 : NK_ETOOBIG;
}

static const struct nk_listener_ops fd_listener_ops = {
    .name = "fd",
    .close = fd_listener_close,
    .pause = fd_listener_pause,
    .local = fd_listener_local,
};

void nk_listener_init(struct nk_listener *l, const struct nk_listener_ops *ops, struct nk_app *app,
                      nk_accept_fn *fn, void *owner)
{
    *l = (struct nk_listener){.ops = ops, .app = app, .on_accept = fn, .owner = owner};
    app->listeners++;
}

void nk_listener_close(struct nk_listener *l)
{
    if (l) {
        l->app->listeners--;
        l->on_state = NULL; /* its owner may be gone */
        l->ops->close(l);
    }
}

void nk_listener_pause(struct nk_listener *l, int paused)
{
    l->ops->pause(l, paused);
}

int nk_listener_local(struct nk_listener *l, char *out, size_t max)
{
    return l->ops->local(l, out, max);
}

void nk_listener_own(struct nk_listener *l, nk_accept_fn *fn, void *owner)
{
    l->on_accept = fn;
    l->owner = owner;
}

int nk_listener_state(const struct nk_listener *l)
{
    return l->state;
}

void nk_listener_watch(struct nk_listener *l, nk_listener_state_fn *fn, void *owner)
{
    l->on_state = fn;
    l->state_owner = owner;
}

void nk_listener_turn(struct nk_listener *l, int state, const struct nk_diag *why)
{
    bool changed = l->state != state;
    l->state = state;
    if (changed && l->on_state) {
        l->on_state(l->state_owner, l, state, why);
    }
}

int nk_listener_over_fd(struct nk_app *app, int fd, const struct nk_listener_fd_conf *conf,
                        nk_accept_fn *fn, void *owner, struct nk_listener **out,
                        struct nk_diag *diag)
{
    struct fd_listener *f = calloc(1, sizeof(*f));
    int rc = -ENOMEM;
    if (f) {
        f->shared = conf->inherited && !(fcntl(fd, F_GETFL) & O_NONBLOCK);
        rc = nk_watch_open(app, fd, f->shared ? NK_WATCH_SHARED : 0, on_ready, f, &f->w);
    }
    if (rc < 0) {
        free(f);
        close(fd);
        return nk_fail_sys(diag, rc, "%s: listen", conf->name);
    }
    nk_listener_init(&f->l, &fd_listener_ops, app, fn, owner);
    nk_timer_init(&f->retry, app, on_retry, f);
    f->name = conf->name;
    f->release = conf->release;
    f->arg = conf->arg;
    update_watch(f);
    *out = &f->l;
    return 0;
}

int nk_listener_from_fd(struct nk_app *app, int fd, nk_accept_fn *fn, void *owner,
                        struct nk_listener **out, struct nk_diag *diag)
{
    static const struct nk_listener_fd_conf plain = {.name = "fd"};
    return nk_listener_over_fd(app, fd, &plain, fn, owner, out, diag);
}

int nk_listener_refresh(struct nk_listener *l, struct nk_diag *diag)
{
    return l->ops->refresh ? l->ops->refresh(l, diag) : 0;
}
