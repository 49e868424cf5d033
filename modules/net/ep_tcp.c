/* SPDX-License-Identifier: MIT */
#include "net/tcp.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/endpoint.h"
#include "core/app.h"
#include "net/sock.h"

enum {
    KEEP_PROBES = 4,   /* unanswered probes that end a connection */
    KEEP_FRACTION = 4, /* probes follow each other after a quarter of the idle time */
    MS_PER_S = 1000
};

static const char *const families[] = {
    [TCP_ANY] = "any", [TCP_IPV4] = "ipv4", [TCP_IPV6] = "ipv6", NULL};

static const struct nk_opt params[] = {
    {.name = "family",
     .type = NK_OPT_ENUM,
     .offset = NK_FIELD(struct tcp_conf, family),
     .arg = "FAMILY",
     .def = "any",
     .choices = families,
     .help = "Which addresses of a name to use"},
    {.name = "timeout",
     .type = NK_OPT_DURATION,
     .offset = NK_FIELD(struct tcp_conf, timeout_ms),
     .arg = "TIME",
     .def = "30s",
     .min = 1,
     .max = 3600 * 1000,
     .help = "Give up connecting after this time, all addresses together"},
    {.name = "source",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct tcp_conf, source),
     .arg = "ADDRESS",
     .help = "Connect from this address of ours"},
    {.name = "interface",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct tcp_conf, interface),
     .arg = "NAME",
     .help = "Connect over this network interface"},
    {.name = "keepalive",
     .type = NK_OPT_DURATION,
     .offset = NK_FIELD(struct tcp_conf, keepalive_ms),
     .arg = "TIME",
     .def = "60s",
     .min = 0,
     .max = 32767 * 1000,
     .help = "Probe a silent connection after this time; 0 never probes"},
    {.name = "user_timeout",
     .type = NK_OPT_DURATION,
     .offset = NK_FIELD(struct tcp_conf, user_timeout_ms),
     .arg = "TIME",
     .min = 0,
     .max = 24 * 3600 * 1000,
     .help = "End a connection whose data stay unacknowledged for this time"},
    {.name = "sndbuf",
     .type = NK_OPT_SIZE,
     .offset = NK_FIELD(struct tcp_conf, sndbuf),
     .arg = "SIZE",
     .min = 1,
     .max = 1 << 30,
     .help = "Fixed size of the kernel's send buffer"},
    {.name = "rcvbuf",
     .type = NK_OPT_SIZE,
     .offset = NK_FIELD(struct tcp_conf, rcvbuf),
     .arg = "SIZE",
     .min = 1,
     .max = 1 << 30,
     .help = "Fixed size of the kernel's receive buffer"},
    {.name = "backlog",
     .type = NK_OPT_INT,
     .offset = NK_FIELD(struct tcp_conf, backlog),
     .arg = "N",
     .def = NET_BACKLOG,
     .min = 1,
     .max = 65535,
     .help = "Connections that may wait to be accepted"},
    {.name = "reuse_port",
     .type = NK_OPT_BOOL,
     .offset = NK_FIELD(struct tcp_conf, reuse_port),
     .def = "no",
     .help = "Let several processes listen on the same port and share the work"},
    NK_OPT_END};

static int set_int(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int setup_keepalive(int fd, uint64_t ms)
{
    int idle = (int)((ms + MS_PER_S - 1) / MS_PER_S);
    int interval = idle / KEEP_FRACTION > 0 ? idle / KEEP_FRACTION : 1;
    int rc = set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    rc = rc ? rc : set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle);
    rc = rc ? rc : set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval);
    return rc ? rc : set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEP_PROBES);
}

int tcp_setup(int fd, const struct tcp_conf *conf)
{
    int rc = set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1); /* we batch ourselves */
    if (rc == 0 && conf->keepalive_ms) {
        rc = setup_keepalive(fd, conf->keepalive_ms);
    }
    if (rc == 0 && conf->user_timeout_ms) {
        rc = set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)conf->user_timeout_ms);
    }
    if (rc == 0 && conf->sndbuf) {
        rc = set_int(fd, SOL_SOCKET, SO_SNDBUF, (int)conf->sndbuf);
    }
    if (rc == 0 && conf->rcvbuf) {
        rc = set_int(fd, SOL_SOCKET, SO_RCVBUF, (int)conf->rcvbuf);
    }
    return rc;
}

