/* SPDX-License-Identifier: MIT */
#include <mbedtls/aes.h>
#include <mbedtls/gcm.h>
#include <sodium.h>
#include <string.h>

#include "base/err.h"
#include "base/secret.h"
#include "ssh/keycipher.h"

enum { BLOCK = 16, TAG = 16, GCM_IV = 12, CHACHA_KEY = 64, CHACHA_BLOCK = 8 };

static const struct ssh_keycipher ciphers[] = {
    {"aes256-ctr", NULL, SSH_MODE_CTR, 32, BLOCK, BLOCK, 0, 0},
    {"aes192-ctr", NULL, SSH_MODE_CTR, 24, BLOCK, BLOCK, 0, 0},
    {"aes128-ctr", NULL, SSH_MODE_CTR, 16, BLOCK, BLOCK, 0, 0},
    {"aes256-cbc", "AES-256-CBC", SSH_MODE_CBC, 32, BLOCK, BLOCK, 0, 42},
    {"aes192-cbc", "AES-192-CBC", SSH_MODE_CBC, 24, BLOCK, BLOCK, 0, 22},
    {"aes128-cbc", "AES-128-CBC", SSH_MODE_CBC, 16, BLOCK, BLOCK, 0, 2},
    {"aes256-gcm@openssh.com", NULL, SSH_MODE_GCM, 32, GCM_IV, BLOCK, TAG, 0},
    {"aes128-gcm@openssh.com", NULL, SSH_MODE_GCM, 16, GCM_IV, BLOCK, TAG, 0},
    {"chacha20-poly1305@openssh.com", NULL, SSH_MODE_CHACHA, CHACHA_KEY, 0, CHACHA_BLOCK, TAG, 0}};
enum { CIPHERS = sizeof(ciphers) / sizeof(*ciphers) };

const struct ssh_keycipher *ssh_keycipher_find(struct ssh_str name)
{
    for (size_t i = 0; i < CIPHERS; i++) {
        if (ssh_str_is(name, ciphers[i].name) ||
            (ciphers[i].pem && ssh_str_is(name, ciphers[i].pem))) {
            return &ciphers[i];
        }
    }
    return NULL;
}

const struct ssh_keycipher *ssh_keycipher_oid(uint8_t arc)
{
    for (size_t i = 0; i < CIPHERS; i++) {
        if (arc && ciphers[i].oid == arc) {
            return &ciphers[i];
        }
    }
    return NULL;
}

static int counter_mode(const struct ssh_keycipher *c, const uint8_t *key, const uint8_t *iv,
                        uint8_t *p, size_t n)
{
    mbedtls_aes_context aes;
    uint8_t counter[BLOCK], stream[BLOCK];
    size_t used = 0;
    memcpy(counter, iv, BLOCK);
    mbedtls_aes_init(&aes);
    int rc = mbedtls_aes_setkey_enc(&aes, key, 8u * c->key);
    rc = rc != 0 ? rc : mbedtls_aes_crypt_ctr(&aes, n, &used, counter, stream, p, p);
    mbedtls_aes_free(&aes);
    nk_wipe(stream, sizeof(stream));
    return rc != 0 ? -ENOMEM : 0;
}

/* Block after block; mbedTLS's own CBC is not compiled in, as its TLS would use it. */
static int chained(const struct ssh_keycipher *c, const uint8_t *key, const uint8_t *iv, uint8_t *p,
                   size_t n)
{
    mbedtls_aes_context aes;
    uint8_t before[BLOCK], now[BLOCK];
    memcpy(before, iv, BLOCK);
    mbedtls_aes_init(&aes);
    int rc = mbedtls_aes_setkey_dec(&aes, key, 8u * c->key);
    for (size_t at = 0; rc == 0 && at < n; at += BLOCK) {
        memcpy(now, p + at, BLOCK);
        rc = mbedtls_aes_crypt_ecb(&aes, MBEDTLS_AES_DECRYPT, now, p + at);
        for (size_t i = 0; i < BLOCK; i++) {
            p[at + i] ^= before[i];
        }
        memcpy(before, now, BLOCK);
    }
    mbedtls_aes_free(&aes);
    return rc != 0 ? -ENOMEM : 0;
}

static int gcm(const struct ssh_keycipher *c, const uint8_t *key, const uint8_t *iv, uint8_t *p,
               size_t n)
{
    mbedtls_gcm_context g;
    mbedtls_gcm_init(&g);
    int rc = mbedtls_gcm_setkey(&g, MBEDTLS_CIPHER_ID_AES, key, 8u * c->key);
    if (rc == 0) {
        rc = mbedtls_gcm_auth_decrypt(&g, n, iv, GCM_IV, NULL, 0, p + n, TAG, p, p);
        rc = rc == MBEDTLS_ERR_GCM_AUTH_FAILED ? NK_EAUTH : rc != 0 ? -ENOMEM : 0;
    } else {
        rc = -ENOMEM;
    }
    mbedtls_gcm_free(&g);
    return rc;
}

/* As packet number 0 would be, but without a length; the second half of the key is not used. */
static int chacha(const uint8_t *key, uint8_t *p, size_t n)
{
    static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
    uint8_t poly[crypto_onetimeauth_poly1305_KEYBYTES];
    crypto_stream_chacha20(poly, sizeof(poly), nonce, key);
    bool whole = crypto_onetimeauth_poly1305_verify(p + n, p, n, poly) == 0;
    nk_wipe(poly, sizeof(poly));
    if (whole) {
        crypto_stream_chacha20_xor_ic(p, p, n, nonce, 1, key);
    }
    return whole ? 0 : NK_EAUTH;
}

int ssh_keycipher_open(const struct ssh_keycipher *c, const uint8_t *key, const uint8_t *iv,
                       uint8_t *p, size_t n)
{
    if (n <= c->tag || (n - c->tag) % c->block) {
        return NK_EFORMAT;
    }
    n -= c->tag;
    switch (c->mode) {
    case SSH_MODE_CTR:
        return counter_mode(c, key, iv, p, n);
    case SSH_MODE_CBC:
        return chained(c, key, iv, p, n);
    case SSH_MODE_GCM:
        return gcm(c, key, iv, p, n);
    default:
        return chacha(key, p, n);
    }
}
