/* SPDX-License-Identifier: MIT */
/*
 * P-256 by p256.c under mbedTLS: ECDSA through MBEDTLS_ECDSA_SIGN_ALT and MBEDTLS_ECDSA_VERIFY_ALT,
 * scalar multiplication (ECDH, key pairs, public keys) through two functions of ecp.c that are
 * compiled as nk_soft_*. The other curves go on to upstream's code.
 *
 * Nonces come from the generator that the caller passes: RFC 6979's HMAC_DRBG, which
 * mbedtls_ecdsa_sign_det_restartable makes of key and hash. The other curves' blinding, for which
 * the hook has no parameter, is random.
 */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#include <mbedtls/ecdsa.h>
#include <mbedtls/ecp.h>
#include <sodium.h>

#include "glue.h"
#include "p256.h"
#include "soft_ecdsa.h"

#define NONCES 30 /* upstream's limit of draws; one in 2^32 is out of range */

static int is_p256(const mbedtls_ecp_group *grp)
{
    return grp->id == MBEDTLS_ECP_DP_SECP256R1;
}

/* 1 when `a`, at least `least`, fits into 32 bytes, which are written */
static int write_integer(const mbedtls_mpi *a, mbedtls_mpi_sint least, uint8_t *out)
{
    return mbedtls_mpi_cmp_int(a, least) >= 0 &&
           mbedtls_mpi_write_binary(a, out, NK_P256_BYTES) == 0;
}

static int write_point(const mbedtls_ecp_point *P, uint8_t out[NK_P256_POINT_BYTES])
{
    return mbedtls_mpi_cmp_int(&P->Z, 1) == 0 && write_integer(&P->X, 0, out) &&
           write_integer(&P->Y, 0, out + NK_P256_BYTES);
}

static int read_point(mbedtls_ecp_point *P, const uint8_t in[NK_P256_POINT_BYTES])
{
    int rc = mbedtls_mpi_read_binary(&P->X, in, NK_P256_BYTES);
    rc = rc ? rc : mbedtls_mpi_read_binary(&P->Y, in + NK_P256_BYTES, NK_P256_BYTES);
    return rc ? rc : mbedtls_mpi_lset(&P->Z, 1);
}

int mbedtls_ecp_mul(mbedtls_ecp_group *grp, mbedtls_ecp_point *R, const mbedtls_mpi *m,
                    const mbedtls_ecp_point *P, mbedtls_f_rng_t *f_rng, void *p_rng)
{
    if (!is_p256(grp)) {
        return nk_soft_ecp_mul(grp, R, m, P, f_rng, p_rng);
    }
    uint8_t k[NK_P256_BYTES], point[NK_P256_POINT_BYTES];
    int rc = MBEDTLS_ERR_ECP_INVALID_KEY;
    if (write_integer(m, 1, k) && write_point(P, point)) {
        const uint8_t *base = mbedtls_ecp_point_cmp(P, &grp->G) == 0 ? NULL : point;
        rc = nk_p256_mul(point, k, base) == 0 ? read_point(R, point) : rc;
    }
    sodium_memzero(k, sizeof(k));
    sodium_memzero(point, sizeof(point));
    return rc;
}

int mbedtls_ecp_gen_keypair(mbedtls_ecp_group *grp, mbedtls_mpi *d, mbedtls_ecp_point *Q,
                            mbedtls_f_rng_t *f_rng, void *p_rng)
{
    int rc = mbedtls_ecp_gen_privkey(grp, d, f_rng, p_rng);
    return rc ? rc : mbedtls_ecp_mul(grp, Q, d, &grp->G, f_rng, p_rng);
}

/* With the nonces of RFC 6979 section 3.2 step h, as f_rng yields them: 0 or an error. */
static int sign_with_nonces(uint8_t sig[2 * NK_P256_BYTES], const uint8_t d[NK_P256_BYTES],
                            const unsigned char *buf, size_t blen, mbedtls_f_rng_t *f_rng,
                            void *p_rng)
{
    uint8_t k[NK_P256_BYTES];
    int rc = MBEDTLS_ERR_ECP_RANDOM_FAILED;
    for (int i = 0; i < NONCES; i++) {
        int drawn = f_rng(p_rng, k, sizeof(k));
        if (drawn != 0) {
            rc = drawn;
            break;
        }
        if (nk_p256_sign(sig, d, k, buf, blen) == 0) {
            rc = 0;
            break;
        }
    }
    sodium_memzero(k, sizeof(k));
    return rc;
}

/* MBEDTLS_ECDSA_SIGN_ALT */
int mbedtls_ecdsa_sign(mbedtls_ecp_group *grp, mbedtls_mpi *r, mbedtls_mpi *s, const mbedtls_mpi *d,
                       const unsigned char *buf, size_t blen, mbedtls_f_rng_t *f_rng, void *p_rng)
{
    if (!is_p256(grp)) {
        return nk_soft_ecdsa_sign_restartable(grp, r, s, d, buf, blen, f_rng, p_rng, nk_glue_random,
                                              NULL, NULL);
    }
    uint8_t key[NK_P256_BYTES], sig[2 * NK_P256_BYTES];
    int rc = MBEDTLS_ERR_ECP_INVALID_KEY;
    if (write_integer(d, 1, key) && nk_p256_scalar_ok(key)) {
        rc = sign_with_nonces(sig, key, buf, blen, f_rng, p_rng);
    }
    rc = rc ? rc : mbedtls_mpi_read_binary(r, sig, NK_P256_BYTES);
    rc = rc ? rc : mbedtls_mpi_read_binary(s, sig + NK_P256_BYTES, NK_P256_BYTES);
    sodium_memzero(key, sizeof(key));
    return rc;
}

/* MBEDTLS_ECDSA_VERIFY_ALT */
int mbedtls_ecdsa_verify(mbedtls_ecp_group *grp, const unsigned char *buf, size_t blen,
                         const mbedtls_ecp_point *Q, const mbedtls_mpi *r, const mbedtls_mpi *s)
{
    if (!is_p256(grp)) {
        return nk_soft_ecdsa_verify_restartable(grp, buf, blen, Q, r, s, NULL);
    }
    uint8_t point[NK_P256_POINT_BYTES], sig[2 * NK_P256_BYTES];
    if (!write_integer(r, 1, sig) || !write_integer(s, 1, sig + NK_P256_BYTES)) {
        return MBEDTLS_ERR_ECP_VERIFY_FAILED;
    }
    if (!write_point(Q, point)) {
        return MBEDTLS_ERR_ECP_INVALID_KEY;
    }
    return nk_p256_verify(sig, point, buf, blen) == 0 ? 0 : MBEDTLS_ERR_ECP_VERIFY_FAILED;
}
