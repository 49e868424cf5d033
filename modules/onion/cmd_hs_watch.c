/* SPDX-License-Identifier: MIT */
#include "base/cmd.h"
#include "onion/hs_watch.h"

static const struct nk_opt opts[] = {
    HS_APPLY_ROWS(struct hs_watch_conf, tor),
    TOR_ROWS(struct hs_watch_conf, control),
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
    .description =
        "Does what apply does whenever the keys in one of these directories have changed and then "
        "been left alone for a while: checks them, and if nothing is wrong lets tor read them, by "
        "SIGHUP or over its control port (--control, --tor global); while that is away nothing is "
        "lost, tor is told when it is back. A key of a client that goes from a directory which tor "
        "does not read is taken from tor, too. What counts is the set of keys; names and spellings "
        "do not. A PidFile is read at each change.\n\n"
        "A restricted service whose last client goes does not become public: its lock is put "
        "there, and nobody gets in.\n\n"
        "With --json each event is a line on standard output: ready; applied (tor has read it); "
        "over the control port then confirmed (the network has what changed) or unconfirmed (not "
        "yet); refused (with what is wrong); ended (the tor that was told has, or its connection); "
        "absent (something changed while no tor was there to be told: it reads that when it "
        "starts, or is told when it is back); error. What was changed before the start is not "
        "applied; 'hs apply' does that.",
    .examples = "netkit hs watch /var/lib/tor/web --pid-file /run/tor/tor.pid\n"
                "netkit hs watch /var/lib/tor/web --control /run/tor/control\n"
                "netkit hs watch /var/lib/tor/web --pid-file /run/tor/tor.pid --json",
    .opts = opts,
    .conf_size = sizeof(struct hs_watch_conf),
    .min_args = 1,
    .max_args = -1,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
