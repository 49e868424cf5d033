/* SPDX-License-Identifier: MIT */
#include "ssh/key.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "ssh/kdf.h"
#include "ssh/key_impl.h"
#include "ssh/keycipher.h"

enum {
    ED_SECRET = crypto_sign_SECRETKEYBYTES,
    ED_PUBLIC = crypto_sign_PUBLICKEYBYTES,
    SALT = 16 /* bytes, as ssh-keygen has it */
};

/* Fields behind the name: public ones in the blob, private ones in what is encrypted. */
const struct nk_openssh_type ssh_private_types[] = {{"ssh-ed25519", 1, 2},
                                                    {"ecdsa-sha2-nistp256", 2, 3},
                                                    {"ecdsa-sha2-nistp384", 2, 3},
                                                    {"ecdsa-sha2-nistp521", 2, 3},
                                                    {"ssh-rsa", 2, 6}};
const size_t ssh_private_ntypes = sizeof(ssh_private_types) / sizeof(*ssh_private_types);

static const char FILE_CIPHER[] = "aes256-ctr";
static const char FILE_KDF[] = "bcrypt";

const struct ssh_key_type *ssh_key_type_find(const char *name)
{
    for (const struct ssh_key_type *t = ssh_key_types; t->name; t++) {
        if (!t->sk && strcmp(t->name, name) == 0) {
            return t;
        }
    }
    return NULL;
}

static const struct nk_openssh_type *container_type(const struct ssh_key_type *type)
{
    for (size_t i = 0; i < ssh_private_ntypes; i++) {
        if (strcmp(ssh_private_types[i].name, type->name) == 0) {
            return &ssh_private_types[i];
        }
    }
    return NULL;
}

/* --- life ------------------------------------------------------------------------------------- */

struct ssh_private *ssh_private_ref(struct ssh_private *k)
{
    k->refs++;
    return k;
}

void ssh_private_unref(struct ssh_private *k)
{
    if (!k || --k->refs > 0) {
        return;
    }
    nk_secret_clear(&k->secret);
    free(k->blob);
    free(k->cert);
    free(k->comment);
    free(k);
}

/* --- making one of its fields ----------------------------------------------------------------- */

int ssh_private_split(const struct ssh_key_type *type, const void *p, size_t n,
                      struct ssh_str f[SSH_FIELDS])
{
    struct nk_cur c;
    nk_cur_init(&c, p, n);
    switch (type->kind) {
    case SSH_KEY_ED25519:
        f[SSH_ED_PUBLIC] = ssh_cur_string(&c);
        f[SSH_ED_SECRET] = ssh_cur_string(&c);
        break;
    case SSH_KEY_ECDSA:
        f[SSH_EC_CURVE] = ssh_cur_string(&c);
        f[SSH_EC_POINT] = ssh_cur_string(&c);
        f[SSH_EC_D] = ssh_cur_mpint(&c);
        break;
    case SSH_KEY_RSA:
        for (int i = 0; i < SSH_FIELDS; i++) {
            f[i] = ssh_cur_mpint(&c);
        }
        break;
    }
    return nk_cur_done(&c) ? 0 : NK_EFORMAT;
}

static int put_blob(const struct ssh_key_type *type, const struct ssh_str f[SSH_FIELDS],
                    struct nk_buf *blob)
{
    int rc = ssh_put_text(blob, type->name);
    switch (type->kind) {
    case SSH_KEY_ED25519:
        rc = rc < 0 ? rc : ssh_put_string(blob, f[SSH_ED_PUBLIC].p, f[SSH_ED_PUBLIC].n);
        break;
    case SSH_KEY_ECDSA:
        rc = rc < 0 ? rc : ssh_put_string(blob, f[SSH_EC_CURVE].p, f[SSH_EC_CURVE].n);
        rc = rc < 0 ? rc : ssh_put_string(blob, f[SSH_EC_POINT].p, f[SSH_EC_POINT].n);
        break;
    case SSH_KEY_RSA:
        rc = rc < 0 ? rc : ssh_put_mpint(blob, f[SSH_RSA_E].p, f[SSH_RSA_E].n);
        rc = rc < 0 ? rc : ssh_put_mpint(blob, f[SSH_RSA_N].p, f[SSH_RSA_N].n);
        break;
    }
    return rc;
}

/* The public half is what the seed makes, in both places where it stands. */
static int check_ed25519(const struct ssh_str f[SSH_FIELDS])
{
    uint8_t public[ED_PUBLIC], secret[ED_SECRET];
    const struct ssh_str *pub = &f[SSH_ED_PUBLIC], *both = &f[SSH_ED_SECRET];
    if (pub->n != ED_PUBLIC || both->n != ED_SECRET) {
        return NK_EFORMAT;
    }
    crypto_sign_seed_keypair(public, secret, both->p);
    bool same = memcmp(public, pub->p, ED_PUBLIC) == 0 &&
                memcmp(public, both->p + crypto_sign_SEEDBYTES, ED_PUBLIC) == 0;
    nk_wipe(secret, sizeof(secret));
    return same ? 0 : NK_EFORMAT;
}

