/* SPDX-License-Identifier: MIT */
/*
 * AES in counter mode (RFC 4344 4) with HMAC-SHA-2 (RFC 6668): either over the clear packet, as RFC
 * 4253 6.4 has it, or over the encrypted one, its length in clear (OpenSSH's -etm).
 */
#include <mbedtls/aes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "ssh/protect.h"

enum { LENGTH = 4, BLOCK = 16, SHA512_TAG = 64 };

struct ctr {
    struct ssh_protect base;
    mbedtls_aes_context aes;
    uint8_t counter[BLOCK], stream[BLOCK];
    size_t used; /* of stream */
    bool etm;
    union {
        crypto_auth_hmacsha256_state sha256;
        crypto_auth_hmacsha512_state sha512;
    } keyed; /* as it is after the key */
};

static void crypt(struct ctr *t, uint8_t *p, size_t n)
{
    /* fails for NULL arguments only */
    (void)mbedtls_aes_crypt_ctr(&t->aes, n, &t->used, t->counter, t->stream, p, p);
}

static void mac(const struct ctr *t, uint32_t seq, const uint8_t *p, size_t n,
                uint8_t out[SSH_TAG_MAX])
{
    const uint8_t number[] = {(uint8_t)(seq >> 24), (uint8_t)(seq >> 16), (uint8_t)(seq >> 8),
                              (uint8_t)seq};
    if (t->base.tag == SHA512_TAG) {
        crypto_auth_hmacsha512_state h = t->keyed.sha512;
        crypto_auth_hmacsha512_update(&h, number, sizeof(number));
        crypto_auth_hmacsha512_update(&h, p, n);
        crypto_auth_hmacsha512_final(&h, out);
        nk_wipe(&h, sizeof(h));
    } else {
        crypto_auth_hmacsha256_state h = t->keyed.sha256;
        crypto_auth_hmacsha256_update(&h, number, sizeof(number));
        crypto_auth_hmacsha256_update(&h, p, n);
        crypto_auth_hmacsha256_final(&h, out);
        nk_wipe(&h, sizeof(h));
    }
}

static uint32_t packet_length(struct ssh_protect *base, uint32_t seq, uint8_t *p)
{
    struct ctr *t = (struct ctr *)base;
    (void)seq;
    if (!t->etm) {
        crypt(t, p, BLOCK);
    }
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void seal(struct ssh_protect *base, uint32_t seq, uint8_t *p, size_t len)
{
    struct ctr *t = (struct ctr *)base;
    if (t->etm) {
        crypt(t, p + LENGTH, len);
        mac(t, seq, p, LENGTH + len, p + LENGTH + len);
    } else {
        mac(t, seq, p, LENGTH + len, p + LENGTH + len);
        crypt(t, p, LENGTH + len);
    }
}

static bool open_packet(struct ssh_protect *base, uint32_t seq, uint8_t *p, size_t len)
{
    struct ctr *t = (struct ctr *)base;
    uint8_t want[SSH_TAG_MAX];
    if (!t->etm) {
        crypt(t, p + BLOCK, LENGTH + len - BLOCK); /* the first block is clear already */
    }
    mac(t, seq, p, LENGTH + len, want);
    bool whole = sodium_memcmp(want, p + LENGTH + len, t->base.tag) == 0;
    if (whole && t->etm) {
        crypt(t, p + LENGTH, len);
    }
    return whole;
}

static void release(struct ssh_protect *base)
{
    struct ctr *t = (struct ctr *)base;
    mbedtls_aes_free(&t->aes);
    nk_free_wiped(t, sizeof(*t));
}

static const struct ssh_protect_ops ops = {
    .length = packet_length, .seal = seal, .open = open_packet, .release = release};

int ssh_protect_ctr(const struct ssh_cipher_type *c, const struct ssh_mac_type *m,
                    const uint8_t *key, const uint8_t *iv, const uint8_t *mac_key,
                    struct ssh_protect **out)
{
    struct ctr *t = calloc(1, sizeof(*t));
    if (!t) {
        return -ENOMEM;
    }
    t->base = (struct ssh_protect){.ops = &ops,
                                   .block = BLOCK,
                                   .peek = m->etm ? LENGTH : BLOCK,
                                   .tag = m->tag,
                                   .apart = m->etm};
    t->etm = m->etm;
    memcpy(t->counter, iv, BLOCK);
    mbedtls_aes_init(&t->aes);
    if (mbedtls_aes_setkey_enc(&t->aes, key, 8u * c->key) != 0) {
        release(&t->base);
        return -ENOMEM;
    }
    if (m->tag == SHA512_TAG) {
        crypto_auth_hmacsha512_init(&t->keyed.sha512, mac_key, m->key);
    } else {
        crypto_auth_hmacsha256_init(&t->keyed.sha256, mac_key, m->key);
    }
    *out = &t->base;
    return 0;
}
