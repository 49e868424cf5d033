/* SPDX-License-Identifier: MIT */
/* netkit hsc key remove: remove a client's key; arti's spelling. */
#include <stdio.h>

#include "base/cli.h"
#include "hs/hsc.h"
#include "hs/key_cli.h"

static const struct nk_opt opts[] = {HSC_HSID,     HSC_NICKNAME, HSC_KEYSTORE,
                                     HSC_KEY_TYPE, HSC_BATCH,    NK_OPT_END};

static int say(struct hsc *h, bool removed)
{
    struct nk_buf out;
    struct nk_json j;
    if (!h->ctx->globals->json) {
        if (removed) {
            printf("removed %s/%s\n", h->store.place.path, h->name);
        } else {
            printf("there is no key for %s in %s\n", h->address_text, h->store.place.path);
        }
        return 0;
    }
    nk_buf_init(&out, HS_JSON_MAX);
    nk_json_init(&j, &out, true);
    nk_json_object(&j);
    nk_json_kv_str(&j, "address", h->address_text);
    nk_json_kv_bool(&j, "removed", removed);
    nk_json_close(&j);
    return nk_cli_put_json(&j, &h->ctx->diag);
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct hsc h = {0};
    int rc = hsc_begin(&h, ctx, NULL, ctx->argc > 0 ? ctx->argv[0] : NULL, "-");
    rc = rc < 0 ? rc : hsc_confirm(&h, "remove");
    rc = rc < 0 ? rc : hsc_open(&h, HS_STORE_CHANGE);
    bool there = rc == 0 && *h.name;
    if (there && !ctx->globals->dry_run) {
        rc = hs_store_remove(&h.store, h.name, &ctx->diag);
        if (rc == 0) {
            nk_audit(ctx->log, "hsc", NK_LOG_INFO, "key.removed", NULL, "%s/%s", h.store.place.path,
                     h.name);
        }
    }
    return hsc_end(&h, rc < 0 ? rc : say(&h, there));
}

extern const struct nk_cmd nk_cmd_hsc_key_remove;
const struct nk_cmd nk_cmd_hsc_key_remove = {
    .synopsis = "[ADDRESS] [--batch]",
    .summary = "Remove a client's key for a service",
    .opts = opts,
    .conf_size = sizeof(struct hsc_conf),
    .max_args = 1,
    .run = run,
};
