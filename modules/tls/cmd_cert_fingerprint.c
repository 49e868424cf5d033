/* SPDX-License-Identifier: MIT */
/* netkit cert fingerprint: the two hashes by which a certificate can be pinned. */
#include <stdio.h>

#include "base/cli.h"
#include "tls/cert_cli.h"

static int run(struct nk_cmd_ctx *ctx)
{
    struct tls_cert_info info;
    char cert[TLS_PIN_TEXT], spki[TLS_PIN_TEXT];
    int rc = cert_describe_file(ctx->argv[0], &info, &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    tls_pin_format(cert, info.cert);
    tls_pin_format(spki, info.spki);
    if (!ctx->globals->json) {
        printf("%s  public key\n%s  certificate\n", spki, cert);
        return 0;
    }
    struct nk_buf out;
    struct nk_json j;
    nk_buf_init(&out, TLS_PEM_MAX);
    nk_json_init(&j, &out, false);
    nk_json_object(&j);
    nk_json_kv_str(&j, "pin", spki);
    nk_json_kv_str(&j, "certificate_sha256", cert);
    nk_json_close(&j);
    return nk_cli_put_json(&j, &ctx->diag);
}

extern const struct nk_cmd nk_cmd_cert_fingerprint;
const struct nk_cmd nk_cmd_cert_fingerprint = {
    .synopsis = "FILE",
    .summary = "Print the pins of a certificate",
    .min_args = 1,
    .max_args = 1,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
