/* SPDX-License-Identifier: MIT */
/*
 * login_client - the endpoint's side of one login over netkit-relay/1 (LOGIN.md), pure: messages
 * in, messages out.
 *
 *     relay_login_client_init
 *     relay_login_client_challenge            the CHALLENGE came: SEND, STRETCH, DONE or an error
 *     relay_login_client_stretched            after STRETCH: the stretched password -> SEND
 *     relay_login_client_step for each AUTH   SEND, DONE or an error
 *     relay_login_client_welcome              the WELCOME came: 0 when it may
 *
 * While the relay is not authenticated (TLS with a certificate that nobody vouches for) only the
 * password method is used, and nothing but the login may go over the wire before DONE: then the
 * relay has shown that it knows the password on this very TLS connection.
 */
#ifndef NK_RELAY_LOGIN_CLIENT_H
#define NK_RELAY_LOGIN_CLIENT_H

#include "base/secret.h"
#include "relay/login.h"

/* X(name) - what is expected next. */
#define RELAY_LOGIN_CLIENT_STATES(X)                                                               \
    X(CHALLENGE) /* the relay's CHALLENGE */                                                       \
    X(STRETCH)   /* the stretched password from our caller */                                      \
    X(ANSWER)    /* step 2 of the password method */                                               \
    X(READY)     /* WELCOME: all that we had to say was said */                                    \
    X(OVER)      /* nothing: it failed, or WELCOME came */
#define RELAY_LOGIN_CLIENT_ENUM(name) RELAY_LOGIN_CLIENT_##name,
enum relay_login_client_state { RELAY_LOGIN_CLIENT_STATES(RELAY_LOGIN_CLIENT_ENUM) };
#undef RELAY_LOGIN_CLIENT_ENUM

/* How the relay was authenticated; a higher one is said when several hold. */
enum relay_trust {
    RELAY_TRUST_NONE,     /* not at all (yet) */
    RELAY_TRUST_LOCAL,    /* a unix socket, or plain TCP by the user's word */
    RELAY_TRUST_CA,       /* its certificate, by an authority or the file given with --ca */
    RELAY_TRUST_PIN,      /* its public key, by a pin: the user's or a remembered one */
    RELAY_TRUST_PASSWORD, /* it knows the password (CPace) */
};

/* What the client can log in with; all borrowed while the login lasts. */
struct relay_login_client_conf {
    const uint8_t *exporter; /* RELAY_LOGIN_EXPORTER bytes of the TLS connection, or NULL */
    const struct nk_secret *password; /* or NULL or empty */
    const struct nk_secret *key;      /* Ed25519 secret key, 64 bytes (seed, public key), or NULL */
    bool certificate;                 /* the TLS handshake showed one */
    bool local;                       /* a unix socket: the peer's uid may do */
    const char *identity;             /* who we want to be, or NULL: whose the password is */
    enum relay_trust trust;           /* what the connection has shown so far */
};

struct relay_login_client {
    struct relay_login_client_conf conf;
    enum relay_login_client_state state;
    struct relay_login_challenge challenge;
    struct relay_login_binding binding;
    struct relay_cpace cpace;
    uint8_t prs[RELAY_LOGIN_PRS];
    enum relay_login_method method;
    enum relay_trust trust; /* the result, from READY on */
    uint8_t out[RELAY_LOGIN_MESSAGE_MAX];
    size_t out_len;
    uint32_t out_step;
};

/* relay_login_client_init - conf is copied, what it points to is borrowed. relay_login_client_clear
 * - wipe; safe on a zeroed struct and twice. */
void relay_login_client_init(struct relay_login_client *c,
                             const struct relay_login_client_conf *conf);
void relay_login_client_clear(struct relay_login_client *c);

/*
 * relay_login_client_challenge - skip: the CHALLENGE says that we are logged in already. Picks the
 * method: key, certificate, uid, password, whichever is offered and possible first; only the
 * password while trust is NONE. RELAY_LOGIN_STRETCH: give challenge.stretch and the password to
 * relay_stretch in the crypto lane, then call relay_login_client_stretched. NK_EVERIFY: the relay
 * is not authenticated, and nothing here can do it; NK_EAUTH: no common method; NK_EPROTO:
 * parameters out of bounds, or not now. diag says what to do about it.
 */
int relay_login_client_challenge(struct relay_login_client *c,
                                 const struct relay_login_challenge *challenge, bool skip,
                                 struct nk_diag *diag);

/* relay_login_client_stretched - prs of RELAY_LOGIN_PRS bytes (the caller wipes its copy).
 * RELAY_LOGIN_SEND, NK_EPROTO (nobody asked), NK_EINTERNAL. */
int relay_login_client_stretched(struct relay_login_client *c, const uint8_t *prs,
                                 struct nk_diag *diag);

/*
 * relay_login_client_step - the payload of an AUTH of the relay with this step. RELAY_LOGIN_SEND:
 * send c->out as AUTH with c->out_step; then the relay is authenticated (c->trust is PASSWORD), and
 * WELCOME comes. NK_EAUTH: the relay does not know the password, or somebody is in between.
 * NK_EPROTO. After an error nothing was or may be sent.
 */
int relay_login_client_step(struct relay_login_client *c, uint64_t step, const void *in, size_t n,
                            struct nk_diag *diag);

/* relay_login_client_welcome - a WELCOME came: 0 when everything was said that had to be, NK_EPROTO
 * when it comes too early. Wipes the secrets; trust and method stay. */
int relay_login_client_welcome(struct relay_login_client *c, struct nk_diag *diag);

/* relay_trust_name - "password", "pin", "ca", "local", "none". */
const char *relay_trust_name(enum relay_trust trust);

#endif
