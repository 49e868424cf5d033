/* SPDX-License-Identifier: MIT */
#include <psa/crypto.h>
#include <sodium.h>

#include "glue.h"

int nk_glue_random(void *ctx, unsigned char *out, size_t len)
{
    (void)ctx;
    randombytes_buf(out, len);
    return 0;
}

/* What PSA calls for every random byte (MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG). */
psa_status_t mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t *ctx,
                                             uint8_t *output, size_t output_size,
                                             size_t *output_length)
{
    (void)ctx;
    randombytes_buf(output, output_size);
    *output_length = output_size;
    return PSA_SUCCESS;
}
