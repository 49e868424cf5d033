/* SPDX-License-Identifier: MIT */
/* netkit hsc import: client keys out of other programs' files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cli.h"
#include "hs/client_dir.h"
#include "hs/format.h"
#include "hs/hsc.h"
#include "hs/where.h"

enum { KEYS_MAX = 10000, JSON_MAX = 16 * 1024 * 1024 };

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

/* A key that is to be imported. */
struct key {
    struct hs_item item;
    char *source;
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
    struct key **v; /* each by itself: they hold secrets, which realloc would copy */
    size_t n;
};

/* --- reading: nothing is changed before everything is known to be good ------------------------ */

static int add(struct import *m, const char *path)
{
    struct nk_diag *diag = &m->ctx->diag;
    struct hs_hints hints = {.format = HS_DETECT, .kind = HS_CLIENT, .address = m->conf->hsid};
    struct key **v = m->n < KEYS_MAX ? realloc(m->v, (m->n + 1) * sizeof(struct key *)) : NULL;
    if (!v) {
        return nk_fail_sys(diag, m->n < KEYS_MAX ? -ENOMEM : NK_ETOOBIG, "import");
    }
    m->v = v;
    struct key *k = calloc(1, sizeof(*k));
    if (!k || !(k->source = strdup(path))) {
        free(k);
        return nk_fail_sys(diag, -ENOMEM, "import");
    }
    m->v[m->n++] = k;
    int rc = hs_format_load(path, &hints, &k->item, diag);
    if (rc < 0) {
        return rc;
    }
    if (k->item.kind != HS_CLIENT || !hs_item_has_secret(&k->item)) {
        return nk_fail(diag, NK_EFORMAT, "%s: %s", path,
                       k->item.kind != HS_CLIENT ? "is no client's key"
                                                 : "is a public key: the private one is needed");
    }
    if (!k->item.has_address && !m->has_address) {
        nk_fail(diag, NK_EUSAGE, "%s does not say for which service it is", path);
        nk_hint(diag, "--hsid ADDRESS says it");
        return NK_EUSAGE;
    }
    if (!k->item.has_address) {
        memcpy(k->item.address, m->address, HS_PUBLIC_KEY);
        k->item.has_address = true;
    } else if (m->has_address && memcmp(k->item.address, m->address, HS_PUBLIC_KEY) != 0) {
        return nk_fail(diag, NK_EFORMAT, "%s is for another service than --hsid says", path);
    }
    return 0;
}

static int add_dir(struct import *m, const char *path)
{
    struct nk_diag *diag = &m->ctx->diag;
    struct hs_place p;
    struct hs_names names = {0};
    char file[NK_PATH_MAX];
    size_t found = 0;
    int rc = hs_place_open(&p, path, 0, diag);
    rc = rc < 0 ? rc : hs_place_list(&p, &names, diag);
    for (size_t i = 0; rc == 0 && i < names.n; i++) {
        if (!hs_client_dir_is_key(names.v[i])) {
            continue;
        }
        found++;
        rc = nk_path_join(file, sizeof(file), path, names.v[i]) < 0
                 ? nk_fail(diag, NK_ETOOBIG, "the path %.64s.. is too long", path)
                 : add(m, file);
    }
    if (rc == 0 && found == 0) {
        rc = nk_fail(diag, -ENOENT, "%s has no " HS_CLIENT_DIR_SUFFIX " files", path);
    }
    hs_names_clear(&names);
    hs_place_close(&p);
    return rc;
}

/* One key for a service, whatever the number of files it is in. */
static int check_twins(const struct import *m)
{
    for (size_t i = 0; i < m->n; i++) {
        for (size_t k = i + 1; k < m->n; k++) {
            if (memcmp(m->v[i]->item.address, m->v[k]->item.address, HS_PUBLIC_KEY) == 0) {
                return nk_fail(&m->ctx->diag, NK_EFORMAT, "%s and %s are for the same service",
                               m->v[i]->source, m->v[k]->source);
            }
        }
    }
    return 0;
}

static int compare_existing(struct import *m, struct key *k)
{
    struct hs_client old;
    struct nk_diag *diag = &m->ctx->diag;
    int rc = hs_store_find(&m->store, k->item.address, NULL, k->existing, diag);
    if (rc < 0) {
        k->existing[0] = '\0';
        return rc == -ENOENT ? 0 : rc;
    }
    rc = hs_store_read(&m->store, k->existing, k->item.address, &old, diag);
    if (rc == 0) {
        k->same = hs_client_same(&old, &k->item.client);
        hs_client_wipe(&old);
    } else if (m->conf->overwrite && !m->conf->keep_old) {
        rc = 0; /* a broken one is replaced */
    }
    if (rc == 0 && !k->same && !m->conf->overwrite) {
        rc = nk_fail(diag, -EEXIST, "%s: there is another key for this service: %s/%s", k->source,
                     m->store.place.path, k->existing);
        nk_hint(diag, "--overwrite replaces it, with --keep-old a copy stays");
    }
    return rc;
}

