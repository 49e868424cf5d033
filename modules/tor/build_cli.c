/* SPDX-License-Identifier: MIT */
#include "tor/build_cli.h"

#include <string.h>
#include <strings.h>

#include "base/cli.h"
#include "tor/build.h"
#include "tor/given.h"

#define WAIT_MS 60000u
#define OUTPUT_MAX ((size_t)1 << 16)

const struct nk_opt tor_build_opts[] = {
    {.name = "purpose",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct tor_build_cli_conf, purpose),
     .arg = "PURPOSE",
     .flags = NK_OPT_CLI_ONLY,
     .help = "general (tor may use it for any stream) or controller (only when told to); default: "
             "general"},
    TOR_ROWS(struct tor_build_cli_conf, cli),
    NK_OPT_END};

struct build_run {
    struct nk_cmd_ctx *ctx;
    struct tor_cli *cli;
    struct tor_build *build;
    struct tor_build_conf conf;
};

static int print(struct nk_cmd_ctx *ctx, const struct tor_event *e)
{
    struct nk_buf out;
    struct nk_json j;
    const struct tor_value *id = tor_event_get(e, "id"), *path = tor_event_get(e, "path");
    int rc = 0;
    nk_buf_init(&out, OUTPUT_MAX);
    if (ctx->globals->json) {
        nk_json_init(&j, &out, false);
        nk_json_object(&j);
        rc = tor_event_json(e, false, &j);
        nk_json_close(&j);
        return rc < 0 ? rc : nk_cli_put_json(&j, &ctx->diag);
    }
    rc = id ? tor_value_text(id, &out) : 0;
    rc = rc < 0 ? rc : nk_buf_u8(&out, ' ');
    rc = rc < 0 || !path ? rc : tor_value_text(path, &out);
    rc = rc < 0 ? rc : nk_buf_u8(&out, '\n');
    if (rc == 0)
        nk_cli_print(&out);
    nk_buf_clear(&out);
    return rc;
}

static void on_built(void *owner, int err, const struct tor_event *circuit,
                     const struct nk_diag *why)
{
    struct build_run *b = owner;
    b->build = NULL;
    if (err < 0)
        b->ctx->diag = *why;
    else
        err = print(b->ctx, circuit);
    tor_cli_finish(b->cli, err);
}

static void ready(struct tor_cli *cli)
{
    struct build_run *b = cli->task->owner;
    b->cli = cli;
    b->conf.control = cli->control;
    int rc = tor_build_start(&b->build, &b->conf, &b->ctx->diag);
    if (rc < 0)
        tor_cli_finish(cli, rc);
}

static void end(struct tor_cli *cli)
{
    struct build_run *b = cli->task->owner;
    tor_build_cancel(b->build);
    b->build = NULL;
}

int tor_build_run(struct nk_cmd_ctx *ctx, const char *id, const char *path)
{
    const struct tor_build_cli_conf *conf = ctx->conf;
    struct build_run b = {.ctx = ctx};
    b.conf = (struct tor_build_conf){
        .id = id, .path = path, .purpose = conf->purpose, .fn = on_built, .owner = &b};
    bool chosen = path && (id || strcmp(path, "auto") != 0);
    int rc = id ? tor_id_check(id, false, "circuit", &ctx->diag) : 0;
    rc = rc < 0 || !chosen ? rc : tor_path_check(path, &ctx->diag);
    if (rc == 0 && conf->purpose && strcasecmp(conf->purpose, "general") != 0 &&
        strcasecmp(conf->purpose, "controller") != 0)
        rc = nk_fail(&ctx->diag, NK_EUSAGE, "'%.40s': a purpose is general or controller",
                     conf->purpose);
    if (rc < 0)
        return rc;
    const struct tor_cli_task task = {
        .ready = ready, .end = end, .owner = &b, .timeout_ms = WAIT_MS};
    return tor_cli_run(ctx, &conf->cli, &task);
}
