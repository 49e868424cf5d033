/* SPDX-License-Identifier: MIT */
#include <mbedtls/asn1.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/pk.h>
#include <mbedtls/rsa.h>
#include <string.h>

#include "base/secret.h"
#include "ssh/crypto_mbed.h"
#include "ssh/pk.h"

enum {
    NUMBER_MAX = SSH_RSA_PRIVATE_MAX / 8,
    POINT_MAX = 1 + 2 * 66, /* of P-521 */
    EXPONENT = 65537
};

static const mbedtls_md_type_t md_of[] = {[SSH_SHA256] = MBEDTLS_MD_SHA256,
                                          [SSH_SHA384] = MBEDTLS_MD_SHA384,
                                          [SSH_SHA512] = MBEDTLS_MD_SHA512};

static int put_number(struct nk_buf *b, const mbedtls_mpi *m)
{
    uint8_t bytes[NUMBER_MAX];
    size_t n = mbedtls_mpi_size(m);
    if (n > sizeof(bytes) || mbedtls_mpi_write_binary(m, bytes, n) != 0) {
        return NK_ETOOBIG;
    }
    int rc = ssh_put_mpint(b, bytes, n);
    nk_wipe(bytes, sizeof(bytes));
    return rc;
}

const struct ssh_key_type *ssh_pk_curve(unsigned bits)
{
    for (const struct ssh_key_type *t = ssh_key_types; t->name; t++) {
        if (t->kind == SSH_KEY_ECDSA && t->bits == bits && !t->sk) {
            return t;
        }
    }
    return NULL;
}

static const struct ssh_key_type *rsa_type(void)
{
    const struct ssh_key_type *t = ssh_key_types;
    while (t->kind != SSH_KEY_RSA) {
        t++;
    }
    return t;
}

/* --- RSA -------------------------------------------------------------------------------------- */

static int put_rsa(const mbedtls_rsa_context *rsa, struct nk_buf *fields)
{
    mbedtls_mpi v[SSH_FIELDS];
    for (int i = 0; i < SSH_FIELDS; i++) {
        mbedtls_mpi_init(&v[i]);
    }
    int rc = mbedtls_rsa_export(rsa, &v[SSH_RSA_N], &v[SSH_RSA_P], &v[SSH_RSA_Q], &v[SSH_RSA_D],
                                &v[SSH_RSA_E]);
    rc = rc != 0 ? rc : mbedtls_rsa_export_crt(rsa, NULL, NULL, &v[SSH_RSA_IQMP]);
    rc = ssh_crypto_error(rc, NK_EFORMAT);
    for (int i = 0; i < SSH_FIELDS; i++) {
        rc = rc < 0 ? rc : put_number(fields, &v[i]);
        mbedtls_mpi_free(&v[i]);
    }
    return rc;
}

/* Returns mbedTLS's error. */
static int load_rsa(mbedtls_rsa_context *rsa, const struct ssh_str f[SSH_FIELDS])
{
    int rc = mbedtls_rsa_import_raw(rsa, f[SSH_RSA_N].p, f[SSH_RSA_N].n, f[SSH_RSA_P].p,
                                    f[SSH_RSA_P].n, f[SSH_RSA_Q].p, f[SSH_RSA_Q].n, f[SSH_RSA_D].p,
                                    f[SSH_RSA_D].n, f[SSH_RSA_E].p, f[SSH_RSA_E].n);
    return rc != 0 ? rc : mbedtls_rsa_complete(rsa);
}

