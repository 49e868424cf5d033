/* SPDX-License-Identifier: MIT */
#include "ssh/pubfile.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"
#include "base/pem.h"
#include "ssh/pk.h"

enum { ED25519 = 32, DIGITS = 10 };

/* SubjectPublicKeyInfo of Ed25519 up to the key (RFC 8410 4): SEQUENCE { SEQUENCE { OID }, BIT
 * STRING of 32 bytes }. */
static const uint8_t ED25519_INFO[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                       0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
static const char RFC4716_BEGIN[] = "---- BEGIN SSH2 PUBLIC KEY ----";
static const char RFC4716_END[] = "---- END SSH2 PUBLIC KEY ----";

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct ssh_str trimmed(const char *s, size_t n)
{
    while (n && is_space(*s)) {
        s++;
        n--;
    }
    while (n && is_space(s[n - 1])) {
        n--;
    }
    return (struct ssh_str){(const uint8_t *)s, n};
}

/* The next line, without its end; false when there is none. */
static bool next_line(struct ssh_str *text, struct ssh_str *line)
{
    if (text->n == 0) {
        return false;
    }
    const uint8_t *end = memchr(text->p, '\n', text->n);
    size_t n = end ? (size_t)(end - text->p) : text->n, with = n + (end ? 1 : 0);
    *line = trimmed((const char *)text->p, n);
    *text = (struct ssh_str){text->p + with, text->n - with};
    return true;
}

static int set_comment(struct ssh_pubfile *f, struct ssh_str s)
{
    s.n = s.n < SSH_COMMENT_MAX ? s.n : SSH_COMMENT_MAX;
    char *copy = strndup(s.n ? (const char *)s.p : "", s.n);
    if (!copy) {
        return -ENOMEM;
    }
    free(f->comment);
    f->comment = copy;
    return 0;
}

/* --- RFC 4716 --------------------------------------------------------------------------------- */

/* A header; its value may go on behind a backslash (3.3). Only the comment is of interest. */
static int rfc4716_header(struct ssh_pubfile *f, struct ssh_str line, struct ssh_str *text)
{
    static const char name[] = "Comment:";
    struct nk_buf value;
    bool comment = line.n >= sizeof(name) - 1 &&
                   strncasecmp((const char *)line.p, name, sizeof(name) - 1) == 0;
    nk_buf_init(&value, SSH_COMMENT_MAX);
    int rc = 0;
    bool more;
    do {
        more = line.n && line.p[line.n - 1] == '\\';
        rc = rc < 0 ? rc : nk_buf_put(&value, line.p, line.n - more);
    } while (more && next_line(text, &line));
    if (rc == 0 && comment) {
        struct ssh_str s = trimmed((const char *)nk_buf_ptr(&value) + sizeof(name) - 1,
                                   nk_buf_len(&value) - (sizeof(name) - 1));
        if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"') {
            s = (struct ssh_str){s.p + 1, s.n - 2};
        }
        rc = set_comment(f, s);
    }
    nk_buf_clear(&value);
    return rc;
}

static int parse_rfc4716(struct ssh_str text, struct ssh_pubfile *f)
{
    struct ssh_str line, end = {0};
    const uint8_t *body = NULL;
    int rc = 0;
    f->form = "RFC 4716";
    while (rc == 0 && !end.p && next_line(&text, &line)) {
        if (ssh_str_is(line, RFC4716_END)) {
            end = line;
        } else if (!body && line.n && memchr(line.p, ':', line.n)) {
            rc = rfc4716_header(f, line, &text);
        } else if (!body && !ssh_str_is(line, RFC4716_BEGIN)) {
            body = line.p;
        }
    }
    if (rc < 0 || !body || !end.p) {
        return rc < 0 ? rc : NK_EFORMAT;
    }
    return nk_pem_decode((const char *)body, (size_t)(end.p - body), &f->blob);
}

/* --- LSH -------------------------------------------------------------------------------------- */

/* An atom of a canonical S-expression: its length, a colon, its bytes. */
static struct ssh_str atom(struct nk_cur *c)
{
    size_t n = 0;
    uint8_t digit = nk_cur_u8(c);
    while (digit >= '0' && digit <= '9' && n <= SSH_BLOB_MAX) {
        n = n * DIGITS + (digit - (size_t)'0');
        digit = nk_cur_u8(c);
    }
    if (digit != ':') {
        nk_cur_fail(c);
    }
    const uint8_t *p = nk_cur_bytes(c, n);
    return (struct ssh_str){p, p ? n : 0};
}

