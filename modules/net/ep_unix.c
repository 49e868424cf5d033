/* SPDX-License-Identifier: MIT */
/*
 * unix:PATH and unix:@NAME (abstract). A listener replaces a socket file that nobody listens on any
 * more, makes its own with mode= from the start (the mode of the unbound socket is what bind uses),
 * and removes it when it closes, if it is still the same file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/codec.h"
#include "core/app.h"
#include "core/registry.h"
#include "core/timer.h"
#include "core/watch.h"
#include "net/sock.h"

enum {
    MODE_MAX = 0777,
    RETRY_MS = 20 /* a full backlog answers EAGAIN at once; there is nothing to wait on */
};

struct unix_conf {
    char *mode;
    int64_t backlog;
    uint64_t timeout_ms;
    uint64_t sndbuf;
};

static const struct nk_opt params[] = {
    {.name = "mode",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct unix_conf, mode),
     .arg = "OCTAL",
     .def = "0600",
     .help = "Mode of the socket file of a listener"},
    {.name = "backlog",
     .type = NK_OPT_INT,
     .offset = NK_FIELD(struct unix_conf, backlog),
     .arg = "N",
     .def = NET_BACKLOG,
     .min = 1,
     .max = 65535,
     .help = "Connections that may wait to be accepted"},
    {.name = "timeout",
     .type = NK_OPT_DURATION,
     .offset = NK_FIELD(struct unix_conf, timeout_ms),
     .arg = "TIME",
     .def = "30s",
     .min = 1,
     .max = 3600 * 1000,
     .help = "Give up connecting after this time while the listener's queue is full"},
    {.name = "sndbuf",
     .type = NK_OPT_SIZE,
     .offset = NK_FIELD(struct unix_conf, sndbuf),
     .arg = "SIZE",
     .min = 1,
     .max = 1 << 30,
     .help = "Fixed size of the kernel's send buffer"},
    NK_OPT_END};

static int parse_mode(const char *text, mode_t *out)
{
    unsigned long v = 0;
    if (!*text) {
        return NK_EFORMAT;
    }
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '7' || (v = v * 8 + (unsigned long)(*p - '0')) > MODE_MAX) {
            return NK_EFORMAT;
        }
    }
    *out = (mode_t)v;
    return 0;
}

static int unix_addr(const char *body, struct nk_addr *out, struct nk_diag *diag)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char path[sizeof(un.sun_path)];
    ssize_t n = nk_percent_decode(path, sizeof(path), body, strlen(body));
    if (n == NK_ETOOBIG) {
        return nk_fail(diag, NK_ECONFIG, "the path of a unix socket has at most %zu bytes",
                       sizeof(path) - 1);
    }
    if (n < 0) {
        return nk_fail(diag, NK_ECONFIG, "the path has a wrong %%XX code");
    }
    if (n == 0 || (n == 1 && path[0] == '@')) {
        return nk_fail(diag, NK_ECONFIG, "the path of the socket is missing");
    }
    memcpy(un.sun_path, path, (size_t)n);
    size_t len = offsetof(struct sockaddr_un, sun_path) + (size_t)n;
    if (path[0] == '@') {
        un.sun_path[0] = '\0'; /* abstract: the length ends the name (unix(7)) */
    } else {
        len++;
    }
    memset(out, 0, sizeof(*out));
    memcpy(&out->ss, &un, sizeof(un));
    out->len = (socklen_t)len;
    return 0;
}

static int unix_check(const struct nk_ep_layer *layer, enum nk_ep_role role, struct nk_diag *diag)
{
    const struct unix_conf *conf = layer->conf;
    struct nk_addr a;
    mode_t mode;
    (void)role;
    if (parse_mode(conf->mode, &mode) < 0) {
        return nk_fail(diag, NK_ECONFIG, "mode=%s is not an octal mode such as 0660", conf->mode);
    }
    return unix_addr(layer->body, &a, diag);
}

static int unix_socket(const struct unix_conf *conf)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && conf->sndbuf) {
        int v = (int)conf->sndbuf;
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &v, sizeof(v)); /* a wish, not a need */
    }
    return fd < 0 ? -errno : fd;
}

/* --- connecting ------------------------------------------------------------------------------- */

struct dial {
    struct nk_app *app;
    struct nk_stream *s;
    struct nk_timer retry;
    struct nk_addr addr;
    uint64_t left_ms; /* of the timeout */
    int fd;
    char where[sizeof(struct sockaddr_un) + 16];
};

static void dial_free(struct dial *d)
{
    nk_timer_stop(&d->retry);
    if (d->fd >= 0) {
        close(d->fd);
    }
    free(d);
}

static void on_cancel(void *arg)
{
    dial_free(arg);
}

/* The owner of an attached stream takes over; until then nothing is watched. */
static void on_never(void *owner, struct nk_watch *w, unsigned ready)
{
    (void)owner;
    (void)w;
    (void)ready;
}

static int try_connect(struct dial *d)
{
    struct nk_watch *w;
    if (connect(d->fd, net_sockaddr(&d->addr), d->addr.len) < 0) {
        return -errno;
    }
    int rc = nk_watch_open(d->app, d->fd, 0, on_never, NULL, &w);
    if (rc < 0) {
        return rc;
    }
    d->fd = -1;
    nk_stream_attach(d->s, w);
    return 0;
}

