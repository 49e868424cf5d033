/* SPDX-License-Identifier: MIT */
/* legacy - what version 2 of onion services left behind, which ended in 2021: recognised, so that
 * it is explained instead of called malformed. */
#ifndef NK_HS_LEGACY_H
#define NK_HS_LEGACY_H

#include <stddef.h>

#include "base/err.h"

/*
 * hs_legacy_check - 0, or NK_EVERSION, with what is to be done instead, when the text has a line of
 * version 2's client authorization: "HidServAuth ..", "HiddenServiceAuthorizeClient ..",
 * "ADDRESS.onion COOKIE ..", "descriptor-cookie ..". Nothing of the text is shown: cookies are
 * secrets.
 */
int hs_legacy_check(const char *text, size_t len, struct nk_diag *diag);

#endif
