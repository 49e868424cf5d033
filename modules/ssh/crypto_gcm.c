/* SPDX-License-Identifier: MIT */
/*
 * aes256-gcm@openssh.com and aes128-gcm@openssh.com (RFC 5647 with OpenSSH's negotiation): the
 * length in clear is the additional data; the nonce is 4 fixed bytes and a counter of packets.
 * AES-256 is libsodium's, which is several times faster and needs the processor's instructions;
 * AES-128 is mbedTLS's.
 */
#include <mbedtls/gcm.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "ssh/protect.h"

enum { LENGTH = 4, BLOCK = 16, TAG = 16, NONCE = 12, FIXED = 4, FAST_KEY = 32 };

struct gcm {
    struct ssh_protect base;
    uint8_t nonce[NONCE];
    bool fast;
    union {
        crypto_aead_aes256gcm_state sodium;
        mbedtls_gcm_context mbed;
    } u;
};

/* RFC 5647 7.1: the invocation counter grows by one, in network byte order. */
static void next_nonce(struct gcm *t)
{
    for (int i = NONCE - 1; i >= FIXED && ++t->nonce[i] == 0; i--) {
    }
}

static uint32_t packet_length(struct ssh_protect *base, uint32_t seq, uint8_t *p)
{
    (void)base, (void)seq;
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void seal(struct ssh_protect *base, uint32_t seq, uint8_t *p, size_t len)
{
    struct gcm *t = (struct gcm *)base;
    uint8_t *text = p + LENGTH;
    (void)seq;
    if (t->fast) {
        crypto_aead_aes256gcm_encrypt_detached_afternm(text, text + len, NULL, text, len, p, LENGTH,
                                                       NULL, t->nonce, &t->u.sodium);
    } else if (mbedtls_gcm_crypt_and_tag(&t->u.mbed, MBEDTLS_GCM_ENCRYPT, len, t->nonce, NONCE, p,
                                         LENGTH, text, text, TAG, text + len) != 0) {
        memset(text, 0, len + TAG); /* cannot be, for these lengths; nothing leaves in clear */
    }
    next_nonce(t);
}

static bool open_packet(struct ssh_protect *base, uint32_t seq, uint8_t *p, size_t len)
{
    struct gcm *t = (struct gcm *)base;
    uint8_t *text = p + LENGTH;
    int rc;
    (void)seq;
    if (t->fast) {
        rc = crypto_aead_aes256gcm_decrypt_detached_afternm(text, NULL, text, len, text + len, p,
                                                            LENGTH, t->nonce, &t->u.sodium);
    } else {
        rc = mbedtls_gcm_auth_decrypt(&t->u.mbed, len, t->nonce, NONCE, p, LENGTH, text + len, TAG,
                                      text, text);
    }
    next_nonce(t);
    return rc == 0;
}

static void release(struct ssh_protect *base)
{
    struct gcm *t = (struct gcm *)base;
    if (!t->fast) {
        mbedtls_gcm_free(&t->u.mbed);
    }
    nk_wipe(t, sizeof(*t));
    free(t);
}

static const struct ssh_protect_ops ops = {
    .length = packet_length, .seal = seal, .open = open_packet, .release = release};

int ssh_protect_gcm(const struct ssh_cipher_type *c, const uint8_t *key, const uint8_t *iv,
                    struct ssh_protect **out)
{
    struct gcm *t = aligned_alloc(_Alignof(struct gcm), sizeof(*t));
    if (!t) {
        return -ENOMEM;
    }
    memset(t, 0, sizeof(*t));
    t->base = (struct ssh_protect){
        .ops = &ops, .block = BLOCK, .peek = LENGTH, .tag = TAG, .apart = true};
    memcpy(t->nonce, iv, NONCE);
    t->fast = c->key == FAST_KEY;
    if (t->fast) {
        crypto_aead_aes256gcm_beforenm(&t->u.sodium, key);
    } else {
        mbedtls_gcm_init(&t->u.mbed);
        if (mbedtls_gcm_setkey(&t->u.mbed, MBEDTLS_CIPHER_ID_AES, key, 8u * c->key) != 0) {
            release(&t->base);
            return -ENOMEM;
        }
    }
    *out = &t->base;
    return 0;
}
