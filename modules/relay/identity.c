/* SPDX-License-Identifier: MIT */
#include "relay/identity.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "relay/stretch.h"

#define SSH_TYPE "ssh-ed25519"
#define PIN_PREFIX "sha256:"
#define PICKLE_PROTO 0x80 /* the first byte of a payload; no UTF-8 character begins with it */

enum {
    HASH = 32,
    SSH_BLOB = 4 + 11 + 4 + RELAY_LOGIN_KEY_BYTES, /* RFC 8709 §4: string type, string key */
    KEYS_MAX = 4096
};

/* What a certificate must have in it. */
struct relay_cert_rule {
    char *name; /* a line of relay_peer's names; NULL: hash */
    uint8_t hash[HASH];
};

struct relay_identities {
    uint32_t refs;
    struct relay_stretch_params params;
    struct relay_identity *first, *last;
    struct relay_password *passwords[RELAY_PASSWORDS_MAX]; /* in the order they were added */
    size_t npasswords;
    size_t nkeys;
};

struct relay_identities *relay_identities_new(const struct relay_stretch_params *params)
{
    struct relay_identities *s = calloc(1, sizeof(*s));
    if (s) {
        s->refs = 1;
        s->params = *params;
    }
    return s;
}

struct relay_identities *relay_identities_ref(struct relay_identities *s)
{
    s->refs++;
    return s;
}

static void password_free(struct relay_password *p)
{
    nk_secret_clear(&p->text);
    nk_secret_clear(&p->prs);
    free(p);
}

static void identity_free(struct relay_identity *id)
{
    for (size_t i = 0; i < id->ncerts; i++) {
        free(id->certs[i].name);
    }
    free(id->certs);
    free(id->keys);
    free(id->uids);
    free(id);
}

void relay_identities_unref(struct relay_identities *s)
{
    if (!s || --s->refs > 0) {
        return;
    }
    for (size_t i = 0; i < s->npasswords; i++) {
        password_free(s->passwords[i]);
    }
    while (s->first) {
        struct relay_identity *id = s->first;
        s->first = id->next;
        identity_free(id);
    }
    free(s);
}

/* --- filling ---------------------------------------------------------------------------------- */

