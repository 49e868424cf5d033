/* SPDX-License-Identifier: MIT */
#include "relay/endpoint.h"

#include <signal.h>
#include <string.h>

#include "core/app.h"
#include "core/registry.h"
#include "core/resolve.h"
#include "core/signal.h"
#include "relay/password.h"
#include "tls/tls.h"

#define HOST_MAX 256

/* TLS for the client; the host is only of interest when no other name is expected. */
static int secure(void *arg, struct nk_app *app, struct nk_stream *take_lower,
                  struct nk_stream **out, struct nk_diag *diag)
{
    struct relay_endpoint_session *s = arg;
    char host[HOST_MAX];
    const struct nk_ep_layer *layer = nk_endpoint_layer(s->connect, 0);
    bool known = layer->driver->host && layer->driver->host(layer, host, sizeof(host)) == 0;
    return tls_wrap_client(app, s->creds, known ? host : NULL, take_lower, out, diag);
}

/* May a password travel there without encryption? */
static bool stays_here(const struct nk_endpoint *ep)
{
    char host[HOST_MAX];
    const struct nk_ep_layer *layer = nk_endpoint_layer(ep, 0);
    if (!layer->driver->host || layer->driver->host(layer, host, sizeof(host)) < 0) {
        /* unix:, fd:, exec: have no host: they end on this machine. tor: and ssh: always have. */
        return true;
    }
    return nk_resolve_is_local(host);
}

static int parse_connect(struct relay_endpoint_session *s, const struct relay_endpoint_conf *conf,
                         struct nk_diag *diag)
{
    int status = nk_endpoint_parse(s->target.connect, NK_EP_CONNECT, &s->connect, diag);
    if (status < 0) {
        return status;
    }
    const struct nk_ep_layer *layer = nk_endpoint_layer(s->connect, 0);
    if (strcmp(layer->driver->scheme, "tls") == 0) {
        status = nk_fail(diag, NK_EUSAGE,
                         "%s: name the transport only; endpoints add TLS "
                         "themselves",
                         s->target.connect);
        nk_hint(diag, "use --ca, --pin and --server-name, and tcp: instead of tls:");
        return status;
    }
    if (!s->target.tls && !conf->allow_plain && !stays_here(s->connect)) {
        status = nk_fail(diag, NK_EUSAGE, "%s: without TLS the password could be read on the way",
                         s->target.connect);
        nk_hint(diag, "use --connection TLS; --allow-plain if the network is private");
        return status;
    }
    return 0;
}

static int load_secrets(struct relay_endpoint_session *s, const struct relay_endpoint_conf *conf,
                        struct nk_diag *diag)
{
    int status = s->target.password_file
                     ? relay_password_load(s->target.password_file, &s->password, diag)
                     : 0;
    if (status < 0) {
        return status;
    }
    const char *weak = relay_password_weakness(&s->password);
    if (weak && s->target.password_file) {
        nk_warn(s->ctx->log, "relay", "the password in %s is weak: it %s", s->target.password_file,
                weak);
    }
    if (conf->login_key) {
        status = relay_endpoint_login_key(conf->login_key, &s->login_key, diag);
    }
    return status < 0 ? status : relay_endpoint_trust(s, conf, diag);
}

static void on_timeout(void *owner)
{
    struct relay_endpoint_session *s = owner;
    if (!s->stopping) {
        s->stopping = true;
        s->on_stop(s->owner, true);
    }
}

static void on_signal(void *owner, int signum)
{
    struct relay_endpoint_session *s = owner;
    if (s->stopping) { /* the user insists, or the orderly way takes too long */
        relay_endpoint_end(s, NK_EXIT_SIGNAL + signum, NULL);
        return;
    }
    s->stopping = true;
    s->signum = signum;
    s->on_stop(s->owner, false);
}

