/* SPDX-License-Identifier: MIT */
/* How an endpoint trusts its relay: files, pins, what is known from before, or the password. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/log.h"
#include "core/app.h"
#include "core/stream.h"
#include "relay/endpoint.h"
#include "tls/tls.h"

#define PIN_TEXT (sizeof("sha256:") + 2 * (size_t)RELAY_KNOWN_KEY)

static const char *const alpn[] = {RELAY_NATIVE_ALPN};

/* "host:port" of "tcp:host:port,options"; empty when it does not fit. */
static void set_where(struct relay_endpoint_session *s)
{
    const char *body = strchr(s->target.connect, ':');
    size_t n = body ? strcspn(body + 1, ",") : 0;
    if (n > 0 && n < sizeof(s->where)) {
        memcpy(s->where, body + 1, n);
        s->where[n] = '\0';
    }
}

/* The relay may be known from before: then by the user's word, or by an earlier login. */
static int recall(struct relay_endpoint_session *s, struct nk_diag *diag)
{
    set_where(s);
    if (!s->where[0]) {
        return 0;
    }
    int status = relay_known_find(s->ctx->globals->state_dir, s->where, &s->known, diag);
    s->has_known = status == 0;
    return status == -ENOENT ? 0 : status;
}

static void write_pin(char out[PIN_TEXT], const uint8_t key[RELAY_KNOWN_KEY])
{
    memcpy(out, "sha256:", 7);
    nk_hex_encode(out + 7, key, RELAY_KNOWN_KEY);
}

int relay_endpoint_trust(struct relay_endpoint_session *s, const struct relay_endpoint_conf *conf,
                         struct nk_diag *diag)
{
    char pin[PIN_TEXT];
    const char *pins[] = {pin};
    bool native = conf->wire != RELAY_CLIENT_TLSPYO;
    struct tls_creds_conf creds = {.role = TLS_CLIENT,
                                   .cert = conf->client_cert,
                                   .key = conf->client_key,
                                   .ca = s->target.ca,
                                   .pins = (const char *const *)conf->pin.v,
                                   .npins = conf->pin.n,
                                   .name = s->target.name,
                                   .alpn = alpn,
                                   .nalpn = native ? 1 : 0,
                                   .tls12 = conf->tls12};
    s->trust = RELAY_TRUST_LOCAL;
    if (!s->target.tls) {
        return 0;
    }
    s->trust = conf->pin.n > 0 ? RELAY_TRUST_PIN : RELAY_TRUST_CA;
    if (conf->pin.n == 0 && !s->target.ca && native) {
        int status = recall(s, diag);
        if (status < 0) {
            return status;
        }
        bool password = s->password.len > 0; /* which could authenticate the relay */
        if (s->has_known && (s->known.how == RELAY_KNOWN_USER || !password)) {
            write_pin(pin, s->known.key);
            creds.pins = pins;
            creds.npins = 1;
            s->trust = RELAY_TRUST_PIN;
        } else if (password) {
            creds.unverified = true;
            s->trust = RELAY_TRUST_NONE;
        }
    }
    return tls_creds_new(&s->creds, &creds, diag);
}

static bool key_of(struct nk_stream *stream, uint8_t key[RELAY_KNOWN_KEY])
{
    size_t n = RELAY_KNOWN_KEY;
    return nk_stream_query(stream, NK_Q_PEERSPKI, key, &n) == 0 && n == RELAY_KNOWN_KEY;
}

/* Is it the key that was learnt by a login? */
static enum relay_trust trust_of(void *arg, struct nk_stream *stream)
{
    const struct relay_endpoint_session *s = arg;
    uint8_t key[RELAY_KNOWN_KEY];
    if (s->trust == RELAY_TRUST_NONE && s->has_known && key_of(stream, key) &&
        memcmp(key, s->known.key, sizeof(key)) == 0) {
        return RELAY_TRUST_PIN;
    }
    return s->trust;
}

/* The relay has shown that it knows the password: its key is remembered. */
static int on_login(void *arg, struct nk_stream *stream, enum relay_trust trust,
                    struct nk_diag *diag)
{
    struct relay_endpoint_session *s = arg;
    uint8_t key[RELAY_KNOWN_KEY];
    if (s->trust != RELAY_TRUST_NONE || trust != RELAY_TRUST_PASSWORD || !s->where[0] ||
        !key_of(stream, key)) {
        return 0;
    }
    int status = relay_known_logged_in(stream->app, s->where, key, diag);
    if (status == 0) {
        memcpy(s->known.key, key, sizeof(key));
        s->known.how = RELAY_KNOWN_PASSWORD;
        s->has_known = true;
    }
    return status;
}

void relay_endpoint_trust_conf(struct relay_endpoint_session *s,
                               const struct relay_endpoint_conf *conf)
{
    struct relay_client_conf *c = &s->client_conf;
    c->wire = (enum relay_client_wire)conf->wire;
    c->local = strncmp(s->target.connect, "unix:", 5) == 0;
    c->identity = conf->identity;
    c->key = s->login_key.len ? &s->login_key : NULL;
    c->certificate = conf->client_cert != NULL;
    c->trust = s->trust;
    c->trust_of = trust_of;
    c->on_login = on_login;
    c->login_arg = s;
}
