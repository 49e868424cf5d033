/* SPDX-License-Identifier: MIT */
/* netkit hsc key rotate: another key in the place of a client's; arti's spelling. */
#include "hs/hsc.h"

static const struct nk_opt opts[] = {
    HSC_HSID,
    HSC_NICKNAME,
    HSC_KEYSTORE,
    HSC_KEY_TYPE,
    HSC_PUB_FORMAT,
    HSC_OUTPUT("File for the new public half; standard output without it"),
    HSC_OVERWRITE,
    HSC_BATCH,
    {.name = "keep-old",
     .type = NK_OPT_FLAG,
     HSC_ROW(keep_old),
     .help = "Keep the old key as an .auth_private file beside the keystore, in a directory with "
             ".replaced behind its name"},
    NK_OPT_END};

static int run(struct nk_cmd_ctx *ctx)
{
    struct hsc h = {0};
    char kept[NK_PATH_MAX] = "";
    int rc = hsc_begin(&h, ctx, NULL, ctx->argc > 0 ? ctx->argv[0] : NULL, "-");
    rc = rc < 0 ? rc : hsc_confirm(&h, "rotate");
    rc = rc < 0 ? rc : hsc_open(&h, HS_STORE_CREATE);
    rc = rc < 0 ? rc : hsc_new(&h, kept);
    return hsc_end(&h, rc < 0 ? rc : hsc_report(&h, true, kept));
}

extern const struct nk_cmd nk_cmd_hsc_key_rotate;
const struct nk_cmd nk_cmd_hsc_key_rotate = {
    .synopsis = "[ADDRESS] [--keep-old] [--output FILE|-] [--overwrite] [--batch]",
    .summary = "Replace a client's key for a service by a new one",
    .opts = opts,
    .conf_size = sizeof(struct hsc_conf),
    .max_args = 1,
    .run = run,
};
