/* SPDX-License-Identifier: MIT */
/* table - rows of cells, printed with columns as wide as their longest cell. */
#ifndef TOR_TABLE_H
#define TOR_TABLE_H

#include <stddef.h>

#include "base/buf.h"

#define TOR_TABLE_COLUMNS 8

struct tor_table {
    struct nk_buf cells; /* each with a NUL behind it, row after row */
    size_t columns, cell, width[TOR_TABLE_COLUMNS];
    int error;
};

/* tor_table_init - of so many columns (1..TOR_TABLE_COLUMNS). */
void tor_table_init(struct tor_table *t, size_t columns);

/* tor_table_cell - the next cell, from left to right and top to bottom; n bytes without NUL, what
 * is no printable ASCII is escaped; an empty one is shown as "-". Errors are kept for the end. */
void tor_table_cell(struct tor_table *t, const char *text, size_t n);

/* tor_table_head - the names in `names`, with commas between, in upper case as the next row. */
void tor_table_head(struct tor_table *t, const char *names);

/* tor_table_put - append the lines to out and free the cells. 0 or the first error. */
int tor_table_put(struct tor_table *t, struct nk_buf *out);

#endif
