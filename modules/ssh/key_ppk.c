/* SPDX-License-Identifier: MIT */
#include "ssh/key_ppk.h"

#include <sodium.h>
#include <string.h>

#include "base/codec.h"
#include "base/pem.h"
#include "ssh/pk.h"
#include "ssh/sha1.h"

#define BEGINNING "PuTTY-User-Key-File-"

enum {
    LINES_MAX = 1024,
    IV = 16,
    MAC_KEY = 32, /* of version 3 */
    DIGITS_MAX = 9,
    ARGON2_KIB_MIN = 8, /* RFC 9106 3.1: for one lane */
    SEED = crypto_sign_SEEDBYTES
};

bool ssh_ppk_is(const void *text, size_t n)
{
    return n > sizeof(BEGINNING) && memcmp(text, BEGINNING, sizeof(BEGINNING) - 1) == 0;
}

static int malformed(struct nk_diag *diag)
{
    return nk_fail(diag, NK_EFORMAT, "the private key of PuTTY is malformed");
}

static int unsupported(struct nk_diag *diag, const char *what)
{
    nk_fail(diag, NK_EUNSUPPORTED, "a private key of PuTTY with %s is not supported", what);
    nk_hint(diag, "puttygen FILE -O private-openssh-new -o NEW converts it");
    return NK_EUNSUPPORTED;
}

/* --- lines ------------------------------------------------------------------------------------ */

static struct ssh_str next_line(struct nk_cur *c)
{
    const uint8_t *from = c->p;
    size_t n = 0, left = nk_cur_left(c);
    while (n < left && from[n] != '\n') {
        n++;
    }
    (void)nk_cur_bytes(c, n < left ? n + 1 : n);
    return (struct ssh_str){from, n > 0 && from[n - 1] == '\r' ? n - 1 : n};
}

/* The value of the next line, which must be this one. */
static struct ssh_str value(struct nk_cur *c, const char *name)
{
    struct ssh_str line = next_line(c);
    size_t n = strlen(name);
    if (line.n < n + 2 || memcmp(line.p, name, n) != 0 || memcmp(line.p + n, ": ", 2) != 0) {
        nk_cur_fail(c);
        return (struct ssh_str){0};
    }
    return (struct ssh_str){line.p + n + 2, line.n - n - 2};
}

static uint32_t number(struct nk_cur *c, const char *name)
{
    struct ssh_str s = value(c, name);
    uint32_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9' || i >= DIGITS_MAX) {
            nk_cur_fail(c);
            return 0;
        }
        n = 10 * n + (uint32_t)(s.p[i] - '0');
    }
    return n;
}

/* A number of lines, and so many of base64. */
static int base64(struct nk_cur *c, const char *name, struct nk_buf *out)
{
    uint32_t n = number(c, name);
    const char *from = (const char *)c->p;
    for (uint32_t i = 0; i < n && i < LINES_MAX && !c->failed; i++) {
        (void)next_line(c);
    }
    return c->failed || n == 0 || n > LINES_MAX
               ? NK_EFORMAT
               : nk_pem_decode(from, (size_t)((const char *)c->p - from), out);
}

static size_t hex(struct nk_cur *c, const char *name, uint8_t *out, size_t max)
{
    struct ssh_str s = value(c, name);
    ssize_t n = nk_hex_decode(out, max, (const char *)s.p, s.n, false);
    if (n <= 0) {
        nk_cur_fail(c);
    }
    return n <= 0 ? 0 : (size_t)n;
}

/* --- parsing ---------------------------------------------------------------------------------- */

static int parse_argon2(struct ssh_ppk *p, struct nk_cur *c, struct nk_diag *diag)
{
    bool known = ssh_str_is(value(c, "Key-Derivation"), "Argon2id");
    p->kdf.kind = SSH_KDF_ARGON2ID;
    p->kdf.memory_kib = number(c, "Argon2-Memory");
    p->kdf.rounds = number(c, "Argon2-Passes");
    bool one = number(c, "Argon2-Parallelism") == 1;
    p->kdf.salt_n = hex(c, "Argon2-Salt", p->kdf.salt, sizeof(p->kdf.salt));
    if (c->failed) {
        return malformed(diag);
    }
    if (!known || !one || p->kdf.salt_n != crypto_pwhash_argon2id_SALTBYTES) {
        return unsupported(diag, "this form of Argon2");
    }
    return p->kdf.rounds > 0 && p->kdf.memory_kib >= ARGON2_KIB_MIN &&
                   p->kdf.memory_kib <= SSH_ARGON2_KIB_MAX &&
                   (uint64_t)p->kdf.rounds * p->kdf.memory_kib <= SSH_ARGON2_WORK_MAX
               ? 0
               : unsupported(diag, "so much work in its KDF");
}

