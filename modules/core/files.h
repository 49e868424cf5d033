/* SPDX-License-Identifier: MIT */
/*
 * files - how many files (sockets are files) this process may have open. Every connection takes
 * one, and the soft limit that processes start with, usually 1,024, is for programs that call
 * select(2); whoever does not may use what the hard limit allows.
 */
#ifndef NK_CORE_FILES_H
#define NK_CORE_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include "base/log.h"

/* nk_files_limit - RLIMIT_NOFILE's soft limit as it is now; UINT64_MAX: none. */
uint64_t nk_files_limit(void);

/*
 * nk_files_raise - raise the soft limit to the hard one, but not beyond 1,048,576. For services,
 * after the launcher has been forked: programs that it starts keep the original one. Where nothing
 * can be raised everything stays as it is. Returns nk_files_limit.
 */
uint64_t nk_files_raise(void);

/* nk_files_tell - log, with the remedy, that `key` = `value` connections of `each` files cannot be
 * reached, if that is so. Some files are left for everything else. Returns whether it is so. */
bool nk_files_tell(struct nk_log *log, enum nk_level level, const char *module, const char *key,
                   uint64_t value, unsigned each);

#endif