static int start_loop(struct relay_endpoint_session *s, struct nk_diag *diag)
{
    const struct nk_app_conf app = {
        .log = s->ctx->log, .launcher = s->ctx->launcher, .state_dir = s->ctx->globals->state_dir};
    int status = nk_app_new(&s->app, &app, diag);
    if (status < 0) {
        return status;
    }
    nk_timer_init(&s->timeout, s->app, on_timeout, s);
    if (s->ctx->globals->timeout_ms > 0) {
        nk_timer_start(&s->timeout, s->ctx->globals->timeout_ms);
    }
    status = nk_signal_watch(s->app, SIGTERM, on_signal, s, &s->term);
    if (status == 0) {
        status = nk_signal_watch(s->app, SIGINT, on_signal, s, &s->interrupt);
    }
    return status < 0 ? nk_fail_sys(diag, status, "cannot watch signals") : 0;
}

int relay_endpoint_prepare(struct relay_endpoint_session *s, struct nk_cmd_ctx *ctx,
                           const struct relay_endpoint_plan *plan)
{
    struct nk_diag *diag = &ctx->diag;
    struct relay_endpoint_conf conf;
    s->ctx = ctx;
    s->on_stop = plan->on_stop;
    s->owner = plan->owner;
    int status = relay_endpoint_named(ctx, plan->conf, &conf, diag);
    if (status == 0) {
        status = relay_endpoint_find(ctx, &conf, &s->target, diag);
    }
    if (status == 0) {
        status = parse_connect(s, &conf, diag);
    }
    if (status == 0) {
        status = load_secrets(s, &conf, diag);
    }
    if (status < 0) {
        return status;
    }
    s->client_conf = (struct relay_client_conf){.connect = s->connect,
                                                .where = s->target.connect,
                                                .secure = s->target.tls ? secure : NULL,
                                                .secure_arg = s,
                                                .password = &s->password,
                                                .groups = plan->groups,
                                                .ngroups = plan->ngroups,
                                                .header_size = s->target.header_size,
                                                .max_object = (size_t)conf.max_object,
                                                .retry_ms = conf.retry_ms,
                                                .reconnect = plan->reconnect,
                                                .doubt = plan->doubt,
                                                .name = "netkit"};
    relay_endpoint_trust_conf(s, &conf);
    return status;
}

int relay_endpoint_start(struct relay_endpoint_session *s, struct nk_cmd_ctx *ctx,
                         const struct relay_endpoint_plan *plan)
{
    int status = relay_endpoint_prepare(s, ctx, plan);
    if (status == 0) {
        status = start_loop(s, &ctx->diag);
    }
    return status < 0
               ? status
               : relay_client_open(s->app, &s->client_conf, plan->ops, plan->owner, &s->client);
}

void relay_endpoint_end(struct relay_endpoint_session *s, int status, const struct nk_diag *why)
{
    if (why && status < 0) {
        s->ctx->diag = *why;
        s->ctx->diag.code = status;
    }
    nk_app_stop(s->app, status);
}

int relay_endpoint_run(struct relay_endpoint_session *s)
{
    return nk_app_run(s->app);
}

void relay_endpoint_stop(struct relay_endpoint_session *s)
{
    relay_client_close(s->client);
    if (s->app) {
        nk_timer_stop(&s->timeout);
        if (s->term) {
            nk_signal_close(s->term);
        }
        if (s->interrupt) {
            nk_signal_close(s->interrupt);
        }
        nk_app_free(s->app);
    }
    tls_creds_unref(s->creds);
    if (s->connect) {
        nk_endpoint_free(s->connect);
    }
    nk_secret_clear(&s->password);
    nk_secret_clear(&s->login_key);
    relay_endpoint_target_clear(&s->target);
    *s = (struct relay_endpoint_session){0};
}

void relay_endpoint_lost(struct relay_endpoint_session *s, const struct nk_diag *why,
                         uint64_t again_ms)
{
    nk_warn(s->ctx->log, "relay", "%s; next attempt in %llu ms", why->text,
            (unsigned long long)again_ms);
}
