/* SPDX-License-Identifier: MIT */
/* Checks of tor's directory of a service and of its authorised clients. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/onion.h"
#include "hs/auth.h"
#include "hs/check_impl.h"
#include "hs/ctor_dir.h"
#include "hs/format.h"
#include "hs/slug.h"
#include "hs/twins.h"

enum {
    SECRET_SIZE = 96, /* tag and expanded secret */
    PUBLIC_SIZE = 64, /* tag and point */
    TAG_SIZE = 32,
};

static const char PUBLIC_TAG[TAG_SIZE] = "== ed25519v1-public: type0 ==";

/* --- keys ------------------------------------------------------------------------------------- */

/* One of the key files. */
struct half {
    const char *name;
    enum hs_format format;
    char path[NK_PATH_MAX];
    bool there, good;
    bool whole; /* a public one that tor reads, whatever point it has: size and tag are right */
    size_t size;
    struct nk_diag why; /* when it is there and not good */
    struct hs_item item;
};

static void read_half(struct hs_check *c, const struct hs_place *p, struct half *h)
{
    struct nk_buf b;
    struct hs_hints hints = {.format = h->format, .kind = HS_IDENTITY};
    hs_check_path(h->path, p, h->name);
    h->there = hs_place_has(p, h->name);
    if (!h->there || !hs_trust_entry(&c->trust, p, h->name, c->l)) {
        return;
    }
    if (hs_check_read(c, p, h->name, &b)) {
        h->size = nk_buf_len(&b);
        h->whole = h->size == PUBLIC_SIZE && memcmp(nk_buf_ptr(&b), PUBLIC_TAG, TAG_SIZE) == 0;
        h->good = hs_format_read_as(nk_buf_ptr(&b), h->size, &hints, &h->item, &h->why) == 0;
    }
    nk_buf_clear(&b);
}

/* tor takes a file of another size for one that is not there: without a public key that it can read
 * it makes a new identity then, and overwrites the file (measured with tor 0.4.9.11). */
static void judge_secret(struct hs_check *c, const struct half *secret, const struct half *public)
{
    if (!secret->there || secret->good || !secret->why.text[0]) {
        return;
    }
    bool destroyed = secret->size != SECRET_SIZE && !public->good;
    hs_find(c->l, HS_ERROR, secret->path, "key", "%s; %s", secret->why.text,
            destroyed ? "tor would make a new identity and overwrite this file"
                      : "tor does not start with it");
    hs_find_remedy(c->l, destroyed
                             ? "do not start tor; put the right key there, and its public half"
                             : "put the right key there");
}

static void judge_public(struct hs_check *c, const struct half *secret, const struct half *public)
{
    if (public->there && !public->good && public->why.text[0]) {
        bool renewed = secret->good && !public->whole; /* measured with tor 0.4.9.11 */
        hs_find(c->l, renewed ? HS_WARNING : HS_ERROR, public->path, "key", "%s; %s",
                public->why.text, renewed ? "tor writes it anew" : "tor does not start with it");
        hs_find_remedy(c->l, "remove it");
    }
    if (secret->good && public->good &&
        !hs_identity_same(&secret->item.identity, &public->item.identity)) {
        hs_find(c->l, HS_ERROR, public->path, "key",
                "is not the public half of the secret key; tor does not start with it");
        hs_find_remedy(c->l, "remove it if the secret key is the right one");
    } else if (secret->good && !public->there) {
        hs_find(
            c->l, HS_WARNING, public->path, NULL,
            "is missing; tor writes it, but without it a damaged secret key would be overwritten");
    } else if (!secret->there && public->there) {
        hs_find(c->l, HS_ERROR, secret->path, NULL,
                "is missing and its public half is there; tor does not start");
        hs_find_remedy(c->l,
                       "put the secret key there, or remove the public one for a new identity");
    }
}

static void judge_hostname(struct hs_check *c, const struct half *key, const struct half *hostname)
{
    char address[NK_ONION_SIZE];
    if (!hostname->there || !hostname->why.text[0]) {
        if (hostname->good && key->good &&
            !hs_identity_same(&key->item.identity, &hostname->item.identity)) {
            nk_onion_format(address, key->item.identity.pub);
            hs_find(c->l, HS_WARNING, hostname->path, "address",
                    "is another service's; tor corrects it at its next start, to %s", address);
        }
        return;
    }
    hs_find(c->l, HS_WARNING, hostname->path, "address", "%s; tor writes it anew at its next start",
            hostname->why.text);
}

