/* SPDX-License-Identifier: MIT */
#include "service/control.h"

enum { TIMEOUT_MS = 60 * 1000 };

static int run(struct nk_cmd_ctx *ctx)
{
    return service_control_run(ctx, "reload", TIMEOUT_MS);
}

const struct nk_cmd nk_cmd_reload = {
    .synopsis = "",
    .summary = "Let 'netkit run' load its configuration again",
    .description = "The same as HUP, but it waits and tells the error, if there is one; the old "
                   "configuration then stays in force.",
    .examples = "netkit reload   # exit status 0: the new configuration is in force",
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
