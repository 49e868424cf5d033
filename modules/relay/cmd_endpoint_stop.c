/* SPDX-License-Identifier: MIT */
#include "relay/daemon_ask.h"

#define WAIT_MS 60000 /* without --timeout */
#define LATE_MS 5000  /* longer than the daemon waits itself */

struct stop_conf {
    char *name;
    bool force;
};

static const struct nk_opt opts[] = {
    RELAY_DAEMON_NAME_ROW(struct stop_conf, name, "The daemon to stop; default: default"),
    {.name = "force",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct stop_conf, force),
     .flags = NK_OPT_CLI_ONLY,
     .help =
         "End it now; objects that are not with the relay yet are lost, and counted (status 1)"},
    NK_OPT_END};

/* Until the end of the stream: then the daemon has ended and its folder is free. */
static int wait_for_end(struct relay_daemon_link *l)
{
    int rc = relay_daemon_wait(l, NULL);
    if (rc == NK_ECLOSED) {
        *l->diag = (struct nk_diag){0};
        return 0;
    }
    if (rc == NK_EXIT_TEMPFAIL) {
        nk_hint(l->diag,
                "wait again with 'netkit endpoint stop --name %s', or give the objects up "
                "with --force",
                l->name);
    }
    return rc;
}

static int stop(struct relay_daemon_link *l, const struct relay_daemon_stop *how)
{
    struct relay_daemon_done done;
    struct nk_buf b;
    nk_buf_init(&b, RELAY_DAEMON_REQUEST);
    int rc = relay_daemon_put_stop(&b, how);
    rc = rc < 0 ? nk_fail_sys(l->diag, rc, "endpoint") : relay_daemon_say(l, &b);
    nk_buf_clear(&b);
    rc = rc < 0 ? rc : relay_daemon_wait(l, &done);
    rc = rc != 0 ? rc : wait_for_end(l);
    if (rc == 0 && how->force && done.count > 0) {
        (void)nk_fail(l->diag, NK_ELIMIT,
                      "endpoint %s has ended; %llu object(s) were not with the relay and are lost",
                      l->name, (unsigned long long)done.count);
        rc = NK_EXIT_FAILED;
    }
    return rc;
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct stop_conf *conf = ctx->conf;
    uint64_t limit = ctx->globals->timeout_ms ? ctx->globals->timeout_ms : WAIT_MS;
    const struct relay_daemon_stop how = {.force = conf->force, .wait_ms = limit};
    struct relay_daemon_link l;
    int rc = relay_daemon_connect(&l, ctx, conf->name, limit + LATE_MS);
    rc = rc != 0 ? rc : stop(&l, &how);
    relay_daemon_hangup(&l);
    return relay_daemon_result(ctx, rc);
}

const struct nk_cmd nk_cmd_endpoint_stop = {
    .synopsis = "[--name NAME] [--force]",
    .summary = "Let an endpoint daemon send what it has, and end",
    .opts = opts,
    .conf_size = sizeof(struct stop_conf),
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
