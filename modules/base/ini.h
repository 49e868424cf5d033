/* SPDX-License-Identifier: MIT */
/*
 * ini - the syntax of netkit.ini: sections, keys and values, with every error of a text in one run.
 *
 * inih splits the lines; a scan of our own goes first and takes away whatever inih would misread in
 * silence: continuation lines, ':' as separator, names it would cut, unterminated sections, NUL and
 * control bytes. Values are everything after '=' without surrounding white space: there are no
 * inline comments and no quoting. A byte order mark and CRLF line ends are fine.
 */
#ifndef NK_BASE_INI_H
#define NK_BASE_INI_H

#include <stddef.h>

#define NK_INI_MAX_TEXT (1024 * 1024) /* bytes of a whole file */
#define NK_INI_MAX_LINE 16384         /* bytes of one line */
#define NK_INI_MAX_NAME 49            /* bytes of a section header or key: inih's MAX_NAME - 1 */

/* What the text contains, in its order. Strings are valid during the call only; lines count from 1.
 * Keys below a refused section header are not reported at all. */
struct nk_ini_events {
    void (*section)(void *owner, unsigned line, const char *header); /* "group NAME" */
    void (*key)(void *owner, unsigned line, const char *key, const char *value);
    void (*problem)(void *owner, unsigned line, const char *text);
    void *owner;
};

/* nk_ini_parse - read len bytes of text. Calls back synchronously. Returns 0, NK_EFORMAT when at
 * least one problem was reported (lines of different kinds are reported in two passes, so not
 * always in order), NK_ETOOBIG beyond NK_INI_MAX_TEXT (nothing reported), -ENOMEM. */
int nk_ini_parse(const char *text, size_t len, const struct nk_ini_events *events);

#endif
