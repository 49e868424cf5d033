/* SPDX-License-Identifier: MIT */
/* netkit hsc import: client keys out of other programs' files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cli.h"
#include "hs/hsc.h"
#include "hs/items.h"
#include "hs/key_cli.h"
#include "hs/where.h"

static const struct nk_opt opts[] = {
    HSC_HSID,
    HSC_KEYSTORE,
    {.name = "overwrite",
     .type = NK_OPT_FLAG,
     HSC_ROW(overwrite),
     .help = "Replace keys that the keystore has for the same services"},
    {.name = "keep-old",
     .type = NK_OPT_FLAG,
     HSC_ROW(keep_old),
     .help = "Keep replaced keys as .auth_private files beside the keystore"},
    NK_OPT_END};

/* What becomes of a key in the end. */
struct target {
    char existing[NK_PATH_MAX]; /* its file in the keystore; "" without one */
    bool same;                  /* it is there already */
};

struct import {
    struct nk_cmd_ctx *ctx;
    const struct hsc_conf *conf;
    uint8_t address[HS_PUBLIC_KEY]; /* --hsid */
    bool has_address;
    struct hs_store store;
    bool open;
    struct hs_items keys;
    struct target *to; /* one for each */
};

/* --- reading: nothing is changed before everything is known to be good ------------------------ */

/* For which service it is. */
static int settle_address(const struct import *m, struct hs_found *k)
{
    struct nk_diag *diag = &m->ctx->diag;
    struct hs_item *item = &k->item;
    if (item->kind != HS_CLIENT || !hs_item_has_secret(item)) {
        return nk_fail(diag, NK_EFORMAT, "%s: %s", hs_found_name(k),
                       item->kind != HS_CLIENT ? "is no client's key"
                                               : "is a public key: the private one is needed");
    }
    if (!item->has_address && !m->has_address) {
        nk_fail(diag, NK_EUSAGE, "%s does not say for which service it is", hs_found_name(k));
        nk_hint(diag, "--hsid ADDRESS says it");
        return NK_EUSAGE;
    }
    if (!item->has_address) {
        memcpy(item->address, m->address, HS_PUBLIC_KEY);
        item->has_address = true;
    } else if (m->has_address && memcmp(item->address, m->address, HS_PUBLIC_KEY) != 0) {
        return nk_fail(diag, NK_EFORMAT, "%s is for another service than --hsid says",
                       hs_found_name(k));
    }
    return 0;
}

/* One key for a service, whatever the number of files it is in. */
static int check_twins(const struct import *m)
{
    const struct hs_found *v = m->keys.v;
    for (size_t i = 0; i < m->keys.n; i++) {
        for (size_t k = i + 1; k < m->keys.n; k++) {
            if (memcmp(v[i].item.address, v[k].item.address, HS_PUBLIC_KEY) == 0) {
                return nk_fail(&m->ctx->diag, NK_EFORMAT, "%s and %s are for the same service",
                               hs_found_name(&v[i]), hs_found_name(&v[k]));
            }
        }
    }
    return 0;
}

static int compare_existing(const struct import *m, const struct hs_found *k, struct target *to)
{
    struct hs_client old;
    struct nk_diag *diag = &m->ctx->diag;
    int rc = hs_store_find(&m->store, k->item.address, NULL, to->existing, diag);
    if (rc < 0) {
        return rc == -ENOENT ? 0 : rc;
    }
    rc = hs_store_read(&m->store, to->existing, k->item.address, &old, diag);
    if (rc == 0) {
        to->same = hs_client_same(&old, &k->item.client);
        hs_client_wipe(&old);
    } else if (m->conf->overwrite && !m->conf->keep_old) {
        rc = 0; /* a broken one is replaced */
    }
    if (rc == 0 && !to->same && !m->conf->overwrite) {
        rc = nk_fail(diag, -EEXIST, "%s: there is another key for this service: %s/%s",
                     hs_found_name(k), m->store.place.path, to->existing);
        nk_hint(diag, "--overwrite replaces it, with --keep-old a copy stays");
    }
    return rc;
}