static bool name_ok(const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || n > RELAY_IDENTITY_MAX || !nk_utf8_valid(name, n)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)name[i] < ' ' || name[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

int relay_identities_add(struct relay_identities *s, const char *name, struct relay_identity **out,
                         struct nk_diag *diag)
{
    if (!name_ok(name)) {
        return nk_fail(diag, NK_ECONFIG, "an identity's name has 1 to %d printable bytes",
                       RELAY_IDENTITY_MAX);
    }
    for (struct relay_identity *id = s->first; id; id = id->next) {
        if (strcmp(id->name, name) == 0) {
            *out = id;
            return 0;
        }
    }
    struct relay_identity *id = calloc(1, sizeof(*id));
    if (!id) {
        return nk_fail_sys(diag, -ENOMEM, "identity '%s'", name);
    }
    memcpy(id->name, name, strlen(name));
    *(s->last ? &s->last->next : &s->first) = id;
    s->last = id;
    *out = id;
    return 0;
}

/* Does b begin with a (or equal it)? Constant time in the bytes. */
static bool begins_with(const struct nk_secret *b, const struct nk_secret *a)
{
    return a->len <= b->len && sodium_memcmp(a->data, b->data, a->len) == 0;
}

static int check_password(const struct relay_identities *s, const struct relay_identity *id,
                          const struct nk_secret *pw, bool *known, struct nk_diag *diag)
{
    *known = false;
    if (pw->len == 0) {
        return nk_fail(diag, NK_ECONFIG, "identity '%s': the password is empty", id->name);
    }
    for (size_t i = 0; i < s->npasswords; i++) {
        const struct relay_password *p = s->passwords[i];
        if (p->text.len != pw->len || !begins_with(&p->text, pw)) {
            continue;
        }
        if (p->identity != id) {
            return nk_fail(diag, NK_ECONFIG, "identities '%s' and '%s' have the same password",
                           p->identity->name, id->name);
        }
        *known = true;
    }
    if (s->npasswords == RELAY_PASSWORDS_MAX && !*known) {
        return nk_fail(diag, NK_ECONFIG, "more than %d passwords", RELAY_PASSWORDS_MAX);
    }
    return 0;
}

int relay_identity_password(struct relay_identities *s, struct relay_identity *id,
                            struct nk_secret *take_password, struct nk_diag *diag)
{
    bool known;
    int rc = check_password(s, id, take_password, &known, diag);
    if (rc < 0) {
        return rc;
    }
    if (known) { /* given twice */
        nk_secret_clear(take_password);
        return 0;
    }
    struct relay_password *p = calloc(1, sizeof(*p));
    if (!p) {
        return nk_fail_sys(diag, -ENOMEM, "identity '%s'", id->name);
    }
    p->identity = id;
    p->text = *take_password;
    *take_password = (struct nk_secret){0};
    for (size_t i = 0; i < s->npasswords; i++) {
        struct relay_password *q = s->passwords[i];
        q->continued |= begins_with(&p->text, &q->text);
        p->continued |= begins_with(&q->text, &p->text);
    }
    s->passwords[s->npasswords++] = p;
    return 0;
}

/* The 32 bytes out of one of the forms of relay_identity_key. */
static bool parse_key(const char *text, uint8_t key[RELAY_LOGIN_KEY_BYTES])
{
    static const uint8_t head[] = "\0\0\0\x0b" SSH_TYPE "\0\0\0\x20";
    uint8_t blob[SSH_BLOB];
    size_t n = strcspn(text, " \t");
    if (n == strlen(SSH_TYPE) && memcmp(text, SSH_TYPE, n) == 0) {
        text += n + strspn(text + n, " \t");
        n = strcspn(text, " \t");
        if (nk_base64_decode(blob, sizeof(blob), text, n) != (ssize_t)sizeof(blob) ||
            memcmp(blob, head, sizeof(head) - 1) != 0) {
            return false;
        }
        memcpy(key, blob + sizeof(head) - 1, RELAY_LOGIN_KEY_BYTES);
        return true;
    }
    return nk_hex_decode(key, RELAY_LOGIN_KEY_BYTES, text, strlen(text), false) ==
               RELAY_LOGIN_KEY_BYTES ||
           nk_base64_decode(key, RELAY_LOGIN_KEY_BYTES, text, strlen(text)) ==
               RELAY_LOGIN_KEY_BYTES;
}

int relay_identity_key(struct relay_identities *s, struct relay_identity *id, const char *text,
                       struct nk_diag *diag)
{
    uint8_t key[RELAY_LOGIN_KEY_BYTES];
    if (!parse_key(text, key) || !crypto_core_ed25519_is_valid_point(key)) {
        return nk_fail(diag, NK_ECONFIG, "identity '%s': '%.80s' is no Ed25519 public key",
                       id->name, text);
    }
    const struct relay_identity *other = relay_identities_by_key(s, key);
    if (other == id) {
        return 0;
    }
    if (other) {
        return nk_fail(diag, NK_ECONFIG, "identities '%s' and '%s' have the same key", other->name,
                       id->name);
    }
    if (id->nkeys >= KEYS_MAX) {
        return nk_fail(diag, NK_ECONFIG, "identity '%s': too many keys", id->name);
    }
    void *v = realloc(id->keys, (id->nkeys + 1) * sizeof(*id->keys));
    if (!v) {
        return nk_fail_sys(diag, -ENOMEM, "identity '%s'", id->name);
    }
    id->keys = v;
    memcpy(id->keys[id->nkeys++], key, sizeof(key));
    s->nkeys++;
    return 0;
}

/* "sha256:" and hex or base64. */
static bool parse_pin(const char *text, uint8_t hash[HASH])
{
    const char *p = text + strlen(PIN_PREFIX);
    return nk_hex_decode(hash, HASH, p, strlen(p), true) == HASH ||
           nk_base64_decode(hash, HASH, p, strlen(p)) == HASH;
}

static bool is_name_rule(const char *text)
{
    static const char *const kinds[] = {"CN:", "DNS:", "URI:", "IP:", "EMAIL:"};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t n = strlen(kinds[i]);
        if (strncmp(text, kinds[i], n) == 0) {
            return text[n] && strlen(text) < RELAY_CERT_TEXT && !strchr(text, '\n');
        }
    }
    return false;
}

