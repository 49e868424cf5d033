/* SPDX-License-Identifier: MIT */
#include "ssh/forwarding.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "core/app.h"
#include "core/registry.h"
#include "net/net.h"
#include "socks/socks.h"
#include "ssh/client_dial.h"

#define MODULE "ssh"

enum {
    TEXT_MAX = 4096,
    LOCAL_MAX = 1024,
    SOCKS_MS = 10 * 1000, /* for a client to say where it wants to go */
    SOCKET_MODE = 0666    /* less StreamLocalBindMask */
};

struct item {
    struct ssh_forwarding *s;
    const struct ssh_forward *f;
    struct net_join *join;
    struct nk_endpoint *connect; /* -R: from here */
    char *listen;                /* -L, -D: as an endpoint string */
    struct item *was;            /* whose listener it will be */
    const char *state;
};

struct ssh_forwarding {
    struct ssh_forwarding_conf conf;
    struct nk_app *app;
    struct ssh_link_user user;
    struct nk_defer ready;
    size_t n, draining;
    bool told_ready, told_failed;
    struct item items[];
};

static const char waiting[] = "waiting", listening[] = "listening", refused[] = "refused",
                  failed[] = "failed";

/* --- readiness -------------------------------------------------------------------------------- */

static void look(struct ssh_forwarding *s)
{
    bool settled = ssh_link_ups(s->conf.link) > 0;
    for (size_t i = 0; i < s->n; i++) {
        const char *state = s->items[i].state;
        settled = settled && state != waiting && (s->conf.once || state != refused);
    }
    if (settled && !s->told_ready) {
        nk_app_defer(s->app, &s->ready);
    }
}

static void on_ready(void *owner)
{
    struct ssh_forwarding *s = owner;
    s->told_ready = true;
    nk_info(s->conf.log, MODULE, "forwards are ready");
    if (s->conf.ready) {
        s->conf.ready(s->conf.owner);
    }
}

static void on_up(void *owner, struct ssh_link *l)
{
    (void)l;
    look(owner);
}

static void on_down(void *owner, struct ssh_link *l, const struct nk_diag *why)
{
    struct ssh_forwarding *s = owner;
    (void)l;
    (void)why;
    for (size_t i = 0; i < s->n; i++) {
        struct item *it = &s->items[i];
        it->state = it->f->kind == SSH_FORWARD_REMOTE && it->connect ? waiting : it->state;
    }
}

/* What the server says; inside the calls the set may be closed. */
static void on_told(void *owner, struct nk_listener *l, int rc, uint16_t port,
                    const struct nk_diag *why)
{
    struct item *it = owner;
    struct ssh_forwarding *s = it->s;
    const struct ssh_forwarding_conf c = s->conf;
    bool first = it->state != refused;
    (void)l;
    it->state = rc < 0 ? refused : listening;
    if (rc < 0 && first) {
        nk_warn(c.log, MODULE, "remote forward: %s%s", why->text, c.once ? "" : "; asking again");
    } else if (rc == 0) {
        nk_info(c.log, MODULE, "remote forward: the server listens (port %u)", port);
    }
    bool fatal = rc < 0 && c.config->exit_on_forward_failure && c.failed && !s->told_failed;
    s->told_failed = s->told_failed || fatal;
    look(s);
    if (c.told) {
        c.told(c.owner, it->f, rc, port, why);
    }
    if (fatal) {
        c.failed(c.owner, rc, why);
    }
}

/* --- connecting ------------------------------------------------------------------------------- */

/* PermitRemoteOpen: "any", "none", or HOST:PORT with * for each. */
static bool may_open(const struct ssh_config *c, const struct nk_target *t)
{
    const struct nk_strlist *l = &c->permit_remote_open;
    bool may = l->n == 0;
    char port[8];
    (void)snprintf(port, sizeof(port), "%u", t->port);
    for (size_t i = 0; i < l->n && !may; i++) {
        const char *word = l->v[i], *colon = strrchr(word, ':');
        size_t n = colon ? (size_t)(colon - word) : 0;
        bool six = n > 1 && *word == '[' && word[n - 1] == ']';
        const char *host = word + six;
        n -= six ? 2 : 0;
        bool same = (n == 1 && *host == '*') ||
                    (strlen(t->host) == n && strncasecmp(host, t->host, n) == 0);
        may = strcmp(word, "any") == 0 ||
              (colon && same && (strcmp(colon + 1, "*") == 0 || strcmp(colon + 1, port) == 0));
    }
    return may;
}