static int read_all(struct import *m)
{
    struct nk_cmd_ctx *ctx = m->ctx;
    struct hs_query q = {
        .hints = {.format = HS_DETECT, .kind = HS_CLIENT, .address = m->conf->hsid},
    };
    int rc = 0;
    if (m->conf->hsid) {
        rc = nk_onion_parse(m->address, m->conf->hsid, strlen(m->conf->hsid), &ctx->diag);
        m->has_address = rc == 0;
        rc = rc < 0 ? nk_fail_context(&ctx->diag, "--hsid") : 0;
    }
    for (int i = 0; rc == 0 && i < ctx->argc; i++) {
        q.path = ctx->argv[i];
        rc = hs_items_read(&m->keys, &q, &ctx->diag);
    }
    for (size_t i = 0; rc == 0 && i < m->keys.n; i++) {
        rc = settle_address(m, &m->keys.v[i]);
    }
    rc = rc < 0 ? rc : check_twins(m);
    if (rc < 0) {
        return rc;
    }
    m->to = calloc(m->keys.n + 1, sizeof(*m->to));
    return m->to ? 0 : nk_fail_sys(&ctx->diag, -ENOMEM, "import");
}

/* --- writing ---------------------------------------------------------------------------------- */

static int open_store(struct import *m)
{
    struct hs_where where;
    struct nk_cmd_ctx *ctx = m->ctx;
    bool dry = ctx->globals->dry_run;
    int rc =
        hs_where_find(&where, m->conf->keystore, ctx->ini, ctx->globals->state_dir, &ctx->diag);
    rc = rc < 0 ? rc
                : hs_store_open(&m->store, where.kind, where.dir,
                                dry ? HS_STORE_READ : HS_STORE_CREATE, &ctx->diag);
    m->open = rc == 0;
    return rc == -ENOENT && dry ? 0 : rc;
}

static int write_one(const struct import *m, const struct hs_item *item, struct target *to)
{
    struct nk_diag *diag = &m->ctx->diag;
    int rc = *to->existing
                 ? hs_store_replace(&m->store, to->existing, item->address, &item->client,
                                    m->conf->keep_old, NULL, diag)
                 : hs_store_add(&m->store, item->address, &item->client, to->existing, diag);
    if (rc == 0) {
        nk_audit(m->ctx->log, "hsc", NK_LOG_INFO, "key.imported", NULL, "%s/%s",
                 m->store.place.path, to->existing);
    }
    return rc;
}

static int write_all(struct import *m)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && m->open && i < m->keys.n; i++) {
        rc = compare_existing(m, &m->keys.v[i], &m->to[i]);
    }
    for (size_t i = 0; rc == 0 && i < m->keys.n && !m->ctx->globals->dry_run; i++) {
        rc = m->to[i].same ? 0 : write_one(m, &m->keys.v[i].item, &m->to[i]);
    }
    return rc;
}

static int report(const struct import *m)
{
    struct nk_buf out;
    struct nk_json j;
    char address[NK_ONION_SIZE], print[HS_FINGERPRINT_SIZE];
    nk_buf_init(&out, HS_JSON_MAX);
    nk_json_init(&j, &out, true);
    nk_json_array(&j);
    for (size_t i = 0; i < m->keys.n; i++) {
        const struct hs_found *k = &m->keys.v[i];
        const struct target *to = &m->to[i];
        nk_onion_format(address, k->item.address);
        hs_client_fingerprint(print, k->item.client.pub);
        if (!m->ctx->globals->json) {
            printf("%s  %s  %s\n", address, print, to->same ? "was there" : "imported");
            continue;
        }
        nk_json_object(&j);
        nk_json_kv_str(&j, "address", address);
        nk_json_kv_str(&j, "fingerprint", print);
        nk_json_kv_str(&j, "source", k->source);
        nk_json_kv_str(&j, "file", *to->existing ? to->existing : NULL);
        nk_json_kv_bool(&j, "new", !to->same);
        nk_json_close(&j);
    }
    nk_json_close(&j);
    if (m->ctx->globals->json) {
        return nk_cli_put_json(&j, &m->ctx->diag);
    }
    nk_buf_clear(&out);
    return 0;
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct import m = {.ctx = ctx, .conf = ctx->conf, .store = {.place.fd = -1}};
    int rc = read_all(&m);
    rc = rc < 0 ? rc : open_store(&m);
    if (rc == 0 && m.store.in_use) {
        nk_warn(ctx->log, "hsc", "an arti runs on %s", m.store.place.path);
    }
    rc = rc < 0 ? rc : write_all(&m);
    rc = rc < 0 ? rc : report(&m);
    hs_items_clear(&m.keys);
    free(m.to);
    hs_store_close(&m.store);
    return rc;
}

extern const struct nk_cmd nk_cmd_hsc_import;
const struct nk_cmd nk_cmd_hsc_import = {
    .synopsis = "FILE|DIR|-.. [--hsid ADDRESS] [--keystore ID|DIR] [--overwrite [--keep-old]]",
    .summary = "Put clients' private keys from other programs' files into a keystore",
    .opts = opts,
    .conf_size = sizeof(struct hsc_conf),
    .min_args = 1,
    .max_args = -1,
    .run = run,
};
