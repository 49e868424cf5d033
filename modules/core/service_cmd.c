/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "base/cli.h"
#include "base/cmd.h"
#include "core/app.h"
#include "core/service.h"

/* One load: what the service gets, and what it lives in. */
struct load {
    struct nk_conf *ini; /* NULL: the one of ctx */
    void *conf;          /* our copy, with the command's words; NULL: the struct inside of ini */
};

struct served {
    struct nk_cmd_ctx *ctx;
    void (*fill)(const struct nk_cmd_ctx *ctx, void *conf);
    struct load first, current, fresh; /* current: in force, empty: first; fresh: offered now */
};

static void load_clear(struct load *l)
{
    nk_conf_free(l->ini);
    free(l->conf);
    *l = (struct load){0};
}

/* Replaces *conf by a copy that has the command's words. 0 or -ENOMEM. */
static int fill_copy(const struct served *s, struct load *l, const void **conf)
{
    size_t size = nk_cli_conf_size(s->ctx->self->cmd);
    if (!s->fill) {
        return 0;
    }
    l->conf = malloc(size);
    if (!l->conf) {
        return -ENOMEM;
    }
    memcpy(l->conf, *conf, size);
    s->fill(s->ctx, l->conf);
    *conf = l->conf;
    return 0;
}

static int reload_conf(void *owner, const void **conf, const struct nk_conf **ini,
                       struct nk_diag *diag)
{
    struct served *s = owner;
    int rc = s->ctx->reload(s->ctx, conf, &s->fresh.ini, diag);
    if (rc == 0 && fill_copy(s, &s->fresh, conf) < 0) {
        load_clear(&s->fresh);
        rc = nk_fail_sys(diag, -ENOMEM, "reload");
    }
    if (rc == 0) {
        *ini = s->fresh.ini;
    }
    return rc;
}

static void reload_done(void *owner, bool taken)
{
    struct served *s = owner;
    if (taken) {
        load_clear(&s->current);
        s->current = s->fresh;
        s->fresh = (struct load){0};
    } else {
        load_clear(&s->fresh);
    }
}

/* The command's section and the further ones of its module; NULL without memory. */
static const struct nk_section **list_sections(const struct nk_cmd *cmd)
{
    size_t n = 0, k = 0;
    for (; cmd->sections && cmd->sections[n]; n++) {
    }
    const struct nk_section **list = calloc(n + 2, sizeof(*list));
    if (list && cmd->section) {
        list[k++] = cmd->section;
    }
    for (size_t i = 0; list && i < n; i++) {
        list[k++] = cmd->sections[i];
    }
    return list;
}

static int serve(struct served *s, const struct nk_service_type *type, uint64_t drain_ms,
                 const char *name)
{
    struct nk_cmd_ctx *ctx = s->ctx;
    struct nk_app_conf conf = {
        .log = ctx->log, .launcher = ctx->launcher, .state_dir = ctx->globals->state_dir};
    const struct nk_section **sections = list_sections(ctx->self->cmd);
    struct nk_service_args args = {.name = name,
                                   .conf = ctx->conf,
                                   .ini = ctx->ini,
                                   .owner = s,
                                   .reload_conf = reload_conf,
                                   .reload_done = reload_done,
                                   .opts = nk_cli_opts(ctx->self->cmd),
                                   .sections = sections};
    struct nk_app *app;
    int rc = sections ? fill_copy(s, &s->first, &args.conf) : -ENOMEM;
    rc = rc < 0 ? nk_fail_sys(&ctx->diag, rc, "%s", ctx->self->name)
                : nk_app_new(&app, &conf, &ctx->diag);
    if (rc == 0) {
        args.app = app;
        rc = nk_service_run(app, type, &args, drain_ms, &ctx->diag);
        nk_app_free(app);
    }
    free(sections);
    return rc;
}

int nk_service_run_cmd_with(struct nk_cmd_ctx *ctx, const struct nk_service_type *type,
                            uint64_t drain_ms, const char *name,
                            void (*fill)(const struct nk_cmd_ctx *ctx, void *conf))
{
    struct served s = {.ctx = ctx, .fill = fill};
    int rc = serve(&s, type, drain_ms, name);
    load_clear(&s.current);
    load_clear(&s.first);
    return rc;
}

int nk_service_run_cmd(struct nk_cmd_ctx *ctx, const struct nk_service_type *type,
                       uint64_t drain_ms)
{
    return nk_service_run_cmd_with(ctx, type, drain_ms, NULL, NULL);
}
