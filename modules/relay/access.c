/* SPDX-License-Identifier: MIT */
#include "relay/access.h"

#include <sodium.h>
#include <string.h>

#include "base/codec.h"
#include "relay/hub.h"
#include "relay/password.h"

#define IDENTITY_ROW(field) .offset = NK_FIELD(struct relay_identity_conf, field)
#define ACL_ROW(field) .offset = NK_FIELD(struct relay_acl_conf, field)
#define UID_PREFIX "uid:" /* identities of unix peers without a section */
#define SALT_LABEL "netkit-relay/1 salt"

static const struct nk_opt identity_opts[] = {
    {.name = "match",
     .type = NK_OPT_STRING,
     IDENTITY_ROW(match),
     .arg = "TEXT",
     .flags = NK_OPT_RELOAD,
     .help = "The identity's real name, where it is not NAME"},
    {.name = "password-file",
     .type = NK_OPT_PATH,
     IDENTITY_ROW(password_file),
     .arg = "FILE",
     .flags = NK_OPT_REPEAT | NK_OPT_RELOAD,
     .help = "File with its password; several are valid at the same time, to change one without "
             "interruption"},
    {.name = "key",
     .type = NK_OPT_STRING,
     IDENTITY_ROW(key),
     .arg = "KEY",
     .flags = NK_OPT_REPEAT | NK_OPT_RELOAD,
     .help = "Its Ed25519 public key: 'ssh-ed25519 AAAA..', or base64 or hex of 32 bytes"},
    {.name = "cert",
     .type = NK_OPT_STRING,
     IDENTITY_ROW(cert),
     .arg = "NAME",
     .flags = NK_OPT_REPEAT | NK_OPT_RELOAD,
     .help = "Its client certificate: CN:name, DNS:name, URI:uri, IP:address, EMAIL:address or "
             "sha256:hash; needs client_ca in [relay]"},
    {.name = "uid",
     .type = NK_OPT_STRING,
     IDENTITY_ROW(uid),
     .arg = "N",
     .flags = NK_OPT_REPEAT | NK_OPT_RELOAD,
     .help = "Its number as a user of this machine, on a unix socket"},
    NK_OPT_END};

static const struct nk_opt acl_opts[] = {
    {.name = "identity",
     .type = NK_OPT_STRING,
     ACL_ROW(identity),
     .arg = "NAME",
     .flags = NK_OPT_REPEAT | NK_OPT_RELOAD,
     .help = "Whom it is about: an identity, 'default' for the password of [relay], 'uid:N' for a "
             "user of this machine, '*' for everybody"},
    {.name = "match",
     .type = NK_OPT_STRING,
     ACL_ROW(match),
     .arg = "PATTERN",
     .flags = NK_OPT_REPEAT | NK_OPT_RELOAD,
     .help = "In which groups: their whole name, where * is anything and ? one character"},
    {.name = "allow",
     .type = NK_OPT_STRING,
     ACL_ROW(allow),
     .arg = "RIGHTS",
     .flags = NK_OPT_REPEAT | NK_OPT_RELOAD,
     .help = "What: produce, broadcast, consume, admin (purge), separated by commas"},
    NK_OPT_END};

const struct nk_section relay_identity_section = {
    .name = "identity",
    .named = true,
    .summary = "Who may log in to the relay, besides those with its password",
    .opts = identity_opts,
    .conf_size = sizeof(struct relay_identity_conf),
    .reload = true,
};

const struct nk_section relay_acl_section = {
    .name = "acl",
    .named = true,
    .summary = "What identities may do in which groups; without any: everything",
    .opts = acl_opts,
    .conf_size = sizeof(struct relay_acl_conf),
    .reload = true,
};

/* --- identities ------------------------------------------------------------------------------- */

static int add_password(struct relay_identities *set, struct relay_identity *id, const char *path,
                        struct nk_log *log, struct nk_diag *diag)
{
    struct nk_secret pw = {0};
    int rc = relay_password_load(path, &pw, diag);
    const char *weak = rc == 0 ? relay_password_weakness(&pw) : NULL;
    if (weak && log) {
        nk_warn(log, "relay", "the password in %s is weak: it %s", path, weak);
    }
    rc = rc < 0 ? rc : relay_identity_password(set, id, &pw, diag);
    nk_secret_clear(&pw);
    return rc;
}

