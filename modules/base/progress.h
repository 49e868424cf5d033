/* SPDX-License-Identifier: MIT */
/*
 * progress - how far something is that takes long, told on standard error or --progress-fd as
 * --progress says: a bar that is written over, a line now and then for people (plain) or for
 * programs (json), or nothing. auto is a bar on a terminal, else nothing.
 *
 * What is told, and when, is the caller's; this is where and in which form.
 */
#ifndef NK_BASE_PROGRESS_H
#define NK_BASE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct nk_globals;

enum nk_progress_mode {                   /* the order of --progress */
                        NK_PROGRESS_AUTO, /* only in options */
                        NK_PROGRESS_BAR,
                        NK_PROGRESS_PLAIN,
                        NK_PROGRESS_JSON,
                        NK_PROGRESS_NONE
};

enum {
    NK_PROGRESS_FIRST_MS = 1000, /* what ends sooner than this is not worth a word */
    NK_PROGRESS_MAX = 2048       /* bytes of a line; the rest of a longer one is cut off */
};

struct nk_progress {
    int fd;
    enum nk_progress_mode mode;
    bool shown; /* a bar stands on the terminal */
};

/* nk_progress_open - as the options say. quiet: auto means none, as with -q. */
void nk_progress_open(struct nk_progress *p, const struct nk_globals *g, bool quiet);

/* nk_progress_pause_ms - milliseconds between two times of telling. */
uint64_t nk_progress_pause_ms(const struct nk_progress *p);

/* nk_progress_say - tell it: one line without its end. Nothing when mode is none. What cannot be
 * written is lost, and no error. */
void nk_progress_say(struct nk_progress *p, const char *line);

/* nk_progress_clean - the terminal's line is clean again: before anything else is written there.
 * Safe on a zeroed struct. */
void nk_progress_clean(struct nk_progress *p);

#endif
