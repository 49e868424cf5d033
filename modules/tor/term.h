/* SPDX-License-Identifier: MIT */
/*
 * term - the terminal that a command talks through: keys as they are pressed, no echo, and either
 * lines (shell) or the whole screen (top). Standard input and output must be the terminal.
 *
 * It is as it was again after tor_term_close, which a command calls on every way out of its loop;
 * INT, TERM, HUP and QUIT end the loop, and while the program is stopped (^Z, SIGTSTP) the terminal
 * is the shell's.
 */
#ifndef TOR_TERM_H
#define TOR_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

#include "base/err.h"

struct nk_app;
struct nk_signal;
struct nk_stream;

struct tor_term {
    bool full; /* the whole screen (ECMA-48, xterm's alternate screen), no cursor */
    /* Bytes from the keyboard; n is 0 once, when there will be no more. */
    void (*on_keys)(void *owner, const char *p, size_t n);
    /* Size or contents are new: draw everything. */
    void (*on_size)(void *owner);
    void *owner;
    struct nk_app *app; /* private from here on */
    struct nk_stream *in;
    struct nk_signal *winch, *cont, *quit, *tstp;
    struct termios before;
    bool open, raw;
};

/* tor_term_usable - standard input and output are a terminal that can move its cursor. */
bool tor_term_usable(void);

/* tor_term_open - with the four fields above set. 0 or the error; then nothing has changed. */
int tor_term_open(struct tor_term *t, struct nk_app *app, struct nk_diag *diag);

/* tor_term_close - give the terminal back. Fine when it is not open, and twice. */
void tor_term_close(struct tor_term *t);

/* tor_term_write - to the terminal, all of it; what cannot be written is lost. */
void tor_term_write(const void *p, size_t n);

/* tor_term_size - rows and columns, 24 and 80 where nobody knows. */
void tor_term_size(unsigned *rows, unsigned *columns);

/* tor_term_stop - what ^Z does: stop the program, the terminal being as it was. */
void tor_term_stop(struct tor_term *t);

#endif
