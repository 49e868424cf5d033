/* SPDX-License-Identifier: MIT */
/*
 * blowfish - the cipher (B. Schneier, 1993) as bcrypt uses it: with a key schedule that mixes in a
 * salt (N. Provos, D. Mazieres: A Future-Adaptable Password Scheme, 1999).
 */
#ifndef SSH_BLOWFISH_H
#define SSH_BLOWFISH_H

#include <stddef.h>
#include <stdint.h>

enum {
    SSH_BLOWFISH_ROUNDS = 16,
    SSH_BLOWFISH_SUBKEYS = SSH_BLOWFISH_ROUNDS + 2,
    SSH_BLOWFISH_BOXES = 4,
    SSH_BLOWFISH_BOX = 256,
    SSH_BLOWFISH_WORDS = SSH_BLOWFISH_SUBKEYS + SSH_BLOWFISH_BOXES * SSH_BLOWFISH_BOX
};

/* The fraction of pi, 32 bits in each word: where every key schedule begins. */
extern const uint32_t ssh_blowfish_pi[SSH_BLOWFISH_WORDS];

/* A key schedule; the subkeys, then the boxes. */
struct ssh_blowfish {
    uint32_t p[SSH_BLOWFISH_SUBKEYS];
    uint32_t s[SSH_BLOWFISH_BOXES][SSH_BLOWFISH_BOX];
};

/* ssh_blowfish_encrypt - one block, in place. */
void ssh_blowfish_encrypt(const struct ssh_blowfish *b, uint32_t block[2]);

/* ssh_blowfish_expand - mix key (n words, n >= 1) and salt (as many; NULL: zeros) into the
 * schedule. */
void ssh_blowfish_expand(struct ssh_blowfish *b, const uint32_t *key, const uint32_t *salt,
                         size_t n);

#endif
