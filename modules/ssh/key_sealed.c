/* SPDX-License-Identifier: MIT */
/* Private keys as files have them: what they are, what opens them, what is in them. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/pem.h"
#include "ssh/kdf.h"
#include "ssh/key_impl.h"
#include "ssh/key_ppk.h"
#include "ssh/keycipher.h"

enum { SHOWN = 64, IV = 16, SEED = crypto_sign_SEEDBYTES, PKCS8_V2 = 1 };

struct ssh_sealed {
    unsigned refs;
    const char *form;
    bool container;                     /* OpenSSH's, else DER */
    const struct ssh_keycipher *cipher; /* NULL: none */
    struct ssh_kdf kdf;
    uint8_t iv[IV];              /* of DER; the container's comes with the key */
    struct nk_buf bytes;         /* everything */
    struct nk_openssh_file file; /* the container; borrows from bytes */
    struct ssh_str der;          /* what is encrypted, or plain; borrows from bytes */
    struct ssh_ppk ppk;          /* PuTTY's, else its version is 0 */
};

/* --- what it is ------------------------------------------------------------------------------- */

bool ssh_sealed_is(const void *text, size_t n)
{
    struct nk_pem pem;
    return nk_pem_find(text, n, "PRIVATE KEY", &pem) || ssh_ppk_is(text, n);
}

static struct ssh_str str_of(struct nk_openssh_str s)
{
    return (struct ssh_str){s.p, s.n};
}

static int unsupported(struct nk_diag *diag, const char *what, struct ssh_str name)
{
    char shown[SHOWN];
    nk_fail(diag, NK_EUNSUPPORTED,
            "the private key is encrypted with a %s that is not supported%s%s", what,
            name.n ? ": " : "", nk_escape(shown, sizeof(shown), name.p, name.n));
    nk_hint(diag, "ssh-keygen -p -f FILE writes it anew");
    return NK_EUNSUPPORTED;
}

static int malformed(struct nk_diag *diag)
{
    return nk_fail(diag, NK_EFORMAT, "the private key is malformed");
}

static int too_many_rounds(struct nk_diag *diag, uint64_t rounds)
{
    return nk_fail(diag, NK_EUNSUPPORTED,
                   "the private key asks for %llu rounds of its KDF: that is refused",
                   (unsigned long long)rounds);
}

/* What is in such a file only names the key in a token to who can talk to that. */
static int check_token(const struct ssh_sealed *s, struct nk_diag *diag)
{
    struct nk_cur c;
    nk_cur_init(&c, s->file.public_blob.p, s->file.public_blob.n);
    struct ssh_str name = ssh_cur_string(&c);
    if (name.n < 3 || memcmp(name.p, "sk-", 3) != 0) {
        return 0;
    }
    nk_fail(diag, NK_EUNSUPPORTED, "the private key is in a FIDO token, which only an agent uses");
    nk_hint(diag, "ssh-add FILE puts it into ssh-agent; netkit uses it from there");
    return NK_EUNSUPPORTED;
}

static int parse_container(struct ssh_sealed *s, struct nk_diag *diag)
{
    struct nk_cur c;
    int rc = nk_openssh_parse(nk_buf_ptr(&s->bytes), nk_buf_len(&s->bytes), &s->file, diag);
    rc = rc < 0 ? rc : check_token(s, diag);
    if (rc < 0 || !s->file.encrypted) {
        return rc;
    }
    s->cipher = ssh_keycipher_find(str_of(s->file.cipher));
    if (!s->cipher) {
        return unsupported(diag, "cipher", str_of(s->file.cipher));
    }
    if (!ssh_str_is(str_of(s->file.kdf), "bcrypt")) {
        return unsupported(diag, "KDF", str_of(s->file.kdf));
    }
    nk_cur_init(&c, s->file.kdf_options.p, s->file.kdf_options.n);
    struct ssh_str salt = ssh_cur_string(&c);
    s->kdf = (struct ssh_kdf){.kind = SSH_KDF_BCRYPT, .rounds = nk_cur_be32(&c), .salt_n = salt.n};
    if (!nk_cur_done(&c) || salt.n == 0 || salt.n > SSH_SALT_MAX || s->kdf.rounds == 0) {
        return malformed(diag);
    }
    memcpy(s->kdf.salt, salt.p, salt.n);
    return s->kdf.rounds > SSH_ROUNDS_MAX ? too_many_rounds(diag, s->kdf.rounds) : 0;
}

