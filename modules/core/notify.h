/* SPDX-License-Identifier: MIT */
/*
 * notify - tell a service manager how we are: sd_notify(3) over $NOTIFY_SOCKET, and its watchdog.
 */
#ifndef NK_CORE_NOTIFY_H
#define NK_CORE_NOTIFY_H

#include "base/err.h"

struct nk_app;
struct nk_notify;

enum nk_notify_state { NK_NOTIFY_READY, NK_NOTIFY_RELOADING, NK_NOTIFY_STOPPING };

/*
 * nk_notify_open - connect to $NOTIFY_SOCKET (a path or @abstract) and, when $WATCHDOG_USEC is
 * meant for us ($WATCHDOG_PID), keep sending WATCHDOG=1 at half that interval from the loop, so
 * that a loop that hangs is noticed. Takes NOTIFY_SOCKET, WATCHDOG_* out of the environment. *out
 * is NULL when there is no service manager, which every function here accepts. NK_ECONFIG for
 * values that cannot be used, -errno.
 */
int nk_notify_open(struct nk_app *app, struct nk_notify **out, struct nk_diag *diag);

/* nk_notify_send - tell a new state. When the manager's queue is full it is told later; only the
 * newest state then counts. */
void nk_notify_send(struct nk_notify *n, enum nk_notify_state state);

/* nk_notify_close - NULL is fine. */
void nk_notify_close(struct nk_notify *n);

#endif
