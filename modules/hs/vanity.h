/* SPDX-License-Identifier: MIT */
/*
 * vanity - the search for vanity addresses on all processors: threads of core/work, results on the
 * loop.
 */
#ifndef NK_HS_VANITY_H
#define NK_HS_VANITY_H

#include <stdbool.h>
#include <stdint.h>

#include "hs/vanity_search.h"

struct nk_app;
struct hs_vanity;

struct hs_vanity_ops {
    /* A result, on the loop; it is wiped when this returns. May call hs_vanity_stop. */
    void (*on_hit)(void *owner, const struct hs_vanity_hit *hit);
    /* A thread has ended a slice, and its hits were handed out: hs_vanity_tried has grown. */
    void (*on_slice)(void *owner);
    /* The search ended by itself: NK_EINTERNAL, the arithmetic is broken; -EAGAIN, -ENOMEM. Once,
     * and nothing after it. */
    void (*on_fail)(void *owner, int status);
};

struct hs_vanity_conf {
    const struct hs_vanity_filter *filter; /* borrowed */
    const struct hs_vanity_kernel *kernel; /* usable */
    unsigned threads;                      /* 1 or more; above the lane's number they take turns */
    const struct hs_vanity_ops *ops;       /* borrowed */
    void *owner;
};

/* hs_vanity_start - begin; callbacks come from the loop, none from here. 0; -ENOMEM, -EAGAIN,
 * NK_EINTERNAL. */
int hs_vanity_start(struct nk_app *app, const struct hs_vanity_conf *conf, struct hs_vanity **out);

/* hs_vanity_stop - no more slices begin; the threads end theirs, and on_hit still comes for what
 * they find. May be called twice. */
void hs_vanity_stop(struct hs_vanity *v);

/* hs_vanity_free - stop, wait for the threads (a tenth of a second or so), hand out what they have
 * found by on_hit, call on_slice, wipe and free. Not from a callback. NULL is fine. */
void hs_vanity_free(struct hs_vanity *v);

/* hs_vanity_tried - keys that were looked at so far. */
uint64_t hs_vanity_tried(const struct hs_vanity *v);

#endif
