/* SPDX-License-Identifier: MIT */
#include "hs/vanity_filter.h"

#include <stdlib.h>
#include <string.h>

#include "base/codec.h"

#define CHAR_BITS 5u
#define ALL_CHARS 0xffffffffu /* a set of base32 characters, one bit each */

/* A pattern taken apart: which characters may stand at each place. */
struct shape {
    uint32_t set[HS_VANITY_CHARS];
    unsigned n;
};

/* The value of a base32 character (RFC 4648 §6), or -1. */
static int char_value(char c)
{
    if (c >= 'a' && c <= 'z') {
        return c - 'a';
    }
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    return c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

static int wrong_char(const char *pattern, char c, struct nk_diag *diag)
{
    static const char like[] = {'0', 'o', '1', 'l', '8', 'b', '9', 'g'};
    char shown[16];
    int rc = nk_fail(diag, NK_EUSAGE,
                     "'%s': addresses have the characters a to z and 2 to 7 only, never '%s'",
                     pattern, nk_escape(shown, sizeof(shown), &c, 1));
    for (size_t i = 0; i < sizeof(like); i += 2) {
        if (like[i] == c) {
            nk_hint(diag, "people often write '%c' instead", like[i + 1]);
        }
    }
    return rc;
}

/* One place of a pattern; *p is moved behind it. */
static int parse_place(const char *pattern, const char **p, uint32_t *set, struct nk_diag *diag)
{
    const char *s = *p;
    if (*s == '.') {
        *set = ALL_CHARS;
        *p = s + 1;
        return 0;
    }
    const bool several = *s == '[';
    uint32_t all = 0;
    s += several;
    do {
        int value = char_value(*s);
        if (value < 0 && (*s == 0 || *s == ']')) {
            return nk_fail(diag, NK_EUSAGE, "'%s': '[' needs characters and a ']' behind them",
                           pattern);
        }
        if (value < 0) {
            return wrong_char(pattern, *s, diag);
        }
        all |= (uint32_t)1 << value;
        s++;
    } while (several && *s != ']');
    *set = all;
    *p = s + several;
    return 0;
}

static int parse(const char *pattern, struct shape *out, struct nk_diag *diag)
{
    struct shape shape = {.n = 0};
    bool says_something = false;
    for (const char *p = pattern; *p;) {
        if (shape.n == HS_VANITY_CHARS) {
            int rc = nk_fail(diag, NK_EUSAGE, "'%s' is longer than %u characters", pattern,
                             HS_VANITY_CHARS);
            nk_hint(diag, "each character makes the search 32 times longer; 8 take days");
            return rc;
        }
        int rc = parse_place(pattern, &p, &shape.set[shape.n], diag);
        if (rc < 0) {
            return rc;
        }
        says_something |= shape.set[shape.n] != ALL_CHARS;
        shape.n++;
    }
    if (!says_something) {
        return nk_fail(diag, NK_EUSAGE, "'%s': every address begins so", pattern);
    }
    *out = shape;
    return 0;
}

/* Where bit `b` of a key, counted as base32 reads it, stands in low. */
static uint64_t bit_at(unsigned b)
{
    return (uint64_t)1 << (b / 8 * 8 + (7 - b % 8));
}

static void put_char(uint64_t *mask, uint64_t *value, unsigned place, unsigned c)
{
    for (unsigned i = 0; i < CHAR_BITS; i++) {
        const uint64_t bit = bit_at(place * CHAR_BITS + i);
        *mask |= bit;
        *value |= c >> (CHAR_BITS - 1 - i) & 1 ? bit : 0;
    }
}

static unsigned set_size(uint32_t set)
{
    return (unsigned)__builtin_popcount(set);
}

/* How many values a pattern stands for, at most HS_VANITY_PATTERNS + 1. */
static size_t count_values(const struct shape *shape)
{
    size_t n = 1;
    for (unsigned i = 0; i < shape->n && n <= HS_VANITY_PATTERNS; i++) {
        n *= shape->set[i] == ALL_CHARS ? 1 : set_size(shape->set[i]);
    }
    return n;
}

/* The c-th member of a set. */
static unsigned member(uint32_t set, size_t c)
{
    while (c-- > 0) {
        set &= set - 1;
    }
    return (unsigned)__builtin_ctz(set);
}

struct entry {
    uint64_t mask, value;
    uint32_t pattern;
};

/* The number-th value of a pattern. */
static struct entry entry_of(const struct shape *shape, size_t number, uint32_t pattern)
{
    struct entry e = {.pattern = pattern};
    for (unsigned i = 0; i < shape->n; i++) {
        if (shape->set[i] != ALL_CHARS) {
            const unsigned size = set_size(shape->set[i]);
            put_char(&e.mask, &e.value, i, member(shape->set[i], number % size));
            number /= size;
        }
    }
    return e;
}

static int by_mask_and_value(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->mask != y->mask) {
        return x->mask < y->mask ? -1 : 1;
    }
    if (x->value != y->value) {
        return x->value < y->value ? -1 : 1;
    }
    return x->pattern < y->pattern ? -1 : x->pattern > y->pattern;
}

