/* SPDX-License-Identifier: MIT */
/* ECDH over the NIST curves (RFC 5656 4): points are uncompressed, the secret is the x coordinate.
 */
#include <mbedtls/ecp.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "ssh/crypto_mbed.h"
#include "ssh/kex.h"

enum { POINT_MAX = 1 + 2 * 66, UNCOMPRESSED = 4 };

struct nist {
    struct ssh_kex base;
    mbedtls_ecp_group group;
    mbedtls_mpi scalar;
};

static int failed(const struct nist *k, int mbed, struct nk_diag *diag)
{
    return nk_fail_sys(diag, ssh_crypto_error(mbed, NK_EPROTO), "key exchange %s",
                       k->base.type->name);
}

static int start(struct ssh_kex *base, struct nk_buf *pub, struct nk_diag *diag)
{
    struct nist *k = (struct nist *)base;
    uint8_t *out;
    size_t n = 0;
    mbedtls_ecp_point q;
    mbedtls_ecp_point_init(&q);
    int rc = nk_buf_reserve(pub, POINT_MAX, &out);
    if (rc < 0) {
        return nk_fail_sys(diag, rc, "key exchange %s", base->type->name);
    }
    rc = mbedtls_ecp_gen_keypair(&k->group, &k->scalar, &q, ssh_crypto_rng, NULL);
    rc = rc != 0 ? rc
                 : mbedtls_ecp_point_write_binary(&k->group, &q, MBEDTLS_ECP_PF_UNCOMPRESSED, &n,
                                                  out, POINT_MAX);
    mbedtls_ecp_point_free(&q);
    if (rc != 0) {
        return failed(k, rc, diag);
    }
    nk_buf_commit(pub, n);
    return 0;
}

/* The peer's point times our scalar. */
static int multiply(struct nist *k, struct ssh_str peer, mbedtls_ecp_point *q,
                    mbedtls_ecp_point *shared)
{
    int rc = mbedtls_ecp_point_read_binary(&k->group, q, peer.p, peer.n);
    rc = rc != 0 ? rc : mbedtls_ecp_check_pubkey(&k->group, q);
    rc = rc != 0 ? rc : mbedtls_ecp_mul(&k->group, shared, &k->scalar, q, ssh_crypto_rng, NULL);
    return rc != 0 ? rc : mbedtls_ecp_is_zero(shared);
}

static int finish(struct ssh_kex *base, struct ssh_str peer, struct nk_buf *secret,
                  struct nk_diag *diag)
{
    struct nist *k = (struct nist *)base;
    size_t size = (base->type->bits + 7u) / 8, n = 0;
    uint8_t point[POINT_MAX];
    mbedtls_ecp_point q, shared;
    if (peer.n != 1 + 2 * size || peer.p[0] != UNCOMPRESSED) {
        return nk_fail(diag, NK_EPROTO, "the server's part of %s is no uncompressed point",
                       base->type->name);
    }
    mbedtls_ecp_point_init(&q);
    mbedtls_ecp_point_init(&shared);
    int rc = multiply(k, peer, &q, &shared);
    rc = rc != 0 ? rc
                 : mbedtls_ecp_point_write_binary(&k->group, &shared, MBEDTLS_ECP_PF_UNCOMPRESSED,
                                                  &n, point, sizeof(point));
    mbedtls_ecp_point_free(&q);
    mbedtls_ecp_point_free(&shared);
    if (rc != 0) {
        return failed(k, rc, diag);
    }
    rc = ssh_put_mpint(secret, point + 1, size);
    nk_wipe(point, sizeof(point));
    return rc < 0 ? nk_fail_sys(diag, rc, "key exchange %s", base->type->name) : 0;
}

static void release(struct ssh_kex *base)
{
    struct nist *k = (struct nist *)base;
    mbedtls_ecp_group_free(&k->group);
    mbedtls_mpi_free(&k->scalar);
    free(k);
}

static const struct ssh_kex_ops ops = {.start = start, .finish = finish, .release = release};

int ssh_kex_make_nist(const struct ssh_kex_type *t, struct ssh_kex **out)
{
    struct nist *k = calloc(1, sizeof(*k));
    if (!k) {
        return -ENOMEM;
    }
    k->base.ops = &ops;
    mbedtls_ecp_group_init(&k->group);
    mbedtls_mpi_init(&k->scalar);
    if (ssh_crypto_curve(&k->group, t->bits) != 0) {
        release(&k->base);
        return -ENOMEM;
    }
    *out = &k->base;
    return 0;
}
