/* SPDX-License-Identifier: MIT */
/*
 * vanity_block - one block of the search, written once for every kind of number: to be included by
 * a vanity_<kind>.c that has defined
 *
 *     struct lane               LANES field elements side by side
 *     LANES, GROUPS             centres = LANES · GROUPS; groups hide the latency of one chain
 *     LANE_FN                   what functions need: "static", and a target where that is due
 *     lane_mul(o, a, b)         o = a·b; reduced as the kind's multiplication needs its inputs
 *     lane_mul1(o, a, b)        the same with one number b for all lanes
 *     lane_add, lane_sub        without carry; lane_sub adds 2p
 *     lane_add1(o, a, b)        with one reduced number b for all lanes, without carry
 *     lane_carry(a)             to what lane_mul takes
 *     lane_set1(o, b)           one number to all lanes
 *     lane_put(o, i, b), lane_get(b, o, i)   one lane
 *     lane_maybe(f, s, d, sign) which lanes of s + d (or s - d) pass the filter's quick test, as
 *                               bits; may be wrong with a chance of 2^-48, towards "no"
 *
 * Without LANES it is empty. The formulas are derived in README.md, "Vanity addresses".
 */
#ifdef LANES

/* One group of centres. */
struct group {
    struct lane x, y;
    struct lane iy; /* 1/y */
    struct lane c;  /* y² - 1, carried: limbs of at most 2^51 */
    struct lane r;  /* x(dy²+1)/y */
};

struct state {
    struct group group[GROUPS];
    /* The products of what is to be inverted, up to and without each entry. */
    struct lane before[HS_VANITY_PAIRS][GROUPS];
};

/* The step of one group to its next centre: the sums of the addition law. */
struct step {
    struct lane nx, ny; /* numerators of x and y */
    struct lane dx, dy; /* denominators */
    struct lane dxdy;
};

/* Products outside of the inner loop: once per block and centre a call is cheap, their code is not.
 */
LANE_FN __attribute__((noinline)) void step_mul(struct lane *out, const struct lane *a,
                                                const struct lane *b)
{
    lane_mul(out, a, b);
}

LANE_FN __attribute__((noinline)) void step_mul1(struct lane *out, const struct lane *a,
                                                 const struct hs_fe *b)
{
    lane_mul1(out, a, b);
}

/* What follows from x, y and iy. */
LANE_FN void group_derive(struct group *g)
{
    struct lane yy, t;
    const struct hs_fe one = HS_FE_ONE;
    step_mul(&yy, &g->y, &g->y);
    lane_set1(&t, &one);
    lane_sub(&g->c, &yy, &t);
    lane_carry(&g->c);
    step_mul1(&t, &yy, &hs_point_d);
    lane_add1(&t, &t, &one);
    lane_carry(&t);
    step_mul(&t, &t, &g->x);
    step_mul(&g->r, &t, &g->iy);
}

LANE_FN void set_centre(void *state, unsigned i, const struct hs_point *p)
{
    struct state *s = state;
    struct group *g = &s->group[i / LANES];
    struct hs_fe iy;
    hs_fe_invert(&iy, &p->y);
    lane_put(&g->x, i % LANES, &p->x);
    lane_put(&g->y, i % LANES, &p->y);
    lane_put(&g->iy, i % LANES, &iy);
    group_derive(g);
}

/* The addition law of -x² + y² = 1 + dx²y² (RFC 8032 §5.1.4), before its divisions. Puts into
 * *product what has to be inverted. */
LANE_FN void step_begin(struct step *st, struct lane *product, const struct group *g,
                        const struct hs_vanity_table *t)
{
    struct lane a, b, one1;
    const struct hs_fe one = HS_FE_ONE;
    step_mul1(&a, &g->x, &t->step.y);
    step_mul1(&b, &g->y, &t->step.x);
    lane_add(&st->nx, &a, &b);
    lane_carry(&st->nx);
    step_mul1(&a, &g->y, &t->step.y);
    step_mul1(&b, &g->x, &t->step.x);
    lane_add(&st->ny, &a, &b);
    lane_carry(&st->ny);
    step_mul(&a, &g->x, &g->y);
    step_mul1(&a, &a, &t->step_dxy);
    lane_add1(&st->dx, &a, &one);
    lane_carry(&st->dx);
    lane_set1(&one1, &one);
    lane_sub(&st->dy, &one1, &a);
    lane_carry(&st->dy);
    step_mul(&st->dxdy, &st->dx, &st->dy);
    step_mul(product, &st->dxdy, &st->ny);
}

/* inv = 1 / the product of step_begin. */
LANE_FN void step_end(struct group *g, const struct step *st, const struct lane *inv)
{
    struct lane idx, idy, iny, t;
    step_mul(&t, &st->dy, &st->ny);
    step_mul(&idx, &t, inv);
    step_mul(&t, &st->dx, &st->ny);
    step_mul(&idy, &t, inv);
    step_mul(&iny, &st->dxdy, inv);
    step_mul(&g->x, &st->nx, &idx);
    step_mul(&g->y, &st->ny, &idy);
    step_mul(&g->iy, &st->dy, &iny);
    group_derive(g);
}

/* a^(2^n)·b */
LANE_FN void lane_power(struct lane *out, const struct lane *a, unsigned n, const struct lane *b)
{
    struct lane t = *a;
    while (n-- > 0) {
        step_mul(&t, &t, &t);
    }
    step_mul(out, &t, b);
}

