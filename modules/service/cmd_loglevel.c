/* SPDX-License-Identifier: MIT */
#include "service/control.h"

enum { TIMEOUT_MS = 10 * 1000 };

static int run(struct nk_cmd_ctx *ctx)
{
    const char *const words[] = {"loglevel", ctx->argv[0], ctx->argv[ctx->argc - 1]};
    return service_control_run(ctx, words, (size_t)ctx->argc + 1, TIMEOUT_MS);
}

const struct nk_cmd nk_cmd_loglevel = {
    .synopsis = "[MODULE] LEVEL",
    .summary = "Change what 'netkit run' logs while it runs",
    .min_args = 1,
    .max_args = 2,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
