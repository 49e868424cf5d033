/* SPDX-License-Identifier: MIT */
#include "hs/legacy.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/onion.h"

/* How the lines begin, and what has them. */
static const char *const words[] = {"HidServAuth", "HiddenServiceAuthorizeClient", "client-name",
                                    "descriptor-cookie"};

enum { COOKIE = 22 /* characters: 16 bytes in base64 without padding (rend-spec-v2 2.1) */ };

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

/* "abcdefghijklmnop.onion COOKIE": the hostname of a version 2 service with authorization. */
static bool is_hostname(const char *s, size_t n)
{
    static const char suffix[] = ".onion";
    size_t at = NK_ONION_V2_LABEL, dot = sizeof(suffix) - 1;
    return n > at + dot + COOKIE && strncasecmp(s + at, suffix, dot) == 0 && blank(s[at + dot]);
}

static bool is_legacy(const char *s, size_t n)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        size_t len = strlen(words[i]);
        if (n > len && strncasecmp(s, words[i], len) == 0 && blank(s[len])) {
            return true;
        }
    }
    return is_hostname(s, n);
}

int hs_legacy_check(const char *text, size_t len, struct nk_diag *diag)
{
    const char *end = text + len;
    while (text < end) {
        const char *line = memchr(text, '\n', (size_t)(end - text));
        size_t n = (size_t)((line ? line : end) - text);
        while (n > 0 && blank(*text)) {
            text++;
            n--;
        }
        if (is_legacy(text, n)) {
            nk_fail(diag, NK_EVERSION,
                    "contents: client authorization of version 2 (HidServAuth, basic and stealth); "
                    "such services ended in 2021, and tor has no use for its cookies");
            nk_hint(diag, "version 3 has a key pair for each client: 'netkit hsc generate-key' "
                          "makes one for the address that the service has now");
            return NK_EVERSION;
        }
        text += n + (line ? 1 : 0);
    }
    return 0;
}
