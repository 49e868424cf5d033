/* SPDX-License-Identifier: MIT */
/*
 * Credentials: the configuration is kept, and each reading of the files gives a new state that new
 * streams share. A reading that fails changes nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <mbedtls/ssl_ciphersuites.h>

#include "base/file.h"
#include "glue.h"
#include "tls/internal.h"

enum {
    EXPIRY_WARNING = 30 * 86400, /* seconds */
    MAX_ALPN_NAME = 255          /* RFC 7301 §3.1 */
};

struct tls_creds {
    unsigned refs;
    struct tls_creds_conf conf; /* its strings are ours */
    struct tls_state *state;
};

/* Where Debian, Fedora, openSUSE, Alpine and OpenBSD keep their CA bundle. */
static const char *const system_bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
};

static const uint16_t groups[] = {
    MBEDTLS_SSL_IANA_TLS_GROUP_X25519, MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, MBEDTLS_SSL_IANA_TLS_GROUP_NONE};

#define SUITES_AES                                                                                 \
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384, MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,            \
        MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
#define SUITES_CHACHA                                                                              \
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,                                                       \
        MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,                                     \
        MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256

/* AES-128 has no fast implementation here: last for clients, and only in `compat` for servers. */
static const int suites_aes[] = {SUITES_AES, SUITES_CHACHA, 0};
static const int suites_chacha[] = {SUITES_CHACHA, SUITES_AES, 0};
static const int suites_aes_compat[] = {SUITES_AES, SUITES_CHACHA,
                                        MBEDTLS_TLS1_3_AES_128_GCM_SHA256, 0};
static const int suites_chacha_compat[] = {SUITES_CHACHA, SUITES_AES,
                                           MBEDTLS_TLS1_3_AES_128_GCM_SHA256, 0};

/* What a configuration may name, and as OpenSSL calls those of TLS 1.2. */
static const struct {
    int id;
    const char *name, *openssl;
} suite_names[TLS_SUITES_MAX] = {
    {MBEDTLS_TLS1_3_AES_256_GCM_SHA384, "TLS_AES_256_GCM_SHA384", NULL},
    {MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256, "TLS_CHACHA20_POLY1305_SHA256", NULL},
    {MBEDTLS_TLS1_3_AES_128_GCM_SHA256, "TLS_AES_128_GCM_SHA256", NULL},
    {MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
     "ECDHE-ECDSA-AES256-GCM-SHA384"},
    {MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
     "ECDHE-RSA-AES256-GCM-SHA384"},
    {MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
     "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"},
    {MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
     "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"},
};

static int suite_find(const char *name)
{
    for (int i = 0; i < TLS_SUITES_MAX; i++) {
        const char *other = suite_names[i].openssl;
        if (strcmp(suite_names[i].name, name) == 0 || (other && strcmp(other, name) == 0)) {
            return i;
        }
    }
    return -1;
}

const char *tls_suite_name(int id)
{
    for (int i = 0; i < TLS_SUITES_MAX; i++) {
        if (suite_names[i].id == id) {
            return suite_names[i].openssl ? suite_names[i].openssl : suite_names[i].name;
        }
    }
    return NULL;
}

int tls_suites_parse(int out[TLS_SUITES_MAX + 1], const char *const *names, size_t n, bool tls12,
                     bool tls13, struct nk_diag *diag)
{
    bool usable = n == 0, seen[TLS_SUITES_MAX] = {false};
    for (size_t i = 0; i < n; i++) {
        int at = suite_find(names[i]);
        if (at < 0) {
            nk_fail(diag, NK_ECONFIG, "'%s' is not a cipher suite that is spoken here", names[i]);
            nk_hint(diag, "TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256, "
                          "TLS_AES_128_GCM_SHA256; in TLS 1.2 ECDHE-ECDSA-AES256-GCM-SHA384 and "
                          "the like");
            return NK_ECONFIG;
        }
        if (seen[at]) {
            return nk_fail(diag, NK_ECONFIG, "the cipher suite %s is named twice", names[i]);
        }
        seen[at] = true;
        usable |= suite_names[at].openssl ? tls12 : tls13;
        out[i] = suite_names[at].id;
    }
    out[n] = 0;
    return usable ? 0
                  : nk_fail(diag, NK_ECONFIG,
                            "none of the cipher suites belongs to a version of TLS that is spoken");
}

