/* SPDX-License-Identifier: MIT */
#include "tor/s2k.h"

#include <stdio.h>
#include <string.h>

#include "base/secret.h"

enum { BLOCK = 64, WORDS = 5, ROUNDS = 80, LENGTH_SIZE = 8, PAD = 0x80, COUNT_BYTES = 65536 };

struct sha1 {
    uint32_t h[WORDS];
    uint64_t total;
    uint8_t block[BLOCK];
    size_t fill;
};

static uint32_t rol(uint32_t v, unsigned n)
{
    return (v << n) | (v >> (32 - n));
}

/* FIPS 180-4 6.1.2, with the message schedule in a ring of 16 words. */
static void compress(struct sha1 *s)
{
    static const uint32_t k[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    uint32_t w[16], v[WORDS];
    for (size_t i = 0; i < 16; i++) {
        const uint8_t *p = s->block + 4 * i;
        w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    }
    memcpy(v, s->h, sizeof(v));
    for (unsigned t = 0; t < ROUNDS; t++) {
        if (t >= 16) {
            w[t & 15] = rol(w[(t + 13) & 15] ^ w[(t + 8) & 15] ^ w[(t + 2) & 15] ^ w[t & 15], 1);
        }
        uint32_t f = t < 20   ? (v[1] & v[2]) | (~v[1] & v[3])
                     : t < 40 ? v[1] ^ v[2] ^ v[3]
                     : t < 60 ? (v[1] & v[2]) | (v[1] & v[3]) | (v[2] & v[3])
                              : v[1] ^ v[2] ^ v[3];
        uint32_t next = rol(v[0], 5) + f + v[4] + k[t / 20] + w[t & 15];
        v[4] = v[3];
        v[3] = v[2];
        v[2] = rol(v[1], 30);
        v[1] = v[0];
        v[0] = next;
    }
    for (size_t i = 0; i < WORDS; i++) {
        s->h[i] += v[i];
    }
}

static void begin(struct sha1 *s)
{
    *s = (struct sha1){.h = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}};
}

static void add(struct sha1 *s, const uint8_t *p, size_t n)
{
    s->total += n;
    while (n > 0) {
        size_t part = n < BLOCK - s->fill ? n : BLOCK - s->fill;
        memcpy(s->block + s->fill, p, part);
        s->fill += part;
        p += part;
        n -= part;
        if (s->fill == BLOCK) {
            compress(s);
            s->fill = 0;
        }
    }
}

static void end(struct sha1 *s, uint8_t out[TOR_S2K_HASH])
{
    static const uint8_t pad[BLOCK] = {PAD};
    uint8_t length[LENGTH_SIZE];
    uint64_t bits = s->total * 8;
    size_t room = s->fill < BLOCK - LENGTH_SIZE ? BLOCK : 2 * BLOCK;
    for (size_t i = 0; i < LENGTH_SIZE; i++) {
        length[i] = (uint8_t)(bits >> (8 * (LENGTH_SIZE - 1 - i)));
    }
    add(s, pad, room - LENGTH_SIZE - s->fill);
    add(s, length, sizeof(length));
    for (size_t i = 0; i < TOR_S2K_HASH; i++) {
        out[i] = (uint8_t)(s->h[i / 4] >> (8 * (3 - i % 4)));
    }
    nk_wipe(s, sizeof(*s));
}

void tor_sha1(uint8_t out[TOR_S2K_HASH], const void *p, size_t n)
{
    struct sha1 s;
    begin(&s);
    add(&s, p, n);
    end(&s, out);
}

void tor_s2k(char out[TOR_S2K_TEXT], const uint8_t salt[TOR_S2K_SALT], const void *password,
             size_t n)
{
    uint8_t record[TOR_S2K_SALT + 1 + TOR_S2K_HASH];
    struct sha1 s;
    memcpy(record, salt, TOR_S2K_SALT);
    record[TOR_S2K_SALT] = TOR_S2K_COUNT;
    begin(&s);
    for (size_t left = COUNT_BYTES; left > 0;) {
        size_t a = left < TOR_S2K_SALT ? left : TOR_S2K_SALT;
        size_t b = left - a < n ? left - a : n;
        add(&s, salt, a);
        add(&s, password, b);
        left -= a + b;
    }
    end(&s, record + TOR_S2K_SALT + 1);
    (void)snprintf(out, TOR_S2K_TEXT, "16:");
    for (size_t i = 0; i < sizeof(record); i++) {
        (void)snprintf(out + 3 + 2 * i, 3, "%02X", record[i]);
    }
}
