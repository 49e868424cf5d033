/* SPDX-License-Identifier: MIT */
#include "relay/admin_ask.h"

static int run(struct nk_cmd_ctx *ctx)
{
    static const char *const words[] = {"status"};
    return relay_admin_run(ctx, words, 1);
}

const struct nk_cmd nk_cmd_relay_status = {
    .synopsis = "",
    .summary = "Show what the relay that runs in the state directory is doing",
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
