/* SPDX-License-Identifier: MIT */
#include "ssh/kdf.h"

#include <sodium.h>
#include <string.h>

#include "base/err.h"
#include "base/secret.h"
#include "ssh/pubkey.h"
#include "ssh/sha1.h"

enum {
    MD5 = 16,
    MD5_SALT = 8, /* bytes of the IV */
    HMAC_MAX = crypto_auth_hmacsha512_BYTES,
    PPK2_KEY = 32,
    PPK2_MAC_AT = PPK2_KEY + 16,
    COUNT = 4 /* bytes of a block's number */
};

/* HMAC of n bytes, with a key of any length, or of one block of SHA-1 at most. */
static void hmac(enum ssh_kdf_prf prf, const struct nk_secret *key, const uint8_t *p, size_t n,
                 uint8_t out[HMAC_MAX])
{
    crypto_auth_hmacsha256_state h256;
    crypto_auth_hmacsha512_state h512;
    switch (prf) {
    case SSH_PRF_SHA1:
        ssh_hmac_sha1(key->data, key->len, p, n, out);
        break;
    case SSH_PRF_SHA256:
        crypto_auth_hmacsha256_init(&h256, key->data, key->len);
        crypto_auth_hmacsha256_update(&h256, p, n);
        crypto_auth_hmacsha256_final(&h256, out);
        nk_wipe(&h256, sizeof(h256));
        break;
    case SSH_PRF_SHA512:
        crypto_auth_hmacsha512_init(&h512, key->data, key->len);
        crypto_auth_hmacsha512_update(&h512, p, n);
        crypto_auth_hmacsha512_final(&h512, out);
        nk_wipe(&h512, sizeof(h512));
        break;
    }
}

/* What HMAC makes of a key that is longer than a block: its hash. */
static int prf_key(enum ssh_kdf_prf prf, const void *passphrase, size_t n, struct nk_secret *out)
{
    uint8_t hash[SSH_SHA1_SIZE];
    struct ssh_sha1 s;
    if (prf != SSH_PRF_SHA1 || n <= SSH_SHA1_BLOCK) {
        return nk_secret_set(out, passphrase, n);
    }
    ssh_sha1_init(&s);
    ssh_sha1_put(&s, passphrase, n);
    ssh_sha1_end(&s, hash);
    int rc = nk_secret_set(out, hash, sizeof(hash));
    nk_wipe(hash, sizeof(hash));
    nk_wipe(&s, sizeof(s));
    return rc;
}

static int pbkdf2(const struct ssh_kdf *kdf, const void *passphrase, size_t passphrase_n,
                  uint8_t *key, size_t n)
{
    static const uint8_t sizes[] = {[SSH_PRF_SHA1] = SSH_SHA1_SIZE,
                                    [SSH_PRF_SHA256] = crypto_auth_hmacsha256_BYTES,
                                    [SSH_PRF_SHA512] = crypto_auth_hmacsha512_BYTES};
    struct nk_secret pass = {0};
    uint8_t u[HMAC_MAX], sum[HMAC_MAX], first[SSH_SALT_MAX + COUNT];
    size_t size = sizes[kdf->prf];
    int rc = prf_key(kdf->prf, passphrase, passphrase_n, &pass);
    memcpy(first, kdf->salt, kdf->salt_n);
    memset(first + kdf->salt_n, 0, COUNT);
    for (size_t at = 0; rc == 0 && at < n; at += size) {
        first[kdf->salt_n + COUNT - 1]++; /* from 1; no key needs 256 blocks */
        hmac(kdf->prf, &pass, first, kdf->salt_n + COUNT, u);
        memcpy(sum, u, size);
        for (uint32_t i = 1; i < kdf->rounds; i++) {
            hmac(kdf->prf, &pass, u, size, u);
            for (size_t j = 0; j < size; j++) {
                sum[j] ^= u[j];
            }
        }
        memcpy(key + at, sum, n - at < size ? n - at : size);
    }
    nk_wipe(u, sizeof(u));
    nk_wipe(sum, sizeof(sum));
    nk_secret_clear(&pass);
    return rc;
}

