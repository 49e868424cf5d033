/* SPDX-License-Identifier: MIT */
/*
 * screen - a full-screen picture of characters, of which only what changed is sent to the terminal.
 * Pure: the picture is drawn into memory, and what the terminal must get is appended to a buffer.
 */
#ifndef TOR_SCREEN_H
#define TOR_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define TOR_SCREEN_ROWS_MOST 500
#define TOR_SCREEN_COLUMNS_MOST 1000

enum tor_style {
    TOR_PLAIN,
    TOR_BOLD,
    TOR_DIM,
    TOR_REVERSE,
    TOR_GREEN,
    TOR_BLUE,
    TOR_YELLOW,
    TOR_RED
};

/* One place: a character of one column, or the first of two (the second is empty then). */
struct tor_cell {
    char text[4];
    uint8_t len, style;
};

struct tor_screen {
    unsigned rows, columns;
    struct tor_cell *now,
        *shown; /* shown: what the terminal has; len 255 where that is not known */
};

/* tor_screen_size - so many rows (1..500) and columns (1..1000), others are brought to that. The
 * picture is empty, and what the terminal shows is not known any more. 0 or -ENOMEM (nothing has
 * changed then). A zeroed screen is one of no size; free with tor_screen_clear. */
int tor_screen_size(struct tor_screen *s, unsigned rows, unsigned columns);
void tor_screen_clear(struct tor_screen *s);

/* tor_screen_blank - an empty picture. */
void tor_screen_blank(struct tor_screen *s);

/* tor_screen_put - write n bytes of UTF-8 from that place on, in at most `width` columns. What does
 * not fit is left out; control characters and what is malformed become '?'. Returns the columns. */
unsigned tor_screen_put(struct tor_screen *s, unsigned row, unsigned column, unsigned width,
                        enum tor_style style, const char *p, size_t n);
unsigned tor_screen_printf(struct tor_screen *s, unsigned row, unsigned column,
                           enum tor_style style, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* tor_screen_fill - give the rest of a row from a column on this style. */
void tor_screen_fill(struct tor_screen *s, unsigned row, unsigned column, enum tor_style style);

/* tor_screen_draw - append what makes the terminal show the picture. colour: with styles. 0, or the
 * buffer's error: then everything is drawn the next time. */
int tor_screen_draw(struct tor_screen *s, bool colour, struct nk_buf *out);

/* tor_screen_forget - what the terminal shows is not known: the next draw sends everything. */
void tor_screen_forget(struct tor_screen *s);

/* tor_screen_text - append the picture as lines of text without blanks at their ends; empty rows at
 * the end are left out. 0 or the buffer's error. */
int tor_screen_text(const struct tor_screen *s, struct nk_buf *out);

#endif
