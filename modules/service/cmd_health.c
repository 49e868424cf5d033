/* SPDX-License-Identifier: MIT */
/* For HEALTHCHECK and probes: quick, small, and never waits for long. */
#include <string.h>

#include "base/cli.h"
#include "service/control.h"

#define TIMEOUT_MS 5000 /* docker's and kubernetes' probes give up after 1 to 30 s */

struct health_conf {
    bool live, ready;
};

static const struct nk_opt opts[] = {
    {.name = "live",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct health_conf, live),
     .flags = NK_OPT_CLI_ONLY,
     .help = "It is enough that the process answers, also while it starts or ends"},
    {.name = "ready",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct health_conf, ready),
     .flags = NK_OPT_CLI_ONLY,
     .help = "All services have to be ready (the default)"},
    NK_OPT_END};

static int run(struct nk_cmd_ctx *ctx)
{
    const struct health_conf *conf = ctx->conf;
    const char *const words[] = {"health"};
    struct nk_buf out;
    uint64_t limit = ctx->globals->timeout_ms ? ctx->globals->timeout_ms : TIMEOUT_MS;
    if (conf->live && conf->ready) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "either --live or --ready");
    }
    nk_buf_init(&out, NK_CONTROL_ANSWER);
    int rc = service_control_ask(ctx, words, 1, limit, &out);
    if (rc == 0) {
        const char *state = nk_buf_str(&out);
        nk_cli_print(&out);
        rc = conf->live || (state && strcmp(state, "ready\n") == 0) ? 0 : NK_EXIT_FAILED;
    } else {
        nk_cli_report(ctx->self->name, &ctx->diag, ctx->globals->json);
        rc = NK_EXIT_FAILED; /* the one answer that every prober understands */
    }
    nk_buf_clear(&out);
    return rc;
}

const struct nk_cmd nk_cmd_health = {
    .synopsis = "[--live|--ready]",
    .summary = "Check whether the services of 'netkit run' are ready",
    .opts = opts,
    .conf_size = sizeof(struct health_conf),
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
