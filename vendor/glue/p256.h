/* SPDX-License-Identifier: MIT */
/*
 * NIST P-256 (FIPS 186-5, SEC 1): scalar multiplication and ECDSA on byte strings, above the
 * assembly of the ring library (vendor/README.md). Integers and coordinates are 32 bytes,
 * big-endian. Pure functions, any thread. Secrets in working memory are wiped. Time and memory
 * accesses depend on no secret: scalars, keys and nonces are secret, hashes, signatures and public
 * points are not.
 */
#ifndef NETKIT_GLUE_P256_H
#define NETKIT_GLUE_P256_H

#include <stddef.h>
#include <stdint.h>

#define NK_P256_BYTES 32
#define NK_P256_POINT_BYTES 64 /* x, then y */

/*
 * Whether a scalar is usable: 1 <= k < n. Returns 1 or 0, in a time that does not depend on it.
 */
int nk_p256_scalar_ok(const uint8_t k[NK_P256_BYTES]);

/*
 * out = k * point; `point` NULL is the generator. Refuses (-1, out untouched) a scalar that is 0 or
 * not below the order, coordinates that are not below p, and a point that is not on the curve.
 * `out` may be `point`. Returns 0 or -1.
 */
int nk_p256_mul(uint8_t out[NK_P256_POINT_BYTES], const uint8_t k[NK_P256_BYTES],
                const uint8_t *point);

/*
 * ECDSA (FIPS 186-5 section 6.4.1) with the key `d` and the nonce `k`, both in 1..n-1, which the
 * caller makes so that `k` is secret and never the same for two hashes. Of a longer hash the
 * leftmost 32 bytes count. Writes r and s, or returns -1 and writes nothing: key or nonce out of
 * range, or a zero r or s (then another nonce is needed).
 */
int nk_p256_sign(uint8_t sig[2 * NK_P256_BYTES], const uint8_t d[NK_P256_BYTES],
                 const uint8_t k[NK_P256_BYTES], const uint8_t *hash, size_t hash_len);

/*
 * ECDSA verification (FIPS 186-5 section 6.4.2) of r and s by the public point. Returns 0, or -1:
 * a wrong signature, r or s not in 1..n-1, a point that is not one of the curve. Not constant-time:
 * everything is public.
 */
int nk_p256_verify(const uint8_t sig[2 * NK_P256_BYTES], const uint8_t point[NK_P256_POINT_BYTES],
                   const uint8_t *hash, size_t hash_len);

#endif
