/* SPDX-License-Identifier: MIT */
#include "hs/check.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "hs/check_impl.h"
#include "hs/client_dir.h"
#include "hs/ctor_dir.h"
#include "hs/format.h"
#include "hs/keystore.h"

const char *hs_place_kind_name(enum hs_place_kind kind)
{
#define HS_PLACE_NAME(constant, name, summary) name,
    static const char *const names[] = {HS_PLACES(HS_PLACE_NAME)};
#undef HS_PLACE_NAME
    return names[kind];
}

const char *hs_place_kind_summary(enum hs_place_kind kind)
{
#define HS_PLACE_SUMMARY(constant, name, summary) summary,
    static const char *const texts[] = {HS_PLACES(HS_PLACE_SUMMARY)};
#undef HS_PLACE_SUMMARY
    return texts[kind];
}

/* --- for all of them -------------------------------------------------------------------------- */

void hs_check_path(char out[NK_PATH_MAX], const struct hs_place *p, const char *name)
{
    if (nk_path_join(out, NK_PATH_MAX, p->path, name) < 0) {
        snprintf(out, NK_PATH_MAX, "%s", name);
    }
}

bool hs_check_read(struct hs_check *c, const struct hs_place *p, const char *name, struct nk_buf *b)
{
    char path[NK_PATH_MAX];
    struct nk_diag diag;
    nk_buf_init_secret(b, HS_PLACE_FILE_MAX + 1);
    int rc = hs_place_read(p, name, b, &diag);
    if (rc < 0) {
        hs_check_path(path, p, name);
        hs_find(c->l, HS_ERROR, path, NULL, "%s", diag.text);
    }
    return rc == 0;
}

bool hs_check_leftover(struct hs_check *c, const struct hs_place *p, const char *name)
{
    char path[NK_PATH_MAX];
    if (!hs_is_leftover(name)) {
        return false;
    }
    hs_check_path(path, p, name);
    hs_find(c->l, HS_NOTE, path, NULL, "was left by a write that was interrupted");
    hs_find_remedy(c->l, "remove it");
    return true;
}

void hs_check_oddities(struct hs_check *c, const char *path, const struct hs_auth_oddities *odd)
{
    if (odd->spaces) {
        hs_find(c->l, HS_WARNING, path, "fields", "white space around a field: arti refuses it");
    }
    if (odd->trailing_bits) {
        hs_find(c->l, HS_WARNING, path, "key",
                "bits behind the key that are not zero: tor drops them, arti refuses it");
    }
    if (odd->upper_address) {
        hs_find(c->l, HS_WARNING, path, "address",
                "upper case: ONION_CLIENT_AUTH_VIEW of tor finds it under this spelling only");
    }
    if (odd->suffix) {
        hs_find(c->l, HS_WARNING, path, "address",
                "'.onion' does not belong there: tor cuts it off without a word");
    }
}

/* --- one file --------------------------------------------------------------------------------- */

static bool ends_with(const char *name, const char *tail)
{
    size_t n = strlen(name), t = strlen(tail);
    return n > t && strcmp(name + n - t, tail) == 0;
}

static void check_line(struct hs_check *c, const char *path, bool private)
{
    struct nk_buf b;
    uint8_t pub[HS_PUBLIC_KEY], address[HS_PUBLIC_KEY], secret[HS_CLIENT_SECRET];
    struct hs_auth_oddities odd = {0};
    nk_buf_init_secret(&b, HS_PLACE_FILE_MAX + 1);
    int rc = nk_file_read(path, 0, &b, NULL);
    if (rc == 0 && private) {
        rc =
            hs_auth_private_line_parse(nk_buf_ptr(&b), nk_buf_len(&b), address, secret, &odd, NULL);
        nk_wipe(secret, sizeof(secret));
    } else if (rc == 0) {
        rc = hs_auth_line_parse(nk_buf_ptr(&b), nk_buf_len(&b), pub, &odd, NULL);
    }
    if (rc == 0) {
        hs_check_oddities(c, path, &odd);
    }
    nk_buf_clear(&b);
}

static void check_file(struct hs_check *c, const char *path)
{
    struct hs_item item;
    struct nk_diag diag;
    int rc = hs_format_load(path, NULL, &item, &diag);
    if (rc < 0) {
        hs_find_diag(c->l, HS_ERROR, path, rc == NK_EBADMODE ? "mode" : NULL, &diag);
        return;
    }
    hs_find(c->l, HS_NOTE, path, NULL, "is %s", hs_format_info(item.format)->summary);
    if (item.format == HS_AUTH || item.format == HS_AUTH_PRIVATE) {
        check_line(c, path, item.format == HS_AUTH_PRIVATE);
    }
    hs_item_wipe(&item);
}

/* --- what is it? ------------------------------------------------------------------------------ */

static bool has_suffix(const struct hs_names *l, const char *tail)
{
    for (size_t i = 0; i < l->n; i++) {
        if (ends_with(l->v[i], tail)) {
            return true;
        }
    }
    return false;
}