static int check_halves(const struct ssh_key_type *type, const struct ssh_str f[SSH_FIELDS],
                        struct nk_diag *diag)
{
    int rc = type->kind == SSH_KEY_ED25519 ? check_ed25519(f) : ssh_pk_check(type, f);
    if (rc == NK_EFORMAT) {
        return nk_fail(diag, rc, "the private key is wrong: its parts do not belong together");
    }
    if (rc == NK_EUNSUPPORTED) {
        return nk_fail(diag, rc, "private RSA keys of more than %d bits are not supported",
                       SSH_RSA_PRIVATE_MAX);
    }
    return rc < 0 ? nk_fail_sys(diag, rc, "the private key") : 0;
}

/* Everything that is kept, copied; halves are checked afterwards. */
static int fill(struct ssh_private *k, const struct nk_buf *blob, const void *fields, size_t n,
                const void *comment, size_t comment_n)
{
    comment_n = comment_n < SSH_COMMENT_MAX ? comment_n : SSH_COMMENT_MAX;
    k->blob = malloc(nk_buf_len(blob));
    k->comment = strndup(comment_n ? comment : "", comment_n);
    if (!k->blob || !k->comment) {
        return -ENOMEM;
    }
    memcpy(k->blob, nk_buf_ptr(blob), nk_buf_len(blob));
    return nk_secret_set(&k->secret, fields, n);
}

static int make(const struct ssh_key_type *type, const void *fields, size_t n, const void *comment,
                size_t comment_n, unsigned min_rsa, struct ssh_private *k, struct nk_diag *diag)
{
    struct ssh_str f[SSH_FIELDS] = {{0}};
    struct nk_buf blob;
    nk_buf_init(&blob, SSH_BLOB_MAX);
    int rc = ssh_private_split(type, fields, n, f);
    if (rc < 0) {
        return nk_fail(diag, rc, "the private key (%s) is malformed", type->name);
    }
    rc = put_blob(type, f, &blob);
    rc = rc < 0 ? rc : fill(k, &blob, fields, n, comment, comment_n);
    if (rc < 0) {
        nk_fail_sys(diag, rc, "the private key");
    } else {
        struct ssh_str kept = {k->blob, nk_buf_len(&blob)};
        rc = ssh_public_parse(kept, min_rsa, &k->pub, diag);
    }
    nk_buf_clear(&blob);
    return rc < 0 ? rc : check_halves(type, f, diag);
}

int ssh_private_new(const struct ssh_key_type *type, const void *fields, size_t n,
                    const void *comment, size_t comment_n, unsigned min_rsa,
                    struct ssh_private **out, struct nk_diag *diag)
{
    struct ssh_private *k = calloc(1, sizeof(*k));
    if (!k) {
        return nk_fail_sys(diag, -ENOMEM, "the private key");
    }
    k->refs = 1;
    int rc = make(type, fields, n, comment, comment_n, min_rsa, k, diag);
    if (rc < 0) {
        ssh_private_unref(k);
        return rc;
    }
    *out = k;
    return 0;
}

static int generate_ed25519(struct nk_buf *fields)
{
    uint8_t public[ED_PUBLIC], secret[ED_SECRET];
    crypto_sign_keypair(public, secret);
    int rc = ssh_put_string(fields, public, sizeof(public));
    rc = rc < 0 ? rc : ssh_put_string(fields, secret, sizeof(secret));
    nk_wipe(secret, sizeof(secret));
    return rc;
}

int ssh_private_generate(const struct ssh_key_type *type, unsigned bits, const char *comment,
                         struct ssh_private **out, struct nk_diag *diag)
{
    struct nk_buf fields;
    if (type->kind == SSH_KEY_RSA && (bits < SSH_RSA_MIN || bits > SSH_RSA_PRIVATE_MAX)) {
        return nk_fail(diag, NK_EUSAGE, "an RSA key of %u bits: %d to %d are possible", bits,
                       SSH_RSA_MIN, SSH_RSA_PRIVATE_MAX);
    }
    nk_buf_init_secret(&fields, SSH_KEY_FILE_MAX);
    int rc = type->kind == SSH_KEY_ED25519 ? generate_ed25519(&fields)
                                           : ssh_pk_generate(type, bits, &fields);
    if (rc < 0) {
        nk_fail_sys(diag, rc, "a new key");
    } else {
        rc = ssh_private_new(type, nk_buf_ptr(&fields), nk_buf_len(&fields), comment,
                             strlen(comment), 0, out, diag);
    }
    nk_buf_clear(&fields);
    return rc;
}

