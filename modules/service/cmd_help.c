/* SPDX-License-Identifier: MIT */
/* netkit help [COMMAND..|options|exit-codes|endpoints] */
#include <stdio.h>
#include <string.h>

#include "base/cli.h"

#define TEXT_MAX (1024 * 1024)

struct topic {
    const char *name;
    int (*write)(struct nk_buf *out);
};

static const struct topic topics[] = {
    {"options", nk_help_globals},
    {"exit-codes", nk_help_exit_codes},
};

static int join(char *out, size_t max, int argc, char **argv)
{
    size_t n = 0;
    out[0] = '\0';
    for (int i = 0; i < argc; i++) {
        int w = snprintf(out + n, max - n, "%s%s", i ? " " : "", argv[i]);
        if (w < 0 || (size_t)w >= max - n) {
            return NK_ETOOBIG;
        }
        n += (size_t)w;
    }
    return 0;
}

static int write_help(struct nk_cmd_ctx *ctx, struct nk_buf *out)
{
    const struct nk_cmds cmds = {nk_cmd_table, nk_cmd_count};
    char name[NK_CLI_MAX_NAME];
    if (ctx->argc == 0) {
        return nk_help_overview(out, cmds);
    }
    for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
        if (ctx->argc == 1 && strcmp(ctx->argv[0], topics[i].name) == 0) {
            return topics[i].write(out);
        }
    }
    if (join(name, sizeof(name), ctx->argc, ctx->argv) == 0) {
        const struct nk_cmd_entry *e = nk_cli_find(cmds, name);
        if (e) {
            return nk_help_command(out, cmds, e, false);
        }
        if (*name && nk_cli_has_children(cmds, name)) {
            return nk_help_group(out, cmds, name);
        }
    }
    nk_fail(&ctx->diag, NK_ENOCMD, "there is no command '%.60s'", name);
    nk_cli_suggest(cmds, "", ctx->argv[0], &ctx->diag);
    return NK_ENOCMD;
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct nk_buf out;
    nk_buf_init(&out, TEXT_MAX);
    int rc = write_help(ctx, &out);
    nk_cli_print(&out);
    nk_buf_clear(&out);
    return rc;
}

const struct nk_cmd nk_cmd_help = {
    .synopsis = "[COMMAND..|options|exit-codes]",
    .summary = "Show what a command does, its options and examples",
    .description = "The same text as 'netkit COMMAND --help' and 'netkit man COMMAND'.",
    .examples = "netkit help                # all commands\n"
                "netkit help config check   # one of them\n"
                "netkit help exit-codes     # what the exit status means",
    .max_args = -1,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
