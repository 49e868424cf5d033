/* SPDX-License-Identifier: MIT */
/*
 * reread - did tor read its directories after a reload? The kernel tells who opens files in them
 * (inotify); what it does not tell is the name of the reader, so somebody else who reads there at
 * the same moment is taken for tor.
 */
#ifndef NK_HS_REREAD_H
#define NK_HS_REREAD_H

#include <stdint.h>

#include "hs/apply_cli.h"

struct hs_reread {
    int fd;
    struct hs_reread_dir *v; /* one for each target */
    size_t n;
};

/* hs_reread_open - begin to look; before the reload is asked for. 0 or -errno. */
int hs_reread_open(struct hs_reread *r, const struct hs_targets *targets, struct nk_diag *diag);

/* hs_reread_skip - target i is none that tor reads. */
void hs_reread_skip(struct hs_reread *r, size_t i);

/* hs_reread_wait - until all have been read. 0; -ETIMEDOUT after ms milliseconds, with the first
 * one that was not; NK_ECLOSED when tor ended meanwhile. Blocks. */
int hs_reread_wait(struct hs_reread *r, const struct hs_targets *targets, const struct hs_tor *tor,
                   uint64_t ms, struct nk_diag *diag);
void hs_reread_close(struct hs_reread *r);

#endif