static void check_keys(struct hs_check *c, const struct hs_place *p)
{
    struct half secret = {.name = HS_CTOR_SECRET_FILE, .format = HS_CTOR_SECRET};
    struct half public = {.name = HS_CTOR_PUBLIC_FILE, .format = HS_CTOR_PUBLIC};
    struct half hostname = {.name = HS_CTOR_HOSTNAME_FILE, .format = HS_HOSTNAME};
    read_half(c, p, &secret);
    read_half(c, p, &public);
    read_half(c, p, &hostname);
    judge_secret(c, &secret, &public);
    judge_public(c, &secret, &public);
    judge_hostname(c, secret.good ? &secret : &public, &hostname);
    if (!secret.there && !public.there) {
        hs_find(c->l, hostname.there ? HS_WARNING : HS_NOTE, p->path, NULL,
                "has no key: tor makes a new identity");
    }
    hs_item_wipe(&secret.item);
}

/* --- authorised clients ----------------------------------------------------------------------- */

/* Those that count. */
struct clients {
    struct {
        uint8_t pub[HS_PUBLIC_KEY];
        const char *name;
    } * v;
    size_t n;
    size_t files; /* that end in .auth */
};

static bool has_tail(const char *name, const char *tail)
{
    size_t n = strlen(name), t = strlen(tail);
    return n >= t && strcmp(name + n - t, tail) == 0;
}

static void judge_name(struct hs_check *c, const char *path, const char *name)
{
    size_t n = strlen(name) - strlen(HS_AUTH_EXTENSION);
    if (!hs_slug_ok(name, n)) {
        hs_find(c->l, HS_WARNING, path, "name",
                "'%.*s' is no nickname of arti (a-z, 0-9, _ and -), which passes over this file",
                (int)n, name);
    }
}

static void judge_client(struct hs_check *c, const struct hs_place *p, const char *name,
                         struct clients *all)
{
    char path[NK_PATH_MAX];
    struct nk_buf b;
    struct nk_diag why;
    struct hs_auth_oddities odd = {0};
    uint8_t pub[HS_PUBLIC_KEY];
    hs_check_path(path, p, name);
    judge_name(c, path, name);
    if (!hs_check_read(c, p, name, &b)) {
        nk_buf_clear(&b);
        return;
    }
    int rc = hs_auth_line_parse(nk_buf_ptr(&b), nk_buf_len(&b), pub, &odd, &why);
    nk_buf_clear(&b);
    if (rc < 0) {
        hs_find(c->l, HS_ERROR, path, NULL, "%s; this client cannot get in", why.text);
        hs_find_remedy(c->l, "ask the client for the line descriptor:x25519:.. again");
        return;
    }
    hs_check_oddities(c, path, &odd);
    memcpy(all->v[all->n].pub, pub, sizeof(pub));
    all->v[all->n++].name = name;
}

static void judge_entry(struct hs_check *c, const struct hs_place *p, const char *name,
                        struct clients *all)
{
    char path[NK_PATH_MAX];
    hs_check_path(path, p, name);
    if (hs_check_leftover(c, p, name)) {
        return;
    }
    if (!has_tail(name, HS_AUTH_EXTENSION)) {
        hs_find(c->l, HS_WARNING, path, "name",
                "does not end in .auth: tor ignores it and warns of it at each load");
        hs_find_remedy(c->l, "move it to another directory");
        return;
    }
    all->files++;
    if (hs_trust_entry(&c->trust, p, name, c->l)) {
        judge_client(c, p, name, all);
    }
}

