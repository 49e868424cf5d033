/* SPDX-License-Identifier: MIT */
#include "tor/auth.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/file.h"
#include "base/secret.h"

enum { AUTH_LINE_MAX = 4096, SHOWN = 120 };

/* control-spec 3.24 */
static const char server_key[] = "Tor safe cookie authentication server-to-controller hash";
static const char client_key[] = "Tor safe cookie authentication controller-to-server hash";

static const struct {
    enum tor_method method;
    const char *name; /* in PROTOCOLINFO */
} methods[] = {{TOR_SAFECOOKIE, "SAFECOOKIE"},
               {TOR_COOKIE, "COOKIE"},
               {TOR_PASSWORD, "HASHEDPASSWORD"},
               {TOR_NULL, "NULL"}};
enum { METHODS = sizeof(methods) / sizeof(methods[0]) };

const char *tor_method_name(enum tor_method m)
{
    for (size_t i = 0; i < METHODS; i++) {
        if (methods[i].method == m) {
            return methods[i].name;
        }
    }
    return "none";
}

void tor_auth_hmac(uint8_t out[TOR_HMAC_SIZE], bool by_server,
                   const uint8_t cookie[TOR_COOKIE_SIZE], const void *client_nonce, size_t client_n,
                   const void *server_nonce, size_t server_n)
{
    crypto_auth_hmacsha256_state st;
    const char *key = by_server ? server_key : client_key;
    (void)crypto_auth_hmacsha256_init(&st, (const uint8_t *)key, strlen(key));
    (void)crypto_auth_hmacsha256_update(&st, cookie, TOR_COOKIE_SIZE);
    (void)crypto_auth_hmacsha256_update(&st, client_nonce, client_n);
    (void)crypto_auth_hmacsha256_update(&st, server_nonce, server_n);
    (void)crypto_auth_hmacsha256_final(&st, out);
    nk_wipe(&st, sizeof(st));
}

void tor_auth_init(struct tor_auth *a, const struct tor_access *access,
                   void (*on_done)(void *owner, int err, const struct nk_diag *why), void *owner)
{
    *a = (struct tor_auth){.access = access, .on_done = on_done, .owner = owner};
}

void tor_auth_cancel(struct tor_auth *a)
{
    tor_request_cancel(&a->request);
    a->conn = NULL;
}

void tor_auth_clear(struct tor_auth *a)
{
    tor_auth_cancel(a);
    free(a->cookie_path);
    nk_wipe(a, sizeof(*a));
}

static void done(struct tor_auth *a, int err, const struct nk_diag *why)
{
    a->conn = NULL;
    a->on_done(a->owner, err, why);
}

/* --- which method ----------------------------------------------------------------------------- */

/* The first failure is the one that is told in the end: later ones are of lesser methods. */
static void remember(struct tor_auth *a, const struct nk_diag *why)
{
    if (a->refused.code == 0) {
        a->refused = *why;
    }
}

static bool get_cookie(struct tor_auth *a)
{
    struct nk_diag why = {0};
    const char *named = a->access->cookie_file;
    if (a->has_cookie) {
        return true;
    }
    if (!named && !a->cookie_path) {
        (void)nk_fail(&why, NK_EPROTO, "tor wants its cookie, and does not say where it is");
    } else if (tor_cookie_read(named ? named : a->cookie_path, named != NULL, a->cookie, &why) ==
               0) {
        a->has_cookie = true;
        return true;
    }
    remember(a, &why);
    a->tried |= TOR_SAFECOOKIE | TOR_COOKIE;
    return false;
}

/* COOKIE gives away what is in the file. To a control port that has not proved to know it (which
 * every tor since 0.2.3 can), only a file that the user named, or that is called like a cookie. */
static bool may_send_cookie(struct tor_auth *a)
{
    struct nk_diag why = {0};
    const char *slash = a->cookie_path ? strrchr(a->cookie_path, '/') : NULL;
    if (a->proven || a->access->cookie_file || (slash && strstr(slash, "cookie"))) {
        return true;
    }
    (void)nk_fail(&why, NK_EVERIFY,
                  "tor asks for the contents of %s, which it has not shown to be "
                  "its cookie",
                  a->cookie_path ? a->cookie_path : "?");
    nk_hint(&why, "if it is, name it with --cookie-file");
    remember(a, &why);
    a->tried |= TOR_COOKIE;
    return false;
}

