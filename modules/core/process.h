/* SPDX-License-Identifier: MIT */
/*
 * process - programs started through the launcher. No shell is ever involved.
 */
#ifndef NK_CORE_PROCESS_H
#define NK_CORE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/err.h"

struct nk_app;
struct nk_process;

#define NK_PROCESS_FDS 8       /* descriptors that can be handed over */
#define NK_PROCESS_ARGS 256    /* arguments plus environment entries, each */
#define NK_PROCESS_BYTES 65536 /* all strings together */

struct nk_process_spec {
    char *const *argv;  /* argv[0] is looked up in PATH unless it has a slash */
    char *const *env;   /* NULL: inherit */
    const char *cwd;    /* NULL: inherit */
    int fds[NK_PROCESS_FDS]; /* child fd i = our fd fds[i]; -1: /dev/null for 0..2, else closed */
    size_t nfds;             /* 3..NK_PROCESS_FDS; 0 means all three standard ones inherited */
    bool detach;        /* survives us */
};

/* Exactly one of: started = false with error (-ENOENT, -EACCES ...); or the exit: status 0..255 and
 * signal 0, or signal > 0. */
struct nk_process_exit {
    int error;
    int status;
    int signal;
};

typedef void nk_process_exit_fn(void *owner, const struct nk_process_exit *how);

/* nk_process_start - ask for a start; fds are duplicated before the call returns. fn runs once, later.
 * NK_EUNSUPPORTED without a launcher; NK_ETOOBIG. */
int nk_process_start(struct nk_app *app, const struct nk_process_spec *spec, nk_process_exit_fn *fn,
                     void *owner, struct nk_process **out, struct nk_diag *diag);

/* nk_process_kill - send a signal to the child's process group. 0 or -ESRCH. */
int nk_process_kill(struct nk_process *p, int signum);

/* nk_process_pid - its pid, 0 while not started yet. */
pid_t nk_process_pid(const struct nk_process *p);

/* nk_process_close - forget it: fn will not run; the child is terminated unless detached. */
void nk_process_close(struct nk_process *p);

#endif
