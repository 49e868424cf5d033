/* SPDX-License-Identifier: MIT */
/*
 * vanity_table - points of Ed25519 in affine coordinates, and the multiples of 8B around which a
 * search goes. See README.md ("Vanity addresses") for the formulas.
 *
 * All points come from libsodium's scalar multiplication; here they are only decoded.
 */
#ifndef NK_HS_VANITY_TABLE_H
#define NK_HS_VANITY_TABLE_H

#include "base/err.h"
#include "hs/fe.h"

#define HS_VANITY_PAIRS 512                       /* multiples, each taken with both signs */
#define HS_VANITY_BLOCK (2 * HS_VANITY_PAIRS + 1) /* keys around one centre */
#define HS_VANITY_COFACTOR 8 /* keys of a search differ by 8: the clamp stays */

/* A point of Ed25519, canonical coordinates. */
struct hs_point {
    struct hs_fe x, y;
};

/* What is needed of T = 8iB to find y(P + T) and y(P - T):
 * e = (1+d) / (d(1-y²)), ye = y·e, ge = x(dy²+1)·e / (1+d). */
struct hs_vanity_entry {
    struct hs_fe e, ye, ge;
};

/* Read-only once made; any number of threads may use it. */
struct hs_vanity_table {
    struct hs_vanity_entry entry[HS_VANITY_PAIRS]; /* [i - 1] for 8iB */
    struct hs_point step;                          /* from one centre to the next */
    struct hs_fe step_dxy;                         /* d·x·y of it */
};

/* The curve's constant d (RFC 8032 §5.1). */
extern const struct hs_fe hs_point_d;

/* hs_point_decode - a point from its 32 bytes (RFC 8032 §5.1.3); NK_EFORMAT when there is none. */
int hs_point_decode(struct hs_point *out, const uint8_t in[HS_FE_BYTES]);

/* hs_point_base - scalar·B; the scalar is below 2^255. 0; NK_EFORMAT when it is zero modulo the
 * group order. */
int hs_point_base(struct hs_point *out, const uint8_t scalar[HS_FE_BYTES]);

/* hs_vanity_table_new - compute it (about 20 ms). Free with free(). 0, -ENOMEM, NK_EINTERNAL. */
int hs_vanity_table_new(struct hs_vanity_table **out);

#endif
