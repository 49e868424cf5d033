/* SPDX-License-Identifier: MIT */
#include "hs/outputs.h"

#include <stdio.h>
#include <string.h>

#include "base/onion.h"
#include "hs/client_dir.h"
#include "hs/ctor_dir.h"
#include "hs/key_cli.h"
#include "hs/keystore.h"
#include "hs/where.h"

#define FORM_NAME(constant, name, holds, extension, summary) name,
const char *const hs_to_names[] = {HS_FORMAT_LIST(FORM_NAME) "ctor-dir", "client-dir", "keystore",
                                   NULL};
#undef FORM_NAME

/* One call. */
struct writing {
    struct nk_cmd_ctx *ctx;
    const struct hs_output *o;
    hs_written_fn *written;
    void *arg;
};

static int too_many(const struct writing *w, size_t n)
{
    nk_fail(&w->ctx->diag, NK_EUSAGE, "%zu keys do not fit into one '%s'", n,
            hs_to_names[w->o->to]);
    nk_hint(&w->ctx->diag, "--address chooses one; ctor-dir, client-dir, keystore, yaml take more");
    return NK_EUSAGE;
}

/* Does the key have what a form holds? The bytes are made and dropped. */
static int check_form(const struct writing *w, const struct hs_item *item, enum hs_format f)
{
    struct nk_buf b;
    nk_buf_init_secret(&b, HS_FORMAT_MAX);
    int rc = hs_format_write(item, f, &b, &w->ctx->diag);
    nk_buf_clear(&b);
    return rc;
}

/* --- files ------------------------------------------------------------------------------------ */

static int write_file(const struct writing *w, const struct hs_items *items)
{
    enum hs_format f = (enum hs_format)w->o->to;
    bool several = f == HS_YAML || f == HS_YAML_RAW;
    bool secret = (hs_format_info(f)->holds & HS_HOLDS_SECRET) != 0;
    struct nk_buf b;
    int rc = 0;
    if (items->n > 1 && !several) {
        return too_many(w, items->n);
    }
    nk_buf_init_secret(&b, HS_FORMAT_MAX * items->n);
    for (size_t i = 0; rc == 0 && i < items->n; i++) {
        rc = hs_format_write(&items->v[i].item, f, &b, &w->ctx->diag);
        if (rc < 0) {
            nk_fail_context(&w->ctx->diag, "%s", hs_found_name(&items->v[i]));
        }
    }
    rc = rc < 0 ? rc : hs_cli_write(w->ctx, w->o->path, secret, &b);
    nk_buf_clear(&b);
    for (size_t i = 0; rc == 0 && i < items->n; i++) {
        w->written(w->arg, &items->v[i], w->o->path);
    }
    return rc;
}

/* --- directories ------------------------------------------------------------------------------ */

/* The directory of an identity: the one that was named, or of several one below it each. */
static int service_dir(const struct writing *w, const struct hs_items *items, size_t i,
                       char out[NK_PATH_MAX])
{
    char address[NK_ONION_SIZE];
    int n = snprintf(out, NK_PATH_MAX, "%s", w->o->path);
    if (items->n > 1) {
        nk_onion_format(address, items->v[i].item.identity.pub);
        n = nk_path_join(out, NK_PATH_MAX, w->o->path, address) < 0 ? NK_PATH_MAX : 0;
    }
    return n < NK_PATH_MAX
               ? 0
               : nk_fail(&w->ctx->diag, NK_ETOOBIG, "the path %.64s.. is too long", w->o->path);
}

static int exists(const struct writing *w, const char *path)
{
    nk_fail(&w->ctx->diag, -EEXIST, "%s has a key already", path);
    nk_hint(&w->ctx->diag, "netkit hs show %s shows it", path);
    return -EEXIST;
}

/* What hs_ctor_dir_write would refuse, before anything is written. */
static int check_service_dir(const struct writing *w, const struct hs_items *items, size_t i)
{
    char dir[NK_PATH_MAX];
    struct hs_identity k;
    int rc = check_form(w, &items->v[i].item, HS_CTOR_SECRET);
    rc = rc < 0 ? rc : service_dir(w, items, i, dir);
    if (rc < 0) {
        return rc;
    }
    rc = hs_ctor_dir_read(dir, &k, &w->ctx->diag);
    if (rc == -ENOENT) {
        return 0;
    }
    if (rc < 0) {
        return rc;
    }
    bool other = k.has_secret || !hs_identity_same(&k, &items->v[i].item.identity);
    hs_identity_wipe(&k);
    return other ? exists(w, dir) : 0; /* the public half of this key: a write to be completed */
}

static int write_service_dirs(const struct writing *w, const struct hs_items *items)
{
    char dir[NK_PATH_MAX];
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < items->n; i++) {
        rc = check_service_dir(w, items, i);
    }
    if (rc == 0 && items->n > 1 && !w->ctx->globals->dry_run) {
        rc = nk_mkdirs(w->o->path, &w->ctx->diag);
    }
    for (size_t i = 0; rc == 0 && i < items->n; i++) {
        rc = service_dir(w, items, i, dir);
        if (rc == 0 && !w->ctx->globals->dry_run) {
            rc = hs_ctor_dir_write(dir, &items->v[i].item.identity, &w->ctx->diag);
        }
        if (rc == 0) {
            w->written(w->arg, &items->v[i], dir);
        }
    }
    return rc;
}

