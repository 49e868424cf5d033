/* SPDX-License-Identifier: MIT */
/*
 * X25519 (RFC 7748) by libsodium under mbedTLS. TLS 1.3 reaches it through PSA: psa_crypto_ecp.c is
 * compiled with three of its functions renamed to nk_soft_*, and the functions of those names are
 * here, handing every other curve on. TLS 1.2 reaches it through the two ECDH hooks. A shared
 * secret of all zeroes, which low-order points give, is refused in both (RFC 8446 section 7.4.2).
 */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#include <string.h>
#include <mbedtls/build_info.h>
#include <mbedtls/ecdh.h>
#include <psa/crypto.h>
#include <psa_crypto_ecp.h>
#include <sodium.h>

#define X25519_BITS 255
#define X25519_BYTES 32

_Static_assert(X25519_BYTES == crypto_scalarmult_curve25519_BYTES, "X25519 results are 32 bytes");

psa_status_t nk_soft_psa_key_agreement_ecdh(const psa_key_attributes_t *attributes,
                                            const uint8_t *key_buffer, size_t key_buffer_size,
                                            psa_algorithm_t alg, const uint8_t *peer_key,
                                            size_t peer_key_length, uint8_t *shared_secret,
                                            size_t shared_secret_size,
                                            size_t *shared_secret_length);
psa_status_t nk_soft_psa_ecp_export_public_key(const psa_key_attributes_t *attributes,
                                               const uint8_t *key_buffer, size_t key_buffer_size,
                                               uint8_t *data, size_t data_size,
                                               size_t *data_length);
psa_status_t nk_soft_psa_ecp_generate_key(const psa_key_attributes_t *attributes,
                                          uint8_t *key_buffer, size_t key_buffer_size,
                                          size_t *key_buffer_length);

static int is_x25519_pair(const psa_key_attributes_t *attributes)
{
    return psa_get_key_type(attributes) == PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_MONTGOMERY) &&
           psa_get_key_bits(attributes) == X25519_BITS;
}

/* RFC 7748 section 5: the form in which a private key is kept */
static void clamp(uint8_t key[X25519_BYTES])
{
    key[0] &= 248;
    key[31] &= 127;
    key[31] |= 64;
}

/* Writes the shared secret only if it is not all zeroes: 0 or -1. */
static int shared_secret_of(uint8_t out[X25519_BYTES], const uint8_t key[X25519_BYTES],
                            const uint8_t peer[X25519_BYTES])
{
    uint8_t secret[X25519_BYTES];
    int rc = crypto_scalarmult_curve25519(secret, key, peer);
    if (rc == 0) {
        memcpy(out, secret, sizeof(secret));
    }
    sodium_memzero(secret, sizeof(secret));
    return rc;
}

psa_status_t mbedtls_psa_key_agreement_ecdh(const psa_key_attributes_t *attributes,
                                            const uint8_t *key_buffer, size_t key_buffer_size,
                                            psa_algorithm_t alg, const uint8_t *peer_key,
                                            size_t peer_key_length, uint8_t *shared_secret,
                                            size_t shared_secret_size, size_t *shared_secret_length)
{
    if (!is_x25519_pair(attributes) || !PSA_ALG_IS_ECDH(alg) || key_buffer_size != X25519_BYTES ||
        peer_key_length != X25519_BYTES || shared_secret_size < X25519_BYTES) {
        return nk_soft_psa_key_agreement_ecdh(attributes, key_buffer, key_buffer_size, alg,
                                              peer_key, peer_key_length, shared_secret,
                                              shared_secret_size, shared_secret_length);
    }
    if (shared_secret_of(shared_secret, key_buffer, peer_key) != 0) {
        return PSA_ERROR_INVALID_ARGUMENT;
    }
    *shared_secret_length = X25519_BYTES;
    return PSA_SUCCESS;
}

psa_status_t mbedtls_psa_ecp_export_public_key(const psa_key_attributes_t *attributes,
                                               const uint8_t *key_buffer, size_t key_buffer_size,
                                               uint8_t *data, size_t data_size, size_t *data_length)
{
    if (!is_x25519_pair(attributes) || key_buffer_size != X25519_BYTES ||
        data_size < X25519_BYTES) {
        return nk_soft_psa_ecp_export_public_key(attributes, key_buffer, key_buffer_size, data,
                                                 data_size, data_length);
    }
    crypto_scalarmult_curve25519_base(data, key_buffer);
    *data_length = X25519_BYTES;
    return PSA_SUCCESS;
}

