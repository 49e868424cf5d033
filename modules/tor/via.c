/* SPDX-License-Identifier: MIT */
#include "tor/via.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sodium.h>

#include "base/onion.h"
#include "base/secret.h"
#include "core/app.h"
#include "core/registry.h"
#include "tor/access.h"
#include "tor/address.h"
#include "tor/attach.h"
#include "tor/client_auth.h"
#include "tor/instance.h"
#include "tor/target.h"

enum { MIX_BYTES = 16 /* of a hash that keeps isolation keys apart */ };

/* User names that begin so have a meaning for tor (its socks-extensions, "extended isolation"). */
#define RESERVED_USER "<torS0X>"

/* The password that goes with isolate=: any, as only the pair counts; some programs refuse none. */
#define ISOLATE_PASSWORD "netkit"

/* --- settings --------------------------------------------------------------------------------- */

/* An address as control and SOCKS ports are written, as an endpoint. */
static int check_place(const char *text, const char *what, struct nk_diag *diag)
{
    char where[TOR_ADDRESS_SIZE];
    const struct tor_access as = {.control = (char *)(uintptr_t)text};
    struct nk_endpoint *ep;
    int rc = tor_access_place(&as, 0, where, sizeof(where));
    rc = rc < 0 ? nk_fail(diag, NK_ECONFIG, "it is too long")
                : nk_endpoint_parse(where, NK_EP_CONNECT, &ep, diag);
    if (rc == 0) {
        nk_endpoint_free(ep);
    } else if (diag) {
        nk_fail_context(diag, "tor's %s port", what);
    }
    return rc;
}

/* Binding to a circuit goes by the login, and by the control port. */
static int check_circuit(const struct tor_via_conf *conf, struct nk_diag *diag)
{
    if (conf->isolate) {
        return nk_fail(diag, NK_ECONFIG,
                       "tor: a circuit and a name for isolation exclude each "
                       "other: a stream that is bound shares with those that "
                       "are bound to the same circuit");
    }
    if (conf->socks && !conf->access.control) {
        return nk_fail(diag, NK_ECONFIG,
                       "tor: a circuit can only be chosen over the control port: "
                       "name it, too, or leave out where SOCKS is");
    }
    if (conf->onion) {
        return nk_fail(diag, NK_ECONFIG, "tor: tor makes the circuits to onion services itself");
    }
    return tor_attach_check(conf->circuit, diag) < 0 ? NK_ECONFIG : 0;
}

int tor_via_check(const struct tor_via_conf *conf, struct nk_diag *diag)
{
    const char *u = conf->isolate;
    const bool ours = conf->kind == TOR_GLOBAL || conf->kind == TOR_PRIVATE;
    int rc = 0;
    if (u && (!*u || strlen(u) > SOCKS_TEXT_MAX)) {
        return nk_fail(diag, NK_ECONFIG, "tor: isolate= has 1 to 255 bytes");
    }
    if (u && strncmp(u, RESERVED_USER, strlen(RESERVED_USER)) == 0) {
        return nk_fail(diag, NK_ECONFIG, "tor: names that begin with %s have a meaning for tor",
                       RESERVED_USER);
    }
    if (ours && (conf->socks || conf->access.control)) {
        return nk_fail(diag, NK_ECONFIG,
                       "tor: a tor of netkit's own is where netkit puts it: no "
                       "socks= and control= with it");
    }
    if (conf->socks) {
        rc = check_place(conf->socks, "SOCKS", diag);
    }
    if (rc == 0 && conf->access.control) {
        rc = check_place(conf->access.control, "control", diag);
    }
    if (rc == 0 && conf->circuit) {
        rc = check_circuit(conf, diag);
    }
    return rc;
}

/* --- isolation -------------------------------------------------------------------------------- */

/* Room for what a login is made of. */
struct login_store {
    char mixed[2 * MIX_BYTES + 1];
};

/* Both given: the name is isolate's, and the client's pair makes the password, so that neither two
 * clients nor two listeners share a circuit. */
