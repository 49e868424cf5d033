/* SPDX-License-Identifier: MIT */
/*
 * onion:PORT - listen as an onion service. tor brings its connections to a private socket of ours:
 * a unix socket in a directory that nobody else can enter when tor runs as our user, or a port of
 * 127.0.0.1, which everybody on this machine can reach; local= names another place.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/codec.h"
#include "core/app.h"
#include "core/registry.h"
#include "onion/host.h"
#include "onion/serve.h"

enum {
    DIR_MAX = 64,    /* bytes of the path of a directory: the socket's has to be short */
    LOCAL_MAX = 112, /* of the place where an inner listener is, as we made it */
    PLACE_MAX = 160  /* bytes of an endpoint string of ours */
};

struct ep_onion_conf {
    struct onion_serve_conf serve; /* first: the rows of services are used */
    char *local;
};

static const struct nk_opt params[] = {
    {.name = "key",
     .type = NK_OPT_PATH,
     ONION_FIELD(key),
     .arg = "FILE|new|discard",
     .help = "Its key; a file is made when it is not there. Default: a new one each time"},
    {.name = "local",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct ep_onion_conf, local),
     .arg = "LISTEN",
     .help = "Where tor brings connections to, for a tor in another container: unix:PATH or "
             "tcp:ADDRESS:PORT, which tor has to reach by the same name"},
    ONION_ROWS,
    NK_OPT_END};

/* The listener that its owner has. */
struct onion_listener {
    struct nk_listener base;
    struct nk_endpoint *ep; /* keeps the parameters */
    struct onion_conf conf; /* of the parameters, with its port */
    char port[ONION_TARGET_MAX + 8];
    char *ports[1];
    uint16_t number;
    char dir[DIR_MAX]; /* of the unix socket; "" for none */
    struct nk_listener *inner;
    struct onion_plan plan;
    struct onion_host host;
    struct nk_defer free;
};

static int take_port(const struct nk_ep_layer *layer, uint16_t *out, struct nk_diag *diag)
{
    struct onion_port p;
    if (strspn(layer->body, "0123456789") != strlen(layer->body) ||
        onion_port_parse(&p, layer->body, NULL) < 0) {
        (void)nk_fail(diag, NK_ECONFIG, "onion: '%s' is no port of 1 to 65535", layer->body);
        nk_hint(diag, "write onion:PORT,key=FILE; where connections go is the other side's to say");
        return NK_ECONFIG;
    }
    *out = p.port;
    return 0;
}

/* Without one of their keys the descriptor cannot be read (rend-spec-v3 §2.5.1.2). */
static bool knows_peers(const struct nk_ep_layer *layer)
{
    const struct ep_onion_conf *c = layer->conf;
    return c->serve.onion.client_auth.n > 0;
}

static int check(const struct nk_ep_layer *layer, enum nk_ep_role role, struct nk_diag *diag)
{
    const struct ep_onion_conf *c = layer->conf;
    uint16_t port;
    (void)role;
    int rc = take_port(layer, &port, diag);
    rc = rc < 0 ? rc : onion_conf_check(&c->serve.onion, diag);
    return rc < 0 || !c->local ? rc : nk_endpoint_check(c->local, true, diag);
}

/* --- where tor brings connections ------------------------------------------------------------- */

/* Is it a tor of our own user? Its control socket is its user's; those that root starts may run as
 * somebody else. */
static bool is_ours(const struct tor_cli_conf *tor)
{
    const struct tor_access *access = &tor->access;
    char place[PLACE_MAX];
    struct stat st;
    if (tor->kind == TOR_GLOBAL || tor->kind == TOR_PRIVATE) {
        return geteuid() != 0;
    }
    for (size_t i = 0; tor_access_place(access, i, place, sizeof(place)) == 0; i++) {
        if (strncmp(place, "unix:/", 6) == 0 && stat(place + 5, &st) == 0) {
            return st.st_uid == geteuid();
        }
    }
    return false;
}

static int make_place(struct onion_listener *l, const struct ep_onion_conf *c, char out[PLACE_MAX],
                      struct nk_diag *diag)
{
    const char *tmp = getenv("TMPDIR");
    if (c->local) {
        (void)snprintf(out, PLACE_MAX, "%s", c->local);
    } else if (!is_ours(&c->serve.tor)) {
        (void)snprintf(out, PLACE_MAX, "tcp:127.0.0.1:0");
    } else {
        int n = snprintf(l->dir, sizeof(l->dir), "%s/nk-onion-XXXXXX",
                         tmp && tmp[0] == '/' ? tmp : "/tmp");
        if (n < 0 || (size_t)n >= sizeof(l->dir)) {
            (void)snprintf(l->dir, sizeof(l->dir), "/tmp/nk-onion-XXXXXX");
        }
        if (!mkdtemp(l->dir)) {
            int rc = nk_fail_sys(diag, -errno, "%s", l->dir);
            l->dir[0] = '\0';
            return rc;
        }
        (void)snprintf(out, PLACE_MAX, "unix:%s/s", l->dir);
    }
    return 0;
}