/* *different: how many there are, each counted once. */
static int judge_twins(struct hs_check *c, const struct hs_place *p, const struct clients *all,
                       size_t *different, struct nk_diag *diag)
{
    char path[NK_PATH_MAX];
    struct hs_twin *v = calloc(all->n + 1, sizeof(*v));
    if (!v) {
        return nk_fail_sys(diag, -ENOMEM, "check of %s", p->path);
    }
    for (size_t i = 0; i < all->n; i++) {
        v[i] = (struct hs_twin){.key = all->v[i].pub, .index = i};
    }
    hs_twins_find(v, all->n);
    *different = 0;
    for (size_t i = 0; i < all->n; i++) {
        *different += v[i].first == i;
        if (v[i].first != i) {
            hs_check_path(path, p, all->v[i].name);
            hs_find(c->l, HS_WARNING, path, "key", "is the same as in %s", all->v[v[i].first].name);
        }
    }
    free(v);
    return 0;
}

int hs_check_authorized(struct hs_check *c, const struct hs_place *p, struct nk_diag *diag)
{
    struct hs_names names;
    struct clients all = {0};
    int rc = hs_place_list(p, &names, diag);
    if (rc < 0) {
        return rc;
    }
    all.v = calloc(names.n + 1, sizeof(*all.v));
    if (!all.v) {
        hs_names_clear(&names);
        return nk_fail_sys(diag, -ENOMEM, "check of %s", p->path);
    }
    for (size_t i = 0; i < names.n; i++) {
        judge_entry(c, p, names.v[i], &all);
    }
    size_t different = 0;
    rc = judge_twins(c, p, &all, &different, diag);
    if (all.n == 0 && names.n > 0) {
        hs_find(c->l, all.files ? HS_ERROR : HS_WARNING, p->path, NULL,
                "no file in it is a client's key: with tor the service is open to EVERYBODY");
        hs_find_remedy(c->l, "put a client's key there; 'netkit hs auth' keeps a service closed");
    }
    if (different > HS_AUTH_MANY) {
        hs_find(c->l, HS_WARNING, p->path, NULL,
                "%zu clients: more than %d may not fit into the service's descriptor", different,
                HS_AUTH_MANY);
    }
    free(all.v);
    hs_names_clear(&names);
    return rc;
}

/* --- the directory ---------------------------------------------------------------------------- */

static int check_clients_dir(struct hs_check *c, const struct hs_place *p, struct nk_diag *diag)
{
    char path[NK_PATH_MAX];
    struct hs_place sub;
    hs_check_path(path, p, HS_CTOR_CLIENTS_DIR);
    int rc = hs_place_sub(&sub, p, HS_CTOR_CLIENTS_DIR, 0, diag);
    if (rc == -ENOTDIR || rc == -ELOOP) {
        hs_find(c->l, HS_ERROR, path, NULL, "is no directory; tor ends at its start");
        return 0;
    }
    if (rc == 0 && hs_trust_entry(&c->trust, p, HS_CTOR_CLIENTS_DIR, c->l)) {
        rc = hs_check_authorized(c, &sub, diag);
    }
    hs_place_close(&sub);
    return rc;
}

static void judge_other(struct hs_check *c, const struct hs_place *p, const char *name)
{
    static const char *const known[] = {HS_CTOR_SECRET_FILE,   HS_CTOR_PUBLIC_FILE,
                                        HS_CTOR_HOSTNAME_FILE, HS_CTOR_CLIENTS_DIR,
                                        "disabled_clients",    "ob_config"};
    static const char *const version2[] = {"private_key", "client_keys"};
    char path[NK_PATH_MAX];
    hs_check_path(path, p, name);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(name, known[i]) == 0) {
            return;
        }
    }
    if (hs_check_leftover(c, p, name)) {
        return;
    }
    for (size_t i = 0; i < sizeof(version2) / sizeof(version2[0]); i++) {
        if (strcmp(name, version2[i]) == 0) {
            hs_find(c->l, HS_NOTE, path, NULL, "is of a version 2 service, which ended in 2021");
            return;
        }
    }
    hs_find(c->l, HS_NOTE, path, NULL, "is nothing that tor knows");
}

int hs_check_service(struct hs_check *c, const struct hs_place *p, struct nk_diag *diag)
{
    struct hs_names names;
    int rc = hs_place_list(p, &names, diag);
    if (rc < 0) {
        return rc;
    }
    check_keys(c, p);
    for (size_t i = 0; i < names.n; i++) {
        judge_other(c, p, names.v[i]);
    }
    hs_names_clear(&names);
    return hs_place_has(p, HS_CTOR_CLIENTS_DIR) ? check_clients_dir(c, p, diag) : 0;
}
