/* SPDX-License-Identifier: MIT */
#include "core/foreground.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cli.h"
#include "core/app.h"
#include "core/signal.h"

/* What a supervisor or a terminal may send us and the program should get. */
static const int passed_on[] = {SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM, SIGWINCH};
enum { PASSED_ON = sizeof(passed_on) / sizeof(passed_on[0]) };

struct nk_foreground {
    struct nk_process *process;
    struct nk_signal *signals[PASSED_ON];
    bool terminal; /* it was ours and is the program's */
};

static void on_signal(void *owner, int signum)
{
    struct nk_foreground *f = owner;
    (void)nk_process_kill(f->process, signum); /* -ESRCH: it has just ended by itself */
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

int nk_foreground_start(struct nk_app *app, char *const *argv, char *const *env,
                        nk_process_exit_fn *fn, void *owner, struct nk_foreground **out,
                        struct nk_diag *diag)
{
    struct nk_foreground *f = calloc(1, sizeof(*f));
    if (!f) {
        return nk_fail_sys(diag, -ENOMEM, "starting '%s'", argv[0]);
    }
    f->terminal = has_terminal();
    const struct nk_process_spec spec = {.argv = argv,
                                         .env = env,
                                         .env_add = env != NULL,
                                         .env_all = true,
                                         .foreground = f->terminal};
    int rc = 0;
    /* before the program runs, as it may make somebody send us signals */
    for (size_t i = 0; rc == 0 && i < PASSED_ON; i++) {
        rc = nk_signal_watch(app, passed_on[i], on_signal, f, &f->signals[i]);
        if (rc < 0) {
            nk_fail_sys(diag, rc, "signals");
        }
    }
    rc = rc < 0 ? rc : nk_process_start(app, &spec, fn, owner, &f->process, diag);
    if (rc < 0) {
        nk_foreground_close(f);
        return rc;
    }
    *out = f;
    return 0;
}

int nk_foreground_kill(struct nk_foreground *f, int signum)
{
    return nk_process_kill(f->process, signum);
}

void nk_foreground_close(struct nk_foreground *f)
{
    if (!f) {
        return;
    }
    if (f->terminal) {
        take_terminal_back();
    }
    for (size_t i = 0; i < PASSED_ON; i++) {
        nk_signal_close(f->signals[i]);
    }
    nk_process_close(f->process);
    free(f);
}

int nk_foreground_status(struct nk_cmd_ctx *ctx, const struct nk_process_exit *how,
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
