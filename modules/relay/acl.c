/* SPDX-License-Identifier: MIT */
#include "relay/acl.h"

#include <stdlib.h>
#include <string.h>

struct rule {
    char *identity, *pattern;
    size_t plen;
    unsigned rights;
};

struct relay_acl {
    uint32_t refs;
    struct rule *rules;
    size_t n, cap;
};

static const struct {
    const char *name;
    enum relay_right right;
} names[] = {{"produce", RELAY_MAY_PRODUCE},
             {"broadcast", RELAY_MAY_BROADCAST},
             {"consume", RELAY_MAY_CONSUME},
             {"admin", RELAY_MAY_ADMIN}};

enum { NAMES = sizeof(names) / sizeof(names[0]), FIRST_CAP = 16, WORD_MAX = 32 };

struct relay_acl *relay_acl_new(void)
{
    struct relay_acl *a = calloc(1, sizeof(*a));
    if (a) {
        a->refs = 1;
    }
    return a;
}

struct relay_acl *relay_acl_ref(struct relay_acl *a)
{
    a->refs++;
    return a;
}

void relay_acl_unref(struct relay_acl *a)
{
    if (!a || --a->refs > 0) {
        return;
    }
    for (size_t i = 0; i < a->n; i++) {
        free(a->rules[i].identity);
        free(a->rules[i].pattern);
    }
    free(a->rules);
    free(a);
}

static int make_room(struct relay_acl *a)
{
    if (a->n < a->cap) {
        return 0;
    }
    size_t cap = a->cap ? a->cap * 2 : FIRST_CAP;
    struct rule *v = realloc(a->rules, cap * sizeof(*v));
    if (!v) {
        return -ENOMEM;
    }
    a->rules = v;
    a->cap = cap;
    return 0;
}

int relay_acl_add(struct relay_acl *a, const char *identity, const char *pattern, unsigned rights)
{
    size_t plen = strlen(pattern);
    if (identity[0] == '\0' || plen == 0 || plen > RELAY_ACL_PATTERN_MAX || rights == 0 ||
        (rights & ~RELAY_MAY_ALL) || a->n >= RELAY_ACL_RULES_MAX) {
        return NK_ECONFIG;
    }
    int rc = make_room(a);
    if (rc < 0) {
        return rc;
    }
    struct rule r = {
        .identity = strdup(identity), .pattern = strdup(pattern), .plen = plen, .rights = rights};
    if (!r.identity || !r.pattern) {
        free(r.identity);
        free(r.pattern);
        return -ENOMEM;
    }
    a->rules[a->n++] = r;
    return 0;
}

size_t relay_acl_rules(const struct relay_acl *a)
{
    return a ? a->n : 0;
}

/* --- matching --------------------------------------------------------------------------------- */

/* Bytes of the character at p: continuation bytes (10xxxxxx) belong to the one before. */
static size_t character(const char *p, size_t n)
{
    size_t len = 1;
    while (len < n && ((unsigned char)p[len] & 0xc0) == 0x80) {
        len++;
    }
    return len;
}

bool relay_acl_match(const char *pattern, size_t plen, const char *text, size_t len)
{
    size_t p = 0, t = 0, star = SIZE_MAX, again = 0; /* after the last star; where it matched to */
    while (t < len) {
        if (p < plen && pattern[p] == '*') {
            star = ++p;
            again = t;
        } else if (p < plen && pattern[p] == '?') {
            t += character(text + t, len - t);
            p++;
        } else if (p < plen && pattern[p] == text[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) { /* the star takes one byte more */
            p = star;
            t = ++again;
        } else {
            return false;
        }
    }
    while (p < plen && pattern[p] == '*') {
        p++;
    }
    return p == plen;
}

unsigned relay_acl_rights(const struct relay_acl *a, const char *identity, const void *group,
                          size_t len)
{
    unsigned rights = 0;
    if (!a || a->n == 0) {
        return RELAY_MAY_ALL;
    }
    for (size_t i = 0; i < a->n && rights != RELAY_MAY_ALL; i++) {
        const struct rule *r = &a->rules[i];
        if ((strcmp(r->identity, RELAY_ACL_EVERYBODY) == 0 || strcmp(r->identity, identity) == 0) &&
            relay_acl_match(r->pattern, r->plen, group, len)) {
            rights |= r->rights;
        }
    }
    return rights;
}

bool relay_acl_allows(const struct relay_acl *a, const char *identity, const void *group,
                      size_t len, enum relay_right right)
{
    return (relay_acl_rights(a, identity, group, len) & (unsigned)right) != 0;
}

/* --- words ------------------------------------------------------------------------------------ */

const char *relay_acl_right_name(enum relay_right right)
{
    for (size_t i = 0; i < NAMES; i++) {
        if (names[i].right == right) {
            return names[i].name;
        }
    }
    return "?";
}

static unsigned right_of(const char *word, size_t n)
{
    for (size_t i = 0; i < NAMES; i++) {
        if (strlen(names[i].name) == n && memcmp(names[i].name, word, n) == 0) {
            return names[i].right;
        }
    }
    return 0;
}

int relay_acl_parse_rights(const char *text, unsigned *rights, struct nk_diag *diag)
{
    unsigned found = 0;
    for (;;) {
        text += strspn(text, " \t");
        size_t n = strcspn(text, ","), word = n;
        while (word && (text[word - 1] == ' ' || text[word - 1] == '\t')) {
            word--;
        }
        unsigned right = right_of(text, word);
        if (!right) {
            return nk_fail(diag, NK_ECONFIG,
                           "'%.*s' is no right: produce, broadcast, consume or admin",
                           (int)(word < WORD_MAX ? word : WORD_MAX), text);
        }
        found |= right;
        if (text[n] == '\0') {
            *rights = found;
            return 0;
        }
        text += n + 1;
    }
}
