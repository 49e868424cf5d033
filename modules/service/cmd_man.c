/* SPDX-License-Identifier: MIT */
/* netkit man [COMMAND..]: `netkit man relay | man -l -` */
#include <stdio.h>
#include <string.h>

#include "service/manpage.h"

static int run(struct nk_cmd_ctx *ctx)
{
    const struct nk_cmds cmds = {nk_cmd_table, nk_cmd_count};
    char name[NK_CLI_MAX_NAME] = "";
    size_t n = 0;
    for (int i = 0; i < ctx->argc; i++) {
        int w = snprintf(name + n, sizeof(name) - n, "%s%s", i ? " " : "", ctx->argv[i]);
        if (w < 0 || (size_t)w >= sizeof(name) - n) {
            return nk_fail(&ctx->diag, NK_ENOCMD, "there is no such command");
        }
        n += (size_t)w;
    }
    const struct nk_cmd_entry *entry = nk_cli_find(cmds, name);
    if (ctx->argc > 0 && !entry) {
        nk_fail(&ctx->diag, NK_ENOCMD, "there is no command '%s'", name);
        nk_cli_suggest(cmds, "", ctx->argv[0], &ctx->diag);
        return NK_ENOCMD;
    }
    struct nk_buf out;
    nk_buf_init(&out, SERVICE_TEXT_MAX);
    int rc = service_man_page(&out, entry);
    nk_cli_print(&out);
    nk_buf_clear(&out);
    return rc;
}

const struct nk_cmd nk_cmd_man = {
    .synopsis = "[COMMAND..]",
    .summary = "Print a command's man page",
    .max_args = -1,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
