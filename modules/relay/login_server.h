/* SPDX-License-Identifier: MIT */
/*
 * login_server - the relay's side of one login over netkit-relay/1 (LOGIN.md), pure: messages in,
 * messages out. Password (CPace), Ed25519 key, certificate, unix uid.
 *
 *     relay_login_server_init
 *     relay_login_server_challenge            -> the login's part of CHALLENGE
 *     relay_login_server_step for each AUTH   -> SEND (out is an AUTH), DONE, or an error
 *
 * One attempt per connection: after DONE or an error every further step fails. CPU: 0.2 ms per
 * candidate password, 0.1 ms for a key.
 */
#ifndef NK_RELAY_LOGIN_SERVER_H
#define NK_RELAY_LOGIN_SERVER_H

#include "relay/identity.h"

/* X(name) - what is expected next. */
#define RELAY_LOGIN_SERVER_STATES(X)                                                               \
    X(FIRST)   /* step 1 of any method that was offered */                                         \
    X(CONFIRM) /* step 3 of the password method */                                                 \
    X(IN)      /* nothing: logged in */                                                            \
    X(OUT)     /* nothing: refused */
#define RELAY_LOGIN_SERVER_ENUM(name) RELAY_LOGIN_SERVER_##name,
enum relay_login_server_state { RELAY_LOGIN_SERVER_STATES(RELAY_LOGIN_SERVER_ENUM) };
#undef RELAY_LOGIN_SERVER_ENUM

/* One login; embed or allocate it, init, and clear it in any case. */
struct relay_login_server {
    struct relay_identities *identities; /* with a reference */
    enum relay_login_server_state state;
    struct relay_login_challenge challenge;
    struct relay_login_binding binding;
    char implicit[RELAY_IDENTITY_MAX + 1]; /* who the peer is by uid or certificate, or "" */
    uint8_t implicit_method;
    const struct relay_password *candidate[RELAY_CANDIDATES_MAX]; /* NULL: matches nobody */
    uint8_t expect[RELAY_CANDIDATES_MAX][RELAY_CPACE_TAG];        /* Ta for each */
    size_t ncandidates;
    char identity[RELAY_IDENTITY_MAX + 1]; /* state IN: who it is */
    enum relay_login_method method;        /* state IN, and in OUT the one that failed (or 0) */
    const char *why;                       /* state OUT: for the log; static */
    uint8_t out[RELAY_LOGIN_MESSAGE_MAX];
    size_t out_len;
    uint32_t out_step;
};

/*
 * relay_login_server_init - identities gets a reference; exporter: RELAY_LOGIN_EXPORTER bytes
 * (NK_Q_EXPORTER), or NULL when the connection has no TLS; peer says what is known of it.
 */
void relay_login_server_init(struct relay_login_server *s, struct relay_identities *identities,
                             const uint8_t *exporter, const struct relay_peer *peer);

/* relay_login_server_clear - wipe, drop the reference. Safe on a zeroed struct and twice. */
void relay_login_server_clear(struct relay_login_server *s);

/* relay_login_server_challenge - what to say in CHALLENGE; borrowed. */
const struct relay_login_challenge *
relay_login_server_challenge(const struct relay_login_server *s);

/* relay_login_server_implicit - the connection itself (certificate, uid) says who the peer is: logs
 * it in, so that AUTH is skipped, and returns true. For CHALLENGE's flag "already logged in". */
bool relay_login_server_implicit(struct relay_login_server *s);

/*
 * relay_login_server_step - the payload of an AUTH message with this step. RELAY_LOGIN_SEND: send
 * s->out (out_len bytes) as AUTH with s->out_step; RELAY_LOGIN_DONE: s->identity and s->method are
 * set; NK_EAUTH: refused (count it, delay the close), NK_EPROTO: no message that is allowed here.
 */
int relay_login_server_step(struct relay_login_server *s, uint64_t step, const void *in, size_t n);

/* relay_login_method_name - "password", "key", "certificate", "uid"; "none" for anything else. */
const char *relay_login_method_name(unsigned method);

#endif
