/* SPDX-License-Identifier: MIT */
#include "tor/given.h"

#include <string.h>

#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static int judge(bool fine, const char *text, const char *what, struct nk_diag *diag)
{
    return fine ? 0 : nk_fail(diag, NK_EUSAGE, "'%.80s' is no %s", text, what);
}

int tor_word_check(const char *text, const char *what, struct nk_diag *diag)
{
    bool fine = text[0] != '\0';
    for (const char *c = text; *c; c++)
        fine = fine && *c > ' ' && *c <= '~' && *c != '"' && *c != '\\';
    return judge(fine, text, what, diag);
}

int tor_words_check(char *const *words, int n, const char *what, struct nk_diag *diag)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < n; i++)
        rc = tor_word_check(words[i], what, diag);
    return rc;
}

int tor_id_check(const char *text, bool zero, const char *what, struct nk_diag *diag)
{
    size_t n = strlen(text);
    bool fine = n > 0 && n <= TOR_ID_MAX && strspn(text, DIGITS) == n;
    return judge(fine && (text[0] != '0' || (zero && n == 1)), text, what, diag);
}

int tor_name_check(const char *text, size_t len, const char *what, struct nk_diag *diag)
{
    bool fine = len > 0 && len <= TOR_GIVEN_MAX;
    return judge(fine && strspn(text, LETTERS DIGITS "_") >= len, text, what, diag);
}