psa_status_t mbedtls_psa_ecp_generate_key(const psa_key_attributes_t *attributes,
                                          uint8_t *key_buffer, size_t key_buffer_size,
                                          size_t *key_buffer_length)
{
    if (!is_x25519_pair(attributes) || key_buffer_size < X25519_BYTES) {
        return nk_soft_psa_ecp_generate_key(attributes, key_buffer, key_buffer_size,
                                            key_buffer_length);
    }
    randombytes_buf(key_buffer, X25519_BYTES);
    clamp(key_buffer);
    *key_buffer_length = X25519_BYTES;
    return PSA_SUCCESS;
}

static int x25519_gen_public(mbedtls_mpi *d, mbedtls_ecp_point *Q, mbedtls_f_rng_t *f_rng,
                             void *p_rng)
{
    uint8_t key[X25519_BYTES], public[X25519_BYTES];
    int rc = f_rng(p_rng, key, sizeof(key));
    if (rc != 0) {
        return MBEDTLS_ERR_ECP_RANDOM_FAILED;
    }
    clamp(key);
    crypto_scalarmult_curve25519_base(public, key);
    rc = mbedtls_mpi_read_binary_le(d, key, sizeof(key));
    rc = rc ? rc : mbedtls_mpi_read_binary_le(&Q->X, public, sizeof(public));
    rc = rc ? rc : mbedtls_mpi_lset(&Q->Z, 1);
    sodium_memzero(key, sizeof(key));
    return rc;
}

/* MBEDTLS_ECDH_GEN_PUBLIC_ALT: an ephemeral key pair for TLS 1.2. */
int mbedtls_ecdh_gen_public(mbedtls_ecp_group *grp, mbedtls_mpi *d, mbedtls_ecp_point *Q,
                            mbedtls_f_rng_t *f_rng, void *p_rng)
{
    if (grp->id == MBEDTLS_ECP_DP_CURVE25519) {
        return x25519_gen_public(d, Q, f_rng, p_rng);
    }
    return mbedtls_ecp_gen_keypair(grp, d, Q, f_rng, p_rng);
}

static int x25519_compute_shared(mbedtls_mpi *z, const mbedtls_ecp_point *Q, const mbedtls_mpi *d)
{
    uint8_t key[X25519_BYTES], peer[X25519_BYTES], secret[X25519_BYTES];
    int rc = mbedtls_mpi_write_binary_le(d, key, sizeof(key));
    rc = rc ? rc : mbedtls_mpi_write_binary_le(&Q->X, peer, sizeof(peer));
    if (rc == 0 && shared_secret_of(secret, key, peer) != 0) {
        rc = MBEDTLS_ERR_ECP_INVALID_KEY;
    }
    rc = rc ? rc : mbedtls_mpi_read_binary_le(z, secret, sizeof(secret));
    sodium_memzero(key, sizeof(key));
    sodium_memzero(secret, sizeof(secret));
    return rc;
}

/* MBEDTLS_ECDH_COMPUTE_SHARED_ALT: the secret of TLS 1.2; SEC 1 section 3.3.1 for the other curves.
 */
int mbedtls_ecdh_compute_shared(mbedtls_ecp_group *grp, mbedtls_mpi *z, const mbedtls_ecp_point *Q,
                                const mbedtls_mpi *d, mbedtls_f_rng_t *f_rng, void *p_rng)
{
    if (grp->id == MBEDTLS_ECP_DP_CURVE25519) {
        return x25519_compute_shared(z, Q, d);
    }
    mbedtls_ecp_point P;
    mbedtls_ecp_point_init(&P);
    int rc = mbedtls_ecp_mul(grp, &P, d, Q, f_rng, p_rng);
    if (rc == 0 && mbedtls_ecp_is_zero(&P)) {
        rc = MBEDTLS_ERR_ECP_BAD_INPUT_DATA;
    }
    rc = rc ? rc : mbedtls_mpi_copy(z, &P.X);
    mbedtls_ecp_point_free(&P);
    return rc;
}