static void on_retry(void *owner)
{
    struct dial *d = owner;
    struct nk_diag why = {0};
    int rc = try_connect(d);
    if (rc == NK_EAGAIN && d->left_ms > 0) {
        uint64_t pause = d->left_ms < RETRY_MS ? d->left_ms : RETRY_MS;
        d->left_ms -= pause;
        nk_timer_start(&d->retry, pause);
        return;
    }
    if (rc < 0) {
        rc = rc == NK_EAGAIN ? -ETIMEDOUT : rc;
        nk_stream_pending_fail(d->s, net_connect_error(&why, rc, d->where), &why);
    }
    dial_free(d);
}

static int unix_dial(struct nk_app *app, const struct nk_ep_layer *layer, struct nk_stream **out,
                     struct nk_diag *diag)
{
    const struct unix_conf *conf = layer->conf;
    struct dial *d = calloc(1, sizeof(*d));
    if (!d) {
        return nk_fail_sys(diag, -ENOMEM, "unix:%s", layer->body);
    }
    d->app = app;
    d->left_ms = conf->timeout_ms;
    nk_timer_init(&d->retry, app, on_retry, d);
    d->fd = -1;
    int rc = unix_addr(layer->body, &d->addr, diag);
    if (rc == 0) {
        nk_addr_format(d->where, sizeof(d->where), &d->addr);
        d->fd = unix_socket(conf);
        rc = d->fd < 0 ? nk_fail_sys(diag, d->fd, "%s", d->where) : 0;
    }
    if (rc == 0 && (rc = nk_stream_pending(app, "unix", on_cancel, d, &d->s)) < 0) {
        nk_fail_sys(diag, rc, "%s", d->where);
    }
    if (rc < 0) {
        dial_free(d);
        return rc;
    }
    *out = d->s;
    on_retry(d); /* the first attempt; its result is queued like any later one */
    return 0;
}

/* --- listening -------------------------------------------------------------------------------- */

struct bound {
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    dev_t dev;
    ino_t ino;
};

static void release_path(void *arg)
{
    struct bound *b = arg;
    struct stat st;
    if (lstat(b->path, &st) == 0 && st.st_dev == b->dev && st.st_ino == b->ino) {
        unlink(b->path);
    }
    free(b);
}

/* True when path is a socket file on which nobody listens: a leftover. */
static bool is_stale(const char *path, const struct nk_addr *a)
{
    struct stat st;
    if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode)) {
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    bool refused = connect(fd, net_sockaddr(a), a->len) < 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

static int bind_path(int fd, const struct nk_addr *a, const char *path, mode_t mode)
{
    if (fchmod(fd, mode) < 0) { /* bind() makes the file with this mode: no moment with another */
        return -errno;
    }
    int rc = bind(fd, net_sockaddr(a), a->len) < 0 ? -errno : 0;
    if (rc == -EADDRINUSE && is_stale(path, a)) {
        unlink(path);
        rc = bind(fd, net_sockaddr(a), a->len) < 0 ? -errno : 0;
    }
    if (rc == 0 && chmod(path, mode) < 0) { /* what the umask took away */
        rc = -errno;
        unlink(path);
    }
    return rc;
}

static int remember(const char *path, struct bound **out)
{
    struct stat st;
    struct bound *b = calloc(1, sizeof(*b));
    if (!b) {
        return -ENOMEM;
    }
    size_t len = strlen(path);
    int rc = len >= sizeof(b->path) ? -ENAMETOOLONG : lstat(path, &st) < 0 ? -errno : 0;
    if (rc < 0) {
        free(b);
        return rc;
    }
    memcpy(b->path, path, len + 1);
    b->dev = st.st_dev;
    b->ino = st.st_ino;
    *out = b;
    return 0;
}

static int unix_listen(struct nk_app *app, const struct nk_ep_layer *layer, nk_accept_fn *fn,
                       void *owner, struct nk_listener **out, struct nk_diag *diag)
{
    const struct unix_conf *conf = layer->conf;
    struct nk_addr a;
    struct bound *b = NULL;
    mode_t mode = 0;
    char where[sizeof(struct sockaddr_un) + 16];
    int rc = unix_addr(layer->body, &a, diag);
    if (rc < 0) {
        return rc;
    }
    nk_addr_format(where, sizeof(where), &a);
    const char *path = where + strlen("unix:");
    (void)parse_mode(conf->mode, &mode); /* checked with the endpoint */
    int fd = unix_socket(conf);
    if (fd < 0) {
        return net_listen_error(diag, fd, where);
    }
    if (path[0] == '@') {
        rc = bind(fd, net_sockaddr(&a), a.len) < 0 ? -errno : 0;
    } else {
        rc = bind_path(fd, &a, path, mode);
        rc = rc < 0 ? rc : remember(path, &b);
    }
    if (rc == 0 && listen(fd, (int)conf->backlog) < 0) {
        rc = -errno;
    }
    if (rc < 0) {
        close(fd);
        if (b) {
            release_path(b);
        }
        return net_listen_error(diag, rc, where);
    }
    struct nk_listener_fd_conf lc = {.name = "unix", .release = b ? release_path : NULL, .arg = b};
    rc = nk_listener_over_fd(app, fd, &lc, fn, owner, out, diag);
    if (rc < 0 && b) {
        release_path(b);
    }
    return rc;
}

const struct nk_ep_driver nk_ep_unix = {
    .scheme = "unix",
    .summary = "Unix socket, by path or abstract name",
    .body_help = "PATH|@NAME",
    .flags = NK_EP_CAN_CONNECT | NK_EP_CAN_LISTEN,
    .params = params,
    .conf_size = sizeof(struct unix_conf),
    .check = unix_check,
    .dial = unix_dial,
    .listen = unix_listen,
};
