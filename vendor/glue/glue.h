/* SPDX-License-Identifier: MIT */
/*
 * libsodium and ring beneath mbedTLS: AES-256-GCM and ChaCha20-Poly1305 (MBEDTLS_GCM_ALT,
 * MBEDTLS_CHACHAPOLY_ALT), SHA-2 (MBEDTLS_SHA256_ALT, MBEDTLS_SHA512_ALT), X25519 (PSA's
 * elliptic-curve entry points, and ECDH for TLS 1.2), P-256 (MBEDTLS_ECDSA_SIGN_ALT,
 * MBEDTLS_ECDSA_VERIFY_ALT and mbedtls_ecp_mul) and randomness (MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG).
 * Nothing calls these files by name: mbedTLS does, through its own functions. What they do not
 * cover falls back to upstream's code (see soft.h, soft_ecdsa.h). Belongs to the loop thread, as
 * mbedTLS does, except where noted.
 */
#ifndef NETKIT_GLUE_H
#define NETKIT_GLUE_H

#include <stddef.h>

/*
 * Whether AES-256-GCM runs on the processor's AES and carry-less multiply instructions: 1 or 0.
 * With 0 the portable code of mbedTLS is used, which is slow and reads memory in a key-dependent
 * order, so a suite list should then begin with ChaCha20-Poly1305. Any thread.
 */
int nk_glue_aes256gcm_accelerated(void);

/*
 * The random generator for mbedTLS's f_rng parameters: fills `out` with `len` bytes from libsodium,
 * which reads the kernel's generator. `ctx` is unused, may be NULL. Always returns 0. Any thread.
 */
int nk_glue_random(void *ctx, unsigned char *out, size_t len);

#endif