static int dial_here(const struct item *it, const struct nk_target *t, nk_stream_event_fn *fn,
                     void *fn_owner, struct nk_stream **out, struct nk_diag *diag)
{
    if (!t) {
        return nk_dial(it->s->app, it->connect, fn, fn_owner, out, diag);
    }
    if (!may_open(it->s->conf.config, t)) {
        return nk_fail(diag, NK_EAUTH, "PermitRemoteOpen does not allow %s:%u", t->host, t->port);
    }
    return nk_dial_to(it->s->app, it->connect, t, fn, fn_owner, out, diag);
}

static int dial(void *owner, const struct nk_target *t, nk_stream_event_fn *fn, void *fn_owner,
                struct nk_stream **out, struct nk_diag *diag)
{
    const struct item *it = owner;
    const struct ssh_forward_end *to = &it->f->connect;
    if (it->f->kind == SSH_FORWARD_REMOTE) {
        return dial_here(it, t, fn, fn_owner, out, diag);
    }
    return to->path ? ssh_link_dial_unix(it->s->conf.link, to->path, fn, fn_owner, out, diag)
                    : ssh_link_dial_tcp(it->s->conf.link, t ? t->host : to->host,
                                        t ? t->port : to->port, fn, fn_owner, out, diag);
}

static void on_accept(void *owner, struct nk_listener *l, struct nk_stream *take_s)
{
    const struct item *it = owner;
    struct nk_diag why = {0};
    const struct socks_server_conf socks = {
        .handshake_ms = SOCKS_MS, .takes4 = true, .need = it->s->conf.socks_login};
    struct nk_stream *s = take_s;
    (void)l;
    if (ssh_forward_is_socks(it->f) &&
        socks_server_wrap(it->s->app, &socks, take_s, &s, &why) < 0) {
        nk_warn(it->s->conf.log, MODULE, "%s", why.text);
        return;
    }
    net_join_take(it->join, s);
}

/* --- listening -------------------------------------------------------------------------------- */

static bool is_any(const char *host)
{
    return !*host || strcmp(host, "*") == 0;
}

static int put_tcp(const struct ssh_config *c, const struct ssh_forward_end *e, struct nk_buf *b)
{
    static const char *const all[] = {"", "0.0.0.0", "[::]"};
    static const char *const loopback[] = {"localhost", "127.0.0.1", "[::1]"};
    bool any = e->host ? is_any(e->host) : c->gateway_ports == SSH_GATEWAY_YES;
    if (any || !e->host || strcmp(e->host, "localhost") == 0) {
        return nk_buf_printf(b, "tcp:%s:%u", (any ? all : loopback)[c->family], e->port);
    }
    bool six = strchr(e->host, ':') != NULL;
    int rc = nk_buf_puts(b, six ? "tcp:[" : "tcp:");
    rc = rc < 0 ? rc : ssh_put_encoded(b, e->host);
    return rc < 0 ? rc : nk_buf_printf(b, "%s:%u", six ? "]" : "", e->port);
}

static void unlink_socket(const char *path)
{
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        (void)unlink(path); /* listening there says what is wrong */
    }
}

static int put_unix(const struct ssh_config *c, const char *path, struct nk_buf *b)
{
    int rc = nk_buf_puts(b, "unix:");
    rc = rc < 0 ? rc : ssh_put_encoded(b, path);
    return rc < 0 ? rc
                  : nk_buf_printf(b, ",mode=0%o",
                                  (unsigned)(SOCKET_MODE & ~c->stream_local_mask & 0777));
}

static int parse(struct nk_buf *b, int rc, enum nk_ep_role role, struct nk_endpoint **out,
                 struct nk_diag *diag)
{
    const char *text = rc < 0 ? NULL : nk_buf_str(b);
    rc = text ? nk_endpoint_parse(text, role, out, diag)
              : nk_fail_sys(diag, rc < 0 ? rc : -ENOMEM, "forward");
    nk_buf_clear(b);
    return rc;
}

