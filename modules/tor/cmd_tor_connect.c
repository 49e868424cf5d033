/* SPDX-License-Identifier: MIT */
/* netkit tor connect: standard input and output through Tor, as nc does it without. */
#include <stdio.h>
#include <string.h>

#include "base/endpoint.h"
#include "core/app.h"
#include "core/pump.h"
#include "core/registry.h"
#include "core/signal.h"
#include "tor/socks_cli.h"
#include "tor/target.h"

struct connect_conf {
    struct tor_socks_cli_conf cli;
    char *circuit;
    uint64_t linger_ms;
};

static const struct nk_opt opts[] = {
    TOR_SOCKS_CLI_ROWS(struct connect_conf, cli),
    {.name = "circuit",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct connect_conf, circuit),
     .arg = "ID|PATH",
     .flags = NK_OPT_CLI_ONLY,
     .help = "Only over this circuit: its number, or a path for a new one: relays with commas "
             "between, '*' for any"},
    {.name = "linger",
     .type = NK_OPT_DURATION,
     .offset = NK_FIELD(struct connect_conf, linger_ms),
     .arg = "TIME",
     .def = TOR_VIA_LINGER,
     .min = 0,
     .max = 3600 * 1000,
     .help = "Pass the end of standard input on when nothing has come for this time"},
    NK_OPT_END};

struct joined {
    struct nk_app *app;
    struct nk_diag *diag;
    struct nk_pump *pump;
};

static void on_done(void *owner, const struct nk_pump_result *r)
{
    struct joined *j = owner;
    j->pump = NULL;
    if (r->error < 0) {
        *j->diag = *r->why;
    }
    nk_app_stop(j->app, r->error);
}

/* HOST:PORT, or HOST PORT as ssh's ProxyCommand can give it. */
static int target_of(struct nk_cmd_ctx *ctx, struct tor_via_conf *out)
{
    const struct connect_conf *c = ctx->conf;
    char body[SOCKS_TEXT_MAX + 16], host[SOCKS_TEXT_MAX + 1];
    const char *word = ctx->argv[0];
    uint16_t port;
    if (ctx->argc == 2) {
        bool v6 = strchr(word, ':') && word[0] != '[';
        int n = snprintf(body, sizeof(body), v6 ? "[%s]:%s" : "%s:%s", word, ctx->argv[1]);
        if (n < 0 || (size_t)n >= sizeof(body)) {
            return nk_fail(&ctx->diag, NK_EUSAGE, "'%.80s' is not a host name", word);
        }
        word = body;
    }
    int rc = nk_ep_host_port(word, host, sizeof(host), &port, 0, &ctx->diag);
    if (rc < 0 || port == 0) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "'%.80s' is not HOST:PORT", word);
    }
    tor_socks_cli_via(&c->cli, out);
    out->command = SOCKS_CONNECT;
    out->circuit = c->circuit;
    out->linger_ms = c->linger_ms;
    out->timeout_ms = tor_socks_cli_timeout(ctx);
    rc = tor_target_set(&out->to, host, port, c->cli.allow_private, &out->onion, &ctx->diag);
    return rc < 0 ? rc : tor_socks_cli_check(ctx, out);
}

static int join(struct nk_app *app, const struct tor_via_conf *via, struct joined *j)
{
    const struct nk_pump_conf no_limits = {0};
    struct nk_stream *here = NULL, *there = NULL;
    struct nk_endpoint *ep;
    int rc = nk_endpoint_parse("stdio:", NK_EP_CONNECT, &ep, j->diag);
    if (rc < 0) {
        return rc;
    }
    rc = tor_via_open(app, via, &there, j->diag);
    rc = rc < 0 ? rc : nk_dial(app, ep, NULL, NULL, &here, j->diag);
    nk_endpoint_free(ep);
    if (rc < 0) {
        nk_stream_close(there);
        return rc;
    }
    rc = nk_pump_start(app, here, there, &no_limits, on_done, j, &j->pump);
    return rc < 0 ? nk_fail_sys(j->diag, rc, "tor connect") : 0;
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct nk_app_conf app_conf = {
        .log = ctx->log,
        .launcher = ctx->launcher,
        .state_dir = ctx->globals->state_dir,
        .ini = ctx->ini,
    };
    struct joined j = {.diag = &ctx->diag};
    struct tor_via_conf via;
    int rc = target_of(ctx, &via);
    rc = rc < 0 ? rc : nk_app_new(&j.app, &app_conf, &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    rc = nk_signal_oneshot_guard(j.app); /* what tor was told is to be taken back */
    rc = rc < 0 ? nk_fail_sys(&ctx->diag, rc, "signals") : join(j.app, &via, &j);
    rc = rc < 0 ? rc : nk_app_run(j.app);
    nk_pump_close(j.pump);
    nk_app_free(j.app);
    return rc;
}

extern const struct nk_cmd nk_cmd_tor_connect;
const struct nk_cmd nk_cmd_tor_connect = {
    .synopsis = "[--socks ADDR] [--isolate NAME|--circuit ID|PATH] [--linger TIME] HOST:PORT",
    .summary = "Join standard input and output to a place behind Tor",
    .opts = opts,
    .conf_size = sizeof(struct connect_conf),
    .min_args = 1,
    .max_args = 2,
    .flags = NK_CMD_EXEC,
    .run = run,
};