static int check_rsa(const struct ssh_str f[SSH_FIELDS])
{
    mbedtls_rsa_context rsa;
    mbedtls_mpi made, given;
    if (f[SSH_RSA_N].n > NUMBER_MAX) {
        return NK_EUNSUPPORTED;
    }
    mbedtls_rsa_init(&rsa);
    mbedtls_mpi_init(&made);
    mbedtls_mpi_init(&given);
    int rc = load_rsa(&rsa, f);
    rc = rc != 0 ? rc : mbedtls_rsa_check_privkey(&rsa);
    rc = rc != 0 ? rc : mbedtls_rsa_export_crt(&rsa, NULL, NULL, &made);
    rc = rc != 0 ? rc : mbedtls_mpi_read_binary(&given, f[SSH_RSA_IQMP].p, f[SSH_RSA_IQMP].n);
    rc = rc != 0 ? rc : mbedtls_mpi_cmp_mpi(&made, &given);
    mbedtls_mpi_free(&made);
    mbedtls_mpi_free(&given);
    mbedtls_rsa_free(&rsa);
    return ssh_crypto_error(rc, NK_EFORMAT);
}

static int sign_rsa(const struct ssh_str f[SSH_FIELDS], enum ssh_hash h, const uint8_t *hash,
                    struct nk_buf *out)
{
    mbedtls_rsa_context rsa;
    uint8_t *to;
    if (f[SSH_RSA_N].n > NUMBER_MAX) {
        return NK_EUNSUPPORTED;
    }
    int rc = nk_buf_reserve(out, f[SSH_RSA_N].n, &to);
    if (rc < 0) {
        return rc;
    }
    mbedtls_rsa_init(&rsa);
    rc = load_rsa(&rsa, f);
    /* verifies what it made before it gives it away (Lenstra's attack) */
    rc = rc != 0 ? rc
                 : mbedtls_rsa_pkcs1_sign(&rsa, ssh_crypto_rng, NULL, md_of[h],
                                          (unsigned)ssh_hash_size(h), hash, to);
    mbedtls_rsa_free(&rsa);
    rc = ssh_crypto_error(rc, NK_EINTERNAL);
    if (rc == 0) {
        nk_buf_commit(out, f[SSH_RSA_N].n);
    }
    return rc;
}

static int generate_rsa(unsigned bits, struct nk_buf *fields)
{
    mbedtls_rsa_context rsa;
    mbedtls_rsa_init(&rsa);
    int rc = ssh_crypto_error(mbedtls_rsa_gen_key(&rsa, ssh_crypto_rng, NULL, bits, EXPONENT),
                              NK_EINTERNAL);
    rc = rc < 0 ? rc : put_rsa(&rsa, fields);
    mbedtls_rsa_free(&rsa);
    return rc;
}

/* --- ECDSA ------------------------------------------------------------------------------------ */

/* A key of a curve. */
struct ec {
    mbedtls_ecp_group group;
    mbedtls_ecp_point q;
    mbedtls_mpi d;
};

static void ec_init(struct ec *k)
{
    mbedtls_ecp_group_init(&k->group);
    mbedtls_ecp_point_init(&k->q);
    mbedtls_mpi_init(&k->d);
}

static void ec_free(struct ec *k)
{
    mbedtls_ecp_group_free(&k->group);
    mbedtls_ecp_point_free(&k->q);
    mbedtls_mpi_free(&k->d);
}

static int put_ec(const struct ec *k, struct nk_buf *fields, const struct ssh_key_type **type)
{
    uint8_t point[POINT_MAX];
    size_t n = 0;
    *type = ssh_pk_curve((unsigned)k->group.nbits);
    if (!*type) {
        return NK_EUNSUPPORTED;
    }
    int rc = mbedtls_ecp_point_write_binary(&k->group, &k->q, MBEDTLS_ECP_PF_UNCOMPRESSED, &n,
                                            point, sizeof(point));
    rc = ssh_crypto_error(rc, NK_EFORMAT);
    rc = rc < 0 ? rc : ssh_put_text(fields, strrchr((*type)->name, '-') + 1);
    rc = rc < 0 ? rc : ssh_put_string(fields, point, n);
    return rc < 0 ? rc : put_number(fields, &k->d);
}

/* Returns mbedTLS's error. */
static int load_ec(struct ec *k, unsigned bits, const struct ssh_str f[SSH_FIELDS])
{
    int rc = ssh_crypto_curve(&k->group, bits);
    rc = rc != 0 ? rc : mbedtls_mpi_read_binary(&k->d, f[SSH_EC_D].p, f[SSH_EC_D].n);
    return rc != 0 ? rc : mbedtls_ecp_check_privkey(&k->group, &k->d);
}

