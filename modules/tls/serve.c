/* SPDX-License-Identifier: MIT */
#include "tls/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app.h"
#include "core/clock.h"
#include "core/files.h"
#include "core/registry.h"
#include "core/resolve.h"
#include "net/net.h"
#include "tls/access.h"
#include "tls/changed.h"
#include "tls/filter.h"

#define MODULE "tls"

enum {
    ADDRESS_TEXT = 256,
    HOST_TEXT = 256,
    WARNING_TEXT = 160,
    CERT_MAX = 6144 /* of a header with one in it, which net_proxy_write bounds */
};

struct nk_service {
    struct nk_service_args args;
    struct nk_app *app;
    const struct tls_serve_conf *conf;
    struct nk_endpoint *connect;
    char host[HOST_TEXT]; /* client: of connect; "" when it has none */
    struct tls_creds *creds;
    struct net_join *join;
    struct tls_changed files;
    struct nk_timer drain;
    uint64_t reloads, reload_failures; /* of files that changed */
    bool draining, ready, ended;
};

static struct nk_log *log_of(const struct nk_service *s)
{
    return nk_app_log(s->app);
}

/* --- is the configuration right? -------------------------------------------------------------- */

/* Options of the other role: whoever gives one expects something of it. */
static int check_role(const struct tls_serve_conf *c, struct nk_diag *diag)
{
    bool client = c->role == TLS_SERVE_CLIENT, allow = c->allow_all;
    for (size_t i = 0; i < TLS_ALLOW_LISTS; i++) {
        allow |= c->allow[i].n > 0;
    }
    const char *stray = NULL;
    if (client) {
        stray = allow                                        ? "allow_..."
                : c->client_cert != TLS_CLIENT_CERT_REQUIRED ? "client_cert"
                : c->unsafe_target                           ? "unsafe_target"
                                                             : NULL;
    } else {
        stray = c->pin.n > 0         ? "pin"
                : c->server_name     ? "server_name"
                : c->allow_uid.n > 0 ? "allow_uid"
                : c->unsafe_listen   ? "unsafe_listen"
                                     : NULL;
    }
    return stray
               ? nk_fail(diag, NK_ECONFIG, "'%s' is for a %s", stray, client ? "server" : "client")
               : 0;
}

/* Which clients a server lets in: exactly one thing has to be said. */
static int check_access(const struct tls_serve_conf *c, enum tls_allow *kind, struct nk_diag *diag)
{
    bool any = c->ca || c->allow_all;
    size_t pins = c->allow[TLS_ALLOW_PIN - 1].n;
    for (size_t i = 0; i < TLS_ALLOW_LISTS; i++) {
        any |= c->allow[i].n > 0;
    }
    *kind = TLS_ALLOW_VERIFIED;
    if (c->client_cert == TLS_CLIENT_CERT_NONE) {
        return any ? nk_fail(diag, NK_ECONFIG,
                             "client_cert = none asks for no certificates: ca and allow_... are of "
                             "no use then")
                   : 0;
    }
    if (!any) {
        nk_fail(diag, NK_ECONFIG, "nothing says which clients may connect");
        nk_hint(diag,
                "give ca and a rule (allow_cn, allow_dns, allow_uri, allow_pin, allow_all), or "
                "client_cert = none for everybody who reaches it");
        return NK_ECONFIG;
    }
    int rc = tls_access_choose(c->allow, c->allow_all, kind, diag);
    if (rc == 0 && !c->ca && pins == 0) {
        nk_fail(diag, NK_ECONFIG,
                "without ca there is nothing to verify clients' certificates with");
        nk_hint(diag, "ca = FILE is the authority that signed them; only allow_pin needs none");
        rc = NK_ECONFIG;
    }
    return rc;
}

static int check_files(const struct tls_serve_conf *c, struct nk_diag *diag)
{
    if (c->key && !c->cert) {
        return nk_fail(diag, NK_ECONFIG, "'key' needs 'cert'");
    }
    if (c->role == TLS_SERVE_SERVER && !c->cert) {
        nk_fail(diag, NK_ECONFIG, "a TLS server needs 'cert' and 'key'");
        nk_hint(diag, "netkit cert new -o DIR makes them");
        return NK_ECONFIG;
    }
    return 0;
}