/* A client's key in either kind of store. */
static int write_client(const struct writing *w, const struct hs_store *s, const struct hs_found *k,
                        bool check)
{
    char name[NK_PATH_MAX], path[NK_PATH_MAX];
    int rc = check_form(w, &k->item, HS_AUTH_PRIVATE); /* that is: the address and the secret */
    if (rc == 0 && check) {
        rc = hs_store_find(s, k->item.address, NULL, name, &w->ctx->diag);
        return rc == -ENOENT ? 0 : rc < 0 ? rc : exists(w, s->place.path);
    }
    if (rc == 0) {
        rc = hs_store_add(s, k->item.address, &k->item.client, name, &w->ctx->diag);
    }
    if (rc == 0 && nk_path_join(path, sizeof(path), s->place.path, name) == 0) {
        w->written(w->arg, k, path);
    }
    return rc;
}

/* With --dry-run a store that is not there yet is like an empty one. */
static int write_clients(const struct writing *w, enum hs_store_kind kind, const char *dir,
                         const struct hs_items *items)
{
    struct hs_store s;
    bool dry = w->ctx->globals->dry_run;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < items->n; i++) {
        rc = check_form(w, &items->v[i].item, HS_AUTH_PRIVATE);
    }
    if (rc < 0) {
        return rc;
    }
    rc = hs_store_open(&s, kind, dir, dry ? HS_STORE_READ : HS_STORE_CREATE, &w->ctx->diag);
    if (rc == 0 && s.in_use) {
        nk_warn(w->ctx->log, "hs", "%s: arti runs on it, and will not see the change at once", dir);
    }
    for (size_t i = 0; rc == 0 && i < items->n; i++) {
        rc = write_client(w, &s, &items->v[i], true);
    }
    for (size_t i = 0; rc == 0 && !dry && i < items->n; i++) {
        rc = write_client(w, &s, &items->v[i], false);
    }
    hs_store_close(&s);
    return rc == -ENOENT && dry ? 0 : rc;
}

static int write_identity(const struct writing *w, const char *dir, const struct hs_items *items)
{
    char name[NK_PATH_MAX], path[NK_PATH_MAX];
    struct nk_diag *diag = &w->ctx->diag;
    struct hs_identity k;
    if (items->n > 1) {
        return too_many(w, items->n);
    }
    if (!w->o->service) {
        nk_fail(diag, NK_EUSAGE, "an identity in arti's keystore has the service's name");
        nk_hint(diag, "--nickname NAME gives it");
        return NK_EUSAGE;
    }
    int rc = hs_slug_check("nickname", w->o->service, diag);
    rc = rc < 0 ? rc : check_form(w, &items->v[0].item, HS_ARTI_PRIVATE);
    rc = rc < 0 ? rc : hs_artipath_identity(name, sizeof(name), w->o->service);
    if (rc < 0) {
        return rc;
    }
    if (!w->ctx->globals->dry_run) {
        rc = hs_keystore_identity_write(dir, w->o->service, &items->v[0].item.identity, diag);
    } else if (hs_keystore_identity_read(dir, w->o->service, &k, NULL) == 0) {
        hs_identity_wipe(&k);
        rc = exists(w, dir);
    }
    if (rc == 0 && nk_path_join(path, sizeof(path), dir, name) == 0) {
        w->written(w->arg, &items->v[0], path);
    }
    return rc;
}

static int write_keystore(const struct writing *w, const struct hs_items *items)
{
    struct hs_where found;
    int rc =
        hs_where_find(&found, w->o->path, w->ctx->ini, w->ctx->globals->state_dir, &w->ctx->diag);
    bool client = items->v[0].item.kind == HS_CLIENT;
    if (rc < 0) {
        return rc;
    }
    if (client) {
        return write_clients(w, found.kind, found.dir, items);
    }
    if (found.kind == HS_STORE_CTOR) {
        return nk_fail(&w->ctx->diag, NK_EUSAGE,
                       "%s is tor's: an identity goes to its HiddenServiceDir (ctor-dir)",
                       w->o->path);
    }
    return write_identity(w, found.dir, items);
}

static int check_kinds(const struct writing *w, const struct hs_items *items)
{
    for (size_t i = 1; i < items->n; i++) {
        if (items->v[i].item.kind != items->v[0].item.kind) {
            nk_fail(&w->ctx->diag, NK_EUSAGE, "there are services' identities and clients' keys");
            nk_hint(&w->ctx->diag, "--kind identity or --kind client chooses");
            return NK_EUSAGE;
        }
    }
    return 0;
}

int hs_outputs_write(struct nk_cmd_ctx *ctx, const struct hs_output *o,
                     const struct hs_items *items, hs_written_fn *written, void *arg)
{
    const struct writing w = {ctx, o, written, arg};
    int rc = check_kinds(&w, items);
    if (rc < 0) {
        return rc;
    }
    switch (o->to) {
    case HS_TO_CTOR_DIR:
        return write_service_dirs(&w, items);
    case HS_TO_CLIENT_DIR:
        return write_clients(&w, HS_STORE_CTOR, o->path, items);
    case HS_TO_KEYSTORE:
        return write_keystore(&w, items);
    default:
        return write_file(&w, items);
    }
}