static void mix(struct login_store *store, const struct nk_target *t)
{
    crypto_generichash_state h;
    uint8_t hash[MIX_BYTES];
    (void)crypto_generichash_init(&h, NULL, 0, sizeof(hash)); /* cannot fail with these sizes */
    (void)crypto_generichash_update(&h, &t->user_len, 1);
    (void)crypto_generichash_update(&h, t->user, t->user_len);
    (void)crypto_generichash_update(&h, t->password, t->password_len);
    (void)crypto_generichash_final(&h, hash, sizeof(hash));
    (void)sodium_bin2hex(store->mixed, sizeof(store->mixed), hash, sizeof(hash));
    nk_wipe(&h, sizeof(h));
}

static bool login_for(const struct tor_via_conf *conf, struct login_store *store,
                      struct socks_login *out)
{
    const struct nk_target *t = conf->client;
    bool client = t && t->has_login && t->user_len + t->password_len > 0;
    const char *password = ISOLATE_PASSWORD;
    if (!conf->isolate && client) {
        *out = (struct socks_login){t->user, t->password, t->user_len, t->password_len};
        return true;
    }
    if (!conf->isolate) {
        return false;
    }
    if (client) {
        mix(store, t);
        password = store->mixed;
    }
    *out = (struct socks_login){(const uint8_t *)conf->isolate, (const uint8_t *)password,
                                (uint8_t)strlen(conf->isolate), (uint8_t)strlen(password)};
    return true;
}

/* --- one request ------------------------------------------------------------------------------ */

/* Lives as long as its stream, which holds on to the tor. */
struct via {
    struct nk_app *app;
    struct nk_stream *s;
    struct tor_instance_wait *wait;
    struct tor_instance *instance;
    struct tor_client_load load;
    struct tor_attach *attach;
    char *client_file, *circuit;
    char user[TOR_ATTACH_USER]; /* of a stream that is bound to a circuit */
    bool onion;
    char host[SOCKS_TEXT_MAX + 1];
};

static void via_free(struct via *v)
{
    free(v->client_file);
    free(v->circuit);
    free(v);
}

static void on_closed(void *arg)
{
    struct via *v = arg;
    tor_instance_cancel(v->wait);
    tor_client_load_cancel(&v->load);
    tor_attach_end(v->attach);
    tor_instance_release(v->instance);
    via_free(v);
}

static void dial(struct via *v)
{
    const char *place = tor_instance_socks(v->instance);
    struct nk_endpoint *ep;
    struct nk_stream *lower;
    struct nk_diag why = {0};
    int rc;
    if (!place[0]) {
        rc = nk_fail(&why, NK_EUNSUPPORTED, "this tor offers no SOCKS");
        nk_hint(&why, "'SocksPort 9050' in its torrc, or 'netkit tor conf set SocksPort=9050'");
    } else {
        rc = nk_endpoint_parse(place, NK_EP_CONNECT, &ep, &why);
        if (rc >= 0) {
            rc = nk_dial(v->app, ep, NULL, NULL, &lower, &why);
            nk_endpoint_free(ep);
        }
    }
    if (rc < 0) {
        socks_client_fail(v->s, rc, &why);
    } else {
        socks_client_take(v->s, lower);
    }
}

static void on_ready(void *owner)
{
    dial(owner);
}

static void on_unattached(void *owner, int err, const struct nk_diag *why)
{
    const struct via *v = owner;
    socks_client_fail(v->s, err, why);
}

static int bind_circuit(struct via *v, struct nk_diag *diag)
{
    const struct tor_attach_conf conf = {.app = v->app,
                                         .control = tor_instance_control(v->instance),
                                         .circuit = v->circuit,
                                         .user = v->user,
                                         .ready = on_ready,
                                         .failed = on_unattached,
                                         .owner = v};
    return tor_attach_start(&v->attach, &conf, diag);
}

/* Without a key the connection fails with tor's reason, unless the user named one. */
static void on_key(void *owner, int err, const struct nk_diag *why)
{
    struct via *v = owner;
    if (err < 0 && v->client_file) {
        socks_client_fail(v->s, err, why);
    } else {
        dial(v);
    }
}

static void on_instance(void *owner, int err, struct tor_instance *instance,
                        const struct nk_diag *why)
{
    struct via *v = owner;
    struct nk_diag diag = {0};
    v->wait = NULL;
    if (err < 0) {
        socks_client_fail(v->s, err, why);
        return;
    }
    v->instance = instance;
    v->load = (struct tor_client_load){.fn = on_key, .owner = v};
    int rc = v->circuit ? bind_circuit(v, &diag) : 0;
    if (rc < 0 || v->circuit) {
        if (rc < 0) {
            socks_client_fail(v->s, rc, &diag);
        }
        return;
    }
    rc = v->onion ? tor_client_load(v->app, tor_instance_control(instance), v->host, v->client_file,
                                    &v->load, &diag)
                  : 0;
    if (rc < 0) {
        socks_client_fail(v->s, rc, &diag);
    } else if (rc == 0) {
        dial(v);
    }
}

