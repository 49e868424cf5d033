/* SPDX-License-Identifier: MIT */
/*
 * What mkp224o writes with -y and --rawyaml: any number of records
 *
 *     ---
 *     hostname: ADDRESS.onion
 *     hs_ed25519_public_key: base64 of tor's file (64 bytes), or of the key alone (32)
 *     hs_ed25519_secret_key: base64 of tor's file (96 bytes), or of a | r alone (64)
 *     time: when it was found
 *
 * in any order, values with or without a tag such as !!binary and quotes. No other YAML is read.
 * Written without the time, which mkp224o does not read either.
 */
#include <string.h>

#include "base/codec.h"
#include "base/onion.h"
#include "base/secret.h"
#include "hs/format_impl.h"

static const char HOSTNAME[] = "hostname";
static const char PUBLIC[] = "hs_ed25519_public_key";
static const char SECRET[] = "hs_ed25519_secret_key";

enum { HAS_HOSTNAME = 1, HAS_PUBLIC = 2, HAS_SECRET = 4 };

struct record {
    unsigned has;
    uint8_t hostname[HS_PUBLIC_KEY];
    struct hs_identity public, secret;
    bool raw;
};

/* The whole text, record by record; line counts from 1. */
struct reader {
    const char *s;
    size_t n;
    size_t line;
};

static bool next_line(struct reader *r, struct hs_word *line)
{
    if (r->n == 0) {
        return false;
    }
    const char *end = memchr(r->s, '\n', r->n);
    size_t len = end ? (size_t)(end - r->s) : r->n, used = end ? len + 1 : len;
    *line = (struct hs_word){r->s, len};
    hs_trim(&line->s, &line->n);
    r->s += used;
    r->n -= used;
    r->line++;
    return true;
}

static bool is(struct hs_word w, const char *text)
{
    return w.n == strlen(text) && memcmp(w.s, text, w.n) == 0;
}

/* Drop a tag ("!!binary ") in front, and quotes. */
static struct hs_word plain(struct hs_word w)
{
    if (w.n && *w.s == '!') {
        while (w.n && !hs_is_space(*w.s)) {
            w.s++;
            w.n--;
        }
        hs_trim(&w.s, &w.n);
    }
    if (w.n >= 2 && (*w.s == '"' || *w.s == '\'') && w.s[w.n - 1] == *w.s) {
        w.s++;
        w.n -= 2;
    }
    return w;
}

static int bad(const struct reader *r, const char *field, const char *reason, struct nk_diag *diag)
{
    return nk_fail(diag, NK_EFORMAT, "line %zu, %s: %s", r->line, field, reason);
}

/* The text of a reader below, with the line in front. */
static int at_line(const struct reader *r, const char *field, int rc, struct nk_diag *diag)
{
    if (rc < 0 && diag) {
        nk_fail_context(diag, "line %zu, %s", r->line, field);
    }
    return rc;
}

static int take_public(struct record *rec, const uint8_t *p, size_t n, struct nk_diag *diag)
{
    rec->raw = n == HS_PUBLIC_KEY;
    return rec->raw ? hs_identity_from_public(&rec->public, p, diag)
                    : hs_ctor_parse_public(p, n, &rec->public, diag);
}

static int take_secret(struct record *rec, const uint8_t *p, size_t n, struct nk_diag *diag)
{
    rec->raw = n == HS_EXPANDED;
    return rec->raw ? hs_identity_from_expanded(&rec->secret, p, diag)
                    : hs_ctor_parse_secret(p, n, &rec->secret, diag);
}

static int take_value(const struct reader *r, struct record *rec, unsigned field, const char *name,
                      struct hs_word value, struct nk_diag *diag)
{
    uint8_t raw[HS_CTOR_SECRET_BYTES];
    if (rec->has & field) {
        return bad(r, name, "it stands there twice", diag);
    }
    rec->has |= field;
    if (field == HAS_HOSTNAME) {
        return at_line(r, name, nk_onion_parse(rec->hostname, value.s, value.n, diag), diag);
    }
    ssize_t n = nk_base64_decode(raw, sizeof(raw), value.s, value.n);
    if (n < 0) {
        return bad(r, name, "it is not base64 of a key, on the same line", diag);
    }
    int rc = field == HAS_PUBLIC ? take_public(rec, raw, (size_t)n, diag)
                                 : take_secret(rec, raw, (size_t)n, diag);
    nk_wipe(raw, sizeof(raw));
    return at_line(r, name, rc, diag);
}

/* One line "name: value"; names that are not ours are skipped, as mkp224o does. */
static int take_line(const struct reader *r, struct record *rec, struct hs_word line,
                     struct nk_diag *diag)
{
    static const struct {
        const char *name;
        unsigned field;
    } known[] = {{HOSTNAME, HAS_HOSTNAME}, {PUBLIC, HAS_PUBLIC}, {SECRET, HAS_SECRET}};
    const char *colon = memchr(line.s, ':', line.n);
    if (!colon) {
        return bad(r, "syntax", "it is not 'name: value'", diag);
    }
    struct hs_word name = {line.s, (size_t)(colon - line.s)};
    struct hs_word value = {colon + 1, line.n - name.n - 1};
    hs_trim(&name.s, &name.n);
    hs_trim(&value.s, &value.n);
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        if (is(name, known[i].name)) {
            return take_value(r, rec, known[i].field, known[i].name, plain(value), diag);
        }
    }
    return 0;
}

