/* SPDX-License-Identifier: MIT */
#include "relay/admin_ask.h"

#include <stdio.h>

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

/* dir holds what ask points to. */
static int ask_of(struct nk_cmd_ctx *ctx, const char *const *words, size_t n, char dir[NK_PATH_MAX],
                  struct nk_control_ask *ask)
{
    uint64_t limit = ctx->globals->timeout_ms;
    int rc = nk_service_dir(dir, NK_PATH_MAX, ctx->globals->state_dir, relay_section.name, NULL);
    if (rc < 0) {
        return nk_fail_sys(&ctx->diag, rc, "%s", ctx->globals->state_dir);
    }
    *ask = (struct nk_control_ask){.dir = dir,
                                   .who = "a relay",
                                   .words = words,
                                   .n = n,
                                   .timeout_ms = limit ? limit : TIMEOUT_MS};
    return 0;
}

int relay_admin_ask(struct nk_cmd_ctx *ctx, const char *const *words, size_t n, struct nk_buf *out)
{
    char dir[NK_PATH_MAX];
    struct nk_control_ask ask;
    int rc = ask_of(ctx, words, n, dir, &ask);
    return rc < 0 ? rc : nk_control_ask(&ask, out, &ctx->diag);
}

int relay_admin_run(struct nk_cmd_ctx *ctx, const char *const *words, size_t n)
{
    char dir[NK_PATH_MAX];
    struct nk_control_ask ask;
    int rc = ask_of(ctx, words, n, dir, &ask);
    return rc < 0 ? rc : nk_control_show(ctx, &ask);
}

int relay_admin_list(struct nk_cmd_ctx *ctx, const char *what)
{
    const struct relay_admin_list_conf *conf = ctx->conf;
    char max[NUMBER_TEXT];
    (void)snprintf(max, sizeof(max), "%lld", (long long)conf->max);
    const char *const words[] = {what, ctx->globals->json ? "json" : "table", max};
    return relay_admin_run(ctx, words, sizeof(words) / sizeof(words[0]));
}
