/* SPDX-License-Identifier: MIT */
#include "tor/resolve.h"

#include <stdlib.h>
#include <string.h>

#include "core/app.h"
#include "core/resolve.h"
#include "tor/target.h"

struct tor_lookup {
    struct nk_app *app;
    struct nk_stream *s;   /* or */
    struct nk_defer known; /* the answer stands in `answer` */
    tor_lookup_fn *fn;
    void *owner;
    bool ptr;
    char answer[SOCKS_TEXT_MAX + 1];
};

void tor_lookup_cancel(struct tor_lookup *l)
{
    if (l) {
        nk_stream_close(l->s);
        nk_app_defer_cancel(l->app, &l->known);
        free(l);
    }
}

static void finish(struct tor_lookup *l, int err, const char *answer, const struct nk_diag *why)
{
    tor_lookup_fn *fn = l->fn;
    void *owner = l->owner;
    char copy[SOCKS_TEXT_MAX + 1] = "";
    if (answer) {
        memcpy(copy, answer, strlen(answer) + 1);
    }
    tor_lookup_cancel(l);
    fn(owner, err, copy, why);
}

static void on_known(void *owner)
{
    struct tor_lookup *l = owner;
    finish(l, 0, l->answer, NULL);
}

static void on_event(void *owner, struct nk_stream *s, unsigned events)
{
    struct tor_lookup *l = owner;
    struct socks_addr a = {0};
    struct nk_diag why = {0};
    int rc = events & NK_CLOSED ? nk_stream_error(s, &why) : socks_client_bound(s, &a);
    bool name = a.type == SOCKS_NAME;
    if (rc == 0 && (name != l->ptr || (name && !socks_name_ok(a.host, a.len)))) {
        rc = nk_fail(&why, NK_EPROTO, "tor answered with what is no %s",
                     l->ptr ? "name" : "address");
    }
    finish(l, rc, rc == 0 ? socks_addr_host(&a, l->answer) : NULL, &why);
}

/* What needs no tor: 1 and the answer; 0; or what cannot be looked up. */
static int without_tor(struct tor_lookup *l, const struct socks_addr *to, bool onion,
                       struct nk_diag *diag)
{
    bool address = to->type != SOCKS_NAME;
    if (onion) {
        return nk_fail(diag, NK_EUSAGE, "an onion address has no other address");
    }
    if (l->ptr) {
        return address ? 0 : nk_fail(diag, NK_EUSAGE, "'%s' is not an address", to->host);
    }
    if (address || nk_resolve_is_local(to->host)) {
        if (address) {
            (void)socks_addr_host(to, l->answer);
        } else {
            memcpy(l->answer, "127.0.0.1", sizeof("127.0.0.1"));
        }
        return 1;
    }
    return 0;
}

int tor_lookup_start(struct nk_app *app, const struct tor_lookup_conf *conf, const char *word,
                     tor_lookup_fn *fn, void *owner, struct tor_lookup **out, struct nk_diag *diag)
{
    struct tor_via_conf via = conf->via;
    via.command = conf->ptr ? SOCKS_RESOLVE_PTR : SOCKS_RESOLVE;
    struct tor_lookup *l = calloc(1, sizeof(*l));
    if (!l) {
        return nk_fail_sys(diag, -ENOMEM, "tor");
    }
    *l = (struct tor_lookup){.app = app, .fn = fn, .owner = owner, .ptr = conf->ptr};
    l->known = (struct nk_defer){.fn = on_known, .owner = l};
    /* what is its own answer may be private */
    int rc = tor_target_set(&via.to, word, 0, !conf->ptr || conf->allow_private, &via.onion, diag);
    rc = rc < 0 ? rc : without_tor(l, &via.to, via.onion, diag);
    if (rc > 0) {
        nk_app_defer(app, &l->known);
        rc = 0;
    } else if (rc == 0 && (rc = tor_via_open(app, &via, &l->s, diag)) == 0) {
        nk_stream_own(l->s, on_event, l);
    }
    if (rc < 0) {
        free(l);
        return rc;
    }
    *out = l;
    return 0;
}
