/* SPDX-License-Identifier: MIT */
/* ask - a secret from the terminal, without echo. */
#ifndef NK_BASE_ASK_H
#define NK_BASE_ASK_H

#include <stdbool.h>

#include "base/err.h"
#include "base/secret.h"

#define NK_ASK_MAX 1024u /* bytes of an answer; of a longer one, one byte more is kept */
#define NK_ASK_TRIES 3

struct nk_ask {
    const char *what;     /* "password", for messages */
    const char *question; /* with the blank behind it */
    const char *hint;     /* what to do where there is no terminal */
    bool is_new;          /* ask twice */
    /* Is this the one? NK_EUSAGE and NK_EAUTH: ask again, with the reason. NULL: any is. */
    int (*check)(void *arg, const struct nk_secret *s, struct nk_diag *diag);
    void *arg;
};

/*
 * nk_ask_secret - ask on /dev/tty, at most NK_ASK_TRIES times. NK_EUSAGE: there is no terminal, or
 * it is not the same twice; what check returned last; -ECANCELED: an end of file. out is untouched
 * then.
 *
 * INT, TERM, HUP, QUIT and TSTP that come while the terminal has no echo are held back until it is
 * as it was. The program must have no other thread then that would take them. Blocks.
 */
int nk_ask_secret(const struct nk_ask *q, struct nk_secret *out, struct nk_diag *diag);

/* nk_secret_line - the first line of what an inherited descriptor gives until its end, at most
 * NK_ASK_MAX bytes and the end of the line altogether. Errors as nk_file_read_fd. */
int nk_secret_line(int fd, struct nk_secret *out, struct nk_diag *diag);

#endif
