/* SPDX-License-Identifier: MIT */
#include "relay/login_server.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/secret.h"

enum { STEP_FIRST = 1, STEP_ANSWER = 2, STEP_CONFIRM = 3, ROOT = 0 };

/* The payload after its method byte. */
struct input {
    const uint8_t *p;
    size_t n;
};

const char *relay_login_method_name(unsigned method)
{
    switch (method) {
    case RELAY_LOGIN_UID:
        return "uid";
    case RELAY_LOGIN_CERTIFICATE:
        return "certificate";
    case RELAY_LOGIN_KEY:
        return "key";
    case RELAY_LOGIN_PASSWORD:
        return "password";
    default:
        return "none";
    }
}

static void implicit_set(struct relay_login_server *s, enum relay_login_method method,
                         const char *name)
{
    s->implicit_method = (uint8_t)method;
    s->challenge.methods |= (uint8_t)method;
    snprintf(s->implicit, sizeof(s->implicit), "%s", name);
}

/* Who the connection itself says the peer is. Our own user and root could read our memory anyway.
 */
static void find_implicit(struct relay_login_server *s, const struct relay_peer *peer)
{
    const struct relay_identity *id = NULL;
    char name[RELAY_IDENTITY_MAX + 1];
    if (peer->uid >= 0 && (id = relay_identities_by_uid(s->identities, peer->uid))) {
        implicit_set(s, RELAY_LOGIN_UID, id->name);
    } else if (peer->uid >= 0 && (peer->uid == peer->own_uid || peer->uid == ROOT)) {
        snprintf(name, sizeof(name), "uid:%lld", (long long)peer->uid);
        implicit_set(s, RELAY_LOGIN_UID, name);
    } else if (s->binding.tls && (id = relay_identities_by_cert(s->identities, peer))) {
        implicit_set(s, RELAY_LOGIN_CERTIFICATE, id->name);
    }
}

void relay_login_server_init(struct relay_login_server *s, struct relay_identities *identities,
                             const uint8_t *exporter, const struct relay_peer *peer)
{
    const struct relay_password *all[RELAY_CANDIDATES_MAX];
    memset(s, 0, sizeof(*s));
    s->identities = relay_identities_ref(identities);
    nk_random(s->challenge.nonce, sizeof(s->challenge.nonce));
    s->challenge.stretch = *relay_identities_params(identities);
    relay_login_bind(&s->binding, exporter, s->challenge.nonce);
    s->challenge.candidates = (uint8_t)relay_identities_candidates(identities, NULL, 0, all);
    s->challenge.methods = s->challenge.candidates ? RELAY_LOGIN_PASSWORD : 0;
    if (relay_identities_any_key(identities)) {
        s->challenge.methods |= RELAY_LOGIN_KEY;
    }
    find_implicit(s, peer);
}

void relay_login_server_clear(struct relay_login_server *s)
{
    relay_identities_unref(s->identities);
    nk_wipe(s, sizeof(*s));
}

const struct relay_login_challenge *relay_login_server_challenge(const struct relay_login_server *s)
{
    return &s->challenge;
}

/* --- endings ---------------------------------------------------------------------------------- */

static int refuse(struct relay_login_server *s, int code, const char *why)
{
    s->state = RELAY_LOGIN_SERVER_OUT;
    s->why = why;
    nk_wipe(s->expect, sizeof(s->expect));
    return code;
}

static int admit(struct relay_login_server *s, enum relay_login_method method, const char *name)
{
    s->state = RELAY_LOGIN_SERVER_IN;
    s->method = method;
    snprintf(s->identity, sizeof(s->identity), "%s", name);
    nk_wipe(s->expect, sizeof(s->expect));
    return RELAY_LOGIN_DONE;
}

bool relay_login_server_implicit(struct relay_login_server *s)
{
    if (s->state != RELAY_LOGIN_SERVER_FIRST || !s->implicit_method) {
        return false;
    }
    return admit(s, s->implicit_method, s->implicit) == RELAY_LOGIN_DONE;
}

/* --- password --------------------------------------------------------------------------------- */

/* Our share and tag for one stretched password go to out, the tag to expect to ta. */
static int answer_one(const struct relay_login_server *s, const uint8_t *prs, const uint8_t *ya,
                      uint8_t *out, uint8_t *ta)
{
    struct relay_cpace_inputs in = relay_login_inputs(&s->binding, prs);
    struct relay_cpace c;
    struct relay_cpace_result r;
    uint8_t scalar[RELAY_CPACE_SCALAR];
    relay_cpace_random(scalar);
    int rc = relay_cpace_start(&c, &in, scalar);
    if (rc == 0) {
        rc = relay_cpace_finish(&c, &in, RELAY_CPACE_B, ya, &r);
    }
    if (rc == 0) {
        memcpy(out, c.share, RELAY_CPACE_SHARE);
        memcpy(out + RELAY_CPACE_SHARE, r.tag_b, RELAY_CPACE_TAG);
        memcpy(ta, r.tag_a, RELAY_CPACE_TAG);
    }
    relay_cpace_clear(&c);
    relay_cpace_result_clear(&r);
    nk_wipe(scalar, sizeof(scalar));
    return rc;
}

/* An identity that does not exist looks like one with another password. */
static int answer_nobody(struct relay_login_server *s, const uint8_t *ya, uint8_t *out)
{
    uint8_t prs[RELAY_LOGIN_PRS];
    nk_random(prs, sizeof(prs));
    s->candidate[0] = NULL;
    s->ncandidates = 1;
    int rc = answer_one(s, prs, ya, out, s->expect[0]);
    nk_wipe(prs, sizeof(prs));
    return rc;
}

