/* SPDX-License-Identifier: MIT */
#include "base/cmd.h"
#include "onion/hs_watch.h"

static const struct nk_opt opts[] = {
    HS_APPLY_ROWS(struct hs_watch_conf, tor),
    TOR_ROWS_OF(struct hs_watch_conf, control, "system"),
    ONION_LIVE_ROW(struct hs_watch_conf, ports),
    {.name = "debounce",
     .type = NK_OPT_DURATION,
     .offset = NK_FIELD(struct hs_watch_conf, debounce_ms),
     .arg = "TIME",
     .def = "2s",
     .min = 1,
     .max = 3600LL * 1000,
     .help = "How long changes must have paused; after ten times as much they need not"},
    NK_OPT_END};

static void fill(const struct nk_cmd_ctx *ctx, void *conf)
{
    struct hs_watch_conf *c = conf;
    c->dirs = ctx->argv;
    c->ndirs = (size_t)ctx->argc;
    c->json = ctx->globals->json;
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct hs_watch_conf *c = ctx->conf;
    int rc = hs_apply_check(&c->tor, &ctx->diag);
    return rc < 0 ? rc : nk_service_run_cmd_with(ctx, &hs_watch_service, 0, NULL, fill);
}

extern const struct nk_cmd nk_cmd_hs_watch;
const struct nk_cmd nk_cmd_hs_watch = {
    .synopsis = "DIR.. --pid N|--pid-file FILE|--control ADDR [--debounce TIME] "
                "[--restrict|--allow-public]",
    .summary = "Watch directories of keys and let tor read what changes",
    .opts = opts,
    .conf_size = sizeof(struct hs_watch_conf),
    .min_args = 1,
    .max_args = -1,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