/* The three fields of a record belong together. */
static int check_record(const struct reader *r, const struct record *rec, struct nk_diag *diag)
{
    const uint8_t *pub = rec->has & HAS_SECRET ? rec->secret.pub : rec->public.pub;
    if (!(rec->has & (HAS_SECRET | HAS_PUBLIC))) {
        return bad(r, SECRET, "it is missing from the record that ends here", diag);
    }
    if ((rec->has & HAS_PUBLIC) && memcmp(rec->public.pub, pub, HS_PUBLIC_KEY) != 0) {
        return bad(r, PUBLIC, "it does not belong to the secret key of the record", diag);
    }
    if ((rec->has & HAS_HOSTNAME) && memcmp(rec->hostname, pub, HS_PUBLIC_KEY) != 0) {
        return bad(r, HOSTNAME, "it is not the address of the key of the record", diag);
    }
    return 0;
}

/* The next record that is not empty: 1, 0 at the end, or an error. */
static int next_record(struct reader *r, struct record *rec, struct nk_diag *diag)
{
    struct hs_word line;
    int rc = 0;
    *rec = (struct record){0};
    while (rc == 0 && next_line(r, &line)) {
        bool end = line.n >= 3 && (memcmp(line.s, "---", 3) == 0 || memcmp(line.s, "...", 3) == 0);
        if (end && rec->has) {
            break;
        }
        if (!end && line.n && *line.s != '#') {
            rc = take_line(r, rec, line, diag);
        }
    }
    if (rc == 0 && rec->has) {
        rc = check_record(r, rec, diag);
    }
    return rc < 0 ? rc : rec->has != 0;
}

static int pass_record(const struct record *rec, hs_item_fn *each, void *arg)
{
    struct hs_item item;
    hs_item_from_identity(&item, rec->has & HAS_SECRET ? &rec->secret : &rec->public);
    item.format = rec->raw ? HS_YAML_RAW : HS_YAML;
    int rc = each(arg, &item);
    hs_item_wipe(&item);
    return rc;
}

static bool wanted(const struct record *rec, const uint8_t *address)
{
    const uint8_t *pub = rec->has & HAS_SECRET ? rec->secret.pub : rec->public.pub;
    return !address || memcmp(pub, address, HS_PUBLIC_KEY) == 0;
}

int hs_yaml_each(const struct hs_source *src, hs_item_fn *each, void *arg, struct nk_diag *diag)
{
    struct reader r = {src->text, src->len, 0};
    uint8_t address[HS_PUBLIC_KEY];
    struct record rec = {0};
    size_t all = 0, found = 0;
    int rc = 0;
    if (src->address) {
        rc = nk_onion_parse(address, src->address, strlen(src->address), diag);
    }
    while (rc == 0 && (rc = next_record(&r, &rec, diag)) > 0) {
        rc = 0;
        all++;
        if (wanted(&rec, src->address ? address : NULL)) {
            found++;
            rc = pass_record(&rec, each, arg);
        }
    }
    nk_wipe(&rec, sizeof(rec));
    if (rc == 0 && found == 0) {
        rc = all ? nk_fail(diag, NK_EFORMAT, "address: none of the %zu keys has it", all)
                 : nk_fail(diag, NK_EFORMAT, "%s: there is none", SECRET);
    }
    return rc;
}

/* --- writing ---------------------------------------------------------------------------------- */

static int put_field(struct nk_buf *out, const char *name, const void *p, size_t n)
{
    int rc = nk_buf_printf(out, "%s: ", name);
    rc = rc < 0 ? rc : hs_put_base64(out, p, n);
    return rc < 0 ? rc : nk_buf_puts(out, "\n");
}

HS_WRITER(hs_yaml_write)
{
    uint8_t public[HS_CTOR_PUBLIC_BYTES], secret[HS_CTOR_SECRET_BYTES];
    size_t skip = format == HS_YAML_RAW ? HS_CTOR_TAG : 0;
    char address[NK_ONION_SIZE];
    (void)diag;
    hs_ctor_put_public(public, &item->identity);
    hs_ctor_put_secret(secret, &item->identity);
    nk_onion_format(address, item->identity.pub);
    int rc = nk_buf_printf(out, "---\n%s: %s\n", HOSTNAME, address);
    rc = rc < 0 ? rc : put_field(out, PUBLIC, public + skip, sizeof(public) - skip);
    rc = rc < 0 ? rc : put_field(out, SECRET, secret + skip, sizeof(secret) - skip);
    nk_wipe(secret, sizeof(secret));
    return rc;
}