static int parse_cipher(struct ssh_ppk *p, struct nk_cur *c, struct nk_diag *diag)
{
    if (ssh_str_is(p->encryption, "none")) {
        return 0;
    }
    p->cipher = ssh_keycipher_find(p->encryption);
    if (!ssh_str_is(p->encryption, "aes256-cbc") || !p->cipher) {
        return unsupported(diag, "this cipher");
    }
    bool old = p->version == 2;
    p->kdf.kind = SSH_KDF_PPK2;
    p->stretched = (size_t)p->cipher->key + IV + (old ? SSH_SHA1_SIZE : MAC_KEY);
    return old ? 0 : parse_argon2(p, c, diag);
}

int ssh_ppk_parse(const void *text, size_t n, struct ssh_ppk *out, struct nk_diag *diag)
{
    struct nk_cur c;
    char first[sizeof(BEGINNING) + 1] = BEGINNING "?";
    *out = (struct ssh_ppk){0};
    nk_buf_init(&out->blob, SSH_BLOB_MAX);
    nk_buf_init_secret(&out->private, SSH_KEY_FILE_MAX);
    nk_cur_init(&c, text, n);
    char version = n > sizeof(BEGINNING) ? ((const char *)text)[sizeof(BEGINNING) - 1] : '?';
    if (version != '2' && version != '3') {
        return unsupported(diag, "this version of its form");
    }
    first[sizeof(BEGINNING) - 1] = version;
    out->version = version - '0';
    out->type = value(&c, first);
    out->encryption = value(&c, "Encryption");
    out->comment = value(&c, "Comment");
    int rc = base64(&c, "Public-Lines", &out->blob);
    rc = rc < 0 ? rc : c.failed ? NK_EFORMAT : parse_cipher(out, &c, diag);
    if (rc == NK_EUNSUPPORTED) {
        return rc;
    }
    rc = rc < 0 ? rc : base64(&c, "Private-Lines", &out->private);
    size_t mac = hex(&c, "Private-MAC", out->mac, sizeof(out->mac));
    bool good = rc == 0 && !c.failed && nk_buf_len(&out->private) > 0 &&
                mac == (out->version == 2 ? (size_t)SSH_SHA1_SIZE : (size_t)MAC_KEY);
    return good ? 0 : rc == -ENOMEM ? nk_fail_sys(diag, rc, "the private key") : malformed(diag);
}

void ssh_ppk_clear(struct ssh_ppk *p)
{
    nk_buf_clear(&p->blob);
    nk_buf_clear(&p->private);
}

/* --- opening ---------------------------------------------------------------------------------- */

static void compute_mac(const struct ssh_ppk *p, const struct nk_secret *key,
                        const struct nk_buf *b, uint8_t out[SSH_PPK_MAC_MAX])
{
    const size_t skip = p->cipher ? (size_t)p->cipher->key + IV : 0;
    const uint8_t *mac_key = key ? key->data + skip : NULL;
    const size_t n = key ? key->len - skip : 0;
    uint8_t plain[SSH_SHA1_SIZE];
    if (p->version == 2) {
        if (!mac_key) {
            ssh_ppk2_mac_key(NULL, 0, plain);
        }
        ssh_hmac_sha1(mac_key ? mac_key : plain, SSH_SHA1_SIZE, nk_buf_ptr(b), nk_buf_len(b), out);
        return;
    }
    crypto_auth_hmacsha256_state h;
    crypto_auth_hmacsha256_init(&h, mac_key, n);
    crypto_auth_hmacsha256_update(&h, nk_buf_ptr(b), nk_buf_len(b));
    crypto_auth_hmacsha256_final(&h, out);
    nk_wipe(&h, sizeof(h));
}

