/* SPDX-License-Identifier: MIT */
/*
 * vanity_kernel - the inner loop of the search, in one form per kind of processor. All forms are
 * made from vanity_block.h and give the same results.
 *
 * A kernel works on `centres` points P at once. One call of `block` looks at the HS_VANITY_BLOCK
 * keys P + i·8B, -HS_VANITY_PAIRS <= i <= HS_VANITY_PAIRS, of each, and moves each P to the middle
 * of the next block.
 */
#ifndef NK_HS_VANITY_KERNEL_H
#define NK_HS_VANITY_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "hs/vanity_filter.h"
#include "hs/vanity_table.h"

#define HS_VANITY_CENTRES_MAX 64
#define HS_VANITY_ALIGN 64 /* of a kernel's state: a cache line, a vector of AVX-512 */

/* A key that fulfils a pattern: the point of centre number `centre` plus index·8B. */
struct hs_vanity_found {
    unsigned centre;
    int index;
    int pattern;
};

struct hs_vanity_founds {
    struct hs_vanity_found *v;
    size_t n, max; /* what is found when n = max is not noted */
};

struct hs_vanity_kernel {
    const char *name;
    unsigned centres;
    size_t state_size;    /* a multiple of HS_VANITY_ALIGN */
    bool (*usable)(void); /* does this processor have what it needs? */

    /* Put centre number i to p, which must not be the neutral element. */
    void (*set)(void *state, unsigned i, const struct hs_point *p);

    /* Look at one block and step on. All centres must have been set. */
    void (*block)(void *state, const struct hs_vanity_table *t, const struct hs_vanity_filter *f,
                  struct hs_vanity_founds *out);
};

extern const struct hs_vanity_kernel hs_vanity_portable; /* 64-bit multiplication, any processor */
#ifdef __x86_64__
extern const struct hs_vanity_kernel hs_vanity_ifma; /* eight lanes of AVX-512 IFMA */
#endif

/* hs_vanity_kernel_at - the kernels that this program has, best first; NULL behind the last one,
 * usable or not. */
const struct hs_vanity_kernel *hs_vanity_kernel_at(unsigned i);

/* hs_vanity_kernel_best - the best one that is usable here; never NULL. */
const struct hs_vanity_kernel *hs_vanity_kernel_best(void);

#endif
