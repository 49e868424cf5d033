/* SPDX-License-Identifier: MIT */
#include "tls/access.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"

enum { NAME_MAX_BYTES = 512, DEL = 0x7f };

static const struct {
    const char *option, *prefix;
} kinds[] = {
    [TLS_ALLOW_VERIFIED] = {"allow_all", NULL}, [TLS_ALLOW_CN] = {"allow_cn", "CN:"},
    [TLS_ALLOW_DNS] = {"allow_dns", "DNS:"},    [TLS_ALLOW_URI] = {"allow_uri", "URI:"},
    [TLS_ALLOW_PIN] = {"allow_pin", NULL},
};

void tls_access_clear(struct tls_access *a)
{
    for (size_t i = 0; a->names && i < a->n; i++) {
        free(a->names[i]);
    }
    free(a->names);
    free(a->pins);
    *a = (struct tls_access){.kind = TLS_ALLOW_VERIFIED};
}

/* What no certificate could have would let nobody in, without a word. */
static bool can_be_name(const char *text)
{
    size_t n = strlen(text);
    if (n == 0 || n > NAME_MAX_BYTES || !nk_utf8_valid(text, n)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)text[i] < ' ' || text[i] == DEL) {
            return false;
        }
    }
    return true;
}

/* The stars of a URI stand where segments of its path do; "**" is the last one. */
static bool good_stars(const char *uri)
{
    const char *p = strstr(uri, "://");
    size_t n;
    if (!p || p == uri || p[3] == '/' || memchr(uri, '*', (size_t)(p - uri))) {
        return false;
    }
    for (bool host = true; *(p += host ? 3 : 1); p += n, host = false) {
        n = strcspn(p, "/");
        const char *star = memchr(p, '*', n);
        if (star && (host || star > p || n > 2 || p[n - 1] != '*' || (n == 2 && p[n]))) {
            return false;
        }
        if (!p[n]) {
            return true;
        }
    }
    return true;
}

static int add(struct tls_access *a, const char *value, struct nk_diag *diag)
{
    const char *option = kinds[a->kind].option;
    if (a->kind == TLS_ALLOW_PIN) {
        if (tls_pin_parse(value, a->pins[a->n]) < 0) {
            return nk_fail(diag, NK_ECONFIG,
                           "%s: '%s' is not a pin: sha256: and 64 hex digits or base64", option,
                           value);
        }
        a->n++;
        return 0;
    }
    if (!can_be_name(value)) {
        return nk_fail(diag, NK_ECONFIG, "%s: '%s' cannot stand in a certificate", option, value);
    }
    if (a->kind == TLS_ALLOW_URI && strchr(value, '*') && !good_stars(value)) {
        nk_fail(diag, NK_ECONFIG, "%s: '%s': the stars are not in their places", option, value);
        nk_hint(diag, "spiffe://domain/*/web, spiffe://domain/**: * is one whole segment of the "
                      "path, ** all that follow, at the end");
        return NK_ECONFIG;
    }
    if (a->kind == TLS_ALLOW_DNS && strchr(value, '*')) {
        nk_fail(diag, NK_ECONFIG, "%s: '%s' is a pattern, and names are compared as a whole",
                option, value);
        nk_hint(diag, "repeat %s for each name", option);
        return NK_ECONFIG;
    }
    if (asprintf(&a->names[a->n], "%s%s", kinds[a->kind].prefix, value) < 0) {
        a->names[a->n] = NULL;
        return nk_fail_sys(diag, -ENOMEM, "%s", option);
    }
    a->n++;
    return 0;
}

int tls_access_init(struct tls_access *a, enum tls_allow kind, const char *const *values, size_t n,
                    struct nk_diag *diag)
{
    int rc = 0;
    *a = (struct tls_access){.kind = kind};
    if (kind == TLS_ALLOW_VERIFIED) {
        return n > 0 ? nk_fail(diag, NK_EINTERNAL, "names without a kind of rule") : 0;
    }
    if (n == 0) {
        return nk_fail(diag, NK_ECONFIG, "%s: nobody is named", kinds[kind].option);
    }
    if (kind == TLS_ALLOW_PIN) {
        a->pins = calloc(n, sizeof(*a->pins));
    } else {
        a->names = calloc(n, sizeof(*a->names));
    }
    if (!a->pins && !a->names) {
        rc = nk_fail_sys(diag, -ENOMEM, "%s", kinds[kind].option);
    }
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = add(a, values[i], diag);
    }
    if (rc < 0) {
        tls_access_clear(a);
    }
    return rc;
}

