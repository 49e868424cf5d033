/* SPDX-License-Identifier: MIT */
#include "ssh/sha1.h"

#include <string.h>

enum { ROUNDS = 80, LENGTH_AT = SSH_SHA1_BLOCK - 8, IPAD = 0x36, OPAD = 0x5c };

static uint32_t rol(uint32_t v, unsigned by)
{
    return v << by | v >> (32 - by);
}

/* RFC 3174 5 and 6.1. */
static uint32_t mix(unsigned t, uint32_t b, uint32_t c, uint32_t d)
{
    if (t < 20) {
        return ((b & c) | (~b & d)) + 0x5a827999;
    }
    if (t >= 40 && t < 60) {
        return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
    }
    return (b ^ c ^ d) + (t < 40 ? 0x6ed9eba1 : 0xca62c1d6);
}

static void block(struct ssh_sha1 *s)
{
    uint32_t w[ROUNDS], v[5];
    for (unsigned t = 0; t < 16; t++) {
        const uint8_t *p = s->block + (size_t)4 * t;
        w[t] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    }
    for (unsigned t = 16; t < ROUNDS; t++) {
        w[t] = rol(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    }
    memcpy(v, s->h, sizeof(v));
    for (unsigned t = 0; t < ROUNDS; t++) {
        uint32_t next = rol(v[0], 5) + mix(t, v[1], v[2], v[3]) + v[4] + w[t];
        v[4] = v[3];
        v[3] = v[2];
        v[2] = rol(v[1], 30);
        v[1] = v[0];
        v[0] = next;
    }
    for (unsigned i = 0; i < 5; i++) {
        s->h[i] += v[i];
    }
}

void ssh_sha1_init(struct ssh_sha1 *s)
{
    *s = (struct ssh_sha1){.h = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}};
}

void ssh_sha1_put(struct ssh_sha1 *s, const void *p, size_t n)
{
    const uint8_t *from = p;
    for (size_t i = 0; i < n; i++) { /* what is hashed here is short */
        s->block[s->n % SSH_SHA1_BLOCK] = from[i];
        if (++s->n % SSH_SHA1_BLOCK == 0) {
            block(s);
        }
    }
}

void ssh_sha1_end(struct ssh_sha1 *s, uint8_t out[SSH_SHA1_SIZE])
{
    uint64_t bits = s->n * 8;
    uint8_t pad = 0x80, length[8];
    do {
        ssh_sha1_put(s, &pad, 1);
        pad = 0;
    } while (s->n % SSH_SHA1_BLOCK != LENGTH_AT);
    for (unsigned i = 0; i < sizeof(length); i++) {
        length[i] = (uint8_t)(bits >> (56 - 8 * i));
    }
    ssh_sha1_put(s, length, sizeof(length));
    for (unsigned i = 0; i < SSH_SHA1_SIZE; i++) {
        out[i] = (uint8_t)(s->h[i / 4] >> (24 - 8 * (i % 4)));
    }
}

static void keyed(struct ssh_sha1 *s, const uint8_t *key, size_t nkey, uint8_t with)
{
    uint8_t pad[SSH_SHA1_BLOCK];
    for (size_t i = 0; i < sizeof(pad); i++) {
        pad[i] = (uint8_t)((i < nkey ? key[i] : 0) ^ with);
    }
    ssh_sha1_init(s);
    ssh_sha1_put(s, pad, sizeof(pad));
}

void ssh_hmac_sha1(const uint8_t *key, size_t nkey, const void *p, size_t n,
                   uint8_t out[SSH_SHA1_SIZE])
{
    struct ssh_sha1 s;
    uint8_t inner[SSH_SHA1_SIZE];
    keyed(&s, key, nkey, IPAD);
    ssh_sha1_put(&s, p, n);
    ssh_sha1_end(&s, inner);
    keyed(&s, key, nkey, OPAD);
    ssh_sha1_put(&s, inner, sizeof(inner));
    ssh_sha1_end(&s, out);
}
