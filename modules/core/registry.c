/* SPDX-License-Identifier: MIT */
#include "core/registry_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"

enum { MAX_NAMES = 128 }; /* parameter names that are looked at for a suggestion */

const struct nk_ep_driver *nk_ep_driver_find(const char *scheme)
{
    for (size_t i = 0; i < nk_ep_count; i++) {
        if (strcmp(nk_ep_table[i]->scheme, scheme) == 0) {
            return nk_ep_table[i];
        }
    }
    return NULL;
}

/* --- layers ----------------------------------------------------------------------------------- */

static int unknown_scheme(const char *scheme, struct nk_diag *diag)
{
    const char *names[MAX_NAMES];
    size_t n = 0;
    for (; n < nk_ep_count && n < MAX_NAMES; n++) {
        names[n] = nk_ep_table[n]->scheme;
    }
    const char *near = nk_suggest(scheme, names, n);
    nk_fail(diag, NK_ECONFIG, "unknown kind of endpoint '%s:'", scheme);
    if (near) {
        nk_hint(diag, "did you mean '%s:'?", near);
    } else {
        nk_hint(diag, "an address such as 127.0.0.1:4000 is written tcp:127.0.0.1:4000");
    }
    return NK_ECONFIG;
}

static int check_role(const struct nk_ep_driver *d, enum nk_ep_role role, struct nk_diag *diag)
{
    unsigned need = role == NK_EP_LISTEN ? NK_EP_CAN_LISTEN : NK_EP_CAN_CONNECT;
    if (d->flags & need) {
        return 0;
    }
    return nk_fail(diag, NK_ECONFIG, "'%s:' can only %s, and this is a place to %s", d->scheme,
                   role == NK_EP_LISTEN ? "be connected to" : "be listened on",
                   role == NK_EP_LISTEN ? "listen" : "connect");
}

static int add_layer(struct nk_endpoint *ep, const struct nk_ep_driver *d, const char *body,
                     struct nk_diag *diag)
{
    int rc = check_role(d, ep->role, diag);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < ep->n; i++) {
        if (ep->layers[i].driver == d) {
            return nk_fail(diag, NK_ECONFIG, "'%s' stands there twice", d->scheme);
        }
    }
    void *conf = calloc(1, d->conf_size ? d->conf_size : 1);
    if (!conf) {
        return nk_fail_sys(diag, -ENOMEM, "endpoint");
    }
    ep->conf[ep->n] = conf;
    ep->layers[ep->n] = (struct nk_ep_layer){.driver = d, .body = body, .conf = conf};
    ep->n++;
    for (const struct nk_opt *row = d->params; row && row->name; row++) {
        rc = nk_opt_parse_default(row, conf, diag);
        if (rc < 0) {
            nk_fail_context(diag, "default of %s.%s", d->scheme, row->name);
            return rc;
        }
    }
    return 0;
}

