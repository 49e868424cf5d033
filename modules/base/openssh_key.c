/* SPDX-License-Identifier: MIT */
#include "base/openssh_key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/cur.h"
#include "base/pem.h"
#include "base/secret.h"

static const char BEGIN[] = "-----BEGIN OPENSSH PRIVATE KEY-----";
static const char END[] = "-----END OPENSSH PRIVATE KEY-----";
static const char MAGIC[] = "openssh-key-v1"; /* its NUL belongs to it */

enum {
    COLUMNS = 70,        /* OpenSSH and arti write this, and arti reads nothing else */
    CIPHER_PADDING = 255 /* padding counts 1, 2, 3 .. and so stays below one byte */
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void trim(const char **s, size_t *n)
{
    while (*n && is_space(**s)) {
        ++*s;
        --*n;
    }
    while (*n && is_space((*s)[*n - 1])) {
        --*n;
    }
}

/* --- armour ----------------------------------------------------------------------------------- */

bool nk_openssh_is_private(const void *text, size_t len)
{
    const char *s = text;
    trim(&s, &len);
    return len >= sizeof(BEGIN) - 1 && memcmp(s, BEGIN, sizeof(BEGIN) - 1) == 0;
}

int nk_openssh_dearmor(const void *text, size_t len, struct nk_buf *out, struct nk_diag *diag)
{
    const char *s = text;
    trim(&s, &len);
    if (!nk_openssh_is_private(s, len) || len < sizeof(BEGIN) + sizeof(END) - 2 ||
        memcmp(s + len - (sizeof(END) - 1), END, sizeof(END) - 1) != 0) {
        return nk_fail(diag, NK_EFORMAT,
                       "not an OpenSSH private key: the lines '%s' .. '%s' are "
                       "missing or incomplete",
                       BEGIN, END);
    }
    if (len > NK_OPENSSH_MAX) {
        return nk_fail(diag, NK_ETOOBIG, "the key file is larger than any key");
    }
    int rc =
        nk_pem_decode(s + sizeof(BEGIN) - 1, len - (sizeof(BEGIN) - 1) - (sizeof(END) - 1), out);
    return rc < 0 ? nk_fail_sys(diag, rc, "base64 of the OpenSSH private key") : 0;
}

/* --- the container ---------------------------------------------------------------------------- */

static struct nk_openssh_str get_str(struct nk_cur *c)
{
    uint32_t n = nk_cur_be32(c);
    const uint8_t *p = nk_cur_bytes(c, n);
    return (struct nk_openssh_str){p, p ? n : 0};
}

static bool str_is(struct nk_openssh_str s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

int nk_openssh_parse(const void *p, size_t n, struct nk_openssh_file *f, struct nk_diag *diag)
{
    struct nk_cur c;
    struct nk_openssh_file v = {0};
    nk_cur_init(&c, p, n);
    const uint8_t *magic = nk_cur_bytes(&c, sizeof(MAGIC));
    if (!magic || memcmp(magic, MAGIC, sizeof(MAGIC)) != 0) {
        return nk_fail(diag, NK_EFORMAT, "not an OpenSSH private key: it does not begin with '%s'",
                       MAGIC);
    }
    v.cipher = get_str(&c);
    v.kdf = get_str(&c);
    v.kdf_options = get_str(&c);
    uint32_t keys = nk_cur_be32(&c);
    if (!c.failed && keys != 1) {
        return nk_fail(diag, NK_EFORMAT, "an OpenSSH private key file with %u keys, not one", keys);
    }
    v.public_blob = get_str(&c);
    v.inner = get_str(&c);
    /* behind an AEAD cipher's text stands its tag (16 bytes), the caller's to check */
    if (c.failed || (str_is(v.cipher, "none") && !nk_cur_done(&c))) {
        return nk_fail(diag, NK_EFORMAT,
                       "the OpenSSH private key is cut off or has bytes too many");
    }
    v.encrypted = !str_is(v.cipher, "none");
    if (!v.encrypted && (!str_is(v.kdf, "none") || v.kdf_options.n)) {
        return nk_fail(diag, NK_EFORMAT, "the OpenSSH private key names no cipher but a KDF");
    }
    v.inner.n += nk_cur_left(&c);
    *f = v;
    return 0;
}

/* --- the key ---------------------------------------------------------------------------------- */

static const struct nk_openssh_type *find_type(struct nk_openssh_str name,
                                               const struct nk_openssh_type *types, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (str_is(name, types[i].name)) {
            return &types[i];
        }
    }
    return NULL;
}

static int unknown_type(struct nk_openssh_str name, const struct nk_openssh_type *types, size_t n,
                        struct nk_diag *diag)
{
    char list[160] = "", text[80];
    for (size_t i = 0; i < n; i++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", types[i].name);
    }
    nk_fail(diag, NK_EUNSUPPORTED, "the key is of type '%s', which is not among: %s",
            nk_escape(text, sizeof(text), name.p, name.n), list);
    return NK_EUNSUPPORTED;
}

static int get_fields(struct nk_cur *c, struct nk_openssh_str *field, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        field[i] = get_str(c);
    }
    return c->failed ? NK_EFORMAT : 0;
}

