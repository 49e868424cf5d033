/* SPDX-License-Identifier: MIT */
/*
 * endpoint - the grammar of endpoint strings (pure syntax; core/registry.h gives them meaning).
 *
 *     [filter+]...transport:body[,key=value]...
 *
 * The body is kept raw; drivers split it at their own separators and decode each field with
 * nk_percent_decode. A key may be written `layer.key`. Control bytes and NUL are refused.
 * Schemes and layers are [a-z][a-z0-9-]*, keys [a-z][a-z0-9_-]*. Whether a scheme exists, a layer
 * is part of the string or a key may be repeated is for the registry to say.
 */
#ifndef NK_BASE_ENDPOINT_H
#define NK_BASE_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#define NK_EP_MAX_TEXT 4096 /* bytes of a whole endpoint string */
#define NK_EP_MAX_LAYERS 4  /* filters plus transport */
#define NK_EP_MAX_PARAMS 32
#define NK_EP_MAX_SCHEME 15

struct nk_ep_param {
    const char *layer; /* "tls" of "tls.ca=..", or NULL for a bare key */
    const char *key;
    const char *value; /* percent-decoded */
};

/* A parsed endpoint string; the pointers refer to `store`. */
struct nk_ep_text {
    char *store;
    const char *scheme[NK_EP_MAX_LAYERS]; /* [0] outermost filter, [layers-1] transport */
    size_t layers;
    const char *body; /* raw, still percent-encoded; "" when empty */
    struct nk_ep_param params[NK_EP_MAX_PARAMS];
    size_t nparams;
};

/* nk_ep_text_parse - split text. 0, NK_EFORMAT (diag says which character and why), NK_ETOOBIG,
 * -ENOMEM; out is untouched on failure. On success free with nk_ep_text_clear, which is safe on a
 * zeroed struct and twice. */
int nk_ep_text_parse(struct nk_ep_text *out, const char *text, struct nk_diag *diag);
void nk_ep_text_clear(struct nk_ep_text *t);

/* nk_ep_host_port - split "host:port", "[::1]:22", ":3000" (empty host) and percent-decode the
 * host into host (max bytes). A missing port gives def_port, or an error when that is 0. The port
 * is 0..65535 decimal. Returns 0 or NK_EFORMAT; host and port are untouched on failure. */
int nk_ep_host_port(const char *body, char *host, size_t max, uint16_t *port, uint16_t def_port,
                    struct nk_diag *diag);

/*
 * nk_ep_twisted_hint - is text an endpoint string as Twisted and txtorcon write them
 * (tor:host=x:port=80, onion:80:hiddenServiceDir=/d, tcp:80:interface=127.0.0.1, ssl:host:443)?
 * Then the hint of diag says how it is written here; secrets are not repeated. False: no hint.
 */
bool nk_ep_twisted_hint(const char *text, struct nk_diag *diag);

#endif