static int add_uid(struct relay_identities *set, struct relay_identity *id, const char *text,
                   struct nk_diag *diag)
{
    int64_t uid;
    if (nk_parse_i64(text, &uid) < 0 || uid < 0 || uid >= UINT32_MAX) {
        return nk_fail(diag, NK_ECONFIG, "'%.32s' is no uid", text);
    }
    return relay_identity_uid(set, id, uid, diag);
}

static int fill_identity(struct relay_identities *set, struct relay_identity *id,
                         const struct relay_identity_conf *c, const struct relay_access_conf *conf,
                         struct nk_diag *diag)
{
    int rc = 0;
    if (c->password_file.n + c->key.n + c->cert.n + c->uid.n == 0) {
        return nk_fail(diag, NK_ECONFIG, "has neither password_file, key, cert nor uid");
    }
    if (c->cert.n && !conf->certificates) {
        return nk_fail(diag, NK_ECONFIG, "'cert' needs client_ca in [relay]");
    }
    for (size_t i = 0; rc == 0 && i < c->password_file.n; i++) {
        rc = add_password(set, id, c->password_file.v[i], conf->log, diag);
    }
    for (size_t i = 0; rc == 0 && i < c->key.n; i++) {
        rc = relay_identity_key(set, id, c->key.v[i], diag);
    }
    for (size_t i = 0; rc == 0 && i < c->cert.n; i++) {
        rc = relay_identity_cert(set, id, c->cert.v[i], diag);
    }
    for (size_t i = 0; rc == 0 && i < c->uid.n; i++) {
        rc = add_uid(set, id, c->uid.v[i], diag);
    }
    return rc;
}

/* Names that would be taken for something else by the rules, or that exist. */
static int check_name(const struct relay_identities *set, const char *name, struct nk_diag *diag)
{
    if (strcmp(name, RELAY_ACL_EVERYBODY) == 0 ||
        strncmp(name, UID_PREFIX, strlen(UID_PREFIX)) == 0) {
        return nk_fail(diag, NK_ECONFIG, "an identity cannot be called '%s'", name);
    }
    if (strcmp(name, RELAY_IDENTITY_DEFAULT) != 0 &&
        relay_identities_find(set, name, strlen(name))) {
        return nk_fail(diag, NK_ECONFIG, "another section is about '%s' too", name);
    }
    return 0;
}

static int load_identities(struct relay_identities *set, const struct relay_access_conf *conf,
                           struct nk_diag *diag)
{
    const char *section;
    for (size_t i = 0; (section = nk_conf_name_at(conf->ini, relay_identity_section.name, i));
         i++) {
        const struct relay_identity_conf *c =
            nk_conf_get(conf->ini, relay_identity_section.name, section);
        const char *name = c->match ? c->match : section;
        struct relay_identity *id;
        int rc = check_name(set, name, diag);
        rc = rc < 0 ? rc : relay_identities_add(set, name, &id, diag);
        rc = rc < 0 ? rc : fill_identity(set, id, c, conf, diag);
        if (rc < 0) {
            return nk_fail_context(diag, "[identity %s]", section);
        }
    }
    return 0;
}

/* --- rules ------------------------------------------------------------------------------------ */

static int check_subject(const struct relay_identities *set, const char *name, struct nk_diag *diag)
{
    if (strcmp(name, RELAY_ACL_EVERYBODY) == 0 ||
        strncmp(name, UID_PREFIX, strlen(UID_PREFIX)) == 0 ||
        relay_identities_find(set, name, strlen(name))) {
        return 0;
    }
    int rc = nk_fail(diag, NK_ECONFIG, "there is no identity '%.64s'", name);
    nk_hint(diag, "write an [identity %.64s], or 'default', 'uid:N' or '*'", name);
    return rc;
}

