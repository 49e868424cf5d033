/* SPDX-License-Identifier: MIT */
/* netkit hsc key get: a client's public key, made when it is missing; arti's spelling. */
#include "hs/hsc.h"

static const struct nk_opt opts[] = {
    HSC_HSID,
    HSC_NICKNAME,
    HSC_KEYSTORE,
    HSC_KEY_TYPE,
    HSC_GENERATE("if-needed"),
    HSC_PUB_FORMAT,
    HSC_OUTPUT("File for the public half; standard output without it"),
    HSC_OVERWRITE,
    HSC_BATCH,
    NK_OPT_END};

static int get(struct hsc *h, bool *made)
{
    if (*h->name) {
        int rc = hsc_load(h);
        return rc < 0 ? rc : hsc_export(h);
    }
    *made = h->conf->generate == HSC_IF_NEEDED;
    return *made ? hsc_new(h, NULL) : hsc_missing(h);
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct hsc h = {0};
    bool made = false;
    int rc = hsc_begin(&h, ctx, NULL, ctx->argc > 0 ? ctx->argv[0] : NULL, "-");
    rc = rc < 0 ? rc : hsc_open(&h, h.conf->generate == HSC_NO ? HS_STORE_READ : HS_STORE_CREATE);
    rc = rc < 0 ? rc : get(&h, &made);
    return hsc_end(&h, rc < 0 ? rc : hsc_report(&h, made, NULL));
}

extern const struct nk_cmd nk_cmd_hsc_key_get;
const struct nk_cmd nk_cmd_hsc_key_get = {
    .synopsis = "[ADDRESS] [--generate if-needed|no] [--output FILE|-] [--overwrite] [--batch]",
    .summary = "Print a client's public key for a service, and make the key when it is missing",
    .opts = opts,
    .conf_size = sizeof(struct hsc_conf),
    .max_args = 1,
    .run = run,
};
