/* SPDX-License-Identifier: MIT */
/* netkit tor shell: the control port by hand. */
#include "tor/shell.h"

static int run(struct nk_cmd_ctx *ctx)
{
    return tor_shell_run(ctx, ctx->conf);
}

extern const struct nk_cmd nk_cmd_tor_shell;
const struct nk_cmd nk_cmd_tor_shell = {
    .synopsis = "",
    .summary = "Talk to tor's control port, with completion, history and events",
    .opts = tor_cli_rows,
    .conf_size = sizeof(struct tor_cli_conf),
    .run = run,
};
