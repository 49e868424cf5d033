/* SPDX-License-Identifier: MIT */
#include "relay/daemon_ask.h"

struct stop_conf {
    char *name;
};

static const struct nk_opt opts[] = {
    RELAY_DAEMON_NAME_ROW(struct stop_conf, name, "The daemon to stop; default: default"),
    NK_OPT_END};

/* DONE, then the end of the stream: the daemon has ended and its folder is free. */
static int stop(struct relay_daemon_link *l)
{
    struct nk_buf b;
    nk_buf_init(&b, RELAY_DAEMON_REQUEST);
    int rc = relay_daemon_put(&b, DAEMON_STOP, NULL, 0);
    rc = rc < 0 ? nk_fail_sys(l->diag, rc, "endpoint") : relay_daemon_say(l, &b);
    nk_buf_clear(&b);
    rc = rc < 0 ? rc : relay_daemon_wait(l, NULL);
    if (rc != 0) {
        return rc;
    }
    rc = relay_daemon_wait(l, NULL);
    if (rc == NK_ECLOSED) {
        *l->diag = (struct nk_diag){0};
        return 0;
    }
    return rc;
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct stop_conf *conf = ctx->conf;
    struct relay_daemon_link l;
    int rc = relay_daemon_connect(&l, ctx, conf->name, ctx->globals->timeout_ms);
    rc = rc != 0 ? rc : stop(&l);
    relay_daemon_hangup(&l);
    return relay_daemon_result(ctx, rc);
}

const struct nk_cmd nk_cmd_endpoint_stop = {
    .synopsis = "[--name NAME]",
    .summary = "Let an endpoint daemon send what it has, and end",
    .description =
        "The daemon takes nothing more; when the relay has acknowledged everything that was given "
        "to it, it ends, and so does this command. Objects that nobody took go back to the relay. "
        "While the relay cannot be reached that takes as long as it takes: with --timeout this "
        "command gives up waiting (status 75), but the daemon does not.",
    .examples = "netkit endpoint stop --name worker --timeout 10s",
    .opts = opts,
    .conf_size = sizeof(struct stop_conf),
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
