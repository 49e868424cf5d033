/* SPDX-License-Identifier: MIT */
/* entries - filling the lists of store.h; for its two backends. */
#ifndef NK_HS_ENTRIES_H
#define NK_HS_ENTRIES_H

#include "hs/format.h"
#include "hs/store.h"

/* hs_entries_add - append an empty entry for a file and return it, or NULL without memory. */
struct hs_client_entry *hs_entries_add(struct hs_client_entries *l, const char *name);

/* hs_entry_problem - why it cannot be used. 0 or -ENOMEM, also when that was the problem: a lack of
 * memory is no fault of the file. */
int hs_entry_problem(struct hs_client_entry *e, const struct nk_diag *diag);

/* hs_entry_read - read the file of an entry in that form into out (wipe it), and its bytes into b
 * (secret, initialised here; clear it in any case). Errors name the file. */
int hs_entry_read(const struct hs_place *p, const char *name, enum hs_format format,
                  struct nk_buf *b, struct hs_item *out, struct nk_diag *diag);

#endif
