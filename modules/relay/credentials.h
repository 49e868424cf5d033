/* SPDX-License-Identifier: MIT */
/*
 * credentials - the relay's key, certificate and password: found, or made at the first start.
 */
#ifndef NK_RELAY_CREDENTIALS_H
#define NK_RELAY_CREDENTIALS_H

#include "base/file.h"
#include "base/log.h"
#include "base/secret.h"
#include "relay/relay.h"

struct nk_app;
struct tls_creds;

/* Where they are: what the configuration says, else below the state directory. */
struct relay_credential_paths {
    char dir[NK_PATH_MAX];
    char cert[NK_PATH_MAX], key[NK_PATH_MAX], password[NK_PATH_MAX];
    bool own_tls, own_password; /* the default places: created when nothing is there */
};

/* relay_credentials_find - fill out. NK_ECONFIG (cert without key, or no state directory),
 * NK_ETOOBIG. */
int relay_credentials_find(struct relay_credential_paths *out, const struct relay_conf *conf,
                           const char *state_dir, struct nk_diag *diag);

/*
 * relay_credentials_given - check every file that the configuration names (cert and key, client_ca,
 * password_file), before anything is created. A password file that is named is read here, into
 * password, as it may be a pipe; otherwise password stays as it is. Errors of tls_creds_new and
 * relay_password_load.
 */
int relay_credentials_given(const struct relay_credential_paths *p, const struct relay_conf *conf,
                            struct nk_log *log, struct nk_secret *password, struct nk_diag *diag);

/*
 * relay_credentials_create - make what is missing at the default places: an ECDSA P-256 key with a
 * self-signed certificate for "default" (the name tlspyo's Endpoints verify), localhost, 127.0.0.1
 * and ::1, valid for ten years; and a random password. Files of mode 0600, nothing is overwritten.
 * What is there already is checked first, and nothing is made when it cannot be used: a key without
 * certificate (or the reverse) is NK_ECONFIG. Logs what was made and where.
 */
int relay_credentials_create(const struct relay_credential_paths *p, bool tls, struct nk_app *app,
                             struct nk_diag *diag);

/* relay_credentials_tls - the server's credentials from the files; logs the pin and warnings. */
int relay_credentials_tls(const struct relay_credential_paths *p, const struct relay_conf *conf,
                          struct nk_app *app, struct tls_creds **out, struct nk_diag *diag);

/* relay_credentials_password - read the password; warns when it is weak. */
int relay_credentials_password(const struct relay_credential_paths *p, struct nk_log *log,
                               struct nk_secret *out, struct nk_diag *diag);

#endif
