/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "relay/daemon_ask.h"

#define TIMEOUT_MS 10000

struct status_conf {
    char *name;
};

static const struct nk_opt opts[] = {
    RELAY_DAEMON_NAME_ROW(struct status_conf, name, "The daemon to ask; default: default"),
    NK_OPT_END};

static int run(struct nk_cmd_ctx *ctx)
{
    const struct status_conf *conf = ctx->conf;
    uint64_t limit = ctx->globals->timeout_ms;
    struct relay_daemon_link l;
    struct relay_daemon_done done;
    struct nk_buf b;
    nk_buf_init(&b, RELAY_DAEMON_REQUEST);
    int rc = relay_daemon_connect(&l, ctx, conf->name, limit ? limit : TIMEOUT_MS);
    if (rc == 0) {
        rc = relay_daemon_put(&b, DAEMON_STATUS, NULL, 0);
        rc = rc < 0 ? nk_fail_sys(&ctx->diag, rc, "endpoint") : relay_daemon_say(&l, &b);
    }
    rc = rc != 0 ? rc : relay_daemon_wait(&l, &done);
    if (rc == 0) {
        (void)fwrite(done.text, 1, done.len, stdout);
    }
    nk_buf_clear(&b);
    relay_daemon_hangup(&l);
    return relay_daemon_result(ctx, rc);
}

const struct nk_cmd nk_cmd_endpoint_status = {
    .synopsis = "[--name NAME]",
    .summary = "Show what an endpoint daemon is doing",
    .opts = opts,
    .conf_size = sizeof(struct status_conf),
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
