/* SPDX-License-Identifier: MIT */
/* netkit hsc export-pubkey: the public half of a client's key. */
#include "hs/hsc.h"

static const struct nk_opt opts[] = {HSC_HSID,
                                     HSC_NICKNAME,
                                     HSC_KEYSTORE,
                                     HSC_PUB_FORMAT,
                                     HSC_OUTPUT("File for it; standard output without it"),
                                     HSC_OVERWRITE,
                                     HSC_BATCH,
                                     NK_OPT_END};

static int run(struct nk_cmd_ctx *ctx)
{
    struct hsc h = {0};
    int rc = hsc_begin(&h, ctx, ctx->argc > 0 ? ctx->argv[0] : NULL, NULL, "-");
    rc = rc < 0 ? rc : hsc_open(&h, HS_STORE_READ);
    if (rc == 0) {
        rc = *h.name ? hsc_load(&h) : hsc_missing(&h);
    }
    rc = rc < 0 ? rc : hsc_export(&h);
    return hsc_end(&h, rc < 0 ? rc : hsc_report(&h, false, NULL));
}

extern const struct nk_cmd nk_cmd_hsc_export_pubkey;
const struct nk_cmd nk_cmd_hsc_export_pubkey = {
    .synopsis = "[stealth] [--hsid ADDRESS] [--nickname NAME] [--keystore ID|DIR] [--pub-format "
                "ctor|arti] [--output FILE|-]",
    .summary = "Write out the public half of a client's key",
    .opts = opts,
    .conf_size = sizeof(struct hsc_conf),
    .max_args = 1,
    .run = run,
};
