/* SPDX-License-Identifier: MIT */
#include "base/cmd.h"
#include "tls/serve.h"
#include "tls/serve_rows.h"

/* clang-format off */
static const struct nk_opt opts[] = {NK_OPT_SHARED(tls_rows_both), NK_OPT_SHARED(tls_rows_client),
                                     NK_OPT_END};
/* clang-format on */

static void fill(const struct nk_cmd_ctx *ctx, void *conf)
{
    (void)ctx;
    ((struct tls_serve_conf *)conf)->role = TLS_SERVE_CLIENT;
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct tls_serve_conf *c = ctx->conf;
    return nk_service_run_cmd_with(ctx, &tls_serve_service, c->drain_ms + TLS_DRAIN_SLACK_MS, NULL,
                                   fill);
}

const struct nk_cmd nk_cmd_tls_client = {
    .synopsis = "--listen LISTEN --connect CONNECT [--ca FILE | --pin HASH] [--server-name HOST] "
                "[--cert FILE [--key FILE]]",
    .summary = "TLS for clients that do not speak it",
    .opts = opts,
    .conf_size = sizeof(struct tls_serve_conf),
    .flags = NK_CMD_EXEC,
    .run = run,
};