static int find_layers(struct nk_endpoint *ep, struct nk_diag *diag)
{
    const struct nk_ep_text *t = &ep->parsed;
    for (size_t i = 0; i < t->layers; i++) {
        const struct nk_ep_driver *d = nk_ep_driver_find(t->scheme[i]);
        bool last = i + 1 == t->layers;
        if (!d) {
            return unknown_scheme(t->scheme[i], diag);
        }
        bool filter = (d->flags & NK_EP_FILTER) != 0;
        if (!filter && !last) {
            return nk_fail(diag, NK_ECONFIG,
                           "'%s' is a transport: nothing can be below it, so no '+' may follow",
                           d->scheme);
        }
        if (filter && last && !d->over) {
            return nk_fail(diag, NK_ECONFIG, "'%s' needs a transport below it: %s+tcp:...",
                           d->scheme, d->scheme);
        }
        int rc = add_layer(ep, d, last && !filter ? t->body : "", diag);
        if (rc == 0 && filter && last) {
            const struct nk_ep_driver *under = nk_ep_driver_find(d->over);
            rc = under ? add_layer(ep, under, t->body, diag) : unknown_scheme(d->over, diag);
        }
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* --- parameters ------------------------------------------------------------------------------- */

struct choice {
    size_t layer;
    const struct nk_opt *row;
};

static const struct nk_opt *row_of(const struct nk_endpoint *ep, size_t layer, const char *key)
{
    const struct nk_opt *rows = ep->layers[layer].driver->params;
    return rows ? nk_opt_find(rows, key) : NULL;
}

static bool in_scope(const struct nk_endpoint *ep, size_t i, const char *layer)
{
    return !layer || strcmp(ep->layers[i].driver->scheme, layer) == 0;
}

static void unknown_key(const struct nk_endpoint *ep, const struct nk_ep_param *p,
                        struct nk_diag *diag)
{
    const char *names[MAX_NAMES];
    char who[80] = "";
    size_t n = 0, len = 0;
    for (size_t i = 0; i < ep->n; i++) {
        const struct nk_ep_driver *d = ep->layers[i].driver;
        if (!in_scope(ep, i, p->layer)) {
            continue;
        }
        int w = snprintf(who + len, sizeof(who) - len, "%s'%s'", len ? " and " : "", d->scheme);
        len = w > 0 && (size_t)w < sizeof(who) - len ? len + (size_t)w : len;
        for (const struct nk_opt *row = d->params; row && row->name && n < MAX_NAMES; row++) {
            names[n++] = row->name;
        }
    }
    const char *near = nk_suggest(p->key, names, n);
    nk_fail(diag, NK_ECONFIG, "unknown key '%s' for %s", p->key, who);
    if (near) {
        nk_hint(diag, "did you mean '%s'?", near);
    }
}

static void unknown_layer(const struct nk_endpoint *ep, const char *layer, struct nk_diag *diag)
{
    char who[80] = "";
    size_t len = 0;
    for (size_t i = 0; i < ep->n; i++) {
        int w = snprintf(who + len, sizeof(who) - len, "%s%s", len ? ", " : "",
                         ep->layers[i].driver->scheme);
        len = w > 0 && (size_t)w < sizeof(who) - len ? len + (size_t)w : len;
    }
    nk_fail(diag, NK_ECONFIG, "no layer '%s' here; the layers are: %s", layer, who);
}

/* A bare key must be known to exactly one layer. */
static int choose(const struct nk_endpoint *ep, const struct nk_ep_param *p, struct choice *out,
                  struct nk_diag *diag)
{
    bool named = false;
    *out = (struct choice){.row = NULL};
    for (size_t i = 0; i < ep->n; i++) {
        if (!in_scope(ep, i, p->layer)) {
            continue;
        }
        named = true;
        const struct nk_opt *row = row_of(ep, i, p->key);
        if (row && out->row) {
            const char *a = ep->layers[out->layer].driver->scheme;
            const char *b = ep->layers[i].driver->scheme;
            nk_fail(diag, NK_ECONFIG, "'%s' is a key of '%s' and of '%s'", p->key, a, b);
            nk_hint(diag, "write %s.%s= or %s.%s=", a, p->key, b, p->key);
            return NK_ECONFIG;
        }
        if (row) {
            *out = (struct choice){.layer = i, .row = row};
        }
    }
    if (!named) {
        unknown_layer(ep, p->layer, diag);
    } else if (!out->row) {
        unknown_key(ep, p, diag);
    }
    return out->row ? 0 : NK_ECONFIG;
}

static int set_param(struct nk_endpoint *ep, const struct choice *c, const struct nk_ep_param *p,
                     struct nk_diag *diag)
{
    int rc = nk_opt_parse_value(c->row, p->value, ep->conf[c->layer], diag);
    if (rc < 0) {
        nk_fail_context(diag, "%s.%s", ep->layers[c->layer].driver->scheme, c->row->name);
    }
    return rc;
}

static int check_required(const struct nk_endpoint *ep, const struct choice *set, size_t n,
                          struct nk_diag *diag)
{
    for (size_t i = 0; i < ep->n; i++) {
        const struct nk_opt *row = ep->layers[i].driver->params;
        for (; row && row->name; row++) {
            bool found = !(row->flags & NK_OPT_REQUIRED);
            for (size_t k = 0; k < n && !found; k++) {
                found = set[k].row == row;
            }
            if (!found) {
                return nk_fail(diag, NK_ECONFIG, "'%s' needs %s=%s", ep->layers[i].driver->scheme,
                               row->name, row->arg ? row->arg : "VALUE");
            }
        }
    }
    return 0;
}

static int read_params(struct nk_endpoint *ep, struct nk_diag *diag)
{
    struct choice set[NK_EP_MAX_PARAMS] = {{0}};
    size_t n = ep->parsed.nparams;
    for (size_t i = 0; i < n; i++) {
        const struct nk_ep_param *p = &ep->parsed.params[i];
        int rc = choose(ep, p, &set[i], diag);
        if (rc < 0) {
            return rc;
        }
        for (size_t k = 0; k < i; k++) {
            if (set[k].row == set[i].row && !(set[i].row->flags & NK_OPT_REPEAT)) {
                return nk_fail(diag, NK_ECONFIG, "'%s' is given twice", p->key);
            }
        }
        rc = set_param(ep, &set[i], p, diag);
        if (rc < 0) {
            return rc;
        }
    }
    return check_required(ep, set, n, diag);
}

/* --- the whole -------------------------------------------------------------------------------- */

/* The host that a filter talks to is the one of the nearest layer below that knows one. */
static void find_hosts(struct nk_endpoint *ep)
{
    for (size_t i = 0; i < ep->n; i++) {
        ep->layers[i].whole = ep->text;
        ep->layers[i].below = i + 1 < ep->n ? &ep->layers[i + 1] : NULL;
    }
    for (size_t i = ep->n - 1; i-- > 0;) {
        const struct nk_ep_layer *below = &ep->layers[i + 1];
        if (below->driver->host &&
            below->driver->host(below, ep->host[i], sizeof(ep->host[i])) == 0) {
            ep->layers[i].peer_host = ep->host[i];
        } else {
            ep->layers[i].peer_host = below->peer_host;
        }
    }
}

static int check_layers(struct nk_endpoint *ep, struct nk_diag *diag)
{
    for (size_t i = ep->n; i-- > 0;) {
        const struct nk_ep_driver *d = ep->layers[i].driver;
        int rc = d->check ? d->check(&ep->layers[i], ep->role, diag) : 0;
        if (rc == 0 && d->learn) {
            rc = d->learn(&ep->layers[i], ep->role, &ep->layers[i].known, diag);
        }
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static bool layer_open(const struct nk_endpoint *ep, size_t i)
{
    const struct nk_ep_driver *d = ep->layers[i].driver;
    return ep->role == NK_EP_LISTEN ? (d->flags & NK_EP_TELLS_TARGET) != 0
                                    : d->open_end && d->open_end(&ep->layers[i]);
}

/* An end may only be open where the caller can do something with it: at the top of the string. */
static int check_end(struct nk_endpoint *ep, bool may_be_open, struct nk_diag *diag)
{
    bool listen = ep->role == NK_EP_LISTEN;
    ep->open = layer_open(ep, 0);
    for (size_t i = 0; i < ep->n; i++) {
        const struct nk_ep_driver *d = ep->layers[i].driver;
        if (!layer_open(ep, i) || (i == 0 && may_be_open)) {
            continue;
        }
        if (listen) {
            nk_fail(diag, NK_ECONFIG, "the clients of '%s:' say where to connect, which %s",
                    d->scheme, i > 0 ? "nothing above it can use" : "is of no use here");
            nk_hint(diag, "netkit forward joins them to a connector");
        } else {
            nk_fail(diag, NK_ECONFIG, "'%s:' does not say where to connect", d->scheme);
            nk_hint(diag, "it needs %s", d->body_help);
        }
        return NK_ECONFIG;
    }
    return 0;
}

static int build(struct nk_endpoint *ep, const char *text, bool may_be_open, struct nk_diag *diag)
{
    int rc = nk_ep_text_parse(&ep->parsed, text, diag);
    if (rc == 0) {
        rc = find_layers(ep, diag);
    }
    if (rc == 0) {
        rc = read_params(ep, diag);
    }
    if (rc == 0) {
        find_hosts(ep);
        rc = check_layers(ep, diag);
    }
    return rc < 0 ? rc : check_end(ep, may_be_open, diag);
}

int nk_endpoint_parse(const char *text, enum nk_ep_role role, struct nk_endpoint **out,
                      struct nk_diag *diag)
{
    struct nk_endpoint *ep = calloc(1, sizeof(*ep));
    if (!ep) {
        return nk_fail_sys(diag, -ENOMEM, "endpoint");
    }
    ep->refs = 1;
    ep->role = role & NK_EP_LISTEN ? NK_EP_LISTEN : NK_EP_CONNECT;
    ep->text = strdup(text);
    int rc = ep->text ? build(ep, text, (role & NK_EP_OPEN_END) != 0, diag)
                      : nk_fail_sys(diag, -ENOMEM, "endpoint");
    if (rc < 0) {
        nk_endpoint_free(ep);
        if (rc == NK_EFORMAT || rc == NK_ETOOBIG || rc == NK_EUSAGE || rc == NK_ENONAME ||
            rc == NK_EVERSION) {
            rc = NK_ECONFIG; /* what a person wrote is wrong, not data from somewhere */
        }
        if (diag) {
            diag->code = rc;
        }
        (void)nk_ep_twisted_hint(text, diag);
        nk_fail_context(diag, "'%.80s'", text);
        return rc;
    }
    *out = ep;
    return 0;
}

struct nk_endpoint *nk_endpoint_ref(struct nk_endpoint *ep)
{
    ep->refs++;
    return ep;
}

void nk_endpoint_free(struct nk_endpoint *ep)
{
    if (!ep || --ep->refs > 0) {
        return;
    }
    for (size_t i = 0; i < ep->n; i++) {
        const struct nk_ep_driver *d = ep->layers[i].driver;
        if (ep->layers[i].known) {
            d->forget(ep->layers[i].known);
        }
        nk_opt_free_values(d->params, ep->conf[i]);
        free(ep->conf[i]);
    }
    nk_ep_text_clear(&ep->parsed);
    free(ep->text);
    free(ep);
}

int nk_endpoint_check(const char *text, bool listen, struct nk_diag *diag)
{
    struct nk_endpoint *ep;
    int rc = nk_endpoint_parse(text, listen ? NK_EP_LISTEN_OPEN : NK_EP_CONNECT_OPEN, &ep, diag);
    if (rc == 0) {
        nk_endpoint_free(ep);
    }
    return rc;
}

const struct nk_ep_layer *nk_endpoint_layer(const struct nk_endpoint *ep, size_t i)
{
    return i < ep->n ? &ep->layers[i] : NULL;
}

bool nk_endpoint_open(const struct nk_endpoint *ep)
{
    return ep->open;
}

const char *nk_endpoint_text(const struct nk_endpoint *ep)
{
    return ep->text;
}
