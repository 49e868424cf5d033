/* SPDX-License-Identifier: MIT */
/*
 * Diffie-Hellman in the groups of RFC 3526 (RFC 4253 8, RFC 8268), or in one that the server
 * chooses (RFC 4419).
 */
#include <mbedtls/bignum.h>
#include <mbedtls/dhm.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "ssh/crypto_mbed.h"
#include "ssh/groups.h"
#include "ssh/kex.h"

enum { EXPONENT = 64 /* bytes: twice the strength of the largest group (RFC 4419 6.2) */ };

struct dh {
    struct ssh_kex base;
    mbedtls_mpi p, g, x;
};

static int failed(const struct dh *k, int mbed, struct nk_diag *diag)
{
    return nk_fail_sys(diag, ssh_crypto_error(mbed, NK_EINTERNAL), "key exchange %s",
                       k->base.type->name);
}

/* Whether 1 < v < p - 1 (RFC 4253 8); 0, 1 or mbedTLS's error. */
static int is_inside(const struct dh *k, const mbedtls_mpi *v)
{
    mbedtls_mpi top;
    mbedtls_mpi_init(&top);
    int rc = mbedtls_mpi_sub_int(&top, &k->p, 1);
    rc = rc != 0 ? rc : mbedtls_mpi_cmp_int(v, 1) > 0 && mbedtls_mpi_cmp_mpi(v, &top) < 0;
    mbedtls_mpi_free(&top);
    return rc;
}

static int set_group(struct dh *k, const uint8_t *p, size_t n, const uint8_t *g, size_t gn)
{
    int rc = mbedtls_mpi_read_binary(&k->p, p, n);
    return rc != 0 ? rc : mbedtls_mpi_read_binary(&k->g, g, gn);
}

int ssh_kex_dh_group(struct ssh_kex *base, struct ssh_str p, struct ssh_str g, struct nk_diag *diag)
{
    struct dh *k = (struct dh *)base;
    if (p.n > SSH_GROUP_MAX / 8 || g.n > p.n) {
        return nk_fail(diag, NK_EPROTO, "the server's group for %s is too large", base->type->name);
    }
    int rc = set_group(k, p.p, p.n, g.p, g.n);
    if (rc != 0) {
        return failed(k, rc, diag);
    }
    size_t bits = mbedtls_mpi_bitlen(&k->p);
    if (bits < SSH_GROUP_MIN || !mbedtls_mpi_get_bit(&k->p, 0)) {
        return nk_fail(diag, NK_EPROTO, "the server's group for %s, of %zu bits, is not safe",
                       base->type->name, bits);
    }
    rc = is_inside(k, &k->g);
    return rc == 1  ? 0
           : rc < 0 ? failed(k, rc, diag)
                    : nk_fail(diag, NK_EPROTO, "the server's generator for %s cannot be",
                              base->type->name);
}

static int start(struct ssh_kex *base, struct nk_buf *pub, struct nk_diag *diag)
{
    struct dh *k = (struct dh *)base;
    mbedtls_mpi e;
    uint8_t *out;
    size_t n = mbedtls_mpi_size(&k->p);
    mbedtls_mpi_init(&e);
    int rc = mbedtls_mpi_fill_random(&k->x, EXPONENT, ssh_crypto_rng, NULL);
    rc = rc != 0 ? rc : mbedtls_mpi_exp_mod(&e, &k->g, &k->x, &k->p, NULL);
    if (rc != 0) {
        rc = failed(k, rc, diag);
    } else if ((rc = nk_buf_reserve(pub, n, &out)) < 0) {
        rc = nk_fail_sys(diag, rc, "key exchange %s", base->type->name);
    } else if (mbedtls_mpi_write_binary(&e, out, n) == 0) {
        nk_buf_commit(pub, n);
    }
    mbedtls_mpi_free(&e);
    return rc;
}

static int finish(struct ssh_kex *base, struct ssh_str peer, struct nk_buf *secret,
                  struct nk_diag *diag)
{
    struct dh *k = (struct dh *)base;
    mbedtls_mpi f, shared;
    size_t n = mbedtls_mpi_size(&k->p);
    uint8_t bytes[SSH_GROUP_MAX / 8];
    if (peer.n > n) {
        return nk_fail(diag, NK_EPROTO, "the server's part of %s is too large", base->type->name);
    }
    mbedtls_mpi_init(&f);
    mbedtls_mpi_init(&shared);
    int rc = mbedtls_mpi_read_binary(&f, peer.p, peer.n);
    rc = rc != 0 ? rc : is_inside(k, &f);
    if (rc == 1) {
        rc = mbedtls_mpi_exp_mod(&shared, &f, &k->x, &k->p, NULL);
        rc = rc != 0 ? rc : mbedtls_mpi_write_binary(&shared, bytes, n);
        rc = rc != 0 ? failed(k, rc, diag) : ssh_put_mpint(secret, bytes, n);
    } else {
        rc = rc < 0 ? failed(k, rc, diag)
                    : nk_fail(diag, NK_EPROTO, "the server's part of %s is not in the group",
                              base->type->name);
    }
    mbedtls_mpi_free(&f);
    mbedtls_mpi_free(&shared);
    nk_wipe(bytes, sizeof(bytes));
    return rc;
}

static void release(struct ssh_kex *base)
{
    struct dh *k = (struct dh *)base;
    mbedtls_mpi_free(&k->p);
    mbedtls_mpi_free(&k->g);
    mbedtls_mpi_free(&k->x);
    free(k);
}

static const struct ssh_kex_ops ops = {.start = start, .finish = finish, .release = release};

int ssh_kex_make_dh(const struct ssh_kex_type *t, struct ssh_kex **out)
{
    static const uint8_t two[] = {2};
    static const uint8_t group14[] = MBEDTLS_DHM_RFC3526_MODP_2048_P_BIN;
    static const uint8_t group16[] = MBEDTLS_DHM_RFC3526_MODP_4096_P_BIN;
    struct dh *k = calloc(1, sizeof(*k));
    if (!k) {
        return -ENOMEM;
    }
    k->base.ops = &ops;
    mbedtls_mpi_init(&k->p);
    mbedtls_mpi_init(&k->g);
    mbedtls_mpi_init(&k->x);
    const uint8_t *p = t->bits == 2048 ? group14 : t->bits == 4096 ? group16 : ssh_group18;
    if (t->bits && set_group(k, p, t->bits / 8u, two, sizeof(two)) != 0) {
        release(&k->base);
        return -ENOMEM;
    }
    *out = &k->base;
    return 0;
}
