/* SPDX-License-Identifier: MIT */
#include "base/cmd.h"
#include "core/app.h"
#include "core/service.h"

struct served {
    struct nk_cmd_ctx *ctx;
    struct nk_conf *current; /* in force; NULL: the one of ctx */
    struct nk_conf *fresh;   /* offered to the service now */
};

static int reload_conf(void *owner, const void **conf, const struct nk_conf **ini,
                       struct nk_diag *diag)
{
    struct served *s = owner;
    int rc = s->ctx->reload(s->ctx, conf, &s->fresh, diag);
    if (rc == 0) {
        *ini = s->fresh;
    }
    return rc;
}

static void reload_done(void *owner, bool taken)
{
    struct served *s = owner;
    nk_conf_free(taken ? s->current : s->fresh);
    s->current = taken ? s->fresh : s->current;
    s->fresh = NULL;
}

int nk_service_run_cmd(struct nk_cmd_ctx *ctx, const struct nk_service_type *type,
                       uint64_t drain_ms)
{
    struct nk_app *app;
    struct served s = {.ctx = ctx};
    struct nk_app_conf conf = {
        .log = ctx->log, .launcher = ctx->launcher, .state_dir = ctx->globals->state_dir};
    int rc = nk_app_new(&app, &conf, &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    struct nk_service_args args = {.app = app,
                                   .conf = ctx->conf,
                                   .ini = ctx->ini,
                                   .owner = &s,
                                   .reload_conf = reload_conf,
                                   .reload_done = reload_done};
    rc = nk_service_run(app, type, &args, drain_ms, &ctx->diag);
    nk_app_free(app);
    nk_conf_free(s.current);
    return rc;
}
