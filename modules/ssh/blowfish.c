/* SPDX-License-Identifier: MIT */
#include "ssh/blowfish.h"

static inline uint32_t mix(const struct ssh_blowfish *b, uint32_t x)
{
    uint32_t sum = b->s[0][x >> 24] + b->s[1][x >> 16 & 0xff];
    return (sum ^ b->s[2][x >> 8 & 0xff]) + b->s[3][x & 0xff];
}

void ssh_blowfish_encrypt(const struct ssh_blowfish *b, uint32_t block[2])
{
    uint32_t left = block[0] ^ b->p[0], right = block[1];
    for (int i = 1; i <= SSH_BLOWFISH_ROUNDS; i += 2) {
        right ^= mix(b, left) ^ b->p[i];
        left ^= mix(b, right) ^ b->p[i + 1];
    }
    block[0] = right ^ b->p[SSH_BLOWFISH_ROUNDS + 1];
    block[1] = left;
}

void ssh_blowfish_expand(struct ssh_blowfish *b, const uint32_t *key, const uint32_t *salt,
                         size_t n)
{
    uint32_t block[2] = {0, 0}, *to = b->p;
    size_t at = 0;
    for (size_t i = 0; i < SSH_BLOWFISH_SUBKEYS; i++) {
        b->p[i] ^= key[i % n];
    }
    /* every word anew, in order: the subkeys, and behind them the boxes */
    for (size_t i = 0; i < SSH_BLOWFISH_WORDS; i += 2) {
        if (i == SSH_BLOWFISH_SUBKEYS) {
            to = b->s[0];
        }
        for (size_t j = 0; salt && j < 2; j++) {
            block[j] ^= salt[at];
            at = at + 1 == n ? 0 : at + 1;
        }
        ssh_blowfish_encrypt(b, block);
        *to++ = block[0];
        *to++ = block[1];
    }
}
