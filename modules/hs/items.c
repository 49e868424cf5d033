/* SPDX-License-Identifier: MIT */
#include "hs/items.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/onion.h"
#include "base/secret.h"
#include "hs/ctor_dir.h"
#include "hs/keystore.h"
#include "hs/where.h"

enum { FIRST_ITEMS = 4 };

static int make_room(struct hs_items *l)
{
    size_t cap = l->cap ? l->cap * 2 : FIRST_ITEMS;
    if (l->n < l->cap) {
        return 0;
    }
    if (l->n >= HS_ITEMS_MAX) {
        return NK_ELIMIT;
    }
    struct hs_found *v = calloc(cap, sizeof(*v)); /* not realloc: the old ones are wiped */
    if (!v) {
        return -ENOMEM;
    }
    if (l->n) {
        memcpy(v, l->v, l->n * sizeof(*v));
    }
    nk_free_wiped(l->v, l->cap * sizeof(*v));
    l->v = v;
    l->cap = cap;
    return 0;
}

int hs_items_add(struct hs_items *l, const char *source, const struct hs_item *item)
{
    int rc = make_room(l);
    char *name = rc == 0 ? strdup(source) : NULL;
    if (!name) {
        return rc < 0 ? rc : -ENOMEM;
    }
    l->v[l->n++] = (struct hs_found){.source = name, .item = *item};
    return 0;
}

const char *hs_found_name(const struct hs_found *k)
{
    return strcmp(k->source, "-") == 0 ? "standard input" : k->source;
}

void hs_items_clear(struct hs_items *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->v[i].source);
    }
    nk_free_wiped(l->v, l->cap * sizeof(*l->v));
    *l = (struct hs_items){0};
}

/* Does a key of a directory belong to what the query asks for? */
static bool wanted(const struct hs_query *q, const uint8_t *address, const struct hs_item *item)
{
    const uint8_t *is = item->kind == HS_CLIENT ? item->address : item->identity.pub;
    return (q->hints.kind == HS_ANY_KIND || q->hints.kind == item->kind) &&
           (!address || memcmp(is, address, HS_PUBLIC_KEY) == 0);
}

static int add_wanted(struct hs_items *l, const struct hs_query *q, const uint8_t *address,
                      const char *dir, const char *name, const struct hs_item *item,
                      struct nk_diag *diag)
{
    char path[NK_PATH_MAX];
    if (!wanted(q, address, item)) {
        return 0;
    }
    int rc = nk_path_join(path, sizeof(path), dir, name);
    rc = rc < 0 ? rc : hs_items_add(l, path, item);
    return rc < 0 ? nk_fail_sys(diag, rc, "%s/%s", dir, name) : 0;
}

/* --- tor's directories ------------------------------------------------------------------------ */

static int read_service(struct hs_items *l, const struct hs_query *q, const uint8_t *address,
                        const char *dir, struct nk_diag *diag)
{
    struct hs_identity k;
    struct hs_item item;
    int rc = hs_ctor_dir_read(dir, &k, diag);
    if (rc < 0) {
        return rc;
    }
    hs_item_from_identity(&item, &k);
    item.format = k.has_secret ? HS_CTOR_SECRET : HS_CTOR_PUBLIC;
    rc = add_wanted(l, q, address, dir, k.has_secret ? HS_CTOR_SECRET_FILE : HS_CTOR_PUBLIC_FILE,
                    &item, diag);
    hs_identity_wipe(&k);
    hs_item_wipe(&item);
    return rc;
}

/* One entry of a ClientOnionAuthDir. */
static int read_client(struct hs_items *l, const struct hs_query *q, const uint8_t *address,
                       const struct hs_store *s, const struct hs_client_entry *e,
                       struct nk_diag *diag)
{
    struct hs_client k;
    struct hs_item item;
    if (e->problem) {
        return nk_fail(diag, NK_EFORMAT, "%s", e->problem);
    }
    int rc = hs_store_read(s, e->name, e->address, &k, diag);
    if (rc < 0) {
        return rc;
    }
    hs_item_from_client(&item, &k, e->address);
    item.format = HS_AUTH_PRIVATE;
    rc = add_wanted(l, q, address, s->place.path, e->name, &item, diag);
    hs_client_wipe(&k);
    hs_item_wipe(&item);
    return rc;
}