int ssh_private_rename(struct ssh_private *k, const char *comment)
{
    char *copy = strndup(comment, SSH_COMMENT_MAX);
    if (!copy) {
        return -ENOMEM;
    }
    free(k->comment);
    k->comment = copy;
    return 0;
}

/* --- certificates ----------------------------------------------------------------------------- */

static bool same(struct ssh_str a, struct ssh_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

int ssh_private_certify(struct ssh_private *k, struct ssh_str cert, struct nk_diag *diag)
{
    struct ssh_public pub;
    int rc = ssh_public_parse(cert, 1, &pub, diag);
    if (rc < 0) {
        return rc;
    }
    if (!pub.is_cert) {
        return nk_fail(diag, NK_EFORMAT, "this is a key, no certificate");
    }
    if (pub.type != k->pub.type || !same(pub.point, k->pub.point) || !same(pub.n, k->pub.n) ||
        !same(pub.e, k->pub.e)) {
        return nk_fail(diag, NK_EVERIFY, "the certificate is for another key");
    }
    uint8_t *copy = malloc(cert.n);
    if (!copy) {
        return nk_fail_sys(diag, -ENOMEM, "the certificate");
    }
    memcpy(copy, cert.p, cert.n);
    free(k->cert);
    k->cert = copy;
    k->cert_n = cert.n;
    return 0;
}

/* --- writing ---------------------------------------------------------------------------------- */

static struct nk_openssh_str text_of(const char *s)
{
    return (struct nk_openssh_str){(const uint8_t *)s, strlen(s)};
}

static const struct ssh_keycipher *file_cipher(void)
{
    return ssh_keycipher_find(
        (struct ssh_str){(const uint8_t *)FILE_CIPHER, sizeof(FILE_CIPHER) - 1});
}

/* What stands in the container, not encrypted yet. */
static int put_inner(const struct ssh_private *k, size_t block, struct nk_buf *inner)
{
    struct nk_openssh_key key = {.type = container_type(k->pub.type),
                                 .comment = text_of(k->comment)};
    struct nk_cur c;
    nk_cur_init(&c, k->secret.data, k->secret.len);
    for (unsigned i = 0; i < key.type->private_fields; i++) {
        struct ssh_str s = ssh_cur_string(&c); /* numbers with their sign */
        key.private_field[i] = (struct nk_openssh_str){s.p, s.n};
    }
    nk_random(&key.check, sizeof(key.check));
    return nk_openssh_put_inner(&key, block, inner);
}

/* Encrypt what is in the buffer; options: of the KDF, with its salt. */
static int encrypt(const struct nk_secret *passphrase, unsigned rounds, struct nk_buf *inner,
                   struct nk_buf *options)
{
    const struct ssh_keycipher *c = file_cipher();
    struct ssh_kdf kdf = {.kind = SSH_KDF_BCRYPT, .rounds = rounds, .salt_n = SALT};
    struct nk_secret key = {0};
    nk_random(kdf.salt, SALT);
    int rc = ssh_put_string(options, kdf.salt, SALT);
    rc = rc < 0 ? rc : nk_buf_be32(options, rounds);
    rc = rc < 0 ? rc : nk_secret_alloc(&key, (size_t)c->key + c->iv);
    rc = rc < 0 ? rc : ssh_kdf(&kdf, passphrase->data, passphrase->len, key.data, key.len);
    /* of a stream cipher, decryption is encryption */
    rc = rc < 0 ? rc
                : ssh_keycipher_open(c, key.data, key.data + c->key, nk_buf_ptr(inner),
                                     nk_buf_len(inner));
    nk_secret_clear(&key);
    return rc;
}

int ssh_private_write(const struct ssh_private *k, const struct nk_secret *passphrase,
                      unsigned rounds, struct nk_buf *out)
{
    bool plain = !passphrase || passphrase->len == 0;
    const struct ssh_keycipher *c = file_cipher();
    struct nk_openssh_file f = {.cipher = text_of(plain ? "none" : FILE_CIPHER),
                                .kdf = text_of(plain ? "none" : FILE_KDF),
                                .public_blob = {k->pub.blob.p, k->pub.blob.n}};
    struct nk_buf inner, options;
    nk_buf_init_secret(&inner, NK_OPENSSH_MAX);
    nk_buf_init(&options, SSH_SALT_MAX);
    int rc = put_inner(k, plain ? NK_OPENSSH_BLOCK : c->block, &inner);
    rc = rc < 0 || plain ? rc : encrypt(passphrase, rounds, &inner, &options);
    f.inner = (struct nk_openssh_str){nk_buf_ptr(&inner), nk_buf_len(&inner)};
    f.kdf_options = (struct nk_openssh_str){nk_buf_ptr(&options), nk_buf_len(&options)};
    rc = rc < 0 ? rc : nk_openssh_write_file(&f, out);
    nk_buf_clear(&inner);
    nk_buf_clear(&options);
    return rc;
}
