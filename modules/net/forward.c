/* SPDX-License-Identifier: MIT */
#include "net/forward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app.h"
#include "core/files.h"
#include "core/pump.h"
#include "core/registry.h"
#include "net/join.h"

struct nk_service {
    struct nk_service_args args;
    struct nk_app *app;
    const struct net_forward_conf *conf;
    struct nk_endpoint *connect;
    struct net_join *join;
    bool draining, ready, ended;
};

/* --- the service ------------------------------------------------------------------------------ */

static void tell_ready(const struct nk_service *f)
{
    struct nk_log *log = nk_app_log(f->app);
    char local[256];
    if (net_join_local(f->join, local, sizeof(local)) < 0) {
        snprintf(local, sizeof(local), "%s", f->conf->listen);
    }
    nk_info(log, "forward", "listening on %s, forwarding to %s", local, f->conf->connect);
    (void)nk_files_tell(log, NK_LOG_INFO, "forward", "max_connections",
                        (uint64_t)f->conf->max_connections, 2);
    f->args.on_ready(f->args.owner);
}

static void end(struct nk_service *f, int rc, const struct nk_diag *why)
{
    if (!f->ended) {
        f->ended = true;
        f->args.on_end(f->args.owner, rc, why);
    }
}

static void on_usable(void *owner, int rc, const struct nk_diag *why)
{
    struct nk_service *f = owner;
    if (rc < 0) {
        end(f, rc, why);
    } else if (!f->ready) {
        f->ready = true;
        tell_ready(f);
    }
}

static void on_drained(void *owner)
{
    end(owner, 0, NULL);
}

static int dial(void *owner, const struct nk_target *target, nk_stream_event_fn *fn, void *fn_owner,
                struct nk_stream **out, struct nk_diag *diag)
{
    const struct nk_service *f = owner;
    return target ? nk_dial_to(f->app, f->connect, target, fn, fn_owner, out, diag)
                  : nk_dial(f->app, f->connect, fn, fn_owner, out, diag);
}

/* Both strings of conf, checked; nothing is opened. */
static int parse_both(const struct net_forward_conf *conf, struct nk_endpoint **listen,
                      struct nk_endpoint **connect, struct nk_diag *diag)
{
    if (!conf->listen || !conf->connect) {
        return nk_fail(diag, NK_ECONFIG, "%s is missing", conf->listen ? "connect" : "listen");
    }
    int rc = nk_endpoint_parse(conf->listen, NK_EP_LISTEN_OPEN, listen, diag);
    if (rc < 0) {
        return rc;
    }
    /* where peers say what they want, the connector has to follow them, and only there */
    bool open = nk_endpoint_open(*listen);
    rc = net_join_check(&conf->allow_uid, *listen, diag);
    rc = rc < 0 ? rc
                : nk_endpoint_parse(conf->connect, open ? NK_EP_CONNECT_OPEN : NK_EP_CONNECT,
                                    connect, diag);
    if (rc == 0 && open && (conf->proxy_protocol || conf->accept_proxy_protocol)) {
        rc = nk_fail(diag, NK_ECONFIG, "there is no PROXY protocol around '%s'", conf->listen);
        nk_endpoint_free(*connect);
    }
    if (rc == 0 && open && !nk_endpoint_open(*connect)) {
        rc = nk_fail(diag, NK_ECONFIG,
                     "the clients of '%s' say where to connect, and '%s' has an end of its own",
                     conf->listen, conf->connect);
        nk_hint(diag, "leave the end out: tcp: connects to wherever they want");
        nk_endpoint_free(*connect);
    }
    if (rc < 0) {
        nk_endpoint_free(*listen);
    }
    return rc;
}

/* New connections go where f->conf and f->connect say. */
static struct net_join_conf join_conf(struct nk_service *f)
{
    const struct net_forward_conf *c = f->conf;
    return (struct net_join_conf){.app = f->app,
                                  .module = "forward",
                                  .name = c->listen,
                                  .allow_uid = &c->allow_uid,
                                  .max_connections = (uint64_t)c->max_connections,
                                  .idle_ms = c->idle_ms,
                                  .half_idle_ms = c->half_idle_ms,
                                  .asks = nk_endpoint_open(f->connect),
                                  .proxy_in = c->accept_proxy_protocol,
                                  .proxy_out = c->proxy_protocol,
                                  .dial = dial,
                                  .owner = f,
                                  .usable = on_usable,
                                  .drained = on_drained};
}

static void forward_close(struct nk_service *f)
{
    net_join_close(f->join);
    nk_endpoint_free(f->connect);
    free(f);
}