/* The TLS side names a transport: we are the layer above it. */
static int check_no_tls(const char *option, const struct nk_endpoint *ep, struct nk_diag *diag)
{
    for (size_t i = 0; nk_endpoint_layer(ep, i); i++) {
        if (strcmp(nk_endpoint_layer(ep, i)->driver->scheme, "tls") == 0) {
            return nk_fail(diag, NK_ECONFIG,
                           "'%s' names a transport only: TLS is added, with cert, key and ca",
                           option);
        }
    }
    return 0;
}

/* Nobody but this machine's programs is at the other end, or somebody who is known. */
static bool is_private(const struct nk_endpoint *ep, bool listen)
{
    static const char *const local[] = {"unix", "exec", "fd", "stdio", "mem"};
    const struct nk_ep_layer *l;
    for (size_t i = 0; (l = nk_endpoint_layer(ep, i)); i++) {
        if (listen ? l->driver->knows_peers && l->driver->knows_peers(l)
                   : strcmp(l->driver->scheme, "tls") == 0) {
            return true;
        }
    }
    l = nk_endpoint_layer(ep, 0);
    if (strcmp(l->driver->scheme, "tcp") == 0) {
        return nk_resolve_body_is_local(l->body);
    }
    for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
        if (strcmp(l->driver->scheme, local[i]) == 0) {
            return true;
        }
    }
    return false;
}

static int refuse_plain(bool client, const char *where, struct nk_diag *diag)
{
    nk_fail(diag, NK_ECONFIG, "%s is not on this machine, and %s", where,
            client ? "whoever reaches it would connect in your name"
                   : "what goes there would not be encrypted");
    nk_hint(diag, "use 127.0.0.1 or a unix socket, or say %s",
            client ? "unsafe_listen = yes" : "unsafe_target = yes");
    return NK_ECONFIG;
}

static int check_plain(const struct tls_serve_conf *c, const struct nk_endpoint *listen,
                       const struct nk_endpoint *connect, struct nk_diag *diag)
{
    bool client = c->role == TLS_SERVE_CLIENT;
    bool unsafe = client ? c->unsafe_listen : c->unsafe_target;
    const struct nk_endpoint *plain = client ? listen : connect;
    return unsafe || is_private(plain, client)
               ? 0
               : refuse_plain(client, nk_endpoint_text(plain), diag);
}

/* The name that a server is verified by, as the endpoint says it. */
static void find_host(const struct nk_endpoint *connect, char out[HOST_TEXT])
{
    const struct nk_ep_layer *l = nk_endpoint_layer(connect, 0);
    out[0] = 0;
    if ((!l->driver->host || l->driver->host(l, out, HOST_TEXT) < 0) && l->peer_host) {
        snprintf(out, HOST_TEXT, "%s", l->peer_host);
    }
}

/* What one configuration becomes before anything is opened. */
struct plan {
    struct nk_endpoint *listen, *connect;
    enum tls_allow allow;
    char host[HOST_TEXT];
};

static void plan_clear(struct plan *p)
{
    nk_endpoint_free(p->listen);
    nk_endpoint_free(p->connect);
    p->listen = p->connect = NULL;
}

static int check_client(const struct tls_serve_conf *c, struct plan *p, struct nk_diag *diag)
{
    find_host(p->connect, p->host);
    if (!p->host[0] && !c->server_name && c->pin.n == 0) {
        nk_fail(diag, NK_ECONFIG, "%s has no name that its server could be verified by",
                nk_endpoint_text(p->connect));
        nk_hint(diag, "say server_name = HOST, or pin = sha256:HASH");
        return NK_ECONFIG;
    }
    int rc = net_join_check(&c->allow_uid, p->listen, diag);
    return rc < 0 ? rc : check_no_tls("connect", p->connect, diag);
}

static int make_plan(const struct tls_serve_conf *c, struct plan *p, struct nk_diag *diag)
{
    bool client = c->role == TLS_SERVE_CLIENT;
    *p = (struct plan){.allow = TLS_ALLOW_VERIFIED};
    if (!c->listen || !c->connect) {
        return nk_fail(diag, NK_ECONFIG, "'%s' is missing", c->listen ? "connect" : "listen");
    }
    int rc = check_role(c, diag);
    rc = rc < 0 ? rc : check_files(c, diag);
    rc = rc < 0 || client ? rc : check_access(c, &p->allow, diag);
    rc = rc < 0 ? rc : nk_endpoint_parse(c->listen, NK_EP_LISTEN, &p->listen, diag);
    rc = rc < 0 ? rc : nk_endpoint_parse(c->connect, NK_EP_CONNECT, &p->connect, diag);
    if (rc == 0) {
        rc = client ? check_client(c, p, diag) : check_no_tls("listen", p->listen, diag);
    }
    rc = rc < 0 ? rc : check_plain(c, p->listen, p->connect, diag);
    if (rc < 0) {
        plan_clear(p);
    }
    return rc;
}

