/* SPDX-License-Identifier: MIT */
/*
 * Client authorization, one line per file (rend-spec-v3 appendix F):
 *
 *     NAME.auth           descriptor:x25519:PUBLIC      in base32, for the service
 *     NAME.auth_private   ADDRESS:descriptor:x25519:SECRET    for the client
 *
 * tor splits at colons and drops white space around each field; the case of the key does not
 * matter, and bits behind its 256 are dropped. arti drops white space around the line only, and
 * wants those bits to be zero. Read is what either reads, as long as all agree on what it means.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"
#include "base/onion.h"
#include "base/secret.h"
#include "hs/format_impl.h"
#include "hs/legacy.h"

enum {
    AUTH_FIELDS = 3,
    PRIVATE_FIELDS = 4,
    KEY_TEXT = NK_BASE32_SIZE(HS_PUBLIC_KEY) - 1, /* 52 characters, 260 bits */
};

struct fields {
    struct hs_word of[PRIVATE_FIELDS];
    size_t n;    /* how many there are; those beyond the fourth are only counted */
    bool spaces; /* around a colon */
};

static void split(const char *s, size_t len, struct fields *f)
{
    *f = (struct fields){0};
    for (const char *end = s + len;; s++) {
        const char *colon = memchr(s, ':', (size_t)(end - s));
        struct hs_word w = {s, (size_t)((colon ? colon : end) - s)};
        size_t before = w.n;
        hs_trim(&w.s, &w.n);
        f->spaces = f->spaces || w.n != before;
        if (f->n < PRIVATE_FIELDS) {
            f->of[f->n] = w;
        }
        f->n++;
        if (!colon) {
            return;
        }
        s = colon;
    }
}

static bool is(struct hs_word w, const char *text)
{
    return w.n == strlen(text) && memcmp(w.s, text, w.n) == 0;
}

static int check_word(struct hs_word w, const char *want, const char *field, struct nk_diag *diag)
{
    if (is(w, want)) {
        return 0;
    }
    bool upper = w.n == strlen(want) && strncasecmp(w.s, want, w.n) == 0;
    return nk_fail(diag, NK_EFORMAT, "%s: it is not '%s'%s", field, want,
                   upper ? " in lower case" : "");
}

/* The text as a whole: one line, no comment, the right number of fields. */
static int split_line(const char *s, size_t len, size_t want, struct fields *f,
                      struct nk_diag *diag)
{
    if (len == 0) {
        return nk_fail(diag, NK_EFORMAT, "line: the file is empty");
    }
    if (*s == '#') {
        return nk_fail(diag, NK_EFORMAT, "line: comments are not allowed, the key stands alone");
    }
    if (memchr(s, '\n', len)) {
        return nk_fail(diag, NK_EFORMAT, "line: there is more than one");
    }
    split(s, len, f);
    if (f->n == want) {
        return 0;
    }
    if (want == AUTH_FIELDS && f->n == PRIVATE_FIELDS && is(f->of[1], "descriptor")) {
        nk_fail(diag, NK_EFORMAT, "line: this is a client's private key (.auth_private)");
        nk_hint(diag, "the service gets descriptor:x25519:PUBLIC, made by netkit hs convert "
                      "--to auth; the private key stays with the client");
        return NK_EFORMAT;
    }
    if (want == PRIVATE_FIELDS && f->n == AUTH_FIELDS && is(f->of[0], "descriptor")) {
        return nk_fail(diag, NK_EFORMAT,
                       "line: the service's address in front is missing, or this is a public key "
                       "(.auth)");
    }
    return nk_fail(diag, NK_EFORMAT, "line: %zu fields between colons, not %zu", f->n, want);
}

/* Decode the key; bits behind it that are not zero are dropped and told. */
static int decode_key(struct hs_word w, uint8_t out[HS_PUBLIC_KEY], struct hs_auth_oddities *odd,
                      struct nk_diag *diag)
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
    enum { SIGNIFICANT = 0x10 }; /* of the last digit's five bits one belongs to the key */
    char text[KEY_TEXT];
    if (w.n && memchr(w.s, '=', w.n)) {
        return nk_fail(diag, NK_EFORMAT, "key: padding ('=') is not allowed");
    }
    if (w.n != KEY_TEXT) {
        return nk_fail(diag, NK_EFORMAT, "key: it has %zu characters, not %d", w.n, KEY_TEXT);
    }
    memcpy(text, w.s, KEY_TEXT);
    char last = (char)tolower((unsigned char)text[KEY_TEXT - 1]);
    const char *value = last ? strchr(digits, last) : NULL;
    if (value && (value - digits) % SIGNIFICANT != 0) {
        odd->trailing_bits = true;
        text[KEY_TEXT - 1] = digits[(value - digits) & SIGNIFICANT];
    }
    for (size_t i = 0; i < KEY_TEXT; i++) {
        odd->upper_key = odd->upper_key || isupper((unsigned char)text[i]);
    }
    ssize_t n = nk_base32_decode(out, HS_PUBLIC_KEY, text, KEY_TEXT);
    nk_wipe(text, sizeof(text));
    return n == HS_PUBLIC_KEY
               ? 0
               : nk_fail(diag, NK_EFORMAT, "key: it has characters other than a to z and 2 to 7");
}

