/* SPDX-License-Identifier: MIT */
#include "hs/format.h"

#include <string.h>

#include "base/file.h"
#include "base/onion.h"
#include "base/openssh_key.h"
#include "base/secret.h"
#include "hs/format_impl.h"
#include "hs/legacy.h"

#define INFO(constant, name, holds, extension, summary)                                            \
    [constant] = {name, holds, extension, summary},
static const struct hs_format_info infos[HS_FORMATS] = {HS_FORMAT_LIST(INFO)};
#undef INFO

/* Forms of one family are told apart by a file's name, others by the contents alone. */
enum family { ALONE, CTOR, ARTI, AUTH };

static const struct {
    hs_reader *read;
    hs_writer *write;
    enum family family;
} forms[HS_FORMATS] = {
    [HS_CTOR_SECRET] = {hs_ctor_read, hs_ctor_write, CTOR},
    [HS_CTOR_PUBLIC] = {hs_ctor_read, hs_ctor_write, CTOR},
    [HS_HOSTNAME] = {hs_ctor_read, hs_ctor_write, CTOR},
    [HS_ARTI_PRIVATE] = {hs_arti_read, hs_arti_write, ARTI},
    [HS_ARTI_PUBLIC] = {hs_arti_public_read, hs_arti_public_write, ARTI},
    [HS_OPENSSH] = {hs_arti_read, hs_arti_write, ARTI},
    [HS_CONTROL] = {hs_control_read, hs_control_write, ALONE},
    [HS_YAML] = {NULL, hs_yaml_write, ALONE},
    [HS_YAML_RAW] = {NULL, hs_yaml_write, ALONE},
    [HS_PEM] = {hs_pem_read, hs_pem_write, ALONE},
    [HS_PEM_PUBLIC] = {hs_pem_read, hs_pem_write, ALONE},
    [HS_AUTH] = {hs_auth_read, hs_auth_write, AUTH},
    [HS_AUTH_PRIVATE] = {hs_auth_read, hs_auth_write, AUTH},
    [HS_SEED_HEX] = {hs_text_read, hs_text_write, ALONE},
    [HS_HEX] = {hs_text_read, hs_text_write, ALONE},
    [HS_HEX_PUBLIC] = {hs_text_read, hs_text_write, ALONE},
    [HS_BASE64] = {hs_text_read, hs_text_write, ALONE},
    [HS_BASE64_FILE] = {hs_text_read, hs_text_write, ALONE},
    [HS_BASE64_PUBLIC] = {hs_text_read, hs_text_write, ALONE},
    [HS_BASE32] = {hs_text_read, hs_text_write, ALONE},
    [HS_BASE32_PUBLIC] = {hs_text_read, hs_text_write, ALONE},
    [HS_RAW] = {hs_raw_read, hs_raw_write, ALONE},
};

const struct hs_format_info *hs_format_info(enum hs_format f)
{
    return f >= 0 && f < HS_FORMATS ? &infos[f] : NULL;
}

enum hs_format hs_format_by_name(const char *name)
{
    for (int f = 0; f < HS_FORMATS; f++) {
        if (strcmp(infos[f].name, name) == 0) {
            return (enum hs_format)f;
        }
    }
    return strcmp(name, "address") == 0 ? HS_HOSTNAME : HS_DETECT;
}

/* --- items ------------------------------------------------------------------------------------ */

void hs_item_from_identity(struct hs_item *out, const struct hs_identity *k)
{
    memset(out, 0, sizeof(*out));
    out->kind = HS_IDENTITY;
    out->format = HS_DETECT;
    out->identity = *k;
}

void hs_item_from_client(struct hs_item *out, const struct hs_client *k, const uint8_t *address)
{
    memset(out, 0, sizeof(*out));
    out->kind = HS_CLIENT;
    out->format = HS_DETECT;
    out->client = *k;
    out->has_address = address != NULL;
    if (address) {
        memcpy(out->address, address, sizeof(out->address));
    }
}

const uint8_t *hs_item_pub(const struct hs_item *item)
{
    return item->kind == HS_CLIENT ? item->client.pub : item->identity.pub;
}

bool hs_item_has_secret(const struct hs_item *item)
{
    return item->kind == HS_CLIENT ? item->client.has_secret : item->identity.has_secret;
}

void hs_item_wipe(struct hs_item *item)
{
    nk_wipe(item, sizeof(*item));
}

/* --- finding out the form --------------------------------------------------------------------- */

static bool contains(const struct hs_source *src, const char *text)
{
    return memmem(src->text, src->len, text, strlen(text)) != NULL;
}

