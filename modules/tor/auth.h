/* SPDX-License-Identifier: MIT */
/*
 * auth - authentication to a control port (control-spec 3.5, 3.21, 3.24).
 *
 *     PROTOCOLINFO --> AUTHCHALLENGE --> AUTHENTICATE --> done
 *          |  cookie, password, null  ----^    | refused: the next method, on a fresh connection
 *
 * Methods in the order SAFECOOKIE, COOKIE, HASHEDPASSWORD, NULL, each only if tor offers it and
 * what it needs is there: a cookie that cannot be read is passed over. SAFECOOKIE lets tor prove
 * first that it knows the cookie, too; one that does not is an impostor, and nothing else is tried
 * on it.
 */
#ifndef TOR_AUTH_H
#define TOR_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "tor/access.h"
#include "tor/conn.h"

#define TOR_HMAC_SIZE 32
#define TOR_NONCE_SIZE 32 /* ours; tor's may be up to TOR_SERVER_NONCE_MAX */
#define TOR_SERVER_NONCE_MAX 64
#define TOR_VERSION_SIZE 64

enum tor_method { TOR_SAFECOOKIE = 1, TOR_COOKIE = 2, TOR_PASSWORD = 4, TOR_NULL = 8 };

struct tor_auth {
    const struct tor_access *access;
    void (*on_done)(void *owner, int err, const struct nk_diag *why);
    void *owner;
    char version[TOR_VERSION_SIZE]; /* of tor, once PROTOCOLINFO was answered; or "" */
    enum tor_method method;         /* the one in use, or that was used */
    struct tor_conn *conn;          /* private from here on */
    struct tor_request request;
    unsigned offered, tried;
    bool has_cookie, proven; /* tor has proved that it knows the cookie */
    uint8_t cookie[TOR_COOKIE_SIZE], nonce[TOR_NONCE_SIZE];
    char *cookie_path;      /* that tor named */
    struct nk_diag refused; /* what made a method fail; code 0: nothing yet */
};

/* tor_auth_init - prepare; the access is borrowed. tor_auth_clear - cancel and wipe. */
void tor_auth_init(struct tor_auth *a, const struct tor_access *access,
                   void (*on_done)(void *owner, int err, const struct nk_diag *why), void *owner);
void tor_auth_clear(struct tor_auth *a);

/*
 * tor_auth_start - authenticate on conn, on which nothing was sent yet. Then on_done once: 0;
 * NK_EAGAIN when another method is left, for a tor_auth_start with a fresh connection (tor closes
 * one on which it has refused); NK_EAUTH, -EACCES and so on when none is; NK_EVERIFY for an
 * impostor; NK_EPROTO; or how the connection ended. Each of tor's answers may take timeout_ms.
 * Returns as tor_conn_send.
 */
int tor_auth_start(struct tor_auth *a, struct tor_conn *conn, uint64_t timeout_ms,
                   struct nk_diag *diag);

/* tor_auth_cancel - on_done does not come any more. Fine at any time. */
void tor_auth_cancel(struct tor_auth *a);

/* tor_auth_hmac - the hash of SAFECOOKIE (control-spec 3.24): by_server selects the key. */
void tor_auth_hmac(uint8_t out[TOR_HMAC_SIZE], bool by_server,
                   const uint8_t cookie[TOR_COOKIE_SIZE], const void *client_nonce, size_t client_n,
                   const void *server_nonce, size_t server_n);

/* tor_method_name - "SAFECOOKIE" .. */
const char *tor_method_name(enum tor_method m);

#endif