/* An item of the set before that listens at the same place, and that nobody else takes. */
static struct item *find_before(const struct item *it)
{
    struct ssh_forwarding *before = it->s->conf.before;
    for (size_t i = 0; before && i < before->n; i++) {
        struct item *was = &before->items[i];
        bool same = was->listen && was->state == listening && strcmp(was->listen, it->listen) == 0;
        for (size_t k = 0; same && k < it->s->n; k++) {
            same = it->s->items[k].was != was;
        }
        if (same) {
            return was;
        }
    }
    return NULL;
}

static int listen_here(struct item *it, struct nk_diag *diag)
{
    const struct ssh_forward_end *e = &it->f->listen;
    const struct ssh_config *c = it->s->conf.config;
    struct nk_endpoint *ep;
    struct nk_listener *l;
    struct nk_buf b;
    nk_buf_init(&b, TEXT_MAX);
    int rc = e->path ? put_unix(c, e->path, &b) : put_tcp(c, e, &b);
    const char *text = rc < 0 ? NULL : nk_buf_str(&b);
    it->listen = text ? strdup(text) : NULL;
    rc = parse(&b, rc < 0 || it->listen ? rc : -ENOMEM, NK_EP_LISTEN, &ep, diag);
    if (rc < 0) {
        return rc;
    }
    if ((it->was = find_before(it)) != NULL) {
        nk_endpoint_free(ep);
        it->state = listening;
        return 0;
    }
    if (e->path && c->stream_local_unlink) {
        unlink_socket(e->path);
    }
    rc = nk_listen(it->s->app, ep, on_accept, it, &l, diag);
    nk_endpoint_free(ep);
    if (rc == 0) {
        net_join_listener(it->join, l);
        it->state = listening;
    }
    return rc;
}

static int parse_connect(struct item *it, struct nk_diag *diag)
{
    const struct ssh_forward_end *e = &it->f->connect;
    bool socks = ssh_forward_is_socks(it->f), six = e->host && strchr(e->host, ':');
    struct nk_buf b;
    nk_buf_init(&b, TEXT_MAX);
    int rc = nk_buf_puts(&b, e->path ? "unix:" : six ? "tcp:[" : "tcp:");
    rc = rc < 0 || socks ? rc : ssh_put_encoded(&b, e->path ? e->path : e->host);
    rc = rc < 0 || socks || e->path ? rc : nk_buf_printf(&b, "%s:%u", six ? "]" : "", e->port);
    return parse(&b, rc, socks ? NK_EP_CONNECT_OPEN : NK_EP_CONNECT, &it->connect, diag);
}

static int listen_there(struct item *it, struct nk_diag *diag)
{
    const struct ssh_forward_end *e = &it->f->listen;
    const char *host = !e->host ? "localhost" : is_any(e->host) ? "" : e->host;
    const struct ssh_remote_conf conf = {.link = it->s->conf.link,
                                         .path = e->path,
                                         .host = host,
                                         .port = e->port,
                                         .once = it->s->conf.once,
                                         .told = on_told,
                                         .owner = it};
    struct nk_listener *l;
    int rc = parse_connect(it, diag);
    rc = rc < 0 ? rc : ssh_remote_listen(&conf, on_accept, it, &l, diag);
    if (rc == 0) {
        net_join_listener(it->join, l);
        it->state = waiting;
    }
    return rc;
}

static void on_drained(void *owner)
{
    const struct item *it = owner;
    struct ssh_forwarding *s = it->s;
    if (--s->draining == 0 && s->conf.drained) {
        s->conf.drained(s->conf.owner);
    }
}

static int open_item(struct item *it, struct nk_diag *diag)
{
    const struct net_join_conf conf = {.app = it->s->app,
                                       .log = it->s->conf.log,
                                       .module = MODULE,
                                       .name = "forward",
                                       .asks = ssh_forward_is_socks(it->f),
                                       .dial = dial,
                                       .owner = it,
                                       .drained = on_drained};
    int rc = net_join_new(&conf, &it->join);
    if (rc < 0) {
        return nk_fail_sys(diag, rc, "forward");
    }
    rc = it->f->kind == SSH_FORWARD_REMOTE ? listen_there(it, diag) : listen_here(it, diag);
    if (rc < 0 && rc != -ENOMEM && !it->s->conf.config->exit_on_forward_failure) {
        nk_warn(it->s->conf.log, MODULE, "forward: %s", diag->text);
        return 0;
    }
    return rc;
}

