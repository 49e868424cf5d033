/* SPDX-License-Identifier: MIT */
/*
 * work - blocking work in lanes of own threads; a full lane never delays another. Threads start
 * with the first job of their lane (256 KiB stack) and inherit the sandbox of that moment.
 */
#ifndef NK_CORE_WORK_H
#define NK_CORE_WORK_H

#include <stdbool.h>

#include "base/err.h"

struct nk_app;
struct nk_work;

enum nk_lane {
    NK_LANE_DNS,    /* 2 threads */
    NK_LANE_CRYPTO, /* one per core, at most 8: KDFs, signatures; libsodium or own contexts only */
    NK_LANE_DISK,   /* 1 thread: file reads and writes of services */
    NK_LANE_LOG,    /* 1 thread: what a relay's log makes durable, and nothing else */
    NK_LANE_SEARCH, /* one per core: what keeps all of them busy for long, in slices */
    NK_LANE_COUNT
};

struct nk_work_ops {
    void (*run)(void *job);  /* on a lane's thread; touches only job */
    void (*done)(void *job); /* on the loop, once, unless cancelled */
    void (*drop)(void *job); /* on the loop, once, last: free job */
};

/* nk_work_threads - how many threads a lane has at most; on any thread. */
unsigned nk_work_threads(enum nk_lane lane);

/* nk_work_submit - queue job. 0 or -EAGAIN (thread could not start), -ENOMEM; then drop is not
 * called. */
int nk_work_submit(struct nk_app *app, enum nk_lane lane, const struct nk_work_ops *ops, void *job,
                   struct nk_work **out);

/* nk_work_cancel - done will not run; drop runs when the thread has let go. NULL is fine. */
void nk_work_cancel(struct nk_work *w);

/* nk_work_wait - block until no thread is inside the job: a queued one is taken out of its lane and
 * never runs (false), one that ran has returned (true). done and drop still come on the loop,
 * unless cancelled. For who ends and must know what became of a write. */
bool nk_work_wait(struct nk_work *w);

#endif
