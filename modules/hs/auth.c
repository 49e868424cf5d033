/* SPDX-License-Identifier: MIT */
/* The directories of a service's clients: finding and opening them. */
#include "hs/auth.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "hs/slug.h"

/* What shows that a directory is what it is taken for: a typing error makes no new place. */
static const char *const ctor_signs[] = {"hs_ed25519_secret_key", "hs_ed25519_public_key",
                                         "hostname", HS_AUTH_DIR, NULL};
static const char *const arti_signs[] = {"keystore",   "hss",       "state",
                                         "state.lock", HS_AUTH_DIR, NULL};

static const struct hs_auth closed = {.base.fd = -1, .on.fd = -1, .off.fd = -1};

void hs_auth_close(struct hs_auth *a)
{
    hs_place_close(&a->on);
    hs_place_close(&a->off);
    hs_place_close(&a->base);
}

static bool has_any(const struct hs_place *p, const char *const *names)
{
    while (*names && !hs_place_has(p, *names)) {
        names++;
    }
    return *names != NULL;
}

/* One of the two directories; nothing to open is no failure. */
static int open_part(struct hs_auth *a, struct hs_place *out, const char *name, unsigned flags,
                     struct nk_diag *diag)
{
    int rc = hs_place_sub(out, &a->base, name, flags, diag);
    return rc == -ENOENT && !(flags & HS_PLACE_CREATE) ? 0 : rc;
}

static int open_parts(struct hs_auth *a, enum hs_auth_intent intent, struct nk_diag *diag)
{
    unsigned make = intent == HS_AUTH_CHANGE ? HS_PLACE_CREATE : 0;
    int rc = open_part(a, &a->on, a->on_name, make, diag);
    rc = rc < 0 ? rc : open_part(a, &a->off, a->off_name, make, diag);
    if (rc < 0) {
        hs_auth_close(a);
    }
    return rc;
}

/* Below the base; service is NULL or arti's. */
static void name_parts(struct hs_auth *a, const char *service)
{
    char head[HS_SLUG_MAX + 8] = "";
    if (service) {
        snprintf(head, sizeof(head), "hss/%s/", service);
    }
    snprintf(a->on_name, sizeof(a->on_name), "%s%s", head, HS_AUTH_DIR);
    snprintf(a->off_name, sizeof(a->off_name), "%s%s", head, HS_AUTH_DISABLED_DIR);
}

static int open_base(struct hs_auth *a, enum hs_auth_kind kind, const char *dir,
                     enum hs_auth_intent intent, struct nk_diag *diag)
{
    *a = closed;
    a->kind = kind;
    return hs_place_open(&a->base, dir, intent == HS_AUTH_READ ? 0 : HS_PLACE_LOCK, diag);
}

static int refuse(struct hs_auth *a, int rc)
{
    hs_auth_close(a);
    return rc;
}

int hs_auth_open_ctor(struct hs_auth *a, const char *dir, enum hs_auth_intent intent,
                      struct nk_diag *diag)
{
    int rc = open_base(a, HS_AUTH_CTOR, dir, intent, diag);
    if (rc < 0) {
        return rc;
    }
    if (!has_any(&a->base, ctor_signs)) {
        nk_fail(diag, NK_EUSAGE, "%s is no directory of an onion service: it has no key", dir);
        nk_hint(diag, "'netkit hs new --dir %s' makes one; HiddenServiceDir of torrc names others",
                dir);
        return refuse(a, NK_EUSAGE);
    }
    name_parts(a, NULL);
    return open_parts(a, intent, diag);
}

/* arti has made something for a service once it ran; a key may have been put there before. */
static int check_service(const struct hs_auth *a, const char *service, struct nk_diag *diag)
{
    char state[HS_SLUG_MAX + 32], keys[HS_SLUG_MAX + 32];
    int rc = hs_slug_check("service", service, diag);
    if (rc < 0) {
        return rc;
    }
    snprintf(state, sizeof(state), "hss/%s", service);
    snprintf(keys, sizeof(keys), "keystore/hss/%s", service);
    if (hs_place_has(&a->base, state) || hs_place_has(&a->base, keys)) {
        return 0;
    }
    nk_fail(diag, NK_EUSAGE, "arti's state directory %s has no service '%s'", a->base.path,
            service);
    nk_hint(diag, "services are the names in its folders hss and keystore/hss");
    return NK_EUSAGE;
}

int hs_auth_open_arti(struct hs_auth *a, const char *state, const char *service,
                      enum hs_auth_intent intent, struct nk_diag *diag)
{
    int rc = open_base(a, HS_AUTH_ARTI, state, intent, diag);
    if (rc < 0) {
        return rc;
    }
    if (!has_any(&a->base, arti_signs)) {
        rc = nk_fail(diag, NK_EUSAGE, "%s is no state directory of arti", state);
        nk_hint(diag, "its storage.state_dir is; it has a folder keystore");
        return refuse(a, rc);
    }
    if (service && (rc = check_service(a, service, diag)) < 0) {
        return refuse(a, rc);
    }
    name_parts(a, service);
    return open_parts(a, intent, diag);
}

int hs_auth_open_any(struct hs_auth *a, enum hs_auth_kind kind, const char *dir,
                     const char *service, unsigned flags, struct nk_diag *diag)
{
    *a = closed;
    a->kind = kind;
    int rc = service ? hs_slug_check("service", service, diag) : 0;
    rc = rc < 0 ? rc : hs_place_open(&a->base, dir, flags, diag);
    if (rc < 0) {
        return rc;
    }
    name_parts(a, service);
    return open_parts(a, HS_AUTH_READ, diag);
}

int hs_auth_open_key_dir(struct hs_auth *a, const char *dir, enum hs_auth_intent intent,
                         struct nk_diag *diag)
{
    char parent[NK_PATH_MAX], name[NK_PATH_MAX];
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/') {
        n--;
    }
    size_t base = n;
    while (base > 0 && dir[base - 1] != '/') {
        base--;
    }
    *a = closed;
    if (n >= sizeof(name) || base == n) {
        return nk_fail(diag, NK_EUSAGE, "'%.64s' cannot be a directory of keys", dir);
    }
    snprintf(name, sizeof(name), "%.*s", (int)(n - base), dir + base);
    snprintf(parent, sizeof(parent), "%.*s", base ? (int)base : 1, base ? dir : ".");
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        return nk_fail(diag, NK_EUSAGE, "'%s': give the directory by its name", dir);
    }
    int rc = open_base(a, HS_AUTH_ARTI, parent, intent, diag);
    if (rc < 0) {
        return rc;
    }
    if (!hs_place_has(&a->base, name)) {
        return refuse(a, nk_fail_sys(diag, -ENOENT, "cannot open the directory %s", dir));
    }
    bool standard = strcmp(name, HS_AUTH_DIR) == 0;
    memcpy(a->on_name, name, strlen(name) + 1);
    int len = snprintf(a->off_name, sizeof(a->off_name), "%s%s",
                       standard ? HS_AUTH_DISABLED_DIR : name, standard ? "" : "-disabled");
    if (len < 0 || (size_t)len >= sizeof(a->off_name)) {
        return refuse(a, nk_fail(diag, NK_ETOOBIG, "the path %.64s.. is too long", dir));
    }
    return open_parts(a, intent, diag);
}
