/* SPDX-License-Identifier: MIT */
/*
 * login - what both sides of a login over netkit-relay/1 share; LOGIN.md has the bytes, the states
 * and what it protects against. Pure.
 *
 * The relay says in its CHALLENGE how it lets in; the client answers with AUTH messages, each
 * `u8 method` and the method's bytes, counted by their step from 1 on.
 */
#ifndef NK_RELAY_LOGIN_H
#define NK_RELAY_LOGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "relay/cpace.h"

#define RELAY_LOGIN_NONCE 32
#define RELAY_LOGIN_SALT 16     /* crypto_pwhash_SALTBYTES */
#define RELAY_LOGIN_PRS 32      /* bytes of a stretched password */
#define RELAY_LOGIN_EXPORTER 32 /* RFC 9266 §2 */
#define RELAY_CANDIDATES_MAX 4  /* passwords tried in one login: rotation, not a dictionary */
#define RELAY_IDENTITY_MAX 64   /* bytes of an identity's name */

/* Argon2id (RFC 9106), one lane. A client refuses anything outside of these bounds: less would make
 * the stretching worthless, more would let a stranger spend our memory. */
#define RELAY_STRETCH_KIB_MIN 8192
#define RELAY_STRETCH_KIB_MAX 65536
#define RELAY_STRETCH_PASSES_MIN 1
#define RELAY_STRETCH_PASSES_MAX 4
#define RELAY_STRETCH_KIB_DEFAULT 19456 /* with two passes near 20 ms */
#define RELAY_STRETCH_PASSES_DEFAULT 2

/* The bits of a CHALLENGE's methods, and the first byte of an AUTH. */
enum relay_login_method {
    RELAY_LOGIN_UID = 1,         /* the peer's uid on a unix socket */
    RELAY_LOGIN_CERTIFICATE = 2, /* the certificate of the TLS handshake */
    RELAY_LOGIN_KEY = 4,         /* Ed25519 */
    RELAY_LOGIN_PASSWORD = 8     /* CPace */
};
#define RELAY_LOGIN_METHODS 15

/* How Argon2id is to be used. */
struct relay_stretch_params {
    uint8_t salt[RELAY_LOGIN_SALT];
    uint32_t mem_kib, passes;
};

/* The part of a CHALLENGE that is about the login. */
struct relay_login_challenge {
    uint8_t methods;    /* enum relay_login_method */
    uint8_t candidates; /* passwords valid at present, at most RELAY_CANDIDATES_MAX */
    uint8_t nonce[RELAY_LOGIN_NONCE];
    struct relay_stretch_params stretch;
};

/* Lengths of AUTH payloads. */
#define RELAY_LOGIN_ANSWER (RELAY_CPACE_SHARE + RELAY_CPACE_TAG) /* one candidate of step 2 */
#define RELAY_LOGIN_MESSAGE_MAX (1 + RELAY_CANDIDATES_MAX * RELAY_LOGIN_ANSWER)
#define RELAY_LOGIN_KEY_BYTES 32
#define RELAY_LOGIN_SIGNATURE 64

/* What a step asks its caller to do next; negative codes end the login. */
enum relay_login_todo {
    RELAY_LOGIN_DONE = 0,   /* logged in */
    RELAY_LOGIN_SEND = 1,   /* send `out` as an AUTH message with `out_step` */
    RELAY_LOGIN_STRETCH = 2 /* client: stretch the password, see relay_login_client_stretched */
};

/* relay_login_params_ok - are the parameters within the bounds above? */
bool relay_login_params_ok(const struct relay_stretch_params *p);

/* What a login is bound to: the TLS exporter, or (unix and plain sockets) the CHALLENGE's nonce. */
struct relay_login_binding {
    bool tls;
    uint8_t id[RELAY_LOGIN_EXPORTER];
};

/* relay_login_bind - exporter: RELAY_LOGIN_EXPORTER bytes, or NULL when there is no TLS. */
void relay_login_bind(struct relay_login_binding *b, const uint8_t *exporter,
                      const uint8_t nonce[RELAY_LOGIN_NONCE]);

/* relay_login_inputs - the inputs of CPace: prs (RELAY_LOGIN_PRS bytes) and b stay borrowed. */
struct relay_cpace_inputs relay_login_inputs(const struct relay_login_binding *b,
                                             const uint8_t *prs);

/* relay_login_signed - the bytes that an Ed25519 login signs; returns how many were written to out.
 * identity may be empty. */
#define RELAY_LOGIN_SIGNED_MAX 192
size_t relay_login_signed(uint8_t out[RELAY_LOGIN_SIGNED_MAX], const struct relay_login_binding *b,
                          const uint8_t nonce[RELAY_LOGIN_NONCE], const char *identity, size_t len);

#endif