static void on_progress(void *owner, const struct tor_bootstrap *at)
{
    const struct via *v = owner;
    nk_info(nk_app_log(v->app), "tor", "starting tor: %u %% (%s)", at->percent, at->tag);
}

static int get_instance(struct via *v, const struct tor_via_conf *conf, struct nk_diag *diag)
{
    const struct tor_instance_conf want = {
        .kind = conf->kind,
        .needs = TOR_NEEDS_SOCKS | TOR_NEEDS_NETWORK |
                 (conf->client_file || conf->circuit ? (unsigned)TOR_NEEDS_CONTROL : 0),
        .access = conf->access,
        .socks = conf->socks,
        .timeout_ms = conf->timeout_ms,
        .progress = on_progress,
    };
    return tor_instance_get(v->app, &want, on_instance, v, &v->wait, diag);
}

/* What stands in front of errors, which get into logs: of an onion address only its beginning. */
static void name_of(char *out, size_t max, const char *host, const struct tor_via_conf *conf)
{
    char brief[sizeof("12345678...onion")];
    const size_t all = strlen(host), len = all - (all > 0 && host[all - 1] == '.');
    if (conf->onion && len >= NK_ONION_SIZE - 1) {
        (void)snprintf(brief, sizeof(brief), "%.8s...onion", host + len - (NK_ONION_SIZE - 1));
        host = brief;
    }
    if (conf->to.port == 0) {
        (void)snprintf(out, max, "%s", host);
    } else {
        bool v6 = conf->to.type == SOCKS_IPV6;
        (void)snprintf(out, max, v6 ? "tor:[%s]:%u" : "tor:%s:%u", host, conf->to.port);
    }
}

static int open_client(struct via *v, const struct tor_via_conf *conf)
{
    char what[SOCKS_TEXT_MAX + 16];
    struct login_store store;
    struct socks_login login;
    struct socks_client_conf c = {
        .to = conf->to,
        .command = conf->command,
        .pipeline = true, /* tor reads message by message */
        .encrypted = conf->onion,
        .what = what,
        .timeout_ms = conf->timeout_ms,
        .linger_ms = conf->linger_ms,
        .explain = tor_target_explain,
        .closed = on_closed,
        .arg = v,
    };
    name_of(what, sizeof(what), v->host, conf);
    bool named = login_for(conf, &store, &login);
    if (conf->circuit) {
        tor_attach_user(v->user);
        login = (struct socks_login){(const uint8_t *)v->user, (const uint8_t *)ISOLATE_PASSWORD,
                                     (uint8_t)strlen(v->user), (uint8_t)strlen(ISOLATE_PASSWORD)};
    }
    if (named || conf->circuit) {
        c.login = &login;
        c.login_only = true; /* a server that ignores it would not keep apart */
    }
    return socks_client_new(v->app, &c, &v->s);
}

int tor_via_open(struct nk_app *app, const struct tor_via_conf *conf, struct nk_stream **out,
                 struct nk_diag *diag)
{
    int rc = tor_via_check(conf, diag);
    if (rc < 0) {
        return rc;
    }
    struct via *v = calloc(1, sizeof(*v));
    if (!v) {
        return nk_fail_sys(diag, -ENOMEM, "tor");
    }
    v->app = app;
    v->onion = conf->onion;
    (void)socks_addr_host(&conf->to, v->host);
    v->client_file = conf->client_file ? strdup(conf->client_file) : NULL;
    v->circuit = conf->circuit ? strdup(conf->circuit) : NULL;
    bool copied = (!conf->client_file || v->client_file) && (!conf->circuit || v->circuit);
    rc = copied ? open_client(v, conf) : -ENOMEM;
    if (rc < 0) {
        via_free(v);
        return nk_fail_sys(diag, rc, "tor");
    }
    rc = get_instance(v, conf, diag);
    if (rc < 0) {
        nk_stream_close(v->s); /* frees v */
        return rc;
    }
    *out = v->s;
    return 0;
}