/* One word, then a blank, and the word is a type of OpenSSH keys ("ssh-ed25519", "..@..")? */
static bool is_public_line(const struct hs_source *src)
{
    struct hs_word w[2];
    return hs_words(src->text, src->len, w, 2) >= 2 &&
           (hs_starts(w[0].s, w[0].n, "ssh-") || hs_starts(w[0].s, w[0].n, "ecdsa-") ||
            memchr(w[0].s, '@', w[0].n));
}

/* A line of client authorization, by its number of fields? */
static enum hs_format auth_line(const struct hs_source *src)
{
    enum { PUBLIC_COLONS = 2, PRIVATE_COLONS = 3 };
    size_t colons = 0;
    for (size_t i = 0; i < src->len; i++) {
        colons += src->text[i] == ':';
    }
    if (colons == PRIVATE_COLONS) {
        return HS_AUTH_PRIVATE;
    }
    return colons == PUBLIC_COLONS || contains(src, "descriptor") ? HS_AUTH : HS_DETECT;
}

static bool is_address(const struct hs_source *src)
{
    static const char suffix[] = ".onion";
    size_t n = sizeof(suffix) - 1;
    return (src->len > n && hs_starts(src->text + src->len - n, n, suffix)) ||
           ((src->len == NK_ONION_LABEL || src->len == NK_ONION_V2_LABEL) &&
            !memchr(src->text, ' ', src->len));
}

static enum hs_format detect(const struct hs_source *src)
{
    if (hs_ctor_tagged(src->p, src->n)) {
        return memmem(src->p, src->n, "secret", 6) ? HS_CTOR_SECRET : HS_CTOR_PUBLIC;
    }
    if (nk_openssh_is_private(src->text, src->len)) {
        return HS_ARTI_PRIVATE;
    }
    if (contains(src, "-----BEGIN ")) {
        return HS_PEM;
    }
    if (contains(src, "hs_ed25519_secret_key:") || contains(src, "hs_ed25519_public_key:")) {
        return HS_YAML;
    }
    if (contains(src, "descriptor")) {
        return auth_line(src);
    }
    if (hs_control_found(src->text, src->len)) {
        return HS_CONTROL;
    }
    if (is_public_line(src)) {
        return HS_ARTI_PUBLIC;
    }
    if (auth_line(src) != HS_DETECT) {
        return auth_line(src);
    }
    return is_address(src) ? HS_HOSTNAME : hs_text_found(src->text, src->len);
}

/* What a file's name says: the whole name, or how it ends. */
static const struct name_rule {
    const char *name;
    enum hs_format format;
    enum hs_kind kind;
} name_rules[] = {
    {"hs_ed25519_secret_key", HS_CTOR_SECRET, HS_IDENTITY},
    {"hs_ed25519_public_key", HS_CTOR_PUBLIC, HS_IDENTITY},
    {"hostname", HS_HOSTNAME, HS_IDENTITY},
    {".x25519_private", HS_ARTI_PRIVATE, HS_CLIENT},
    {".ed25519_expanded_private", HS_ARTI_PRIVATE, HS_IDENTITY},
    {".ed25519_private", HS_OPENSSH, HS_IDENTITY},
    {".x25519_public", HS_ARTI_PUBLIC, HS_CLIENT},
    {".ed25519_public", HS_ARTI_PUBLIC, HS_IDENTITY},
    {".auth", HS_AUTH, HS_CLIENT},
    {".auth_private", HS_AUTH_PRIVATE, HS_CLIENT},
};

static const struct name_rule *rule_of(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    const char *name = slash ? slash + 1 : path;
    for (size_t i = 0; name && i < sizeof(name_rules) / sizeof(*name_rules); i++) {
        const char *want = name_rules[i].name;
        size_t n = strlen(name), len = strlen(want);
        bool fits = *want == '.' ? n >= len : n == len;
        if (fits && strcmp(name + n - len, want) == 0) {
            return &name_rules[i];
        }
    }
    return NULL;
}

static int unknown(const struct hs_source *src, struct nk_diag *diag)
{
    if (src->len == 0) {
        return nk_fail(diag, NK_EFORMAT, "contents: there are none");
    }
    nk_fail(diag, NK_EFORMAT, "contents: %zu bytes that are no key in any known form", src->n);
    if (src->n == HS_EXPANDED || src->n == HS_CLIENT_SECRET) {
        nk_hint(diag, "if they are a secret key in binary, say so: --from raw");
    } else {
        nk_hint(diag, "netkit hs convert --help lists the forms");
    }
    return NK_EFORMAT;
}

