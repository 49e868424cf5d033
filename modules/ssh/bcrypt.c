/* SPDX-License-Identifier: MIT */
/*
 * bcrypt_pbkdf, as OpenSSH's private keys have it: PBKDF2 (RFC 8018 5.2) over a function made of
 * bcrypt, which gives 32 bytes for the SHA-512 of the passphrase and the SHA-512 of a salt. Unlike
 * PBKDF2 it does not put its blocks one behind the other but deals their bytes out, so that who
 * wants the first bytes has to make all blocks.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/secret.h"
#include "ssh/blowfish.h"
#include "ssh/kdf.h"

enum {
    HASH = crypto_hash_sha512_BYTES,
    HASH_WORDS = HASH / 4,
    OUT = 32,
    OUT_WORDS = OUT / 4,
    EXPANSIONS = 64, /* of the key schedule: cost 6 */
    ENCRYPTIONS = 64
};

/* What is secret on the way. */
struct work {
    struct ssh_blowfish cipher;
    uint32_t pass[HASH_WORDS], salt[HASH_WORDS], text[OUT_WORDS];
    uint8_t hash[HASH], block[OUT], sum[OUT];
};

static void words_of(uint32_t *out, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
                 (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
    }
}

/* block = bcrypt of w->pass with the salt whose hash is w->hash. */
static void bcrypt(struct work *w)
{
    static const uint8_t magic[OUT + 1] = "OxychromaticBlowfishSwatDynamite";
    words_of(w->salt, w->hash, HASH_WORDS);
    memcpy(&w->cipher, ssh_blowfish_pi, sizeof(w->cipher));
    ssh_blowfish_expand(&w->cipher, w->pass, w->salt, HASH_WORDS);
    for (int i = 0; i < EXPANSIONS; i++) {
        ssh_blowfish_expand(&w->cipher, w->salt, NULL, HASH_WORDS);
        ssh_blowfish_expand(&w->cipher, w->pass, NULL, HASH_WORDS);
    }
    words_of(w->text, magic, OUT_WORDS);
    for (int i = 0; i < ENCRYPTIONS; i++) {
        for (int j = 0; j < OUT_WORDS; j += 2) {
            ssh_blowfish_encrypt(&w->cipher, &w->text[j]);
        }
    }
    for (int i = 0; i < OUT; i++) { /* little-endian, unlike what goes in */
        w->block[i] = (uint8_t)(w->text[i / 4] >> 8 * (i % 4));
    }
}

/* w->sum = block number `count` (from 1) of the output. */
static void make_block(struct work *w, const uint8_t *salt, size_t salt_n, uint32_t rounds,
                       uint32_t count)
{
    const uint8_t number[] = {(uint8_t)(count >> 24), (uint8_t)(count >> 16), (uint8_t)(count >> 8),
                              (uint8_t)count};
    crypto_hash_sha512_state h;
    crypto_hash_sha512_init(&h);
    crypto_hash_sha512_update(&h, salt, salt_n);
    crypto_hash_sha512_update(&h, number, sizeof(number));
    crypto_hash_sha512_final(&h, w->hash);
    bcrypt(w);
    memcpy(w->sum, w->block, OUT);
    for (uint32_t i = 1; i < rounds; i++) {
        crypto_hash_sha512(w->hash, w->block, OUT);
        bcrypt(w);
        for (int j = 0; j < OUT; j++) {
            w->sum[j] ^= w->block[j];
        }
    }
}

int ssh_bcrypt_pbkdf(const void *passphrase, size_t passphrase_n, const uint8_t *salt,
                     size_t salt_n, uint32_t rounds, uint8_t *key, size_t n)
{
    struct work *w = malloc(sizeof(*w));
    if (!w) {
        return -ENOMEM;
    }
    crypto_hash_sha512(w->hash, passphrase, passphrase_n);
    words_of(w->pass, w->hash, HASH_WORDS);
    size_t stride = (n + OUT - 1) / OUT;
    for (size_t at = 0; at < stride; at++) {
        make_block(w, salt, salt_n, rounds, (uint32_t)at + 1);
        for (size_t i = 0; i < OUT && at + i * stride < n; i++) {
            key[at + i * stride] = w->sum[i];
        }
    }
    nk_free_wiped(w, sizeof(*w));
    return 0;
}
