/* SPDX-License-Identifier: MIT */
#include "relay/login_client.h"

#include <sodium.h>
#include <string.h>

enum { STEP_FIRST = 1, STEP_ANSWER = 2, STEP_CONFIRM = 3 };

const char *relay_trust_name(enum relay_trust trust)
{
    switch (trust) {
    case RELAY_TRUST_LOCAL:
        return "local";
    case RELAY_TRUST_CA:
        return "ca";
    case RELAY_TRUST_PIN:
        return "pin";
    case RELAY_TRUST_PASSWORD:
        return "password";
    default:
        return "none";
    }
}

void relay_login_client_init(struct relay_login_client *c,
                             const struct relay_login_client_conf *conf)
{
    memset(c, 0, sizeof(*c));
    c->conf = *conf;
    c->trust = conf->trust;
}

static void wipe_secrets(struct relay_login_client *c)
{
    relay_cpace_clear(&c->cpace);
    nk_wipe(c->prs, sizeof(c->prs));
    nk_wipe(c->out, sizeof(c->out));
    c->out_len = 0;
}

void relay_login_client_clear(struct relay_login_client *c)
{
    nk_wipe(c, sizeof(*c));
}

/* An error with its text: the login is over, and nothing of it is left to be sent. */
#define FAIL(c, diag, code, ...)                                                                   \
    (wipe_secrets(c), (c)->state = RELAY_LOGIN_CLIENT_OVER, (c)->trust = RELAY_TRUST_NONE,         \
     nk_fail((diag), (code), __VA_ARGS__))

static bool has(const struct nk_secret *s)
{
    return s && s->len > 0;
}

/* --- the first message ------------------------------------------------------------------------ */

static size_t identity_len(const struct relay_login_client *c)
{
    return c->conf.identity ? strlen(c->conf.identity) : 0;
}

static int send_key(struct relay_login_client *c, struct nk_diag *diag)
{
    uint8_t text[RELAY_LOGIN_SIGNED_MAX];
    size_t len = identity_len(c);
    const uint8_t *secret = c->conf.key->data;
    if (c->conf.key->len != crypto_sign_SECRETKEYBYTES || len > RELAY_IDENTITY_MAX) {
        return FAIL(c, diag, NK_EINTERNAL, "the key or the identity for the login is malformed");
    }
    uint8_t *p = c->out;
    *p++ = RELAY_LOGIN_KEY;
    *p++ = (uint8_t)len;
    if (len) {
        memcpy(p, c->conf.identity, len);
    }
    p += len;
    memcpy(p, secret + crypto_sign_SEEDBYTES, RELAY_LOGIN_KEY_BYTES);
    p += RELAY_LOGIN_KEY_BYTES;
    size_t n = relay_login_signed(text, &c->binding, c->challenge.nonce, c->conf.identity, len);
    crypto_sign_detached(p, NULL, text, n, secret);
    c->out_len = (size_t)(p - c->out) + RELAY_LOGIN_SIGNATURE;
    c->state = RELAY_LOGIN_CLIENT_READY;
    return RELAY_LOGIN_SEND;
}

static int send_bare(struct relay_login_client *c)
{
    c->out[0] = (uint8_t)c->method;
    c->out_len = 1;
    c->state = RELAY_LOGIN_CLIENT_READY;
    return RELAY_LOGIN_SEND;
}

static int begin_password(struct relay_login_client *c, struct nk_diag *diag)
{
    const struct relay_stretch_params *p = &c->challenge.stretch;
    if (!relay_login_params_ok(p)) {
        return FAIL(c, diag, NK_EPROTO,
                    "the relay asks for Argon2id with %u KiB and %u passes; accepted are %d to %d "
                    "KiB and %d to %d passes",
                    p->mem_kib, p->passes, RELAY_STRETCH_KIB_MIN, RELAY_STRETCH_KIB_MAX,
                    RELAY_STRETCH_PASSES_MIN, RELAY_STRETCH_PASSES_MAX);
    }
    c->state = RELAY_LOGIN_CLIENT_STRETCH;
    return RELAY_LOGIN_STRETCH;
}

