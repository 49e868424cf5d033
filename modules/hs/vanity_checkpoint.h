/* SPDX-License-Identifier: MIT */
/*
 * vanity_checkpoint - what a search for vanity addresses keeps in a file, so that it can be ended
 * and gone on with: what is looked for, how many are wanted, the addresses that were found, and how
 * much work was done.
 *
 * There is no secret in it and nothing to continue from: a search remembers nothing that would help
 * it later (vanity_search.h), so the next one begins with fresh secrets and loses nothing. The keys
 * that were found are where the search wrote them.
 *
 * The file is JSON with a version, at most HS_VANITY_CHECKPOINT_MAX bytes, mode 0600, replaced as a
 * whole.
 */
#ifndef NK_HS_VANITY_CHECKPOINT_H
#define NK_HS_VANITY_CHECKPOINT_H

#include <stdint.h>

#include "base/err.h"
#include "base/onion.h"
#include "base/opt.h"

#define HS_VANITY_CHECKPOINT_VERSION 1
#define HS_VANITY_CHECKPOINT_MAX ((size_t)32 << 20)
#define HS_VANITY_FOUND_MAX 100000 /* results of one search */

struct hs_vanity_checkpoint {
    struct nk_strlist patterns;
    uint64_t wanted, tried, busy_ms;
    struct nk_strlist found; /* addresses */
};

/* hs_vanity_checkpoint_parse - from n bytes. NK_EFORMAT with the field and the reason; NK_EVERSION
 * for a newer one; -ENOMEM. *out is set on success only; clear it. */
int hs_vanity_checkpoint_parse(const void *p, size_t n, struct hs_vanity_checkpoint *out,
                               struct nk_diag *diag);

/* hs_vanity_checkpoint_load - from a file, which must be safe (NK_FILE_SECRET: whoever could change
 * it could end the search). -ENOENT when there is none; errors as above; diag names the file. */
int hs_vanity_checkpoint_load(const char *path, struct hs_vanity_checkpoint *out,
                              struct nk_diag *diag);

/* hs_vanity_checkpoint_save - replace the file. */
int hs_vanity_checkpoint_save(const char *path, const struct hs_vanity_checkpoint *c,
                              struct nk_diag *diag);

/* hs_vanity_checkpoint_found - append an address. 0, -ENOMEM. */
int hs_vanity_checkpoint_found(struct hs_vanity_checkpoint *c, const char *address);

/* hs_vanity_checkpoint_clear - free and zero; safe twice. */
void hs_vanity_checkpoint_clear(struct hs_vanity_checkpoint *c);

#endif
