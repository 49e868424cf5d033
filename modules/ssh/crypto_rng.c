/* SPDX-License-Identifier: MIT */
#include "ssh/crypto_rng.h"

#include "base/secret.h"

int ssh_crypto_rng(void *arg, unsigned char *out, size_t n)
{
    (void)arg;
    nk_random(out, n);
    return 0;
}
