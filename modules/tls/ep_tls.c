/* SPDX-License-Identifier: MIT */
/* tls: as a filter of endpoint strings: tls:host:port,ca=FILE is tls+tcp:host:port,ca=FILE. */
#include <stdlib.h>
#include <string.h>

#include "core/registry.h"
#include "tls/tls.h"

struct ep_tls_conf {
    char *ca, *cert, *key, *name;
    struct nk_strlist pins, alpn;
    int min_version; /* index into versions */
    int truncation;  /* index into tls_truncations */
    uint64_t handshake_ms;
};

static const char *const versions[] = {"1.3", "1.2", NULL};

static const struct nk_opt params[] = {
    {.name = "ca",
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct ep_tls_conf, ca),
     .arg = "FILE",
     .aliases = "client-ca",
     .help =
         "PEM certificates that the peer's chain must lead to; a client without ca and pin uses "
         "the system's, a server with it requires a client certificate"},
    {.name = "cert",
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct ep_tls_conf, cert),
     .arg = "FILE",
     .help = "own certificate chain (PEM); required to listen"},
    {.name = "key",
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct ep_tls_conf, key),
     .arg = "FILE",
     .help = "private key of cert (PEM); without it the cert file holds the key too"},
    {.name = "name",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct ep_tls_conf, name),
     .arg = "HOST",
     .help = "name to expect in the server's certificate instead of the host's"},
    {.name = "pin",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct ep_tls_conf, pins),
     .arg = "sha256:HASH",
     .flags = NK_OPT_REPEAT,
     .help = "accept exactly the peer whose certificate or public key has this SHA-256 (hex or "
             "base64), "
             "whatever else its certificate says"},
    {.name = "alpn",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct ep_tls_conf, alpn),
     .arg = "NAME",
     .flags = NK_OPT_REPEAT,
     .help = "application protocol to negotiate"},
    {.name = "min-version",
     .type = NK_OPT_ENUM,
     .offset = NK_FIELD(struct ep_tls_conf, min_version),
     .arg = "VERSION",
     .def = "1.3",
     .choices = versions,
     .help = "lowest TLS version"},
    {.name = "truncation",
     .type = NK_OPT_ENUM,
     .offset = NK_FIELD(struct ep_tls_conf, truncation),
     .arg = "abort|end",
     .def = "abort",
     .choices = tls_truncations,
     .help = TLS_TRUNCATION_HELP},
    {.name = "handshake-timeout",
     .type = NK_OPT_DURATION,
     .offset = NK_FIELD(struct ep_tls_conf, handshake_ms),
     .arg = "TIME",
     .def = "10s",
     .min = 1,
     .max = 3600000,
     .help = "how long a handshake may take"},
    NK_OPT_END,
};

static int check(const struct nk_ep_layer *layer, enum nk_ep_role role, struct nk_diag *diag)
{
    const struct ep_tls_conf *c = layer->conf;
    uint8_t hash[TLS_HASH];
    for (size_t i = 0; i < c->pins.n; i++) {
        if (tls_pin_parse(c->pins.v[i], hash) < 0) {
            return nk_fail(diag, NK_ECONFIG,
                           "tls: '%s' is not a pin: sha256: and 64 hex digits or "
                           "base64",
                           c->pins.v[i]);
        }
    }
    if (c->pins.n > TLS_MAX_PINS || c->alpn.n > TLS_MAX_ALPN) {
        return nk_fail(diag, NK_ECONFIG, "tls: at most %d pins and %d ALPN names", TLS_MAX_PINS,
                       TLS_MAX_ALPN);
    }
    if (role == NK_EP_LISTEN && !c->cert) {
        nk_fail(diag, NK_ECONFIG, "tls: a listener needs cert= and key=");
        nk_hint(diag, "netkit cert new -o DIR makes them");
        return NK_ECONFIG;
    }
    if (role == NK_EP_LISTEN && c->name) {
        return nk_fail(diag, NK_ECONFIG,
                       "tls: name= is for connecting; a listener does not use it");
    }
    if (c->key && !c->cert) {
        return nk_fail(diag, NK_ECONFIG, "tls: key= needs cert=");
    }
    return 0;
}

/* A server with either asks every client for a certificate and verifies it. */
static bool knows_peers(const struct nk_ep_layer *layer)
{
    const struct ep_tls_conf *c = layer->conf;
    return c->ca || c->pins.n > 0;
}

static int prepare(struct nk_app *app, const struct nk_ep_layer *layer, enum nk_ep_role role,
                   void **state, struct nk_diag *diag)
{
    const struct ep_tls_conf *c = layer->conf;
    struct tls_creds_conf conf = {
        .role = role == NK_EP_LISTEN ? TLS_SERVER : TLS_CLIENT,
        .cert = c->cert,
        .key = c->key,
        .ca = c->ca,
        .pins = (const char *const *)c->pins.v,
        .npins = c->pins.n,
        .alpn = (const char *const *)c->alpn.v,
        .nalpn = c->alpn.n,
        .name = c->name,
        .tls12 = c->min_version == 1,
        .end_unsaid = c->truncation == 1,
        .handshake_ms = c->handshake_ms,
    };
    struct tls_creds *creds;
    int rc = role == NK_EP_LISTEN ? tls_creds_new(&creds, &conf, diag)
                                  : tls_creds_shared(app, &creds, &conf, diag);
    if (rc == 0) {
        *state = creds;
    }
    return rc;
}

static void release(void *state)
{
    tls_creds_unref(state);
}

static int refresh(void *state, struct nk_diag *diag)
{
    return tls_creds_reload(state, diag);
}

static int wrap(struct nk_app *app, const struct nk_ep_layer *layer, void *state,
                enum nk_ep_role role, struct nk_stream *take_lower, struct nk_stream **out,
                struct nk_diag *diag)
{
    return role == NK_EP_LISTEN ? tls_wrap_server(app, state, take_lower, out, diag)
                                : tls_wrap_client_to(app, state, layer->peer_host, layer->whole,
                                                     take_lower, out, diag);
}

extern const struct nk_ep_driver nk_ep_tls;
const struct nk_ep_driver nk_ep_tls = {
    .scheme = "tls",
    .summary = "TLS 1.3 over another endpoint, peer always verified",
    .body_help = "HOST:PORT",
    .flags = NK_EP_CAN_CONNECT | NK_EP_CAN_LISTEN | NK_EP_FILTER,
    .over = "tcp",
    .params = params,
    .conf_size = sizeof(struct ep_tls_conf),
    .check = check,
    .knows_peers = knows_peers,
    .prepare = prepare,
    .release = release,
    .refresh = refresh,
    .wrap = wrap,
};
