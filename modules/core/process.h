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
    char *const *argv; /* argv[0] is looked up in the absolute directories of PATH, unless it has a
                          slash */
    char *const *env; /* NULL: inherit, without NETKIT_<SECTION>__<KEY>, LISTEN_*, NOTIFY_SOCKET and
                         WATCHDOG_* */
    const char *cwd;  /* NULL: inherit */
    /* a directory of the caller's that the launcher removes, with everything in it
     * (nk_remove_tree), when the program has ended or could not be started: before fn is called,
     * and also when we are killed first. NULL: none. When nk_process_start fails it stays. */
    const char *scratch;
    int fds[NK_PROCESS_FDS]; /* child fd i = our fd fds[i]; -1: /dev/null for 0..2, else closed */
    size_t nfds;             /* 3..NK_PROCESS_FDS; 0 means all three standard ones inherited */
    bool detach;             /* survives us, in a session of its own (but not the end of PID 1) */
    bool become;             /* run as uid and gid, with no other groups: needs root */
    uid_t uid;
    gid_t gid;
    bool env_add;    /* env comes on top of what is inherited: its names replace those there */
    bool env_all;    /* inherit netkit's own variables too; only LISTEN_* stay behind */
    bool foreground; /* make it the foreground group of the terminal on its fd 0, if that is one */
    void (*on_start)(void *owner); /* the program runs; before fn, may be NULL */
};

/* Exactly one of: started = false with error (-ENOENT, -EACCES ...); or the exit: status 0..255 and
 * signal 0, or signal > 0. */
struct nk_process_exit {
    int error;
    int status;
    int signal;
};

typedef void nk_process_exit_fn(void *owner, const struct nk_process_exit *how);

/* nk_process_prepare - connect the app to its launcher now, as the first start otherwise does. For
 * who ends programs in the release of an nk_app_slot: that slot has to be set after this. 0 (also
 * when the launcher has died), NK_EUNSUPPORTED without a launcher, -ENOMEM. */
int nk_process_prepare(struct nk_app *app);

/* nk_process_start - ask for a start. The child leads a process group of its own, with default
 * signal handlers and mask, and has no descriptors but those of spec. fds are duplicated before the
 * call returns. fn runs once, later; *out lives until nk_process_close, which may be called inside
 * fn. NK_EUNSUPPORTED without a launcher, NK_ECLOSED when it has died (then running processes end
 * with that error too), NK_ETOOBIG, NK_EUSAGE for an empty argv. */
int nk_process_start(struct nk_app *app, const struct nk_process_spec *spec, nk_process_exit_fn *fn,
                     void *owner, struct nk_process **out, struct nk_diag *diag);

/* nk_process_kill - send a signal to the child's process group. 0 or -ESRCH. */
int nk_process_kill(struct nk_process *p, int signum);

/* nk_process_pid - its pid, 0 while not started yet. */
pid_t nk_process_pid(const struct nk_process *p);

/* nk_process_close - forget it: fn will not run; the child's group is terminated unless detached
 * (TERM, KILL after 2 s). NULL is fine. */
void nk_process_close(struct nk_process *p);

#endif
