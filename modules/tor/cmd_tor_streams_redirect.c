/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "tor/act.h"

#define LINE_SIZE 512

static int run(struct nk_cmd_ctx *ctx)
{
    const struct tor_cli_conf *conf = ctx->conf;
    static const char *const names[] = {"id", "address", "port"};
    const char *port = ctx->argc > 2 ? ctx->argv[2] : "";
    char line[LINE_SIZE];
    int rc = 0;
    for (int i = 0; rc == 0 && i < ctx->argc && i < 3; i++)
        rc = tor_word_check(ctx->argv[i], names[i], &ctx->diag);
    if (rc < 0)
        return rc;
    int n =
        snprintf(line, sizeof line, "REDIRECTSTREAM %s %s %s", ctx->argv[0], ctx->argv[1], port);
    if ((size_t)n >= sizeof line)
        return nk_fail(&ctx->diag, NK_EUSAGE, "'%.20s..' is no address", ctx->argv[1]);
    char *const lines[] = {line};
    return tor_act_run(ctx, conf, lines, 1);
}

const struct nk_cmd nk_cmd_tor_streams_redirect = {
    .synopsis = "STREAM ADDRESS [PORT]",
    .summary = "Give a stream that is not attached yet another destination",
    .description = "The client that asked for the stream is not told.",
    .examples = "netkit tor streams redirect 49 other.example 443",
    .opts = tor_cli_rows,
    .conf_size = sizeof(struct tor_cli_conf),
    .min_args = 2,
    .max_args = 3,
    .run = run,
};
