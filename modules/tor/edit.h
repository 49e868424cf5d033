/* SPDX-License-Identifier: MIT */
/*
 * edit - one line of input, edited on a terminal. Pure: keys in as bytes, what the terminal must
 * get out as bytes, nothing read, written or waited for; so it lives in the loop, and text may be
 * printed above the line at any time.
 *
 * Keys: as in the shells of today with Emacs' keys (arrows, Home, End, Delete, ^A ^B ^D ^E ^F ^H ^K
 * ^L ^N ^P ^U ^W, Alt-B, Alt-F, Ctrl-arrows, Tab). A line that is wider than the terminal scrolls
 * sideways. Sequences are those of ECMA-48 that every terminal of today knows.
 */
#ifndef TOR_EDIT_H
#define TOR_EDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/opt.h"

#define TOR_EDIT_LINE_MAX 8192    /* bytes of a line; more keys are ignored */
#define TOR_EDIT_HISTORY_MOST 500 /* lines; the oldest go */
#define TOR_EDIT_CHOICES_MOST 1024

enum tor_edit_result {
    TOR_EDIT_MORE,   /* every byte was used, the line is not finished */
    TOR_EDIT_LINE,   /* Return: it is in tor_edit_text */
    TOR_EDIT_END,    /* ^D on an empty line */
    TOR_EDIT_CANCEL, /* ^C: the line was given up */
    TOR_EDIT_STOP    /* ^Z */
};

/* What may stand where the cursor is: words (borrowed), each a replacement for what stands between
 * `from` and the cursor. */
struct tor_edit_choices {
    size_t from;
    size_t n;
    const char *v[TOR_EDIT_CHOICES_MOST];
};

/* tor_edit_offer - add the word to the choices if it begins with the n characters at typed, without
 * regard to case. */
void tor_edit_offer(struct tor_edit_choices *c, const char *word, const char *typed, size_t n);

struct tor_edit_conf {
    const char *prompt; /* printable, one line; borrowed */
    /* Tab: fill in what may follow line (cursor bytes); nothing offered is fine. NULL: no Tab. */
    void (*complete)(void *owner, const char *line, size_t cursor, struct tor_edit_choices *out);
    void *owner;
};

struct tor_edit;

/* tor_edit_new - 0 or -ENOMEM; conf is copied. Free with tor_edit_free, which wipes the line. */
int tor_edit_new(struct tor_edit **out, const struct tor_edit_conf *conf);
void tor_edit_free(struct tor_edit *e); /* NULL is fine */

/* tor_edit_columns - how wide the terminal is (20..1000; others are brought to that). */
void tor_edit_columns(struct tor_edit *e, unsigned columns);

/* tor_edit_start - an empty line: show the prompt. What was typed before is wiped. */
void tor_edit_start(struct tor_edit *e, struct nk_buf *screen);

/*
 * tor_edit_feed - take up to n bytes from the keyboard, *used of them; stops behind one that
 * finishes the line. What the terminal must get is appended to screen; bytes that do not fit in it
 * are not shown. A LINE stays until the next tor_edit_start.
 */
enum tor_edit_result tor_edit_feed(struct tor_edit *e, const void *p, size_t n, size_t *used,
                                   struct nk_buf *screen);

/* tor_edit_text - the line, with its end. Borrowed until the next call. */
const char *tor_edit_text(const struct tor_edit *e);

/* tor_edit_hide / tor_edit_show - take the line off the screen, so that other lines can be printed
 * in its place; and put it back. */
void tor_edit_hide(struct tor_edit *e, struct nk_buf *screen);
void tor_edit_show(struct tor_edit *e, struct nk_buf *screen);

/* tor_edit_remember - add a line to the history unless it is empty or the same as the last one. 0
 * or -ENOMEM. tor_edit_history: all of them, oldest first. */
int tor_edit_remember(struct tor_edit *e, const char *line);
const struct nk_strlist *tor_edit_history(const struct tor_edit *e);

/* tor_text_width - columns that the n bytes take (UTF-8; wide East Asian characters take two,
 * combining ones none, what is malformed one a byte). tor_text_fit - how many of the bytes fit in
 * so many columns, whole characters only. */
size_t tor_text_width(const char *p, size_t n);
size_t tor_text_fit(const char *p, size_t n, size_t columns);

#endif