/* Ya[32] u8 len, identity[len] */
static int password_first(struct relay_login_server *s, struct input in)
{
    if (in.n < RELAY_CPACE_SHARE + 1 || in.n != RELAY_CPACE_SHARE + 1u + in.p[RELAY_CPACE_SHARE]) {
        return refuse(s, NK_EPROTO, "a password message of a wrong length");
    }
    const char *name = (const char *)in.p + RELAY_CPACE_SHARE + 1;
    size_t len = in.p[RELAY_CPACE_SHARE];
    s->ncandidates = relay_identities_candidates(s->identities, name, len, s->candidate);
    uint8_t *out = s->out;
    *out++ = RELAY_LOGIN_PASSWORD;
    int rc = s->ncandidates ? 0 : answer_nobody(s, in.p, out);
    for (size_t i = 0; rc == 0 && s->candidate[0] && i < s->ncandidates; i++) {
        rc = answer_one(s, s->candidate[i]->prs.data, in.p, out + i * RELAY_LOGIN_ANSWER,
                        s->expect[i]);
    }
    if (rc < 0) {
        return refuse(s, rc, rc == NK_EAUTH ? "a share that is no group element" : "no randomness");
    }
    s->out_len = 1 + s->ncandidates * RELAY_LOGIN_ANSWER;
    s->out_step = STEP_ANSWER;
    s->state = RELAY_LOGIN_SERVER_CONFIRM;
    return RELAY_LOGIN_SEND;
}

/* u8 index, Ta[64] */
static int password_confirm(struct relay_login_server *s, struct input in)
{
    if (in.n != 1 + RELAY_CPACE_TAG || in.p[0] >= s->ncandidates) {
        return refuse(s, NK_EPROTO, "a confirmation of a wrong length or index");
    }
    const struct relay_password *p = s->candidate[in.p[0]];
    bool same = sodium_memcmp(s->expect[in.p[0]], in.p + 1, RELAY_CPACE_TAG) == 0;
    if (!same || !p) {
        return refuse(s, NK_EAUTH, "wrong password");
    }
    return admit(s, RELAY_LOGIN_PASSWORD, p->identity->name);
}

/* --- the others ------------------------------------------------------------------------------- */

/* u8 len, identity[len], key[32], signature[64] */
static int key_first(struct relay_login_server *s, struct input in)
{
    uint8_t text[RELAY_LOGIN_SIGNED_MAX];
    size_t fixed = 1 + RELAY_LOGIN_KEY_BYTES + RELAY_LOGIN_SIGNATURE;
    if (in.n < fixed || in.p[0] > RELAY_IDENTITY_MAX || in.n != fixed + in.p[0]) {
        return refuse(s, NK_EPROTO, "a key message of a wrong length");
    }
    size_t len = in.p[0];
    const char *name = (const char *)in.p + 1;
    const uint8_t *key = in.p + 1 + len, *signature = key + RELAY_LOGIN_KEY_BYTES;
    size_t n = relay_login_signed(text, &s->binding, s->challenge.nonce, name, len);
    bool good = crypto_sign_verify_detached(signature, text, n, key) == 0;
    const struct relay_identity *id = relay_identities_by_key(s->identities, key);
    if (!good) {
        return refuse(s, NK_EAUTH, "a signature that does not verify");
    }
    if (!id || (len && (strlen(id->name) != len || memcmp(id->name, name, len) != 0))) {
        return refuse(s, NK_EAUTH, id ? "a key of another identity" : "an unknown key");
    }
    return admit(s, RELAY_LOGIN_KEY, id->name);
}

static int implicit_first(struct relay_login_server *s, unsigned method, struct input in)
{
    if (in.n != 0) {
        return refuse(s, NK_EPROTO, "bytes after the method");
    }
    if (s->implicit_method != method) {
        return refuse(s, NK_EAUTH, "a method that was not offered");
    }
    return admit(s, s->implicit_method, s->implicit);
}

static int first(struct relay_login_server *s, unsigned method, struct input in)
{
    if ((s->challenge.methods & method) == 0) {
        return refuse(s, NK_EAUTH, "a method that was not offered");
    }
    switch (method) {
    case RELAY_LOGIN_PASSWORD:
        return password_first(s, in);
    case RELAY_LOGIN_KEY:
        return key_first(s, in);
    case RELAY_LOGIN_CERTIFICATE:
    case RELAY_LOGIN_UID:
        return implicit_first(s, method, in);
    default:
        return refuse(s, NK_EPROTO, "no login method");
    }
}

int relay_login_server_step(struct relay_login_server *s, uint64_t step, const void *in, size_t n)
{
    const uint8_t *p = in;
    s->out_len = 0;
    if (s->state == RELAY_LOGIN_SERVER_IN || s->state == RELAY_LOGIN_SERVER_OUT) {
        return NK_EPROTO;
    }
    if (n == 0 || step != (s->state == RELAY_LOGIN_SERVER_FIRST ? STEP_FIRST : STEP_CONFIRM)) {
        return refuse(s, NK_EPROTO, "a login message out of turn");
    }
    struct input rest = {p + 1, n - 1};
    if (s->state == RELAY_LOGIN_SERVER_FIRST) {
        s->method = p[0] & RELAY_LOGIN_METHODS;
        return first(s, p[0], rest);
    }
    if (p[0] != RELAY_LOGIN_PASSWORD) {
        return refuse(s, NK_EPROTO, "a login message out of turn");
    }
    return password_confirm(s, rest);
}
