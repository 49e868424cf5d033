/* SPDX-License-Identifier: MIT */
/* netkit uninstall DIR */
#include "service/install.h"

static const struct nk_opt opts[] = {
    INSTALL_ROWS("Also remove the man pages from DIR/man1", "Also remove the completion scripts"),
    NK_OPT_END};

static int run(struct nk_cmd_ctx *ctx)
{
    return install_all(ctx, ctx->conf, true);
}

const struct nk_cmd nk_cmd_uninstall = {
    .synopsis = "DIR [--prefix TEXT] [--man DIR] [--completion DIR]",
    .summary = "Remove what 'netkit install' made",
    INSTALL_COMMAND,
};
