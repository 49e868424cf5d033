/* SPDX-License-Identifier: MIT */
#include "tor/via.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sodium.h>

#include "base/secret.h"
#include "core/app.h"
#include "core/registry.h"
#include "tor/access.h"
#include "tor/address.h"
#include "tor/target.h"

enum { MIX_BYTES = 16 /* of a hash that keeps isolation keys apart */ };

/* User names that begin so have a meaning for tor (its socks-extensions, "extended isolation"). */
#define RESERVED_USER "<torS0X>"

/* The password that goes with isolate=: any, as only the pair counts; some programs refuse none. */
#define ISOLATE_PASSWORD "netkit"

/* --- the SOCKS port --------------------------------------------------------------------------- */

/* SOCKS ports are written as control ports are. */
static int parse_socks(const char *text, struct nk_endpoint **out, struct nk_diag *diag)
{
    char where[TOR_ADDRESS_SIZE];
    const struct tor_access as = {.control = (char *)(uintptr_t)(text ? text : TOR_SOCKS_DEFAULT)};
    int rc = tor_access_place(&as, 0, where, sizeof(where));
    rc = rc < 0 ? nk_fail(diag, NK_ECONFIG, "it is too long")
                : nk_endpoint_parse(where, NK_EP_CONNECT, out, diag);
    if (rc < 0 && diag) {
        nk_fail_context(diag, "tor's SOCKS port");
    }
    return rc;
}

int tor_via_check(const struct tor_via_conf *conf, struct nk_diag *diag)
{
    const char *u = conf->isolate;
    struct nk_endpoint *ep;
    if (u && (!*u || strlen(u) > SOCKS_TEXT_MAX)) {
        return nk_fail(diag, NK_ECONFIG, "tor: isolate= has 1 to 255 bytes");
    }
    if (u && strncmp(u, RESERVED_USER, strlen(RESERVED_USER)) == 0) {
        return nk_fail(diag, NK_ECONFIG, "tor: names that begin with %s have a meaning for tor",
                       RESERVED_USER);
    }
    int rc = conf->socks ? parse_socks(conf->socks, &ep, diag) : 0;
    if (rc == 0 && conf->socks) {
        nk_endpoint_free(ep);
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

/* --- opening ---------------------------------------------------------------------------------- */

static void name_of(char *out, size_t max, const struct socks_addr *to)
{
    char host[SOCKS_TEXT_MAX + 1];
    (void)socks_addr_host(to, host);
    if (to->port == 0) {
        snprintf(out, max, "%s", host);
    } else {
        snprintf(out, max, to->type == SOCKS_IPV6 ? "tor:[%s]:%u" : "tor:%s:%u", host, to->port);
    }
}

static int open_client(struct nk_app *app, const struct tor_via_conf *conf, struct nk_stream **out)
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
    };
    name_of(what, sizeof(what), &conf->to);
    if (login_for(conf, &store, &login)) {
        c.login = &login;
        c.login_only = true; /* a server that ignores it would not keep apart */
    }
    return socks_client_new(app, &c, out);
}

int tor_via_open(struct nk_app *app, const struct tor_via_conf *conf, struct nk_stream **out,
                 struct nk_diag *diag)
{
    struct nk_endpoint *ep;
    struct nk_stream *s, *lower;
    int rc = tor_via_check(conf, diag);
    rc = rc < 0 ? rc : parse_socks(conf->socks, &ep, diag);
    if (rc < 0) {
        return rc;
    }
    rc = open_client(app, conf, &s);
    if (rc < 0) {
        nk_endpoint_free(ep);
        return nk_fail_sys(diag, rc, "tor");
    }
    rc = nk_dial(app, ep, NULL, NULL, &lower, diag);
    nk_endpoint_free(ep);
    if (rc < 0) {
        nk_stream_close(s);
        return rc;
    }
    socks_client_take(s, lower);
    *out = s;
    return 0;
}
