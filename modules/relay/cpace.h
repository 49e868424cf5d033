/* SPDX-License-Identifier: MIT */
/*
 * cpace - CPace-ristretto255-SHA512 with explicit key confirmation (draft-irtf-cfrg-cpace-21),
 * pure.
 *
 * Two parties that know the same password agree on a key. Who does not know it learns nothing from
 * an exchange except whether one guess was right; what was recorded cannot be searched later. Used
 * in the draft's initiator-responder setting only: A speaks first.
 *
 * Randomness comes in as an argument; nothing is allocated. K of the draft never leaves this file
 * and all intermediate values are wiped.
 */
#ifndef NK_RELAY_CPACE_H
#define NK_RELAY_CPACE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define RELAY_CPACE_SHARE 32  /* encoded group element, RFC 9496 §4.3.2 */
#define RELAY_CPACE_SCALAR 32 /* little endian, 1 .. group order - 1 */
#define RELAY_CPACE_ISK 64    /* SHA-512 */
#define RELAY_CPACE_TAG 64    /* HMAC-SHA-512 */

/* n bytes at p; borrowed. */
struct relay_cpace_bytes {
    const void *p;
    size_t n;
};

/* What both sides must give alike (§4.1). */
struct relay_cpace_inputs {
    struct relay_cpace_bytes prs; /* the password-related string */
    struct relay_cpace_bytes ci;  /* channel identifier: protocol and roles */
    struct relay_cpace_bytes sid; /* session id */
    struct relay_cpace_bytes ad_a, ad_b;
};

enum relay_cpace_role { RELAY_CPACE_A, RELAY_CPACE_B };

/* One side of one exchange. */
struct relay_cpace {
    uint8_t scalar[RELAY_CPACE_SCALAR]; /* secret */
    uint8_t share[RELAY_CPACE_SHARE];   /* Ya or Yb, to be sent */
};

/* What comes out; all secret until the tags are compared. */
struct relay_cpace_result {
    uint8_t isk[RELAY_CPACE_ISK];
    uint8_t tag_a[RELAY_CPACE_TAG]; /* Ta, Tb of §10.4 */
    uint8_t tag_b[RELAY_CPACE_TAG];
};

/* relay_cpace_random - a scalar for relay_cpace_start; uniform (§8.3, §10.7). */
void relay_cpace_random(uint8_t scalar[RELAY_CPACE_SCALAR]);

/*
 * relay_cpace_start - the generator from prs, ci and sid (§8.1, §8.3), and our share. The caller
 * wipes its copy of scalar. Returns 0, or NK_EINTERNAL when scalar is zero (a broken generator of
 * randomness); then *c is wiped.
 */
int relay_cpace_start(struct relay_cpace *c, const struct relay_cpace_inputs *in,
                      const uint8_t scalar[RELAY_CPACE_SCALAR]);

/*
 * relay_cpace_finish - with the peer's share: the key and both tags. May be called several times
 * with different shares. NK_EAUTH when the share is no canonical encoding of a group element, is
 * the identity, or is our own; *out is wiped then.
 */
int relay_cpace_finish(const struct relay_cpace *c, const struct relay_cpace_inputs *in,
                       enum relay_cpace_role role, const uint8_t peer[RELAY_CPACE_SHARE],
                       struct relay_cpace_result *out);

/* relay_cpace_generator - g of §8.3, encoded; for relay_cpace_start and tests. */
void relay_cpace_generator(uint8_t g[RELAY_CPACE_SHARE], const struct relay_cpace_inputs *in);

/* relay_cpace_clear, relay_cpace_result_clear - wipe. */
void relay_cpace_clear(struct relay_cpace *c);
void relay_cpace_result_clear(struct relay_cpace_result *r);

#endif
