/* SPDX-License-Identifier: MIT */
#include "service/control.h"

enum { TIMEOUT_MS = 0 }; /* as long as it takes */

static int run(struct nk_cmd_ctx *ctx)
{
    const char *const words[] = {"stop"};
    return service_control_run(ctx, words, 1, TIMEOUT_MS);
}

const struct nk_cmd nk_cmd_stop = {
    .synopsis = "",
    .summary = "Let 'netkit run' finish and end",
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
