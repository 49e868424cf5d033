/* SPDX-License-Identifier: MIT */
/* netkit licenses */
#include <stdio.h>
#include <stdlib.h>

#include "base/build_info.h"
#include "base/cmd.h"
#include "base/packed.h"

static int run(struct nk_cmd_ctx *ctx)
{
    char *text;
    int rc = nk_unpack(nk_build_info.licenses, &text);
    if (rc < 0) {
        return nk_fail_sys(&ctx->diag, rc, "cannot expand the text");
    }
    fputs(text, stdout);
    free(text);
    return 0;
}

const struct nk_cmd nk_cmd_licenses = {
    .summary = "Show the licences of netkit and of everything linked into it",
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
