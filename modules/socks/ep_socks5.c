/* SPDX-License-Identifier: MIT */
/*
 * socks5: as a filter of endpoint strings. To listen: socks5:127.0.0.1:1080 (over any transport),
 * of which each client says where it wants to go. To connect: socks5:PROXY:1080,to=HOST:PORT, or
 * without to= where the end is said for each connection; names are passed on unresolved.
 */
#include <stdio.h>
#include <string.h>

#include "base/endpoint.h"
#include "base/file.h"
#include "base/secret.h"
#include "core/registry.h"
#include "core/resolve.h"
#include "socks/socks.h"

struct ep_socks5_conf {
    char *to, *user, *password_file;
    bool pipeline, allow_remote;
    uint64_t timeout_ms, handshake_ms;
};

static const struct nk_opt params[] = {
    {.name = "to",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct ep_socks5_conf, to),
     .arg = "HOST:PORT",
     .help = "Where the proxy connects to; it resolves the name"},
    {.name = "user",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct ep_socks5_conf, user),
     .arg = "NAME",
     .help = "User name for the proxy"},
    {.name = "password_file",
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct ep_socks5_conf, password_file),
     .arg = "FILE",
     .help = "Password for the proxy; without it the password is empty"},
    {.name = "pipeline",
     .type = NK_OPT_BOOL,
     .offset = NK_FIELD(struct ep_socks5_conf, pipeline),
     .def = "no",
     .help = "Send greeting and request in one go; not every proxy bears that"},
    {.name = "reply_timeout",
     .type = NK_OPT_DURATION,
     .offset = NK_FIELD(struct ep_socks5_conf, timeout_ms),
     .arg = "TIME",
     .def = "60s",
     .min = 1,
     .max = 3600 * 1000,
     .help = "How long the proxy may take to connect"},
    {.name = "request_timeout",
     .type = NK_OPT_DURATION,
     .offset = NK_FIELD(struct ep_socks5_conf, handshake_ms),
     .arg = "TIME",
     .def = "10s",
     .min = 1,
     .max = 3600 * 1000,
     .help = "Listener: how long a client may take to say where it wants to go"},
    {.name = "allow_remote",
     .type = NK_OPT_BOOL,
     .offset = NK_FIELD(struct ep_socks5_conf, allow_remote),
     .def = "no",
     .help = "Listener: be a proxy for everybody who reaches it from other machines"},
    NK_OPT_END};

static bool open_end(const struct nk_ep_layer *layer)
{
    return !((const struct ep_socks5_conf *)layer->conf)->to;
}

static int parse_to(const char *to, char host[SOCKS_TEXT_MAX + 1], uint16_t *port,
                    struct nk_diag *diag)
{
    int rc = nk_ep_host_port(to, host, SOCKS_TEXT_MAX + 1, port, 0, diag);
    if (rc == 0 && (!host[0] || *port == 0)) {
        rc = nk_fail(diag, NK_ECONFIG, "to=%s has no %s", to, host[0] ? "port" : "host");
    }
    return rc;
}

/* Nobody logs in here, so other machines have to be kept out, or known by a layer below. */
static bool is_guarded(const struct nk_ep_layer *layer)
{
    const struct ep_socks5_conf *c = layer->conf;
    bool known = c->allow_remote;
    for (const struct nk_ep_layer *l = layer->below; l && !known; l = l->below) {
        known = l->driver->knows_peers && l->driver->knows_peers(l);
    }
    return known;
}

static int refuse_remote(const char *where, struct nk_diag *diag)
{
    nk_fail(diag, NK_ECONFIG,
            "socks5: %s is reachable from other machines, and anybody there could connect through "
            "this proxy, in your name",
            where);
    nk_hint(diag, "listen on 127.0.0.1 or a unix socket, ask for certificates (socks5+tls+tcp: "
                  "with ca=), or say allow_remote=yes");
    return NK_ECONFIG;
}

/* What the string says. check_bound looks again, at what an inherited socket is bound to. */
static int check_listen(const struct nk_ep_layer *layer, struct nk_diag *diag)
{
    const struct nk_ep_layer *transport = layer;
    char where[SOCKS_TEXT_MAX + 1];
    while (transport->below) {
        transport = transport->below;
    }
    bool tcp = strcmp(transport->driver->scheme, "tcp") == 0;
    bool remote = (tcp && !nk_resolve_body_is_local(transport->body)) ||
                  (transport->driver->flags & NK_EP_PUBLIC);
    if (!remote || is_guarded(layer)) {
        return 0;
    }
    snprintf(where, sizeof(where), "%s:%s", transport->driver->scheme, transport->body);
    return refuse_remote(where, diag);
}

static int check_bound(const struct nk_ep_layer *layer, const char *local, struct nk_diag *diag)
{
    bool remote = strncmp(local, "tcp:", 4) == 0 && !nk_resolve_body_is_local(local + 4);
    return !remote || is_guarded(layer) ? 0 : refuse_remote(local, diag);
}

