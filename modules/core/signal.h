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

/* nk_signal_watch - call fn on the loop for each delivery of signum (coalesced). Does not keep the loop
 * alive. */
int nk_signal_watch(struct nk_app *app, int signum, nk_signal_fn *fn, void *owner,
                    struct nk_signal **out);
void nk_signal_close(struct nk_signal *s);

#endif
