/* SPDX-License-Identifier: MIT */
#include <mbedtls/ecdsa.h>
#include <mbedtls/md.h>
#include <mbedtls/rsa.h>
#include <string.h>

#include "ssh/crypto_mbed.h"
#include "ssh/pubkey.h"

enum { RSA_BYTES_MAX = SSH_RSA_VERIFY_MAX / 8 };

/* 1, 0 or -ENOMEM. */
static int answer(int mbed)
{
    return mbed == 0 ? 1 : ssh_crypto_error(mbed, 0);
}

int ssh_verify_ecdsa(unsigned bits, struct ssh_str point, struct ssh_str r, struct ssh_str s,
                     const uint8_t *hash, size_t n)
{
    mbedtls_ecp_group group;
    mbedtls_ecp_point q;
    mbedtls_mpi mr, ms;
    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&q);
    mbedtls_mpi_init(&mr);
    mbedtls_mpi_init(&ms);
    int rc = ssh_crypto_curve(&group, bits);
    rc = rc != 0 ? rc : mbedtls_ecp_point_read_binary(&group, &q, point.p, point.n);
    rc = rc != 0 ? rc : mbedtls_ecp_check_pubkey(&group, &q);
    rc = rc != 0 ? rc : mbedtls_mpi_read_binary(&mr, r.p, r.n);
    rc = rc != 0 ? rc : mbedtls_mpi_read_binary(&ms, s.p, s.n);
    rc = rc != 0 ? rc : mbedtls_ecdsa_verify(&group, hash, n, &q, &mr, &ms);
    mbedtls_mpi_free(&mr);
    mbedtls_mpi_free(&ms);
    mbedtls_ecp_point_free(&q);
    mbedtls_ecp_group_free(&group);
    return answer(rc);
}

int ssh_verify_rsa(struct ssh_str modulus, struct ssh_str e, enum ssh_hash h,
                   struct ssh_str signature, const uint8_t *hash)
{
    static const mbedtls_md_type_t md[] = {[SSH_SHA256] = MBEDTLS_MD_SHA256,
                                           [SSH_SHA384] = MBEDTLS_MD_SHA384,
                                           [SSH_SHA512] = MBEDTLS_MD_SHA512};
    uint8_t padded[RSA_BYTES_MAX] = {0};
    mbedtls_rsa_context rsa;
    /* a signature may come without its leading zeros */
    if (signature.n > modulus.n || modulus.n > sizeof(padded)) {
        return 0;
    }
    memcpy(padded + modulus.n - signature.n, signature.p, signature.n);
    mbedtls_rsa_init(&rsa);
    int rc =
        mbedtls_rsa_import_raw(&rsa, modulus.p, modulus.n, NULL, 0, NULL, 0, NULL, 0, e.p, e.n);
    rc = rc != 0 ? rc : mbedtls_rsa_complete(&rsa);
    rc = rc != 0 ? rc
                 : mbedtls_rsa_pkcs1_verify(&rsa, md[h], (unsigned)ssh_hash_size(h), hash, padded);
    mbedtls_rsa_free(&rsa);
    return answer(rc);
}
