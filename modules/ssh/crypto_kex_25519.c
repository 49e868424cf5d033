/* SPDX-License-Identifier: MIT */
/*
 * X25519 (RFC 8731), alone or with ML-KEM-768 (mlkem768x25519-sha256): the client sends its
 * encapsulation key and its point, the server the ciphertext and its point, and the secret is the
 * hash of both secrets, which enters hashes as a string.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "ssh/kex.h"

enum {
    POINT = crypto_scalarmult_BYTES,
    KEM_PUBLIC = crypto_kem_mlkem768_PUBLICKEYBYTES,
    KEM_CIPHERTEXT = crypto_kem_mlkem768_CIPHERTEXTBYTES,
    KEM_SHARED = crypto_kem_mlkem768_SHAREDSECRETBYTES
};

struct x25519 {
    struct ssh_kex base;
    uint8_t scalar[crypto_scalarmult_SCALARBYTES];
    uint8_t kem[crypto_kem_mlkem768_SECRETKEYBYTES];
};

static int start(struct ssh_kex *base, struct nk_buf *pub, struct nk_diag *diag)
{
    struct x25519 *k = (struct x25519 *)base;
    uint8_t *out;
    size_t kem = base->type->hybrid ? KEM_PUBLIC : 0;
    int rc = nk_buf_reserve(pub, kem + POINT, &out);
    if (rc < 0) {
        return nk_fail_sys(diag, rc, "key exchange");
    }
    nk_random(k->scalar, sizeof(k->scalar));
    if ((kem && crypto_kem_mlkem768_keypair(out, k->kem) != 0) ||
        crypto_scalarmult_base(out + kem, k->scalar) != 0) {
        return nk_fail(diag, NK_EINTERNAL, "no keys could be made for the key exchange");
    }
    nk_buf_commit(pub, kem + POINT);
    return 0;
}

/* Both secrets in one; the server's point is at the end of what it sent. */
static int finish_hybrid(struct x25519 *k, const uint8_t *ciphertext, const uint8_t *point_secret,
                         struct nk_buf *secret)
{
    uint8_t both[KEM_SHARED + POINT], hash[crypto_hash_sha256_BYTES];
    int rc = crypto_kem_mlkem768_dec(both, ciphertext, k->kem) == 0 ? 0 : NK_EPROTO;
    memcpy(both + KEM_SHARED, point_secret, POINT);
    crypto_hash_sha256(hash, both, sizeof(both));
    rc = rc < 0 ? rc : ssh_put_string(secret, hash, sizeof(hash));
    nk_wipe(both, sizeof(both));
    nk_wipe(hash, sizeof(hash));
    return rc;
}

static int finish(struct ssh_kex *base, struct ssh_str peer, struct nk_buf *secret,
                  struct nk_diag *diag)
{
    struct x25519 *k = (struct x25519 *)base;
    size_t kem = base->type->hybrid ? KEM_CIPHERTEXT : 0;
    uint8_t shared[POINT];
    if (peer.n != kem + POINT) {
        return nk_fail(diag, NK_EPROTO, "the server's part of %s has %zu bytes instead of %zu",
                       base->type->name, peer.n, kem + POINT);
    }
    /* fails for a result of zero, which a point of small order leads to (RFC 7748 6.1) */
    int rc = crypto_scalarmult(shared, k->scalar, peer.p + kem) == 0 ? 0 : NK_EPROTO;
    if (rc == 0) {
        rc = kem ? finish_hybrid(k, peer.p, shared, secret) : ssh_put_mpint(secret, shared, POINT);
    }
    nk_wipe(shared, sizeof(shared));
    return rc < 0 ? nk_fail_sys(diag, rc, "the server's part of %s", base->type->name) : 0;
}

static void release(struct ssh_kex *base)
{
    nk_free_wiped(base, sizeof(struct x25519));
}

static const struct ssh_kex_ops ops = {.start = start, .finish = finish, .release = release};

int ssh_kex_make_25519(const struct ssh_kex_type *t, struct ssh_kex **out)
{
    struct x25519 *k = calloc(1, sizeof(*k));
    if (!k) {
        return -ENOMEM;
    }
    (void)t;
    k->base.ops = &ops;
    *out = &k->base;
    return 0;
}
