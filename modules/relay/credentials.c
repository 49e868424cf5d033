/* SPDX-License-Identifier: MIT */
#include "relay/credentials.h"

#include <stdio.h>
#include <unistd.h>

#include "core/app.h"
#include "core/clock.h"
#include "relay/password.h"
#include "relay/wire_native.h"
#include "tls/tls.h"

#define DAY_S ((int64_t)24 * 3600)
#define VALID_DAYS 3650 /* as tlspyo's own certificates */

enum { CERT_PEM_MAX = 16 * 1024 };

static int place(char *out, const char *given, const char *dir, const char *name,
                 struct nk_diag *diag)
{
    int rc =
        given ? snprintf(out, NK_PATH_MAX, "%s", given) : nk_path_join(out, NK_PATH_MAX, dir, name);
    if (rc < 0 || rc >= NK_PATH_MAX) {
        return nk_fail(diag, NK_ETOOBIG, "path too long: %s", given ? given : name);
    }
    return 0;
}

int relay_credentials_find(struct relay_credential_paths *out, const struct relay_conf *conf,
                           const char *state_dir, struct nk_diag *diag)
{
    struct relay_credential_paths p = {.own_tls = !conf->cert && !conf->key,
                                       .own_password = !conf->password_file};
    if (!conf->cert && conf->key) {
        return nk_fail(diag, NK_ECONFIG, "relay: 'key' is given without 'cert'");
    }
    if (!state_dir && (p.own_tls || p.own_password)) {
        return nk_fail(diag, NK_ECONFIG, "relay: no state directory to keep credentials in");
    }
    int rc = place(p.dir, NULL, state_dir ? state_dir : "", RELAY_CREDENTIALS_DIR, diag);
    rc = rc < 0 ? rc : place(p.cert, conf->cert, p.dir, RELAY_CERT_FILE, diag);
    /* without `key` the certificate's file holds both */
    rc =
        rc < 0 ? rc : place(p.key, conf->key ? conf->key : conf->cert, p.dir, RELAY_KEY_FILE, diag);
    rc = rc < 0 ? rc : place(p.password, conf->password_file, p.dir, RELAY_PASSWORD_FILE, diag);
    if (rc == 0) {
        *out = p;
    }
    return rc;
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static int make_certificate(const struct relay_credential_paths *p, struct nk_app *app,
                            struct nk_diag *diag)
{
    static const char *const sans[] = {"DNS:default", "DNS:localhost", "IP:127.0.0.1", "IP:::1"};
    int64_t now = nk_wall_s(app);
    struct tls_cert_spec spec = {.cn = "default",
                                 .sans = sans,
                                 .nsans = sizeof(sans) / sizeof(sans[0]),
                                 .not_before = now - DAY_S,
                                 .not_after = now + VALID_DAYS * DAY_S};
    struct nk_secret key = {0};
    struct nk_buf cert;
    nk_buf_init(&cert, CERT_PEM_MAX);
    int rc = tls_cert_generate(&spec, &key, &cert, diag);
    if (rc == 0) {
        rc = nk_file_write(p->cert, 0, nk_buf_ptr(&cert), nk_buf_len(&cert), diag);
    }
    if (rc == 0 && (rc = nk_file_write(p->key, 0, key.data, key.len, diag)) < 0) {
        unlink(p->cert); /* ours, a moment old, and of no use without its key */
    }
    if (rc == 0) {
        nk_audit(nk_app_log(app), "relay", NK_LOG_INFO, "key.created", NULL,
                 "new key %s and certificate %s; endpoints need the certificate or its pin", p->key,
                 p->cert);
    }
    nk_secret_clear(&key);
    nk_buf_clear(&cert);
    return rc;
}

/* Read them as a server will, and forget them. */
static int try_tls(const struct tls_creds_conf *conf, struct nk_diag *diag)
{
    struct tls_creds *creds;
    int rc = tls_creds_new(&creds, conf, diag);
    if (rc == 0) {
        tls_creds_unref(creds);
    }
    return rc;
}

int relay_credentials_given(const struct relay_credential_paths *p, const struct relay_conf *conf,
                            struct nk_log *log, struct nk_secret *password, struct nk_diag *diag)
{
    int rc = 0;
    if (conf->connection == RELAY_TLS && !p->own_tls) {
        const struct tls_creds_conf tls = {
            .role = TLS_SERVER, .cert = p->cert, .key = p->key, .ca = conf->client_ca};
        rc = try_tls(&tls, diag);
    } else if (conf->client_ca) {
        /* its pair does not exist yet: as a client, which needs none */
        const struct tls_creds_conf tls = {.role = TLS_CLIENT, .ca = conf->client_ca};
        rc = try_tls(&tls, diag);
    }
    if (rc == 0 && !p->own_password) {
        rc = relay_credentials_password(p, log, password, diag);
    }
    return rc;
}

/* What is at the default places already; *pair: key and certificate are. */
static int check_own(const struct relay_credential_paths *p, bool tls, bool *pair,
                     struct nk_diag *diag)
{
    bool cert = exists(p->cert), key = exists(p->key);
    *pair = cert && key;
    if (tls && p->own_tls && cert != key) {
        nk_fail(diag, NK_ECONFIG, "%s exists but %s does not", cert ? p->cert : p->key,
                cert ? p->key : p->cert);
        nk_hint(diag, "restore the missing file, or remove the other one to get a new pair");
        return NK_ECONFIG;
    }
    int rc = 0;
    if (tls && p->own_tls && *pair) {
        const struct tls_creds_conf conf = {.role = TLS_SERVER, .cert = p->cert, .key = p->key};
        rc = try_tls(&conf, diag);
    }
    if (rc == 0 && p->own_password && exists(p->password)) {
        struct nk_secret password = {0};
        rc = relay_password_load(p->password, &password, diag);
        nk_secret_clear(&password);
    }
    return rc;
}

int relay_credentials_create(const struct relay_credential_paths *p, bool tls, struct nk_app *app,
                             struct nk_diag *diag)
{
    bool pair;
    int rc = check_own(p, tls, &pair, diag);
    if (rc == 0 && (p->own_tls || p->own_password)) {
        rc = nk_mkdirs(p->dir, diag);
    }
    if (rc == 0 && tls && p->own_tls && !pair) {
        rc = make_certificate(p, app, diag);
    }
    if (rc == 0 && p->own_password && !exists(p->password)) {
        rc = relay_password_create(p->password, diag);
        if (rc == 0) {
            nk_audit(nk_app_log(app), "relay", NK_LOG_INFO, "key.created", NULL,
                     "new password %s; endpoints need it", p->password);
        }
    }
    return rc;
}

int relay_credentials_tls(const struct relay_credential_paths *p, const struct relay_conf *conf,
                          struct nk_app *app, struct tls_creds **out, struct nk_diag *diag)
{
    static const char *const alpn[] = {RELAY_NATIVE_ALPN};
    struct tls_creds_conf tls = {.role = TLS_SERVER,
                                 .cert = p->cert,
                                 .key = p->key,
                                 .ca = conf->client_ca,
                                 .optional = conf->client_cert == RELAY_CLIENT_CERT_OPTIONAL,
                                 .alpn = alpn, /* who offers none speaks tlspyo's wire */
                                 .nalpn = conf->wire == RELAY_WIRES_TLSPYO ? 0 : 1,
                                 .tls12 = true, /* unmodified Endpoints on old systems */
                                 .handshake_ms = conf->hello_timeout,
                                 .app = app};
    struct tls_creds *creds;
    uint8_t spki[TLS_HASH];
    char pin[TLS_PIN_TEXT], warning[NK_DIAG_TEXT];
    int rc = tls_creds_new(&creds, &tls, diag);
    if (rc < 0) {
        return rc;
    }
    rc = tls_creds_hash(creds, NULL, spki);
    if (rc < 0) {
        tls_creds_unref(creds);
        return nk_fail_sys(diag, rc, "%s", p->cert);
    }
    nk_info(nk_app_log(app), "relay", "certificate %s, pin %s", p->cert, tls_pin_format(pin, spki));
    if (tls_creds_warnings(creds, nk_wall_s(app), warning, sizeof(warning))) {
        nk_warn(nk_app_log(app), "relay", "certificate %s: %s", p->cert, warning);
    }
    *out = creds;
    return 0;
}

int relay_credentials_password(const struct relay_credential_paths *p, struct nk_log *log,
                               struct nk_secret *out, struct nk_diag *diag)
{
    int rc = relay_password_load(p->password, out, diag);
    if (rc == 0) {
        const char *weak = relay_password_weakness(out);
        if (weak) {
            nk_warn(log, "relay", "the password in %s is weak: it %s", p->password, weak);
        }
    }
    return rc;
}
