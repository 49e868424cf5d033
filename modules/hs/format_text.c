/* SPDX-License-Identifier: MIT */
/*
 * Keys as bare text or bytes, with nothing that says what they are but their length:
 *
 *     96 bytes   tor's secret key file, which has a tag
 *     64 bytes   tor's public key file, which has one, too; else an expanded secret
 *     32 bytes   a client's private key, either public key, or a seed: the caller has to know
 *
 * 52 characters of base32 alone are taken as a client's private key, as OnionShare and others hand
 * them out. White space inside hex and base64 is skipped: base64(1) and xxd(1) wrap lines.
 */
#include <string.h>

#include "base/codec.h"
#include "base/secret.h"
#include "hs/format_impl.h"

enum { MAX_BYTES = HS_CTOR_SECRET_BYTES, MAX_TEXT = 512 };

bool hs_is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

void hs_trim(const char **s, size_t *n)
{
    while (*n && hs_is_space(**s)) {
        ++*s;
        --*n;
    }
    while (*n && hs_is_space((*s)[*n - 1])) {
        --*n;
    }
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool hs_starts(const char *s, size_t n, const char *prefix)
{
    size_t len = strlen(prefix);
    for (size_t i = 0; i < len; i++) {
        if (i >= n || lower(s[i]) != lower(prefix[i])) {
            return false;
        }
    }
    return true;
}

size_t hs_words(const char *s, size_t n, struct hs_word *out, size_t max)
{
    size_t count = 0;
    for (hs_trim(&s, &n); n; hs_trim(&s, &n)) {
        struct hs_word w = {s, 0};
        while (w.n < n && !hs_is_space(s[w.n])) {
            w.n++;
        }
        if (count < max) {
            out[count] = w;
        }
        count++;
        s += w.n;
        n -= w.n;
    }
    return count;
}

/* --- encodings -------------------------------------------------------------------------------- */

static int put_text(struct nk_buf *out, void (*encode)(char *, const void *, size_t), const void *p,
                    size_t n)
{
    char text[NK_HEX_SIZE(MAX_BYTES)]; /* the longest of the three */
    encode(text, p, n);
    int rc = nk_buf_puts(out, text);
    nk_wipe(text, sizeof(text));
    return rc;
}

static void padded_base64(char *out, const void *p, size_t n)
{
    nk_base64_encode(out, p, n, true);
}

int hs_put_base64(struct nk_buf *out, const void *p, size_t n)
{
    return put_text(out, padded_base64, p, n);
}

int hs_put_hex(struct nk_buf *out, const void *p, size_t n)
{
    return put_text(out, nk_hex_encode, p, n);
}

int hs_put_base32(struct nk_buf *out, const void *p, size_t n)
{
    return put_text(out, nk_base32_encode, p, n);
}

enum encoding { NONE, HEX, BASE64, BASE32 };

static enum encoding encoding_of(enum hs_format f)
{
    switch (f) {
    case HS_HEX:
    case HS_HEX_PUBLIC:
        return HEX;
    case HS_BASE64:
    case HS_BASE64_FILE:
    case HS_BASE64_PUBLIC:
        return BASE64;
    case HS_BASE32:
    case HS_BASE32_PUBLIC:
        return BASE32;
    default:
        return NONE;
    }
}

/* The encoding of a text by its length: seeds are written in any. */
static enum encoding encoding_by_length(size_t n)
{
    switch (n) {
    case NK_HEX_SIZE(HS_SEED) - 1:
        return HEX;
    case NK_BASE32_SIZE(HS_SEED) - 1:
        return BASE32;
    default:
        return BASE64;
    }
}

static ssize_t decode_as(enum encoding e, uint8_t *out, const char *s, size_t n)
{
    switch (e) {
    case HEX:
        return nk_hex_decode(out, MAX_BYTES, s, n, false);
    case BASE32:
        return nk_base32_decode(out, MAX_BYTES, s, n);
    default:
        return nk_base64_decode(out, MAX_BYTES, s, n);
    }
}

/* The bytes that the text encodes; f says how. Returns how many, or NK_EFORMAT. */
static ssize_t decode(const char *s, size_t len, enum hs_format f, uint8_t out[MAX_BYTES])
{
    char text[MAX_TEXT];
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (!hs_is_space(s[i]) && n < sizeof(text)) {
            text[n++] = s[i];
        }
    }
    enum encoding e = f == HS_SEED_HEX ? encoding_by_length(n) : encoding_of(f);
    ssize_t got = n < sizeof(text) ? decode_as(e, out, text, n) : NK_EFORMAT;
    nk_wipe(text, sizeof(text));
    return got < 0 ? NK_EFORMAT : got;
}