static const int *suites(bool compat)
{
    if (nk_glue_aes256gcm_accelerated()) {
        return compat ? suites_aes_compat : suites_aes;
    }
    return compat ? suites_chacha_compat : suites_chacha;
}

/* --- the state -------------------------------------------------------------------------------- */

struct tls_state *tls_state_ref(struct tls_state *s)
{
    s->refs++;
    return s;
}

void tls_state_unref(struct tls_state *s)
{
    if (!s || --s->refs > 0) {
        return;
    }
    mbedtls_ssl_config_free(&s->ssl);
    mbedtls_ssl_config_free(&s->compat);
    mbedtls_x509_crt_free(&s->chain);
    mbedtls_x509_crt_free(&s->ca);
    mbedtls_pk_free(&s->key);
    tls_ticket_keys_free(s->tickets);
    tls_sessions_free(s->sessions);
    for (size_t i = 0; s->alpn && s->alpn[i]; i++) {
        free(s->alpn[i]);
    }
    free(s->alpn);
    free(s->pins.hash);
    tls_access_clear(&s->access);
    free(s->name);
    free(s);
}

static struct tls_state *new_state(const struct tls_creds_conf *c)
{
    struct tls_state *s = calloc(1, sizeof(*s));
    if (!s) {
        return NULL;
    }
    s->refs = 1;
    s->role = c->role;
    mbedtls_ssl_config_init(&s->ssl);
    mbedtls_ssl_config_init(&s->compat);
    mbedtls_x509_crt_init(&s->chain);
    mbedtls_x509_crt_init(&s->ca);
    mbedtls_pk_init(&s->key);
    s->handshake_ms = c->handshake_ms ? c->handshake_ms : TLS_HANDSHAKE_MS;
    s->rekey_bytes = c->rekey_bytes ? c->rekey_bytes : TLS_REKEY_BYTES;
    return s;
}

/* A certificate file or its text. */
static int load_certs(mbedtls_x509_crt *out, const char *path, const char *text,
                      struct nk_diag *diag)
{
    struct nk_buf b;
    int rc;
    if (text) {
        return tls_parse_certs(out, text, strlen(text), diag, "certificate");
    }
    nk_buf_init_secret(&b, TLS_PEM_MAX); /* a cert file may hold the key too */
    rc = nk_file_read(path, NK_FILE_CONFIG, &b, diag);
    if (rc == 0) {
        rc = tls_parse_certs(out, nk_buf_ptr(&b), nk_buf_len(&b), diag, path);
    }
    nk_buf_clear(&b);
    return rc == NK_EFORMAT ? NK_ECONFIG : rc;
}

static int load_key(struct tls_state *s, const struct tls_creds_conf *c, struct nk_diag *diag)
{
    struct nk_secret key = {0};
    const char *text = c->key_text ? c->key_text : !c->key && c->cert_text ? c->cert_text : NULL;
    const char *path = c->key ? c->key : c->cert;
    int rc;
    if (text) {
        path = "private key";
        rc = nk_secret_set(&key, text, strlen(text));
    } else {
        rc = nk_file_read_secret(path, false, &key, diag);
    }
    if (rc < 0) {
        return rc;
    }
    rc = tls_check(tls_parse_key(&s->key, &key), NK_ECONFIG, diag, path);
    nk_secret_clear(&key);
    if (rc == 0 && mbedtls_pk_check_pair(&s->chain.pk, &s->key, nk_glue_random, NULL) != 0) {
        nk_fail(diag, NK_ECONFIG, "%s: the private key does not belong to the certificate", path);
        if (c->cert) {
            nk_hint(diag, "the certificate is in %s; 'netkit cert show' says whose it is", c->cert);
        }
        return NK_ECONFIG;
    }
    return rc;
}

static int load_own(struct tls_state *s, const struct tls_creds_conf *c, struct nk_diag *diag)
{
    struct tls_cert_info info;
    if (!c->cert && !c->cert_text) {
        return c->role == TLS_SERVER
                   ? nk_fail(diag, NK_ECONFIG, "a TLS server needs a certificate: cert= and key=")
               : c->key || c->key_text
                   ? nk_fail(diag, NK_ECONFIG,
                             "a private key without its certificate: give cert= too")
                   : 0;
    }
    int rc = load_certs(&s->chain, c->cert, c->cert_text, diag);
    if (rc == 0) {
        rc = load_key(s, c, diag);
    }
    if (rc < 0) {
        return rc;
    }
    tls_crt_describe(&info, &s->chain);
    if (info.weak) {
        return nk_fail(diag, NK_ECONFIG,
                       "%s: an %s key is too weak; peers refuse it below 2048 bits",
                       c->cert ? c->cert : "certificate", info.key);
    }
    s->has_cert = true;
    return 0;
}