/* "DEK-Info: AES-128-CBC,0123.." of old PEM files (RFC 1421 4.6.1.3); the salt is the IV's
 * beginning. */
static int parse_dek(struct ssh_sealed *s, const struct nk_pem *pem, struct nk_diag *diag)
{
    size_t n;
    const char *dek = nk_pem_header(pem, "DEK-Info", &n);
    if (!dek) {
        return 0;
    }
    const char *comma = memchr(dek, ',', n);
    size_t name_n = comma ? (size_t)(comma - dek) : n;
    struct ssh_str name = {(const uint8_t *)dek, name_n};
    s->cipher = ssh_keycipher_find(name);
    if (!s->cipher || s->cipher->mode != SSH_MODE_CBC) {
        return unsupported(diag, "cipher", name);
    }
    if (!comma || nk_hex_decode(s->iv, IV, comma + 1, n - name_n - 1, false) != IV) {
        return malformed(diag);
    }
    s->kdf = (struct ssh_kdf){.kind = SSH_KDF_MD5, .rounds = 1, .salt_n = IV};
    memcpy(s->kdf.salt, s->iv, IV);
    return 0;
}

/* --- PBES2 (RFC 8018 A.4) --------------------------------------------------------------------- */

/* Object identifiers that end with one byte of meaning. */
static const uint8_t OID_PKCS5[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05};
static const uint8_t OID_HMAC[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02};
static const uint8_t OID_AES[] = {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01};
static const uint8_t OID_ED25519[] = {0x2b, 0x65, 0x70};
enum {
    PBKDF2 = 12,
    PBES2 = 13,
    HMAC_SHA1 = 7,
    HMAC_SHA256 = 9,
    HMAC_SHA384 = 10,
    HMAC_SHA512 = 11
};

/* The last byte of an object identifier that begins so; 0 when it is another one. */
static uint8_t arc(struct nk_cur *c, const uint8_t *prefix, size_t n)
{
    struct nk_cur oid = nk_der(c, NK_DER_OID);
    const uint8_t *p = nk_cur_bytes(&oid, n);
    uint8_t last = nk_cur_u8(&oid);
    return p && nk_cur_done(&oid) && memcmp(p, prefix, n) == 0 ? last : 0;
}

static bool next_is(const struct nk_cur *c, uint8_t tag)
{
    return nk_cur_left(c) > 0 && *c->p == tag;
}

static uint64_t der_number(struct nk_cur *c)
{
    struct nk_cur v = nk_der(c, NK_DER_INTEGER);
    uint64_t n = 0;
    if (nk_cur_left(&v) == 0 || nk_cur_left(&v) > sizeof(uint32_t) + 1) {
        nk_cur_fail(c);
    }
    while (nk_cur_left(&v) > 0) {
        n = n << 8 | nk_cur_u8(&v);
    }
    return n;
}