enum hs_format hs_text_found(const char *s, size_t len)
{
    static const enum hs_format order[] = {HS_HEX, HS_BASE32, HS_BASE64};
    static const size_t known[] = {HS_PUBLIC_KEY, HS_EXPANDED, HS_CTOR_SECRET_BYTES};
    enum hs_format found = HS_DETECT;
    uint8_t raw[MAX_BYTES];
    for (size_t i = 0; i < sizeof(order) / sizeof(*order) && found == HS_DETECT; i++) {
        ssize_t n = decode(s, len, order[i], raw);
        size_t kinds = order[i] == HS_BASE32 ? 1 : sizeof(known) / sizeof(*known);
        for (size_t j = 0; j < kinds; j++) {
            found = n == (ssize_t)known[j] ? order[i] : found;
        }
    }
    nk_wipe(raw, sizeof(raw));
    return found;
}

/* --- what the bytes are ----------------------------------------------------------------------- */

static bool is_public(enum hs_format f)
{
    return f == HS_HEX_PUBLIC || f == HS_BASE64_PUBLIC || f == HS_BASE32_PUBLIC;
}

static int ambiguous(const struct hs_source *src, struct nk_diag *diag)
{
    const char *form = hs_format_info(src->format)->name;
    if (is_public(src->format)) {
        nk_fail(diag, NK_EFORMAT, "32 bytes: a service's public key, or a client's?");
        nk_hint(diag, "say which: --kind identity or --kind client");
    } else if (src->kind == HS_IDENTITY) {
        nk_fail(diag, NK_EFORMAT,
                "length: a service's secret has 64 bytes, these 32 are a seed or a public key");
        nk_hint(diag, "say which: --from seed or --from %s-public", form);
    } else {
        nk_fail(diag, NK_EFORMAT,
                "32 bytes: a client's private key, a seed, or a public key? They do not say");
        nk_hint(diag, "say which: --from %s --kind client, --from seed, or --from %s-public", form,
                form);
    }
    return NK_EFORMAT;
}

static int take_public(const struct hs_source *src, const uint8_t *p, struct hs_item *out,
                       struct nk_diag *diag)
{
    if (src->kind == HS_ANY_KIND) {
        return ambiguous(src, diag);
    }
    out->kind = src->kind;
    return src->kind == HS_CLIENT ? hs_client_from_public(&out->client, p, diag)
                                  : hs_identity_from_public(&out->identity, p, diag);
}

static int take_short(const struct hs_source *src, const uint8_t *p, struct hs_item *out,
                      struct nk_diag *diag)
{
    if (src->format == HS_SEED_HEX) {
        out->kind = HS_IDENTITY;
        return hs_identity_from_seed(&out->identity, p);
    }
    if (is_public(src->format)) {
        return take_public(src, p, out, diag);
    }
    if (src->kind != HS_CLIENT && (src->format != HS_BASE32 || src->kind == HS_IDENTITY)) {
        return ambiguous(src, diag);
    }
    out->kind = HS_CLIENT;
    out->guessed = src->kind == HS_ANY_KIND && !src->asked;
    return hs_client_from_secret(&out->client, p, diag);
}

static int take_expanded(const struct hs_source *src, const uint8_t *p, struct hs_item *out,
                         struct nk_diag *diag)
{
    out->kind = HS_IDENTITY;
    if (!hs_ctor_tagged(p, HS_CTOR_PUBLIC_BYTES)) {
        return hs_identity_from_expanded(&out->identity, p, diag);
    }
    if (src->asked && !is_public(src->format)) {
        return nk_fail(diag, NK_EFORMAT, "key: this is tor's public key file, not a secret");
    }
    out->format = src->format == HS_HEX ? HS_HEX_PUBLIC : HS_BASE64_PUBLIC;
    return hs_ctor_parse_public(p, HS_CTOR_PUBLIC_BYTES, &out->identity, diag);
}

