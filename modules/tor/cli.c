/* SPDX-License-Identifier: MIT */
#include "tor/cli.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/codec.h"
#include "core/app.h"
#include "core/signal.h"

enum { AGAIN_MS = 500, CODE_AUTH_REQUIRED = 514, CODE_AUTH_BAD = 515, SHOWN = 240, DELETE = 0x7f };

struct only_tor {
    struct tor_cli_conf tor; /* at the front of it, as tor_cli_rows says */
};

const struct nk_opt tor_cli_rows[] = {TOR_ROWS_OF(struct only_tor, tor, "system"), NK_OPT_END};

void tor_cli_finish(struct tor_cli *cli, int rc)
{
    if (!cli->finished) {
        cli->finished = true;
        nk_app_stop(cli->app, rc);
    }
}

static void on_state(void *owner, enum tor_control_state state, int err, const struct nk_diag *why)
{
    struct tor_cli *cli = owner;
    if (cli->finished) {
        return;
    }
    if (state == TOR_CONTROL_READY) {
        cli->task->ready(cli);
    } else if (state == TOR_CONTROL_CLOSED ||
               (state == TOR_CONTROL_LOST && !cli->task->reconnect)) {
        cli->ctx->diag = *why;
        tor_cli_finish(cli, err);
    } else if (state == TOR_CONTROL_LOST && cli->task->lost) {
        cli->task->lost(cli, why);
    }
}

static void on_progress(void *owner, const struct tor_bootstrap *at)
{
    struct tor_cli *cli = owner;
    tor_progress_bootstrap(&cli->progress, at);
}

static void on_instance(void *owner, int err, struct tor_instance *instance,
                        const struct nk_diag *why)
{
    struct tor_cli *cli = owner;
    cli->wait = NULL;
    tor_progress_clean(&cli->progress);
    if (err < 0 && cli->task->wait) {
        cli->task->lost(cli, why);
        nk_timer_start(&cli->again, AGAIN_MS);
        return;
    }
    if (err < 0) {
        cli->ctx->diag = *why;
        tor_cli_finish(cli, err);
        return;
    }
    cli->instance = instance;
    cli->control = tor_instance_control(instance);
    cli->watch = (struct tor_control_watch){.fn = on_state, .owner = cli};
    tor_control_watch(cli->control, &cli->watch);
}

static int ask_instance(struct tor_cli *cli, struct nk_diag *diag)
{
    const struct tor_instance_conf which = {.kind = (enum tor_kind)cli->conf->kind,
                                            .needs = TOR_NEEDS_CONTROL,
                                            .access = cli->conf->access,
                                            .progress = on_progress};
    return tor_instance_get(cli->app, &which, on_instance, cli, &cli->wait, diag);
}

static void ask_again(void *owner)
{
    struct tor_cli *cli = owner;
    int rc = ask_instance(cli, &cli->ctx->diag);
    if (rc < 0) {
        tor_cli_finish(cli, rc);
    }
}

static void on_timeout(void *owner)
{
    struct tor_cli *cli = owner;
    bool ready = cli->control && tor_control_state(cli->control) == TOR_CONTROL_READY;
    int rc = nk_fail(&cli->ctx->diag, -ETIMEDOUT, "%s",
                     ready ? "not done within the time allowed" : "tor did not answer in time");
    tor_cli_finish(cli, rc);
}

static void on_signal(void *owner, int signum)
{
    struct tor_cli *cli = owner;
    if (cli->signum == 0 && cli->control) {
        cli->signum = signum;
        cli->task->stop(cli, signum);
    } else {
        tor_cli_finish(cli, NK_EXIT_SIGNAL + signum);
    }
}

static int watch_signals(struct tor_cli *cli)
{
    static const int numbers[TOR_CLI_SIGNALS] = {SIGTERM, SIGINT, SIGHUP};
    int rc = cli->task->stop ? 0 : nk_signal_oneshot_guard(cli->app);
    for (size_t i = 0; cli->task->stop && rc == 0 && i < TOR_CLI_SIGNALS; i++) {
        struct sigaction now;
        /* what is ignored (nohup, background jobs) stays so */
        if (sigaction(numbers[i], NULL, &now) != 0 || now.sa_handler != SIG_IGN) {
            rc = nk_signal_watch(cli->app, numbers[i], on_signal, cli, &cli->signals[i]);
        }
    }
    return rc < 0 ? nk_fail_sys(&cli->ctx->diag, rc, "signals") : 0;
}

