/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/codec.h"
#include "tor/act.h"

#define LINE_SIZE 512

static int run(struct nk_cmd_ctx *ctx)
{
    const struct tor_cli_conf *conf = ctx->conf;
    const char *port = ctx->argc > 2 ? ctx->argv[2] : "";
    char line[LINE_SIZE];
    uint64_t number = 1;
    int rc = tor_id_check(ctx->argv[0], false, "stream", &ctx->diag);
    rc = rc < 0 ? rc : tor_word_check(ctx->argv[1], "address", &ctx->diag);
    if (rc == 0 && ctx->argc > 2 &&
        (nk_parse_u64(port, &number) < 0 || number == 0 || number > UINT16_MAX))
        rc = nk_fail(&ctx->diag, NK_EUSAGE, "'%.20s' is no port", port);
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
    .opts = tor_cli_rows,
    .conf_size = sizeof(struct tor_cli_conf),
    .min_args = 2,
    .max_args = 3,
    .run = run,
};
