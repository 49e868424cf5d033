/* SPDX-License-Identifier: MIT */
/* netkit cert show: certificates in words. */
#include "base/cli.h"
#include "tls/cert_cli.h"

static int run(struct nk_cmd_ctx *ctx)
{
    struct nk_buf out;
    struct nk_json j;
    nk_buf_init(&out, TLS_PEM_MAX);
    nk_json_init(&j, &out, true);
    nk_json_array(&j);
    for (int i = 0; i < ctx->argc; i++) {
        struct tls_cert_info info;
        int rc = cert_describe_file(ctx->argv[i], &info, &ctx->diag);
        if (rc < 0) {
            nk_buf_clear(&out);
            return rc;
        }
        cert_warn(ctx, ctx->argv[i], &info);
        if (ctx->globals->json) {
            nk_json_object(&j);
            cert_json(&j, ctx->argv[i], &info);
            nk_json_close(&j);
        } else {
            cert_print(ctx->argv[i], &info);
        }
    }
    nk_json_close(&j);
    if (ctx->globals->json) {
        return nk_cli_put_json(&j, &ctx->diag);
    }
    nk_buf_clear(&out);
    return 0;
}

extern const struct nk_cmd nk_cmd_cert_show;
const struct nk_cmd nk_cmd_cert_show = {
    .synopsis = "FILE..",
    .summary = "Show what certificates say",
    .min_args = 1,
    .max_args = -1,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
