/* SPDX-License-Identifier: MIT */
/*
 * chacha20-poly1305@openssh.com (OpenSSH's PROTOCOL.chacha20poly1305): one key encrypts the length,
 * another the packet; the nonce is the sequence number, the first block of the packet's key stream
 * is the key of Poly1305, which is over everything as it travels.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "ssh/protect.h"

enum {
    KEY = crypto_stream_chacha20_KEYBYTES,
    NONCE = crypto_stream_chacha20_NONCEBYTES,
    TAG = crypto_onetimeauth_poly1305_BYTES,
    POLY_KEY = crypto_onetimeauth_poly1305_KEYBYTES,
    LENGTH = 4,
    BLOCK = 8
};

struct chacha {
    struct ssh_protect base;
    uint8_t packet[KEY], length[KEY];
};

static void nonce_of(uint8_t out[NONCE], uint32_t seq)
{
    memset(out, 0, NONCE);
    for (int i = 0; i < LENGTH; i++) {
        out[NONCE - 1 - i] = (uint8_t)(seq >> (8 * i));
    }
}

static void poly_key(const struct chacha *t, const uint8_t nonce[NONCE], uint8_t out[POLY_KEY])
{
    crypto_stream_chacha20(out, POLY_KEY, nonce, t->packet);
}

static uint32_t packet_length(struct ssh_protect *base, uint32_t seq, uint8_t *p)
{
    const struct chacha *t = (struct chacha *)base;
    uint8_t nonce[NONCE], clear[LENGTH];
    nonce_of(nonce, seq);
    crypto_stream_chacha20_xor(clear, p, LENGTH, nonce, t->length);
    return (uint32_t)clear[0] << 24 | (uint32_t)clear[1] << 16 | (uint32_t)clear[2] << 8 | clear[3];
}

static void seal(struct ssh_protect *base, uint32_t seq, uint8_t *p, size_t len)
{
    const struct chacha *t = (struct chacha *)base;
    uint8_t nonce[NONCE], key[POLY_KEY];
    nonce_of(nonce, seq);
    poly_key(t, nonce, key);
    crypto_stream_chacha20_xor(p, p, LENGTH, nonce, t->length);
    crypto_stream_chacha20_xor_ic(p + LENGTH, p + LENGTH, len, nonce, 1, t->packet);
    crypto_onetimeauth_poly1305(p + LENGTH + len, p, LENGTH + len, key);
    nk_wipe(key, sizeof(key));
}

static bool open_packet(struct ssh_protect *base, uint32_t seq, uint8_t *p, size_t len)
{
    const struct chacha *t = (struct chacha *)base;
    uint8_t nonce[NONCE], key[POLY_KEY];
    nonce_of(nonce, seq);
    poly_key(t, nonce, key);
    bool whole = crypto_onetimeauth_poly1305_verify(p + LENGTH + len, p, LENGTH + len, key) == 0;
    nk_wipe(key, sizeof(key));
    if (whole) {
        crypto_stream_chacha20_xor_ic(p + LENGTH, p + LENGTH, len, nonce, 1, t->packet);
    }
    return whole;
}

static void release(struct ssh_protect *base)
{
    nk_free_wiped(base, sizeof(struct chacha));
}

static const struct ssh_protect_ops ops = {
    .length = packet_length, .seal = seal, .open = open_packet, .release = release};

int ssh_protect_chacha(const uint8_t *key, struct ssh_protect **out)
{
    struct chacha *t = calloc(1, sizeof(*t));
    if (!t) {
        return -ENOMEM;
    }
    t->base = (struct ssh_protect){
        .ops = &ops, .block = BLOCK, .peek = LENGTH, .tag = TAG, .apart = true};
    memcpy(t->packet, key, KEY);
    memcpy(t->length, key + KEY, KEY);
    *out = &t->base;
    return 0;
}
