/* SPDX-License-Identifier: MIT */
/*
 * signal - signals as loop events. SIGPIPE is ignored in every netkit process.
 */
#ifndef NK_CORE_SIGNAL_H
#define NK_CORE_SIGNAL_H

#include "base/err.h"

struct nk_app;
struct nk_signal;

typedef void nk_signal_fn(void *owner, int signum);

/* nk_signal_watch - call fn on the loop for each delivery of signum (coalesced). Does not keep the
 * loop alive. */
int nk_signal_watch(struct nk_app *app, int signum, nk_signal_fn *fn, void *owner,
                    struct nk_signal **out);

/* nk_signal_close - fn does not run again. NULL is fine. */
void nk_signal_close(struct nk_signal *s);

/* nk_signal_oneshot_guard - for commands that are no services: TERM, INT and HUP end nk_app_run
 * with 128 + their number, so that open things are closed in order. A signal that was ignored when
 * netkit was started (nohup, background jobs) stays ignored. Ends with the app. 0 or -errno. */
int nk_signal_oneshot_guard(struct nk_app *app);

/*
 * nk_signal_bus - for programs that map files: memory of a file that cannot be read (SIGBUS: the
 * disk failed, the file was cut off) ends the process with a message on stderr that names the file
 * and with NK_EXIT_IO, from whatever thread it was touched. Any other SIGBUS ends it as without
 * this. System calls that are given such memory fail with EFAULT instead: whoever gets that from
 * one touches the memory. 0 or -errno. For the rest of the process's life; children do not inherit
 * it.
 */
int nk_signal_bus(void);

#endif