/* tcp: alone: a plain SOCKS proxy, for one, says where to connect each time. */
static bool tcp_open_end(const struct nk_ep_layer *layer)
{
    return layer->body[0] == '\0';
}

static int tcp_check(const struct nk_ep_layer *layer, enum nk_ep_role role, struct nk_diag *diag)
{
    char host[NET_HOST_MAX];
    uint16_t port;
    struct nk_addr addrs[2];
    size_t n;
    if (role == NK_EP_CONNECT && tcp_open_end(layer)) {
        return 0;
    }
    int rc = nk_ep_host_port(layer->body, host, sizeof(host), &port, 0, diag);
    if (rc < 0) {
        return rc;
    }
    if (role == NK_EP_CONNECT && (host[0] == '\0' || port == 0)) {
        return nk_fail(diag, NK_ECONFIG, "a %s to connect to is missing",
                       host[0] ? "port other than 0" : "host");
    }
    rc = nk_resolve_now(host, port, role == NK_EP_LISTEN, addrs, &n, diag);
    if (rc == -ENOENT && role == NK_EP_LISTEN) {
        nk_fail(diag, NK_ECONFIG, "'%s' is a name, and listening needs an address", host);
        nk_hint(diag, "leave the host out (tcp::%u) for all addresses, or use localhost",
                (unsigned)port);
        return NK_ECONFIG;
    }
    return rc == -ENOENT ? 0 : rc;
}

static int tcp_host(const struct nk_ep_layer *layer, char *out, size_t max)
{
    uint16_t port;
    int rc = nk_ep_host_port(layer->body, out, max, &port, 0, NULL);
    return rc < 0 || out[0] == '\0' ? -ENOENT : 0;
}

/* --- listening -------------------------------------------------------------------------------- */

/* "localhost" has two addresses, so a listener can be two sockets. */
struct tcp_listener {
    struct nk_listener l;
    struct nk_listener *part[2];
    struct nk_defer gone;
};

static void on_gone(void *owner)
{
    free(owner);
}

static void tcp_listener_close(struct nk_listener *l)
{
    struct tcp_listener *t = (struct tcp_listener *)l;
    nk_listener_close(t->part[0]);
    nk_listener_close(t->part[1]);
    t->gone.fn = on_gone;
    t->gone.owner = t;
    nk_app_defer(l->app, &t->gone);
}

static void tcp_listener_pause(struct nk_listener *l, int paused)
{
    struct tcp_listener *t = (struct tcp_listener *)l;
    nk_listener_pause(t->part[0], paused);
    nk_listener_pause(t->part[1], paused);
}

static int tcp_listener_local(struct nk_listener *l, char *out, size_t max)
{
    return nk_listener_local(((struct tcp_listener *)l)->part[0], out, max);
}

static const struct nk_listener_ops tcp_listener_ops = {
    .name = "tcp",
    .close = tcp_listener_close,
    .pause = tcp_listener_pause,
    .local = tcp_listener_local,
};

static void on_part_accept(void *owner, struct nk_listener *part, struct nk_stream *take_s)
{
    struct tcp_listener *t = owner;
    (void)part;
    t->l.on_accept(t->l.owner, &t->l, take_s);
}

/* A bound, listening socket, or -errno. */
static int bind_one(const struct nk_addr *a, const struct tcp_conf *conf, bool only_v6)
{
    int fd = socket(a->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    int rc = set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (rc == 0 && conf->reuse_port) {
        rc = set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    }
    if (rc == 0 && a->ss.ss_family == AF_INET6) {
        rc = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, only_v6);
    }
    if (rc == 0) {
        rc = tcp_setup(fd, conf); /* accepted sockets inherit these */
    }
    if (rc == 0 && bind(fd, net_sockaddr(a), a->len) < 0) {
        rc = -errno;
    }
    if (rc == 0 && listen(fd, (int)conf->backlog) < 0) {
        rc = -errno;
    }
    if (rc < 0) {
        close(fd);
        return rc;
    }
    return fd;
}

static bool no_such_family(int rc)
{
    return rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL || rc == -EPROTONOSUPPORT;
}

