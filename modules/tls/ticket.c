/* SPDX-License-Identifier: MIT */
/*
 * Session tickets (RFC 8446 §4.6.1, RFC 5077). A ticket is key name (4) | nonce (24) |
 * XChaCha20-Poly1305 of mbedTLS's serialised session, with the key name as associated data.
 */
#include <stdlib.h>
#include <string.h>
#include <sodium.h>

#include "core/clock.h"
#include "tls/internal.h"

enum {
    KEY_NAME = 4,
    NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    KEY = crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
    OVERHEAD = KEY_NAME + NONCE + TAG,
    SESSION_MAX = 16 * 1024,
    MAX_SESSIONS = 64
};

/* Two generations: the newer one writes, both read. Key i is KEY bytes at keys.data + i * KEY. */
struct tls_ticket_keys {
    const struct nk_app *app;
    struct nk_secret keys;
    uint8_t name[2][KEY_NAME];
    int64_t born[2]; /* 0: not there */
    int current;
};

static void new_key(struct tls_ticket_keys *k, int i)
{
    nk_random(k->keys.data + i * KEY, KEY);
    nk_random(k->name[i], KEY_NAME);
    k->born[i] = nk_wall_s(k->app);
    k->current = i;
}

int tls_ticket_keys_new(const struct nk_app *app, struct tls_ticket_keys **out)
{
    struct tls_ticket_keys *k = calloc(1, sizeof(*k));
    if (!k || nk_secret_alloc(&k->keys, (size_t)2 * KEY) < 0) {
        free(k);
        return -ENOMEM;
    }
    k->app = app;
    new_key(k, 0);
    *out = k;
    return 0;
}

void tls_ticket_keys_free(struct tls_ticket_keys *k)
{
    if (k) {
        nk_secret_clear(&k->keys);
        free(k);
    }
}

int tls_ticket_write(void *arg, const mbedtls_ssl_session *session, unsigned char *start,
                     const unsigned char *end, size_t *len, uint32_t *lifetime)
{
    struct tls_ticket_keys *k = arg;
    unsigned char *nonce = start + KEY_NAME, *body = nonce + NONCE;
    size_t n;
    unsigned long long out;
    if (nk_wall_s(k->app) - k->born[k->current] >= TLS_TICKET_SECONDS) {
        new_key(k, !k->current);
    }
    if (end - start < OVERHEAD) {
        return MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL;
    }
    int rc = mbedtls_ssl_session_save(session, body, (size_t)(end - start) - OVERHEAD, &n);
    if (rc != 0) {
        return rc;
    }
    memcpy(start, k->name[k->current], KEY_NAME);
    nk_random(nonce, NONCE);
    crypto_aead_xchacha20poly1305_ietf_encrypt(body, &out, body, n, start, KEY_NAME, NULL, nonce,
                                               k->keys.data + k->current * KEY);
    *len = KEY_NAME + NONCE + (size_t)out;
    *lifetime = TLS_TICKET_SECONDS;
    return 0;
}

int tls_ticket_parse(void *arg, mbedtls_ssl_session *session, unsigned char *buf, size_t len)
{
    struct tls_ticket_keys *k = arg;
    unsigned char *body = buf + KEY_NAME + NONCE;
    unsigned long long n;
    if (len < OVERHEAD) {
        return MBEDTLS_ERR_SSL_INVALID_MAC;
    }
    for (int i = 0; i < 2; i++) {
        /* a key lives for two lifetimes at most: one writing, one reading */
        if (k->born[i] == 0 || memcmp(buf, k->name[i], KEY_NAME) != 0 ||
            nk_wall_s(k->app) - k->born[i] >= (int64_t)2 * TLS_TICKET_SECONDS) {
            continue;
        }
        if (crypto_aead_xchacha20poly1305_ietf_decrypt(body, &n, NULL, body, len - KEY_NAME - NONCE,
                                                       buf, KEY_NAME, buf + KEY_NAME,
                                                       k->keys.data + i * KEY) != 0) {
            continue;
        }
        int rc = mbedtls_ssl_session_load(session, body, (size_t)n);
        nk_wipe(body, (size_t)n);
        return rc;
    }
    return MBEDTLS_ERR_SSL_INVALID_MAC; /* not ours, or too old: a full handshake */
}