static void expect(struct nk_cur *c, char what)
{
    if (nk_cur_u8(c) != (uint8_t)what) {
        nk_cur_fail(c);
    }
}

/* "(1:n129:...)" */
static struct ssh_str named(struct nk_cur *c, const char *name)
{
    expect(c, '(');
    if (!ssh_str_is(atom(c), name)) {
        nk_cur_fail(c);
    }
    struct ssh_str value = atom(c);
    expect(c, ')');
    return value;
}

/* (10:public-key(14:rsa-pkcs1-sha1(1:n..)(1:e..))) */
static int parse_sexp(const struct nk_buf *bytes, struct ssh_pubfile *f)
{
    struct nk_cur c;
    nk_cur_init(&c, nk_buf_ptr(bytes), nk_buf_len(bytes));
    expect(&c, '(');
    bool key = ssh_str_is(atom(&c), "public-key");
    expect(&c, '(');
    struct ssh_str type = atom(&c);
    if (c.failed || !key) {
        return NK_EFORMAT;
    }
    if (!ssh_str_is(type, "rsa-pkcs1-sha1") && !ssh_str_is(type, "rsa-pkcs1")) {
        return NK_EUNSUPPORTED; /* DSA, mostly */
    }
    struct ssh_str n = named(&c, "n"), e = named(&c, "e");
    expect(&c, ')');
    expect(&c, ')');
    if (!nk_cur_done(&c)) {
        return NK_EFORMAT;
    }
    int rc = ssh_put_text(&f->blob, "ssh-rsa");
    rc = rc < 0 ? rc : ssh_put_mpint(&f->blob, e.p, e.n);
    return rc < 0 ? rc : ssh_put_mpint(&f->blob, n.p, n.n);
}

/* The transport form: base64 of the canonical one in braces. */
static int parse_lsh(struct ssh_str text, struct ssh_pubfile *f)
{
    struct nk_buf bytes;
    struct ssh_str s = trimmed((const char *)text.p, text.n);
    f->form = "LSH";
    if (s.n < 2 || s.p[s.n - 1] != '}') {
        return NK_EFORMAT;
    }
    nk_buf_init(&bytes, SSH_BLOB_MAX);
    int rc = nk_pem_decode((const char *)s.p + 1, s.n - 2, &bytes);
    rc = rc < 0 ? rc : parse_sexp(&bytes, f);
    nk_buf_clear(&bytes);
    return rc;
}

/* --- PEM -------------------------------------------------------------------------------------- */

static int parse_pem(const struct nk_pem *pem, struct ssh_pubfile *f)
{
    struct nk_buf der;
    nk_buf_init(&der, SSH_BLOB_MAX);
    f->form = nk_pem_label(pem, "PUBLIC KEY") ? "PKCS#8" : "PKCS#1";
    int rc = nk_pem_decode(pem->body, pem->body_n, &der);
    const uint8_t *p = nk_buf_ptr(&der);
    size_t n = nk_buf_len(&der);
    if (rc == 0 && n == sizeof(ED25519_INFO) + ED25519 &&
        memcmp(p, ED25519_INFO, sizeof(ED25519_INFO)) == 0) {
        rc = ssh_put_text(&f->blob, "ssh-ed25519");
        rc = rc < 0 ? rc : ssh_put_string(&f->blob, p + sizeof(ED25519_INFO), ED25519);
    } else if (rc == 0) {
        rc = ssh_pk_read_public(p, n, &f->blob);
    }
    nk_buf_clear(&der);
    return rc;
}

/* --- lines ------------------------------------------------------------------------------------ */

/* The next word; one of options may have blanks within quotes. */
static struct ssh_str word(struct ssh_str *line, bool quotes)
{
    size_t n = 0;
    bool quoted = false;
    while (n < line->n && (quoted || !is_space((char)line->p[n]))) {
        if (quotes && line->p[n] == '\\' && n + 1 < line->n) {
            n++;
        } else if (quotes && line->p[n] == '"') {
            quoted = !quoted;
        }
        n++;
    }
    struct ssh_str w = {line->p, n};
    *line = trimmed((const char *)line->p + n, line->n - n);
    return w;
}

