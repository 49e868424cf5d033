/* SPDX-License-Identifier: MIT */
/* exec_words - the body of exec: as the words of a command. */
#ifndef NK_NET_EXEC_WORDS_H
#define NK_NET_EXEC_WORDS_H

#include "base/err.h"

/* What is left of it in memory: free() is enough. */
struct net_words {
    char **argv; /* NULL-terminated; strings lie behind the pointers in the same allocation */
    size_t n;
};

/*
 * net_exec_words - split at blanks; '..' and ".." keep blanks together, also inside of a word; then
 * each word is percent-decoded, so that %20 is a blank, %2C a comma and %27 a quote in it. There is
 * no other syntax: no variables, no patterns, no shell. 0, NK_EFORMAT (no word, an open quote, a
 * bad
 * %, control bytes), NK_ETOOBIG, -ENOMEM. On success free(out->argv).
 */
int net_exec_words(const char *body, struct net_words *out, struct nk_diag *diag);

#endif