/* --- credentials ------------------------------------------------------------------------------ */

static int make_creds(const struct nk_service *s, const struct tls_serve_conf *c,
                      enum tls_allow allow, struct tls_creds **out, struct nk_diag *diag)
{
    bool client = c->role == TLS_SERVE_CLIENT;
    const struct nk_strlist *rule = allow == TLS_ALLOW_VERIFIED ? NULL : &c->allow[allow - 1];
    /* without an authority the pins themselves are what is trusted */
    const struct nk_strlist *pins = client ? &c->pin : c->ca ? NULL : rule;
    struct tls_creds_conf conf = {
        .role = client ? TLS_CLIENT : TLS_SERVER,
        .cert = c->cert,
        .key = c->key,
        .ca = c->ca,
        .alpn = (const char *const *)c->alpn.v,
        .nalpn = c->alpn.n,
        .suites = (const char *const *)c->ciphers.v,
        .nsuites = c->ciphers.n,
        .name = c->server_name,
        .tls12 = c->min_version == 1,
        .end_unsaid = c->truncation == 1,
        .handshake_ms = c->handshake_ms,
        .app = s->app,
    };
    if (pins) {
        conf.pins = (const char *const *)pins->v;
        conf.npins = pins->n;
    } else if (rule) {
        conf.allow = allow;
        conf.allowed = (const char *const *)rule->v;
        conf.nallowed = rule->n;
    }
    return tls_creds_new(out, &conf, diag);
}

static void tell_certificate(const struct nk_service *s)
{
    char text[WARNING_TEXT], pin[TLS_PIN_TEXT];
    uint8_t hash[TLS_HASH];
    if (tls_creds_hash(s->creds, NULL, hash) == 0) {
        nk_info(log_of(s), MODULE, "the certificate's key is %s, valid until %s",
                tls_pin_format(pin, hash), tls_format_time(text, tls_creds_expiry(s->creds)));
    }
    if (tls_creds_warnings(s->creds, nk_wall_s(s->app), text, sizeof(text))) {
        nk_warn(log_of(s), MODULE, "%s", text);
    }
}

static void watch_files(struct nk_service *s, const struct tls_serve_conf *c)
{
    const char *const paths[TLS_CHANGED_FILES] = {c->cert, c->key, c->ca};
    tls_changed_watch(&s->files, paths, c->timed_reload_ms);
}

/* Something was written: connections to come use it, if it can be used. */
static void on_files(void *owner)
{
    struct nk_service *s = owner;
    struct nk_diag diag = {0};
    if (tls_creds_reload(s->creds, &diag) < 0) {
        s->reload_failures++;
        nk_audit(log_of(s), MODULE, NK_LOG_ERROR, "reload", NULL,
                 "%s; what was read before stays in use", diag.text);
        return;
    }
    s->reloads++;
    nk_audit(log_of(s), MODULE, NK_LOG_INFO, "reload", NULL, "new certificates are in use");
    tell_certificate(s);
}

/* --- connections ------------------------------------------------------------------------------ */

static int wrap(void *owner, struct nk_stream *take_s, struct nk_stream **out, struct nk_diag *diag)
{
    struct nk_service *s = owner;
    return tls_wrap_server(s->app, s->creds, take_s, out, diag);
}

static int dial(void *owner, const struct nk_target *target, nk_stream_event_fn *fn, void *fn_owner,
                struct nk_stream **out, struct nk_diag *diag)
{
    const struct nk_service *s = owner;
    struct nk_stream *lower;
    (void)target; /* nobody is asked */
    if (s->conf->role == TLS_SERVE_SERVER) {
        return nk_dial(s->app, s->connect, fn, fn_owner, out, diag);
    }
    int rc = nk_dial(s->app, s->connect, NULL, NULL, &lower, diag);
    rc = rc < 0 ? rc
                : tls_wrap_client_to(s->app, s->creds, s->host[0] ? s->host : NULL,
                                     s->conf->connect, lower, out, diag);
    if (rc == 0 && fn) {
        nk_stream_own(*out, fn, fn_owner);
    }
    return rc;
}

