/* SPDX-License-Identifier: MIT */
#include "core/control.h"
#include "relay/admin_ask.h"

struct kick_conf {
    struct nk_strlist group;
};

static const struct nk_opt opts[] = {{.name = "group",
                                      .type = NK_OPT_STRING,
                                      .offset = NK_FIELD(struct kick_conf, group),
                                      .arg = "GROUP",
                                      .flags = NK_OPT_REPEAT | NK_OPT_CLI_ONLY,
                                      .help = "Close every connection that is in this group; may "
                                              "be repeated"},
                                     NK_OPT_END};

static int run(struct nk_cmd_ctx *ctx)
{
    const struct kick_conf *conf = ctx->conf;
    const char *words[NK_CONTROL_WORDS] = {"kick"};
    size_t n = 1, wanted = (size_t)ctx->argc + conf->group.n;
    if (wanted == 0) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "say which: a connection's ID or PEER, or --group");
    }
    if (2 * wanted + 1 > NK_CONTROL_WORDS) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "more than %d at once", (NK_CONTROL_WORDS - 1) / 2);
    }
    for (int i = 0; i < ctx->argc; i++) {
        words[n++] = "connection";
        words[n++] = ctx->argv[i];
    }
    for (size_t i = 0; i < conf->group.n; i++) {
        words[n++] = "group";
        words[n++] = conf->group.v[i];
    }
    return relay_admin_run(ctx, words, n);
}

const struct nk_cmd nk_cmd_relay_kick = {
    .synopsis = "ID|PEER.. [--group GROUP]..",
    .summary = "Close connections of the relay that runs in the state directory",
    .opts = opts,
    .conf_size = sizeof(struct kick_conf),
    .max_args = -1,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
