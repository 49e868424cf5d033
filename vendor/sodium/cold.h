/* SPDX-License-Identifier: MIT */
/*
 * Included before libsodium's ed25519_ref10.c in the released program: what is done once per key or
 * login, with tens of microseconds of arithmetic beneath it, is better small. Signatures and X25519
 * use none of it.
 */
#include "private/ed25519_ref10.h"

#define COLD __attribute__((cold))

COLD void ge25519_scalarmult(ge25519_p3 *h, const unsigned char *a, const ge25519_p3 *p);
COLD int ge25519_is_on_main_subgroup(const ge25519_p3 *p);
COLD int ge25519_is_on_curve(const ge25519_p3 *p);
COLD int ge25519_frombytes(ge25519_p3 *h, const unsigned char *s);
COLD void ristretto255_from_hash(unsigned char s[32], const unsigned char h[64]);
COLD int ristretto255_frombytes(ge25519_p3 *h, const unsigned char *s);
COLD void ristretto255_p3_tobytes(unsigned char *s, const ge25519_p3 *h);

#undef COLD