static int take(const struct hs_source *src, const uint8_t *p, size_t n, struct hs_item *out,
                struct nk_diag *diag)
{
    bool seed = src->format == HS_SEED_HEX;
    if (n == HS_PUBLIC_KEY) {
        return take_short(src, p, out, diag);
    }
    if (n == HS_EXPANDED && !seed &&
        (!is_public(src->format) || hs_ctor_tagged(p, HS_CTOR_PUBLIC_BYTES))) {
        return take_expanded(src, p, out, diag);
    }
    if (n == HS_CTOR_SECRET_BYTES && !seed && !is_public(src->format)) {
        out->kind = HS_IDENTITY;
        out->format = src->format == HS_BASE64 ? HS_BASE64_FILE : src->format;
        return hs_ctor_parse_secret(p, n, &out->identity, diag);
    }
    return nk_fail(diag, NK_EFORMAT, "length: %zu bytes, which no %s has", n,
                   seed                     ? "seed"
                   : is_public(src->format) ? "public key"
                                            : "secret key");
}

HS_READER(hs_text_read)
{
    uint8_t raw[MAX_BYTES];
    ssize_t n = decode(src->text, src->len, src->format, raw);
    out->format = src->format;
    int rc = n < 0 ? nk_fail(diag, NK_EFORMAT, "encoding: the text is not %s, or too long",
                             hs_format_info(src->format)->name)
                   : take(src, raw, (size_t)n, out, diag);
    nk_wipe(raw, sizeof(raw));
    return rc;
}

/* Which bytes of the item a form writes. */
static size_t bytes_of(const struct hs_item *item, enum hs_format f, const uint8_t **p)
{
    if (is_public(f)) {
        *p = hs_item_pub(item);
        return HS_PUBLIC_KEY;
    }
    if (f == HS_SEED_HEX) {
        *p = item->identity.seed;
        return HS_SEED;
    }
    *p = item->kind == HS_CLIENT ? item->client.secret : item->identity.secret;
    return item->kind == HS_CLIENT ? HS_CLIENT_SECRET : HS_EXPANDED;
}

HS_WRITER(hs_text_write)
{
    uint8_t file[HS_CTOR_SECRET_BYTES];
    const uint8_t *p = file;
    size_t n = sizeof(file);
    int rc;
    (void)diag;
    if (format == HS_BASE64_FILE) {
        hs_ctor_put_secret(file, &item->identity);
    } else {
        n = bytes_of(item, format, &p);
    }
    if (format == HS_SEED_HEX || encoding_of(format) == HEX) {
        rc = hs_put_hex(out, p, n);
    } else if (encoding_of(format) == BASE32) {
        rc = hs_put_base32(out, p, n);
    } else {
        rc = hs_put_base64(out, p, n);
    }
    nk_wipe(file, sizeof(file));
    return rc < 0 ? rc : nk_buf_puts(out, "\n");
}

/* --- binary ----------------------------------------------------------------------------------- */

HS_READER(hs_raw_read)
{
    out->format = HS_RAW;
    if (src->n == HS_EXPANDED && !hs_ctor_tagged(src->p, src->n)) {
        out->kind = HS_IDENTITY;
        return hs_identity_from_expanded(&out->identity, src->p, diag);
    }
    if (src->n == HS_CLIENT_SECRET) {
        out->kind = HS_CLIENT;
        return hs_client_from_secret(&out->client, src->p, diag);
    }
    return nk_fail(diag, NK_EFORMAT,
                   "length: %zu bytes, a raw secret has %d (service) or %d "
                   "(client)",
                   src->n, HS_EXPANDED, HS_CLIENT_SECRET);
}

HS_WRITER(hs_raw_write)
{
    const uint8_t *p;
    size_t n = bytes_of(item, format, &p);
    (void)diag;
    return nk_buf_put(out, p, n);
}