static int forward_start(const struct nk_service_args *args, struct nk_service **out,
                         struct nk_diag *diag)
{
    struct nk_endpoint *listen = NULL, *connect = NULL;
    struct nk_listener *l;
    int rc = parse_both(args->conf, &listen, &connect, diag);
    if (rc < 0) {
        return rc;
    }
    struct nk_service *f = calloc(1, sizeof(*f));
    if (!f) {
        nk_endpoint_free(listen);
        nk_endpoint_free(connect);
        return nk_fail_sys(diag, -ENOMEM, "forward");
    }
    *f = (struct nk_service){
        .args = *args, .app = args->app, .conf = args->conf, .connect = connect};
    const struct net_join_conf conf = join_conf(f);
    rc = net_join_new(&conf, &f->join);
    rc = rc < 0 ? nk_fail_sys(diag, rc, "forward")
                : nk_listen(f->app, listen, net_join_accept, f->join, &l, diag);
    nk_endpoint_free(listen);
    if (rc < 0) {
        forward_close(f);
        return rc;
    }
    net_join_listener(f->join, l);
    *out = f;
    return 0;
}

static void forward_drain(struct nk_service *f)
{
    f->draining = true;
    net_join_drain(f->join);
}

/* New connections use the new values; a listener with the same name stays open, and its files are
 * read again. */
static int forward_reload(struct nk_service *f, const void *conf, const struct nk_conf *ini,
                          struct nk_diag *diag)
{
    const struct net_forward_conf *fresh = conf;
    struct nk_endpoint *listen = NULL, *connect = NULL;
    struct nk_listener *l = NULL;
    (void)ini;
    int rc = parse_both(fresh, &listen, &connect, diag);
    if (rc < 0) {
        return rc;
    }
    if (!f->draining && strcmp(fresh->listen, f->conf->listen) != 0) {
        rc = nk_listen(f->app, listen, net_join_accept, f->join, &l, diag);
    } else {
        rc = net_join_refresh(f->join, diag);
    }
    nk_endpoint_free(listen);
    if (rc < 0) {
        nk_endpoint_free(connect);
        return rc;
    }
    nk_endpoint_free(f->connect);
    f->connect = connect;
    f->conf = fresh;
    const struct net_join_conf next = join_conf(f);
    net_join_set(f->join, &next);
    if (l) {
        net_join_listener(f->join, l);
    }
    return 0;
}

static void forward_status(const struct nk_service *f, struct nk_json *out)
{
    char local[256] = "";
    (void)net_join_local(f->join, local, sizeof(local)); /* "" when unknown */
    nk_json_kv_str(out, "listen", local);
    nk_json_kv_str(out, "connect", f->conf->connect);
    net_join_status(f->join, out);
}

const struct nk_service_type net_forward_service = {
    .section = "forward",
    .start = forward_start,
    .drain = forward_drain,
    .reload = forward_reload,
    .status = forward_status,
    .close = forward_close,
};

/* --- one connection --------------------------------------------------------------------------- */

bool net_forward_can_listen(const char *text)
{
    struct nk_endpoint *ep;
    bool only_connects = false;
    if (nk_endpoint_parse(text, NK_EP_CONNECT, &ep, NULL) == 0) {
        for (size_t i = 0; nk_endpoint_layer(ep, i); i++) {
            unsigned flags = nk_endpoint_layer(ep, i)->driver->flags;
            only_connects = only_connects || !(flags & NK_EP_CAN_LISTEN);
        }
        nk_endpoint_free(ep);
    }
    return !only_connects;
}

struct once {
    struct nk_app *app;
    struct nk_diag *diag;
};

static void on_once_done(void *owner, const struct nk_pump_result *r)
{
    struct once o = *(struct once *)owner;
    free(owner);
    if (r->error < 0) {
        *o.diag = *r->why;
    }
    nk_app_stop(o.app, r->error);
}

static int dial_text(struct nk_app *app, const char *text, struct nk_stream **out,
                     struct nk_diag *diag)
{
    struct nk_endpoint *ep;
    int rc = nk_endpoint_parse(text, NK_EP_CONNECT, &ep, diag);
    if (rc == 0) {
        rc = nk_dial(app, ep, NULL, NULL, out, diag);
        nk_endpoint_free(ep);
    }
    return rc;
}

static int check_connect(const char *text, struct nk_diag *diag)
{
    struct nk_endpoint *ep;
    int rc = nk_endpoint_parse(text, NK_EP_CONNECT, &ep, diag);
    if (rc == 0) {
        nk_endpoint_free(ep);
    }
    return rc;
}

int net_forward_once(struct nk_app *app, const struct net_forward_conf *conf, struct nk_diag *diag)
{
    const struct nk_pump_conf limits = {.idle_ms = conf->idle_ms,
                                        .half_idle_ms = conf->half_idle_ms};
    struct nk_stream *a = NULL, *b = NULL;
    struct nk_pump *pump;
    struct once *o = malloc(sizeof(*o));
    int rc = o ? check_connect(conf->connect, diag) : nk_fail_sys(diag, -ENOMEM, "forward");
    rc = rc < 0 ? rc : dial_text(app, conf->listen, &a, diag);
    rc = rc < 0 ? rc : dial_text(app, conf->connect, &b, diag);
    if (rc < 0) {
        nk_stream_close(a);
        free(o);
        return rc;
    }
    *o = (struct once){.app = app, .diag = diag};
    rc = nk_pump_start(app, a, b, &limits, on_once_done, o, &pump);
    if (rc < 0) {
        free(o);
        return nk_fail_sys(diag, rc, "forward");
    }
    return 0;
}
