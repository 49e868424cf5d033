/* SPDX-License-Identifier: MIT */
#include "service/wrap.h"

#include <stdbool.h>

#include "core/app.h"
#include "core/foreground.h"

struct wrap {
    struct nk_app *app;
    struct nk_process_exit how;
    bool ended;
};

static void on_exit_(void *owner, const struct nk_process_exit *how)
{
    struct wrap *w = owner;
    w->how = *how;
    w->ended = true;
    nk_app_stop(w->app, 0);
}

int service_wrap(struct nk_cmd_ctx *ctx, char *const *argv)
{
    struct wrap w = {.ended = false};
    struct nk_foreground *program = NULL;
    struct nk_app_conf conf = {.log = ctx->log, .launcher = ctx->launcher};
    int rc = nk_app_new(&w.app, &conf, &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    rc = nk_foreground_start(w.app, argv, NULL, on_exit_, &w, &program, &ctx->diag);
    if (rc == 0) {
        nk_app_run(w.app);
        rc = w.ended ? nk_foreground_status(ctx, &w.how, argv[0])
                     : nk_fail(&ctx->diag, NK_EINTERNAL, "%s: lost", argv[0]);
    }
    nk_foreground_close(program);
    nk_app_free(w.app);
    return rc;
}