/* PBKDF2-params: SEQUENCE { salt, rounds, key length OPTIONAL, prf DEFAULT hmacWithSHA1 }. */
static int parse_pbkdf2(struct ssh_sealed *s, struct nk_cur *c, struct nk_diag *diag)
{
    struct nk_cur params = nk_der(c, NK_DER_SEQUENCE), salt = nk_der(&params, NK_DER_OCTETS);
    size_t n = nk_cur_left(&salt);
    uint64_t rounds = der_number(&params);
    uint8_t prf = HMAC_SHA1;
    if (next_is(&params, NK_DER_INTEGER)) {
        (void)der_number(&params);
    }
    if (next_is(&params, NK_DER_SEQUENCE)) {
        struct nk_cur algorithm = nk_der(&params, NK_DER_SEQUENCE);
        prf = arc(&algorithm, OID_HMAC, sizeof(OID_HMAC));
    }
    if (!nk_cur_done(&params) || n > SSH_SALT_MAX || rounds == 0) {
        return malformed(diag);
    }
    if (rounds > SSH_PBKDF2_ROUNDS_MAX) {
        return too_many_rounds(diag, rounds);
    }
    s->kdf = (struct ssh_kdf){.kind = SSH_KDF_PBKDF2, .rounds = (uint32_t)rounds, .salt_n = n};
    (void)nk_cur_copy(&salt, s->kdf.salt, n); /* so many are there */
    switch (prf) {
    case HMAC_SHA1:
        s->kdf.prf = SSH_PRF_SHA1;
        return 0;
    case HMAC_SHA256:
        s->kdf.prf = SSH_PRF_SHA256;
        return 0;
    case HMAC_SHA512:
        s->kdf.prf = SSH_PRF_SHA512;
        return 0;
    default:
        return unsupported(diag, "KDF", (struct ssh_str){0});
    }
}

/* EncryptedPrivateKeyInfo: SEQUENCE { SEQUENCE { PBES2, SEQUENCE { SEQUENCE { PBKDF2, params },
 * SEQUENCE { cipher, iv } } }, OCTET STRING }. */
static int parse_pbes2(struct ssh_sealed *s, struct nk_diag *diag)
{
    struct nk_cur all;
    nk_cur_init(&all, s->der.p, s->der.n);
    struct nk_cur info = nk_der(&all, NK_DER_SEQUENCE);
    struct nk_cur algorithm = nk_der(&info, NK_DER_SEQUENCE);
    bool known = arc(&algorithm, OID_PKCS5, sizeof(OID_PKCS5)) == PBES2;
    struct nk_cur text = nk_der(&info, NK_DER_OCTETS);
    if (!nk_cur_done(&all) || !nk_cur_done(&info)) {
        return malformed(diag);
    }
    if (!known) {
        return unsupported(diag, "scheme", (struct ssh_str){0});
    }
    struct nk_cur schemes = nk_der(&algorithm, NK_DER_SEQUENCE);
    struct nk_cur kdf = nk_der(&schemes, NK_DER_SEQUENCE);
    struct nk_cur cipher = nk_der(&schemes, NK_DER_SEQUENCE);
    if (arc(&kdf, OID_PKCS5, sizeof(OID_PKCS5)) != PBKDF2) {
        return unsupported(diag, "KDF", (struct ssh_str){0});
    }
    s->cipher = ssh_keycipher_oid(arc(&cipher, OID_AES, sizeof(OID_AES)));
    if (!s->cipher) {
        return unsupported(diag, "cipher", (struct ssh_str){0});
    }
    struct nk_cur iv = nk_der(&cipher, NK_DER_OCTETS);
    if (nk_cur_left(&iv) != IV || !nk_cur_copy(&iv, s->iv, IV)) {
        return malformed(diag);
    }
    s->der = (struct ssh_str){text.p, nk_cur_left(&text)};
    return parse_pbkdf2(s, &kdf, diag);
}

/* --- parsing ---------------------------------------------------------------------------------- */

struct label {
    const char *label, *form;
};

static const struct label labels[] = {{"OPENSSH PRIVATE KEY", "OpenSSH"},
                                      {"RSA PRIVATE KEY", "PKCS#1"},
                                      {"EC PRIVATE KEY", "SEC1"},
                                      {"PRIVATE KEY", "PKCS#8"},
                                      {"ENCRYPTED PRIVATE KEY", "PKCS#8"}};
