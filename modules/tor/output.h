/* SPDX-License-Identifier: MIT */
/*
 * output - what a tor of ours writes to its standard output: its log, from which the reason of a
 * failed start becomes an error with a remedy.
 */
#ifndef TOR_OUTPUT_H
#define TOR_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/log.h"

#define TOR_OUTPUT_LINE 512 /* longer lines are cut */
#define TOR_OUTPUT_KEPT 12  /* so many of the last warnings and errors */

struct tor_output {
    /* a whole line, without its time and "[warn]"; valid until return; may be NULL */
    void (*on_line)(void *owner, enum nk_level level, const char *text);
    void *owner;
    char line[TOR_OUTPUT_LINE]; /* private from here on: the unfinished one */
    size_t len;
    char kept[TOR_OUTPUT_KEPT][TOR_OUTPUT_LINE];
    size_t nkept; /* ever */
};

/* tor_output_init - nothing was said yet. tor_output_feed - n more bytes were. */
void tor_output_init(struct tor_output *o, void (*on_line)(void *, enum nk_level, const char *),
                     void *owner);
void tor_output_feed(struct tor_output *o, const char *p, size_t n);

/* tor_output_listens - whether this line says that the control socket is there. */
bool tor_output_listens(const char *text);

/*
 * tor_output_explain - the most telling of the warnings and errors as an error: -EADDRINUSE,
 * NK_ELOCKED (data directory in use), NK_ECONFIG (an option or its value), NK_EBADMODE (whose the
 * data directory is), -EACCES, or NK_ECLOSED for what is not known. 0, and diag untouched, when
 * there was none.
 */
int tor_output_explain(const struct tor_output *o, struct nk_diag *diag);

#endif
