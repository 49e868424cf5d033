/* SPDX-License-Identifier: MIT */
/* crypto_mbed - what the crypto_ files share about mbedTLS. */
#ifndef SSH_CRYPTO_MBED_H
#define SSH_CRYPTO_MBED_H

#include <stddef.h>

enum { SSH_CRYPTO_LOW = 0x7f /* bits of a low-level error, which is added to a high-level one */ };

struct mbedtls_ecp_group;

/* ssh_crypto_rng - mbedTLS's f_rng: fills out with n random bytes; never fails. arg is not used. */
int ssh_crypto_rng(void *arg, unsigned char *out, size_t n);

/* ssh_crypto_error - what an error of mbedTLS's means: 0 for 0, -ENOMEM wherever memory was
 * missing, else `other`. */
int ssh_crypto_error(int mbed, int other);

/* ssh_crypto_curve - load the NIST curve of 256, 384 or 521 bits. Returns mbedTLS's error. */
int ssh_crypto_curve(struct mbedtls_ecp_group *out, unsigned bits);

#endif
