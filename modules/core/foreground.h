/* SPDX-License-Identifier: MIT */
/*
 * foreground - one program of somebody else's that runs in our place: it has our standard
 * descriptors and, if we have it, the terminal, and gets the signals that are sent to us.
 */
#ifndef NK_CORE_FOREGROUND_H
#define NK_CORE_FOREGROUND_H

#include "base/cmd.h"
#include "core/process.h"

struct nk_foreground;

/* nk_foreground_start - start argv (argv[0] along PATH) with our environment, over which `env`
 * ("NAME=value", NULL-terminated; may be NULL) goes. HUP, INT, QUIT, USR1, USR2, TERM and WINCH go
 * to its process group from now on. fn runs once, later. */
int nk_foreground_start(struct nk_app *app, char *const *argv, char *const *env,
                        nk_process_exit_fn *fn, void *owner, struct nk_foreground **out,
                        struct nk_diag *diag);

/* nk_foreground_kill - a signal to its process group. 0 or -ESRCH. */
int nk_foreground_kill(struct nk_foreground *f, int signum);

/* nk_foreground_close - take the terminal back; a program that still runs is ended. NULL is fine.
 */
void nk_foreground_close(struct nk_foreground *f);

/* nk_foreground_status - the exit status that says the same about us: 0..255, 128 + signal, 126
 * when it could not be executed, 127 when it is not there (both reported on stderr). Negative, with
 * ctx->diag, when the launcher has died. */
int nk_foreground_status(struct nk_cmd_ctx *ctx, const struct nk_process_exit *how,
                         const char *program);

#endif
