/* SPDX-License-Identifier: MIT */
/* given - words of a command line that go to tor: what can be seen to be wrong is refused before
 * anything is opened. `what` names the word in the error; diag may be NULL. */
#ifndef TOR_GIVEN_H
#define TOR_GIVEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define TOR_ID_MAX 16    /* digits of an id (control-spec 2.4 CircuitID, StreamID) */
#define TOR_GIVEN_MAX 63 /* characters of a name; tor 0.4.9's longest option has 45 */

/* tor_word_check - text is one word that tor takes as it stands (printable ASCII, no quotes). 0 or
 * NK_EUSAGE. */
int tor_word_check(const char *text, const char *what, struct nk_diag *diag);

/* tor_words_check - all n of them. */
int tor_words_check(char *const *words, int n, const char *what, struct nk_diag *diag);

/* tor_id_check - text is the number of a circuit or stream. The specification would allow letters,
 * tor never makes such. 0, which is none of them, passes with `zero` only. 0 or NK_EUSAGE. */
int tor_id_check(const char *text, bool zero, const char *what, struct nk_diag *diag);

/* tor_name_check - the len bytes at text are a name as events, signals and options have: letters,
 * digits and underscores. 0 or NK_EUSAGE. */
int tor_name_check(const char *text, size_t len, const char *what, struct nk_diag *diag);

#endif