static int begin(struct tor_cli *cli)
{
    const struct nk_cmd_ctx *ctx = cli->ctx;
    const struct nk_app_conf app_conf = {.log = ctx->log,
                                         .launcher = ctx->launcher,
                                         .state_dir = ctx->globals->state_dir,
                                         .ini = cli->ctx->ini};
    uint64_t ms = ctx->globals->timeout_ms ? ctx->globals->timeout_ms : cli->task->timeout_ms;
    int rc = nk_app_new(&cli->app, &app_conf, &cli->ctx->diag);
    if (rc < 0) {
        return rc;
    }
    nk_timer_init(&cli->timeout, cli->app, on_timeout, cli);
    rc = watch_signals(cli);
    nk_timer_init(&cli->again, cli->app, ask_again, cli);
    tor_progress_open(&cli->progress, ctx->globals);
    rc = rc < 0 ? rc : ask_instance(cli, &cli->ctx->diag);
    if (rc == 0 && ms > 0) {
        nk_timer_start(&cli->timeout, ms);
    }
    return rc;
}

int tor_cli_run(struct nk_cmd_ctx *ctx, const struct tor_cli_conf *conf,
                const struct tor_cli_task *task)
{
    struct tor_cli cli = {.ctx = ctx, .conf = conf, .task = task};
    int rc = begin(&cli);
    if (rc == 0) {
        rc = nk_app_run(cli.app);
    }
    cli.finished = true;
    if (cli.app && task->end) {
        task->end(&cli);
    }
    tor_progress_clean(&cli.progress);
    if (cli.app) {
        tor_instance_cancel(cli.wait);
        if (cli.instance) {
            tor_control_unwatch(&cli.watch);
            tor_instance_release(cli.instance);
        }
        nk_timer_stop(&cli.timeout);
        nk_timer_stop(&cli.again);
        for (size_t i = 0; i < TOR_CLI_SIGNALS; i++) {
            nk_signal_close(cli.signals[i]);
        }
        nk_app_free(cli.app);
    }
    return rc;
}

int tor_reply_error(const struct tor_reply *reply, const char *what, struct nk_diag *diag)
{
    for (size_t i = 0; i < reply->n; i++) {
        const struct tor_line *l = &reply->lines[i];
        if (l->code >= TOR_FAILED) {
            char shown[SHOWN];
            bool denied = l->code == CODE_AUTH_REQUIRED || l->code == CODE_AUTH_BAD;
            return nk_fail(diag, denied ? NK_EAUTH : NK_EFORMAT, "%s: tor says: %d %s", what,
                           l->code, nk_escape(shown, sizeof(shown), l->text, l->len));
        }
    }
    return 0;
}

bool tor_cli_reply(struct tor_cli *cli, int err, const struct tor_reply *reply,
                   const struct nk_diag *why, const char *what)
{
    if (err < 0) {
        cli->ctx->diag = *why;
    } else {
        err = tor_reply_error(reply, what, &cli->ctx->diag);
    }
    if (err < 0) {
        tor_cli_finish(cli, err);
    }
    return err == 0;
}

void tor_cli_send(struct tor_cli *cli, struct tor_request *r, const char *line)
{
    int rc = tor_control_send(cli->control, r, line, NULL, 0, &cli->ctx->diag);
    if (rc < 0) {
        tor_cli_finish(cli, rc);
    }
}

void tor_cli_send_words(struct tor_cli *cli, struct tor_request *r, const char *verb,
                        char *const *words, int n)
{
    struct nk_buf line;
    struct nk_diag *diag = &cli->ctx->diag;
    nk_buf_init(&line, TOR_COMMAND_MAX);
    int rc = nk_buf_puts(&line, verb);
    for (int i = 0; rc == 0 && i < n; i++) {
        rc = nk_buf_printf(&line, " %s", words[i]);
    }
    const char *text = rc == 0 ? nk_buf_str(&line) : NULL;
    if (text) {
        rc = tor_control_send(cli->control, r, text, NULL, 0, diag);
    } else {
        rc = nk_fail_sys(diag, rc < 0 ? rc : -ENOMEM, "the arguments");
    }
    nk_buf_clear(&line);
    if (rc < 0) {
        tor_cli_finish(cli, rc);
    }
}

void tor_cli_print(const char *p, size_t n)
{
    const char *end = p + n;
    if (n == 0) {
        return;
    }
    if (!isatty(STDOUT_FILENO)) {
        fwrite(p, 1, n, stdout);
        return;
    }
    for (; p < end; p++) {
        unsigned byte = (unsigned char)*p;
        if ((byte < ' ' && byte != '\n' && byte != '\t') || byte == DELETE) {
            printf("\\x%02x", byte);
        } else {
            putchar(*p);
        }
    }
}