/* "TYPE BASE64 [COMMENT]"; the type in front and within must be the same. */
static int parse_key(struct ssh_str line, struct ssh_pubfile *f)
{
    struct nk_cur c;
    struct ssh_str type = word(&line, false), base64 = word(&line, false);
    nk_buf_reset(&f->blob);
    int rc =
        type.n && base64.n ? nk_pem_decode((const char *)base64.p, base64.n, &f->blob) : NK_EFORMAT;
    if (rc < 0) {
        return rc;
    }
    nk_cur_init(&c, nk_buf_ptr(&f->blob), nk_buf_len(&f->blob));
    struct ssh_str within = ssh_cur_string(&c);
    if (c.failed || within.n != type.n || memcmp(within.p, type.p, type.n) != 0) {
        return NK_EFORMAT;
    }
    return set_comment(f, line);
}

static int parse_lines(struct ssh_str text, struct ssh_pubfile *f)
{
    struct ssh_str line;
    f->form = "OpenSSH";
    do {
        if (!next_line(&text, &line)) {
            return NK_EFORMAT;
        }
    } while (line.n == 0 || *line.p == '#');
    int rc = parse_key(line, f);
    if (rc == NK_EFORMAT) {
        (void)word(&line, true);
        rc = parse_key(line, f);
    }
    return rc;
}

/* --- any -------------------------------------------------------------------------------------- */

static int parse(struct ssh_str text, struct ssh_pubfile *f)
{
    struct nk_pem pem;
    struct ssh_str s = trimmed((const char *)text.p, text.n);
    int rc = set_comment(f, (struct ssh_str){0});
    if (rc < 0) {
        return rc;
    }
    if (nk_pem_find(text.p, text.n, "PUBLIC KEY", &pem)) {
        return parse_pem(&pem, f);
    }
    if (s.n && *s.p == '{') {
        return parse_lsh(s, f);
    }
    if (s.n >= sizeof(RFC4716_BEGIN) &&
        memcmp(s.p, RFC4716_BEGIN, sizeof(RFC4716_BEGIN) - 1) == 0) {
        return parse_rfc4716(s, f);
    }
    return parse_lines(s, f);
}

int ssh_pubfile_parse(const void *text, size_t n, struct ssh_pubfile *f, struct nk_diag *diag)
{
    struct ssh_pubfile v = {0};
    if (n > SSH_KEY_FILE_MAX) {
        return nk_fail(diag, NK_ETOOBIG, "the file is larger than any key");
    }
    nk_buf_init(&v.blob, SSH_BLOB_MAX);
    int rc = parse((struct ssh_str){text, n}, &v);
    if (rc < 0) {
        ssh_pubfile_clear(&v);
        return rc == NK_EFORMAT ? nk_fail(diag, rc, "there is no public key, or it is malformed")
                                : nk_fail_sys(diag, rc, "the public key");
    }
    *f = v;
    return 0;
}

void ssh_pubfile_clear(struct ssh_pubfile *f)
{
    nk_buf_clear(&f->blob);
    free(f->comment);
    f->comment = NULL;
}

int ssh_public_line(struct ssh_str blob, const char *comment, struct nk_buf *out)
{
    struct nk_cur c;
    uint8_t *to;
    nk_cur_init(&c, blob.p, blob.n);
    struct ssh_str type = ssh_cur_string(&c);
    if (c.failed || type.n == 0) {
        return NK_EFORMAT;
    }
    size_t text = NK_BASE64_SIZE(blob.n);
    int rc = nk_buf_reserve(out, type.n + 1 + text + 1 + strlen(comment) + 1, &to);
    if (rc < 0) {
        return rc;
    }
    uint8_t *at = to + type.n + 1 + text;
    memcpy(to, type.p, type.n);
    to[type.n] = ' ';
    nk_base64_encode((char *)to + type.n + 1, blob.p, blob.n, true);
    at[-1] = ' '; /* in place of the NUL */
    for (const char *s = comment; *s; s++) {
        if ((uint8_t)*s >= ' ' && *s != 0x7f) {
            *at++ = (uint8_t)*s;
        }
    }
    at -= at[-1] == ' ';
    *at++ = '\n';
    nk_buf_commit(out, (size_t)(at - to));
    return 0;
}
