/* SPDX-License-Identifier: MIT */
/*
 * s2k - the hash of a control port's password (HashedControlPassword): RFC 4880 3.7.1.3, iterated
 * and salted, with SHA-1, which is what tor knows.
 */
#ifndef TOR_S2K_H
#define TOR_S2K_H

#include <stddef.h>
#include <stdint.h>

#define TOR_S2K_SALT 8
#define TOR_S2K_COUNT 0x60 /* the octet that tor writes: 65536 bytes are hashed */
#define TOR_S2K_HASH 20    /* SHA-1 */
#define TOR_S2K_TEXT (3 + 2 * (TOR_S2K_SALT + 1 + TOR_S2K_HASH) + 1)

/* tor_s2k - "16:" and salt, count and hash in upper-case hex, of the n (1..) bytes of a password.
 */
void tor_s2k(char out[TOR_S2K_TEXT], const uint8_t salt[TOR_S2K_SALT], const void *password,
             size_t n);

/* tor_sha1 - FIPS 180-4, of n bytes at p. Kept for formats that prescribe it. */
void tor_sha1(uint8_t out[TOR_S2K_HASH], const void *p, size_t n);

#endif
