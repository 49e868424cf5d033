/* SPDX-License-Identifier: MIT */
/*
 * The fallback of ecdsa_glue.c: upstream's ecdsa.c compiled a second time under other names
 * (soft_ecdsa.c), and the renamed entry points of ecp.c. Parameters, results and limits are
 * upstream's: mbedtls/ecdsa.h, mbedtls/ecp.h.
 */
#ifndef NETKIT_GLUE_SOFT_ECDSA_H
#define NETKIT_GLUE_SOFT_ECDSA_H

#include <mbedtls/ecdsa.h>
#include <mbedtls/ecp.h>

/* `rs_ctx` is NULL */
int nk_soft_ecdsa_sign_restartable(mbedtls_ecp_group *grp, mbedtls_mpi *r, mbedtls_mpi *s,
                                   const mbedtls_mpi *d, const unsigned char *buf, size_t blen,
                                   mbedtls_f_rng_t *f_rng, void *p_rng,
                                   mbedtls_f_rng_t *f_rng_blind, void *p_rng_blind,
                                   mbedtls_ecdsa_restart_ctx *rs_ctx);
int nk_soft_ecdsa_verify_restartable(mbedtls_ecp_group *grp, const unsigned char *buf, size_t blen,
                                     const mbedtls_ecp_point *Q, const mbedtls_mpi *r,
                                     const mbedtls_mpi *s, mbedtls_ecdsa_restart_ctx *rs_ctx);
int nk_soft_ecp_mul(mbedtls_ecp_group *grp, mbedtls_ecp_point *R, const mbedtls_mpi *m,
                    const mbedtls_ecp_point *P, mbedtls_f_rng_t *f_rng, void *p_rng);

#endif