const char *tls_system_bundle(void)
{
    const char *env = getenv("SSL_CERT_FILE"); /* what OpenSSL and curl look at */
    if (env && *env) {
        return env;
    }
    for (size_t i = 0; i < sizeof(system_bundles) / sizeof(system_bundles[0]); i++) {
        if (access(system_bundles[i], R_OK) == 0) {
            return system_bundles[i];
        }
    }
    return NULL;
}

static int load_ca(struct tls_state *s, const struct tls_creds_conf *c, struct nk_diag *diag)
{
    if (c->ca || c->ca_text) {
        return load_certs(&s->ca, c->ca, c->ca_text, diag);
    }
    if (c->role == TLS_SERVER || c->npins > 0 || c->unverified) {
        return 0;
    }
    const char *bundle = tls_system_bundle();
    if (bundle) {
        return load_certs(&s->ca, bundle, NULL, diag);
    }
    nk_fail(diag, NK_ECONFIG, "no CA bundle on this system to verify the server with");
    nk_hint(diag, "give ca=FILE or pin=sha256:.., or install ca-certificates");
    return NK_ECONFIG;
}

static int load_pins(struct tls_state *s, const struct tls_creds_conf *c, struct nk_diag *diag)
{
    if (c->npins > TLS_MAX_PINS) {
        return nk_fail(diag, NK_ECONFIG, "more than %d pins", TLS_MAX_PINS);
    }
    s->pins.hash = c->npins ? calloc(c->npins, sizeof(*s->pins.hash)) : NULL;
    if (c->npins && !s->pins.hash) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < c->npins; i++) {
        if (tls_pin_parse(c->pins[i], s->pins.hash[i]) < 0) {
            return nk_fail(diag, NK_ECONFIG,
                           "'%s' is not a pin: sha256: and 64 hex digits or base64", c->pins[i]);
        }
        s->pins.n++;
    }
    return 0;
}

static int load_names(struct tls_state *s, const struct tls_creds_conf *c, struct nk_diag *diag)
{
    if (c->name && (s->name = strdup(c->name)) == NULL) {
        return -ENOMEM;
    }
    if (c->nalpn == 0) {
        return 0;
    }
    s->alpn = calloc(c->nalpn + 1, sizeof(*s->alpn));
    if (!s->alpn || c->nalpn > TLS_MAX_ALPN) {
        return s->alpn ? nk_fail(diag, NK_ECONFIG, "more than %d ALPN names", TLS_MAX_ALPN)
                       : -ENOMEM;
    }
    for (size_t i = 0; i < c->nalpn; i++) {
        size_t n = strlen(c->alpn[i]);
        if (n == 0 || n > MAX_ALPN_NAME) {
            return nk_fail(diag, NK_ECONFIG, "an ALPN name has 1 to %d bytes", MAX_ALPN_NAME);
        }
        if ((s->alpn[i] = strdup(c->alpn[i])) == NULL) {
            return -ENOMEM;
        }
    }
    return 0;
}

