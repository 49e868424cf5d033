/* SPDX-License-Identifier: MIT */
/* netkit tor signal: SIGNAL (control-spec 3.7). */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "tor/cli.h"
#include "tor/given.h"

struct job {
    struct tor_cli *cli;
    struct tor_request request;
};

/* After these tor may be gone before its answer is read. */
static bool ends_tor(const char *name)
{
    static const char *const names[] = {"HALT", "TERM", "SHUTDOWN", "INT"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcasecmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void on_reply(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct job *job = owner;
    struct nk_cmd_ctx *ctx = job->cli->ctx;
    bool gone = (err == NK_ECLOSED || err == -ECONNRESET) && ends_tor(ctx->argv[0]);
    if (gone || tor_cli_reply(job->cli, err, reply, why, "SIGNAL")) {
        tor_cli_finish(job->cli, 0);
    } else if (err == 0) {
        nk_hint(&ctx->diag, "netkit tor info signal/names lists them");
    }
}

static void ready(struct tor_cli *cli)
{
    struct job *job = cli->task->owner;
    job->cli = cli;
    job->request = (struct tor_request){.fn = on_reply, .owner = job};
    tor_cli_send_words(cli, &job->request, "SIGNAL", cli->ctx->argv, 1);
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct tor_cli_conf *conf = ctx->conf;
    struct job job = {0};
    const struct tor_cli_task task = {.ready = ready, .owner = &job};
    int rc = tor_name_check(ctx->argv[0], strlen(ctx->argv[0]), "signal", &ctx->diag);
    return rc < 0 ? rc : tor_cli_run(ctx, conf, &task);
}

extern const struct nk_cmd nk_cmd_tor_signal;
const struct nk_cmd nk_cmd_tor_signal = {
    .synopsis = "NAME",
    .summary = "Send tor a signal over its control port",
    .opts = tor_cli_rows,
    .conf_size = sizeof(struct tor_cli_conf),
    .min_args = 1,
    .max_args = 1,
    .flags = NK_CMD_EXEC,
    .run = run,
};
