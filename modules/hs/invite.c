/* SPDX-License-Identifier: MIT */
#include "hs/invite.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char SCHEME[] = "onion-auth:";
static const char SPACE[] = " \t\r\n";

void hs_invite_format(char out[HS_INVITE_MAX], const struct hs_invite *in)
{
    char address[NK_ONION_SIZE];
    nk_onion_format(address, in->address);
    snprintf(out, HS_INVITE_MAX, HS_INVITE_PREFIX "addr=%.*s%s%s", NK_ONION_LABEL, address,
             in->name[0] ? "&name=" : "", in->name);
}

/* One field, key=value; seen says which there were. */
static int take_field(struct hs_invite *in, const char *s, size_t n, bool seen[2],
                      struct nk_diag *diag)
{
    static const char *const keys[] = {"addr=", "name="};
    size_t which = 0, skip = sizeof("addr=") - 1;
    while (which < 2 && (n < skip || memcmp(s, keys[which], skip) != 0)) {
        which++;
    }
    if (which == 2) {
        return nk_fail(diag, NK_EFORMAT, "invitation: unknown field '%.*s'", n < 40 ? (int)n : 40,
                       s);
    }
    if (seen[which]) {
        return nk_fail(diag, NK_EFORMAT, "invitation: '%s' is there twice", keys[which]);
    }
    seen[which] = true;
    s += skip;
    n -= skip;
    if (which == 0) {
        int rc = nk_onion_parse(in->address, s, n, diag);
        return rc < 0 ? nk_fail_context(diag, "invitation: addr") : 0;
    }
    if (!hs_slug_ok(s, n)) {
        return nk_fail(diag, NK_EFORMAT, "invitation: name: only a-z, 0-9, '-' and '_', %d at most",
                       HS_SLUG_MAX);
    }
    memcpy(in->name, s, n);
    in->name[n] = '\0';
    return 0;
}

int hs_invite_parse(struct hs_invite *out, const char *text, struct nk_diag *diag)
{
    struct hs_invite in = {0};
    bool seen[2] = {false, false};
    text += strspn(text, SPACE);
    size_t prefix = sizeof(HS_INVITE_PREFIX) - 1, len = strcspn(text, SPACE);
    if (text[len + strspn(text + len, SPACE)] != '\0') {
        return nk_fail(diag, NK_EFORMAT, "invitation: it is one word, without spaces");
    }
    if (strncmp(text, SCHEME, sizeof(SCHEME) - 1) != 0) {
        nk_fail(diag, NK_EFORMAT, "invitation: it does not begin with " HS_INVITE_PREFIX);
        nk_hint(diag, "the service's owner makes one with 'netkit hs share'");
        return NK_EFORMAT;
    }
    if (strncmp(text, HS_INVITE_PREFIX, prefix) != 0) {
        return nk_fail(diag, NK_EVERSION,
                       "invitation: only version 1 is known (" HS_INVITE_PREFIX "..)");
    }
    const char *s = text + prefix, *end = text + len;
    int rc = 0;
    do {
        const char *next = memchr(s, '&', (size_t)(end - s));
        rc = take_field(&in, s, (size_t)((next ? next : end) - s), seen, diag);
        s = next ? next + 1 : NULL;
    } while (rc == 0 && s);
    if (rc == 0 && !seen[0]) {
        rc = nk_fail(diag, NK_EFORMAT, "invitation: addr is missing");
    }
    if (rc == 0) {
        *out = in;
    }
    return rc;
}
