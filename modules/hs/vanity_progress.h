/* SPDX-License-Identifier: MIT */
/*
 * vanity_progress - how far a search is, told as --progress says (base/progress.h).
 *
 * A search has no memory: however long it has taken, the next result is as far away as at the
 * start. What is told is the mean time, which does not shrink while nothing is found.
 */
#ifndef NK_HS_VANITY_PROGRESS_H
#define NK_HS_VANITY_PROGRESS_H

#include <stdint.h>

#include "base/cmd.h"
#include "base/progress.h"
#include "core/timer.h"

struct hs_vanity_progress {
    struct nk_timer timer;
    /* set by the caller */
    const uint64_t *tried; /* keys of this run */
    const uint64_t *found; /* results, those of earlier runs included */
    uint64_t wanted;
    double odds; /* of one key */
    /* private */
    uint64_t begun_ms;
    struct nk_progress out;
};

/* hs_vanity_progress_start - the fields above must be set. */
void hs_vanity_progress_start(struct hs_vanity_progress *p, struct nk_app *app,
                              const struct nk_globals *globals);

/* hs_vanity_progress_clean - take the bar away, for something else to be printed. */
void hs_vanity_progress_clean(struct hs_vanity_progress *p);

/* hs_vanity_progress_stop - no more of it; the terminal's line is clean. Safe on a zeroed struct.
 */
void hs_vanity_progress_stop(struct hs_vanity_progress *p);

/* hs_vanity_count_text - a number of keys in words: "33.6 million". Returns out. */
char *hs_vanity_count_text(char *out, size_t max, double n);

/* hs_vanity_time_text - a time in words, up to years. Returns out. */
char *hs_vanity_time_text(char *out, size_t max, double seconds);

#endif