/* --- the set ---------------------------------------------------------------------------------- */

static void take_over(struct item *it)
{
    struct nk_listener *l = it->was ? net_join_release(it->was->join) : NULL;
    if (l) {
        nk_listener_own(l, on_accept, it);
        net_join_listener(it->join, l);
        it->was->state = failed; /* the other set has nothing more there */
        it->was = NULL;
    }
}

int ssh_forwarding_open(const struct ssh_forwarding_conf *conf, struct ssh_forwarding **out,
                        struct nk_diag *diag)
{
    size_t n = conf->forwards->n;
    struct ssh_forwarding *s = calloc(1, sizeof(*s) + n * sizeof(s->items[0]));
    int rc = 0;
    if (!s) {
        return nk_fail_sys(diag, -ENOMEM, "forward");
    }
    s->conf = *conf;
    s->conf.link = ssh_link_ref(conf->link);
    s->app = ssh_link_app(conf->link);
    s->conf.log = conf->log ? conf->log : nk_app_log(s->app);
    s->ready = (struct nk_defer){.fn = on_ready, .owner = s};
    s->user = (struct ssh_link_user){.up = on_up, .down = on_down, .owner = s};
    ssh_link_attach(s->conf.link, &s->user);
    for (; s->n < n && rc == 0; s->n++) {
        struct item *it = &s->items[s->n];
        *it = (struct item){.s = s, .f = &conf->forwards->v[s->n], .state = failed};
        rc = open_item(it, diag);
    }
    if (rc < 0) {
        ssh_forwarding_close(s);
        return rc;
    }
    for (size_t i = 0; i < n; i++) {
        take_over(&s->items[i]);
    }
    s->conf.before = NULL;
    look(s);
    *out = s;
    return 0;
}

void ssh_forwarding_drain(struct ssh_forwarding *s)
{
    if (s->draining == 0) {
        s->draining = s->n;
        for (size_t i = 0; i < s->n; i++) {
            net_join_drain(s->items[i].join);
        }
    }
}

void ssh_forwarding_close(struct ssh_forwarding *s)
{
    if (!s) {
        return;
    }
    nk_app_defer_cancel(s->app, &s->ready);
    for (size_t i = 0; i < s->n; i++) {
        net_join_close(s->items[i].join);
        nk_endpoint_free(s->items[i].connect);
        free(s->items[i].listen);
    }
    ssh_link_detach(s->conf.link, &s->user);
    ssh_link_unref(s->conf.link);
    free(s);
}

int ssh_forwarding_local(const struct ssh_forwarding *s, size_t i, char *out, size_t max)
{
    return i < s->n ? net_join_local(s->items[i].join, out, max) : -ENOENT;
}

uint64_t ssh_forwarding_active(const struct ssh_forwarding *s)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct net_join_counts c;
        net_join_counts(s->items[i].join, &c);
        sum += c.active;
    }
    return sum;
}

void ssh_forwarding_status(const struct ssh_forwarding *s, struct nk_json *out)
{
    static const char *const kinds[] = {"local", "remote", "dynamic"};
    nk_json_key(out, "forwards");
    nk_json_array(out);
    for (size_t i = 0; i < s->n; i++) {
        const struct item *it = &s->items[i];
        char local[LOCAL_MAX] = "";
        struct nk_buf b;
        nk_buf_init(&b, TEXT_MAX);
        bool fine = ssh_forward_put(it->f, &b) == 0;
        (void)net_join_local(it->join, local, sizeof(local)); /* "" when it does not listen */
        nk_json_object(out);
        nk_json_kv_str(out, "kind", kinds[it->f->kind]);
        nk_json_kv_str(out, "forward", fine ? nk_buf_str(&b) : NULL);
        nk_json_kv_str(out, "listen", local);
        nk_json_kv_str(out, "state", it->state);
        net_join_status(it->join, out);
        nk_json_close(out);
        nk_buf_clear(&b);
    }
    nk_json_close(out);
}
