/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/cmd.h"
#include "core/app.h"
#include "core/launcher.h"
#include "net/forward.h"
#include "net/join.h"

enum { DRAIN_MS = 10 * 1000 /* for open connections, after the first TERM */ };

/* clang-format off */
#define SHARED_ROWS                                                                                \
    {.name = "allow-uid", .type = NK_OPT_STRING,                                                   \
     .offset = NK_FIELD(struct net_forward_conf, allow_uid), .arg = "UID",                         \
     .flags = NK_OPT_REPEAT | NK_OPT_RELOAD,                                                       \
     .help = "Accept only these users (numbers), over a unix socket"},                             \
    {.name = "idle", .type = NK_OPT_DURATION,                                                      \
     .offset = NK_FIELD(struct net_forward_conf, idle_ms), .arg = "TIME", .min = 0,                \
     .max = 30LL * 24 * 3600 * 1000, .flags = NK_OPT_RELOAD,                                       \
     .help = "Close a connection on which nothing moved for this time"},                           \
    {.name = "half-idle", .type = NK_OPT_DURATION,                                                 \
     .offset = NK_FIELD(struct net_forward_conf, half_idle_ms), .arg = "TIME", .min = 0,           \
     .max = 30LL * 24 * 3600 * 1000, .flags = NK_OPT_RELOAD,                                       \
     .help = "The same once one direction has ended"},                                             \
    {.name = "max-connections", .type = NK_OPT_INT,                                                \
     .offset = NK_FIELD(struct net_forward_conf, max_connections), .arg = "N", .def = "10000",     \
     .min = 1, .max = 1000000, .flags = NK_OPT_RELOAD,                                             \
     .help = "Connections at the same time; more wait to be accepted"},                            \
    {.name = "proxy-protocol", .type = NK_OPT_ENUM,                                                \
     .offset = NK_FIELD(struct net_forward_conf, proxy_protocol), .arg = "VERSION",                \
     .def = "none", .choices = net_join_proxy_versions, .flags = NK_OPT_RELOAD,                    \
     .help = "Tell CONNECT who the client is, in a PROXY protocol header"},                        \
    {.name = "accept-proxy-protocol", .type = NK_OPT_FLAG,                                         \
     .offset = NK_FIELD(struct net_forward_conf, accept_proxy_protocol), .flags = NK_OPT_RELOAD,   \
     .help = "Each connection has to begin with such a header, which is believed"}
/* clang-format on */

static const struct nk_opt opts[] = {SHARED_ROWS, NK_OPT_END};

static const struct nk_opt rows[] = {{.name = "listen",
                                      .type = NK_OPT_LISTEN,
                                      .offset = NK_FIELD(struct net_forward_conf, listen),
                                      .arg = "LISTEN",
                                      .flags = NK_OPT_REQUIRED | NK_OPT_RELOAD,
                                      .help = "Where to accept connections"},
                                     {.name = "connect",
                                      .type = NK_OPT_CONNECT,
                                      .offset = NK_FIELD(struct net_forward_conf, connect),
                                      .arg = "CONNECT",
                                      .flags = NK_OPT_REQUIRED | NK_OPT_RELOAD,
                                      .help = "What each of them is joined to"},
                                     SHARED_ROWS,
                                     NK_OPT_END};

static const struct nk_section section = {
    .name = "forward",
    .named = true,
    .summary = "Join any listener to any connector",
    .opts = rows,
    .conf_size = sizeof(struct net_forward_conf),
};

/* The words of the command line stand for the rows that [forward NAME] has beyond ours. */
static void fill(const struct nk_cmd_ctx *ctx, void *conf)
{
    struct net_forward_conf *c = conf;
    c->listen = ctx->argv[0];
    c->connect = ctx->argv[1];
}

/* LISTEN exists once: there is nothing to reload while its only connection lasts. */
static int run_once(struct nk_cmd_ctx *ctx)
{
    struct net_forward_conf conf = *(const struct net_forward_conf *)ctx->conf;
    const struct nk_app_conf app_conf = {.log = ctx->log,
                                         .launcher = ctx->launcher,
                                         .state_dir = ctx->globals->state_dir,
                                         .ini = ctx->ini};
    struct nk_app *app;
    fill(ctx, &conf);
    if (conf.proxy_protocol || conf.accept_proxy_protocol) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "%s has no addresses for the PROXY protocol",
                       conf.listen);
    }
    int rc = nk_app_new(&app, &app_conf, &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    rc = net_forward_once(app, &conf, &ctx->diag);
    rc = rc < 0 ? rc : nk_app_run(app);
    nk_app_free(app);
    return rc;
}

static int run(struct nk_cmd_ctx *ctx)
{
    return net_forward_can_listen(ctx->argv[0])
               ? nk_service_run_cmd_with(ctx, &net_forward_service, DRAIN_MS, NULL, fill)
               : run_once(ctx);
}

const struct nk_cmd nk_cmd_forward = {
    .synopsis = "[--allow-uid UID].. [--idle TIME] [--half-idle TIME] [--max-connections N] "
                "[--proxy-protocol v1|v2] [--accept-proxy-protocol] LISTEN CONNECT",
    .summary = "Join any listener to any connector",
    .opts = opts,
    .conf_size = sizeof(struct net_forward_conf),
    .min_args = 2,
    .max_args = 2,
    .flags = NK_CMD_EXEC,
    .section = &section,
    .service = &net_forward_service,
    .run = run,
};
