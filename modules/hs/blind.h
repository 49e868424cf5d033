/* SPDX-License-Identifier: MIT */
/*
 * blind - what a service's identity becomes for a time period (rend-spec-v3 [KEYBLIND], [SUBCRED],
 * [TIME-PERIODS], [WHERE-HSDESC]): the blinded key that its descriptors are signed with, the
 * subcredential that they are encrypted with, and where the directories keep them.
 */
#ifndef NK_HS_BLIND_H
#define NK_HS_BLIND_H

#include <stdint.h>

#include "base/err.h"
#include "hs/key.h"

#define HS_PERIOD_MINUTES 1440u /* consensus parameter hsdir-interval, its default */
#define HS_PERIOD_MINUTES_MIN 30u
#define HS_PERIOD_MINUTES_MAX 14400u
#define HS_REPLICAS 2u /* consensus parameter hsdir_n_replicas, its default */
#define HS_DIGEST 32u  /* SHA3-256 */

struct hs_period {
    uint64_t number;
    uint32_t minutes; /* its length */
};

struct hs_blinded {
    uint8_t pub[HS_PUBLIC_KEY];
    uint8_t subcredential[HS_DIGEST];
    uint8_t index[HS_REPLICAS][HS_DIGEST]; /* hs_index of replicas 1 and 2 */
};

/* hs_period_at - the period at a time (seconds since 1970). Periods begin at 12:00 UTC when they
 * take a day. NK_EUSAGE before the first one. */
int hs_period_at(struct hs_period *out, int64_t unix_s, uint32_t minutes);

/* hs_period_begin - when it begins, in seconds since 1970. The period is one that ends before
 * 2^63 s. */
int64_t hs_period_begin(const struct hs_period *p);

/* hs_blind - of a service's public key, which must be one that nk_onion_key_check takes. 0,
 * NK_EFORMAT. */
int hs_blind(struct hs_blinded *out, const uint8_t pub[HS_PUBLIC_KEY], const struct hs_period *p);

/* hs_blind_secret - the expanded secret that belongs to the blinded key, as an identity of its own;
 * k->has_secret is required. The caller wipes out. 0, NK_EFORMAT. */
int hs_blind_secret(struct hs_identity *out, const struct hs_identity *k,
                    const struct hs_period *p);

#endif
