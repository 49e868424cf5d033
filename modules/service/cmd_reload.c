/* SPDX-License-Identifier: MIT */
#include "service/control.h"

enum { TIMEOUT_MS = 60 * 1000 };

static int run(struct nk_cmd_ctx *ctx)
{
    const char *const words[] = {"reload", "json"};
    return service_control_run(ctx, words, ctx->globals->json ? 2 : 1, TIMEOUT_MS);
}

const struct nk_cmd nk_cmd_reload = {
    .synopsis = "",
    .summary = "Let 'netkit run' load its configuration again",
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