/* The first that is offered and possible, or 0. */
static unsigned pick_method(const struct relay_login_client *c)
{
    const struct relay_login_client_conf *f = &c->conf;
    unsigned can = has(f->password) ? RELAY_LOGIN_PASSWORD : 0;
    if (f->trust != RELAY_TRUST_NONE) {
        can |= has(f->key) ? RELAY_LOGIN_KEY : 0;
        can |= f->certificate ? RELAY_LOGIN_CERTIFICATE : 0;
        can |= f->local ? RELAY_LOGIN_UID : 0;
    }
    static const unsigned order[] = {RELAY_LOGIN_KEY, RELAY_LOGIN_CERTIFICATE, RELAY_LOGIN_UID,
                                     RELAY_LOGIN_PASSWORD};
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        if (can & c->challenge.methods & order[i]) {
            return order[i];
        }
    }
    return 0;
}

static int no_method(struct relay_login_client *c, struct nk_diag *diag)
{
    int rc;
    if (c->conf.trust == RELAY_TRUST_NONE) {
        rc = FAIL(c, diag, NK_EVERIFY,
                  "the relay's certificate is not known here, and there is no password that could "
                  "confirm it");
        nk_hint(diag, "give --password-file, --pin or --ca");
        return rc;
    }
    rc = FAIL(c, diag, NK_EAUTH, "the relay lets in by %s%s%s%s, and none of it was given here",
              c->challenge.methods & RELAY_LOGIN_PASSWORD ? "password " : "",
              c->challenge.methods & RELAY_LOGIN_KEY ? "key " : "",
              c->challenge.methods & RELAY_LOGIN_CERTIFICATE ? "certificate " : "",
              c->challenge.methods & RELAY_LOGIN_METHODS ? "" : "nothing");
    nk_hint(diag, "give --password-file");
    return rc;
}

int relay_login_client_challenge(struct relay_login_client *c,
                                 const struct relay_login_challenge *challenge, bool skip,
                                 struct nk_diag *diag)
{
    if (c->state != RELAY_LOGIN_CLIENT_CHALLENGE) {
        return FAIL(c, diag, NK_EPROTO, "the relay sent a second CHALLENGE");
    }
    c->challenge = *challenge;
    relay_login_bind(&c->binding, c->conf.exporter, challenge->nonce);
    c->out_step = STEP_FIRST;
    if (skip && c->conf.trust != RELAY_TRUST_NONE) {
        c->state = RELAY_LOGIN_CLIENT_READY;
        return RELAY_LOGIN_DONE;
    }
    if (skip) { /* it knows us, but we do not know it */
        return FAIL(c, diag, NK_EVERIFY,
                    "the relay let us in without being authenticated itself; give --pin or --ca");
    }
    c->method = pick_method(c);
    switch (c->method) {
    case RELAY_LOGIN_PASSWORD:
        return begin_password(c, diag);
    case RELAY_LOGIN_KEY:
        return send_key(c, diag);
    case RELAY_LOGIN_CERTIFICATE:
    case RELAY_LOGIN_UID:
        return send_bare(c);
    default:
        return no_method(c, diag);
    }
}

/* --- password --------------------------------------------------------------------------------- */