/* The bytes of a segment that a star may stand for, as SPIFFE IDs have them (SPIFFE-ID §2.2): what
 * some program could read in another way, such as %2e, is nobody's. 0: not such a segment. */
static size_t plain_segment(const char *p, size_t n)
{
    size_t len = 0;
    while (len < n && p[len] != '/') {
        unsigned char c = (unsigned char)p[len++], letter = c | 0x20;
        if (!(letter >= 'a' && letter <= 'z') && !(c >= '0' && c <= '9') && !strchr("-._", c)) {
            return 0;
        }
    }
    return len <= 2 && strspn(p, ".") >= len ? 0 : len; /* empty, "." and ".." */
}

/* The n bytes at p are the name that pattern says. */
static bool is_uri(const char *pattern, const char *p, size_t n)
{
    for (; *pattern; pattern++) {
        size_t len = *pattern != '*' ? n > 0 && *p == *pattern : plain_segment(p, n);
        if (len == 0) {
            return false;
        }
        p += len;
        n -= len;
        if (strcmp(pattern, "**") == 0 && n > 0) { /* one more, of at least one */
            p++;
            n--;
            pattern--;
        } else if (strcmp(pattern, "**") == 0) {
            pattern++;
        }
    }
    return n == 0;
}

/* RFC 4343: letters of DNS names have no case; those of other names do. */
static bool has_line(const char *names, const char *want, enum tls_allow kind)
{
    size_t len = strlen(want), n;
    for (const char *p = names; *p; p += n + (p[n] == '\n')) {
        n = strcspn(p, "\n");
        if (kind == TLS_ALLOW_URI ? is_uri(want, p, n)
                                  : n == len && (kind == TLS_ALLOW_DNS ? strncasecmp(p, want, n)
                                                                       : memcmp(p, want, n)) == 0) {
            return true;
        }
    }
    return false;
}

bool tls_access_allows(const struct tls_access *a, const char *names, const uint8_t cert[TLS_HASH],
                       const uint8_t spki[TLS_HASH])
{
    bool found = a->kind == TLS_ALLOW_VERIFIED;
    for (size_t i = 0; i < a->n; i++) {
        found |= a->kind == TLS_ALLOW_PIN ? sodium_memcmp(a->pins[i], spki, TLS_HASH) == 0 ||
                                                sodium_memcmp(a->pins[i], cert, TLS_HASH) == 0
                                          : has_line(names, a->names[i], a->kind);
    }
    return found;
}

int tls_access_choose(const struct nk_strlist lists[TLS_ALLOW_LISTS], bool all, enum tls_allow *out,
                      struct nk_diag *diag)
{
    enum tls_allow kind = TLS_ALLOW_VERIFIED;
    bool said = all;
    for (size_t i = 0; i < TLS_ALLOW_LISTS; i++) {
        if (lists[i].n == 0) {
            continue;
        }
        if (said) {
            nk_fail(diag, NK_ECONFIG, "%s and %s: there can be one kind of rule only",
                    kinds[kind].option, kinds[i + 1].option);
            nk_hint(diag, "of one kind there may be several: repeat it for each client");
            return NK_ECONFIG;
        }
        said = true;
        kind = (enum tls_allow)(i + 1);
    }
    if (!said) {
        nk_fail(diag, NK_ECONFIG, "nothing says which clients may connect");
        nk_hint(diag, "name them with allow_cn, allow_dns, allow_uri or allow_pin, or let in every "
                      "certificate of the ca with allow_all");
        return NK_ECONFIG;
    }
    *out = kind;
    return 0;
}