static int add_rules(struct relay_acl *acl, const struct relay_identities *set,
                     const struct relay_acl_conf *c, struct nk_diag *diag)
{
    unsigned rights = 0;
    if (c->identity.n == 0 || c->match.n == 0 || c->allow.n == 0) {
        return nk_fail(diag, NK_ECONFIG, "needs identity, match and allow");
    }
    for (size_t i = 0; i < c->allow.n; i++) {
        unsigned more = 0;
        int rc = relay_acl_parse_rights(c->allow.v[i], &more, diag);
        if (rc < 0) {
            return rc;
        }
        rights |= more;
    }
    for (size_t i = 0; i < c->identity.n; i++) {
        int rc = check_subject(set, c->identity.v[i], diag);
        for (size_t k = 0; rc == 0 && k < c->match.n; k++) {
            rc = relay_acl_add(acl, c->identity.v[i], c->match.v[k], rights);
            if (rc < 0) {
                nk_fail_sys(diag, rc, "match = '%.64s'", c->match.v[k]);
            }
        }
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static int load_acl(struct relay_acl *acl, const struct relay_identities *set,
                    const struct nk_conf *ini, struct nk_diag *diag)
{
    const char *section;
    for (size_t i = 0; (section = nk_conf_name_at(ini, relay_acl_section.name, i)); i++) {
        const struct relay_acl_conf *c = nk_conf_get(ini, relay_acl_section.name, section);
        if (add_rules(acl, set, c, diag) < 0) {
            return nk_fail_context(diag, "[acl %s]", section);
        }
    }
    return 0;
}

/* --- all of it -------------------------------------------------------------------------------- */

/* The salt is the relay's own and stays the same as long as its key, so that endpoints stretch once
 * per relay. It is no secret. */
static void make_params(struct relay_stretch_params *p, const uint8_t *relay_key)
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state h;
    p->mem_kib = RELAY_STRETCH_KIB_DEFAULT;
    p->passes = RELAY_STRETCH_PASSES_DEFAULT;
    if (!relay_key) {
        nk_random(p->salt, sizeof(p->salt));
        return;
    }
    crypto_hash_sha256_init(&h);
    crypto_hash_sha256_update(&h, (const unsigned char *)SALT_LABEL, sizeof(SALT_LABEL));
    crypto_hash_sha256_update(&h, relay_key, sizeof(hash));
    crypto_hash_sha256_final(&h, hash);
    memcpy(p->salt, hash, sizeof(p->salt));
}

static int add_default(struct relay_identities *set, struct nk_secret *take_password,
                       struct nk_diag *diag)
{
    struct relay_identity *id;
    int rc = relay_identities_add(set, RELAY_IDENTITY_DEFAULT, &id, diag);
    return rc < 0 ? rc : relay_identity_password(set, id, take_password, diag);
}

int relay_access_load(struct relay_login **out, const struct relay_access_conf *conf,
                      struct nk_secret *take_password, struct nk_diag *diag)
{
    struct relay_stretch_params params;
    if (!conf->relay_key && conf->params) {
        params = *conf->params;
    } else {
        make_params(&params, conf->relay_key);
    }
    struct relay_identities *set = relay_identities_new(&params);
    struct relay_acl *acl = relay_acl_new();
    int rc = set && acl ? 0 : nk_fail_sys(diag, -ENOMEM, "relay");
    rc = rc < 0 ? rc : add_default(set, take_password, diag);
    rc = rc < 0 ? rc : load_identities(set, conf, diag);
    rc = rc < 0 ? rc : load_acl(acl, set, conf->ini, diag);
    if (rc == 0 && (*out = relay_login_make(set, acl)) == NULL) {
        rc = nk_fail_sys(diag, -ENOMEM, "relay");
    }
    relay_identities_unref(set);
    relay_acl_unref(acl);
    return rc;
}

int relay_access_check(const struct relay_access_conf *conf, struct nk_diag *diag)
{
    uint8_t random[RELAY_LOGIN_NONCE];
    struct relay_access_conf quiet = *conf;
    struct nk_secret password = {0};
    struct relay_login *login = NULL;
    nk_random(random, sizeof(random));
    quiet.log = NULL;
    int rc = nk_secret_set(&password, random, sizeof(random));
    rc = rc < 0 ? nk_fail_sys(diag, rc, "relay")
                : relay_access_load(&login, &quiet, &password, diag);
    relay_login_unref(login);
    nk_secret_clear(&password);
    return rc;
}
