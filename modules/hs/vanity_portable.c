/* SPDX-License-Identifier: MIT */
/* The search with 64-bit multiplication: one number per lane. */
#include "hs/vanity_kernel.h"

#define LANES 1u
#define GROUPS 2u
#define LANE_FN static

struct lane {
    struct hs_fe n;
};

static inline void lane_mul(struct lane *o, const struct lane *a, const struct lane *b)
{
    hs_fe_mul_inline(&o->n, &a->n, &b->n);
}

static inline void lane_mul1(struct lane *o, const struct lane *a, const struct hs_fe *b)
{
    hs_fe_mul_inline(&o->n, &a->n, b);
}

static inline void lane_add(struct lane *o, const struct lane *a, const struct lane *b)
{
    hs_fe_add(&o->n, &a->n, &b->n);
}

static inline void lane_add1(struct lane *o, const struct lane *a, const struct hs_fe *b)
{
    hs_fe_add(&o->n, &a->n, b);
}

static inline void lane_sub(struct lane *o, const struct lane *a, const struct lane *b)
{
    hs_fe_sub(&o->n, &a->n, &b->n);
}

static inline void lane_carry(struct lane *a)
{
    hs_fe_carry(&a->n, &a->n);
}

static inline void lane_set1(struct lane *o, const struct hs_fe *b)
{
    o->n = *b;
}

static inline void lane_put(struct lane *o, unsigned i, const struct hs_fe *b)
{
    (void)i;
    o->n = *b;
}

static inline void lane_get(struct hs_fe *b, const struct lane *o, unsigned i)
{
    (void)i;
    *b = o->n;
}

/* The number is the limbs' sum modulo p, and how often p is in it follows from the two highest
 * limbs unless the lower ones are within a hair of an overflow. Signs are those of two's
 * complement: a shift to the right keeps them. */
static inline unsigned lane_maybe(const struct hs_vanity_filter *f, const struct lane *s,
                                  const struct lane *d, int sign)
{
    const uint64_t *a = s->n.v, *b = d->n.v;
    const uint64_t v0 = sign > 0 ? a[0] + b[0] : a[0] - b[0];
    const uint64_t v1 = sign > 0 ? a[1] + b[1] : a[1] - b[1];
    const uint64_t v3 = sign > 0 ? a[3] + b[3] : a[3] - b[3];
    const uint64_t v4 = sign > 0 ? a[4] + b[4] : a[4] - b[4];
    const int64_t over = ((int64_t)v4 + ((int64_t)v3 >> HS_FE_BITS)) >> HS_FE_BITS;
    return hs_vanity_filter_maybe(f, v0 + (v1 << HS_FE_BITS) + 19 * (uint64_t)over);
}

#include "hs/vanity_block.h"

static bool usable(void)
{
    return true;
}

const struct hs_vanity_kernel hs_vanity_portable = {
    .name = "portable",
    .centres = LANES * GROUPS,
    .state_size = (sizeof(struct state) + HS_VANITY_ALIGN - 1) & ~((size_t)HS_VANITY_ALIGN - 1),
    .usable = usable,
    .set = set_centre,
    .block = search_block,
};
