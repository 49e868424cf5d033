/* SPDX-License-Identifier: MIT */
/*
 * certshare - how a certificate gets to an endpoint that has only the relay's password: CPace over
 * plain TCP, in which the certificate is what the relay's side authenticates (LOGIN.md "cert
 * fetch"). Pure. The certificate itself is public; what counts is that nobody can replace it.
 *
 *     c>r  "netkit-cert/1\n" nonce[32]
 *     r>c  u8 1, nonce[32], salt[16], u32 Argon2id KiB, u32 passes      (little endian)
 *     c>r  Ya[32]
 *     r>c  Yb[32] Tb[64] u32 length, certificate (PEM)
 *     c>r  Ta[64]
 *
 * sid is both nonces, ADa is "fetch", ADb the certificate. One guess per connection.
 */
#ifndef NK_RELAY_CERTSHARE_H
#define NK_RELAY_CERTSHARE_H

#include "base/buf.h"
#include "relay/login.h"

#define RELAY_CERTSHARE_PREAMBLE "netkit-cert/1\n"
#define RELAY_CERTSHARE_PORT 7776               /* tlspyo's */
#define RELAY_CERTSHARE_MAX ((size_t)64 * 1024) /* bytes of PEM */

enum relay_certshare_todo {
    RELAY_CERTSHARE_DONE = 0,
    RELAY_CERTSHARE_MORE = 1,   /* send what is in out, wait for more */
    RELAY_CERTSHARE_STRETCH = 2 /* client: stretch, see relay_certshare_client_stretched */
};

/* X(name) - what is expected next, on both sides. */
#define RELAY_CERTSHARE_STATES(X)                                                                  \
    X(HELLO)   /* server: preamble and nonce */                                                    \
    X(SHARE)   /* server: Ya */                                                                    \
    X(CONFIRM) /* server: Ta */                                                                    \
    X(PARAMS)  /* client: nonce, salt, parameters */                                               \
    X(STRETCH) /* client: the stretched password */                                                \
    X(ANSWER)  /* client: Yb, Tb, certificate */                                                   \
    X(OVER)    /* nothing */
#define RELAY_CERTSHARE_ENUM(name) RELAY_CERTSHARE_##name##_STATE,
enum relay_certshare_state { RELAY_CERTSHARE_STATES(RELAY_CERTSHARE_ENUM) };
#undef RELAY_CERTSHARE_ENUM

/* Either side of one exchange; init, and clear in any case. */
struct relay_certshare {
    enum relay_certshare_state state;
    struct relay_stretch_params params;
    const uint8_t *prs; /* server: borrowed */
    const uint8_t *pem; /* server: borrowed */
    size_t pem_len;
    uint8_t sid[2 * RELAY_LOGIN_NONCE];
    uint8_t own_prs[RELAY_LOGIN_PRS]; /* client */
    struct relay_cpace cpace;         /* client */
    uint8_t expect[RELAY_CPACE_TAG];  /* server: Ta */
    struct nk_buf out;                /* to be sent; the caller consumes it */
    struct nk_buf cert;               /* client, DONE: the certificate */
};

/* relay_certshare_server_init - prs: RELAY_LOGIN_PRS bytes, stretched with params; pem is at most
 * RELAY_CERTSHARE_MAX bytes; all borrowed while s lives. */
void relay_certshare_server_init(struct relay_certshare *s,
                                 const struct relay_stretch_params *params, const uint8_t *prs,
                                 const void *pem, size_t n);

/* relay_certshare_client_init - the preamble is in out afterwards. 0 or -ENOMEM. */
int relay_certshare_client_init(struct relay_certshare *s);

/* relay_certshare_clear - wipe and free; safe on a zeroed struct and twice. */
void relay_certshare_clear(struct relay_certshare *s);

/*
 * relay_certshare_input - n bytes from the peer; *used says how many were taken. MORE, STRETCH,
 * DONE; NK_EAUTH: the peer does not know the password (or somebody changed a message); NK_EPROTO;
 * -ENOMEM. After DONE on the client what is in out must still be sent.
 */
int relay_certshare_input(struct relay_certshare *s, const void *p, size_t n, size_t *used);

/* relay_certshare_client_stretched - prs of RELAY_LOGIN_PRS bytes, copied. MORE or an error. */
int relay_certshare_client_stretched(struct relay_certshare *s, const uint8_t *prs);

#endif
