/* SPDX-License-Identifier: MIT */
/* netkit tor wait: until tor can be used. */
#include <stdio.h>
#include <string.h>

#include "base/cli.h"
#include "tor/bootstrap.h"
#include "tor/cli.h"
#include "tor/progress.h"

struct job {
    struct tor_cli *cli;
    bool circuit; /* what is waited for */
    struct tor_request request, dormant, active;
    struct tor_subscription events;
};

static int print_json(struct job *job)
{
    struct nk_buf out;
    struct nk_json j;
    nk_buf_init(&out, 256);
    nk_json_init(&j, &out, false);
    nk_json_object(&j);
    nk_json_kv_i64(&j, "schema", 1);
    nk_json_kv_str(&j, "reached", job->circuit ? "circuit" : "bootstrap");
    nk_json_close(&j);
    return nk_cli_put_json(&j, &job->cli->ctx->diag);
}

static void reached(struct job *job)
{
    tor_progress_clean(&job->cli->progress);
    tor_cli_finish(job->cli, job->cli->ctx->globals->json ? print_json(job) : 0);
}

/* One step of the bootstrap, from an event or the answer to GETINFO. */
static void step(struct job *job, const char *text, size_t len)
{
    struct tor_bootstrap b;
    if (tor_bootstrap_parse(&b, text, len) != 0) {
        return;
    }
    tor_progress_bootstrap(&job->cli->progress, &b);
    if (!job->circuit && b.percent == TOR_BOOTSTRAP_DONE) {
        reached(job);
    }
}

static void on_event(void *owner, const struct tor_reply *event)
{
    struct job *job = owner;
    const struct tor_line *l = &event->lines[0];
    struct tor_words words;
    struct tor_word w;
    step(job, l->text, l->len);
    tor_words_init(&words, l->text, l->len);
    while (tor_words_next(&words, &w)) {
        if (job->circuit && tor_word_is(&w, "CIRCUIT_ESTABLISHED")) {
            reached(job);
        }
    }
}

static void on_reply(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct job *job = owner;
    struct tor_word w;
    if (err < 0) {
        return; /* the connection is lost: `ready` comes again */
    }
    if (!tor_cli_reply(job->cli, err, reply, why, "GETINFO")) {
        return;
    }
    if (tor_reply_find(reply, "status/bootstrap-phase", &w)) {
        step(job, w.value, w.value_len);
    }
    if (job->circuit && tor_reply_find(reply, "status/circuit-established", &w) &&
        w.value_len == 1 && w.value[0] == '1') {
        reached(job);
    }
}

static void on_active(void *owner, int err, const struct tor_reply *reply,
                      const struct nk_diag *why)
{
    struct job *job = owner;
    if (err == 0) {
        (void)tor_cli_reply(job->cli, err, reply, why, "SIGNAL ACTIVE");
    }
}

/* A dormant tor builds no circuits until somebody needs one. */
static void on_dormant(void *owner, int err, const struct tor_reply *reply,
                       const struct nk_diag *why)
{
    struct job *job = owner;
    struct tor_word w;
    (void)why;
    bool is =
        err == 0 && tor_reply_find(reply, "dormant", &w) && w.value_len == 1 && w.value[0] == '1';
    if (is && !job->cli->finished) {
        job->active = (struct tor_request){.fn = on_active, .owner = job};
        int rc = tor_control_send(job->cli->control, &job->active, "SIGNAL ACTIVE", NULL, 0,
                                  &job->cli->ctx->diag);
        if (rc < 0) {
            tor_cli_finish(job->cli, rc);
        }
    }
}

static void ready(struct tor_cli *cli)
{
    struct job *job = cli->task->owner;
    struct nk_diag *diag = &cli->ctx->diag;
    if (!job->cli) {
        job->cli = cli;
        job->events =
            (struct tor_subscription){.event = "STATUS_CLIENT", .fn = on_event, .owner = job};
        (void)tor_control_subscribe(cli->control, &job->events);
    }
    job->request = (struct tor_request){.fn = on_reply, .owner = job};
    job->dormant = (struct tor_request){.fn = on_dormant, .owner = job};
    int rc = tor_control_send(cli->control, &job->request,
                              "GETINFO status/bootstrap-phase status/circuit-established", NULL, 0,
                              diag);
    rc = rc < 0 ? rc
                : tor_control_send(cli->control, &job->dormant, "GETINFO dormant", NULL, 0, diag);
    if (rc < 0) {
        tor_cli_finish(cli, rc);
    }
}

/* What waiting does not change ends it. */
static void lost(struct tor_cli *cli, const struct nk_diag *why)
{
    switch (why->code) {
    case NK_EAUTH:
    case NK_EVERIFY:
    case NK_EBADMODE:
    case NK_EPROTO:
    case -EACCES:
        cli->ctx->diag = *why;
        tor_cli_finish(cli, why->code);
        break;
    default:
        nk_debug(cli->ctx->log, "tor", "%s", why->text);
        break;
    }
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct tor_cli_conf *conf = ctx->conf;
    struct job job = {0};
    const char *what = ctx->argc > 0 ? ctx->argv[0] : "bootstrap";
    const struct tor_cli_task task = {
        .ready = ready, .lost = lost, .owner = &job, .reconnect = true, .wait = true};
    job.circuit = strcmp(what, "circuit") == 0;
    if (!job.circuit && strcmp(what, "bootstrap") != 0) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "'%s': wait for `bootstrap` or `circuit`", what);
    }
    return tor_cli_run(ctx, conf, &task);
}

extern const struct nk_cmd nk_cmd_tor_wait;
const struct nk_cmd nk_cmd_tor_wait = {
    .synopsis = "[bootstrap|circuit]",
    .summary = "Wait until tor can be used",
    .opts = tor_cli_rows,
    .conf_size = sizeof(struct tor_cli_conf),
    .max_args = 1,
    .flags = NK_CMD_EXEC,
    .run = run,
};