static int check_ec(unsigned bits, const struct ssh_str f[SSH_FIELDS])
{
    struct ec k;
    mbedtls_ecp_point made;
    ec_init(&k);
    mbedtls_ecp_point_init(&made);
    int rc = load_ec(&k, bits, f);
    rc = rc != 0
             ? rc
             : mbedtls_ecp_point_read_binary(&k.group, &k.q, f[SSH_EC_POINT].p, f[SSH_EC_POINT].n);
    rc = rc != 0 ? rc : mbedtls_ecp_mul(&k.group, &made, &k.d, &k.group.G, ssh_crypto_rng, NULL);
    rc = rc != 0 ? rc : mbedtls_ecp_point_cmp(&made, &k.q);
    mbedtls_ecp_point_free(&made);
    ec_free(&k);
    return ssh_crypto_error(rc, NK_EFORMAT);
}

static int sign_ec(unsigned bits, const struct ssh_str f[SSH_FIELDS], enum ssh_hash h,
                   const uint8_t *hash, struct nk_buf *out)
{
    struct ec k;
    mbedtls_mpi r, s;
    ec_init(&k);
    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    int rc = load_ec(&k, bits, f);
    rc = rc != 0 ? rc
                 : mbedtls_ecdsa_sign_det_ext(&k.group, &r, &s, &k.d, hash, ssh_hash_size(h),
                                              md_of[h], ssh_crypto_rng, NULL);
    rc = ssh_crypto_error(rc, NK_EINTERNAL);
    rc = rc < 0 ? rc : put_number(out, &r);
    rc = rc < 0 ? rc : put_number(out, &s);
    mbedtls_mpi_free(&r);
    mbedtls_mpi_free(&s);
    ec_free(&k);
    return rc;
}

static int generate_ec(unsigned bits, struct nk_buf *fields)
{
    struct ec k;
    const struct ssh_key_type *type;
    ec_init(&k);
    int rc = ssh_crypto_curve(&k.group, bits);
    rc = rc != 0 ? rc : mbedtls_ecp_gen_keypair(&k.group, &k.d, &k.q, ssh_crypto_rng, NULL);
    rc = ssh_crypto_error(rc, NK_EINTERNAL);
    rc = rc < 0 ? rc : put_ec(&k, fields, &type);
    ec_free(&k);
    return rc;
}

/* --- DER -------------------------------------------------------------------------------------- */

/* What mbedTLS found in DER, as fields. */
static int put_pk(const mbedtls_pk_context *pk, struct nk_buf *fields,
                  const struct ssh_key_type **type)
{
    struct ec k;
    int rc;
    switch (mbedtls_pk_get_type(pk)) {
    case MBEDTLS_PK_RSA:
        *type = rsa_type();
        return put_rsa(mbedtls_pk_rsa(*pk), fields);
    case MBEDTLS_PK_ECKEY:
        ec_init(&k);
        rc = ssh_crypto_error(mbedtls_ecp_export(mbedtls_pk_ec(*pk), &k.group, &k.d, &k.q),
                              NK_EFORMAT);
        rc = rc < 0 ? rc : put_ec(&k, fields, type);
        ec_free(&k);
        return rc;
    default:
        return NK_EUNSUPPORTED;
    }
}

/* mbedTLS's errors for algorithms and curves that it does not know. */
static int read_failed(int mbed)
{
    int high = mbed - -(-mbed & SSH_CRYPTO_LOW);
    bool strange = high == MBEDTLS_ERR_PK_UNKNOWN_PK_ALG ||
                   high == MBEDTLS_ERR_PK_UNKNOWN_NAMED_CURVE ||
                   high == MBEDTLS_ERR_PK_INVALID_ALG || high == MBEDTLS_ERR_PK_FEATURE_UNAVAILABLE;
    return ssh_crypto_error(mbed, strange ? NK_EUNSUPPORTED : NK_EFORMAT);
}