static int md5_chain(const struct ssh_kdf *kdf, const void *passphrase, size_t passphrase_n,
                     uint8_t *key, size_t n)
{
    struct nk_secret text = {0};
    uint8_t hash[MD5];
    size_t total = MD5 + passphrase_n + MD5_SALT;
    int rc = kdf->salt_n < MD5_SALT ? NK_EUNSUPPORTED : nk_secret_alloc(&text, total);
    if (rc < 0) {
        return rc;
    }
    memcpy(text.data + MD5, passphrase, passphrase_n);
    memcpy(text.data + MD5 + passphrase_n, kdf->salt, MD5_SALT);
    for (size_t at = 0; at < n; at += MD5) {
        size_t skip = at == 0 ? MD5 : 0; /* the first has no hash in front */
        ssh_md5(text.data + skip, total - skip, hash);
        memcpy(text.data, hash, MD5);
        memcpy(key + at, hash, n - at < MD5 ? n - at : MD5);
    }
    nk_wipe(hash, sizeof(hash));
    nk_secret_clear(&text);
    return 0;
}

static void sha1_of(const void *a, size_t an, const void *b, size_t bn, uint8_t out[SSH_SHA1_SIZE])
{
    struct ssh_sha1 s;
    ssh_sha1_init(&s);
    ssh_sha1_put(&s, a, an);
    ssh_sha1_put(&s, b, bn);
    ssh_sha1_end(&s, out);
    nk_wipe(&s, sizeof(s));
}

void ssh_ppk2_mac_key(const void *passphrase, size_t n, uint8_t out[SSH_SHA1_SIZE])
{
    static const char text[] = "putty-private-key-file-mac-key";
    sha1_of(text, sizeof(text) - 1, passphrase, n, out);
}

/* The cipher's key of two hashes, an IV of zeros, the MAC's key. */
static int ppk2(const void *passphrase, size_t passphrase_n, uint8_t *key, size_t n)
{
    static const uint8_t count[2][COUNT] = {{0, 0, 0, 0}, {0, 0, 0, 1}};
    uint8_t hash[2 * SSH_SHA1_SIZE];
    if (n != PPK2_MAC_AT + SSH_SHA1_SIZE) {
        return NK_EUNSUPPORTED;
    }
    for (int i = 0; i < 2; i++) {
        sha1_of(count[i], COUNT, passphrase, passphrase_n, hash + i * SSH_SHA1_SIZE);
    }
    memset(key, 0, PPK2_MAC_AT);
    memcpy(key, hash, PPK2_KEY);
    ssh_ppk2_mac_key(passphrase, passphrase_n, key + PPK2_MAC_AT);
    nk_wipe(hash, sizeof(hash));
    return 0;
}

static int argon2(const struct ssh_kdf *kdf, const void *passphrase, size_t passphrase_n,
                  uint8_t *key, size_t n)
{
    const unsigned long long kib = 1024;
    return crypto_pwhash(key, n, passphrase, passphrase_n, kdf->salt, kdf->rounds,
                         (size_t)(kdf->memory_kib * kib), crypto_pwhash_ALG_ARGON2ID13) == 0
               ? 0
               : -ENOMEM;
}

int ssh_kdf(const struct ssh_kdf *kdf, const void *passphrase, size_t passphrase_n, uint8_t *key,
            size_t n)
{
    switch (kdf->kind) {
    case SSH_KDF_BCRYPT:
        return ssh_bcrypt_pbkdf(passphrase, passphrase_n, kdf->salt, kdf->salt_n, kdf->rounds, key,
                                n);
    case SSH_KDF_PBKDF2:
        return pbkdf2(kdf, passphrase, passphrase_n, key, n);
    case SSH_KDF_ARGON2ID:
        return argon2(kdf, passphrase, passphrase_n, key, n);
    case SSH_KDF_PPK2:
        return ppk2(passphrase, passphrase_n, key, n);
    case SSH_KDF_MD5:
        return md5_chain(kdf, passphrase, passphrase_n, key, n);
    case SSH_KDF_NONE:
        break;
    }
    return NK_EUNSUPPORTED;
}
