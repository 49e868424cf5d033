/* SPDX-License-Identifier: MIT */
#include "hs/preflight.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "hs/check.h"
#include "hs/client_dir.h"

/* --- what it is ------------------------------------------------------------------------------- */

/* Nothing in it tells what it is; as a directory of keys there is nothing to say against it, and a
 * service's gets its files at tor's first start. */
static bool is_empty(const char *path)
{
    struct hs_place p;
    struct hs_names names = {0};
    bool empty = hs_place_open(&p, path, 0, NULL) == 0 && hs_place_list(&p, &names, NULL) == 0 &&
                 names.n == 0;
    hs_names_clear(&names);
    hs_place_close(&p);
    return empty;
}

int hs_target_init(struct hs_target *t, const char *path, struct nk_diag *diag)
{
    struct hs_findings ignored = {0};
    enum hs_place_kind kind = HS_PLACE_DETECT;
    struct stat st;
    *t = (struct hs_target){.path = path};
    t->auth.base.fd = t->auth.on.fd = t->auth.off.fd = -1;
    if (stat(path, &st) < 0) {
        return nk_fail_sys(diag, -errno, "cannot open the directory %s", path);
    }
    const struct hs_check_conf conf = {.kind = HS_PLACE_DETECT, .now = (int64_t)time(NULL)};
    int rc = hs_check(path, &conf, &ignored, &kind, diag);
    hs_findings_clear(&ignored);
    if (rc == NK_EUSAGE && is_empty(path)) {
        kind = HS_PLACE_CLIENTS;
    } else if (rc < 0) {
        return rc;
    }
    if (kind != HS_PLACE_SERVICE && kind != HS_PLACE_CLIENTS) {
        nk_fail(diag, NK_EUSAGE, "%s is %s: tor does not read it at a reload", path,
                hs_place_kind_summary(kind));
        nk_hint(diag, "name a HiddenServiceDir or the ClientOnionAuthDir");
        return NK_EUSAGE;
    }
    t->service = kind == HS_PLACE_SERVICE;
    t->uid = st.st_uid;
    return 0;
}

int hs_target_open(struct hs_target *t, bool reading, struct nk_diag *diag)
{
    return t->service
               ? hs_auth_open_ctor(&t->auth, t->path, reading ? HS_AUTH_READ : HS_AUTH_HOLD, diag)
               : 0;
}

void hs_target_close(struct hs_target *t)
{
    hs_auth_close(&t->auth);
}

/* --- services --------------------------------------------------------------------------------- */

/* Is it about one file of authorized_clients? Those are judged by what tor does with all of them:
 * one that is broken shuts out one client, and must not keep others from being shut out. */
static bool is_client_file(const struct hs_target *t, const char *path)
{
    size_t n = strlen(t->path), dir = sizeof(HS_AUTH_DIR) - 1;
    while (n > 1 && t->path[n - 1] == '/') {
        n--;
    }
    return strncmp(path, t->path, n) == 0 && path[n] == '/' &&
           strncmp(path + n + 1, HS_AUTH_DIR, dir) == 0 && path[n + 1 + dir] == '/';
}

static void copy(struct hs_findings *out, const struct hs_finding *f)
{
    hs_find(out, f->severity, f->path, f->field, "%s", f->reason);
    if (f->remedy) {
        hs_find_remedy(out, "%s", f->remedy);
    }
}

static int check_keys(const struct hs_target *t, struct hs_findings *out, struct nk_diag *diag)
{
    const struct hs_check_conf conf = {.kind = HS_PLACE_SERVICE, .now = (int64_t)time(NULL)};
    struct hs_findings all = {0};
    int rc = hs_check(t->path, &conf, &all, NULL, diag);
    rc = rc < 0 ? rc : hs_findings_end(&all, diag);
    for (size_t i = 0; rc == 0 && i < all.n; i++) {
        if (!is_client_file(t, all.v[i].path)) {
            copy(out, &all.v[i]);
        }
    }
    hs_findings_clear(&all);
    return rc;
}

