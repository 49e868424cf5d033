/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "tor/act.h"

#define HOPS_MAX 8
#define LINE_SIZE 64

struct attach_conf {
    struct tor_cli_conf cli;
    int64_t hop;
};

static const struct nk_opt opts[] = {
    {.name = "hop",
     .type = NK_OPT_INT,
     .offset = NK_FIELD(struct attach_conf, hop),
     .arg = "N",
     .def = "0",
     .max = HOPS_MAX,
     .flags = NK_OPT_CLI_ONLY,
     .help = "Leave the circuit at its N-th relay; 0: at the last one"},
    TOR_ROWS(struct attach_conf, cli),
    NK_OPT_END};

static int run(struct nk_cmd_ctx *ctx)
{
    const struct attach_conf *conf = ctx->conf;
    char line[LINE_SIZE], hop[16] = "";
    int rc = tor_id_check(ctx->argv[0], false, "stream", &ctx->diag);
    rc = rc < 0 ? rc : tor_id_check(ctx->argv[1], true, "circuit", &ctx->diag);
    if (rc < 0)
        return rc;
    if (conf->hop > 0)
        (void)snprintf(hop, sizeof hop, " HOP=%d", (int)conf->hop);
    (void)snprintf(line, sizeof line, "ATTACHSTREAM %s %s%s", ctx->argv[0], ctx->argv[1], hop);
    char *const lines[] = {line};
    return tor_act_run(ctx, &conf->cli, lines, 1);
}

const struct nk_cmd nk_cmd_tor_streams_attach = {
    .synopsis = "STREAM CIRCUIT [--hop N]",
    .summary = "Attach a stream that waits for a controller to a circuit",
    .opts = opts,
    .conf_size = sizeof(struct attach_conf),
    .min_args = 2,
    .max_args = 2,
    .run = run,
};
