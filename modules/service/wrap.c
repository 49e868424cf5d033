/* SPDX-License-Identifier: MIT */
#include "service/wrap.h"

#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/cli.h"
#include "core/app.h"
#include "core/process.h"
#include "core/signal.h"

/* What a supervisor or a terminal may send us and the program should get. */
static const int passed_on[] = {SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM, SIGWINCH};
enum { PASSED_ON = sizeof(passed_on) / sizeof(passed_on[0]) };

struct wrap {
    struct nk_app *app;
    struct nk_process *process;
    struct nk_signal *signals[PASSED_ON];
    struct nk_process_exit how;
    bool ended;
};

static void on_signal(void *owner, int signum)
{
    struct wrap *w = owner;
    (void)nk_process_kill(w->process, signum); /* -ESRCH: it has just ended by itself */
}

static void on_exit_(void *owner, const struct nk_process_exit *how)
{
    struct wrap *w = owner;
    w->how = *how;
    w->ended = true;
    nk_app_stop(w->app, 0);
}

/* Whether the terminal is ours to hand on: a job in the background must not take it. */
static bool has_terminal(void)
{
    return isatty(0) && tcgetpgrp(0) == getpgrp();
}

/* The program was the foreground group; a shell script around us goes on with its own. */
static void take_terminal_back(void)
{
    sigset_t out, before;
    sigemptyset(&out);
    sigaddset(&out, SIGTTOU); /* we are in the background at this moment */
    sigprocmask(SIG_BLOCK, &out, &before);
    (void)tcsetpgrp(0, getpgrp());
    sigprocmask(SIG_SETMASK, &before, NULL);
}

static int start(struct wrap *w, char *const *argv, bool terminal, struct nk_diag *diag)
{
    struct nk_process_spec spec = {.argv = argv, .env_all = true, .foreground = terminal};
    /* before the program runs, as it may make somebody send us signals */
    for (size_t i = 0; i < PASSED_ON; i++) {
        int rc = nk_signal_watch(w->app, passed_on[i], on_signal, w, &w->signals[i]);
        if (rc < 0) {
            return nk_fail_sys(diag, rc, "signals");
        }
    }
    return nk_process_start(w->app, &spec, on_exit_, w, &w->process, diag);
}

static int exit_status(struct nk_cmd_ctx *ctx, const struct nk_process_exit *how,
                       const char *program)
{
    if (how->error == 0) {
        return how->signal ? NK_EXIT_SIGNAL + how->signal : how->status;
    }
    int rc = nk_fail_sys(&ctx->diag, how->error, "%s", program);
    if (how->error == NK_ECLOSED) {
        return rc;
    }
    nk_cli_report(ctx->self->name, &ctx->diag, ctx->globals->json);
    return how->error == -ENOENT || how->error == -ENOTDIR ? NK_EXIT_NOTFOUND : NK_EXIT_NOEXEC;
}

int service_wrap(struct nk_cmd_ctx *ctx, char *const *argv)
{
    struct wrap w = {0};
    struct nk_app_conf conf = {.log = ctx->log, .launcher = ctx->launcher};
    int rc = nk_app_new(&w.app, &conf, &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    bool terminal = has_terminal();
    rc = start(&w, argv, terminal, &ctx->diag);
    if (rc == 0) {
        nk_app_run(w.app);
        rc = w.ended ? exit_status(ctx, &w.how, argv[0])
                     : nk_fail(&ctx->diag, NK_EINTERNAL, "%s: lost", argv[0]);
    }
    if (terminal) {
        take_terminal_back();
    }
    for (size_t i = 0; i < PASSED_ON; i++) {
        nk_signal_close(w.signals[i]);
    }
    nk_process_close(w.process);
    nk_app_free(w.app);
    return rc;
}