/* Mark every low half-word with which the value can still come true. */
static void map_add(struct hs_vanity_filter *f, uint64_t mask, uint64_t value)
{
    const uint32_t m = (uint16_t)mask, v = (uint16_t)value, free_bits = ~m & 0xffff;
    uint32_t sub = 0;
    do { /* all subsets of the free bits */
        const uint32_t low = v | sub;
        f->map[low >> 5] |= (uint32_t)1 << (low & 31);
        sub = (sub - free_bits) & free_bits;
    } while (sub != 0);
}

/* Sorted entries become groups of values, each once. */
static void fill(struct hs_vanity_filter *f, const struct entry *e, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const bool same_mask = i > 0 && e[i].mask == e[i - 1].mask;
        if (same_mask && e[i].value == e[i - 1].value) {
            continue;
        }
        if (!same_mask) {
            f->groups[f->ngroups++] =
                (struct hs_vanity_group){.mask = e[i].mask, .first = f->nvalues};
        }
        f->groups[f->ngroups - 1].n++;
        f->values[f->nvalues++] =
            (struct hs_vanity_value){.value = e[i].value, .pattern = e[i].pattern};
        map_add(f, e[i].mask, e[i].value);
    }
    f->single = f->nvalues == 1;
    f->mask = f->groups[0].mask;
    f->value = f->values[0].value;
}

static int build(struct hs_vanity_filter **out, const struct shape *shapes, size_t nshapes,
                 size_t total)
{
    struct hs_vanity_filter *f = calloc(1, sizeof(*f));
    struct entry *entries = calloc(total, sizeof(*entries));
    if (f) {
        f->values = calloc(total, sizeof(*f->values));
        f->groups = calloc(total, sizeof(*f->groups));
    }
    if (!f || !entries || !f->values || !f->groups) {
        free(entries);
        hs_vanity_filter_free(f);
        return -ENOMEM;
    }
    size_t n = 0;
    for (size_t i = 0; i < nshapes; i++) {
        const size_t values = count_values(&shapes[i]);
        for (size_t v = 0; v < values; v++) {
            entries[n++] = entry_of(&shapes[i], v, (uint32_t)i);
        }
    }
    qsort(entries, n, sizeof(*entries), by_mask_and_value);
    fill(f, entries, n);
    free(entries);
    *out = f;
    return 0;
}

int hs_vanity_filter_new(struct hs_vanity_filter **out, const struct nk_strlist *patterns,
                         struct nk_diag *diag)
{
    size_t total = 0;
    if (patterns->n == 0 || patterns->n > HS_VANITY_PATTERNS) {
        return nk_fail(diag, NK_EUSAGE, "1 to %d beginnings can be looked for at once, not %zu",
                       HS_VANITY_PATTERNS, patterns->n);
    }
    struct shape *shapes = calloc(patterns->n, sizeof(*shapes));
    if (!shapes) {
        return nk_fail_sys(diag, -ENOMEM, "beginnings of addresses");
    }
    int rc = 0;
    for (size_t i = 0; i < patterns->n && rc == 0; i++) {
        rc = parse(patterns->v[i], &shapes[i], diag);
        total += rc == 0 ? count_values(&shapes[i]) : 0;
        if (rc == 0 && total > HS_VANITY_PATTERNS) {
            rc = nk_fail(diag, NK_ELIMIT, "'%s': these are more than %d beginnings altogether",
                         patterns->v[i], HS_VANITY_PATTERNS);
        }
    }
    if (rc == 0) {
        rc = build(out, shapes, patterns->n, total);
        if (rc < 0) {
            nk_fail_sys(diag, rc, "beginnings of addresses");
        }
    }
    free(shapes);
    return rc;
}

void hs_vanity_filter_free(struct hs_vanity_filter *f)
{
    if (f) {
        free(f->values);
        free(f->groups);
        free(f);
    }
}

static int find_in(const struct hs_vanity_filter *f, const struct hs_vanity_group *g, uint64_t low)
{
    const uint64_t want = low & g->mask;
    size_t from = g->first, to = g->first + g->n;
    while (from < to) {
        const size_t mid = from + (to - from) / 2;
        if (f->values[mid].value == want) {
            return (int)f->values[mid].pattern;
        }
        if (f->values[mid].value < want) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return -1;
}

int hs_vanity_filter_match(const struct hs_vanity_filter *f, uint64_t low)
{
    int found = -1;
    for (size_t i = 0; i < f->ngroups && found < 0; i++) {
        found = find_in(f, &f->groups[i], low);
    }
    return found;
}

double hs_vanity_filter_odds(const struct hs_vanity_filter *f)
{
    double sum = 0;
    for (size_t i = 0; i < f->ngroups; i++) {
        double one = (double)f->groups[i].n;
        for (int bits = __builtin_popcountll(f->groups[i].mask); bits > 0; bits--) {
            one /= 2;
        }
        sum += one;
    }
    return sum < 1 ? sum : 1;
}

bool hs_vanity_pattern_fits(const char *pattern, const char *address)
{
    for (const char *p = pattern; *p; address++) {
        uint32_t set = 0;
        int c = char_value(*address);
        if (c < 0 || parse_place(pattern, &p, &set, NULL) < 0 || !(set >> c & 1)) {
            return false;
        }
    }
    return true;
}