enum { LABEL_OPENSSH, LABEL_PKCS8_ENCRYPTED = 4, LABELS = sizeof(labels) / sizeof(*labels) };

static int parse_body(struct ssh_sealed *s, const struct nk_pem *pem, struct nk_diag *diag)
{
    char shown[SHOWN];
    size_t i = 0;
    while (i < LABELS && !nk_pem_label(pem, labels[i].label)) {
        i++;
    }
    if (i == LABELS) {
        return nk_fail(diag, NK_EUNSUPPORTED, "a private key of the form '%s' is not supported",
                       nk_escape(shown, sizeof(shown), pem->label, pem->label_n));
    }
    int rc = nk_pem_decode(pem->body, pem->body_n, &s->bytes);
    if (rc < 0) {
        return nk_fail_sys(diag, rc, "base64 of the private key");
    }
    s->form = labels[i].form;
    s->container = i == LABEL_OPENSSH;
    s->der = (struct ssh_str){nk_buf_ptr(&s->bytes), nk_buf_len(&s->bytes)};
    if (s->der.n == 0) {
        return malformed(diag);
    }
    if (s->container) {
        return parse_container(s, diag);
    }
    return i == LABEL_PKCS8_ENCRYPTED ? parse_pbes2(s, diag) : parse_dek(s, pem, diag);
}

static int parse_putty(struct ssh_sealed *s, const void *text, size_t n, struct nk_diag *diag)
{
    int rc = nk_buf_put(&s->bytes, text, n);
    if (rc < 0) {
        return nk_fail_sys(diag, rc, "the private key");
    }
    rc = ssh_ppk_parse(nk_buf_ptr(&s->bytes), n, &s->ppk, diag);
    s->form = "PuTTY";
    s->cipher = s->ppk.cipher;
    s->kdf = s->ppk.kdf;
    s->der = (struct ssh_str){nk_buf_ptr(&s->ppk.private), nk_buf_len(&s->ppk.private)};
    return rc;
}

int ssh_sealed_parse(const void *text, size_t n, struct ssh_sealed **out, struct nk_diag *diag)
{
    struct nk_pem pem;
    bool putty = ssh_ppk_is(text, n);
    if (n > SSH_KEY_FILE_MAX) {
        return nk_fail(diag, NK_ETOOBIG, "the file is larger than any key");
    }
    if (!putty && !nk_pem_find(text, n, "PRIVATE KEY", &pem)) {
        return nk_fail(diag, NK_EFORMAT, "there is no private key, or not all of it");
    }
    struct ssh_sealed *s = calloc(1, sizeof(*s));
    if (!s) {
        return nk_fail_sys(diag, -ENOMEM, "the private key");
    }
    s->refs = 1;
    nk_buf_init_secret(&s->bytes, SSH_KEY_FILE_MAX);
    int rc = putty ? parse_putty(s, text, n, diag) : parse_body(s, &pem, diag);
    if (rc < 0) {
        ssh_sealed_unref(s);
        return rc;
    }
    *out = s;
    return 0;
}

struct ssh_sealed *ssh_sealed_ref(struct ssh_sealed *s)
{
    s->refs++;
    return s;
}

void ssh_sealed_unref(struct ssh_sealed *s)
{
    if (s && --s->refs == 0) {
        nk_buf_clear(&s->bytes);
        ssh_ppk_clear(&s->ppk);
        free(s);
    }
}

bool ssh_sealed_locked(const struct ssh_sealed *s)
{
    return s->cipher != NULL;
}

const char *ssh_sealed_form(const struct ssh_sealed *s)
{
    return s->form;
}

const char *ssh_sealed_cipher(const struct ssh_sealed *s)
{
    return s->cipher ? s->cipher->name : "none";
}

