/* SPDX-License-Identifier: MIT */
/*
 * progress - what takes tor a while, told step by step as --progress says (base/progress.h): the
 * bootstrap, the upload of descriptors.
 *
 * json: {"phase":"bootstrap","percent":10,"tag":"conn_done","summary":".."}, with "warning" when
 * something went wrong.
 */
#ifndef TOR_PROGRESS_H
#define TOR_PROGRESS_H

#include "base/progress.h"

struct nk_globals;
struct tor_bootstrap;

struct tor_progress {
    struct nk_progress out;
    int percent; /* last told; -1: none */
    char tag[40];
};

/* One step; percent 0..100, texts are for people but for `phase` and `tag`. */
struct tor_step {
    const char *phase; /* "bootstrap" */
    unsigned percent;
    const char *tag;     /* "conn_done" */
    const char *summary; /* "Connected to a relay" */
    const char *warning; /* what went wrong at this step, or NULL */
};

/* tor_progress_open - for a command's options. */
void tor_progress_open(struct tor_progress *p, const struct nk_globals *globals);

/* tor_progress_step - tell it; the same step as before is told once, unless with a warning. */
void tor_progress_step(struct tor_progress *p, const struct tor_step *step);

/* tor_progress_bootstrap - the same for what tor says about its start. */
void tor_progress_bootstrap(struct tor_progress *p, const struct tor_bootstrap *b);

/* tor_progress_clean - the terminal's line is clean again: before anything else is written there.
 * Safe on a zeroed struct. */
void tor_progress_clean(struct tor_progress *p);

#endif
