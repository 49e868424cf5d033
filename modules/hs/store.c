/* SPDX-License-Identifier: MIT */
#include "hs/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/onion.h"
#include "hs/client_dir.h"
#include "hs/entries.h"
#include "hs/keystore.h"
#include "hs/trust.h"

enum { GROW = 16 }; /* entries that are added to the room of a list at a time */

const char *hs_store_name(enum hs_store_kind kind)
{
#define HS_STORE_NAME(constant, name) name,
    static const char *const names[] = {HS_STORES(HS_STORE_NAME)};
#undef HS_STORE_NAME
    return names[kind];
}

/* --- entries ---------------------------------------------------------------------------------- */

struct hs_client_entry *hs_entries_add(struct hs_client_entries *l, const char *name)
{
    if (l->n % GROW == 0) {
        struct hs_client_entry *v = realloc(l->v, (l->n + GROW) * sizeof(*v));
        if (!v) {
            return NULL;
        }
        l->v = v;
    }
    struct hs_client_entry *e = &l->v[l->n];
    *e = (struct hs_client_entry){.name = strdup(name)};
    if (!e->name) {
        return NULL;
    }
    l->n++;
    return e;
}

int hs_entry_problem(struct hs_client_entry *e, const struct nk_diag *diag)
{
    if (diag->code == -ENOMEM) {
        return -ENOMEM;
    }
    e->problem = strdup(diag->text);
    return e->problem ? 0 : -ENOMEM;
}

void hs_client_entries_clear(struct hs_client_entries *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->v[i].name);
        free(l->v[i].problem);
    }
    free(l->v);
    *l = (struct hs_client_entries){0};
}

int hs_entry_read(const struct hs_place *p, const char *name, enum hs_format format,
                  struct nk_buf *b, struct hs_item *out, struct nk_diag *diag)
{
    struct hs_hints hints = {.format = format};
    struct nk_diag own = {0};
    diag = diag ? diag : &own;
    nk_buf_init_secret(b, HS_PLACE_FILE_MAX + 1);
    int rc = hs_place_read(p, name, b, diag);
    if (rc == 0) {
        rc = hs_format_read_as(nk_buf_ptr(b), nk_buf_len(b), &hints, out, diag);
        if (rc < 0) {
            nk_fail_context(diag, "%s/%s", p->path, name);
        }
    }
    return rc;
}

/* --- the store -------------------------------------------------------------------------------- */

int hs_store_open(struct hs_store *s, enum hs_store_kind kind, const char *dir,
                  enum hs_store_access access, struct nk_diag *diag)
{
    *s = (struct hs_store){.kind = kind};
    unsigned flags = (access == HS_STORE_READ ? 0u : HS_PLACE_LOCK) |
                     (access == HS_STORE_CREATE ? HS_PLACE_CREATE : 0u);
    int rc = hs_place_open(&s->place, dir, flags, diag);
    rc = rc < 0 ? rc : hs_trust_require(&s->place, kind == HS_STORE_ARTI, diag);
    if (rc < 0) {
        hs_place_close(&s->place);
        return rc;
    }
    s->in_use = kind == HS_STORE_ARTI && hs_keystore_in_use(&s->place);
    return 0;
}

void hs_store_close(struct hs_store *s)
{
    hs_place_close(&s->place);
}

int hs_store_list(const struct hs_store *s, struct hs_client_entries *out, struct nk_diag *diag)
{
    return s->kind == HS_STORE_ARTI ? hs_keystore_list(&s->place, out, diag)
                                    : hs_client_dir_list(&s->place, out, diag);
}

/* How well an entry fits: client/ADDRESS, the only form that arti knows, goes before. 0: not. */
static int rank(const struct hs_store *s, const struct hs_client_entry *e, const char *client)
{
    if (s->kind == HS_STORE_CTOR) {
        return 1;
    }
    return e->client[0] == '\0' ? 2 : !client || strcmp(e->client, client) == 0;
}

static int several(const struct hs_store *s, const char *a, const char *b, struct nk_diag *diag)
{
    int rc = nk_fail(diag, NK_EFORMAT, "%s: '%s' and '%s' are for the same service", s->place.path,
                     a, b);
    if (s->kind == HS_STORE_CTOR) {
        nk_hint(diag, "tor does not start with both, and a running one ends at SIGHUP; remove one");
    } else {
        nk_hint(diag, "choose one with --nickname");
    }
    return rc;
}

int hs_store_find(const struct hs_store *s, const uint8_t address[HS_PUBLIC_KEY],
                  const char *client, char name[NK_PATH_MAX], struct nk_diag *diag)
{
    struct hs_client_entries l;
    const struct hs_client_entry *found = NULL, *twin = NULL;
    char text[NK_ONION_SIZE];
    int best = 0, rc = hs_store_list(s, &l, diag);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < l.n; i++) {
        const struct hs_client_entry *e = &l.v[i];
        int fit = e->has_address && memcmp(e->address, address, HS_PUBLIC_KEY) == 0
                      ? rank(s, e, client)
                      : 0;
        if (fit > best) {
            found = e;
            twin = NULL;
            best = fit;
        } else if (fit == best && fit > 0) {
            twin = e;
        }
    }
    if (!found) {
        nk_onion_format(text, address);
        rc = nk_fail(diag, -ENOENT, "%s has no key for %s", s->place.path, text);
    } else if (twin) {
        rc = several(s, found->name, twin->name, diag);
    } else {
        snprintf(name, NK_PATH_MAX, "%s", found->name);
    }
    hs_client_entries_clear(&l);
    return rc;
}