int ssh_pk_read(const uint8_t *der, size_t n, struct nk_buf *fields,
                const struct ssh_key_type **type)
{
    mbedtls_pk_context pk;
    mbedtls_pk_init(&pk);
    int rc = read_failed(mbedtls_pk_parse_key(&pk, der, n, NULL, 0, ssh_crypto_rng, NULL));
    rc = rc < 0 ? rc : put_pk(&pk, fields, type);
    mbedtls_pk_free(&pk);
    return rc;
}

static int put_public_rsa(const mbedtls_rsa_context *rsa, struct nk_buf *blob)
{
    mbedtls_mpi n, e;
    mbedtls_mpi_init(&n);
    mbedtls_mpi_init(&e);
    int rc = ssh_crypto_error(mbedtls_rsa_export(rsa, &n, NULL, NULL, NULL, &e), NK_EFORMAT);
    rc = rc < 0 ? rc : ssh_put_text(blob, rsa_type()->name);
    rc = rc < 0 ? rc : put_number(blob, &e);
    rc = rc < 0 ? rc : put_number(blob, &n);
    mbedtls_mpi_free(&n);
    mbedtls_mpi_free(&e);
    return rc;
}

static int put_public_ec(const mbedtls_ecp_keypair *pair, struct nk_buf *blob)
{
    uint8_t point[POINT_MAX];
    size_t n = 0;
    mbedtls_ecp_group group;
    mbedtls_ecp_group_init(&group);
    int rc = mbedtls_ecp_export(pair, &group, NULL, NULL);
    rc = rc != 0 ? rc
                 : mbedtls_ecp_write_public_key(pair, MBEDTLS_ECP_PF_UNCOMPRESSED, &n, point,
                                                sizeof(point));
    const struct ssh_key_type *type = ssh_pk_curve((unsigned)group.nbits);
    mbedtls_ecp_group_free(&group);
    rc = ssh_crypto_error(rc, NK_EFORMAT);
    if (rc == 0 && !type) {
        return NK_EUNSUPPORTED;
    }
    rc = rc < 0 ? rc : ssh_put_text(blob, type->name);
    rc = rc < 0 ? rc : ssh_put_text(blob, strrchr(type->name, '-') + 1);
    return rc < 0 ? rc : ssh_put_string(blob, point, n);
}

int ssh_pk_read_public(const uint8_t *der, size_t n, struct nk_buf *blob)
{
    mbedtls_pk_context pk;
    mbedtls_pk_init(&pk);
    int rc = read_failed(mbedtls_pk_parse_public_key(&pk, der, n));
    if (rc == 0) {
        mbedtls_pk_type_t kind = mbedtls_pk_get_type(&pk);
        rc = kind == MBEDTLS_PK_RSA     ? put_public_rsa(mbedtls_pk_rsa(pk), blob)
             : kind == MBEDTLS_PK_ECKEY ? put_public_ec(mbedtls_pk_ec(pk), blob)
                                        : NK_EUNSUPPORTED;
    }
    mbedtls_pk_free(&pk);
    return rc;
}

/* --- by type ---------------------------------------------------------------------------------- */

int ssh_pk_check(const struct ssh_key_type *type, const struct ssh_str f[SSH_FIELDS])
{
    return type->kind == SSH_KEY_RSA ? check_rsa(f) : check_ec(type->bits, f);
}

int ssh_pk_generate(const struct ssh_key_type *type, unsigned bits, struct nk_buf *fields)
{
    return type->kind == SSH_KEY_RSA ? generate_rsa(bits, fields) : generate_ec(type->bits, fields);
}

int ssh_pk_sign(const struct ssh_key_type *type, const struct ssh_str f[SSH_FIELDS],
                enum ssh_hash h, const uint8_t *hash, struct nk_buf *out)
{
    return type->kind == SSH_KEY_RSA ? sign_rsa(f, h, hash, out)
                                     : sign_ec(type->bits, f, h, hash, out);
}
