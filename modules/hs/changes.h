/* SPDX-License-Identifier: MIT */
/*
 * changes - directories of keys that are watched (inotify): a function is called once what happens
 * in them has paused. Whether anything that matters has changed is for the function to find out.
 */
#ifndef NK_HS_CHANGES_H
#define NK_HS_CHANGES_H

#include <stdint.h>

#include "base/err.h"
#include "core/timer.h"

struct nk_app;
struct nk_watch;

struct hs_changes {
    uint64_t pause_ms; /* how long nothing must have happened; may be changed at any time */
    /* private */
    struct nk_app *app;
    void (*fn)(void *owner);
    void *owner;
    struct nk_watch *watch; /* NULL: not open */
    struct nk_timer pause;
    uint64_t first_ms; /* when that began which is waited out; 0: nothing has happened */
};

/* hs_changes_open - nothing is watched yet. fn runs from the loop, never during a call of these. It
 * runs in any case after ten times pause_ms, even if there is no pause. 0 or -errno. */
int hs_changes_open(struct hs_changes *c, struct nk_app *app, uint64_t pause_ms,
                    void (*fn)(void *owner), void *owner, struct nk_diag *diag);

/* hs_changes_add - watch a directory; again, when it may have been replaced. 0 or -errno. */
int hs_changes_add(const struct hs_changes *c, const char *dir);

/* hs_changes_soon - fn runs in ms milliseconds in any case. */
void hs_changes_soon(struct hs_changes *c, uint64_t ms);

/* hs_changes_stop - fn does not run until something happens again. */
void hs_changes_stop(struct hs_changes *c);

/* hs_changes_close - fn never runs again; safe twice, and on one that is zero. */
void hs_changes_close(struct hs_changes *c);

#endif