/* Who the client is: the CN, and everything else in the certificate itself. */
static int fields(void *owner, struct nk_stream *from, struct nk_buf *tlvs)
{
    char names[TLS_SANS_TEXT], alpn[ADDRESS_TEXT], *cn;
    size_t n = sizeof(alpn), names_n = sizeof(names);
    struct tls_about about;
    (void)owner;
    int rc = nk_stream_query(from, NK_Q_ALPN, alpn, &n) < 0
                 ? 0
                 : net_proxy_put(tlvs, NET_PROXY_ALPN, alpn, strlen(alpn));
    tls_stream_about(from, &about);
    bool named = nk_stream_query(from, NK_Q_PEERNAMES, names, &names_n) == 0;
    cn = named && strncmp(names, "CN:", 3) == 0 ? names + 3 : NULL; /* they come first */
    if (cn) {
        cn[strcspn(cn, "\n")] = 0;
    }
    bool fits = about.cert_len <= CERT_MAX;
    const struct net_proxy_tls t = {.cert = about.cert != NULL,
                                    .version = about.version,
                                    .cipher = about.suite,
                                    .cn = cn,
                                    .client_cert = fits ? about.cert : NULL,
                                    .client_cert_len = fits ? about.cert_len : 0};
    return rc < 0 ? rc : net_proxy_put_tls(tlvs, &t);
}

static void end(struct nk_service *s, int rc, const struct nk_diag *why)
{
    if (!s->ended) {
        s->ended = true;
        nk_timer_stop(&s->drain);
        s->args.on_end(s->args.owner, rc, why);
    }
}

static void on_drained(void *owner)
{
    end(owner, 0, NULL);
}

static void on_drain_over(void *owner)
{
    struct nk_service *s = owner;
    struct net_join_counts n;
    net_join_counts(s->join, &n);
    nk_warn(log_of(s), MODULE, "%u connections were still open and are ended", (unsigned)n.active);
    end(s, 0, NULL);
}

static void tell_ready(struct nk_service *s)
{
    char local[ADDRESS_TEXT];
    bool known = net_join_local(s->join, local, sizeof(local)) == 0;
    nk_info(log_of(s), MODULE, "%s, listening on %s, forwarding to %s",
            s->conf->role == TLS_SERVE_SERVER ? "server" : "client",
            known ? local : s->conf->listen, s->conf->connect);
    tell_certificate(s);
    (void)nk_files_tell(log_of(s), NK_LOG_INFO, MODULE, "max_connections",
                        (uint64_t)s->conf->max_connections, 2);
    s->args.on_ready(s->args.owner);
}

static void on_usable(void *owner, int rc, const struct nk_diag *why)
{
    struct nk_service *s = owner;
    if (rc < 0) {
        end(s, rc, why);
    } else if (!s->ready) {
        s->ready = true;
        tell_ready(s);
    }
}

static struct net_join_conf join_conf(struct nk_service *s)
{
    const struct tls_serve_conf *c = s->conf;
    return (struct net_join_conf){.app = s->app,
                                  .module = MODULE,
                                  .name = c->listen,
                                  .allow_uid = &c->allow_uid,
                                  .max_connections = (uint64_t)c->max_connections,
                                  .idle_ms = c->idle_ms,
                                  .half_idle_ms = c->half_idle_ms,
                                  .wrap = c->role == TLS_SERVE_SERVER ? wrap : NULL,
                                  .proxy_in = c->accept_proxy_protocol,
                                  .proxy_out = c->proxy_protocol,
                                  .fields = c->role == TLS_SERVE_SERVER ? fields : NULL,
                                  .dial = dial,
                                  .owner = s,
                                  .usable = on_usable,
                                  .drained = on_drained};
}

/* --- the service ------------------------------------------------------------------------------ */

/* An inherited descriptor shows only now where it listens. */
static int listen_on(struct nk_service *s, const struct tls_serve_conf *c,
                     const struct nk_endpoint *ep, struct nk_listener **out, struct nk_diag *diag)
{
    char local[ADDRESS_TEXT];
    int rc = nk_listen(s->app, ep, net_join_accept, s->join, out, diag);
    if (rc == 0 && c->role == TLS_SERVE_CLIENT && !c->unsafe_listen &&
        strcmp(nk_endpoint_layer(ep, 0)->driver->scheme, "fd") == 0 &&
        nk_listener_local(*out, local, sizeof(local)) == 0 && strncmp(local, "tcp:", 4) == 0 &&
        !nk_resolve_body_is_local(local + 4)) {
        nk_listener_close(*out);
        rc = refuse_plain(true, local, diag);
    }
    return rc;
}

