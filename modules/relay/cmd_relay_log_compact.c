/* SPDX-License-Identifier: MIT */
/* netkit relay log compact: leave only what is alive in the log of a relay that does not run. */
#include <inttypes.h>
#include <stdio.h>

#include "core/app.h"
#include "relay/log.h"
#include "relay/log_tool.h"

struct compact {
    struct nk_cmd_ctx *ctx;
    struct nk_app *app;
    int failed;
};

static void on_committed(void *owner, uint64_t ticket, int status)
{
    struct compact *c = owner;
    (void)ticket;
    if (status < 0) {
        c->failed = status;
    }
}

static void on_fatal(void *owner, int code)
{
    ((struct compact *)owner)->failed = code;
}

static const struct relay_log_ops ops = {.committed = on_committed, .fatal = on_fatal};

static int compact(struct compact *c, const struct relay_log_tool *t)
{
    struct relay_memory memory = {0};
    struct relay_log *log;
    struct relay_log_stats before, after;
    const struct relay_log_conf conf = {
        .app = c->app, .dir = t->path, .memory = &memory, .ops = &ops, .owner = c};
    int rc = relay_log_open(&conf, &log, &c->ctx->diag);
    if (rc < 0) {
        return rc;
    }
    relay_log_stats(log, &before);
    relay_log_compact(log);
    while (!c->failed && (relay_log_compacting(log) || !relay_log_idle(log))) {
        nk_app_turn(c->app, -1);
    }
    relay_log_stats(log, &after);
    relay_log_close(log);
    relay_memory_trim(&memory);
    if (c->failed) {
        return nk_fail_sys(&c->ctx->diag, c->failed, "compacting %s", t->path);
    }
    if (c->ctx->globals->json) {
        printf("{\"bytes_before\": %" PRIu64 ", \"bytes_after\": %" PRIu64
               ", \"segments\": %" PRIu64 "}\n",
               before.bytes, after.bytes, after.segments);
    } else if (!c->ctx->globals->quiet) {
        printf("%" PRIu64 " bytes before, %" PRIu64 " now\n", before.bytes, after.bytes);
    }
    return 0;
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct relay_log_tool t;
    struct compact c = {.ctx = ctx};
    const struct nk_app_conf conf = {.log = ctx->log};
    int rc = relay_log_tool_open(&t, ctx);
    rc = rc < 0 ? rc : nk_app_new(&c.app, &conf, &ctx->diag);
    rc = rc < 0 ? rc : compact(&c, &t);
    if (c.app) {
        nk_app_free(c.app);
    }
    relay_log_tool_close(&t);
    return rc;
}

extern const struct nk_cmd nk_cmd_relay_log_compact;
const struct nk_cmd nk_cmd_relay_log_compact = {
    .synopsis = "",
    .summary = "Write anew what is alive in the log of a stopped relay",
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