struct ssh_str ssh_sealed_blob(const struct ssh_sealed *s)
{
    return s->container ? str_of(s->file.public_blob)
                        : (struct ssh_str){nk_buf_ptr(&s->ppk.blob), nk_buf_len(&s->ppk.blob)};
}

/* --- opening ---------------------------------------------------------------------------------- */

int ssh_sealed_stretch(const struct ssh_sealed *s, const void *passphrase, size_t n,
                       struct nk_secret *key)
{
    struct nk_secret made = {0};
    if (!s->cipher) {
        return NK_EUNSUPPORTED;
    }
    int rc = nk_secret_alloc(&made, s->ppk.version ? s->ppk.stretched
                                                   : (size_t)s->cipher->key +
                                                         (s->container ? s->cipher->iv : 0));
    rc = rc < 0 ? rc : ssh_kdf(&s->kdf, passphrase, n, made.data, made.len);
    if (rc < 0) {
        nk_secret_clear(&made);
        return rc;
    }
    nk_secret_clear(key);
    *key = made;
    return 0;
}

static int wrong_passphrase(struct nk_diag *diag)
{
    return nk_fail(diag, NK_EAUTH, "the passphrase is wrong");
}

static int open_container(const struct ssh_sealed *s, const struct nk_secret *text,
                          unsigned min_rsa, struct ssh_private **out, struct nk_diag *diag)
{
    struct nk_openssh_key k;
    struct ssh_private *made = NULL;
    size_t n = text->len - (s->cipher ? s->cipher->tag : 0);
    int rc = nk_openssh_parse_key(&s->file, text->data, n, ssh_private_types, ssh_private_ntypes,
                                  &k, diag);
    if (rc < 0) {
        return rc;
    }
    /* all fields are of one piece, each with its length in front */
    const uint8_t *from = k.private_field[0].p - sizeof(uint32_t);
    const uint8_t *to = k.comment.p - sizeof(uint32_t);
    rc = ssh_private_new(ssh_key_type_find(k.type->name), from, (size_t)(to - from), k.comment.p,
                         k.comment.n, min_rsa, &made, diag);
    if (rc < 0) {
        return rc;
    }
    if (made->pub.blob.n != s->file.public_blob.n ||
        memcmp(made->pub.blob.p, s->file.public_blob.p, made->pub.blob.n) != 0) {
        ssh_private_unref(made);
        return nk_fail(diag, NK_EFORMAT, "the private key's public half is of another key");
    }
    *out = made;
    return 0;
}

/* PrivateKeyInfo of Ed25519 (RFC 8410 7); NULL: of something else. */
static const uint8_t *ed25519_seed(const uint8_t *der, size_t n)
{
    struct nk_cur all;
    nk_cur_init(&all, der, n);
    struct nk_cur info = nk_der(&all, NK_DER_SEQUENCE);
    uint64_t version = der_number(&info);
    struct nk_cur algorithm = nk_der(&info, NK_DER_SEQUENCE);
    struct nk_cur oid = nk_der(&algorithm, NK_DER_OID);
    const uint8_t *name = nk_cur_bytes(&oid, sizeof(OID_ED25519));
    if (!name || !nk_cur_done(&oid) || memcmp(name, OID_ED25519, sizeof(OID_ED25519)) != 0) {
        return NULL;
    }
    struct nk_cur outer = nk_der(&info, NK_DER_OCTETS), seed = nk_der(&outer, NK_DER_OCTETS);
    const uint8_t *p = nk_cur_bytes(&seed, SEED);
    return version <= PKCS8_V2 && nk_cur_done(&all) && nk_cur_done(&seed) ? p : NULL;
}

