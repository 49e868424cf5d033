/* SPDX-License-Identifier: MIT */
#include "relay/cpace.h"

#include <sodium.h>
#include <string.h>

#include "base/secret.h"

#define DSI "CPaceRistretto255" /* G.DSI of §8.3 */
#define DSI_ISK DSI "_ISK"
#define MAC_LABEL "CPaceMac" /* §10.4 */

enum {
    HASH_BLOCK = 128, /* H.s_in_bytes of SHA-512 */
    LEB128_MAX = 10   /* bytes of a 64-bit length */
};

static void add(crypto_hash_sha512_state *h, const void *p, size_t n)
{
    crypto_hash_sha512_update(h, p, n);
}

/* The length as prepend_len writes it (A.1.1): LEB128. */
static size_t length_prefix(uint8_t out[LEB128_MAX], size_t n)
{
    size_t used = 0;
    do {
        uint8_t low = n & 0x7f;
        n >>= 7;
        out[used++] = (uint8_t)(low | (n ? 0x80 : 0));
    } while (n);
    return used;
}

/* prepend_len(p) into the hash; lv_cat (A.1.3) is one call after the other. */
static void add_lv(crypto_hash_sha512_state *h, const void *p, size_t n)
{
    uint8_t prefix[LEB128_MAX];
    add(h, prefix, length_prefix(prefix, n));
    if (n) {
        add(h, p, n);
    }
}

static void add_bytes(crypto_hash_sha512_state *h, struct relay_cpace_bytes b)
{
    add_lv(h, b.p, b.n);
}

/* generator_string (A.2), hashed: DSI and PRS fill the first block of the hash, whatever PRS is. */
static void hash_generator(uint8_t out[crypto_hash_sha512_BYTES],
                           const struct relay_cpace_inputs *in)
{
    static const uint8_t zero[HASH_BLOCK];
    uint8_t prefix[LEB128_MAX];
    crypto_hash_sha512_state h;
    size_t head = 1 + sizeof(DSI) - 1 + length_prefix(prefix, in->prs.n) + in->prs.n;
    size_t pad = head < HASH_BLOCK - 1 ? HASH_BLOCK - 1 - head : 0;
    crypto_hash_sha512_init(&h);
    add_lv(&h, DSI, sizeof(DSI) - 1);
    add_bytes(&h, in->prs);
    add_lv(&h, zero, pad);
    add_bytes(&h, in->ci);
    add_bytes(&h, in->sid);
    crypto_hash_sha512_final(&h, out);
    nk_wipe(&h, sizeof(h));
}

void relay_cpace_generator(uint8_t g[RELAY_CPACE_SHARE], const struct relay_cpace_inputs *in)
{
    uint8_t hash[crypto_hash_sha512_BYTES];
    hash_generator(hash, in);
    crypto_core_ristretto255_from_hash(g, hash);
    nk_wipe(hash, sizeof(hash));
}

void relay_cpace_random(uint8_t scalar[RELAY_CPACE_SCALAR])
{
    crypto_core_ristretto255_scalar_random(scalar);
}

int relay_cpace_start(struct relay_cpace *c, const struct relay_cpace_inputs *in,
                      const uint8_t scalar[RELAY_CPACE_SCALAR])
{
    uint8_t g[RELAY_CPACE_SHARE];
    relay_cpace_generator(g, in);
    memcpy(c->scalar, scalar, sizeof(c->scalar));
    int rc = crypto_scalarmult_ristretto255(c->share, c->scalar, g);
    nk_wipe(g, sizeof(g));
    if (rc != 0) {
        relay_cpace_clear(c);
        return NK_EINTERNAL;
    }
    return 0;
}

/* ISK of §7.2 with transcript_ir (A.3.4). */
static void derive_isk(uint8_t isk[RELAY_CPACE_ISK], const struct relay_cpace_inputs *in,
                       const uint8_t *k, const uint8_t *ya, const uint8_t *yb)
{
    crypto_hash_sha512_state h;
    crypto_hash_sha512_init(&h);
    add_lv(&h, DSI_ISK, sizeof(DSI_ISK) - 1);
    add_bytes(&h, in->sid);
    add_lv(&h, k, RELAY_CPACE_SHARE);
    add_lv(&h, ya, RELAY_CPACE_SHARE);
    add_bytes(&h, in->ad_a);
    add_lv(&h, yb, RELAY_CPACE_SHARE);
    add_bytes(&h, in->ad_b);
    crypto_hash_sha512_final(&h, isk);
    nk_wipe(&h, sizeof(h));
}

/* HMAC over lv_cat(share, ad), §10.4. */
static void make_tag(uint8_t tag[RELAY_CPACE_TAG], const uint8_t *key, const uint8_t *share,
                     struct relay_cpace_bytes ad)
{
    uint8_t prefix[LEB128_MAX];
    crypto_auth_hmacsha512_state h;
    crypto_auth_hmacsha512_init(&h, key, crypto_hash_sha512_BYTES);
    crypto_auth_hmacsha512_update(&h, prefix, length_prefix(prefix, RELAY_CPACE_SHARE));
    crypto_auth_hmacsha512_update(&h, share, RELAY_CPACE_SHARE);
    crypto_auth_hmacsha512_update(&h, prefix, length_prefix(prefix, ad.n));
    if (ad.n) {
        crypto_auth_hmacsha512_update(&h, ad.p, ad.n);
    }
    crypto_auth_hmacsha512_final(&h, tag);
    nk_wipe(&h, sizeof(h));
}

static void make_tags(struct relay_cpace_result *r, const struct relay_cpace_inputs *in,
                      const uint8_t *ya, const uint8_t *yb)
{
    uint8_t key[crypto_hash_sha512_BYTES];
    crypto_hash_sha512_state h;
    crypto_hash_sha512_init(&h);
    add(&h, MAC_LABEL, sizeof(MAC_LABEL) - 1);
    add(&h, in->sid.p, in->sid.n);
    add(&h, r->isk, sizeof(r->isk));
    crypto_hash_sha512_final(&h, key);
    make_tag(r->tag_a, key, ya, in->ad_a);
    make_tag(r->tag_b, key, yb, in->ad_b);
    nk_wipe(&h, sizeof(h));
    nk_wipe(key, sizeof(key));
}

int relay_cpace_finish(const struct relay_cpace *c, const struct relay_cpace_inputs *in,
                       enum relay_cpace_role role, const uint8_t peer[RELAY_CPACE_SHARE],
                       struct relay_cpace_result *out)
{
    uint8_t k[RELAY_CPACE_SHARE];
    /* our own share would come from a mirror; libsodium refuses what does not decode and K = G.I */
    if (memcmp(peer, c->share, RELAY_CPACE_SHARE) == 0 ||
        crypto_scalarmult_ristretto255(k, c->scalar, peer) != 0) {
        nk_wipe(k, sizeof(k));
        relay_cpace_result_clear(out);
        return NK_EAUTH;
    }
    const uint8_t *ya = role == RELAY_CPACE_A ? c->share : peer;
    const uint8_t *yb = role == RELAY_CPACE_A ? peer : c->share;
    derive_isk(out->isk, in, k, ya, yb);
    make_tags(out, in, ya, yb);
    nk_wipe(k, sizeof(k));
    return 0;
}

void relay_cpace_clear(struct relay_cpace *c)
{
    nk_wipe(c, sizeof(*c));
}

void relay_cpace_result_clear(struct relay_cpace_result *r)
{
    nk_wipe(r, sizeof(*r));
}
