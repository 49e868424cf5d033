/* SPDX-License-Identifier: MIT */
/* netkit version */
#include "base/cli.h"

#define TEXT_MAX 65536

static int run(struct nk_cmd_ctx *ctx)
{
    struct nk_buf out;
    nk_buf_init(&out, TEXT_MAX);
    int rc = nk_help_version(&out, ctx->globals->json);
    nk_cli_print(&out);
    nk_buf_clear(&out);
    return rc;
}

const struct nk_cmd nk_cmd_version = {
    .synopsis = "[--json]",
    .summary = "Show the version, the build and the libraries inside",
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
