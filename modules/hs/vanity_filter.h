/* SPDX-License-Identifier: MIT */
/*
 * vanity_filter - beginnings of onion addresses that are looked for, as tests on a public key.
 *
 * An address begins with the base32 of the public key's first bytes, so a beginning of up to 12
 * characters (60 bits) is a mask and a value on the key's first eight bytes, read as one little
 * endian number `low`: the low 64 bits of the point's y (RFC 8032 §5.1.2).
 */
#ifndef NK_HS_VANITY_FILTER_H
#define NK_HS_VANITY_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/opt.h"

#define HS_VANITY_CHARS 12u      /* 60 of the 64 bits */
#define HS_VANITY_PATTERNS 65536 /* most at once */
#define HS_VANITY_MAP_BITS 16    /* of low, that the map below is indexed with */

/* Beginnings of one shape: the same bits of low are looked at. */
struct hs_vanity_group {
    uint64_t mask;
    size_t first, n; /* its values */
};

struct hs_vanity_value {
    uint64_t value;
    uint32_t pattern; /* number of the pattern that it comes from */
};

/* Read-only once made; any number of threads may use it. */
struct hs_vanity_filter {
    /* the quick test: with one value `mask` and `value` decide, with more the map says which
     * values of the low 16 bits are worth a look */
    bool single;
    uint64_t mask, value;
    uint32_t map[(1u << HS_VANITY_MAP_BITS) / 32];
    struct hs_vanity_value *values; /* by group, then by value */
    struct hs_vanity_group *groups;
    size_t nvalues, ngroups;
};

/*
 * hs_vanity_filter_new - for n (1..HS_VANITY_PATTERNS) patterns: characters of base32 in either
 * case, '.' for any, '[abc]' for one of several; at most HS_VANITY_CHARS of them, and not '.'
 * alone. 0; NK_EUSAGE with the pattern and the reason; NK_ELIMIT when '[..]' stand for more than
 * HS_VANITY_PATTERNS values; -ENOMEM. Free with hs_vanity_filter_free.
 */
int hs_vanity_filter_new(struct hs_vanity_filter **out, const struct nk_strlist *patterns,
                         struct nk_diag *diag);
void hs_vanity_filter_free(struct hs_vanity_filter *f);

/* hs_vanity_filter_match - the number of a pattern that low fulfils, or -1. */
int hs_vanity_filter_match(const struct hs_vanity_filter *f, uint64_t low);

/* hs_vanity_filter_odds - the chance that a random key fulfils one of them, 0..1; a little too high
 * where one beginning is also the beginning of another. */
double hs_vanity_filter_odds(const struct hs_vanity_filter *f);

/* hs_vanity_pattern_fits - does this address begin as the pattern says? By the text alone: to
 * check what a search has found. The pattern must be one that hs_vanity_filter_new takes. */
bool hs_vanity_pattern_fits(const char *pattern, const char *address);

/* hs_vanity_filter_maybe - the quick test: false for nearly all keys that do not match, true for
 * all that do. */
static inline bool hs_vanity_filter_maybe(const struct hs_vanity_filter *f, uint64_t low)
{
    if (f->single) {
        return (low & f->mask) == f->value;
    }
    return f->map[(uint16_t)low >> 5] >> (low & 31) & 1;
}

#endif
