/* SPDX-License-Identifier: MIT */
/* netkit hss onion-address: the address of a service. */
#include <stdio.h>
#include <string.h>

#include "base/cli.h"
#include "base/onion.h"
#include "hs/ctor_dir.h"
#include "hs/key_cli.h"
#include "hs/keystore.h"
#include "hs/where.h"

struct address_conf {
    char *service, *keystore;
    int generate; /* index of generates */
};

enum { GENERATE_NO };
static const char *const generates[] = {"no", "if-needed", NULL};

static const struct nk_opt opts[] = {
    {.name = "service",
     .short_name = 'n',
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct address_conf, service),
     .arg = "SVC",
     .aliases = "nickname",
     .help = "The service's nickname; not needed when the keystore has one service only"},
    {.name = "keystore",
     .short_name = 'k',
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct address_conf, keystore),
     .arg = "ID|DIR",
     .aliases = "arti-state",
     .help =
         "A [keystore ID] section, or a directory: arti's keystore or state directory, or tor's "
         "HiddenServiceDir (arti:DIR and ctor:DIR say which)"},
    {.name = "generate",
     .type = NK_OPT_ENUM,
     .offset = NK_FIELD(struct address_conf, generate),
     .arg = "WHEN",
     .def = "no",
     .choices = generates,
     .help = "Whether to make an identity that is not there"},
    NK_OPT_END};

static int only_service(const char *dir, char name[HS_SLUG_MAX + 1], struct nk_diag *diag)
{
    struct hs_store s;
    struct hs_names names = {0};
    int rc = hs_store_open(&s, HS_STORE_ARTI, dir, HS_STORE_READ, diag);
    rc = rc < 0 ? rc : hs_keystore_services(&s.place, &names, diag);
    if (rc == 0 && names.n == 1) {
        memcpy(name, names.v[0], strlen(names.v[0]) + 1); /* a slug, so it fits */
    } else if (rc == 0) {
        rc = nk_fail(diag, NK_EUSAGE, "%s has %zu services: which one?", dir, names.n);
        nk_hint(diag, "-n SVC chooses it");
    }
    hs_names_clear(&names);
    hs_store_close(&s);
    return rc;
}

static int read_key(const struct hs_where *w, const char *service, struct hs_identity *k,
                    struct nk_diag *diag)
{
    return w->kind == HS_STORE_CTOR ? hs_ctor_dir_read(w->dir, k, diag)
                                    : hs_keystore_identity_read(w->dir, service, k, diag);
}

static int make_key(struct nk_cmd_ctx *ctx, const struct hs_where *w, const char *service,
                    struct hs_identity *k)
{
    int rc = hs_identity_new(k);
    if (rc < 0) {
        return nk_fail_sys(&ctx->diag, rc, "new identity");
    }
    if (!ctx->globals->dry_run) {
        rc = w->kind == HS_STORE_CTOR ? hs_ctor_dir_write(w->dir, k, &ctx->diag)
                                      : hs_keystore_identity_write(w->dir, service, k, &ctx->diag);
    }
    if (rc == 0) {
        nk_audit(ctx->log, "hss", NK_LOG_INFO, "key.created", NULL, "%s service=%s", w->dir,
                 service);
    }
    return rc;
}

static int report(struct nk_cmd_ctx *ctx, const char *service, const struct hs_identity *k)
{
    char address[NK_ONION_SIZE];
    struct nk_buf out;
    struct nk_json j;
    nk_onion_format(address, k->pub);
    if (!ctx->globals->json) {
        printf("%s\n", address);
        return 0;
    }
    nk_buf_init(&out, HS_JSON_MAX);
    nk_json_init(&j, &out, true);
    nk_json_object(&j);
    nk_json_kv_str(&j, "service", *service ? service : NULL);
    nk_json_kv_str(&j, "address", address);
    nk_json_kv_bool(&j, "secret", k->has_secret);
    nk_json_close(&j);
    return nk_cli_put_json(&j, &ctx->diag);
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct address_conf *c = ctx->conf;
    struct hs_where w;
    struct hs_identity k;
    char found[HS_SLUG_MAX + 1] = "";
    const char *service = c->service ? c->service : found;
    int rc = hs_where_find(&w, c->keystore, ctx->ini, ctx->globals->state_dir, &ctx->diag);
    if (rc == 0 && !c->service && w.kind == HS_STORE_ARTI) {
        rc = only_service(w.dir, found, &ctx->diag);
    }
    if (rc < 0) {
        return rc;
    }
    rc = read_key(&w, service, &k, &ctx->diag);
    if (rc == -ENOENT && c->generate != GENERATE_NO) {
        rc = make_key(ctx, &w, service, &k);
    } else if (rc == -ENOENT) {
        nk_hint(&ctx->diag, "--generate if-needed makes an identity");
    }
    if (rc == 0) {
        rc = report(ctx, service, &k);
        hs_identity_wipe(&k);
    }
    return rc;
}

extern const struct nk_cmd nk_cmd_hss_onion_address;
const struct nk_cmd nk_cmd_hss_onion_address = {
    .synopsis = "[-n SVC] [--keystore ID|DIR] [--generate no|if-needed]",
    .summary = "Print the address of an onion service in a keystore",
    .opts = opts,
    .conf_size = sizeof(struct address_conf),
    .run = run,
};
