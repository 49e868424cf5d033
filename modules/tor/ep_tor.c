/* SPDX-License-Identifier: MIT */
/*
 * tor:HOST:PORT - through tor's SOCKS port; tor resolves the name, no resolver hears of it. Without
 * HOST:PORT below a socks5: listener, whose clients say where to connect.
 */
#include "base/endpoint.h"
#include "core/registry.h"
#include "tor/instance.h"
#include "tor/target.h"
#include "tor/via.h"

struct ep_tor_conf {
    int kind; /* enum tor_kind */
    struct tor_access access;
    char *isolate, *circuit, *socks, *client;
    bool allow_private;
    uint64_t timeout_ms, linger_ms;
};

static const struct nk_opt params[] = {
    {.name = "isolate",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct ep_tor_conf, isolate),
     .arg = "NAME",
     .help = "Share circuits only with connections of the same name"},
    {.name = "circuit",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct ep_tor_conf, circuit),
     .arg = "ID|PATH",
     .help =
         "Only over this circuit: its number, or relays with %2C between, '*' for any, of which "
         "one is made for each connection"},
    {.name = "tor",
     .type = NK_OPT_ENUM,
     .offset = NK_FIELD(struct ep_tor_conf, kind),
     .arg = "WHICH",
     .def = "auto",
     .choices = tor_kind_names,
     .help = "system: a running tor; global: the user's own, which netkit starts and shares; "
             "private: one of this process; auto: system if there is one, else global"},
    {.name = "control",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct ep_tor_conf, access.control),
     .arg = "ADDR",
     .help = "tor's control port: PORT, HOST:PORT, a path or an endpoint; it says where SOCKS is"},
    {.name = "cookie_file",
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct ep_tor_conf, access.cookie_file),
     .arg = "FILE",
     .help = "The authentication cookie, where it is not at the path that tor names"},
    {.name = "password_file",
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct ep_tor_conf, access.password_file),
     .arg = "FILE",
     .help = "The password of the control port is the line in this file"},
    {.name = "socks",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct ep_tor_conf, socks),
     .arg = "ADDR",
     .help = "tor's SOCKS port, written as control; alone it is all that is used"},
    {.name = "client",
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct ep_tor_conf, client),
     .arg = "FILE",
     .help = "Client key of a restricted onion service; else the keystores are looked through"},
    {.name = "allow_private",
     .type = NK_OPT_BOOL,
     .offset = NK_FIELD(struct ep_tor_conf, allow_private),
     .def = "no",
     .help = "Ask tor for addresses of private networks too, in a Tor network of your own"},
    {.name = "timeout",
     .type = NK_OPT_DURATION,
     .offset = NK_FIELD(struct ep_tor_conf, timeout_ms),
     .arg = "TIME",
     .def = TOR_VIA_TIMEOUT,
     .min = 1,
     .max = 3600 * 1000,
     .help = "Give up connecting after this time; tor is silent about services that are gone"},
    {.name = "linger",
     .type = NK_OPT_DURATION,
     .offset = NK_FIELD(struct ep_tor_conf, linger_ms),
     .arg = "TIME",
     .def = TOR_VIA_LINGER,
     .min = 0,
     .max = 3600 * 1000,
     .help = "Pass the end of our direction on when nothing has come for this time: Tor cannot end "
             "one direction alone"},
    NK_OPT_END};

static bool open_end(const struct nk_ep_layer *layer)
{
    return layer->body[0] == '\0';
}

/* What of the string says where to go, checked. The target of an open end goes before. */
static int target_of(const struct nk_ep_layer *layer, struct tor_via_conf *out,
                     struct nk_diag *diag)
{
    const struct ep_tor_conf *c = layer->conf;
    const struct nk_target *t = layer->target;
    char host[SOCKS_TEXT_MAX + 1];
    uint16_t port = t ? t->port : 0;
    int rc = t ? 0 : nk_ep_host_port(layer->body, host, sizeof(host), &port, 0, diag);
    if (rc == 0 && (port == 0 || (!t && !host[0]))) {
        rc = nk_fail(diag, NK_ECONFIG, "tor: a %s to connect to is missing",
                     port == 0 ? "port other than 0" : "host");
    }
    *out = (struct tor_via_conf){.kind = (enum tor_kind)c->kind,
                                 .access = c->access,
                                 .socks = c->socks,
                                 .client_file = c->client,
                                 .command = SOCKS_CONNECT,
                                 .isolate = c->isolate,
                                 .circuit = c->circuit,
                                 .client = t,
                                 .timeout_ms = c->timeout_ms,
                                 .linger_ms = c->linger_ms};
    return rc < 0 ? rc
                  : tor_target_set(&out->to, t ? t->host : host, port, c->allow_private,
                                   &out->onion, diag);
}

static int check(const struct nk_ep_layer *layer, enum nk_ep_role role, struct nk_diag *diag)
{
    const struct ep_tor_conf *c = layer->conf;
    struct tor_via_conf conf = {.kind = (enum tor_kind)c->kind,
                                .access = c->access,
                                .socks = c->socks,
                                .isolate = c->isolate,
                                .circuit = c->circuit};
    (void)role;
    int rc = open_end(layer) ? 0 : target_of(layer, &conf, diag);
    if (rc == 0 && c->client && !conf.onion) {
        rc = nk_fail(diag, NK_ECONFIG,
                     "tor: client= is the key of an onion service, and this is none");
    }
    return rc < 0 ? rc : tor_via_check(&conf, diag);
}

static int host_of(const struct nk_ep_layer *layer, char *out, size_t max)
{
    uint16_t port;
    return nk_ep_host_port(layer->body, out, max, &port, 0, NULL) == 0 && out[0] ? 0 : -ENOENT;
}

static int dial(struct nk_app *app, const struct nk_ep_layer *layer, struct nk_stream **out,
                struct nk_diag *diag)
{
    struct tor_via_conf conf;
    int rc = target_of(layer, &conf, diag);
    return rc < 0 ? rc : tor_via_open(app, &conf, out, diag);
}

extern const struct nk_ep_driver nk_ep_tor;
const struct nk_ep_driver nk_ep_tor = {
    .scheme = "tor",
    .summary = "Through tor: names and onion services, nothing asked of a resolver",
    .body_help = "HOST:PORT",
    .flags = NK_EP_CAN_CONNECT,
    .params = params,
    .conf_size = sizeof(struct ep_tor_conf),
    .check = check,
    .open_end = open_end,
    .host = host_of,
    .dial = dial,
};