/* The next method that can be used, or 0. */
static unsigned next_method(struct tor_auth *a)
{
    for (size_t i = 0; i < METHODS; i++) {
        enum tor_method m = methods[i].method;
        bool can = (a->offered & m) && !(a->tried & m);
        if (can && (m == TOR_SAFECOOKIE || m == TOR_COOKIE)) {
            can = get_cookie(a);
        }
        if (can && m == TOR_COOKIE) {
            can = may_send_cookie(a);
        }
        if (can && m == TOR_PASSWORD) {
            can = a->access->password_file != NULL;
        }
        if (can) {
            return m;
        }
    }
    return 0;
}

/* No method is left. */
static void give_up(struct tor_auth *a)
{
    struct nk_diag why = {0};
    bool password = (a->offered & TOR_PASSWORD) && !a->access->password_file;
    if (a->refused.code != 0) {
        why = a->refused;
        if (password && !why.hint[0]) {
            nk_hint(&why, "tor takes a password, too: --password-file FILE");
        }
    } else if (password) {
        (void)nk_fail(&why, NK_EAUTH, "tor wants a password for its control port");
        nk_hint(&why, "--password-file FILE; `netkit tor hash-password` makes the line for torrc");
    } else {
        (void)nk_fail(&why, NK_EAUTH, "tor offers no way to authenticate that is known here");
        nk_hint(&why, "torrc: CookieAuthentication 1");
    }
    done(a, why.code, &why);
}

/* The present method has failed; tor closes the connection, or has to be left. */
static void method_failed(struct tor_auth *a, const struct nk_diag *why)
{
    remember(a, why);
    a->tried |= a->method;
    if (next_method(a) != 0) {
        done(a, NK_EAGAIN, why);
    } else {
        give_up(a);
    }
}

/* --- AUTHENTICATE ----------------------------------------------------------------------------- */

static void on_authenticate(void *owner, int err, const struct tor_reply *reply,
                            const struct nk_diag *why)
{
    struct tor_auth *a = owner;
    char shown[SHOWN];
    struct nk_diag refused = {0};
    if (err < 0) {
        done(a, err, why);
        return;
    }
    if (reply->code == TOR_OK) {
        done(a, 0, NULL);
        return;
    }
    const struct tor_line *last = &reply->lines[reply->n - 1];
    (void)nk_fail(&refused, NK_EAUTH, "tor refuses %s: %s",
                  a->method == TOR_PASSWORD ? "the password"
                  : a->method == TOR_NULL   ? "to be used without authentication"
                                            : "the cookie",
                  nk_escape(shown, sizeof(shown), last->text, last->len));
    method_failed(a, &refused);
}

static int send_authenticate(struct tor_auth *a, struct nk_buf *line, struct nk_diag *diag)
{
    const char *text = nk_buf_str(line);
    a->request.fn = on_authenticate;
    return text ? tor_conn_send(a->conn, &a->request, text, NULL, 0, diag)
                : nk_fail(diag, -ENOMEM, "out of memory");
}

static int authenticate_hex(struct tor_auth *a, const uint8_t *p, size_t n, struct nk_diag *diag)
{
    char hex[NK_HEX_SIZE(TOR_HMAC_SIZE)];
    struct nk_buf line;
    nk_hex_encode(hex, p, n);
    nk_buf_init_secret(&line, AUTH_LINE_MAX);
    int rc = nk_buf_puts(&line, "AUTHENTICATE ");
    rc = rc < 0 ? rc : nk_buf_puts(&line, hex);
    rc = rc < 0 ? nk_fail_sys(diag, rc, "AUTHENTICATE") : send_authenticate(a, &line, diag);
    nk_buf_clear(&line);
    nk_wipe(hex, sizeof(hex));
    return rc;
}

