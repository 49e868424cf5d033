/* SPDX-License-Identifier: MIT */
/*
 * One object of credentials for all dials of an app that ask for the same: so that the CA is parsed
 * once and a session is resumed. The files are read at every dial, as a changed one must count at
 * once: what they hold is part of what "the same" means. A session therefore never outlives the
 * trust settings under which its peer was verified.
 */
#include <stdlib.h>
#include <string.h>
#include <sodium.h>

#include "base/file.h"
#include "core/app.h"
#include "tls/internal.h"

enum {
    SHARED_MAX = 32, /* the least recently used is let go */
    DIGEST = 32      /* bytes of BLAKE2b */
};

/* What a set of options is known by, without and with the contents of its files. */
struct ident {
    uint8_t options[DIGEST], contents[DIGEST];
};

struct shared {
    struct shared *next; /* most recently used first */
    struct ident ident;
    struct tls_creds *creds;
};

struct registry {
    struct shared *first;
    size_t n;
};

static const char registry_key = 0;

/* --- what is the same ------------------------------------------------------------------------- */

/* With its length, so that no two lists of fields look alike. */
static void add_bytes(crypto_generichash_state *h, const void *p, size_t n)
{
    uint64_t len = p ? n : UINT64_MAX;
    crypto_generichash_update(h, (const uint8_t *)&len, sizeof(len));
    if (p && n > 0) {
        crypto_generichash_update(h, p, n);
    }
}

static void add_text(crypto_generichash_state *h, const char *text)
{
    add_bytes(h, text, text ? strlen(text) : 0);
}

static void add_list(crypto_generichash_state *h, const char *const *list, size_t n)
{
    add_bytes(h, &n, sizeof(n));
    for (size_t i = 0; i < n; i++) {
        add_text(h, list[i]);
    }
}

static void hash_options(uint8_t out[DIGEST], const struct tls_creds_conf *c)
{
    crypto_generichash_state h;
    const uint64_t numbers[] = {(uint64_t)c->role, c->tls12,        c->no_tls13,   c->end_unsaid,
                                c->unverified,     c->handshake_ms, c->rekey_bytes};
    const char *const texts[] = {c->cert,     c->key,     c->ca,  c->cert_text,
                                 c->key_text, c->ca_text, c->name};
    crypto_generichash_init(&h, NULL, 0, DIGEST);
    add_bytes(&h, numbers, sizeof(numbers));
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        add_text(&h, texts[i]);
    }
    add_list(&h, c->pins, c->npins);
    add_list(&h, c->alpn, c->nalpn);
    add_list(&h, c->suites, c->nsuites);
    crypto_generichash_final(&h, out, DIGEST);
}

static int add_file(crypto_generichash_state *h, const char *path, struct nk_diag *diag)
{
    struct nk_buf b;
    int rc = 0;
    nk_buf_init_secret(&b, TLS_PEM_MAX); /* a cert file may hold the key too */
    if (path) {
        rc = nk_file_read(path, NK_FILE_CONFIG, &b, diag);
    }
    if (rc == 0) {
        add_bytes(h, path ? nk_buf_ptr(&b) : NULL, nk_buf_len(&b));
    }
    nk_buf_clear(&b);
    return rc;
}

/* The key file's mode is checked each time, too. */
static int add_key_file(crypto_generichash_state *h, const char *path, struct nk_diag *diag)
{
    struct nk_secret key = {0};
    int rc = nk_file_read_secret(path, false, &key, diag);
    if (rc == 0) {
        add_bytes(h, key.data, key.len);
    }
    nk_secret_clear(&key);
    return rc;
}

/* The files that tls_creds_new will read for a client. */
static int hash_contents(uint8_t out[DIGEST], const struct tls_creds_conf *c, struct nk_diag *diag)
{
    crypto_generichash_state h;
    const char *ca = c->ca || c->ca_text || c->npins > 0 ? c->ca : tls_system_bundle();
    crypto_generichash_init(&h, NULL, 0, DIGEST);
    int rc = add_file(&h, c->cert, diag);
    if (rc == 0 && c->cert && !c->key_text) {
        rc = add_key_file(&h, c->key ? c->key : c->cert, diag);
    }
    rc = rc < 0 ? rc : add_file(&h, ca, diag);
    crypto_generichash_final(&h, out, DIGEST);
    return rc;
}

/* --- the registry ----------------------------------------------------------------------------- */

static void release_registry(void *value)
{
    struct registry *r = value;
    struct shared *s;
    while ((s = r->first) != NULL) {
        r->first = s->next;
        tls_creds_unref(s->creds);
        free(s);
    }
    free(r);
}

static struct registry *registry_of(struct nk_app *app)
{
    struct registry *r = nk_app_slot(app, &registry_key);
    if (r) {
        return r;
    }
    r = calloc(1, sizeof(*r));
    if (r && nk_app_slot_set(app, &registry_key, r, release_registry) < 0) {
        free(r);
        return NULL;
    }
    return r;
}

static void drop(struct registry *r, struct shared **at)
{
    struct shared *s = *at;
    *at = s->next;
    r->n--;
    tls_creds_unref(s->creds);
    free(s);
}

/* The entry, moved to the front; one whose files have changed is dropped. */
static struct tls_creds *find(struct registry *r, const struct ident *ident)
{
    for (struct shared **at = &r->first; *at; at = &(*at)->next) {
        struct shared *s = *at;
        if (memcmp(s->ident.options, ident->options, DIGEST) != 0) {
            continue;
        }
        if (memcmp(s->ident.contents, ident->contents, DIGEST) != 0) {
            drop(r, at);
            return NULL;
        }
        *at = s->next;
        s->next = r->first;
        r->first = s;
        return s->creds;
    }
    return NULL;
}

/* Without memory it is not shared. */
static void add(struct registry *r, const struct ident *ident, struct tls_creds *creds)
{
    struct shared *s = malloc(sizeof(*s));
    if (!s) {
        return;
    }
    *s = (struct shared){.next = r->first, .ident = *ident, .creds = tls_creds_ref(creds)};
    r->first = s;
    if (++r->n > SHARED_MAX) {
        struct shared **at = &r->first;
        while ((*at)->next) {
            at = &(*at)->next;
        }
        drop(r, at);
    }
}

int tls_creds_shared(struct nk_app *app, struct tls_creds **out, const struct tls_creds_conf *conf,
                     struct nk_diag *diag)
{
    struct ident ident, again;
    struct registry *r = registry_of(app);
    struct nk_diag unsaid; /* reading them for good tells what is wrong */
    hash_options(ident.options, conf);
    bool known = r && hash_contents(ident.contents, conf, &unsaid) == 0;
    struct tls_creds *found = known ? find(r, &ident) : NULL;
    if (found) {
        *out = tls_creds_ref(found);
        return 0;
    }
    struct tls_creds_conf dated = *conf;
    dated.app = app;
    int rc = tls_creds_new(out, &dated, diag);
    /* a file that changed while it was read makes credentials for this once */
    if (rc == 0 && known && hash_contents(again.contents, conf, &unsaid) == 0 &&
        memcmp(again.contents, ident.contents, DIGEST) == 0) {
        add(r, &ident, *out);
    }
    return rc;
}
