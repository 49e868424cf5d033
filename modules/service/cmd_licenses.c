/* SPDX-License-Identifier: MIT */
/* netkit licenses */
#include <stdio.h>

#include "base/build_info.h"
#include "base/cmd.h"

static int run(struct nk_cmd_ctx *ctx)
{
    (void)ctx;
    fputs(nk_build_info.licenses, stdout);
    return 0;
}

const struct nk_cmd nk_cmd_licenses = {
    .summary = "Show the licences of netkit and of everything linked into it",
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
