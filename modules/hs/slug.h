/* SPDX-License-Identifier: MIT */
/*
 * slug - names that every implementation takes: nicknames of services and of clients, parts of the
 * paths of a keystore.
 *
 * arti's rule: one or more of a-z, 0-9, '_' and '-', and no '-' in front. C-tor takes any file name
 * for a client, but arti passes over 'Alice.auth' and 'bob@laptop.auth' with a warning, so netkit
 * writes names of this kind only.
 */
#ifndef NK_HS_SLUG_H
#define NK_HS_SLUG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define HS_SLUG_MAX 128 /* characters; with an extension far below NAME_MAX */

/* hs_slug_ok - are the n characters at s such a name? */
bool hs_slug_ok(const char *s, size_t n);

/* hs_slug_check - the same for a whole string; `what` ("nickname", "service") begins the text that
 * says what is wrong with it. 0 or NK_EUSAGE. */
int hs_slug_check(const char *what, const char *s, struct nk_diag *diag);

#endif