static void on_accept(void *owner, struct nk_listener *inner, struct nk_stream *take_s)
{
    struct onion_listener *l = owner;
    (void)inner;
    l->base.on_accept(l->base.owner, &l->base, take_s);
}

static int open_inner(struct onion_listener *l, const struct ep_onion_conf *c, struct nk_diag *diag)
{
    char place[PLACE_MAX], local[LOCAL_MAX];
    struct nk_endpoint *ep = NULL;
    int rc = make_place(l, c, place, diag);
    rc = rc < 0 ? rc : nk_endpoint_parse(place, NK_EP_LISTEN, &ep, diag);
    rc = rc < 0 ? rc : nk_listen(l->base.app, ep, on_accept, l, &l->inner, diag);
    nk_endpoint_free(ep);
    if (rc == 0 && (rc = nk_listener_local(l->inner, local, sizeof(local))) < 0) {
        rc = nk_fail_sys(diag, rc, "%s", place);
    }
    if (rc == 0) {
        (void)snprintf(l->port, sizeof(l->port), "%u:%s", l->number, local);
        l->ports[0] = l->port;
        l->conf.ports = (struct nk_strlist){.v = l->ports, .n = 1};
    }
    return rc;
}

/* --- the listener ----------------------------------------------------------------------------- */

static void free_listener(void *owner)
{
    struct onion_listener *l = owner;
    nk_endpoint_free(l->ep);
    free(l);
}

static void listener_close(struct nk_listener *base)
{
    struct onion_listener *l = (struct onion_listener *)base;
    onion_host_close(&l->host);
    nk_listener_close(l->inner);
    if (l->dir[0] != '\0') {
        (void)rmdir(l->dir);
    }
    onion_plan_clear(&l->plan);
    nk_app_defer(l->base.app, &l->free);
}

static void listener_pause(struct nk_listener *base, int paused)
{
    struct onion_listener *l = (struct onion_listener *)base;
    nk_listener_pause(l->inner, paused);
}

static int listener_local(struct nk_listener *base, char *out, size_t max)
{
    const struct onion_listener *l = (const struct onion_listener *)base;
    bool known = l->plan.address[0] != '\0';
    int n = snprintf(out, max, "onion:%s:%u", known ? l->plan.address : "", l->number);
    return n < 0 || (size_t)n >= max ? NK_ETOOBIG : 0;
}

static const struct nk_listener_ops ops = {
    .name = "onion", .close = listener_close, .pause = listener_pause, .local = listener_local};

/* The parameters outlive the call in an endpoint of our own. */
static int copy_conf(struct onion_listener *l, const struct nk_ep_layer *layer,
                     const struct ep_onion_conf **out, struct nk_diag *diag)
{
    const struct nk_ep_layer *own = NULL;
    int rc = nk_endpoint_parse(layer->whole, NK_EP_LISTEN, &l->ep, diag);
    for (size_t i = 0; rc == 0 && (own = nk_endpoint_layer(l->ep, i)) != NULL; i++) {
        if (own->driver == layer->driver) {
            *out = own->conf;
            l->conf = (*out)->serve.onion;
            return take_port(own, &l->number, diag);
        }
    }
    return rc < 0 ? rc : nk_fail(diag, NK_EINTERNAL, "onion: no such layer");
}

static int begin(struct onion_listener *l, const struct nk_ep_layer *layer, struct nk_diag *diag)
{
    const struct ep_onion_conf *c = NULL;
    int rc = copy_conf(l, layer, &c, diag);
    rc = rc < 0 ? rc : open_inner(l, c, diag);
    rc = rc < 0 ? rc : onion_plan_init(&l->plan, &l->conf, nk_app_log(l->base.app), diag);
    if (rc == 0) {
        const struct onion_host_conf conf = {.app = l->base.app,
                                             .tor = &c->serve.tor,
                                             .plan = &l->plan,
                                             .probe_ms = l->conf.probe_ms,
                                             .patient = true, /* a listener cannot end by itself */
                                             .owner = l};
        rc = onion_host_open(&l->host, &conf, diag);
    }
    return rc;
}

static int listen_onion(struct nk_app *app, const struct nk_ep_layer *layer, nk_accept_fn *fn,
                        void *owner, struct nk_listener **out, struct nk_diag *diag)
{
    struct onion_listener *l = calloc(1, sizeof(*l));
    if (!l) {
        return nk_fail(diag, -ENOMEM, "out of memory");
    }
    nk_listener_init(&l->base, &ops, app, fn, owner);
    l->free = (struct nk_defer){.fn = free_listener, .owner = l};
    int rc = begin(l, layer, diag);
    if (rc < 0) {
        listener_close(&l->base);
        return rc;
    }
    *out = &l->base;
    return 0;
}

extern const struct nk_ep_driver nk_ep_onion;
const struct nk_ep_driver nk_ep_onion = {
    .scheme = "onion",
    .summary = "Listen as an onion service of a tor that runs",
    .body_help = "PORT",
    .flags = NK_EP_CAN_LISTEN | NK_EP_PUBLIC,
    .params = params,
    .conf_size = sizeof(struct ep_onion_conf),
    .check = check,
    .knows_peers = knows_peers,
    .listen = listen_onion,
};