/* A public blob: its type and its fields. */
static int parse_blob(struct nk_openssh_str blob, const struct nk_openssh_type *types,
                      size_t ntypes, struct nk_openssh_public *k, struct nk_diag *diag)
{
    struct nk_cur c;
    nk_cur_init(&c, blob.p, blob.n);
    struct nk_openssh_str name = get_str(&c);
    if (c.failed) {
        return nk_fail(diag, NK_EFORMAT, "the public key is cut off");
    }
    k->type = find_type(name, types, ntypes);
    if (!k->type) {
        return unknown_type(name, types, ntypes, diag);
    }
    if (get_fields(&c, k->field, k->type->public_fields) < 0 || !nk_cur_done(&c)) {
        return nk_fail(diag, NK_EFORMAT, "the public key (%s) is cut off or has bytes too many",
                       k->type->name);
    }
    return 0;
}

/* Bytes 1, 2, 3 .. up to the end. */
static bool padding_ok(struct nk_cur *c)
{
    size_t n = nk_cur_left(c);
    if (n > CIPHER_PADDING) {
        return false;
    }
    for (size_t i = 1; i <= n; i++) {
        if (nk_cur_u8(c) != i) {
            return false;
        }
    }
    return !c->failed;
}

int nk_openssh_parse_key(const struct nk_openssh_file *f, const void *p, size_t n,
                         const struct nk_openssh_type *types, size_t ntypes,
                         struct nk_openssh_key *k, struct nk_diag *diag)
{
    struct nk_openssh_public pub = {0};
    struct nk_openssh_key v = {0};
    struct nk_cur c;
    nk_cur_init(&c, p, n);
    v.check = nk_cur_be32(&c);
    uint32_t again = nk_cur_be32(&c);
    if (c.failed || v.check != again) {
        return f->encrypted ? nk_fail(diag, NK_EAUTH, "the passphrase is wrong")
                            : nk_fail(diag, NK_EFORMAT, "the private key's check words differ");
    }
    int rc = parse_blob(f->public_blob, types, ntypes, &pub, diag);
    if (rc < 0) {
        return rc;
    }
    v.type = pub.type;
    memcpy(v.public_field, pub.field, sizeof(v.public_field));
    struct nk_openssh_str name = get_str(&c);
    if (!c.failed && !str_is(name, v.type->name)) {
        return nk_fail(diag, NK_EFORMAT, "the key's two halves name different types");
    }
    rc = get_fields(&c, v.private_field, v.type->private_fields);
    v.comment = get_str(&c);
    if (rc < 0 || !padding_ok(&c)) {
        return nk_fail(diag, NK_EFORMAT, "the private key (%s) is cut off or its padding is wrong",
                       v.type->name);
    }
    *k = v;
    return 0;
}

