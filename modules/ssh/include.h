/* SPDX-License-Identifier: MIT */
/* include - inside of config: the files that a pattern of Include names, as in glob(7). */
#ifndef SSH_INCLUDE_H
#define SSH_INCLUDE_H

#include <stdbool.h>

#include "base/opt.h"

/* ssh_include_match - does the name match a pattern of *, ?, [class] and backslashes? */
bool ssh_include_match(const char *pattern, const char *name);

/*
 * ssh_include_find - append the existing files that the pattern names, in the order of their bytes.
 * Any part of the path may be a pattern; names that begin with a dot are found by patterns that
 * do. Stops after `most` of them: the caller's bound. 0 or -ENOMEM; what cannot be read has no
 * files.
 */
int ssh_include_find(struct nk_strlist *out, const char *pattern, size_t most);

#endif