int relay_identity_cert(struct relay_identities *s, struct relay_identity *id, const char *text,
                        struct nk_diag *diag)
{
    struct relay_cert_rule rule = {0};
    (void)s;
    bool pin = strncmp(text, PIN_PREFIX, strlen(PIN_PREFIX)) == 0;
    if (pin ? !parse_pin(text, rule.hash) : !is_name_rule(text)) {
        int rc = nk_fail(diag, NK_ECONFIG, "identity '%s': cert = '%.80s' is not understood",
                         id->name, text);
        nk_hint(diag, "write CN:name, DNS:name, URI:uri, IP:address, EMAIL:address or sha256:hash");
        return rc;
    }
    if (id->ncerts >= KEYS_MAX) {
        return nk_fail(diag, NK_ECONFIG, "identity '%s': too many certificates", id->name);
    }
    struct relay_cert_rule *v = realloc(id->certs, (id->ncerts + 1) * sizeof(*v));
    if (v) {
        id->certs = v;
    }
    if (!v || (!pin && !(rule.name = strdup(text)))) {
        return nk_fail_sys(diag, -ENOMEM, "identity '%s'", id->name);
    }
    v[id->ncerts++] = rule;
    return 0;
}

int relay_identity_uid(struct relay_identities *s, struct relay_identity *id, int64_t uid,
                       struct nk_diag *diag)
{
    const struct relay_identity *other = relay_identities_by_uid(s, uid);
    if (other == id) {
        return 0;
    }
    if (other || uid < 0 || id->nuids >= KEYS_MAX) {
        return nk_fail(diag, NK_ECONFIG, "identity '%s': uid %lld %s%s", id->name, (long long)uid,
                       other ? "is already " : "cannot be taken", other ? other->name : "");
    }
    int64_t *v = realloc(id->uids, (id->nuids + 1) * sizeof(*v));
    if (!v) {
        return nk_fail_sys(diag, -ENOMEM, "identity '%s'", id->name);
    }
    id->uids = v;
    v[id->nuids++] = uid;
    return 0;
}

static int stretch_one(const struct relay_stretch_params *params, struct relay_password *p)
{
    int rc = nk_secret_alloc(&p->prs, RELAY_LOGIN_PRS);
    if (rc == 0) {
        rc = relay_stretch(params, p->text.data, p->text.len, p->prs.data);
    }
    if (rc < 0) {
        nk_secret_clear(&p->prs);
    }
    return rc;
}

int relay_identities_stretch(struct relay_identities *s)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < s->npasswords; i++) {
        if (s->passwords[i]->prs.len == 0) {
            rc = stretch_one(&s->params, s->passwords[i]);
        }
    }
    return rc;
}

static const struct relay_password *same_text(const struct relay_identities *s,
                                              const struct relay_password *p)
{
    for (size_t i = 0; i < s->npasswords; i++) {
        if (nk_secret_eq(&s->passwords[i]->text, p->text.data, p->text.len)) {
            return s->passwords[i];
        }
    }
    return NULL;
}

static bool same_params(const struct relay_stretch_params *a, const struct relay_stretch_params *b)
{
    return memcmp(a->salt, b->salt, sizeof(a->salt)) == 0 && a->mem_kib == b->mem_kib &&
           a->passes == b->passes;
}

size_t relay_identities_adopt(struct relay_identities *s, const struct relay_identities *old)
{
    size_t left = 0;
    bool usable = old && same_params(&s->params, &old->params);
    for (size_t i = 0; i < s->npasswords; i++) {
        struct relay_password *p = s->passwords[i];
        const struct relay_password *was = usable && p->prs.len == 0 ? same_text(old, p) : NULL;
        if (was && was->prs.len) {
            nk_secret_set(&p->prs, was->prs.data, was->prs.len); /* or it is stretched again */
        }
        left += p->prs.len == 0;
    }
    return left;
}

/* --- questions -------------------------------------------------------------------------------- */

