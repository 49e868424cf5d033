/* SPDX-License-Identifier: MIT */
#include "hs/vanity_table.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

const struct hs_fe hs_point_d = {
    {0x34dca135978a3, 0x1a8283b156ebd, 0x5e7a26001c029, 0x739c663a03cbb, 0x52036cee2b6ff}};

static const struct hs_fe one = HS_FE_ONE;

int hs_point_decode(struct hs_point *out, const uint8_t in[HS_FE_BYTES])
{
    struct hs_point p;
    struct hs_fe yy, u, v;
    const struct hs_fe zero = HS_FE_ZERO;
    hs_fe_from_bytes(&p.y, in);
    hs_fe_sq(&yy, &p.y);
    hs_fe_sub(&u, &yy, &one); /* x² = (y² - 1) / (dy² + 1) */
    hs_fe_carry(&u, &u);
    hs_fe_mul(&v, &yy, &hs_point_d);
    hs_fe_add(&v, &v, &one);
    if (!hs_fe_sqrt_ratio(&p.x, &u, &v)) {
        return NK_EFORMAT;
    }
    if (in[HS_FE_BYTES - 1] & 0x80) {
        hs_fe_sub(&p.x, &zero, &p.x);
        hs_fe_canonical(&p.x, &p.x);
    }
    hs_fe_canonical(&p.y, &p.y);
    *out = p;
    return 0;
}

int hs_point_base(struct hs_point *out, const uint8_t scalar[HS_FE_BYTES])
{
    uint8_t wide[crypto_core_ed25519_NONREDUCEDSCALARBYTES] = {0};
    uint8_t reduced[crypto_core_ed25519_SCALARBYTES], bytes[crypto_core_ed25519_BYTES];
    memcpy(wide, scalar, HS_FE_BYTES);
    crypto_core_ed25519_scalar_reduce(reduced, wide);
    int rc = crypto_scalarmult_ed25519_base_noclamp(bytes, reduced);
    sodium_memzero(wide, sizeof(wide));
    sodium_memzero(reduced, sizeof(reduced));
    return rc == 0 ? hs_point_decode(out, bytes) : NK_EFORMAT;
}

/* n·8B */
static int multiple(struct hs_point *out, uint64_t n)
{
    uint8_t scalar[HS_FE_BYTES] = {0};
    n *= HS_VANITY_COFACTOR;
    for (unsigned i = 0; i < sizeof(n); i++) {
        scalar[i] = (uint8_t)(n >> (8 * i));
    }
    return hs_point_base(out, scalar);
}

static void fill_entry(struct hs_vanity_entry *out, const struct hs_point *p)
{
    struct hs_fe yy, t, d1, e, g;
    hs_fe_add(&d1, &one, &hs_point_d);
    hs_fe_sq(&yy, &p->y);
    hs_fe_sub(&t, &one, &yy);
    hs_fe_mul(&t, &t, &hs_point_d);
    hs_fe_invert(&t, &t);
    hs_fe_mul(&e, &t, &d1);
    hs_fe_mul(&g, &yy, &hs_point_d);
    hs_fe_add(&g, &g, &one);
    hs_fe_mul(&g, &g, &p->x);
    hs_fe_mul(&g, &g, &t); /* x(dy²+1)·e/(1+d) */
    hs_fe_canonical(&out->ge, &g);
    hs_fe_canonical(&out->e, &e);
    hs_fe_mul(&t, &p->y, &e);
    hs_fe_canonical(&out->ye, &t);
}

static int fill_table(struct hs_vanity_table *t)
{
    struct hs_point p;
    for (unsigned i = 0; i < HS_VANITY_PAIRS; i++) {
        if (multiple(&p, i + 1) < 0) {
            return NK_EINTERNAL;
        }
        fill_entry(&t->entry[i], &p);
    }
    if (multiple(&t->step, HS_VANITY_BLOCK) < 0) {
        return NK_EINTERNAL;
    }
    hs_fe_mul(&t->step_dxy, &t->step.x, &t->step.y);
    hs_fe_mul(&t->step_dxy, &t->step_dxy, &hs_point_d);
    hs_fe_canonical(&t->step_dxy, &t->step_dxy);
    return 0;
}

int hs_vanity_table_new(struct hs_vanity_table **out)
{
    struct hs_vanity_table *t = malloc(sizeof(*t));
    if (!t) {
        return -ENOMEM;
    }
    int rc = fill_table(t);
    if (rc < 0) {
        free(t);
        return rc;
    }
    *out = t;
    return 0;
}
