/* SPDX-License-Identifier: MIT */
/* netkit hsc list: a client's keys. */
#include <stdio.h>

#include "base/cli.h"
#include "hs/hsc.h"
#include "hs/key_cli.h"
#include "hs/where.h"

static const struct nk_opt opts[] = {HSC_KEYSTORE, NK_OPT_END};

static void put_entry(struct nk_json *j, const struct hs_client_entry *e)
{
    char address[NK_ONION_SIZE], print[HS_FINGERPRINT_SIZE];
    nk_json_object(j);
    nk_onion_format(address, e->address);
    hs_client_fingerprint(print, e->key.pub);
    nk_json_kv_str(j, "address", e->has_address ? address : NULL);
    nk_json_kv_str(j, "fingerprint", e->problem ? NULL : print);
    nk_json_kv_str(j, "client", e->client[0] ? e->client : NULL);
    nk_json_kv_str(j, "file", e->name);
    nk_json_kv_str(j, "problem", e->problem);
    nk_json_close(j);
}

static int print_json(struct nk_cmd_ctx *ctx, const struct hs_where *where,
                      const struct hs_client_entries *l)
{
    struct nk_buf out;
    struct nk_json j;
    nk_buf_init(&out, HS_JSON_MAX);
    nk_json_init(&j, &out, true);
    nk_json_object(&j);
    nk_json_kv_str(&j, "keystore", where->dir);
    nk_json_kv_str(&j, "format", hs_store_name(where->kind));
    nk_json_key(&j, "keys");
    nk_json_array(&j);
    for (size_t i = 0; i < l->n; i++) {
        put_entry(&j, &l->v[i]);
    }
    nk_json_close(&j);
    nk_json_close(&j);
    return nk_cli_put_json(&j, &ctx->diag);
}

static void print_text(const struct hs_client_entries *l)
{
    char address[NK_ONION_SIZE], print[HS_FINGERPRINT_SIZE];
    for (size_t i = 0; i < l->n; i++) {
        const struct hs_client_entry *e = &l->v[i];
        if (e->problem) {
            fprintf(stderr, "netkit hsc list: %s\n", e->problem);
            continue;
        }
        nk_onion_format(address, e->address);
        hs_client_fingerprint(print, e->key.pub);
        printf("%s  %s  %s\n", address, print, e->name);
    }
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct hsc_conf *c = ctx->conf;
    struct hs_where where;
    struct hs_store store = {.place.fd = -1};
    struct hs_client_entries l = {0};
    int broken = 0;
    int rc = hs_where_find(&where, c->keystore, ctx->ini, ctx->globals->state_dir, &ctx->diag);
    rc = rc < 0 ? rc : hs_store_open(&store, where.kind, where.dir, HS_STORE_READ, &ctx->diag);
    if (rc == 0) {
        rc = hs_store_list(&store, &l, &ctx->diag);
    } else if (rc == -ENOENT && !c->keystore) {
        rc = 0; /* the usual one was not made yet: it is empty */
    }
    for (size_t i = 0; i < l.n; i++) {
        broken |= l.v[i].problem != NULL;
    }
    if (rc == 0 && ctx->globals->json) {
        rc = print_json(ctx, &where, &l);
    } else if (rc == 0) {
        print_text(&l);
    }
    hs_client_entries_clear(&l);
    hs_store_close(&store);
    return rc < 0 ? rc : broken ? NK_EXIT_FAILED : 0;
}

static const struct nk_section *const sections[] = {&hs_keystore_section, NULL};

extern const struct nk_cmd nk_cmd_hsc_list;
const struct nk_cmd nk_cmd_hsc_list = {
    .synopsis = "[--keystore ID|DIR] [--json]",
    .summary = "List the keys of a client for restricted onion services",
    .opts = opts,
    .conf_size = sizeof(struct hsc_conf),
    .sections = sections,
    .run = run,
};