const struct relay_stretch_params *relay_identities_params(const struct relay_identities *s)
{
    return &s->params;
}

const struct relay_identity *relay_identities_find(const struct relay_identities *s,
                                                   const char *name, size_t len)
{
    for (const struct relay_identity *id = s->first; id; id = id->next) {
        if (strlen(id->name) == len && memcmp(id->name, name, len) == 0) {
            return id;
        }
    }
    return NULL;
}

size_t relay_identities_passwords(const struct relay_identities *s)
{
    return s->npasswords;
}

size_t relay_identities_candidates(const struct relay_identities *s, const char *name, size_t len,
                                   const struct relay_password *out[RELAY_CANDIDATES_MAX])
{
    const struct relay_identity *only = len ? relay_identities_find(s, name, len) : NULL;
    size_t n = 0;
    for (size_t i = 0; i < s->npasswords && n < RELAY_CANDIDATES_MAX; i++) {
        const struct relay_password *p = s->passwords[i];
        if (p->prs.len == RELAY_LOGIN_PRS && (len == 0 || (only && p->identity == only))) {
            out[n++] = p;
        }
    }
    return n;
}

const struct relay_identity *relay_identities_by_key(const struct relay_identities *s,
                                                     const uint8_t key[RELAY_LOGIN_KEY_BYTES])
{
    for (const struct relay_identity *id = s->first; id; id = id->next) {
        for (size_t i = 0; i < id->nkeys; i++) {
            if (memcmp(id->keys[i], key, RELAY_LOGIN_KEY_BYTES) == 0) {
                return id;
            }
        }
    }
    return NULL;
}

bool relay_identities_any_key(const struct relay_identities *s)
{
    return s->nkeys > 0;
}

/* Is `name` one of the lines? */
static bool has_line(const char *lines, const char *name)
{
    size_t len = strlen(name);
    while (*lines) {
        size_t n = strcspn(lines, "\n");
        if (n == len && memcmp(lines, name, n) == 0) {
            return true;
        }
        lines += n + (lines[n] == '\n');
    }
    return false;
}

static bool rule_matches(const struct relay_cert_rule *r, const struct relay_peer *peer)
{
    if (!r->name) {
        return memcmp(r->hash, peer->cert_hash, HASH) == 0 ||
               memcmp(r->hash, peer->spki_hash, HASH) == 0;
    }
    return has_line(peer->names, r->name);
}

const struct relay_identity *relay_identities_by_cert(const struct relay_identities *s,
                                                      const struct relay_peer *peer)
{
    if (!peer->certificate) {
        return NULL;
    }
    for (const struct relay_identity *id = s->first; id; id = id->next) {
        for (size_t i = 0; i < id->ncerts; i++) {
            if (rule_matches(&id->certs[i], peer)) {
                return id;
            }
        }
    }
    return NULL;
}

const struct relay_identity *relay_identities_by_uid(const struct relay_identities *s, int64_t uid)
{
    for (const struct relay_identity *id = s->first; id; id = id->next) {
        for (size_t i = 0; i < id->nuids; i++) {
            if (id->uids[i] == uid) {
                return id;
            }
        }
    }
    return NULL;
}

int relay_identities_shown(const struct relay_identities *s, const void *p, size_t n,
                           const struct relay_password **out)
{
    const uint8_t *bytes = p;
    const struct relay_password *match = NULL;
    size_t longest = 0;
    for (size_t i = 0; i < s->npasswords; i++) {
        const struct relay_password *pw = s->passwords[i];
        size_t len = pw->text.len;
        longest = len > longest ? len : longest;
        if (len <= n && nk_secret_eq(&pw->text, bytes, len) && (!match || len > match->text.len)) {
            match = pw;
        }
    }
    if (!match) { /* never earlier: it would tell how many bytes were right */
        return n < longest ? 0 : NK_EAUTH;
    }
    /* the beginning of a longer one? A payload follows at once, and no character looks like it */
    if (n < longest && match->continued &&
        (n == match->text.len || bytes[match->text.len] != PICKLE_PROTO)) {
        return 0;
    }
    *out = match;
    return 1;
}