static int set_up_ssl(struct tls_state *s, const struct tls_creds_conf *c, mbedtls_ssl_config *ssl,
                      bool compat)
{
    bool server = c->role == TLS_SERVER, verify = !server || s->pins.n > 0 || s->ca.version != 0;
    int rc =
        mbedtls_ssl_config_defaults(ssl, server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
                                    MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    if (rc != 0) {
        return rc;
    }
    mbedtls_ssl_conf_rng(ssl, nk_glue_random, NULL);
    mbedtls_ssl_conf_min_tls_version(ssl, c->tls12 ? MBEDTLS_SSL_VERSION_TLS1_2
                                                   : MBEDTLS_SSL_VERSION_TLS1_3);
    mbedtls_ssl_conf_max_tls_version(ssl, c->tls12 && c->no_tls13 ? MBEDTLS_SSL_VERSION_TLS1_2
                                                                  : MBEDTLS_SSL_VERSION_TLS1_3);
    mbedtls_ssl_conf_ciphersuites(ssl, s->suites[0] ? s->suites : suites(compat));
    mbedtls_ssl_conf_groups(ssl, groups);
    mbedtls_ssl_conf_authmode(ssl, !verify       ? MBEDTLS_SSL_VERIFY_NONE
                                   : c->optional ? MBEDTLS_SSL_VERIFY_OPTIONAL
                                                 : MBEDTLS_SSL_VERIFY_REQUIRED);
    /* with pins alone the list is empty, and the verify callback decides */
    mbedtls_ssl_conf_ca_chain(ssl, &s->ca, NULL);
    if (s->has_cert) {
        rc = mbedtls_ssl_conf_own_cert(ssl, &s->chain, &s->key);
    }
    if (rc == 0 && s->alpn) {
        rc = mbedtls_ssl_conf_alpn_protocols(ssl, (const char **)s->alpn);
    }
    if (s->tickets) {
        mbedtls_ssl_conf_session_tickets_cb(ssl, tls_ticket_write, tls_ticket_parse, s->tickets);
    }
    if (!server) {
        mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(
            ssl, MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
    }
    return rc;
}

/* `unverified` may weaken nothing that was asked for as well, and rules are of no use without
 * certificates. */
static int check_trust(const struct tls_creds_conf *c, struct nk_diag *diag)
{
    if (c->allow != TLS_ALLOW_VERIFIED &&
        (c->role != TLS_SERVER || c->optional || (!c->ca && !c->ca_text))) {
        return nk_fail(diag, NK_ECONFIG, "rules for clients need a ca that they are verified with");
    }
    if (c->unverified && (c->role != TLS_CLIENT || c->ca || c->ca_text || c->npins > 0)) {
        return nk_fail(diag, NK_ECONFIG, "unverified is for clients without ca and pins");
    }
    return 0;
}

static int fill_state(struct tls_state *s, const struct tls_creds_conf *c, struct nk_diag *diag)
{
    int rc = check_trust(c, diag);
    if (rc == 0) {
        rc = load_own(s, c, diag);
    }
    s->unverified = c->unverified;
    s->end_unsaid = c->end_unsaid;
    if (rc == 0) {
        rc = load_ca(s, c, diag);
    }
    if (rc == 0) {
        rc = load_pins(s, c, diag);
    }
    rc = rc < 0 ? rc : tls_access_init(&s->access, c->allow, c->allowed, c->nallowed, diag);
    rc = rc < 0 ? rc
                : tls_suites_parse(s->suites, c->suites, c->nsuites, c->tls12,
                                   !(c->tls12 && c->no_tls13), diag);
    if (rc == 0) {
        rc = load_names(s, c, diag);
    }
    /* a resumed session shows no client certificate, so a server that asks for one issues no
     * tickets */
    if (rc == 0 && c->role == TLS_SERVER && s->pins.n == 0 && s->ca.version == 0) {
        rc = tls_ticket_keys_new(c->app, &s->tickets);
    }
    if (rc == 0 && c->role == TLS_CLIENT && (s->sessions = tls_sessions_new(c->app)) == NULL) {
        rc = -ENOMEM;
    }
    if (rc == 0) {
        rc = tls_check(set_up_ssl(s, c, &s->ssl, c->role == TLS_CLIENT), NK_EINTERNAL, diag, "TLS");
    }
    if (rc == 0 && c->role == TLS_SERVER) {
        rc = tls_check(set_up_ssl(s, c, &s->compat, true), NK_EINTERNAL, diag, "TLS");
    }
    return rc;
}

/* --- the object ------------------------------------------------------------------------------- */

static int load_state(struct tls_state **out, const struct tls_creds_conf *c, struct nk_diag *diag)
{
    struct nk_diag local = {0};
    struct tls_state *s;
    int rc = tls_crypto_start(&local);
    s = rc == 0 ? new_state(c) : NULL;
    if (rc == 0) {
        rc = s ? fill_state(s, c, &local) : -ENOMEM;
    }
    if (rc == 0) {
        *out = s;
        return 0;
    }
    tls_state_unref(s);
    if (local.code == 0) {
        nk_fail_sys(&local, rc, "TLS credentials");
    }
    if (diag) {
        *diag = local;
    }
    return rc;
}

static bool copy_text(const char **field)
{
    if (*field) {
        *field = strdup(*field);
        return *field != NULL;
    }
    return true;
}

static void free_text(const char **field, bool secret)
{
    char *text = (char *)(uintptr_t)*field;
    nk_free_wiped(text, text && secret ? strlen(text) : 0);
    *field = NULL;
}

static const char **copy_list(const char *const *list, size_t n, bool *ok)
{
    const char **out = calloc(n ? n : 1, sizeof(*out));
    *ok &= out != NULL;
    for (size_t i = 0; out && i < n; i++) {
        out[i] = strdup(list[i]);
        *ok &= out[i] != NULL;
    }
    return out;
}

static void free_list(const char *const *list, size_t n)
{
    for (size_t i = 0; list && i < n; i++) {
        free((char *)(uintptr_t)list[i]);
    }
    free((void *)(uintptr_t)list);
}

static bool copy_conf(struct tls_creds_conf *out, const struct tls_creds_conf *c)
{
    *out = *c;
    bool ok = true;
    const char **fields[] = {&out->cert,     &out->key,     &out->ca,  &out->cert_text,
                             &out->key_text, &out->ca_text, &out->name};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        ok &= copy_text(fields[i]);
    }
    out->pins = copy_list(c->pins, c->npins, &ok);
    out->alpn = copy_list(c->alpn, c->nalpn, &ok);
    out->allowed = copy_list(c->allowed, c->nallowed, &ok);
    out->suites = copy_list(c->suites, c->nsuites, &ok);
    return ok;
}

static void free_creds(struct tls_creds *c)
{
    const char **fields[] = {&c->conf.cert, &c->conf.key, &c->conf.ca, &c->conf.ca_text,
                             &c->conf.name};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        free_text(fields[i], false);
    }
    free_text(&c->conf.cert_text, true);
    free_text(&c->conf.key_text, true);
    free_list(c->conf.pins, c->conf.npins);
    free_list(c->conf.alpn, c->conf.nalpn);
    free_list(c->conf.allowed, c->conf.nallowed);
    free_list(c->conf.suites, c->conf.nsuites);
    tls_state_unref(c->state);
    free(c);
}

