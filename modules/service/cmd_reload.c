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
    .description =
        "The same as HUP, but it waits and tells the error, if there is one; the old configuration "
        "then stays in force. Otherwise it prints a line for each value that is another one than "
        "before: applied, or needs a restart. What needs one is told at every reload until it is "
        "done or taken back. Keys, certificates and passwords are read again in any case. With "
        "--json an object with an array 'changes'.",
    .examples = "netkit reload   # exit status 0: the new configuration is in force",
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
