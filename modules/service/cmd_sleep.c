/* SPDX-License-Identifier: MIT */
/* For preStop hooks of images that have no sleep of their own. */
#include <stdio.h>

#include "base/cmd.h"
#include "base/codec.h"
#include "core/app.h"
#include "core/signal.h"
#include "core/timer.h"

#define LONGEST_MS (UINT64_C(1) << 40) /* of a timer */

static void on_over(void *owner)
{
    nk_app_stop(owner, 0);
}

/* "5" is seconds, as with sleep(1); otherwise a duration as everywhere. */
static int parse_time(const char *text, uint64_t *ms, struct nk_diag *diag)
{
    uint64_t seconds;
    if (nk_parse_u64(text, &seconds) == 0) {
        *ms = seconds > LONGEST_MS / 1000 ? LONGEST_MS : seconds * 1000;
        return 0;
    }
    if (nk_parse_duration(text, ms) < 0 || *ms > LONGEST_MS) {
        return nk_fail(diag, NK_EUSAGE, "'%.40s' is no time: write 5, 250ms, 2m or 1h", text);
    }
    return 0;
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct nk_app *app = NULL;
    struct nk_app_conf conf = {.log = ctx->log, .launcher = ctx->launcher};
    struct nk_timer timer;
    uint64_t ms;
    int rc = parse_time(ctx->argv[0], &ms, &ctx->diag);
    if (rc == 0) {
        rc = nk_app_new(&app, &conf, &ctx->diag);
    }
    if (rc < 0) {
        return rc;
    }
    nk_timer_init(&timer, app, on_over, app);
    rc = nk_signal_oneshot_guard(app);
    if (rc < 0) {
        nk_fail_sys(&ctx->diag, rc, "signals");
    } else {
        nk_timer_start(&timer, ms);
        rc = nk_app_run(app);
        nk_timer_stop(&timer);
    }
    nk_app_free(app);
    return rc;
}

const struct nk_cmd nk_cmd_sleep = {
    .synopsis = "TIME",
    .summary = "Wait, then end",
    .min_args = 1,
    .max_args = 1,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
