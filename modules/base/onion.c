/* SPDX-License-Identifier: MIT */
#include "base/onion.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"

enum {
    VERSION = 3, /* address-spec: the only one in use */
    CHECKSUM = 2,
    RAW = NK_ONION_KEY + CHECKSUM + 1
};

static const char SUFFIX[] = ".onion";
#define SUFFIX_LEN (sizeof(SUFFIX) - 1)

static void checksum(uint8_t out[CHECKSUM], const uint8_t key[NK_ONION_KEY])
{
    static const char prefix[] = ".onion checksum";
    uint8_t in[sizeof(prefix) - 1 + NK_ONION_KEY + 1], hash[crypto_hash_sha3256_BYTES];
    memcpy(in, prefix, sizeof(prefix) - 1);
    memcpy(in + sizeof(prefix) - 1, key, NK_ONION_KEY);
    in[sizeof(in) - 1] = VERSION;
    crypto_hash_sha3256(hash, in, sizeof(in));
    memcpy(out, hash, CHECKSUM);
}

void nk_onion_format(char out[NK_ONION_SIZE], const uint8_t key[NK_ONION_KEY])
{
    uint8_t raw[RAW];
    memcpy(raw, key, NK_ONION_KEY);
    checksum(raw + NK_ONION_KEY, key);
    raw[RAW - 1] = VERSION;
    nk_base32_encode(out, raw, sizeof(raw));
    memcpy(out + NK_ONION_LABEL, SUFFIX, sizeof(SUFFIX));
}

int nk_onion_key_check(const uint8_t key[NK_ONION_KEY], struct nk_diag *diag)
{
    if (!crypto_core_ed25519_is_valid_point(key)) {
        return nk_fail(diag, NK_EFORMAT,
                       "the Ed25519 public key is not a point that a service can have "
                       "(not on the curve, of small order, or with a torsion component)");
    }
    return 0;
}

static bool has_suffix(const char *s, size_t len)
{
    return len >= SUFFIX_LEN && strncasecmp(s + len - SUFFIX_LEN, SUFFIX, SUFFIX_LEN) == 0;
}

/* Why a label of this length cannot be an address. */
static int wrong_length(const char *s, size_t len, struct nk_diag *diag)
{
    uint8_t raw[NK_ONION_V2_LABEL];
    if (len == NK_ONION_V2_LABEL && nk_base32_decode(raw, sizeof(raw), s, len) > 0) {
        return nk_fail(diag, NK_EVERSION,
                       "'%.*s' is an address of version 2; such services ended in 2021, and tor "
                       "cannot reach them any more",
                       (int)len, s);
    }
    return nk_fail(diag, NK_EFORMAT,
                   "an onion address has %d characters before '.onion', this one has %zu",
                   NK_ONION_LABEL, len);
}

int nk_onion_parse(uint8_t key[NK_ONION_KEY], const char *s, size_t len, struct nk_diag *diag)
{
    uint8_t raw[RAW], sum[CHECKSUM];
    size_t n = has_suffix(s, len) ? len - SUFFIX_LEN : len;
    if (memchr(s, '.', n)) {
        return nk_fail(diag, NK_EFORMAT,
                       "an onion address is wanted without subdomain or other dots");
    }
    if (n != NK_ONION_LABEL) {
        return wrong_length(s, n, diag);
    }
    if (nk_base32_decode(raw, sizeof(raw), s, n) != RAW) {
        return nk_fail(diag, NK_EFORMAT, "'%.*s' has characters other than a to z and 2 to 7",
                       (int)n, s);
    }
    if (raw[RAW - 1] != VERSION) {
        return nk_fail(diag, NK_EVERSION,
                       "'%.*s' is of version %d; only version 3 (it ends in 'd') is known", (int)n,
                       s, raw[RAW - 1]);
    }
    checksum(sum, raw);
    if (memcmp(sum, raw + NK_ONION_KEY, CHECKSUM) != 0) {
        return nk_fail(diag, NK_EFORMAT,
                       "the checksum of '%.*s' is wrong: some characters are mistyped", (int)n, s);
    }
    int rc = nk_onion_key_check(raw, diag);
    if (rc == 0) {
        memcpy(key, raw, NK_ONION_KEY);
    }
    return rc;
}
