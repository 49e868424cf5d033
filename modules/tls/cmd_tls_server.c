/* SPDX-License-Identifier: MIT */
/* netkit tls server; also the section [tls NAME]. */
#include "base/cmd.h"
#include "tls/serve.h"
#include "tls/serve_rows.h"

static const char *const roles[] = {"server", "client", NULL};

/* clang-format off */
static const struct nk_opt opts[] = {NK_OPT_SHARED(tls_rows_both), NK_OPT_SHARED(tls_rows_server),
                                     NK_OPT_END};

static const struct nk_opt rows[] = {
    {.name = "role", .type = NK_OPT_ENUM,
     .offset = NK_FIELD(struct tls_serve_conf, role), .arg = "server|client", .def = "server",
     .choices = roles,
     .help = "Which side has TLS: where connections come from (server), or where they go to (client)"},
    NK_OPT_SHARED(tls_rows_both), NK_OPT_SHARED(tls_rows_server), NK_OPT_SHARED(tls_rows_client),
    NK_OPT_END};
/* clang-format on */

static const struct nk_section section = {
    .name = "tls",
    .named = true,
    .summary = "TLS in front of a service, or of a client, that does not speak it",
    .opts = rows,
    .conf_size = sizeof(struct tls_serve_conf),
};

static void fill(const struct nk_cmd_ctx *ctx, void *conf)
{
    (void)ctx;
    ((struct tls_serve_conf *)conf)->role = TLS_SERVE_SERVER;
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct tls_serve_conf *c = ctx->conf;
    return nk_service_run_cmd_with(ctx, &tls_serve_service, c->drain_ms + TLS_DRAIN_SLACK_MS, NULL,
                                   fill);
}

const struct nk_cmd nk_cmd_tls_server = {
    .synopsis = "--listen LISTEN --connect CONNECT --cert FILE [--key FILE] --ca FILE "
                "--allow-cn NAME..",
    .summary = "TLS in front of a service that does not speak it",
    .opts = opts,
    .conf_size = sizeof(struct tls_serve_conf),
    .flags = NK_CMD_EXEC,
    .section = &section,
    .service = &tls_serve_service,
    .run = run,
};
