/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "tor/act.h"

#define REASON_MAX 255

struct close_conf {
    struct tor_cli_conf cli;
    int64_t reason;
};

static const struct nk_opt opts[] = {
    {.name = "reason",
     .type = NK_OPT_INT,
     .offset = NK_FIELD(struct close_conf, reason),
     .arg = "N",
     .def = "1",
     .min = 1,
     .max = REASON_MAX,
     .flags = NK_OPT_CLI_ONLY,
     .help = "Number of the reason in tor's specification (tor-spec, RELAY_END): 1 is MISC"},
    TOR_ROWS(struct close_conf, cli),
    NK_OPT_END};

static int run(struct nk_cmd_ctx *ctx)
{
    const struct close_conf *conf = ctx->conf;
    char behind[16];
    (void)snprintf(behind, sizeof behind, " %d", (int)conf->reason);
    return tor_act_each(ctx, &conf->cli, "stream", "CLOSESTREAM", behind);
}

const struct nk_cmd nk_cmd_tor_streams_close = {
    .synopsis = "ID.. [--reason N]",
    .summary = "Close streams of tor",
    .opts = opts,
    .conf_size = sizeof(struct close_conf),
    .min_args = 1,
    .max_args = -1,
    .run = run,
};
