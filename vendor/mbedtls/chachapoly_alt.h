/* SPDX-License-Identifier: MIT */
/* The context that mbedTLS embeds when the functions come from vendor/glue/chachapoly.c. */
#ifndef NETKIT_CHACHAPOLY_ALT_H
#define NETKIT_CHACHAPOLY_ALT_H

struct nk_soft_chachapoly_context;

typedef struct mbedtls_chachapoly_context {
    struct nk_soft_chachapoly_context
        *soft; /* upstream's, for the streaming calls; made on demand */
    unsigned char key[32];
} mbedtls_chachapoly_context;

#endif
