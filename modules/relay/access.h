/* SPDX-License-Identifier: MIT */
/*
 * access - [identity NAME] and [acl NAME] of netkit.ini, and what they become: who may log in, and
 * what they may do.
 */
#ifndef NK_RELAY_ACCESS_H
#define NK_RELAY_ACCESS_H

#include "base/conf.h"
#include "base/log.h"
#include "base/opt.h"
#include "base/secret.h"

struct relay_login;
struct relay_stretch_params;

/* [identity NAME] */
struct relay_identity_conf {
    char *match; /* the identity's real name; NULL: NAME */
    struct nk_strlist password_file, key, cert, uid;
};

/* [acl NAME] */
struct relay_acl_conf {
    struct nk_strlist identity, match, allow;
};

extern const struct nk_section relay_identity_section;
extern const struct nk_section relay_acl_section;

/* How the passwords of a relay are stretched, and whether its certificates can be asked for. */
struct relay_access_conf {
    const struct nk_conf *ini;
    const uint8_t
        *relay_key; /* SHA-256 of the relay's SPKI: the salt comes from it. NULL: no TLS */
    const struct relay_stretch_params *params; /* without relay_key: those in use, NULL: new ones */
    bool certificates;                         /* client_ca is set */
    struct nk_log *log;                        /* for warnings; NULL: none */
};

/*
 * relay_access_load - everything from the configuration and its files; take_password is that of
 * [relay] (moved on success). The passwords are not stretched yet. One reference. NK_ECONFIG (which
 * section and why), NK_EBADMODE, -ENOMEM, and what reading the files returns.
 */
int relay_access_load(struct relay_login **out, const struct relay_access_conf *conf,
                      struct nk_secret *take_password, struct nk_diag *diag);

/* relay_access_check - would that load? Reads the files, makes and says nothing. */
int relay_access_check(const struct relay_access_conf *conf, struct nk_diag *diag);

#endif
