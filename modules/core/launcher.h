/* SPDX-License-Identifier: MIT */
/*
 * launcher - a small process, forked first thing, that starts every program for us, so that
 * children do not inherit our sandbox, threads or descriptors. When netkit is PID 1 the launcher's
 * parent role is swapped: it stays PID 1, reaps every orphan and forwards signals, and netkit runs
 * as its child.
 */
#ifndef NK_CORE_LAUNCHER_H
#define NK_CORE_LAUNCHER_H

#include "base/err.h"

struct nk_launcher;

/* nk_launcher_start - fork it. Call before threads, loop and sandbox exist. 0 or -errno. As PID 1
 * this returns only in the child; the original process reaps, and exits with the child's status. */
int nk_launcher_start(struct nk_launcher **out, struct nk_diag *diag);

/* nk_launcher_free - after nk_app_free of every app that used it: close the connection; the
 * launcher ends its children's process groups that were not detached (TERM, then KILL after 2 s)
 * and exits. NULL is fine. */
void nk_launcher_free(struct nk_launcher *l);

#endif