static int read_clients(struct hs_items *l, const struct hs_query *q, const uint8_t *address,
                        const char *dir, struct nk_diag *diag)
{
    struct hs_store s;
    struct hs_client_entries entries = {0};
    int rc = hs_store_open(&s, HS_STORE_CTOR, dir, HS_STORE_READ, diag);
    rc = rc < 0 ? rc : hs_store_list(&s, &entries, diag);
    for (size_t i = 0; rc == 0 && i < entries.n; i++) {
        rc = read_client(l, q, address, &s, &entries.v[i], diag);
    }
    hs_client_entries_clear(&entries);
    hs_store_close(&s);
    return rc;
}

static bool is_service(const char *dir)
{
    struct hs_place p;
    bool is = hs_place_open(&p, dir, 0, NULL) == 0 &&
              (hs_place_has(&p, HS_CTOR_SECRET_FILE) || hs_place_has(&p, HS_CTOR_PUBLIC_FILE));
    hs_place_close(&p);
    return is;
}

/* --- arti's keystore -------------------------------------------------------------------------- */

/* Is it a key that a user may want, and not there in a better form? */
static bool is_kept(const struct hs_query *q, const struct hs_place *p,
                    const struct hs_artipath *path)
{
    char secret[NK_PATH_MAX];
    if (path->role == HS_ROLE_CLIENT) {
        return !q->service;
    }
    if (q->service && strcmp(q->service, path->service) != 0) {
        return false;
    }
    return path->role == HS_ROLE_ID ||
           (path->role == HS_ROLE_ID_PUBLIC &&
            hs_artipath_identity(secret, sizeof(secret), path->service) == 0 &&
            !hs_place_has(p, secret));
}

static int read_entry(struct hs_items *l, const struct hs_query *q, const uint8_t *address,
                      const struct hs_place *p, const char *name, struct nk_diag *diag)
{
    struct hs_artipath path;
    struct hs_item item;
    if (hs_artipath_parse(name, &path, NULL) < 0 || !is_kept(q, p, &path)) {
        return 0;
    }
    int rc = hs_keystore_read(p, name, &path, &item, diag);
    if (rc < 0) {
        return rc;
    }
    item.has_address = path.has_address;
    memcpy(item.address, path.address, sizeof(item.address));
    rc = add_wanted(l, q, address, p->path, name, &item, diag);
    hs_item_wipe(&item);
    return rc;
}

static int read_keystore(struct hs_items *l, const struct hs_query *q, const uint8_t *address,
                         const char *dir, struct nk_diag *diag)
{
    struct hs_store s;
    struct hs_names names = {0};
    int rc = hs_store_open(&s, HS_STORE_ARTI, dir, HS_STORE_READ, diag);
    rc = rc < 0 ? rc : hs_keystore_files(&s.place, false, &names, diag);
    for (size_t i = 0; rc == 0 && i < names.n; i++) {
        rc = read_entry(l, q, address, &s.place, names.v[i], diag);
    }
    hs_names_clear(&names);
    hs_store_close(&s);
    return rc;
}

/* --- all of them ------------------------------------------------------------------------------ */

static int read_dir(struct hs_items *l, const struct hs_query *q, struct nk_diag *diag)
{
    uint8_t address[HS_PUBLIC_KEY], *want = q->hints.address ? address : NULL;
    struct hs_where w;
    size_t before = l->n;
    int rc = 0;
    if (want) {
        rc = nk_onion_parse(address, q->hints.address, strlen(q->hints.address), diag);
    }
    rc = rc < 0 ? rc : hs_where_look(&w, q->path, diag);
    if (rc < 0) {
        return rc;
    }
    if (w.kind == HS_STORE_ARTI) {
        rc = read_keystore(l, q, want, w.dir, diag);
    } else {
        rc = is_service(w.dir) ? read_service(l, q, want, w.dir, diag)
                               : read_clients(l, q, want, w.dir, diag);
    }
    return rc == 0 && l->n == before
               ? nk_fail(diag, -ENOENT, "%s has no key%s", q->path,
                         want || q->service || q->hints.kind ? " that was asked for" : "")
               : rc;
}

struct adding {
    struct hs_items *to;
    const char *source;
};

static int add(void *arg, const struct hs_item *item)
{
    struct adding *a = arg;
    return hs_items_add(a->to, a->source, item);
}

int hs_items_read(struct hs_items *l, const struct hs_query *q, struct nk_diag *diag)
{
    struct adding a = {l, q->path};
    struct stat st;
    if (strcmp(q->path, "-") != 0 && stat(q->path, &st) == 0 && S_ISDIR(st.st_mode)) {
        return read_dir(l, q, diag);
    }
    return hs_format_load_each(q->path, &q->hints, add, &a, diag);
}