/* 1: all of it is as it was written; 0: not; or -ENOMEM. */
static int check_mac(const struct ssh_ppk *p, const struct nk_secret *key, const uint8_t *text,
                     size_t n)
{
    uint8_t mac[SSH_PPK_MAC_MAX] = {0};
    struct nk_buf b;
    nk_buf_init_secret(&b, 4 * SSH_KEY_FILE_MAX);
    const struct ssh_str parts[] = {p->type,
                                    p->encryption,
                                    p->comment,
                                    {nk_buf_ptr(&p->blob), nk_buf_len(&p->blob)},
                                    {text, n}};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof(parts) / sizeof(*parts); i++) {
        rc = ssh_put_string(&b, parts[i].p, parts[i].n);
    }
    if (rc == 0) {
        compute_mac(p, key, &b, mac);
        rc = sodium_memcmp(mac, p->mac, sizeof(mac)) == 0;
    }
    nk_buf_clear(&b);
    return rc;
}

static int put_ed25519(struct nk_buf *b, const struct ssh_public *pub, struct nk_cur *c)
{
    struct ssh_str seed = ssh_cur_string(c);
    uint8_t both[SEED + crypto_sign_PUBLICKEYBYTES];
    if (seed.n != SEED || pub->point.n != sizeof(both) - SEED) {
        return NK_EFORMAT;
    }
    memcpy(both, seed.p, SEED);
    memcpy(both + SEED, pub->point.p, pub->point.n);
    int rc = ssh_put_string(b, pub->point.p, pub->point.n);
    rc = rc < 0 ? rc : ssh_put_string(b, both, sizeof(both));
    nk_wipe(both, sizeof(both));
    return rc;
}

/* The fields as struct ssh_private has them; behind them there may be a block's padding. */
static int put_fields(struct nk_buf *b, const struct ssh_public *pub, struct nk_cur *c)
{
    struct ssh_str v[SSH_FIELDS] = {{0}};
    int rc = 0;
    switch (pub->type->kind) {
    case SSH_KEY_ED25519:
        return put_ed25519(b, pub, c);
    case SSH_KEY_ECDSA:
        v[0] = ssh_cur_mpint(c);
        rc = ssh_put_text(b, strrchr(pub->type->name, '-') + 1);
        rc = rc < 0 ? rc : ssh_put_string(b, pub->point.p, pub->point.n);
        return rc < 0 ? rc : ssh_put_mpint(b, v[0].p, v[0].n);
    case SSH_KEY_RSA:
        v[SSH_RSA_N] = pub->n;
        v[SSH_RSA_E] = pub->e;
        v[SSH_RSA_D] = ssh_cur_mpint(c);
        v[SSH_RSA_P] = ssh_cur_mpint(c);
        v[SSH_RSA_Q] = ssh_cur_mpint(c);
        v[SSH_RSA_IQMP] = ssh_cur_mpint(c);
        for (size_t i = 0; rc == 0 && i < SSH_FIELDS; i++) {
            rc = ssh_put_mpint(b, v[i].p, v[i].n);
        }
        break;
    }
    return rc;
}

int ssh_ppk_open(const struct ssh_ppk *p, const struct nk_secret *key, const uint8_t *text,
                 size_t n, unsigned min_rsa, struct ssh_private **out, struct nk_diag *diag)
{
    const struct ssh_str blob = {nk_buf_ptr(&p->blob), nk_buf_len(&p->blob)};
    struct ssh_public pub;
    struct nk_buf fields;
    struct nk_cur c;
    int rc = check_mac(p, key, text, n);
    if (rc <= 0) {
        return rc < 0 ? nk_fail_sys(diag, rc, "the private key")
               : key  ? nk_fail(diag, NK_EAUTH, "the passphrase is wrong")
                      : nk_fail(diag, NK_EFORMAT, "the private key was changed (its MAC is wrong)");
    }
    rc = ssh_public_parse(blob, 1, &pub, diag);
    if (rc < 0 || pub.is_cert || pub.type->sk || !ssh_str_is(p->type, pub.type->name)) {
        return rc < 0 ? rc : malformed(diag);
    }
    nk_buf_init_secret(&fields, SSH_KEY_FILE_MAX);
    nk_cur_init(&c, text, n);
    rc = put_fields(&fields, &pub, &c);
    rc = c.failed ? NK_EFORMAT : rc;
    if (rc < 0) {
        (void)(rc == NK_EFORMAT ? malformed(diag) : nk_fail_sys(diag, rc, "the private key"));
    } else {
        rc = ssh_private_new(pub.type, nk_buf_ptr(&fields), nk_buf_len(&fields), p->comment.p,
                             p->comment.n, min_rsa, out, diag);
    }
    nk_buf_clear(&fields);
    return rc;
}