/* --- the client's side ------------------------------------------------------------------------ */

struct entry {
    struct entry *next; /* newest first */
    char *name;
    uint8_t *session; /* serialised, holds the resumption key: wiped. NULL: its server takes none */
    size_t n;
    int64_t stored;
    struct tls_peer peer;
};

struct tls_sessions {
    const struct nk_app *app;
    struct entry *first;
    size_t count;
};

struct tls_sessions *tls_sessions_new(const struct nk_app *app)
{
    struct tls_sessions *s = calloc(1, sizeof(*s));
    if (s) {
        s->app = app;
    }
    return s;
}

static void free_entry(struct entry *e)
{
    nk_free_wiped(e->session, e->n);
    free(e->name);
    free(e);
}

void tls_sessions_free(struct tls_sessions *s)
{
    struct entry *e;
    while (s && (e = s->first) != NULL) {
        s->first = e->next;
        free_entry(e);
    }
    free(s);
}

static void drop_oldest(struct tls_sessions *s)
{
    struct entry **at = &s->first;
    while ((*at)->next) {
        at = &(*at)->next;
    }
    free_entry(*at);
    *at = NULL;
    s->count--;
}

static int serialise(struct entry *e, const mbedtls_ssl_context *ssl)
{
    mbedtls_ssl_session session;
    mbedtls_ssl_session_init(&session);
    int rc = mbedtls_ssl_get_session(ssl, &session);
    if (rc == 0) {
        rc = mbedtls_ssl_session_save(&session, NULL, 0, &e->n);
        rc = rc == MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL && e->n <= SESSION_MAX ? 0 : -1;
    }
    if (rc == 0) {
        e->session = malloc(e->n);
        rc = e->session ? mbedtls_ssl_session_save(&session, e->session, e->n, &e->n) : -1;
    }
    mbedtls_ssl_session_free(&session);
    return rc;
}

static struct entry **find(struct tls_sessions *s, const char *name)
{
    struct entry **at = &s->first;
    while (*at && strcmp((*at)->name, name) != 0) {
        at = &(*at)->next;
    }
    return at;
}

static void remove_at(struct tls_sessions *s, struct entry **at)
{
    struct entry *e = *at;
    *at = e->next;
    s->count--;
    free_entry(e);
}

/* Without a connection: that there shall be none. */
static void put(struct tls_sessions *s, const char *name, const mbedtls_ssl_context *ssl,
                const struct tls_peer *peer)
{
    struct entry *e = calloc(1, sizeof(*e));
    if (!e) {
        return;
    }
    e->name = strdup(name);
    if (!e->name || (ssl && serialise(e, ssl) != 0)) {
        free_entry(e);
        return;
    }
    if (peer) {
        e->peer = *peer;
    }
    e->stored = nk_wall_s(s->app);
    e->next = s->first;
    s->first = e;
    if (++s->count > MAX_SESSIONS) {
        drop_oldest(s);
    }
}

void tls_sessions_put(struct tls_sessions *s, const char *name, const mbedtls_ssl_context *ssl,
                      const struct tls_peer *peer)
{
    const struct entry *e = *find(s, name);
    if (!e || e->session) {
        put(s, name, ssl, peer);
    }
}

void tls_sessions_refused(struct tls_sessions *s, const char *name)
{
    for (struct entry **at = find(s, name); *at; at = find(s, name)) {
        remove_at(s, at);
    }
    put(s, name, NULL, NULL);
}

bool tls_sessions_take(struct tls_sessions *s, const char *name, mbedtls_ssl_context *ssl,
                       struct tls_peer *peer)
{
    struct entry **at = find(s, name);
    const struct entry *e = *at;
    mbedtls_ssl_session session;
    if (!e || !e->session) {
        return false;
    }
    mbedtls_ssl_session_init(&session);
    bool ok = nk_wall_s(s->app) - e->stored < TLS_TICKET_SECONDS &&
              mbedtls_ssl_session_load(&session, e->session, e->n) == 0 &&
              mbedtls_ssl_set_session(ssl, &session) == 0;
    mbedtls_ssl_session_free(&session);
    if (ok) {
        *peer = e->peer;
    }
    remove_at(s, at);
    return ok;
}