/* What both kinds of lines have in common. odd is set from the start. */
static int parse_line(const void *bytes, size_t n, size_t want, struct fields *f,
                      uint8_t key[HS_PUBLIC_KEY], struct hs_auth_oddities *odd,
                      struct nk_diag *diag)
{
    const char *s = bytes;
    size_t len = n;
    *odd = (struct hs_auth_oddities){.crlf = n >= 2 && memcmp(s + n - 2, "\r\n", 2) == 0};
    hs_trim(&s, &len);
    if (len > HS_AUTH_LINE_MAX) {
        return nk_fail(diag, NK_EFORMAT, "line: it is longer than any (%zu bytes)", len);
    }
    int rc = hs_legacy_check(s, len, diag);
    rc = rc < 0 ? rc : split_line(s, len, want, f, diag);
    if (rc < 0) {
        return rc;
    }
    odd->spaces = f->spaces;
    rc = check_word(f->of[want - 3], "descriptor", "type of authorization", diag);
    rc = rc < 0 ? rc : check_word(f->of[want - 2], "x25519", "type of key", diag);
    return rc < 0 ? rc : decode_key(f->of[want - 1], key, odd, diag);
}

int hs_auth_line_parse(const void *text, size_t len, uint8_t pub[HS_PUBLIC_KEY],
                       struct hs_auth_oddities *odd, struct nk_diag *diag)
{
    struct hs_auth_oddities found;
    struct hs_client k;
    struct fields f;
    uint8_t key[HS_PUBLIC_KEY];
    int rc = parse_line(text, len, AUTH_FIELDS, &f, key, &found, diag);
    rc = rc < 0 ? rc : hs_client_from_public(&k, key, diag);
    if (rc < 0) {
        return rc;
    }
    memcpy(pub, key, HS_PUBLIC_KEY);
    if (odd) {
        *odd = found;
    }
    return 0;
}

/* tor cuts what follows the 56 characters off, and does not look at the checksum. */
static int parse_address(struct hs_word w, uint8_t address[HS_PUBLIC_KEY],
                         struct hs_auth_oddities *odd, struct nk_diag *diag)
{
    odd->suffix = w.n > NK_ONION_LABEL;
    for (size_t i = 0; i < w.n; i++) {
        odd->upper_address = odd->upper_address || isupper((unsigned char)w.s[i]);
    }
    int rc = nk_onion_parse(address, w.s, w.n, diag);
    if (rc < 0 && diag) {
        nk_fail_context(diag, "address");
    }
    return rc;
}

int hs_auth_private_line_parse(const void *text, size_t len, uint8_t address[HS_PUBLIC_KEY],
                               uint8_t secret[HS_CLIENT_SECRET], struct hs_auth_oddities *odd,
                               struct nk_diag *diag)
{
    struct hs_auth_oddities found;
    struct hs_client k = {0};
    struct fields f;
    uint8_t key[HS_CLIENT_SECRET], service[HS_PUBLIC_KEY];
    int rc = parse_line(text, len, PRIVATE_FIELDS, &f, key, &found, diag);
    rc = rc < 0 ? rc : hs_client_from_secret(&k, key, diag);
    rc = rc < 0 ? rc : parse_address(f.of[0], service, &found, diag);
    if (rc == 0) {
        memcpy(secret, key, HS_CLIENT_SECRET);
        memcpy(address, service, HS_PUBLIC_KEY);
        if (odd) {
            *odd = found;
        }
    }
    hs_client_wipe(&k);
    nk_wipe(key, sizeof(key));
    return rc;
}

/* --- as forms --------------------------------------------------------------------------------- */

HS_READER(hs_auth_read)
{
    uint8_t key[HS_CLIENT_SECRET];
    int rc;
    out->kind = HS_CLIENT;
    out->format = src->format;
    if (src->format == HS_AUTH) {
        rc = hs_auth_line_parse(src->p, src->n, key, NULL, diag);
        return rc < 0 ? rc : hs_client_from_public(&out->client, key, diag);
    }
    rc = hs_auth_private_line_parse(src->p, src->n, out->address, key, NULL, diag);
    if (rc == 0) {
        out->has_address = true;
        rc = hs_client_from_secret(&out->client, key, diag);
    }
    nk_wipe(key, sizeof(key));
    return rc;
}

/* arti's way: the key in upper case, a newline at the end. */
static int write_auth(const struct hs_client *k, struct nk_buf *out)
{
    char key[NK_BASE32_SIZE(HS_PUBLIC_KEY)];
    nk_base32_encode(key, k->pub, HS_PUBLIC_KEY);
    for (char *c = key; *c; c++) {
        *c = (char)toupper((unsigned char)*c);
    }
    return nk_buf_printf(out, "descriptor:x25519:%s\n", key);
}

/* tor's own way: everything in lower case, no newline. */
static int write_auth_private(const struct hs_item *item, struct nk_buf *out, struct nk_diag *diag)
{
    char address[NK_ONION_SIZE];
    if (!item->has_address) {
        nk_fail(diag, NK_EUNSUPPORTED,
                "an .auth_private line names the service, and its address is not known");
        nk_hint(diag, "give it: --address ADDRESS");
        return NK_EUNSUPPORTED;
    }
    nk_onion_format(address, item->address);
    address[NK_ONION_LABEL] = 0; /* without ".onion" */
    int rc = nk_buf_puts(out, address);
    rc = rc < 0 ? rc : nk_buf_puts(out, ":descriptor:x25519:");
    return rc < 0 ? rc : hs_put_base32(out, item->client.secret, HS_CLIENT_SECRET);
}

HS_WRITER(hs_auth_write)
{
    return format == HS_AUTH ? write_auth(&item->client, out) : write_auth_private(item, out, diag);
}
