/* SPDX-License-Identifier: MIT */
/* netkit tor newnym: new circuits for new connections, and wait until it is so. */
#include <stdio.h>
#include <string.h>

#include "base/cli.h"
#include "base/codec.h"
#include "tor/cli.h"

enum { TIMEOUT_MS = 60000, DIGITS = 10 };

struct job {
    struct tor_cli *cli;
    struct tor_request request;
    struct tor_subscription signal, notice, info;
    bool asked;       /* tor has answered; from here on the event is ours */
    uint64_t delay_s; /* tor's word for it */
};

static int print_json(struct job *job)
{
    struct nk_buf out;
    struct nk_json j;
    nk_buf_init(&out, 256);
    nk_json_init(&j, &out, false);
    nk_json_object(&j);
    nk_json_kv_i64(&j, "schema", 1);
    nk_json_kv_str(&j, "signal", "NEWNYM");
    nk_json_kv_u64(&j, "delayed_s", job->delay_s);
    nk_json_close(&j);
    return nk_cli_put_json(&j, &job->cli->ctx->diag);
}

static void on_signal(void *owner, const struct tor_reply *event)
{
    static const char text[] = "SIGNAL NEWNYM";
    struct job *job = owner;
    const struct tor_line *l = &event->lines[0];
    if (job->asked && l->len == sizeof(text) - 1 && memcmp(l->text, text, l->len) == 0) {
        tor_cli_finish(job->cli, job->cli->ctx->globals->json ? print_json(job) : 0);
    }
}

/* "Rate limiting NEWNYM request: delaying by 10 second(s)" */
static void on_notice(void *owner, const struct tor_reply *event)
{
    static const char begin[] = "NOTICE Rate limiting NEWNYM request: delaying by ";
    struct job *job = owner;
    const struct tor_line *l = &event->lines[0];
    size_t n = sizeof(begin) - 1, digits = 0;
    char number[DIGITS + 1];
    if (l->len < n || memcmp(l->text, begin, n) != 0) {
        return;
    }
    while (digits < DIGITS && n + digits < l->len && l->text[n + digits] >= '0' &&
           l->text[n + digits] <= '9') {
        number[digits] = l->text[n + digits];
        digits++;
    }
    number[digits] = '\0';
    if (nk_parse_u64(number, &job->delay_s) == 0) {
        nk_info(job->cli->ctx->log, "tor",
                "tor delays it by %s s, as the last one was not long ago", number);
    }
}

/* A tor without SocksPort and the like. */
static void on_info(void *owner, const struct tor_reply *event)
{
    static const char text[] = "Ignoring SIGNAL NEWNYM"; /* behind the function's name */
    struct job *job = owner;
    const struct tor_line *l = &event->lines[0];
    if (memmem(l->text, l->len, text, sizeof(text) - 1)) {
        int rc = nk_fail(&job->cli->ctx->diag, NK_EUNSUPPORTED,
                         "tor ignores it, as it serves no clients (no SocksPort is set)");
        tor_cli_finish(job->cli, rc);
    }
}

static void on_reply(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct job *job = owner;
    job->asked = tor_cli_reply(job->cli, err, reply, why, "SIGNAL NEWNYM");
}

static void ready(struct tor_cli *cli)
{
    struct job *job = cli->task->owner;
    job->cli = cli;
    job->request = (struct tor_request){.fn = on_reply, .owner = job};
    job->signal = (struct tor_subscription){.event = "SIGNAL", .fn = on_signal, .owner = job};
    job->notice = (struct tor_subscription){.event = "NOTICE", .fn = on_notice, .owner = job};
    (void)tor_control_subscribe(cli->control, &job->signal);
    (void)tor_control_subscribe(cli->control, &job->notice);
    job->info = (struct tor_subscription){.event = "INFO", .fn = on_info, .owner = job};
    (void)tor_control_subscribe(cli->control, &job->info);
    tor_cli_send(cli, &job->request, "SIGNAL NEWNYM");
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct tor_cli_conf *conf = ctx->conf;
    struct job job = {0};
    const struct tor_cli_task task = {.ready = ready, .owner = &job, .timeout_ms = TIMEOUT_MS};
    return tor_cli_run(ctx, conf, &task);
}

extern const struct nk_cmd nk_cmd_tor_newnym;
const struct nk_cmd nk_cmd_tor_newnym = {
    .summary = "Let new connections use new circuits",
    .opts = tor_cli_rows,
    .conf_size = sizeof(struct tor_cli_conf),
    .flags = NK_CMD_EXEC,
    .run = run,
};
