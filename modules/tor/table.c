/* SPDX-License-Identifier: MIT */
#include "tor/table.h"

#include <ctype.h>
#include <string.h>

#include "base/codec.h"
#include "tor/event.h"

enum { CELL_MAX = 300 };
#define CELLS_MAX ((size_t)1 << 24)

void tor_table_init(struct tor_table *t, size_t columns)
{
    memset(t, 0, sizeof *t);
    t->columns = columns;
    nk_buf_init(&t->cells, CELLS_MAX);
}

void tor_table_cell(struct tor_table *t, const char *text, size_t n)
{
    char shown[CELL_MAX];
    (void)nk_escape(shown, sizeof shown, n > 0 ? text : "-", n > 0 ? n : 1);
    size_t len = strlen(shown), *width = &t->width[t->cell % t->columns];
    *width = len > *width ? len : *width;
    t->cell++;
    if (t->error == 0)
        t->error = nk_buf_put(&t->cells, shown, len + 1);
}

void tor_table_head(struct tor_table *t, const char *names)
{
    struct tor_split s = {.text = names, .len = strlen(names)};
    while (tor_split_next(&s, ',')) {
        char upper[TOR_NAME_MAX];
        size_t n = s.word_len < sizeof upper ? s.word_len : sizeof upper;
        for (size_t i = 0; i < n; i++)
            upper[i] = s.word[i] == '_' ? ' ' : (char)toupper((unsigned char)s.word[i]);
        tor_table_cell(t, upper, n);
    }
}

int tor_table_put(struct tor_table *t, struct nk_buf *out)
{
    int rc = t->error;
    const char *cell = rc == 0 ? nk_buf_str(&t->cells) : NULL;
    for (size_t i = 0; rc == 0 && cell && i < t->cell; i++) {
        bool last = (i + 1) % t->columns == 0;
        rc = last ? nk_buf_printf(out, "%s\n", cell)
                  : nk_buf_printf(out, "%-*s  ", (int)t->width[i % t->columns], cell);
        cell += strlen(cell) + 1;
    }
    nk_buf_clear(&t->cells);
    return rc == 0 && !cell && t->cell > 0 ? -ENOMEM : rc;
}
