/* SPDX-License-Identifier: MIT */
/* netkit tor hold: the process behind the global tor; started by others, not by people. */
#include <fcntl.h>

#include "base/cmd.h"
#include "tor/holder.h"

static int run(struct nk_cmd_ctx *ctx)
{
    const bool given = fcntl(TOR_HOLDER_FD, F_GETFD) >= 0;
    return tor_holder_run(ctx, ctx->conf, given ? TOR_HOLDER_FD : -1);
}

extern const struct nk_cmd nk_cmd_tor_hold;
const struct nk_cmd nk_cmd_tor_hold = {
    .summary = "Hold the global tor for those who use it",
    .section = &tor_section,
    .service = &tor_service,
    .conf_size = sizeof(struct tor_section_conf),
    .flags = NK_CMD_EXEC | NK_CMD_HIDDEN,
    .run = run,
};