static int authenticate_password(struct tor_auth *a, struct nk_diag *diag)
{
    struct nk_secret password = {0};
    struct nk_buf line;
    int rc = nk_file_read_secret(a->access->password_file, true, &password, diag);
    if (rc < 0) {
        return rc;
    }
    nk_buf_init_secret(&line, AUTH_LINE_MAX);
    rc = nk_buf_puts(&line, "AUTHENTICATE ");
    rc = rc < 0 ? rc : tor_wire_quote_auth(&line, (const char *)password.data, password.len);
    rc = rc < 0 ? nk_fail_sys(diag, rc, "the password in %s", a->access->password_file)
                : send_authenticate(a, &line, diag);
    nk_buf_clear(&line);
    nk_secret_clear(&password);
    return rc;
}

/* --- AUTHCHALLENGE ---------------------------------------------------------------------------- */

/* The server's hash and nonce; false when the line has not both, well-formed. */
static bool read_challenge(const struct tor_reply *reply, uint8_t hash[TOR_HMAC_SIZE],
                           uint8_t nonce[TOR_SERVER_NONCE_MAX], size_t *nonce_n)
{
    struct tor_words words;
    struct tor_word w;
    ssize_t h = -1, n = -1;
    tor_words_init(&words, reply->lines[0].text, reply->lines[0].len);
    if (reply->n != 1 || !tor_words_next(&words, &w) || !tor_word_is(&w, "AUTHCHALLENGE")) {
        return false;
    }
    while (tor_words_next(&words, &w)) {
        if (tor_word_key(&w, "SERVERHASH")) {
            h = nk_hex_decode(hash, TOR_HMAC_SIZE, w.value, w.value_len, false);
        } else if (tor_word_key(&w, "SERVERNONCE")) {
            n = nk_hex_decode(nonce, TOR_SERVER_NONCE_MAX, w.value, w.value_len, false);
        }
    }
    *nonce_n = n > 0 ? (size_t)n : 0;
    return !words.bad && h == TOR_HMAC_SIZE && n > 0;
}

static void on_challenge(void *owner, int err, const struct tor_reply *reply,
                         const struct nk_diag *why)
{
    struct tor_auth *a = owner;
    uint8_t hash[TOR_HMAC_SIZE], want[TOR_HMAC_SIZE], nonce[TOR_SERVER_NONCE_MAX];
    size_t n = 0;
    struct nk_diag diag = {0};
    if (err < 0) {
        done(a, err, why);
    } else if (reply->code != TOR_OK) {
        char shown[SHOWN];
        (void)nk_fail(&diag, NK_EAUTH, "tor refuses AUTHCHALLENGE: %s",
                      nk_escape(shown, sizeof(shown), reply->lines[0].text, reply->lines[0].len));
        method_failed(a, &diag);
    } else if (!read_challenge(reply, hash, nonce, &n)) {
        done(a, nk_fail(&diag, NK_EPROTO, "tor's answer to AUTHCHALLENGE is malformed"), &diag);
    } else {
        tor_auth_hmac(want, true, a->cookie, a->nonce, TOR_NONCE_SIZE, nonce, n);
        if (sodium_memcmp(hash, want, TOR_HMAC_SIZE) != 0) {
            (void)nk_fail(&diag, NK_EVERIFY,
                          "what answers at the control port does not know tor's "
                          "cookie, so it is not the tor that made it");
            nk_hint(&diag, "another tor's cookie file (--cookie-file), or an impostor; nothing "
                           "secret was sent");
            done(a, NK_EVERIFY, &diag);
            return;
        }
        a->proven = true;
        tor_auth_hmac(want, false, a->cookie, a->nonce, TOR_NONCE_SIZE, nonce, n);
        int rc = authenticate_hex(a, want, sizeof(want), &diag);
        if (rc < 0) {
            done(a, rc, &diag);
        }
    }
    nk_wipe(want, sizeof(want));
}

static int challenge(struct tor_auth *a, struct nk_diag *diag)
{
    char hex[NK_HEX_SIZE(TOR_NONCE_SIZE)], line[sizeof("AUTHCHALLENGE SAFECOOKIE ") + sizeof(hex)];
    nk_random(a->nonce, sizeof(a->nonce));
    nk_hex_encode(hex, a->nonce, sizeof(a->nonce));
    (void)snprintf(line, sizeof(line), "AUTHCHALLENGE SAFECOOKIE %s", hex);
    a->request.fn = on_challenge;
    return tor_conn_send(a->conn, &a->request, line, NULL, 0, diag);
}

