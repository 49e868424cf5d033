/* SPDX-License-Identifier: MIT */
/* From a checked endpoint to streams: the transport below, the filters on top of it. */
#include "core/registry_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/app_internal.h"

enum { LOCAL_MAX = 256 }; /* "onion:" and an address, "unix:" and a path of 107 bytes */

/* What the filters of one dial or listener share; state[i] belongs to layer i. */
struct filters {
    void *state[NK_EP_LAYERS];
    size_t prepared; /* layers 0..prepared-1 */
};

static size_t filter_count(const struct nk_endpoint *ep)
{
    return ep->n - 1;
}

static void filters_release(const struct nk_endpoint *ep, struct filters *f)
{
    while (f->prepared > 0) {
        size_t i = --f->prepared;
        const struct nk_ep_driver *d = ep->layers[i].driver;
        if (d->release && f->state[i]) {
            d->release(f->state[i]);
        }
    }
}

static int filters_prepare(struct nk_app *app, const struct nk_endpoint *ep, struct filters *f,
                           struct nk_diag *diag)
{
    *f = (struct filters){.prepared = 0};
    for (size_t i = 0; i < filter_count(ep); i++) {
        const struct nk_ep_driver *d = ep->layers[i].driver;
        int rc = d->prepare ? d->prepare(app, &ep->layers[i], ep->role, &f->state[i], diag) : 0;
        if (rc < 0) {
            filters_release(ep, f);
            return rc;
        }
        f->prepared = i + 1;
    }
    return 0;
}

/* A layer with what only the dial knows: an open end is the outermost layer's. */
static struct nk_ep_layer layer_for(const struct nk_endpoint *ep, size_t i,
                                    const struct nk_target *target)
{
    struct nk_ep_layer layer = ep->layers[i];
    layer.target = i == 0 ? target : NULL;
    return layer;
}

/* Puts all filters over take_s, innermost first. */
static int filters_wrap(struct nk_app *app, const struct nk_endpoint *ep, const struct filters *f,
                        const struct nk_target *target, struct nk_stream *take_s,
                        struct nk_stream **out, struct nk_diag *diag)
{
    for (size_t i = filter_count(ep); i-- > 0;) {
        struct nk_stream *upper = NULL;
        const struct nk_ep_layer layer = layer_for(ep, i, target);
        int rc = layer.driver->wrap(app, &layer, f->state[i], ep->role, take_s, &upper, diag);
        if (rc < 0) {
            return rc; /* wrap has closed what it took */
        }
        take_s = upper;
    }
    *out = take_s;
    return 0;
}

static int check_available(const struct nk_app *app, const struct nk_endpoint *ep,
                           struct nk_diag *diag)
{
    for (size_t i = 0; i < ep->n; i++) {
        const struct nk_ep_driver *d = ep->layers[i].driver;
        if ((d->flags & NK_EP_TEST) && !app->conf.test_endpoints) {
            return nk_fail(diag, NK_EUNSUPPORTED, "'%s:' is for tests only", d->scheme);
        }
        if ((d->flags & NK_EP_EXEC) && !app->conf.launcher) {
            return nk_fail(diag, NK_EUNSUPPORTED,
                           "'%s:' starts a program, which is not possible here", d->scheme);
        }
    }
    return 0;
}

int nk_dial(struct nk_app *app, const struct nk_endpoint *ep, nk_stream_event_fn *fn, void *owner,
            struct nk_stream **out, struct nk_diag *diag)
{
    return nk_dial_to(app, ep, NULL, fn, owner, out, diag);
}

int nk_dial_to(struct nk_app *app, const struct nk_endpoint *ep, const struct nk_target *target,
               nk_stream_event_fn *fn, void *owner, struct nk_stream **out, struct nk_diag *diag)
{
    const struct nk_ep_layer transport = layer_for(ep, ep->n - 1, target);
    struct filters f;
    struct nk_stream *s = NULL;
    int rc = check_available(app, ep, diag);
    if (rc == 0 && ep->open != (target != NULL)) {
        rc = nk_fail(diag, NK_ECONFIG, "'%.80s' %s", ep->text,
                     target ? "has an end of its own" : "does not say where to connect");
    }
    if (rc == 0) {
        rc = filters_prepare(app, ep, &f, diag);
    }
    if (rc < 0) {
        return rc;
    }
    rc = transport.driver->dial(app, &transport, &s, diag);
    if (rc == 0) {
        rc = filters_wrap(app, ep, &f, target, s, &s, diag);
    }
    filters_release(ep, &f);
    if (rc < 0) {
        return rc;
    }
    nk_stream_own(s, fn, owner);
    *out = s;
    return 0;
}

/* --- listeners with filters ------------------------------------------------------------------- */

struct filter_listener {
    struct nk_listener l;
    struct nk_endpoint *ep;
    struct nk_listener *lower;
    struct filters filters;
    struct nk_defer gone;
};

static void on_gone(void *owner)
{
    free(owner);
}

