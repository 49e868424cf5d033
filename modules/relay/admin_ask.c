/* SPDX-License-Identifier: MIT */
#include "relay/admin_ask.h"

#include <stdio.h>

#include "base/cli.h"
#include "base/file.h"
#include "core/control.h"
#include "relay/relay.h"

#define TIMEOUT_MS 10000
#define NUMBER_TEXT 24

const struct nk_opt relay_admin_list_opts[] = {
    {.name = "max",
     .short_name = 'n',
     .type = NK_OPT_INT,
     .offset = NK_FIELD(struct relay_admin_list_conf, max),
     .arg = "N",
     .def = "1000",
     .max = INT64_MAX,
     .flags = NK_OPT_CLI_ONLY,
     .help = "At most so many, the oldest first; 0: all"},
    NK_OPT_END};

int relay_admin_ask(struct nk_cmd_ctx *ctx, const char *const *words, size_t n, struct nk_buf *out)
{
    char dir[NK_PATH_MAX];
    uint64_t limit = ctx->globals->timeout_ms;
    int rc = nk_service_dir(dir, sizeof(dir), ctx->globals->state_dir, relay_section.name, NULL);
    if (rc < 0) {
        return nk_fail_sys(&ctx->diag, rc, "%s", ctx->globals->state_dir);
    }
    const struct nk_control_ask ask = {.dir = dir,
                                       .who = "a relay",
                                       .words = words,
                                       .n = n,
                                       .timeout_ms = limit ? limit : TIMEOUT_MS};
    return nk_control_ask(&ask, out, &ctx->diag);
}

int relay_admin_run(struct nk_cmd_ctx *ctx, const char *const *words, size_t n)
{
    struct nk_buf out;
    nk_buf_init(&out, NK_CONTROL_ANSWER);
    int rc = relay_admin_ask(ctx, words, n, &out);
    if (rc == 0) {
        nk_cli_print(&out);
    } else if (rc > 0) {
        nk_cli_report(ctx->self->name, &ctx->diag, ctx->globals->json);
    }
    nk_buf_clear(&out);
    return rc;
}

int relay_admin_list(struct nk_cmd_ctx *ctx, const char *what)
{
    const struct relay_admin_list_conf *conf = ctx->conf;
    char max[NUMBER_TEXT];
    (void)snprintf(max, sizeof(max), "%lld", (long long)conf->max);
    const char *const words[] = {what, ctx->globals->json ? "json" : "table", max};
    return relay_admin_run(ctx, words, sizeof(words) / sizeof(words[0]));
}