int hs_store_read(const struct hs_store *s, const char *name, const uint8_t address[HS_PUBLIC_KEY],
                  struct hs_client *out, struct nk_diag *diag)
{
    struct hs_item item;
    struct nk_buf b;
    bool arti = s->kind == HS_STORE_ARTI;
    int rc =
        hs_entry_read(&s->place, name, arti ? HS_ARTI_PRIVATE : HS_AUTH_PRIVATE, &b, &item, diag);
    nk_buf_clear(&b);
    if (rc != 0) {
        return rc;
    }
    if (item.kind != HS_CLIENT) {
        rc =
            nk_fail(diag, NK_EFORMAT, "%s/%s: the key in it is no x25519 key", s->place.path, name);
    } else if (!arti && memcmp(item.address, address, HS_PUBLIC_KEY) != 0) {
        rc = nk_fail(diag, NK_EFORMAT, "%s/%s: is for another service", s->place.path, name);
    } else {
        *out = item.client;
    }
    hs_item_wipe(&item);
    return rc;
}

/* --- changes ---------------------------------------------------------------------------------- */

/* A .auth_private file; its place takes care that there is none of this name. */
static int write_auth(const struct hs_place *p, const char *name, unsigned flags,
                      const struct hs_item *item, struct nk_diag *diag)
{
    struct nk_buf b;
    nk_buf_init_secret(&b, HS_PLACE_FILE_MAX);
    int rc = hs_format_write(item, HS_AUTH_PRIVATE, &b, diag);
    rc = rc < 0 ? rc : hs_place_write(p, name, flags, nk_buf_ptr(&b), nk_buf_len(&b), diag);
    nk_buf_clear(&b);
    return rc;
}

static int write_key(const struct hs_store *s, const char *name, unsigned flags,
                     const uint8_t address[HS_PUBLIC_KEY], const struct hs_client *key,
                     struct nk_diag *diag)
{
    struct hs_item item;
    hs_item_from_client(&item, key, address);
    int rc = s->kind == HS_STORE_ARTI ? hs_keystore_write(&s->place, name, flags, &item, diag)
                                      : write_auth(&s->place, name, flags, &item, diag);
    hs_item_wipe(&item);
    return rc;
}

int hs_store_add(const struct hs_store *s, const uint8_t address[HS_PUBLIC_KEY],
                 const struct hs_client *key, char name[NK_PATH_MAX], struct nk_diag *diag)
{
    char file[NK_PATH_MAX];
    if (s->kind == HS_STORE_ARTI) {
        hs_artipath_client(file, sizeof(file), address); /* fits: its length is fixed */
    } else {
        hs_client_dir_name(file, address);
    }
    int rc = write_key(s, file, 0, address, key, diag);
    if (rc == 0 && name) {
        memcpy(name, file, sizeof(file));
    }
    return rc;
}

static int keep(const struct hs_store *s, const char *name, const uint8_t address[HS_PUBLIC_KEY],
                char *kept, struct nk_diag *diag)
{
    char dir[NK_PATH_MAX + sizeof(HS_STORE_REPLACED)], file[NK_PATH_MAX], text[NK_ONION_SIZE],
        print[HS_FINGERPRINT_SIZE];
    struct hs_client old;
    struct hs_item item;
    struct hs_place p;
    size_t n = strlen(s->place.path);
    int rc = hs_store_read(s, name, address, &old, diag);
    if (rc < 0) {
        return rc;
    }
    while (n > 1 && s->place.path[n - 1] == '/') {
        n--;
    }
    snprintf(dir, sizeof(dir), "%.*s" HS_STORE_REPLACED, (int)n, s->place.path);
    nk_onion_format(text, address);
    hs_client_fingerprint(print, old.pub);
    snprintf(file, sizeof(file), "%.*s.%s" HS_CLIENT_DIR_SUFFIX, NK_ONION_LABEL, text, print);
    hs_item_from_client(&item, &old, address);
    rc = hs_place_open(&p, dir, HS_PLACE_CREATE | HS_PLACE_LOCK, diag);
    rc = rc < 0 ? rc : hs_trust_require(&p, false, diag);
    rc = rc < 0 ? rc : write_auth(&p, file, HS_PLACE_OVERWRITE, &item, diag);
    if (rc == 0 && kept && nk_path_join(kept, NK_PATH_MAX, dir, file) < 0) {
        rc = nk_fail(diag, NK_ETOOBIG, "the path %.64s.. is too long", dir);
    }
    hs_place_close(&p);
    hs_item_wipe(&item);
    hs_client_wipe(&old);
    return rc;
}

int hs_store_replace(const struct hs_store *s, const char *name,
                     const uint8_t address[HS_PUBLIC_KEY], const struct hs_client *key,
                     bool keep_old, char *kept, struct nk_diag *diag)
{
    int rc = keep_old ? keep(s, name, address, kept, diag) : 0;
    if (!keep_old && kept) {
        *kept = '\0';
    }
    return rc < 0 ? rc : write_key(s, name, HS_PLACE_OVERWRITE, address, key, diag);
}

int hs_store_remove(const struct hs_store *s, const char *name, struct nk_diag *diag)
{
    return s->kind == HS_STORE_ARTI ? hs_keystore_remove(&s->place, name, diag)
                                    : hs_place_remove(&s->place, name, diag);
}