static void filter_listener_close(struct nk_listener *l)
{
    struct filter_listener *f = (struct filter_listener *)l;
    nk_listener_close(f->lower);
    filters_release(f->ep, &f->filters);
    nk_endpoint_free(f->ep);
    f->gone.fn = on_gone;
    f->gone.owner = f;
    nk_app_defer(l->app, &f->gone);
}

static void filter_listener_pause(struct nk_listener *l, int paused)
{
    nk_listener_pause(((struct filter_listener *)l)->lower, paused);
}

static int filter_listener_local(struct nk_listener *l, char *out, size_t max)
{
    struct filter_listener *f = (struct filter_listener *)l;
    size_t len = 0;
    for (size_t i = 0; i < filter_count(f->ep); i++) {
        int n = snprintf(out + len, max - len, "%s+", f->ep->layers[i].driver->scheme);
        if (n < 0 || (size_t)n >= max - len) {
            return NK_ETOOBIG;
        }
        len += (size_t)n;
    }
    return nk_listener_local(f->lower, out + len, max - len);
}

static int filter_listener_refresh(struct nk_listener *l, struct nk_diag *diag)
{
    struct filter_listener *f = (struct filter_listener *)l;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < f->filters.prepared; i++) {
        const struct nk_ep_driver *d = f->ep->layers[i].driver;
        rc = d->refresh && f->filters.state[i] ? d->refresh(f->filters.state[i], diag) : 0;
    }
    return rc;
}

static const struct nk_listener_ops filter_listener_ops = {
    .name = "filter",
    .close = filter_listener_close,
    .pause = filter_listener_pause,
    .local = filter_listener_local,
    .refresh = filter_listener_refresh,
};

static void on_lower_accept(void *owner, struct nk_listener *lower, struct nk_stream *take_s)
{
    struct filter_listener *f = owner;
    struct nk_app *app = f->l.app;
    struct nk_diag diag = {0};
    struct nk_stream *s;
    (void)lower;
    int rc = filters_wrap(app, f->ep, &f->filters, NULL, take_s, &s, &diag);
    if (rc < 0) {
        nk_warn(nk_app_log(app), "core", "connection dropped: %s", diag.text);
        return;
    }
    f->l.on_accept(f->l.owner, &f->l, s);
}

static void on_lower_state(void *owner, struct nk_listener *lower, int state,
                           const struct nk_diag *why)
{
    struct filter_listener *f = owner;
    (void)lower;
    nk_listener_turn(&f->l, state, why);
}

/* May the filters stay over what was bound? */
static int check_bound(const struct nk_endpoint *ep, struct nk_listener *lower,
                       struct nk_diag *diag)
{
    char where[LOCAL_MAX];
    int rc = 0;
    if (nk_listener_local(lower, where, sizeof(where)) < 0) {
        return 0; /* no address, so nothing is known beyond what the string says */
    }
    for (size_t i = 0; rc == 0 && i < filter_count(ep); i++) {
        const struct nk_ep_driver *d = ep->layers[i].driver;
        rc = d->bound ? d->bound(&ep->layers[i], where, diag) : 0;
    }
    return rc;
}

static int listen_filtered(struct nk_app *app, struct nk_endpoint *ep, nk_accept_fn *fn,
                           void *owner, struct nk_listener **out, struct nk_diag *diag)
{
    const struct nk_ep_layer *transport = &ep->layers[ep->n - 1];
    struct filter_listener *f = calloc(1, sizeof(*f));
    if (!f) {
        return nk_fail_sys(diag, -ENOMEM, "listen");
    }
    int rc = filters_prepare(app, ep, &f->filters, diag);
    if (rc < 0) {
        free(f);
        return rc;
    }
    rc = transport->driver->listen(app, transport, on_lower_accept, f, &f->lower, diag);
    if (rc == 0 && (rc = check_bound(ep, f->lower, diag)) < 0) {
        nk_listener_close(f->lower);
    }
    if (rc < 0) {
        filters_release(ep, &f->filters);
        free(f);
        return rc;
    }
    nk_listener_init(&f->l, &filter_listener_ops, app, fn, owner);
    f->l.state = nk_listener_state(f->lower);
    nk_listener_watch(f->lower, on_lower_state, f);
    f->ep = nk_endpoint_ref(ep);
    *out = &f->l;
    return 0;
}

int nk_listen(struct nk_app *app, const struct nk_endpoint *ep, nk_accept_fn *fn, void *owner,
              struct nk_listener **out, struct nk_diag *diag)
{
    const struct nk_ep_layer *transport = &ep->layers[ep->n - 1];
    int rc = check_available(app, ep, diag);
    if (rc < 0) {
        return rc;
    }
    if (filter_count(ep) == 0) {
        return transport->driver->listen(app, transport, fn, owner, out, diag);
    }
    /* only the reference count changes */
    return listen_filtered(app, (struct nk_endpoint *)(uintptr_t)ep, fn, owner, out, diag);
}