/* 1/a = a^(p-2), with the usual chain of 254 squarings and 11 multiplications. */
LANE_FN void lane_invert(struct lane *out, const struct lane *a)
{
    struct lane a2, a9, a11, x5, x10, x20, x40, x50, x100, t;
    step_mul(&a2, a, a);
    lane_power(&a9, &a2, 2, a);
    step_mul(&a11, &a9, &a2);
    lane_power(&x5, &a11, 1, &a9); /* x_n = a^(2^n - 1) */
    lane_power(&x10, &x5, 5, &x5);
    lane_power(&x20, &x10, 10, &x10);
    lane_power(&x40, &x20, 20, &x20);
    lane_power(&x50, &x40, 10, &x10);
    lane_power(&x100, &x50, 50, &x50);
    lane_power(&t, &x100, 100, &x100);
    lane_power(&t, &t, 50, &x50);
    lane_power(out, &t, 5, &a11);
}

/* One inversion for all groups: all[i] becomes 1/all[i]. */
LANE_FN void invert_all(struct lane all[GROUPS])
{
    struct lane before[GROUPS], u, t;
    before[0] = all[0];
    for (unsigned i = 1; i < GROUPS; i++) {
        step_mul(&before[i], &before[i - 1], &all[i]);
    }
    lane_invert(&u, &before[GROUPS - 1]);
    for (unsigned i = GROUPS; i-- > 1;) {
        step_mul(&t, &u, &before[i - 1]);
        step_mul(&u, &u, &all[i]);
        all[i] = t;
    }
    all[0] = u;
}

/* The low 64 bits of a number. */
static uint64_t low_bits(const struct hs_fe *a)
{
    struct hs_fe t;
    hs_fe_canonical(&t, a);
    return t.v[0] | t.v[1] << HS_FE_BITS;
}

/* The lanes in `bits` of s + d, or s - d, passed the quick test: which are real? */
static __attribute__((noinline)) void look(const struct hs_vanity_filter *f, unsigned bits,
                                           const struct lane *s, const struct lane *d,
                                           unsigned group, int index, struct hs_vanity_founds *out)
{
    for (; bits; bits &= bits - 1) {
        const unsigned lane = (unsigned)__builtin_ctz(bits);
        struct hs_fe a, b, y;
        lane_get(&a, s, lane);
        lane_get(&b, d, lane);
        if (index < 0) {
            hs_fe_sub(&y, &a, &b);
        } else {
            hs_fe_add(&y, &a, &b);
        }
        const int pattern = hs_vanity_filter_match(f, low_bits(&y));
        if (pattern >= 0 && out->n < out->max) {
            out->v[out->n++] = (struct hs_vanity_found){
                .centre = group * LANES + lane, .index = index, .pattern = pattern};
        }
    }
}

/* The centres themselves. */
LANE_FN void look_at_centres(const struct state *s, const struct hs_vanity_filter *f,
                             struct hs_vanity_founds *out)
{
    struct lane zero;
    const struct hs_fe none = HS_FE_ZERO;
    lane_set1(&zero, &none);
    for (unsigned g = 0; g < GROUPS; g++) {
        const unsigned bits = lane_maybe(f, &s->group[g].y, &zero, 1);
        if (bits) {
            look(f, bits, &s->group[g].y, &zero, g, 0, out);
        }
    }
}

/* Multiply up all denominators e - (1-y²), behind the step's. */
LANE_FN void multiply_up(struct state *s, const struct hs_vanity_table *t, struct lane all[GROUPS])
{
    for (unsigned i = 0; i < HS_VANITY_PAIRS; i++) {
        for (unsigned g = 0; g < GROUPS; g++) {
            struct lane d;
            s->before[i][g] = all[g];
            lane_add1(&d, &s->group[g].c, &t->entry[i].e);
            lane_mul(&all[g], &all[g], &d);
        }
    }
}

/* Go back down: from u = y / (product of all denominators up to this entry) to each entry's two
 * results y(P ± 8iB) = half-sum ± half-difference. */
LANE_FN void take_apart(struct state *s, const struct hs_vanity_table *t,
                        const struct hs_vanity_filter *f, struct lane u[GROUPS],
                        struct hs_vanity_founds *out)
{
    for (unsigned i = HS_VANITY_PAIRS; i-- > 0;) {
        for (unsigned g = 0; g < GROUPS; g++) {
            struct lane d, w, sum, diff;
            lane_add1(&d, &s->group[g].c, &t->entry[i].e);
            lane_mul(&w, &u[g], &s->before[i][g]);
            lane_mul(&u[g], &u[g], &d);
            lane_mul1(&sum, &w, &t->entry[i].ye);
            lane_mul(&diff, &w, &s->group[g].r);
            lane_mul1(&diff, &diff, &t->entry[i].ge);
            const unsigned plus = lane_maybe(f, &sum, &diff, 1);
            const unsigned minus = lane_maybe(f, &sum, &diff, -1);
            if (__builtin_expect(plus | minus, 0)) {
                look(f, plus, &sum, &diff, g, (int)i + 1, out);
                look(f, minus, &sum, &diff, g, -(int)i - 1, out);
            }
        }
    }
}

LANE_FN void search_block(void *state, const struct hs_vanity_table *t,
                          const struct hs_vanity_filter *f, struct hs_vanity_founds *out)
{
    struct state *s = state;
    struct step step[GROUPS];
    struct lane all[GROUPS];
    look_at_centres(s, f, out);
    for (unsigned g = 0; g < GROUPS; g++) {
        step_begin(&step[g], &all[g], &s->group[g], t);
    }
    multiply_up(s, t, all);
    invert_all(all);
    for (unsigned g = 0; g < GROUPS; g++) {
        lane_mul(&all[g], &all[g], &s->group[g].y);
    }
    take_apart(s, t, f, all, out);
    for (unsigned g = 0; g < GROUPS; g++) {
        lane_mul(&all[g], &all[g], &s->group[g].iy);
        step_end(&s->group[g], &step[g], &all[g]);
    }
}

#endif
