/* SPDX-License-Identifier: MIT */
/* netkit hsc generate-key: a client's key for a restricted service. */
#include "hs/hsc.h"

static const struct nk_opt opts[] = {
    HSC_HSID,
    HSC_NICKNAME,
    HSC_KEYSTORE,
    HSC_PUB_FORMAT,
    HSC_OUTPUT(
        "File for the public half; without it NICKNAME.auth or kp_hsc_desc_enc.x25519_public "
        "in the working folder"),
    HSC_OVERWRITE,
    HSC_BATCH,
    NK_OPT_END};

static int refuse_existing(struct hsc *h)
{
    nk_fail(&h->ctx->diag, -EEXIST, "there is a key for %s: %s/%s", h->address_text,
            h->store.place.path, h->name);
    nk_hint(&h->ctx->diag, "'netkit hsc export-pubkey --hsid ..' exports its public half, 'hsc key "
                           "rotate' replaces it");
    return -EEXIST;
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct hsc h = {0};
    int rc = hsc_begin(&h, ctx, ctx->argv[0], NULL, NULL);
    rc = rc < 0 ? rc : hsc_open(&h, HS_STORE_CREATE);
    if (rc == 0) {
        rc = *h.name ? refuse_existing(&h) : hsc_new(&h, NULL);
    }
    return hsc_end(&h, rc < 0 ? rc : hsc_report(&h, true, NULL));
}

extern const struct nk_cmd nk_cmd_hsc_generate_key;
const struct nk_cmd nk_cmd_hsc_generate_key = {
    .synopsis = "stealth [--hsid ADDRESS] [--nickname NAME] [--keystore ID|DIR] [--pub-format "
                "ctor|arti] [--output FILE|-]",
    .summary = "Make a client's key for a restricted onion service",
    .opts = opts,
    .conf_size = sizeof(struct hsc_conf),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
