/* SPDX-License-Identifier: MIT */
/*
 * The fallback: upstream's gcm.c and chachapoly.c compiled a second time under other names
 * (soft_gcm.c, soft_chachapoly.c), and the renamed entry points of psa_crypto_ecp.c. Parameters,
 * results and limits are upstream's: mbedtls/gcm.h, mbedtls/chachapoly.h, psa_crypto_ecp.h.
 */
#ifndef NETKIT_GLUE_SOFT_H
#define NETKIT_GLUE_SOFT_H

#include <stddef.h>

struct nk_soft_gcm_context;
struct nk_soft_chachapoly_context;

/* A context that must be given a key, or NULL without memory. */
struct nk_soft_gcm_context *nk_soft_gcm_new(void);
/* Wipes and frees; NULL is allowed. */
void nk_soft_gcm_delete(struct nk_soft_gcm_context *ctx);
/* `cipher` is an mbedtls_cipher_id_t. */
int nk_soft_gcm_set(struct nk_soft_gcm_context *ctx, int cipher, const unsigned char *key,
                    unsigned key_bits);
int nk_soft_gcm_crypt_and_tag(struct nk_soft_gcm_context *ctx, int mode, size_t length,
                              const unsigned char *iv, size_t iv_len, const unsigned char *ad,
                              size_t ad_len, const unsigned char *input, unsigned char *output,
                              size_t tag_len, unsigned char *tag);
int nk_soft_gcm_auth_decrypt(struct nk_soft_gcm_context *ctx, size_t length,
                             const unsigned char *iv, size_t iv_len, const unsigned char *ad,
                             size_t ad_len, const unsigned char *tag, size_t tag_len,
                             const unsigned char *input, unsigned char *output);
int nk_soft_gcm_starts(struct nk_soft_gcm_context *ctx, int mode, const unsigned char *iv,
                       size_t iv_len);
int nk_soft_gcm_update_ad(struct nk_soft_gcm_context *ctx, const unsigned char *ad, size_t ad_len);
int nk_soft_gcm_update(struct nk_soft_gcm_context *ctx, const unsigned char *input,
                       size_t input_length, unsigned char *output, size_t output_size,
                       size_t *output_length);
int nk_soft_gcm_finish(struct nk_soft_gcm_context *ctx, unsigned char *output, size_t output_size,
                       size_t *output_length, unsigned char *tag, size_t tag_len);

/* A context that must be given a key, or NULL without memory. */
struct nk_soft_chachapoly_context *nk_soft_chachapoly_new(void);
/* Wipes and frees; NULL is allowed. */
void nk_soft_chachapoly_delete(struct nk_soft_chachapoly_context *ctx);
int nk_soft_chachapoly_setkey(struct nk_soft_chachapoly_context *ctx, const unsigned char key[32]);
/* `encrypt` is 1 or 0 */
int nk_soft_chachapoly_begin(struct nk_soft_chachapoly_context *ctx, const unsigned char nonce[12],
                             int encrypt);
int nk_soft_chachapoly_update_aad(struct nk_soft_chachapoly_context *ctx, const unsigned char *aad,
                                  size_t aad_len);
int nk_soft_chachapoly_update(struct nk_soft_chachapoly_context *ctx, size_t len,
                              const unsigned char *input, unsigned char *output);
int nk_soft_chachapoly_finish(struct nk_soft_chachapoly_context *ctx, unsigned char mac[16]);

struct mbedtls_gcm_context;

/*
 * mbedtls_gcm_setkey() as it is on a processor without AES instructions: every later call on `ctx`
 * runs upstream's code. Same parameters and results. For the tests of the fallback.
 */
int nk_glue_gcm_setkey_soft(struct mbedtls_gcm_context *ctx, int cipher, const unsigned char *key,
                            unsigned key_bits);

#endif
