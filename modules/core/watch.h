/* SPDX-License-Identifier: MIT */
/*
 * watch - readiness of one descriptor. The layer below streams and listeners, for everything that
 * owns a pollable descriptor of its own kind (a connection attempt, a netlink socket, a pipe).
 *
 * Reports are level-triggered hints in the poll phase of a turn: "a call on the fd may not block
 * now". An error condition is reported as readable and writable, so that read, write or SO_ERROR
 * give the real reason; the watcher then watches nothing until the mask is set again. A mask of 0
 * costs nothing whatever the peer does. Nothing is watched for disconnection alone (it would spin).
 */
#ifndef NK_CORE_WATCH_H
#define NK_CORE_WATCH_H

#include "base/err.h"
#include "core/stream.h"

struct nk_app;
struct nk_watch;

/* ready: NK_READABLE | NK_WRITABLE, never more than the mask except after an error condition. */
typedef void nk_watch_fn(void *owner, struct nk_watch *w, unsigned ready);

enum nk_watch_flags {
    NK_WATCH_SHARED = 1 /* other processes may share the description: do not set O_NONBLOCK on it;
                           costs an epoll set of its own */
};

/* nk_watch_open - take fd (only on success); nothing is watched yet. Without NK_WATCH_SHARED
 * O_NONBLOCK is set. -EPERM when the kernel cannot poll it (regular files, /dev/null), -ENOMEM ...
 */
int nk_watch_open(struct nk_app *app, int fd, unsigned flags, nk_watch_fn *fn, void *owner,
                  struct nk_watch **out);

/* nk_watch_own - other callback and owner. */
void nk_watch_own(struct nk_watch *w, nk_watch_fn *fn, void *owner);

/* nk_watch_set - watch for mask (NK_READABLE | NK_WRITABLE, 0 = nothing). Free when unchanged.
 * 0 or -errno. */
int nk_watch_set(struct nk_watch *w, unsigned mask);
unsigned nk_watch_mask(const struct nk_watch *w);

/* nk_watch_fd - its descriptor. */
int nk_watch_fd(const struct nk_watch *w);

/* nk_watch_close - stop watching and close the fd at once; fn does not run again. NULL is fine. */
void nk_watch_close(struct nk_watch *w);

/* nk_watch_release - the same, but hand the fd back instead of closing it. */
int nk_watch_release(struct nk_watch *w);

#endif
