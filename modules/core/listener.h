/* SPDX-License-Identifier: MIT */
/*
 * listener - accepts streams. The accepted stream is handed over in on_accept before its
 * NK_CONNECTED event: set an owner there (or close it). At most 32 accepts per turn; when
 * descriptors run out the listener pauses itself, logs once per minute and tries again after 100
 * ms, without spinning.
 */
#ifndef NK_CORE_LISTENER_H
#define NK_CORE_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"

struct nk_app;
struct nk_stream;
struct nk_listener;

/* take_s is owned by the callee. */
typedef void nk_accept_fn(void *owner, struct nk_listener *l, struct nk_stream *take_s);

/* The state of a listener has changed; see nk_listener_state. From the loop; everything is allowed
 * inside. */
typedef void nk_listener_state_fn(void *owner, struct nk_listener *l, int state,
                                  const struct nk_diag *why);

struct nk_listener_ops {
    const char *name;
    void (*close)(struct nk_listener *l);
    void (*pause)(struct nk_listener *l, int paused);
    int (*local)(struct nk_listener *l, char *out, size_t max);
    int (*refresh)(struct nk_listener *l, struct nk_diag *diag); /* NULL: nothing to read again */
};

/* Embedded first in every implementation. */
struct nk_listener {
    const struct nk_listener_ops *ops;
    struct nk_app *app;
    nk_accept_fn *on_accept;
    void *owner;
    int state;
    nk_listener_state_fn *on_state;
    void *state_owner;
};

/* nk_listener_close - stop listening at once; no on_accept afterwards. NULL is fine. */
void nk_listener_close(struct nk_listener *l);

/* nk_listener_pause - leave connections in the kernel's queue (paused = 1) or go on (0). */
void nk_listener_pause(struct nk_listener *l, int paused);

/* nk_listener_own - streams go to another owner from now on. */
void nk_listener_own(struct nk_listener *l, nk_accept_fn *fn, void *owner);

/* nk_listener_local - the bound address as an endpoint string ("tcp:127.0.0.1:40123"). 0 or error.
 */
int nk_listener_local(struct nk_listener *l, char *out, size_t max);

/* nk_listener_state - 0: peers can connect, which those that are bound here always can; NK_EAGAIN:
 * not yet, or not at present (another machine listens for us, and is not asked yet); another error:
 * never again, and it is to be closed. nk_listener_watch - tell fn of each change from now on; look
 * at the state first. */
int nk_listener_state(const struct nk_listener *l);
void nk_listener_watch(struct nk_listener *l, nk_listener_state_fn *fn, void *owner);

/* nk_listener_refresh - read again the files that it was made from (certificates), for connections
 * to come. On error everything stays as it was. */
int nk_listener_refresh(struct nk_listener *l, struct nk_diag *diag);

/* nk_listener_from_fd - listen on a bound, listening socket, owned from then on
 * (closed also on failure). O_NONBLOCK is set on it. */
int nk_listener_from_fd(struct nk_app *app, int fd, nk_accept_fn *fn, void *owner,
                        struct nk_listener **out, struct nk_diag *diag);

struct nk_listener_fd_conf {
    const char *name;           /* scheme of its streams, for logs; static */
    bool inherited;             /* the description may be shared: never set O_NONBLOCK on it */
    void (*release)(void *arg); /* when it closes (unlink a path, free arg), or NULL */
    void *arg;
};

/* nk_listener_over_fd - the same with particulars. release does not run on failure. */
int nk_listener_over_fd(struct nk_app *app, int fd, const struct nk_listener_fd_conf *conf,
                        nk_accept_fn *fn, void *owner, struct nk_listener **out,
                        struct nk_diag *diag);

/* nk_listener_init - for implementations: set up the embedded part. Free the memory after the turn
 * (nk_app_defer), since close may be called from inside on_accept. Its state is 0. */
void nk_listener_init(struct nk_listener *l, const struct nk_listener_ops *ops, struct nk_app *app,
                      nk_accept_fn *fn, void *owner);

/* nk_listener_turn - for implementations: another state (why may be NULL for 0). Whoever watches is
 * called when it has changed, and may close the listener. */
void nk_listener_turn(struct nk_listener *l, int state, const struct nk_diag *why);

#define NK_TURN_ACCEPTS 32

#endif