static int detect(const struct hs_place *p, enum hs_place_kind *out, struct nk_diag *diag)
{
    struct hs_names names;
    const char *last = strrchr(p->path, '/');
    int rc = hs_place_list(p, &names, diag);
    if (rc < 0) {
        return rc;
    }
    if (hs_place_has(p, HS_CTOR_SECRET_FILE) || hs_place_has(p, HS_CTOR_PUBLIC_FILE) ||
        hs_place_has(p, HS_CTOR_HOSTNAME_FILE) || hs_place_has(p, HS_CTOR_CLIENTS_DIR)) {
        *out = HS_PLACE_SERVICE;
    } else if (hs_place_has(p, "hss") || hs_place_has(p, "client") ||
               hs_place_has(p, HS_KEYSTORE_DIR)) {
        *out = HS_PLACE_KEYSTORE;
    } else if (has_suffix(&names, HS_CLIENT_DIR_SUFFIX)) {
        *out = HS_PLACE_CLIENTS;
    } else if (has_suffix(&names, ".auth") ||
               strcmp(last ? last + 1 : p->path, HS_CTOR_CLIENTS_DIR) == 0) {
        *out = HS_PLACE_AUTHORIZED;
    } else {
        rc = nk_fail(diag, NK_EUSAGE, "%s does not show what it is: there are no keys in it",
                     p->path);
        nk_hint(diag, "--as service, authorized, clients or keystore says it");
    }
    hs_names_clear(&names);
    return rc;
}

/* tor does not know of the group that arti lets count as the user (measured: 0750 of root and group
 * root). */
static void judge_place(struct hs_check *c, const struct hs_place *p, enum hs_place_kind kind)
{
    bool tors = kind == HS_PLACE_SERVICE || kind == HS_PLACE_CLIENTS;
    size_t before = c->l->n;
    hs_trust_place(&c->trust, p, c->l);
    if (tors && !c->trust.off && c->l->n == before && (p->mode & (S_IRWXG | S_IRWXO)) != 0) {
        hs_find(c->l, HS_WARNING, p->path, "mode", "%04o: tor does not start with it%s",
                (unsigned)p->mode,
                kind == HS_PLACE_SERVICE ? ", unless HiddenServiceDirGroupReadable is set" : "");
        hs_find_remedy(c->l, "chmod go-rwx %s", p->path);
    }
}

static int check_dir(struct hs_check *c, struct hs_place *p, enum hs_place_kind kind, bool fix,
                     struct nk_diag *diag)
{
    struct hs_place sub = {.fd = -1};
    int rc = 0;
    if (kind == HS_PLACE_KEYSTORE && hs_place_has(p, HS_KEYSTORE_DIR)) {
        rc = hs_place_sub(&sub, p, HS_KEYSTORE_DIR, 0, diag);
        if (rc < 0) {
            return rc;
        }
        p = &sub;
    }
    hs_trust_init(&c->trust, p);
    c->trust.fix = fix;
    hs_trust_above(&c->trust, p, c->l);
    judge_place(c, p, kind);
    switch (kind) {
    case HS_PLACE_SERVICE:
        rc = hs_check_service(c, p, diag);
        break;
    case HS_PLACE_AUTHORIZED:
        rc = hs_check_authorized(c, p, diag);
        break;
    case HS_PLACE_CLIENTS:
        rc = hs_check_clients(c, p, diag);
        break;
    case HS_PLACE_KEYSTORE:
        rc = hs_check_keystore(c, p, diag);
        break;
    case HS_PLACE_FILE:
    case HS_PLACE_DETECT:
        break;
    }
    hs_place_close(&sub);
    return rc;
}

int hs_check(const char *path, const struct hs_check_conf *conf, struct hs_findings *l,
             enum hs_place_kind *kind, struct nk_diag *diag)
{
    struct hs_check c = {.l = l, .now = conf->now};
    struct hs_place p = {.fd = -1};
    enum hs_place_kind k = conf->kind;
    struct stat st;
    if (stat(path, &st) < 0) {
        return nk_fail_sys(diag, -errno, "cannot check %s", path);
    }
    bool dir = S_ISDIR(st.st_mode);
    if (k == HS_PLACE_DETECT && !dir) {
        k = HS_PLACE_FILE;
    }
    if ((k == HS_PLACE_FILE) == dir) {
        return nk_fail(diag, NK_EUSAGE, "%s is %s", path, dir ? "a directory" : "no directory");
    }
    int rc = dir ? hs_place_open(&p, path, 0, diag) : 0;
    if (rc == 0 && k == HS_PLACE_DETECT) {
        rc = detect(&p, &k, diag);
    }
    if (rc == 0 && dir) {
        rc = check_dir(&c, &p, k, conf->fix, diag);
    } else if (rc == 0) {
        check_file(&c, path);
    }
    hs_place_close(&p);
    if (rc == 0 && kind) {
        *kind = k;
    }
    return rc;
}
