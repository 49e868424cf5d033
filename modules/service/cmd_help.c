/* SPDX-License-Identifier: MIT */
/* netkit help [COMMAND..|options|exit-codes|endpoints] */
#include <stdio.h>
#include <string.h>

#include "base/cli.h"
#include "core/registry.h"

#define TEXT_MAX (1024 * 1024)

struct topic {
    const char *name;
    int (*write)(struct nk_buf *out);
};

static int write_driver(struct nk_buf *out, const struct nk_ep_driver *d)
{
    char left[96], right[320];
    bool filter = (d->flags & NK_EP_FILTER) != 0;
    snprintf(left, sizeof(left), "%s%s%s", d->scheme, filter ? "+" : ":",
             filter         ? "..."
             : d->body_help ? d->body_help
                            : "");
    snprintf(right, sizeof(right), "%s%s", d->summary ? d->summary : "",
             filter                            ? ""
             : !(d->flags & NK_EP_CAN_LISTEN)  ? " (connects only)"
             : !(d->flags & NK_EP_CAN_CONNECT) ? " (listens only)"
                                               : "");
    int rc = nk_help_entry(out, left, right);
    for (const struct nk_opt *o = d->params; o && o->name && rc == 0; o++) {
        rc = nk_help_param(out, o);
    }
    return rc;
}

static int write_endpoints(struct nk_buf *out)
{
    int rc = nk_buf_puts(
        out,
        "endpoint strings, wherever LISTEN or CONNECT stands:\n"
        "  [FILTER+]..TRANSPORT:BODY[,KEY=VALUE]..\n\n"
        "  Filters wrap what stands behind them; tls:HOST:PORT is short for tls+tcp:HOST:PORT.\n"
        "  A comma or percent sign in BODY or VALUE is written %2C or %25. A key that two\n"
        "  layers know is written LAYER.KEY.\n");
    for (int filters = 0; filters <= 1 && rc == 0; filters++) {
        rc = nk_buf_puts(out, filters ? "\nfilters:\n" : "\ntransports:\n");
        for (size_t i = 0; i < nk_ep_count && rc == 0; i++) {
            const struct nk_ep_driver *d = nk_ep_table[i];
            if (!(d->flags & NK_EP_TEST) && !(d->flags & NK_EP_FILTER) == !filters) {
                rc = write_driver(out, d);
            }
        }
    }
    return rc;
}

static const struct topic topics[] = {
    {"options", nk_help_globals},
    {"exit-codes", nk_help_exit_codes},
    {"endpoints", write_endpoints},
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
    .synopsis = "[COMMAND..|options|endpoints|exit-codes]",
    .summary = "Show what a command does, its options and examples",
    .max_args = -1,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