static int check(const struct nk_ep_layer *layer, enum nk_ep_role role, struct nk_diag *diag)
{
    const struct ep_socks5_conf *c = layer->conf;
    struct socks_addr a;
    char host[SOCKS_TEXT_MAX + 1];
    uint16_t port;
    if (role == NK_EP_LISTEN && (c->to || c->user || c->password_file)) {
        return nk_fail(diag, NK_ECONFIG,
                       "socks5: to=, user= and password_file= are for connecting; a listener's "
                       "clients say where they want to go");
    }
    if (role == NK_EP_LISTEN) {
        return check_listen(layer, diag);
    }
    if (c->allow_remote) {
        return nk_fail(diag, NK_ECONFIG, "socks5: allow_remote= is for listeners");
    }
    if ((c->user && strlen(c->user) > SOCKS_TEXT_MAX) || (c->password_file && !c->user)) {
        return nk_fail(diag, NK_ECONFIG, "socks5: %s",
                       c->user ? "user= has at most 255 bytes" : "password_file= needs user=");
    }
    if (!c->to) {
        return 0;
    }
    int rc = parse_to(c->to, host, &port, diag);
    return rc < 0 ? rc : socks_addr_set(&a, host, port, diag);
}

static int host_of(const struct nk_ep_layer *layer, char *out, size_t max)
{
    const struct ep_socks5_conf *c = layer->conf;
    uint16_t port;
    return c->to && nk_ep_host_port(c->to, out, max, &port, 0, NULL) == 0 ? 0 : -ENOENT;
}

/* Reads the password and fills l, whose bytes are in *password and the configuration. */
static int login_of(const struct ep_socks5_conf *c, struct nk_secret *password,
                    struct socks_login *l, struct nk_diag *diag)
{
    if (c->password_file) {
        int rc = nk_file_read_secret(c->password_file, true, password, diag);
        if (rc < 0) {
            return rc;
        }
        if (password->len > SOCKS_TEXT_MAX) {
            return nk_fail(diag, NK_ECONFIG, "%s: the password has more than 255 bytes",
                           c->password_file);
        }
    }
    *l = (struct socks_login){.user = (const uint8_t *)c->user,
                              .user_len = (uint8_t)strlen(c->user),
                              .password = password->data ? password->data : (const uint8_t *)"",
                              .password_len = (uint8_t)password->len};
    return 0;
}

/* An open end may bring a login of its own: the proxy keeps such connections apart (Tor does). */
static void login_from(const struct nk_target *t, struct socks_login *l)
{
    *l = (struct socks_login){.user = t->user,
                              .user_len = t->user_len,
                              .password = t->password,
                              .password_len = t->password_len};
}

static int wrap_client(struct nk_app *app, const struct nk_ep_layer *layer,
                       struct nk_stream *take_lower, struct nk_stream **out, struct nk_diag *diag)
{
    const struct ep_socks5_conf *c = layer->conf;
    const struct nk_target *t = layer->target;
    struct socks_client_conf conf = {.pipeline = c->pipeline, .timeout_ms = c->timeout_ms};
    struct nk_secret password = {0};
    struct socks_login login;
    char host[SOCKS_TEXT_MAX + 1], what[SOCKS_TEXT_MAX + 64];
    uint16_t port = 0;
    int rc = t ? 0 : parse_to(c->to, host, &port, diag);
    rc = rc < 0 ? rc : socks_addr_set(&conf.to, t ? t->host : host, t ? t->port : port, diag);
    if (rc == 0 && c->user) {
        rc = login_of(c, &password, &login, diag);
        conf.login = &login;
    } else if (rc == 0 && t && t->has_login) {
        login_from(t, &login);
        conf.login = &login;
    }
    if (rc < 0) {
        nk_secret_clear(&password);
        nk_stream_close(take_lower);
        return rc;
    }
    snprintf(what, sizeof(what), "socks5 to %s:%u", t ? t->host : host, conf.to.port);
    conf.what = what;
    rc = socks_client_wrap(app, &conf, take_lower, out, diag);
    nk_secret_clear(&password);
    return rc;
}

static int wrap(struct nk_app *app, const struct nk_ep_layer *layer, void *state,
                enum nk_ep_role role, struct nk_stream *take_lower, struct nk_stream **out,
                struct nk_diag *diag)
{
    const struct ep_socks5_conf *c = layer->conf;
    const struct socks_server_conf server = {.handshake_ms = c->handshake_ms};
    (void)state;
    return role == NK_EP_LISTEN ? socks_server_wrap(app, &server, take_lower, out, diag)
                                : wrap_client(app, layer, take_lower, out, diag);
}

extern const struct nk_ep_driver nk_ep_socks5;
const struct nk_ep_driver nk_ep_socks5 = {
    .scheme = "socks5",
    .summary = "Through a SOCKS5 proxy; as listener, a SOCKS5 proxy",
    .body_help = "PROXY:PORT",
    .flags = NK_EP_CAN_CONNECT | NK_EP_CAN_LISTEN | NK_EP_FILTER | NK_EP_TELLS_TARGET,
    .over = "tcp",
    .params = params,
    .conf_size = sizeof(struct ep_socks5_conf),
    .check = check,
    .bound = check_bound,
    .open_end = open_end,
    .host = host_of,
    .wrap = wrap,
};