static int put_ed25519(const uint8_t *seed, struct nk_buf *fields)
{
    uint8_t public[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
    crypto_sign_seed_keypair(public, secret, seed);
    int rc = ssh_put_string(fields, public, sizeof(public));
    rc = rc < 0 ? rc : ssh_put_string(fields, secret, sizeof(secret));
    nk_wipe(secret, sizeof(secret));
    return rc;
}

/* The bytes without PKCS#5's padding, if it is one and what is left is one element of DER. */
static bool unpad(const struct nk_secret *text, size_t *n)
{
    struct nk_cur c;
    size_t pad = text->data[text->len - 1];
    if (pad == 0 || pad > IV || pad >= text->len) {
        return false;
    }
    for (size_t i = 1; i <= pad; i++) {
        if (text->data[text->len - i] != pad) {
            return false;
        }
    }
    *n = text->len - pad;
    nk_cur_init(&c, text->data, *n);
    (void)nk_der(&c, NK_DER_SEQUENCE);
    return nk_cur_done(&c);
}

static int open_der(const struct ssh_sealed *s, const struct nk_secret *text, unsigned min_rsa,
                    struct ssh_private **out, struct nk_diag *diag)
{
    const struct ssh_key_type *type = ssh_key_type_find("ssh-ed25519");
    struct nk_buf fields;
    size_t n = text->len;
    if (s->cipher && !unpad(text, &n)) {
        return wrong_passphrase(diag);
    }
    nk_buf_init_secret(&fields, SSH_KEY_FILE_MAX);
    const uint8_t *seed = ed25519_seed(text->data, n);
    int rc = seed ? put_ed25519(seed, &fields) : ssh_pk_read(text->data, n, &fields, &type);
    if (rc < 0) {
        nk_fail_sys(diag, rc, "the private key (%s)", s->form);
    } else {
        rc = ssh_private_new(type, nk_buf_ptr(&fields), nk_buf_len(&fields), NULL, 0, min_rsa, out,
                             diag);
    }
    nk_buf_clear(&fields);
    return rc;
}

/* What is within, decrypted. */
static int decrypt(const struct ssh_sealed *s, const struct nk_secret *key, struct nk_secret *text)
{
    struct ssh_str from = s->container ? str_of(s->file.inner) : s->der;
    int rc = nk_secret_set(text, from.p, from.n);
    if (rc < 0 || !s->cipher) {
        return rc;
    }
    const uint8_t *iv = s->container || s->ppk.version ? key->data + s->cipher->key : s->iv;
    return ssh_keycipher_open(s->cipher, key->data, iv, text->data, text->len);
}

int ssh_sealed_open(const struct ssh_sealed *s, const struct nk_secret *key, unsigned min_rsa,
                    struct ssh_private **out, struct nk_diag *diag)
{
    struct nk_secret text = {0};
    if (s->cipher && !key) {
        return nk_fail(diag, NK_EAUTH, "the private key needs a passphrase");
    }
    int rc = decrypt(s, key, &text);
    if (rc == NK_EAUTH) {
        rc = wrong_passphrase(diag);
    } else if (rc < 0) {
        nk_fail_sys(diag, rc, "the private key");
    } else if (s->ppk.version) {
        rc = ssh_ppk_open(&s->ppk, s->cipher ? key : NULL, text.data, text.len, min_rsa, out, diag);
    } else if (s->container) {
        rc = open_container(s, &text, min_rsa, out, diag);
    } else {
        rc = open_der(s, &text, min_rsa, out, diag);
    }
    nk_secret_clear(&text);
    return rc;
}

int ssh_sealed_unlock(const struct ssh_sealed *s, const struct nk_secret *passphrase,
                      unsigned min_rsa, struct ssh_private **out, struct nk_diag *diag)
{
    struct nk_secret key = {0};
    if (!s->cipher) {
        return ssh_sealed_open(s, NULL, min_rsa, out, diag);
    }
    int rc = ssh_sealed_stretch(s, passphrase->data, passphrase->len, &key);
    rc = rc < 0 ? nk_fail_sys(diag, rc, "the passphrase")
                : ssh_sealed_open(s, &key, min_rsa, out, diag);
    nk_secret_clear(&key);
    return rc;
}