static void serve_close(struct nk_service *s)
{
    tls_changed_stop(&s->files);
    nk_timer_stop(&s->drain);
    net_join_close(s->join);
    tls_creds_unref(s->creds);
    nk_endpoint_free(s->connect);
    free(s);
}

static int open_all(struct nk_service *s, const struct plan *p, struct nk_diag *diag)
{
    struct nk_listener *l;
    const struct net_join_conf conf = join_conf(s);
    watch_files(s, s->conf); /* first: what changes from now on is seen */
    int rc = make_creds(s, s->conf, p->allow, &s->creds, diag);
    if (rc == 0 && (rc = net_join_new(&conf, &s->join)) < 0) {
        nk_fail_sys(diag, rc, MODULE);
    }
    rc = rc < 0 ? rc : listen_on(s, s->conf, p->listen, &l, diag);
    if (rc == 0) {
        net_join_listener(s->join, l);
    }
    return rc;
}

static int serve_start(const struct nk_service_args *args, struct nk_service **out,
                       struct nk_diag *diag)
{
    struct plan p;
    int rc = make_plan(args->conf, &p, diag);
    if (rc < 0) {
        return rc;
    }
    struct nk_service *s = calloc(1, sizeof(*s));
    if (!s) {
        plan_clear(&p);
        return nk_fail_sys(diag, -ENOMEM, MODULE);
    }
    *s = (struct nk_service){
        .args = *args, .app = args->app, .conf = args->conf, .connect = p.connect};
    memcpy(s->host, p.host, sizeof(s->host));
    nk_timer_init(&s->drain, s->app, on_drain_over, s);
    tls_changed_init(&s->files, s->app, on_files, s);
    p.connect = NULL;
    rc = open_all(s, &p, diag);
    plan_clear(&p);
    if (rc < 0) {
        serve_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

static void serve_drain(struct nk_service *s)
{
    if (!s->draining) {
        s->draining = true;
        nk_timer_start(&s->drain, s->conf->drain_ms);
        net_join_drain(s->join);
    }
}

/* Everything new is made before anything old is given up. */
static int serve_reload(struct nk_service *s, const void *conf, const struct nk_conf *ini,
                        struct nk_diag *diag)
{
    const struct tls_serve_conf *fresh = conf;
    struct nk_listener *l = NULL;
    struct tls_creds *creds = NULL;
    struct plan p;
    (void)ini;
    int rc = make_plan(fresh, &p, diag);
    if (rc < 0) {
        return rc;
    }
    rc = make_creds(s, fresh, p.allow, &creds, diag);
    if (rc == 0 && !s->draining && strcmp(fresh->listen, s->conf->listen) != 0) {
        rc = listen_on(s, fresh, p.listen, &l, diag);
    } else if (rc == 0) {
        rc = net_join_refresh(s->join, diag);
    }
    if (rc < 0) {
        tls_creds_unref(creds);
        plan_clear(&p);
        return rc;
    }
    nk_endpoint_free(s->connect);
    s->connect = p.connect;
    p.connect = NULL;
    memcpy(s->host, p.host, sizeof(s->host));
    plan_clear(&p);
    tls_creds_unref(s->creds);
    s->creds = creds;
    s->conf = fresh;
    watch_files(s, fresh);
    const struct net_join_conf next = join_conf(s);
    net_join_set(s->join, &next);
    if (l) {
        net_join_listener(s->join, l);
    }
    tell_certificate(s);
    return 0;
}

static void serve_status(const struct nk_service *s, struct nk_json *out)
{
    char local[ADDRESS_TEXT] = "";
    (void)net_join_local(s->join, local, sizeof(local)); /* "" when unknown */
    nk_json_kv_str(out, "role", s->conf->role == TLS_SERVE_SERVER ? "server" : "client");
    nk_json_kv_str(out, "listen", local);
    nk_json_kv_str(out, "connect", s->conf->connect);
    net_join_status(s->join, out);
    nk_json_kv_i64(out, "certificate_expires", tls_creds_expiry(s->creds));
    nk_json_kv_u64(out, "certificate_reloads", s->reloads);
    nk_json_kv_u64(out, "certificate_reload_failures", s->reload_failures);
}

const struct nk_service_type tls_serve_service = {
    .section = "tls",
    .start = serve_start,
    .drain = serve_drain,
    .reload = serve_reload,
    .status = serve_status,
    .close = serve_close,
};
