/* SPDX-License-Identifier: MIT */
/*
 * Connecting by RFC 8305: addresses of both families in turn, a new attempt every 250 ms or as soon
 * as one fails; the first that stands wins.
 */
#include "net/tcp.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/endpoint.h"
#include "core/app.h"
#include "core/timer.h"
#include "core/watch.h"
#include "net/sock.h"

enum { STAGGER_MS = 250 /* Connection Attempt Delay, RFC 8305 §5 */ };

struct dial;

struct attempt {
    struct dial *d;
    struct nk_watch *w; /* NULL: over */
    struct nk_addr addr;
};

struct dial {
    struct nk_app *app;
    struct nk_stream *s; /* pending until it gets a descriptor */
    struct tcp_conf conf;
    char where[NET_HOST_MAX + 16];
    struct nk_addr source;    /* its len is 0: any */
    char interface[IFNAMSIZ]; /* "": any */
    struct nk_resolve *resolve;
    struct nk_timer deadline, stagger;
    struct attempt attempts[NK_RESOLVE_MAX];
    size_t n, next, live;
    int error; /* the most telling one so far */
    struct nk_addr error_addr;
};

static void dial_free(struct dial *d)
{
    nk_resolve_cancel(d->resolve);
    nk_timer_stop(&d->deadline);
    nk_timer_stop(&d->stagger);
    for (size_t i = 0; i < d->next; i++) {
        nk_watch_close(d->attempts[i].w);
    }
    free(d);
}

static void on_cancel(void *arg)
{
    dial_free(arg);
}

static void dial_fail(struct dial *d, int error, const struct nk_diag *why)
{
    nk_stream_pending_fail(d->s, error, why);
    dial_free(d);
}

/* Errors about our own side say less than what a peer answered. */
static bool is_local_error(int error)
{
    return error == 0 || error == -ENETUNREACH || error == -EHOSTUNREACH ||
           error == -EADDRNOTAVAIL || error == -EAFNOSUPPORT;
}

static void note_error(struct dial *d, int error, const struct nk_addr *addr)
{
    if (d->error == 0 || (is_local_error(d->error) && !is_local_error(error))) {
        d->error = error;
        d->error_addr = *addr;
    }
}

static void fail_all(struct dial *d)
{
    struct nk_diag why = {0};
    char where[NET_HOST_MAX + 128], addr[64];
    nk_addr_format(addr, sizeof(addr), &d->error_addr);
    if (strstr(d->where, addr)) {
        snprintf(where, sizeof(where), "%s", d->where);
    } else if (d->n > 1) {
        snprintf(where, sizeof(where), "%s (%s and %zu more)", d->where, addr, d->n - 1);
    } else {
        snprintf(where, sizeof(where), "%s (%s)", d->where, addr);
    }
    dial_fail(d, net_connect_error(&why, d->error, where), &why);
}

/* On loopback a socket can connect to itself when the port it was given is the one it asks for. */
static bool connected_to_itself(int fd)
{
    struct nk_addr a = {.len = sizeof(a.ss)}, b = {.len = sizeof(b.ss)};
    return getsockname(fd, (struct sockaddr *)&a.ss, &a.len) == 0 &&
           getpeername(fd, (struct sockaddr *)&b.ss, &b.len) == 0 && a.len == b.len &&
           memcmp(&a.ss, &b.ss, a.len) == 0;
}

static int attempt_result(int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0) {
        return -errno;
    }
    return error ? -error : connected_to_itself(fd) ? -ECONNREFUSED : 0;
}

static void start_next(struct dial *d);

static void on_attempt(void *owner, struct nk_watch *w, unsigned ready)
{
    struct attempt *a = owner;
    struct dial *d = a->d;
    (void)ready;
    int rc = attempt_result(nk_watch_fd(w));
    a->w = NULL;
    if (rc == 0) {
        nk_stream_attach(d->s, w);
        dial_free(d);
        return;
    }
    nk_watch_close(w);
    d->live--;
    note_error(d, rc, &a->addr);
    start_next(d);
}

/* What the configuration says about our end, which does not outlive this call. */
static int set_source(struct dial *d, struct nk_diag *diag)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    const char *source = d->conf.source, *interface = d->conf.interface;
    if (source && inet_pton(AF_INET, source, &v4.sin_addr) == 1) {
        memcpy(&d->source.ss, &v4, d->source.len = sizeof(v4));
    } else if (source && inet_pton(AF_INET6, source, &v6.sin6_addr) == 1) {
        memcpy(&d->source.ss, &v6, d->source.len = sizeof(v6));
    } else if (source) {
        return nk_fail(diag, NK_ECONFIG, "source=%s: this is no address", source);
    }
    if (interface && (!*interface || strlen(interface) >= sizeof(d->interface))) {
        return nk_fail(diag, NK_ECONFIG, "interface=%s: no interface has this name", interface);
    }
    (void)snprintf(d->interface, sizeof(d->interface), "%s", interface ? interface : "");
    d->conf.source = d->conf.interface = NULL;
    return 0;
}

/* 0 or -errno. */
static int bind_source(int fd, const struct dial *d, const struct nk_addr *to)
{
    if (*d->interface && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, d->interface,
                                    (socklen_t)strlen(d->interface)) < 0) {
        return -errno;
    }
    if (d->source.len == 0) {
        return 0;
    }
    if (d->source.ss.ss_family != to->ss.ss_family) {
        return -EADDRNOTAVAIL;
    }
    return bind(fd, net_sockaddr(&d->source), d->source.len) < 0 ? -errno : 0;
}