uint32_t nk_openssh_check_of(const void *p, size_t n)
{
    uint32_t sum = 0;
    struct nk_cur c;
    nk_cur_init(&c, p, n);
    for (size_t i = 0; i < n / 4; i++) {
        sum ^= nk_cur_be32(&c);
    }
    return sum;
}

/* --- writing ---------------------------------------------------------------------------------- */

static int put_str(struct nk_buf *b, const void *p, size_t n)
{
    int rc = nk_buf_be32(b, (uint32_t)n);
    return rc < 0 || n == 0 ? rc : nk_buf_put(b, p, n);
}

static int put_fields(struct nk_buf *b, const char *type, const struct nk_openssh_str *field,
                      unsigned n)
{
    int rc = put_str(b, type, strlen(type));
    for (unsigned i = 0; rc == 0 && i < n; i++) {
        rc = put_str(b, field[i].p, field[i].n);
    }
    return rc;
}

int nk_openssh_put_inner(const struct nk_openssh_key *k, size_t block, struct nk_buf *b)
{
    size_t start = nk_buf_len(b);
    int rc = nk_buf_be32(b, k->check);
    rc = rc < 0 ? rc : nk_buf_be32(b, k->check);
    rc = rc < 0 ? rc : put_fields(b, k->type->name, k->private_field, k->type->private_fields);
    rc = rc < 0 ? rc : put_str(b, k->comment.p, k->comment.n);
    for (uint8_t pad = 1; rc == 0 && (nk_buf_len(b) - start) % block; pad++) {
        rc = nk_buf_u8(b, pad);
    }
    return rc;
}

static int put_binary(struct nk_buf *b, const struct nk_openssh_file *f)
{
    int rc = nk_buf_put(b, MAGIC, sizeof(MAGIC));
    rc = rc < 0 ? rc : put_str(b, f->cipher.p, f->cipher.n);
    rc = rc < 0 ? rc : put_str(b, f->kdf.p, f->kdf.n);
    rc = rc < 0 ? rc : put_str(b, f->kdf_options.p, f->kdf_options.n);
    rc = rc < 0 ? rc : nk_buf_be32(b, 1);
    rc = rc < 0 ? rc : put_str(b, f->public_blob.p, f->public_blob.n);
    return rc < 0 ? rc : put_str(b, f->inner.p, f->inner.n);
}

static int put_armour(struct nk_buf *out, const char *text, size_t n)
{
    int rc = nk_buf_puts(out, BEGIN);
    for (size_t i = 0; rc == 0 && i < n; i += COLUMNS) {
        rc = nk_buf_u8(out, '\n');
        rc = rc < 0 ? rc : nk_buf_put(out, text + i, n - i < COLUMNS ? n - i : COLUMNS);
    }
    rc = rc < 0 ? rc : nk_buf_u8(out, '\n');
    rc = rc < 0 ? rc : nk_buf_puts(out, END);
    return rc < 0 ? rc : nk_buf_u8(out, '\n');
}

int nk_openssh_write_file(const struct nk_openssh_file *f, struct nk_buf *out)
{
    struct nk_buf bin, file;
    nk_buf_init_secret(&bin, NK_OPENSSH_MAX);
    nk_buf_init_secret(&file, NK_OPENSSH_MAX * 2);
    int rc = put_binary(&bin, f);
    size_t size = NK_BASE64_SIZE(nk_buf_len(&bin));
    char *text = rc == 0 ? malloc(size) : NULL;
    if (text) {
        nk_base64_encode(text, nk_buf_ptr(&bin), nk_buf_len(&bin), true);
        rc = put_armour(&file, text, size - 1);
        rc = rc < 0 ? rc : nk_buf_put(out, nk_buf_ptr(&file), nk_buf_len(&file));
        nk_free_wiped(text, size);
    } else if (rc == 0) {
        rc = -ENOMEM;
    }
    nk_buf_clear(&file);
    nk_buf_clear(&bin);
    return rc;
}

static struct nk_openssh_str str_of(const struct nk_buf *b)
{
    return (struct nk_openssh_str){nk_buf_ptr(b), nk_buf_len(b)};
}

