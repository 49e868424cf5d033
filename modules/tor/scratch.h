/* SPDX-License-Identifier: MIT */
/*
 * scratch - temporary directories of tors of ours. Each is held by a lock (flock) on the directory
 * itself, which ends with its owner. The launcher removes the directory when tor has ended, also
 * when its owner was killed; only when both were killed it stays, until the next one is made there.
 */
#ifndef TOR_SCRATCH_H
#define TOR_SCRATCH_H

#include <stddef.h>

#include "base/err.h"

#define TOR_SCRATCH_PREFIX "netkit-tor-"
#define TOR_SCRATCH_RANDOM 6 /* characters behind it, of mkdtemp */

/*
 * tor_scratch_make - make a directory of mode 0700 below base; its path into out (max bytes), the
 * descriptor that holds it (close-on-exec) into lock. First what owners that died have left in
 * base is removed. 0, NK_ETOOBIG (with nothing made), or -errno.
 */
int tor_scratch_make(const char *base, char *out, size_t max, int *lock, struct nk_diag *diag);

/*
 * tor_scratch_sweep - remove the directories in base that nobody holds: of exactly our form of
 * name, of our user, of mode 0700, no links. Nothing in a base in which others could exchange them
 * (writable by others without the sticky bit). A few dozen at a time; errors leave what is there.
 */
void tor_scratch_sweep(const char *base);

#endif