int tls_creds_new(struct tls_creds **out, const struct tls_creds_conf *conf, struct nk_diag *diag)
{
    struct tls_creds *c = calloc(1, sizeof(*c));
    if (!c) {
        return nk_fail_sys(diag, -ENOMEM, "TLS credentials");
    }
    c->refs = 1;
    int rc = copy_conf(&c->conf, conf) ? load_state(&c->state, conf, diag)
                                       : nk_fail_sys(diag, -ENOMEM, "TLS credentials");
    if (rc < 0) {
        free_creds(c);
        return rc;
    }
    *out = c;
    return 0;
}

struct tls_creds *tls_creds_ref(struct tls_creds *c)
{
    c->refs++;
    return c;
}

const char *const tls_truncations[] = {"abort", "end", NULL};

void tls_creds_unref(struct tls_creds *c)
{
    if (c && --c->refs == 0) {
        free_creds(c);
    }
}

int tls_creds_reload(struct tls_creds *c, struct nk_diag *diag)
{
    struct tls_state *s = NULL;
    int rc = load_state(&s, &c->conf, diag);
    if (rc < 0) {
        return rc;
    }
    tls_state_unref(c->state);
    c->state = s;
    return 0;
}

struct tls_state *tls_creds_state(const struct tls_creds *c)
{
    return tls_state_ref(c->state);
}

int tls_creds_hash(const struct tls_creds *c, uint8_t cert[TLS_HASH], uint8_t spki[TLS_HASH])
{
    if (!c->state->has_cert) {
        return -ENOENT;
    }
    tls_crt_hash(&c->state->chain, cert, spki);
    return 0;
}

int64_t tls_creds_expiry(const struct tls_creds *c)
{
    return c->state->has_cert ? tls_x509_seconds(&c->state->chain.valid_to) : 0;
}

bool tls_creds_warnings(const struct tls_creds *c, int64_t now, char *out, size_t max)
{
    char when[TLS_TIME_TEXT];
    int64_t end = tls_creds_expiry(c);
    out[0] = 0;
    if (!c->state->has_cert) {
        return false;
    }
    if (end - now < EXPIRY_WARNING) {
        snprintf(out, max, "the certificate %s on %s", end < now ? "expired" : "expires",
                 tls_format_time(when, end));
    } else if (!c->state->chain.subject_alt_names.buf.p) {
        snprintf(out, max,
                 "the certificate has no alternative names (SAN); many clients refuse it");
    }
    return out[0] != 0;
}
