/* SPDX-License-Identifier: MIT */
#include "ssh/crypto_mbed.h"

#include <mbedtls/asn1.h>
#include <mbedtls/ecp.h>
#include <mbedtls/md.h>
#include <mbedtls/pk.h>

#include "base/err.h"
#include "base/secret.h"

int ssh_crypto_rng(void *arg, unsigned char *out, size_t n)
{
    (void)arg;
    nk_random(out, n);
    return 0;
}

int ssh_crypto_error(int mbed, int other)
{
    int low = -(-mbed & SSH_CRYPTO_LOW), high = mbed - low;
    if (low == MBEDTLS_ERR_MPI_ALLOC_FAILED || low == MBEDTLS_ERR_ASN1_ALLOC_FAILED ||
        high == MBEDTLS_ERR_ECP_ALLOC_FAILED || high == MBEDTLS_ERR_PK_ALLOC_FAILED ||
        high == MBEDTLS_ERR_MD_ALLOC_FAILED) {
        return -ENOMEM;
    }
    return mbed != 0 ? other : 0;
}

int ssh_crypto_curve(struct mbedtls_ecp_group *out, unsigned bits)
{
    return mbedtls_ecp_group_load(out, bits == 256   ? MBEDTLS_ECP_DP_SECP256R1
                                       : bits == 384 ? MBEDTLS_ECP_DP_SECP384R1
                                                     : MBEDTLS_ECP_DP_SECP521R1);
}