int nk_openssh_write(const struct nk_openssh_key *k, struct nk_buf *out)
{
    static const struct nk_openssh_str none = {(const uint8_t *)"none", 4};
    struct nk_openssh_file f = {.cipher = none, .kdf = none};
    struct nk_buf blob, inner;
    nk_buf_init(&blob, NK_OPENSSH_MAX);
    nk_buf_init_secret(&inner, NK_OPENSSH_MAX);
    int rc = put_fields(&blob, k->type->name, k->public_field, k->type->public_fields);
    rc = rc < 0 ? rc : nk_openssh_put_inner(k, NK_OPENSSH_BLOCK, &inner);
    f.public_blob = str_of(&blob);
    f.inner = str_of(&inner);
    rc = rc < 0 ? rc : nk_openssh_write_file(&f, out);
    nk_buf_clear(&inner);
    nk_buf_clear(&blob);
    return rc;
}

/* --- public keys ------------------------------------------------------------------------------ */

/* The next word of *s, which moves behind it and the white space that follows. */
static struct nk_openssh_str word(const char **s, size_t *n)
{
    struct nk_openssh_str w = {(const uint8_t *)*s, 0};
    while (*n && !is_space(**s)) {
        ++*s;
        --*n;
        w.n++;
    }
    trim(s, n);
    return w;
}

int nk_openssh_parse_public(const char *line, size_t len, const struct nk_openssh_type *types,
                            size_t ntypes, struct nk_buf *blob, struct nk_openssh_public *k,
                            struct nk_diag *diag)
{
    struct nk_openssh_public v = {0};
    trim(&line, &len);
    bool one_line = len && !memchr(line, '\n', len);
    struct nk_openssh_str name = word(&line, &len), text = word(&line, &len);
    if (text.n == 0 || !one_line) {
        return nk_fail(diag, NK_EFORMAT, "a public key is one line 'TYPE BASE64 [COMMENT]'");
    }
    if (!find_type(name, types, ntypes)) {
        return unknown_type(name, types, ntypes, diag);
    }
    size_t before = nk_buf_len(blob);
    int rc = nk_pem_decode((const char *)text.p, text.n, blob);
    if (rc < 0) {
        return nk_fail_sys(diag, rc, "base64 of the public key");
    }
    struct nk_openssh_str raw = {nk_buf_ptr(blob) + before, nk_buf_len(blob) - before};
    rc = parse_blob(raw, types, ntypes, &v, diag);
    if (rc < 0) {
        return rc;
    }
    if (!str_is(name, v.type->name)) {
        return nk_fail(diag, NK_EFORMAT, "the public key says '%.*s' in front and '%s' within",
                       (int)name.n, (const char *)name.p, v.type->name);
    }
    v.comment = (struct nk_openssh_str){(const uint8_t *)line, len};
    *k = v;
    return 0;
}

int nk_openssh_write_public(const struct nk_openssh_public *k, struct nk_buf *out)
{
    struct nk_buf blob;
    uint8_t *to;
    nk_buf_init(&blob, NK_OPENSSH_MAX);
    int rc = put_fields(&blob, k->type->name, k->field, k->type->public_fields);
    size_t name = strlen(k->type->name), text = NK_BASE64_SIZE(nk_buf_len(&blob));
    size_t comment = k->comment.n ? k->comment.n + 1 : 0;
    rc = rc < 0 ? rc : nk_buf_reserve(out, name + 1 + text + comment, &to);
    if (rc == 0) {
        memcpy(to, k->type->name, name);
        to[name] = ' ';
        nk_base64_encode((char *)to + name + 1, nk_buf_ptr(&blob), nk_buf_len(&blob), true);
        if (comment) {
            to[name + text] = ' '; /* in place of the NUL */
            memcpy(to + name + text + 1, k->comment.p, k->comment.n);
        }
        nk_buf_commit(out, name + text + comment);
    }
    nk_buf_clear(&blob);
    return rc;
}
