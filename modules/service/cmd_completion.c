/* SPDX-License-Identifier: MIT */
/* netkit completion bash|zsh|fish */
#include <string.h>

#include "service/manpage.h"

static int run(struct nk_cmd_ctx *ctx)
{
    for (int i = 0; service_shells[i]; i++) {
        if (strcmp(ctx->argv[0], service_shells[i]) == 0) {
            struct nk_buf out;
            nk_buf_init(&out, SERVICE_TEXT_MAX);
            int rc = service_completion(&out, i);
            nk_cli_print(&out);
            nk_buf_clear(&out);
            return rc;
        }
    }
    return nk_fail(&ctx->diag, NK_EUSAGE, "'%.60s' is none of the shells bash, zsh, fish",
                   ctx->argv[0]);
}

const struct nk_cmd nk_cmd_completion = {
    .synopsis = "bash|zsh|fish",
    .summary = "Print a completion script",
    .min_args = 1,
    .max_args = 1,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
