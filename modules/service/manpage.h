/* SPDX-License-Identifier: MIT */
/* manpage - help texts as man pages (roff, man macros), and completion scripts; made from the
 * tables. */
#ifndef NK_SERVICE_MANPAGE_H
#define NK_SERVICE_MANPAGE_H

#include "base/cli.h"

#define SERVICE_TEXT_MAX (4 * 1024 * 1024) /* bound of any generated text */

/* service_man_page - append the page of a command (entry NULL: of the program, with every command's
 * summary). The lines are those of `netkit help`, with the HIDDEN options in addition. Returns 0 or
 * the buffer's error. */
int service_man_page(struct nk_buf *out, const struct nk_cmd_entry *entry);

/* The shells that service_completion knows, NULL-terminated. */
extern const char *const service_shells[];

/* service_completion - append the completion script for a shell (index into service_shells). */
int service_completion(struct nk_buf *out, int shell);

/* service_generated - does a text carry the mark of the two functions above? Only such files are
 * replaced or removed without --force. */
bool service_generated(const void *text, size_t n);

#endif
