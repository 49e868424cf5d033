/* SPDX-License-Identifier: MIT */
#include "tor/act.h"

struct close_conf {
    struct tor_cli_conf cli;
    bool if_unused;
};

static const struct nk_opt opts[] = {{.name = "if-unused",
                                      .type = NK_OPT_FLAG,
                                      .offset = NK_FIELD(struct close_conf, if_unused),
                                      .flags = NK_OPT_CLI_ONLY,
                                      .help = "Close a circuit only when no stream uses it"},
                                     TOR_ROWS(struct close_conf, cli),
                                     NK_OPT_END};

static int run(struct nk_cmd_ctx *ctx)
{
    const struct close_conf *conf = ctx->conf;
    return tor_act_each(ctx, &conf->cli, "circuit", "CLOSECIRCUIT",
                        conf->if_unused ? " IfUnused" : "");
}

const struct nk_cmd nk_cmd_tor_circuits_close = {
    .synopsis = "ID.. [--if-unused]",
    .summary = "Close circuits of tor",
    .opts = opts,
    .conf_size = sizeof(struct close_conf),
    .min_args = 1,
    .max_args = -1,
    .run = run,
};
