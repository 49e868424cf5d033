/* SPDX-License-Identifier: MIT */
#include "tor/screen.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "tor/edit.h"

#define UNKNOWN 255 /* of len: whatever stands there must be drawn over */

static unsigned bound(unsigned v, unsigned most)
{
    return v < 1 ? 1 : v > most ? most : v;
}

int tor_screen_size(struct tor_screen *s, unsigned rows, unsigned columns)
{
    rows = bound(rows, TOR_SCREEN_ROWS_MOST);
    columns = bound(columns, TOR_SCREEN_COLUMNS_MOST);
    struct tor_cell *both = calloc((size_t)rows * columns * 2, sizeof(*both));
    if (!both) {
        return -ENOMEM;
    }
    struct tor_cell *old = s->now;
    *s = (struct tor_screen){
        .rows = rows, .columns = columns, .now = both, .shown = both + (size_t)rows * columns};
    tor_screen_blank(s);
    tor_screen_forget(s);
    free(old);
    return 0;
}

void tor_screen_clear(struct tor_screen *s)
{
    free(s->now);
    *s = (struct tor_screen){0};
}

static size_t places(const struct tor_screen *s)
{
    return (size_t)s->rows * s->columns;
}

void tor_screen_blank(struct tor_screen *s)
{
    for (size_t i = 0; i < places(s); i++) {
        s->now[i] = (struct tor_cell){.text = " ", .len = 1};
    }
}

void tor_screen_forget(struct tor_screen *s)
{
    for (size_t i = 0; i < places(s); i++) {
        s->shown[i].len = UNKNOWN;
    }
}

unsigned tor_screen_put(struct tor_screen *s, unsigned row, unsigned column, unsigned width,
                        enum tor_style style, const char *p, size_t n)
{
    unsigned used = 0;
    if (row >= s->rows || column >= s->columns) {
        return 0;
    }
    width = width > s->columns - column ? s->columns - column : width;
    struct tor_cell *cell = s->now + (size_t)row * s->columns + column;
    for (size_t i = 0, len; i < n; i += len) {
        uint32_t cp = 0;
        len = nk_utf8_next((const uint8_t *)p + i, n - i, &cp);
        const bool shown = len > 0 && !nk_utf8_control(cp);
        len = len ? len : 1;
        const unsigned columns = shown ? (unsigned)tor_text_width(p + i, len) : 1;
        if (columns == 0) { /* combining: it would need its base in the same place */
            continue;
        }
        if (used + columns > width) {
            break;
        }
        cell[used] = (struct tor_cell){.text = "?", .len = 1, .style = (uint8_t)style};
        if (shown) {
            memcpy(cell[used].text, p + i, len);
            cell[used].len = (uint8_t)len;
        }
        if (columns == 2) {
            cell[used + 1] = (struct tor_cell){.style = (uint8_t)style};
        }
        used += columns;
    }
    return used;
}

unsigned tor_screen_printf(struct tor_screen *s, unsigned row, unsigned column,
                           enum tor_style style, const char *fmt, ...)
{
    char text[TOR_SCREEN_COLUMNS_MOST];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (n < 0) {
        return 0;
    }
    const size_t len = (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
    return tor_screen_put(s, row, column, TOR_SCREEN_COLUMNS_MOST, style, text, len);
}

void tor_screen_fill(struct tor_screen *s, unsigned row, unsigned column, enum tor_style style)
{
    for (; row < s->rows && column < s->columns; column++) {
        s->now[(size_t)row * s->columns + column].style = (uint8_t)style;
    }
}

static bool same(const struct tor_cell *a, const struct tor_cell *b)
{
    return a->len == b->len && a->style == b->style && memcmp(a->text, b->text, a->len) == 0;
}

/* ECMA-48 SGR, in the order of enum tor_style. */
static const char *const styles[] = {"0", "0;1", "0;2", "0;7", "0;32", "0;34", "0;33", "0;31"};

int tor_screen_draw(struct tor_screen *s, bool colour, struct nk_buf *out)
{
    unsigned style = TOR_PLAIN;
    size_t at = SIZE_MAX; /* where the cursor is: the place that is written next */
    int rc = 0;
    for (size_t i = 0; i < places(s) && rc == 0; i++) {
        const struct tor_cell *cell = &s->now[i];
        if (same(cell, &s->shown[i])) {
            continue;
        }
        s->shown[i] = *cell;
        if (cell->len == 0) { /* the second half: drawn with the first, which changed, too */
            continue;
        }
        if (at != i || i % s->columns == 0) {
            rc = nk_buf_printf(out, "\x1b[%zu;%zuH", i / s->columns + 1, i % s->columns + 1);
        }
        if (rc == 0 && colour && cell->style != style) {
            style = cell->style;
            rc = nk_buf_printf(out, "\x1b[%sm", styles[style]);
        }
        rc = rc < 0 ? rc : nk_buf_put(out, cell->text, cell->len);
        at = i + tor_text_width(cell->text, cell->len);
    }
    if (rc == 0 && style != TOR_PLAIN) {
        rc = nk_buf_puts(out, "\x1b[0m");
    }
    if (rc < 0) {
        tor_screen_forget(s);
    }
    return rc;
}

int tor_screen_text(const struct tor_screen *s, struct nk_buf *out)
{
    size_t owed = 0; /* line feeds of rows that may yet turn out to be the last ones */
    int rc = 0;
    for (unsigned row = 0; row < s->rows && rc == 0; row++) {
        const struct tor_cell *cell = s->now + (size_t)row * s->columns;
        unsigned n = s->columns;
        while (n > 0 &&
               (cell[n - 1].len == 0 || (cell[n - 1].len == 1 && cell[n - 1].text[0] == ' '))) {
            n--;
        }
        for (; n > 0 && owed > 0 && rc == 0; owed--) {
            rc = nk_buf_puts(out, "\n");
        }
        for (unsigned i = 0; i < n && rc == 0; i++) {
            rc = nk_buf_put(out, cell[i].text, cell[i].len);
        }
        owed++;
    }
    return rc < 0 ? rc : nk_buf_puts(out, "\n");
}