static int read_all(struct import *m)
{
    struct nk_cmd_ctx *ctx = m->ctx;
    int rc = 0;
    if (m->conf->hsid) {
        rc = nk_onion_parse(m->address, m->conf->hsid, strlen(m->conf->hsid), &ctx->diag);
        m->has_address = rc == 0;
        rc = rc < 0 ? nk_fail_context(&ctx->diag, "--hsid") : 0;
    }
    for (int i = 0; rc == 0 && i < ctx->argc; i++) {
        struct stat st;
        const char *path = ctx->argv[i];
        bool dir = strcmp(path, "-") != 0 && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
        rc = dir ? add_dir(m, path) : add(m, path);
    }
    return rc < 0 ? rc : check_twins(m);
}

/* --- writing ---------------------------------------------------------------------------------- */

static int open_store(struct import *m)
{
    struct hs_where where;
    struct nk_cmd_ctx *ctx = m->ctx;
    bool change = !ctx->globals->dry_run;
    int rc =
        hs_where_find(&where, m->conf->keystore, ctx->ini, ctx->globals->state_dir, &ctx->diag);
    rc = rc < 0 ? rc : hs_store_open(&m->store, where.kind, where.dir, change, &ctx->diag);
    m->open = rc == 0;
    return rc == -ENOENT && !change ? 0 : rc;
}

static int write_all(struct import *m)
{
    struct nk_diag *diag = &m->ctx->diag;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < m->n && !m->ctx->globals->dry_run; i++) {
        struct key *k = m->v[i];
        if (k->same) {
            continue;
        }
        rc = *k->existing
                 ? hs_store_replace(&m->store, k->existing, k->item.address, &k->item.client,
                                    m->conf->keep_old, NULL, diag)
                 : hs_store_add(&m->store, k->item.address, &k->item.client, k->existing, diag);
        if (rc == 0) {
            nk_audit(m->ctx->log, "hsc", NK_LOG_INFO, "key.imported", NULL, "%s/%s",
                     m->store.place.path, k->existing);
        }
    }
    return rc;
}

static int report(struct import *m)
{
    struct nk_buf out;
    struct nk_json j;
    char address[NK_ONION_SIZE], print[HS_FINGERPRINT_SIZE];
    nk_buf_init(&out, JSON_MAX);
    nk_json_init(&j, &out, true);
    nk_json_array(&j);
    for (size_t i = 0; i < m->n; i++) {
        const struct key *k = m->v[i];
        nk_onion_format(address, k->item.address);
        hs_client_fingerprint(print, k->item.client.pub);
        if (!m->ctx->globals->json) {
            printf("%s  %s  %s\n", address, print, k->same ? "was there" : "imported");
            continue;
        }
        nk_json_object(&j);
        nk_json_kv_str(&j, "address", address);
        nk_json_kv_str(&j, "fingerprint", print);
        nk_json_kv_str(&j, "source", k->source);
        nk_json_kv_str(&j, "file", *k->existing ? k->existing : NULL);
        nk_json_kv_bool(&j, "new", !k->same);
        nk_json_close(&j);
    }
    nk_json_close(&j);
    if (m->ctx->globals->json) {
        return hsc_put_json(&j, &m->ctx->diag);
    }
    nk_buf_clear(&out);
    return 0;
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct import m = {.ctx = ctx, .conf = ctx->conf, .store = {.place.fd = -1}};
    int rc = read_all(&m);
    rc = rc < 0 ? rc : open_store(&m);
    for (size_t i = 0; rc == 0 && m.open && i < m.n; i++) {
        rc = compare_existing(&m, m.v[i]);
    }
    if (rc == 0 && m.store.in_use) {
        nk_warn(ctx->log, "hsc", "an arti runs on %s", m.store.place.path);
    }
    rc = rc < 0 ? rc : write_all(&m);
    rc = rc < 0 ? rc : report(&m);
    for (size_t i = 0; i < m.n; i++) {
        hs_item_wipe(&m.v[i]->item);
        free(m.v[i]->source);
        free(m.v[i]);
    }
    free(m.v);
    hs_store_close(&m.store);
    return rc;
}

extern const struct nk_cmd nk_cmd_hsc_import;
const struct nk_cmd nk_cmd_hsc_import = {
    .synopsis = "FILE|DIR|-.. [--hsid ADDRESS] [--keystore ID|DIR] [--overwrite [--keep-old]]",
    .summary = "Put clients' private keys from other programs' files into a keystore",
    .description =
        "Takes .auth_private files, the control port's x25519:.., arti's key files, PKCS#8, "
        "base64, "
        "base32 and hex, and whole ClientOnionAuthDirs of tor. What does not name its service "
        "needs --hsid.\n\n"
        "Everything is read and checked first: if anything is wrong, or a service has another key "
        "already, nothing is changed. The files stay where they are.",
    .examples = "netkit hsc import /var/lib/tor/onion_auth\n"
                "netkit hsc import key.pem --hsid abc..xyz.onion --keystore ctor:/var/lib/tor/auth",
    .opts = opts,
    .conf_size = sizeof(struct hsc_conf),
    .min_args = 1,
    .max_args = -1,
    .run = run,
};
