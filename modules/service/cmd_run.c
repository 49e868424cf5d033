/* SPDX-License-Identifier: MIT */
#include "service/supervise.h"
#include "service/wrap.h"

struct run_conf {
    uint64_t drain_ms;
};

static const struct nk_opt opts[] = {
    /* 8 s: `docker stop` kills after 10 s */
    {.name = "drain-timeout",
     .type = NK_OPT_DURATION,
     .offset = NK_FIELD(struct run_conf, drain_ms),
     .arg = "TIME",
     .def = "8s",
     .min = 0,
     .max = 24 * 3600 * INT64_C(1000),
     .flags = NK_OPT_CLI_ONLY,
     .help = "How long services may finish what they are doing after TERM or INT"},
    NK_OPT_END};

static int run(struct nk_cmd_ctx *ctx)
{
    const struct run_conf *conf = ctx->conf;
    if (ctx->dashes < 0) {
        return service_supervise(ctx, conf->drain_ms);
    }
    if (ctx->dashes > 0) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "either sections or a command after '--', not both");
    }
    if (ctx->argc == 0) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "there is no command after '--'");
    }
    return service_wrap(ctx, ctx->argv);
}

const struct nk_cmd nk_cmd_run = {
    .synopsis = "[SECTION..] | -- COMMAND [ARGUMENT..]",
    .summary = "Start every service of the configuration, or one program, and look after it",
    .opts = opts,
    .conf_size = sizeof(struct run_conf),
    .max_args = -1,
    .flags = NK_CMD_EXEC,
    .run = run,
};
