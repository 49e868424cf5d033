/* SPDX-License-Identifier: MIT */
#include "ssh/pubkey.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/codec.h"

enum { ED25519_KEY = 32, ED25519_SIGNATURE = 64, POINT_UNCOMPRESSED = 4, MD5 = 16 };
enum { SK_PRESENT = 1 /* flag of a token: somebody touched it */ };

const struct ssh_key_type ssh_key_types[] = {
    {"ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com", SSH_KEY_ED25519, 0, false},
    {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256-cert-v01@openssh.com", SSH_KEY_ECDSA, 256, false},
    {"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384-cert-v01@openssh.com", SSH_KEY_ECDSA, 384, false},
    {"ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521-cert-v01@openssh.com", SSH_KEY_ECDSA, 521, false},
    {"sk-ssh-ed25519@openssh.com", "sk-ssh-ed25519-cert-v01@openssh.com", SSH_KEY_ED25519, 0, true},
    {"sk-ecdsa-sha2-nistp256@openssh.com", "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
     SSH_KEY_ECDSA, 256, true},
    {"ssh-rsa", "ssh-rsa-cert-v01@openssh.com", SSH_KEY_RSA, 0, false},
    {0}};

#define SAME(name, cert, hash)                                                                     \
    {                                                                                              \
        name, cert, name, hash                                                                     \
    }
const struct ssh_sig_type ssh_sig_types[] = {
    SAME("ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com", SSH_SHA512),
    SAME("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256-cert-v01@openssh.com", SSH_SHA256),
    SAME("ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384-cert-v01@openssh.com", SSH_SHA384),
    SAME("ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521-cert-v01@openssh.com", SSH_SHA512),
    SAME("sk-ssh-ed25519@openssh.com", "sk-ssh-ed25519-cert-v01@openssh.com", SSH_SHA512),
    SAME("sk-ecdsa-sha2-nistp256@openssh.com", "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
         SSH_SHA256),
    {"rsa-sha2-512", "rsa-sha2-512-cert-v01@openssh.com", "ssh-rsa", SSH_SHA512},
    {"rsa-sha2-256", "rsa-sha2-256-cert-v01@openssh.com", "ssh-rsa", SSH_SHA256},
    {0}};

const struct ssh_sig_type *ssh_sig_find(struct ssh_str name, bool *cert)
{
    for (const struct ssh_sig_type *t = ssh_sig_types; t->name; t++) {
        *cert = ssh_str_is(name, t->cert_name);
        if (*cert || ssh_str_is(name, t->name)) {
            return t;
        }
    }
    return NULL;
}

/* --- reading ---------------------------------------------------------------------------------- */

static int malformed(struct nk_diag *diag)
{
    return nk_fail(diag, NK_EFORMAT, "the public key is malformed");
}

unsigned ssh_public_bits(const struct ssh_public *k)
{
    if (k->type->kind != SSH_KEY_RSA) {
        return k->type->bits ? k->type->bits : ED25519_KEY * 8;
    }
    unsigned bits = (unsigned)k->n.n * 8; /* no leading zero bytes */
    for (uint8_t top = k->n.n ? k->n.p[0] : 0; top && !(top & 0x80); top = (uint8_t)(top << 1)) {
        bits--;
    }
    return bits;
}

static int check_rsa(const struct ssh_public *k, unsigned min, struct nk_diag *diag)
{
    unsigned bits = ssh_public_bits(k);
    min = min ? min : SSH_RSA_MIN;
    if (bits > SSH_RSA_MAX || k->e.n == 0 || k->e.n > sizeof(uint64_t) ||
        !(k->e.p[k->e.n - 1] & 1)) {
        return malformed(diag);
    }
    if (bits < min) {
        nk_fail(diag, NK_EAUTH, "the RSA key has %u bits; at least %u are asked for", bits, min);
        nk_hint(diag, "make a new key (ssh-keygen -t ed25519), or lower RequiredRSASize");
        return NK_EAUTH;
    }
    return 0;
}

/* A curve's name is the last word of its key's: "nistp256". */
static bool is_curve(struct ssh_str curve, unsigned bits)
{
    char name[16];
    snprintf(name, sizeof(name), "nistp%u", bits);
    return ssh_str_is(curve, name);
}

/* The fields of a plain key, behind its name. */
static int parse_fields(struct nk_cur *c, struct ssh_public *k, unsigned min_rsa,
                        struct nk_diag *diag)
{
    bool fine = true;
    if (k->type->kind == SSH_KEY_RSA) {
        k->e = ssh_cur_mpint(c);
        k->n = ssh_cur_mpint(c);
        return c->failed ? malformed(diag) : check_rsa(k, min_rsa, diag);
    }
    if (k->type->kind == SSH_KEY_ECDSA) {
        fine = is_curve(ssh_cur_string(c), k->type->bits);
    }
    k->point = ssh_cur_string(c);
    if (k->type->sk) {
        k->application = ssh_cur_string(c);
    }
    if (k->type->kind == SSH_KEY_ED25519) {
        fine = fine && k->point.n == ED25519_KEY;
    } else {
        fine = fine && k->point.n == 1 + 2 * ((k->type->bits + 7u) / 8) &&
               k->point.p[0] == POINT_UNCOMPRESSED;
    }
    return c->failed || !fine ? malformed(diag) : 0;
}

static void parse_cert(struct nk_cur *c, struct ssh_public *k)
{
    struct ssh_cert *t = &k->cert;
    t->serial = nk_cur_be64(c);
    t->use = nk_cur_be32(c);
    t->id = ssh_cur_string(c);
    t->principals = ssh_cur_string(c);
    t->after = nk_cur_be64(c);
    t->before = nk_cur_be64(c);
    t->critical = ssh_cur_string(c);
    t->extensions = ssh_cur_string(c);
    (void)ssh_cur_string(c); /* reserved */
    t->ca = ssh_cur_string(c);
    t->signed_part =
        (struct ssh_str){.p = k->blob.p, .n = c->failed ? 0 : (size_t)(c->p - k->blob.p)};
    t->signature = ssh_cur_string(c);
}

/* The type that a blob begins with. */
static const struct ssh_key_type *type_of(struct ssh_str name, bool *cert)
{
    for (const struct ssh_key_type *t = ssh_key_types; t->name; t++) {
        *cert = ssh_str_is(name, t->cert);
        if (*cert || ssh_str_is(name, t->name)) {
            return t;
        }
    }
    return NULL;
}

int ssh_public_parse(struct ssh_str blob, unsigned min_rsa, struct ssh_public *out,
                     struct nk_diag *diag)
{
    struct ssh_public k = {.blob = blob};
    struct nk_cur c;
    if (blob.n > SSH_BLOB_MAX) {
        return malformed(diag);
    }
    nk_cur_init(&c, blob.p, blob.n);
    struct ssh_str name = ssh_cur_string(&c);
    k.type = type_of(name, &k.is_cert);
    if (c.failed) {
        return malformed(diag);
    }
    if (!k.type) {
        char shown[64];
        return nk_fail(diag, NK_EUNSUPPORTED, "keys of type %s are not supported",
                       nk_escape(shown, sizeof(shown), name.p, name.n));
    }
    if (k.is_cert) {
        k.cert.nonce = ssh_cur_string(&c);
    }
    int rc = parse_fields(&c, &k, min_rsa, diag);
    if (rc == 0 && k.is_cert) {
        parse_cert(&c, &k);
    }
    if (rc == 0 && !nk_cur_done(&c)) {
        rc = malformed(diag);
    }
    if (rc == 0) {
        *out = k;
    }
    return rc;
}

/* --- signatures ------------------------------------------------------------------------------- */

static int bad_signature(struct nk_diag *diag)
{
    return nk_fail(diag, NK_EAUTH, "the signature is wrong");
}

/* What a token signs: hashes of the application and the data around its flags and counter. */
struct token_message {
    uint8_t application[crypto_hash_sha256_BYTES];
    uint8_t flags, counter[4];
    uint8_t data[crypto_hash_sha256_BYTES];
};

static bool token_message(const struct ssh_public *k, struct nk_cur *rest, const void *data,
                          size_t n, struct token_message *m)
{
    m->flags = nk_cur_u8(rest);
    bool fine = nk_cur_copy(rest, m->counter, sizeof(m->counter)) && nk_cur_done(rest);
    crypto_hash_sha256(m->application, k->application.p, k->application.n);
    crypto_hash_sha256(m->data, data, n);
    return fine && m->flags & SK_PRESENT;
}

static int verify_ecdsa(const struct ssh_public *k, enum ssh_hash h, struct ssh_str sig,
                        const void *data, size_t n)
{
    struct nk_cur c;
    uint8_t hash[SSH_HASH_MAX];
    nk_cur_init(&c, sig.p, sig.n);
    struct ssh_str r = ssh_cur_mpint(&c), s = ssh_cur_mpint(&c);
    if (!nk_cur_done(&c)) {
        return 0;
    }
    ssh_hash(h, data, n, hash);
    return ssh_verify_ecdsa(k->type->bits, k->point, r, s, hash, ssh_hash_size(h));
}

static int verify_rsa(const struct ssh_public *k, enum ssh_hash h, struct ssh_str sig,
                      const void *data, size_t n)
{
    uint8_t hash[SSH_HASH_MAX];
    ssh_hash(h, data, n, hash);
    return ssh_verify_rsa(k->n, k->e, h, sig, hash);
}

/* 1, 0 or an error. */
static int verify_bytes(const struct ssh_public *k, enum ssh_hash h, struct ssh_str sig,
                        const void *data, size_t n)
{
    switch (k->type->kind) {
    case SSH_KEY_ED25519:
        return k->point.p && sig.n == ED25519_SIGNATURE &&
               crypto_sign_verify_detached(sig.p, data, n, k->point.p) == 0;
    case SSH_KEY_ECDSA:
        return verify_ecdsa(k, h, sig, data, n);
    case SSH_KEY_RSA:
        return verify_rsa(k, h, sig, data, n);
    }
    return 0;
}

int ssh_public_verify(const struct ssh_public *k, const struct ssh_sig_type *alg,
                      struct ssh_str signature, const void *data, size_t n, struct nk_diag *diag)
{
    struct token_message m;
    struct nk_cur c;
    if (k->type->kind == SSH_KEY_RSA && ssh_public_bits(k) > SSH_RSA_VERIFY_MAX) {
        nk_fail(diag, NK_EUNSUPPORTED, "what an RSA key of more than %d bits signs is not checked",
                SSH_RSA_VERIFY_MAX);
        nk_hint(diag, "ask for a key of another type (HostKeyAlgorithms)");
        return NK_EUNSUPPORTED;
    }
    nk_cur_init(&c, signature.p, signature.n);
    bool fine = ssh_str_is(ssh_cur_string(&c), alg->name);
    struct ssh_str bytes = ssh_cur_string(&c);
    fine = fine && !c.failed && strcmp(alg->key, k->type->name) == 0;
    if (fine && k->type->sk) {
        fine = token_message(k, &c, data, n, &m);
        data = &m;
        n = sizeof(m);
    }
    int rc = fine && nk_cur_done(&c) ? verify_bytes(k, alg->hash, bytes, data, n) : 0;
    if (rc < 0) {
        return nk_fail_sys(diag, rc, "a signature");
    }
    return rc == 1 ? 0 : bad_signature(diag);
}

/* --- certificates ----------------------------------------------------------------------------- */

bool ssh_cert_principal(struct ssh_str *rest, struct ssh_str *name)
{
    struct nk_cur c;
    nk_cur_init(&c, rest->p, rest->n);
    *name = ssh_cur_string(&c);
    *rest = (struct ssh_str){.p = c.p, .n = nk_cur_left(&c)};
    return !c.failed;
}

static bool is_known(struct ssh_str name, const char *const *known)
{
    for (; known && *known; known++) {
        if (ssh_str_is(name, *known)) {
            return true;
        }
    }
    return false;
}

static int check_critical(struct ssh_str options, const char *const *known, struct nk_diag *diag)
{
    struct nk_cur c;
    char shown[64];
    nk_cur_init(&c, options.p, options.n);
    while (!c.failed && nk_cur_left(&c) > 0) {
        struct ssh_str name = ssh_cur_string(&c);
        (void)ssh_cur_string(&c);
        if (!c.failed && !is_known(name, known)) {
            return nk_fail(diag, NK_EAUTH, "the certificate has a critical option %s",
                           nk_escape(shown, sizeof(shown), name.p, name.n));
        }
    }
    return c.failed ? nk_fail(diag, NK_EAUTH, "the certificate's options are malformed") : 0;
}

/* The authority's signature, by whatever algorithm it names. */
static int check_authority(const struct ssh_cert *t, unsigned min_rsa, struct nk_diag *diag)
{
    struct ssh_public ca;
    struct nk_cur c;
    bool cert;
    nk_cur_init(&c, t->signature.p, t->signature.n);
    const struct ssh_sig_type *alg = ssh_sig_find(ssh_cur_string(&c), &cert);
    if (!alg || cert) {
        return nk_fail(diag, NK_EAUTH,
                       "the certificate is signed with an algorithm that is not supported");
    }
    int rc = ssh_public_parse(t->ca, min_rsa, &ca, diag);
    if (rc < 0 || ca.is_cert) {
        return nk_fail(diag, NK_EAUTH, "the certificate's authority is no key that is supported");
    }
    return ssh_public_verify(&ca, alg, t->signature, t->signed_part.p, t->signed_part.n, diag);
}

int ssh_cert_check(const struct ssh_public *k, uint32_t use, uint64_t now, const char *const *known,
                   unsigned min_rsa, struct nk_diag *diag)
{
    const struct ssh_cert *t = &k->cert;
    if (!k->is_cert || t->use != use) {
        return nk_fail(diag, NK_EAUTH, "this is no certificate of a %s",
                       use == SSH_CERT_HOST ? "host" : "user");
    }
    if (now < t->after || now >= t->before) {
        return nk_fail(diag, NK_EAUTH,
                       now < t->after ? "the certificate is not valid yet"
                                      : "the certificate is not valid any more");
    }
    int rc = check_critical(t->critical, known, diag);
    return rc < 0 ? rc : check_authority(t, min_rsa, diag);
}

/* --- fingerprints ----------------------------------------------------------------------------- */

void ssh_fingerprint_sha256(struct ssh_str blob, char out[SSH_FINGERPRINT_SIZE])
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    char text[sodium_base64_ENCODED_LEN(sizeof(hash), sodium_base64_VARIANT_ORIGINAL_NO_PADDING)];
    crypto_hash_sha256(hash, blob.p, blob.n);
    sodium_bin2base64(text, sizeof(text), hash, sizeof(hash),
                      sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    snprintf(out, SSH_FINGERPRINT_SIZE, "SHA256:%s", text);
}

void ssh_fingerprint_md5(struct ssh_str blob, char out[SSH_FINGERPRINT_SIZE])
{
    uint8_t hash[MD5];
    ssh_md5(blob.p, blob.n, hash);
    size_t at = (size_t)snprintf(out, SSH_FINGERPRINT_SIZE, "MD5");
    for (size_t i = 0; i < sizeof(hash); i++) {
        at += (size_t)snprintf(out + at, SSH_FINGERPRINT_SIZE - at, ":%02x", hash[i]);
    }
}
