/* SPDX-License-Identifier: MIT */
#include "hs/vanity_search.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

/* Key number j of a centre is its secret + 8j; the block of index i begins at j = i·BLOCK, and its
 * middle, where the kernel's centre stands, is PAIRS further: no key is below the secret. */
struct centre {
    uint8_t secret[HS_SCALAR];
    uint64_t block;
    bool spent; /* had its hit in this block */
};

struct hs_vanity_search {
    const struct hs_vanity_kernel *kernel;
    const struct hs_vanity_table *table;
    const struct hs_vanity_filter *filter;
    void *state;
    struct nk_secret centres; /* struct centre each */
    struct hs_vanity_found found[2 * HS_VANITY_CENTRES_MAX];
};

static struct centre *centre_at(const struct hs_vanity_search *s, unsigned i)
{
    return (struct centre *)(void *)s->centres.data + i;
}

/* out = secret + 8j. False when it does not have the clamped form: with the 251 random bits of the
 * secret that takes 2^180 keys. */
static bool scalar_at(uint8_t out[HS_SCALAR], const uint8_t secret[HS_SCALAR], uint64_t j)
{
    hs_u128 carry = (hs_u128)j * HS_VANITY_COFACTOR;
    for (unsigned i = 0; i < HS_SCALAR; i++) {
        carry += secret[i];
        out[i] = (uint8_t)carry;
        carry >>= 8;
    }
    return (out[0] & 7) == 0 && (out[HS_SCALAR - 1] & 0xc0) == 0x40;
}

/* A fresh secret for a centre. */
static int begin(struct hs_vanity_search *s, unsigned i)
{
    struct centre *c = centre_at(s, i);
    struct hs_point p;
    uint8_t middle[HS_SCALAR];
    nk_random(c->secret, sizeof(c->secret));
    c->secret[0] &= 0xf8; /* RFC 8032 §5.1.5 */
    c->secret[HS_SCALAR - 1] &= 0x3f;
    c->secret[HS_SCALAR - 1] |= 0x40;
    c->block = 0;
    c->spent = false;
    int rc = NK_EINTERNAL;
    if (scalar_at(middle, c->secret, HS_VANITY_PAIRS) && hs_point_base(&p, middle) == 0) {
        s->kernel->set(s->state, i, &p);
        rc = 0;
    }
    nk_wipe(middle, sizeof(middle));
    return rc;
}

int hs_vanity_search_new(struct hs_vanity_search **out, const struct hs_vanity_kernel *kernel,
                         const struct hs_vanity_table *table, const struct hs_vanity_filter *filter)
{
    struct hs_vanity_search *s = calloc(1, sizeof(*s));
    if (!s) {
        return -ENOMEM;
    }
    s->kernel = kernel;
    s->table = table;
    s->filter = filter;
    s->state = aligned_alloc(HS_VANITY_ALIGN, kernel->state_size);
    int rc =
        s->state ? nk_secret_alloc(&s->centres, kernel->centres * sizeof(struct centre)) : -ENOMEM;
    for (unsigned i = 0; i < kernel->centres && rc == 0; i++) {
        rc = begin(s, i);
    }
    if (rc < 0) {
        hs_vanity_search_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

void hs_vanity_search_free(struct hs_vanity_search *s)
{
    if (s) {
        nk_secret_clear(&s->centres);
        free(s->state);
        free(s);
    }
}

/* The identity of a found key, computed anew. */
static int make_hit(const struct hs_vanity_search *s, const struct hs_vanity_found *f,
                    struct hs_vanity_hit *out)
{
    const struct centre *c = centre_at(s, f->centre);
    const uint64_t j = c->block * HS_VANITY_BLOCK + (uint64_t)(HS_VANITY_PAIRS + f->index);
    struct hs_vanity_hit hit = {.pattern = f->pattern};
    uint8_t expanded[HS_EXPANDED];
    uint64_t low = 0;
    nk_random(expanded + HS_SCALAR, sizeof(expanded) - HS_SCALAR);
    int rc = scalar_at(expanded, c->secret, j) ? 0 : NK_EINTERNAL;
    if (rc == 0) {
        rc = hs_identity_from_expanded(&hit.identity, expanded, NULL);
    }
    for (unsigned i = 0; i < sizeof(low); i++) {
        low |= (uint64_t)hit.identity.pub[i] << (8 * i);
    }
    if (rc == 0 && hs_vanity_filter_match(s->filter, low) == f->pattern) {
        *out = hit;
    } else {
        rc = NK_EINTERNAL;
    }
    nk_wipe(expanded, sizeof(expanded));
    hs_identity_wipe(&hit.identity);
    return rc;
}

/* After a block: its hits, one per centre; then all centres stand in their next block. */
static int take(struct hs_vanity_search *s, const struct hs_vanity_founds *founds,
                struct hs_vanity_hit *hits, unsigned max, unsigned *nhits)
{
    int rc = 0;
    for (size_t i = 0; i < founds->n && *nhits < max && rc == 0; i++) {
        struct centre *c = centre_at(s, founds->v[i].centre);
        if (!c->spent) {
            rc = make_hit(s, &founds->v[i], &hits[*nhits]);
            *nhits += rc == 0;
            c->spent = true;
        }
    }
    for (unsigned i = 0; i < s->kernel->centres && rc == 0; i++) {
        centre_at(s, i)->block++;
        if (centre_at(s, i)->spent) {
            rc = begin(s, i);
        }
    }
    return rc;
}

int hs_vanity_search_run(struct hs_vanity_search *s, uint64_t keys, struct hs_vanity_hit *hits,
                         unsigned max, unsigned *nhits, uint64_t *tried)
{
    int rc = 0;
    *nhits = 0;
    *tried = 0;
    while (rc == 0 && *nhits < max && *tried < keys) {
        struct hs_vanity_founds founds = {.v = s->found,
                                          .max = sizeof(s->found) / sizeof(*s->found)};
        s->kernel->block(s->state, s->table, s->filter, &founds);
        *tried += (uint64_t)HS_VANITY_BLOCK * s->kernel->centres;
        rc = take(s, &founds, hits, max, nhits);
    }
    return rc;
}
