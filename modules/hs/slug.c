/* SPDX-License-Identifier: MIT */
#include "hs/slug.h"

#include <string.h>

static bool is_slug_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

bool hs_slug_ok(const char *s, size_t n)
{
    if (n == 0 || n > HS_SLUG_MAX || s[0] == '-') {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!is_slug_char(s[i])) {
            return false;
        }
    }
    return true;
}

int hs_slug_check(const char *what, const char *s, struct nk_diag *diag)
{
    size_t n = strlen(s), good = 0;
    if (hs_slug_ok(s, n)) {
        return 0;
    }
    while (good < n && is_slug_char(s[good])) {
        good++;
    }
    if (n == 0) {
        nk_fail(diag, NK_EUSAGE, "the %s is empty", what);
    } else if (n > HS_SLUG_MAX) {
        nk_fail(diag, NK_EUSAGE, "the %s '%.32s..' is longer than %d characters", what, s,
                HS_SLUG_MAX);
    } else if (good == n) {
        nk_fail(diag, NK_EUSAGE, "the %s '%s' begins with '-'", what, s);
    } else if ((unsigned char)s[good] < 0x80) {
        nk_fail(diag, NK_EUSAGE, "the %s '%s' has the character '%c'", what, s, s[good]);
    } else {
        nk_fail(diag, NK_EUSAGE, "the %s '%s' has characters other than ASCII", what, s);
    }
    nk_hint(diag, "a-z, 0-9, '-' and '_' are taken everywhere; it may not begin with '-'");
    return NK_EUSAGE;
}
