/* SPDX-License-Identifier: MIT */
#include "service/control.h"

enum { TIMEOUT_MS = 10 * 1000 };

static int run(struct nk_cmd_ctx *ctx)
{
    const char *const words[] = {"status"};
    return service_control_run(ctx, words, 1, TIMEOUT_MS);
}

const struct nk_cmd nk_cmd_status = {
    .synopsis = "",
    .summary = "Show what the services of 'netkit run' are doing",
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