/* 0 when the attempt is under way. */
static int start_attempt(struct dial *d, struct attempt *a)
{
    int fd = socket(a->addr.ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    int rc = tcp_setup(fd, &d->conf);
    rc = rc < 0 ? rc : bind_source(fd, d, &a->addr);
    if (rc == 0 && connect(fd, net_sockaddr(&a->addr), a->addr.len) < 0 && errno != EINPROGRESS) {
        rc = -errno;
    }
    if (rc == 0) {
        rc = nk_watch_open(d->app, fd, 0, on_attempt, a, &a->w);
    }
    if (rc == 0) {
        rc = nk_watch_set(a->w, NK_WRITABLE);
        if (rc < 0) {
            nk_watch_release(a->w);
            a->w = NULL;
        }
    }
    if (rc < 0) {
        close(fd);
    }
    return rc;
}

/* Starts attempts until one is under way; without any left, the last error is the answer. */
static void start_next(struct dial *d)
{
    while (d->next < d->n) {
        struct attempt *a = &d->attempts[d->next++];
        int rc = start_attempt(d, a);
        if (rc == 0) {
            d->live++;
            if (d->next < d->n) {
                nk_timer_start(&d->stagger, STAGGER_MS);
            }
            return;
        }
        note_error(d, rc, &a->addr);
    }
    if (d->live == 0) {
        fail_all(d);
    }
}

static void on_stagger(void *owner)
{
    start_next(owner);
}

static void on_deadline(void *owner)
{
    struct dial *d = owner;
    struct nk_diag why = {0};
    dial_fail(d, net_connect_error(&why, -ETIMEDOUT, d->where), &why);
}

static bool wanted(const struct dial *d, const struct nk_addr *a)
{
    return d->conf.family == TCP_ANY ||
           a->ss.ss_family == (d->conf.family == TCP_IPV4 ? AF_INET : AF_INET6);
}

/* Families in turn, beginning with the one the resolver put first (RFC 8305 §4). */
static void interleave(struct dial *d, const struct nk_addr *addrs, size_t n)
{
    bool used[NK_RESOLVE_MAX] = {false};
    sa_family_t want = n ? addrs[0].ss.ss_family : AF_UNSPEC;
    for (;;) {
        size_t pick = n;
        for (size_t i = 0; i < n; i++) {
            if (used[i] || !wanted(d, &addrs[i])) {
                continue;
            }
            if (pick == n || addrs[pick].ss.ss_family != want) {
                pick = pick == n || addrs[i].ss.ss_family == want ? i : pick;
            }
        }
        if (pick == n) {
            return;
        }
        used[pick] = true;
        d->attempts[d->n++] = (struct attempt){.d = d, .addr = addrs[pick]};
        want = addrs[pick].ss.ss_family == AF_INET ? AF_INET6 : AF_INET;
    }
}

static void on_resolved(void *owner, int status, const struct nk_addr *addrs, size_t n,
                        const struct nk_diag *diag)
{
    struct dial *d = owner;
    d->resolve = NULL;
    if (status < 0) {
        struct nk_diag why = *diag;
        dial_fail(d, nk_fail_context(&why, "%s", d->where), &why);
        return;
    }
    interleave(d, addrs, n);
    if (d->n == 0) {
        struct nk_diag why = {0};
        dial_fail(d,
                  nk_fail(&why, NK_ENONAME, "%s: the name has no %s address", d->where,
                          d->conf.family == TCP_IPV4 ? "IPv4" : "IPv6"),
                  &why);
        return;
    }
    start_next(d);
}

int tcp_dial(struct nk_app *app, const struct nk_ep_layer *layer, struct nk_stream **out,
             struct nk_diag *diag)
{
    const struct nk_target *t = layer->target;
    char host[NET_HOST_MAX];
    uint16_t port = t ? t->port : 0;
    int rc = t ? 0 : nk_ep_host_port(layer->body, host, sizeof(host), &port, 0, diag);
    if (rc < 0) {
        return rc;
    }
    struct dial *d = calloc(1, sizeof(*d));
    if (!d) {
        return nk_fail_sys(diag, -ENOMEM, "tcp:%s", layer->body);
    }
    d->app = app;
    d->conf = *(const struct tcp_conf *)layer->conf;
    rc = set_source(d, diag);
    if (rc < 0) {
        free(d);
        return rc;
    }
    if (t) {
        bool v6 = strchr(t->host, ':') != NULL;
        snprintf(host, sizeof(host), "%s", t->host);
        snprintf(d->where, sizeof(d->where), v6 ? "tcp:[%s]:%u" : "tcp:%s:%u", host, port);
    } else {
        snprintf(d->where, sizeof(d->where), "tcp:%s", layer->body);
    }
    nk_timer_init(&d->deadline, app, on_deadline, d);
    nk_timer_init(&d->stagger, app, on_stagger, d);
    rc = nk_stream_pending(app, "tcp", on_cancel, d, &d->s);
    if (rc < 0) {
        free(d);
        return nk_fail_sys(diag, rc, "tcp:%s", layer->body);
    }
    rc = nk_resolve_start(app, host, port, 0, on_resolved, d, &d->resolve);
    if (rc < 0) {
        nk_stream_close(d->s); /* frees d */
        return nk_fail_sys(diag, rc, "tcp:%s", layer->body);
    }
    nk_timer_start(&d->deadline, d->conf.timeout_ms);
    *out = d->s;
    return 0;
}
