/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "service/control.h"

enum { TIMEOUT_MS = 10 * 1000 };

static int run(struct nk_cmd_ctx *ctx)
{
    char request[SERVICE_CONTROL_REQUEST];
    int n = snprintf(request, sizeof(request), "loglevel %s%s%s", ctx->argv[0],
                     ctx->argc > 1 ? " " : "", ctx->argc > 1 ? ctx->argv[1] : "");
    if (n < 0 || (size_t)n >= sizeof(request)) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "too long");
    }
    return service_control_run(ctx, request, TIMEOUT_MS);
}

const struct nk_cmd nk_cmd_loglevel = {
    .synopsis = "[MODULE] LEVEL",
    .summary = "Change what 'netkit run' logs while it runs",
    .description =
        "LEVEL is one of error, warn, info, debug and trace; it holds for one module, such as "
        "relay, or for all.",
    .examples = "netkit loglevel relay debug   # until it is changed again or the process ends",
    .min_args = 1,
    .max_args = 2,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