int relay_login_client_stretched(struct relay_login_client *c, const uint8_t *prs,
                                 struct nk_diag *diag)
{
    uint8_t scalar[RELAY_CPACE_SCALAR];
    size_t len = identity_len(c);
    if (c->state != RELAY_LOGIN_CLIENT_STRETCH || len > RELAY_IDENTITY_MAX) {
        return FAIL(c, diag, NK_EPROTO, "a stretched password that nobody asked for");
    }
    memcpy(c->prs, prs, sizeof(c->prs));
    struct relay_cpace_inputs in = relay_login_inputs(&c->binding, c->prs);
    relay_cpace_random(scalar);
    int rc = relay_cpace_start(&c->cpace, &in, scalar);
    nk_wipe(scalar, sizeof(scalar));
    if (rc < 0) {
        return FAIL(c, diag, rc, "no randomness");
    }
    uint8_t *p = c->out;
    *p++ = RELAY_LOGIN_PASSWORD;
    memcpy(p, c->cpace.share, RELAY_CPACE_SHARE);
    p += RELAY_CPACE_SHARE;
    *p++ = (uint8_t)len;
    if (len) {
        memcpy(p, c->conf.identity, len);
    }
    c->out_len = (size_t)(p - c->out) + len;
    c->state = RELAY_LOGIN_CLIENT_ANSWER;
    return RELAY_LOGIN_SEND;
}

/* Does the relay know our password under this candidate? Then Ta goes to c->out. */
static bool try_candidate(struct relay_login_client *c, size_t index, const uint8_t *answer)
{
    struct relay_cpace_inputs in = relay_login_inputs(&c->binding, c->prs);
    struct relay_cpace_result r;
    bool same = relay_cpace_finish(&c->cpace, &in, RELAY_CPACE_A, answer, &r) == 0 &&
                sodium_memcmp(r.tag_b, answer + RELAY_CPACE_SHARE, RELAY_CPACE_TAG) == 0;
    if (same) {
        c->out[0] = RELAY_LOGIN_PASSWORD;
        c->out[1] = (uint8_t)index;
        memcpy(c->out + 2, r.tag_a, RELAY_CPACE_TAG);
        c->out_len = 2 + RELAY_CPACE_TAG;
        c->out_step = STEP_CONFIRM;
    }
    relay_cpace_result_clear(&r);
    return same;
}

static int wrong_password(struct relay_login_client *c, struct nk_diag *diag)
{
    bool tls = c->binding.tls;
    int rc = FAIL(c, diag, NK_EAUTH, "the relay does not know this password%s",
                  tls ? ", or somebody is between it and us" : "");
    nk_hint(diag,
            "compare the password files; with more than %d passwords at the relay name the "
            "identity",
            RELAY_CANDIDATES_MAX);
    return rc;
}

int relay_login_client_step(struct relay_login_client *c, uint64_t step, const void *in, size_t n,
                            struct nk_diag *diag)
{
    const uint8_t *p = in;
    c->out_len = 0;
    if (c->state != RELAY_LOGIN_CLIENT_ANSWER || step != STEP_ANSWER) {
        return FAIL(c, diag, NK_EPROTO, "a login message of the relay out of turn");
    }
    size_t count = n > 1 ? (n - 1) / RELAY_LOGIN_ANSWER : 0;
    if (count == 0 || count > RELAY_CANDIDATES_MAX || n != 1 + count * RELAY_LOGIN_ANSWER ||
        p[0] != RELAY_LOGIN_PASSWORD) {
        return FAIL(c, diag, NK_EPROTO, "a login message of the relay is malformed");
    }
    for (size_t i = 0; i < count; i++) {
        if (try_candidate(c, i, p + 1 + i * RELAY_LOGIN_ANSWER)) {
            relay_cpace_clear(&c->cpace);
            nk_wipe(c->prs, sizeof(c->prs));
            c->trust = RELAY_TRUST_PASSWORD;
            c->state = RELAY_LOGIN_CLIENT_READY;
            return RELAY_LOGIN_SEND;
        }
    }
    return wrong_password(c, diag);
}

int relay_login_client_welcome(struct relay_login_client *c, struct nk_diag *diag)
{
    if (c->state != RELAY_LOGIN_CLIENT_READY) {
        return FAIL(c, diag, NK_EPROTO, "the relay says WELCOME before the login is complete");
    }
    wipe_secrets(c);
    c->state = RELAY_LOGIN_CLIENT_OVER;
    return 0;
}