/* Set the form to read: as asked for, else by contents and name. */
static int choose(struct hs_source *src, const struct hs_hints *hints, struct nk_diag *diag)
{
    src->kind = hints->kind;
    src->format = hints->format;
    src->asked = hints->format != HS_DETECT;
    if (src->asked) {
        return 0;
    }
    int rc = hs_legacy_check(src->text, src->len, diag);
    if (rc < 0) {
        return rc;
    }
    src->format = detect(src);
    const struct name_rule *rule = rule_of(hints->name);
    enum family family = src->format == HS_DETECT ? ALONE : forms[src->format].family;
    if (rule && (src->format == HS_DETECT || family == forms[rule->format].family)) {
        src->format = rule->format;
        src->asked = true;
        src->kind = src->kind == HS_ANY_KIND ? rule->kind : src->kind;
    }
    return src->format == HS_DETECT ? unknown(src, diag) : 0;
}

/* --- reading ---------------------------------------------------------------------------------- */

static int check_kind(const struct hs_item *item, enum hs_kind want, struct nk_diag *diag)
{
    if (want == HS_ANY_KIND || item->kind == want) {
        return 0;
    }
    return nk_fail(diag, NK_EFORMAT, "kind: this is %s, not %s",
                   item->kind == HS_CLIENT ? "a client's key" : "a service's identity",
                   want == HS_CLIENT ? "a client's key" : "a service's identity");
}

/* The service must be the one that was asked for; a client's key without address gets it. */
static int check_address(struct hs_item *item, const char *text, struct nk_diag *diag)
{
    uint8_t want[HS_PUBLIC_KEY];
    if (!text) {
        return 0;
    }
    int rc = nk_onion_parse(want, text, strlen(text), diag);
    if (rc < 0) {
        return rc;
    }
    if (item->kind == HS_CLIENT && !item->has_address) {
        memcpy(item->address, want, sizeof(want));
        item->has_address = true;
        return 0;
    }
    const uint8_t *is = item->kind == HS_CLIENT ? item->address : item->identity.pub;
    return memcmp(is, want, sizeof(want)) == 0
               ? 0
               : nk_fail(diag, NK_EFORMAT, "address: the key is another service's");
}

/* Every failure has a text; those without one here are a lack of memory or a bug. */
static void begin_diag(struct nk_diag *diag)
{
    if (diag) {
        diag->text[0] = 0;
    }
}

static int end_diag(int rc, const char *what, struct nk_diag *diag)
{
    return rc < 0 && diag && !diag->text[0] ? nk_fail_sys(diag, rc, "%s", what) : rc;
}

/* Keys on their way from a reader to the caller. */
struct pass {
    const struct hs_hints *hints;
    enum hs_kind kind;
    struct nk_diag *diag;
    size_t count;
    bool secret; /* one of them is */
    hs_item_fn *each;
    void *arg;
};

static int pass_item(void *arg, const struct hs_item *item)
{
    struct pass *p = arg;
    struct hs_item copy = *item;
    int rc = check_kind(&copy, p->kind, p->diag);
    rc = rc < 0 ? rc : check_address(&copy, p->hints->address, p->diag);
    p->count++;
    p->secret = p->secret || hs_item_has_secret(&copy);
    if (rc == 0 && p->each) {
        rc = p->each(p->arg, &copy);
    }
    hs_item_wipe(&copy);
    return rc;
}

/* Read all keys and pass them on. */
static int read_all(const void *bytes, size_t len, struct pass *p)
{
    struct hs_source src = {.p = bytes ? bytes : (const void *)"", .n = len};
    struct hs_item item = {0};
    if (len > HS_FILE_MAX) {
        return nk_fail(p->diag, NK_ETOOBIG, "contents: %zu bytes are more than any key", len);
    }
    begin_diag(p->diag);
    src.address = p->hints->address;
    src.text = (const char *)src.p;
    src.len = len;
    hs_trim(&src.text, &src.len);
    int rc = choose(&src, p->hints, p->diag);
    p->kind = src.kind;
    if (rc == 0 && !forms[src.format].read) {
        rc = hs_yaml_each(&src, pass_item, p, p->diag);
    } else if (rc == 0) {
        rc = forms[src.format].read(&src, &item, p->diag);
        rc = rc < 0 ? rc : pass_item(p, &item);
        hs_item_wipe(&item);
    }
    return end_diag(rc, "reading a key", p->diag);
}

int hs_format_each(const void *bytes, size_t len, const struct hs_hints *hints, hs_item_fn *each,
                   void *arg, struct nk_diag *diag)
{
    struct pass p = {.hints = hints, .diag = diag};
    int rc = read_all(bytes, len, &p);
    p.each = each;
    p.arg = arg;
    return rc < 0 ? rc : read_all(bytes, len, &p);
}

/* The first of several. */
struct first {
    struct hs_item item;
    size_t count;
};

static int take_first(void *arg, const struct hs_item *item)
{
    struct first *f = arg;
    if (f->count++ == 0) {
        f->item = *item;
    }
    return 0;
}