/* --- PROTOCOLINFO ----------------------------------------------------------------------------- */

static void use(struct tor_auth *a, unsigned method)
{
    struct nk_diag diag = {0};
    int rc;
    a->method = (enum tor_method)method;
    switch (a->method) {
    case TOR_SAFECOOKIE:
        rc = challenge(a, &diag);
        break;
    case TOR_COOKIE:
        rc = authenticate_hex(a, a->cookie, sizeof(a->cookie), &diag);
        break;
    case TOR_PASSWORD:
        rc = authenticate_password(a, &diag);
        break;
    default:
        a->request.fn = on_authenticate;
        rc = tor_conn_send(a->conn, &a->request, "AUTHENTICATE", NULL, 0, &diag);
        break;
    }
    if (rc < 0) {
        done(a, rc, &diag);
    }
}

/* "COOKIE,SAFECOOKIE" */
static unsigned read_methods(const struct tor_word *w)
{
    unsigned offered = 0;
    const char *p = w->value, *end = p + w->value_len;
    while (p < end) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        size_t n = (size_t)((comma ? comma : end) - p);
        for (size_t i = 0; i < METHODS; i++) {
            bool same = strlen(methods[i].name) == n && memcmp(methods[i].name, p, n) == 0;
            offered |= same ? methods[i].method : 0;
        }
        p += n + (comma ? 1 : 0);
    }
    return offered;
}

/* A value as a string of its own; NULL when it is malformed, or memory is missing. */
static char *word_string(const struct tor_word *w)
{
    struct nk_buf b;
    size_t n;
    nk_buf_init(&b, AUTH_LINE_MAX);
    if (tor_word_put(w, &b) < 0 || nk_buf_len(&b) == 0 || nk_buf_u8(&b, 0) < 0) {
        nk_buf_clear(&b);
        return NULL;
    }
    return (char *)nk_buf_detach(&b, &n);
}

/* One line of PROTOCOLINFO; unknown ones are for later versions. */
static bool read_info(struct tor_auth *a, const struct tor_line *line)
{
    struct tor_words words;
    struct tor_word first, w;
    tor_words_init(&words, line->text, line->len);
    if (!tor_words_next(&words, &first)) {
        return !words.bad;
    }
    while (tor_words_next(&words, &w)) {
        if (tor_word_is(&first, "AUTH") && tor_word_key(&w, "METHODS")) {
            a->offered = read_methods(&w);
        } else if (tor_word_is(&first, "AUTH") && tor_word_key(&w, "COOKIEFILE")) {
            free(a->cookie_path);
            a->cookie_path = word_string(&w);
        } else if (tor_word_is(&first, "VERSION") && tor_word_key(&w, "Tor")) {
            (void)nk_escape(a->version, sizeof(a->version), w.value, w.value_len);
        }
    }
    return !words.bad;
}

static void on_info(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct tor_auth *a = owner;
    struct nk_diag diag = {0};
    if (err < 0) {
        done(a, err, why);
        return;
    }
    bool fine = reply->code == TOR_OK;
    a->offered = 0;
    for (size_t i = 0; fine && i < reply->n; i++) {
        fine = read_info(a, &reply->lines[i]);
    }
    if (!fine) {
        char shown[SHOWN];
        const struct tor_line *l = &reply->lines[0];
        done(a,
             nk_fail(&diag, NK_EPROTO, "tor does not say how to authenticate: %d %s", l->code,
                     nk_escape(shown, sizeof(shown), l->text, l->len)),
             &diag);
        return;
    }
    unsigned method = next_method(a);
    if (method != 0) {
        use(a, method);
    } else {
        give_up(a);
    }
}

int tor_auth_start(struct tor_auth *a, struct tor_conn *conn, uint64_t timeout_ms,
                   struct nk_diag *diag)
{
    a->conn = conn;
    a->request = (struct tor_request){.fn = on_info, .owner = a, .timeout_ms = timeout_ms};
    return tor_conn_send(conn, &a->request, "PROTOCOLINFO 1", NULL, 0, diag);
}
