/* SPDX-License-Identifier: MIT */
/*
 * Scalars of Ed25519: libsodium has six kilobytes of code for a * b modulo the group's order beside
 * those for a * b + c, which every signature needs. vendor/libs.sh lets it call this instead.
 */
#include <stddef.h>

/* libsodium's, of private/ed25519_ref10.h: s = a * b + c, each of 32 bytes. */
void sc25519_muladd(unsigned char *s, const unsigned char *a, const unsigned char *b,
                    const unsigned char *c);
void nk_sc25519_mul(unsigned char *s, const unsigned char *a, const unsigned char *b);

void nk_sc25519_mul(unsigned char *s, const unsigned char *a, const unsigned char *b)
{
    static const unsigned char zero[32];
    sc25519_muladd(s, a, b, zero);
}