/* The only one, that is. */
static int end_first(struct first *f, int rc, struct hs_item *out, struct nk_diag *diag)
{
    if (rc == 0 && f->count > 1) {
        rc = nk_fail(diag, NK_EFORMAT, "there are %zu keys", f->count);
        nk_hint(diag, "say which: --address ADDRESS");
    }
    if (rc == 0) {
        *out = f->item;
    }
    hs_item_wipe(&f->item);
    return rc;
}

int hs_format_read_as(const void *bytes, size_t len, const struct hs_hints *hints,
                      struct hs_item *out, struct nk_diag *diag)
{
    struct first first = {.count = 0};
    struct pass p = {.hints = hints, .diag = diag, .each = take_first, .arg = &first};
    return end_first(&first, read_all(bytes, len, &p), out, diag);
}

int hs_format_read(const void *bytes, size_t len, const char *name, struct hs_item *out,
                   struct nk_diag *diag)
{
    const struct hs_hints hints = {.format = HS_DETECT, .name = name};
    return hs_format_read_as(bytes, len, &hints, out, diag);
}

/* --- files ------------------------------------------------------------------------------------ */

static int read_file(const char *path, unsigned flags, struct nk_buf *out, struct pass *p)
{
    nk_buf_clear(out);
    int rc = nk_file_read(path, flags, out, p->diag);
    if (rc < 0) {
        return rc;
    }
    rc = read_all(nk_buf_ptr(out), nk_buf_len(out), p);
    if (rc < 0 && p->diag) {
        nk_fail_context(p->diag, "%s", strcmp(path, "-") == 0 ? "standard input" : path);
    }
    return rc;
}

int hs_format_load_each(const char *path, const struct hs_hints *hints, hs_item_fn *each, void *arg,
                        struct nk_diag *diag)
{
    struct hs_hints all = hints ? *hints : (struct hs_hints){.format = HS_DETECT};
    struct pass p = {.hints = &all, .diag = diag};
    struct nk_buf b;
    bool file = strcmp(path, "-") != 0;
    all.name = file ? path : NULL;
    nk_buf_init_secret(&b, HS_FILE_MAX);
    int rc = read_file(path, 0, &b, &p);
    if (rc == 0 && file && p.secret) {
        /* Only now is it known that the file must be one that nobody else can read or replace. */
        rc = read_file(path, NK_FILE_SECRET, &b, &p);
    }
    if (rc == 0) {
        p.each = each;
        p.arg = arg;
        rc = read_all(nk_buf_ptr(&b), nk_buf_len(&b), &p);
    }
    nk_buf_clear(&b);
    return rc;
}

int hs_format_load(const char *path, const struct hs_hints *hints, struct hs_item *out,
                   struct nk_diag *diag)
{
    struct first first = {.count = 0};
    return end_first(&first, hs_format_load_each(path, hints, take_first, &first, diag), out, diag);
}

/* --- writing ---------------------------------------------------------------------------------- */

/* Does the item have what the form holds? */
static int check_holds(const struct hs_item *item, const struct hs_format_info *form,
                       struct nk_diag *diag)
{
    bool client = item->kind == HS_CLIENT;
    if (!(form->holds & (client ? (unsigned)HS_HOLDS_CLIENT : (unsigned)HS_HOLDS_IDENTITY))) {
        return nk_fail(diag, NK_EUNSUPPORTED, "the form '%s' holds %s, and this is %s", form->name,
                       client ? "identities of services" : "keys of clients",
                       client ? "a client's key" : "a service's identity");
    }
    if ((form->holds & HS_HOLDS_SECRET) && !hs_item_has_secret(item)) {
        return nk_fail(diag, NK_EUNSUPPORTED,
                       "the form '%s' holds the secret half, and this is a public key: nobody can "
                       "compute the one from the other",
                       form->name);
    }
    if ((form->holds & HS_HOLDS_SEED) && !client && !item->identity.has_seed) {
        return nk_fail(diag, NK_EUNSUPPORTED,
                       "the form '%s' holds the seed, and this is an expanded key, from which "
                       "nobody can compute it",
                       form->name);
    }
    return 0;
}

int hs_format_write(const struct hs_item *item, enum hs_format f, struct nk_buf *out,
                    struct nk_diag *diag)
{
    const struct hs_format_info *form = hs_format_info(f);
    struct nk_buf b;
    if (!form) {
        return nk_fail(diag, NK_EINTERNAL, "no such form");
    }
    int rc = check_holds(item, form, diag);
    if (rc < 0) {
        return rc;
    }
    nk_buf_init_secret(&b, HS_FORMAT_MAX);
    begin_diag(diag);
    rc = forms[f].write(item, f, &b, diag);
    rc = rc < 0 ? rc : nk_buf_put(out, nk_buf_ptr(&b), nk_buf_len(&b));
    nk_buf_clear(&b);
    return end_diag(rc, "writing a key", diag);
}