static int read_clients(struct hs_auth_list *l, const struct hs_target *t,
                        struct hs_findings *findings, struct nk_diag *diag)
{
    hs_auth_list_clear(l);
    hs_findings_clear(findings);
    return hs_auth_list_read(l, &t->auth, findings, diag);
}

static int look_at_service(struct hs_target *t, enum hs_empty empty, struct hs_sight *sight,
                           struct hs_findings *findings, struct nk_diag *diag)
{
    struct hs_auth_list l = {0};
    struct hs_findings own = {0};
    int rc = read_clients(&l, t, &own, diag);
    bool closing = rc == 0 && !l.restricted && empty == HS_EMPTY_LOCK;
    if (closing && (rc = hs_auth_lock(&t->auth, diag)) == 0) {
        rc = read_clients(&l, t, &own, diag);
    }
    if (rc == 0 && (rc = hs_auth_digest(sight->digest, &l)) < 0) {
        nk_fail(diag, rc, "out of memory");
    }
    rc = rc < 0 ? rc : hs_findings_end(&own, diag);
    if (rc == 0) {
        sight->restricted = l.restricted || closing;
        sight->clients = l.counted;
        if (!closing && (empty != HS_EMPTY_PUBLIC || l.tried)) {
            hs_auth_judge_open(&l, &t->auth, &own);
        }
        for (size_t i = 0; i < own.n; i++) {
            copy(findings, &own.v[i]);
        }
        rc = check_keys(t, findings, diag);
    }
    hs_auth_list_clear(&l);
    hs_findings_clear(&own);
    return rc;
}

/* --- keys of a client ------------------------------------------------------------------------- */

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, 2 * HS_PUBLIC_KEY);
}

/* Services and public keys, in an order that does not depend on the names of files. */
static int digest_entries(uint8_t out[HS_AUTH_DIGEST], const struct hs_client_entries *l,
                          size_t *count)
{
    uint8_t(*rows)[2 * HS_PUBLIC_KEY] = calloc(l->n + 1, sizeof(*rows));
    size_t n = 0;
    if (!rows) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < l->n; i++) {
        if (!l->v[i].problem) {
            memcpy(rows[n], l->v[i].address, HS_PUBLIC_KEY);
            memcpy(rows[n++] + HS_PUBLIC_KEY, l->v[i].key.pub, HS_PUBLIC_KEY);
        }
    }
    qsort(rows, n, sizeof(*rows), by_bytes);
    crypto_generichash(out, HS_AUTH_DIGEST, rows[0], n * sizeof(*rows), NULL, 0);
    free(rows);
    *count = n;
    return 0;
}

static int look_at_client(const struct hs_target *t, struct hs_sight *sight,
                          struct hs_findings *findings, struct nk_diag *diag)
{
    const struct hs_check_conf conf = {.kind = HS_PLACE_CLIENTS, .now = (int64_t)time(NULL)};
    struct hs_client_entries l = {0};
    struct hs_place p;
    int rc = hs_check(t->path, &conf, findings, NULL, diag);
    rc = rc < 0 ? rc : hs_place_open(&p, t->path, 0, diag);
    if (rc < 0) {
        return rc;
    }
    rc = hs_client_dir_list(&p, &l, diag);
    hs_place_close(&p);
    if (rc == 0 && (rc = digest_entries(sight->digest, &l, &sight->clients)) < 0) {
        nk_fail(diag, rc, "out of memory");
    }
    hs_client_entries_clear(&l);
    return rc;
}

int hs_preflight(struct hs_target *t, enum hs_empty empty, struct hs_sight *sight,
                 struct hs_findings *findings, struct nk_diag *diag)
{
    struct hs_sight seen = {0};
    int rc = t->service ? look_at_service(t, empty, &seen, findings, diag)
                        : look_at_client(t, &seen, findings, diag);
    rc = rc < 0 ? rc : hs_findings_end(findings, diag);
    if (rc == 0) {
        *sight = seen;
    }
    return rc;
}
