/* SPDX-License-Identifier: MIT */
/* crypto_rng - mbedTLS's f_rng, for the crypto_ files. */
#ifndef SSH_CRYPTO_RNG_H
#define SSH_CRYPTO_RNG_H

#include <stddef.h>

/* ssh_crypto_rng - fills out with n random bytes; never fails. arg is not used. */
int ssh_crypto_rng(void *arg, unsigned char *out, size_t n);

#endif
