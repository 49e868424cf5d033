/* SPDX-License-Identifier: MIT */
/* netkit cert verify: would a client accept this certificate? */
#include <stdio.h>

#include "tls/cert_cli.h"

struct verify_conf {
    char *ca, *name;
};

static const struct nk_opt opts[] = {
    {.name = "ca",
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct verify_conf, ca),
     .arg = "FILE",
     .help = "Trusted certificates (PEM); the system's without it"},
    {.name = "name",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct verify_conf, name),
     .arg = "HOST",
     .help = "Host name or address that it must be valid for"},
    NK_OPT_END};

static int run(struct nk_cmd_ctx *ctx)
{
    const struct verify_conf *c = ctx->conf;
    const char *ca = c->ca ? c->ca : tls_system_bundle();
    struct nk_buf chain, trusted;
    nk_buf_init(&chain, 1);
    nk_buf_init(&trusted, 1);
    if (!ca) {
        return nk_fail(&ctx->diag, NK_ECONFIG, "no CA bundle on this system: give --ca FILE");
    }
    int rc = cert_read(ctx->argv[0], &chain, &ctx->diag);
    if (rc == 0) {
        rc = cert_read(ca, &trusted, &ctx->diag);
    }
    if (rc == 0) {
        rc = tls_cert_verify(nk_buf_ptr(&chain), nk_buf_len(&chain), nk_buf_ptr(&trusted),
                             nk_buf_len(&trusted), c->name, &ctx->diag);
    }
    if (rc == 0 && !ctx->globals->quiet) {
        printf("%s: valid%s%s\n", ctx->argv[0], c->name ? " for " : "", c->name ? c->name : "");
    }
    nk_buf_clear(&chain);
    nk_buf_clear(&trusted);
    return rc;
}

extern const struct nk_cmd nk_cmd_cert_verify;
const struct nk_cmd nk_cmd_cert_verify = {
    .synopsis = "[--ca FILE] [--name HOST] FILE",
    .summary = "Check a certificate chain as a client would",
    .opts = opts,
    .conf_size = sizeof(struct verify_conf),
    .min_args = 1,
    .max_args = 1,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