static int listen_on(struct nk_app *app, int fd, nk_accept_fn *fn, void *owner,
                     struct nk_listener **out, struct nk_diag *diag)
{
    static const struct nk_listener_fd_conf conf = {.name = "tcp"};
    return nk_listener_over_fd(app, fd, &conf, fn, owner, out, diag);
}

/* The second socket of "localhost": the same port on ::1, where there is IPv6. */
static int listen_pair(struct nk_app *app, int fd, struct nk_addr *second,
                       const struct tcp_conf *conf, nk_accept_fn *fn, void *owner,
                       struct nk_listener **out, struct nk_diag *diag)
{
    struct sockaddr_in in = {0};
    struct sockaddr_in6 in6;
    socklen_t len = sizeof(in);
    memcpy(&in6, &second->ss, sizeof(in6));
    if (getsockname(fd, (struct sockaddr *)&in, &len) == 0) {
        in6.sin6_port = in.sin_port; /* the one the kernel chose for port 0 */
        memcpy(&second->ss, &in6, sizeof(in6));
    }
    int fd6 = bind_one(second, conf, true);
    if (no_such_family(fd6)) {
        return listen_on(app, fd, fn, owner, out, diag);
    }
    if (fd6 < 0) {
        close(fd);
        return net_listen_error(diag, fd6, "tcp:[::1]");
    }
    struct tcp_listener *t = calloc(1, sizeof(*t));
    if (!t) {
        close(fd);
        close(fd6);
        return nk_fail_sys(diag, -ENOMEM, "listen");
    }
    int rc = listen_on(app, fd, on_part_accept, t, &t->part[0], diag);
    if (rc < 0) {
        close(fd6);
        free(t);
        return rc;
    }
    rc = listen_on(app, fd6, on_part_accept, t, &t->part[1], diag);
    if (rc < 0) {
        nk_listener_close(t->part[0]);
        free(t);
        return rc;
    }
    nk_listener_init(&t->l, &tcp_listener_ops, app, fn, owner);
    *out = &t->l;
    return 0;
}

static size_t keep_family(struct nk_addr *addrs, size_t n, int family)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (family == TCP_ANY ||
            addrs[i].ss.ss_family == (family == TCP_IPV4 ? AF_INET : AF_INET6)) {
            addrs[kept++] = addrs[i];
        }
    }
    return kept;
}

static int tcp_listen(struct nk_app *app, const struct nk_ep_layer *layer, nk_accept_fn *fn,
                      void *owner, struct nk_listener **out, struct nk_diag *diag)
{
    const struct tcp_conf *conf = layer->conf;
    char host[NET_HOST_MAX], where[NET_HOST_MAX + 16];
    struct nk_addr addrs[2];
    uint16_t port;
    size_t n;
    int rc = nk_ep_host_port(layer->body, host, sizeof(host), &port, 0, diag);
    rc = rc < 0 ? rc : nk_resolve_now(host, port, 1, addrs, &n, diag);
    if (rc < 0) {
        return rc; /* the check has said more */
    }
    snprintf(where, sizeof(where), "tcp:%s", layer->body);
    n = keep_family(addrs, n, conf->family);
    if (n == 0) {
        return nk_fail(diag, NK_ECONFIG, "%s is not of that family", where);
    }
    bool wildcard = host[0] == '\0';
    int fd = bind_one(&addrs[0], conf, !wildcard || n < 2);
    if (wildcard && n == 2 && no_such_family(fd)) {
        fd = bind_one(&addrs[1], conf, false); /* a machine without IPv6 */
    }
    if (fd < 0) {
        return net_listen_error(diag, fd, where);
    }
    if (n == 2 && !wildcard) {
        return listen_pair(app, fd, &addrs[1], conf, fn, owner, out, diag);
    }
    return listen_on(app, fd, fn, owner, out, diag);
}

const struct nk_ep_driver nk_ep_tcp = {
    .scheme = "tcp",
    .summary = "TCP connection or listener",
    .body_help = "[HOST]:PORT",
    .flags = NK_EP_CAN_CONNECT | NK_EP_CAN_LISTEN,
    .params = params,
    .conf_size = sizeof(struct tcp_conf),
    .check = tcp_check,
    .open_end = tcp_open_end,
    .host = tcp_host,
    .dial = tcp_dial,
    .listen = tcp_listen,
};
