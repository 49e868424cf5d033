/* SPDX-License-Identifier: MIT */
/*
 * trust - arti's rules for who else may get at a directory of keys (its fs-mistrust), as findings.
 *
 * - Everything belongs to root or to the user who uses it.
 * - The directory of the keys itself is closed to others (mode & 077 is 0), those above it cannot
 * be written to by others (022), unless they are sticky like /tmp.
 * - What is in it cannot be written to by others (022); 0644 in a 0700 directory is fine.
 * - A group called like the user, that the user is in, counts as the user.
 *
 * The user is the one who runs netkit; for root it is the owner of the directory, so that root can
 * check a daemon's keys. As in arti, FS_MISTRUST_DISABLE_PERMISSIONS_CHECKS and
 * ARTI_FS_DISABLE_PERMISSION_CHECKS in the environment switch it off, unless their value is empty,
 * 0, no, n, never or false.
 */
#ifndef NK_HS_TRUST_H
#define NK_HS_TRUST_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "hs/finding.h"
#include "hs/place.h"

struct hs_trust {
    bool off;
    uid_t uid;   /* whose keys they are */
    gid_t group; /* that counts as uid; (gid_t)-1: none */
    bool fix;    /* take away mode bits that others have too many; of what is in the place only */
};

/* hs_trust_init - rules for the keys in p. */
void hs_trust_init(struct hs_trust *t, const struct hs_place *p);

/* hs_trust_above - judge the directories above p, and where links on the way to it are. */
void hs_trust_above(const struct hs_trust *t, const struct hs_place *p, struct hs_findings *l);

/* hs_trust_place - judge p itself. */
void hs_trust_place(const struct hs_trust *t, const struct hs_place *p, struct hs_findings *l);

/* hs_trust_entry - judge what has that name in p, a file or a directory. true when it is a regular
 * file, or a directory, that netkit, tor and arti would open; links and what is neither are errors
 * in l. */
bool hs_trust_entry(const struct hs_trust *t, const struct hs_place *p, const char *name,
                    struct hs_findings *l);

/* hs_trust_require - for commands that use the keys in p: 0, or NK_EBADMODE with the first error of
 * hs_trust_place and, if above, of hs_trust_above. */
int hs_trust_require(const struct hs_place *p, bool above, struct nk_diag *diag);

#endif
