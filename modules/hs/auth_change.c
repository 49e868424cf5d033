/* SPDX-License-Identifier: MIT */
/* Changes of a service's clients. Each is one rename or one new file, so that tor and arti see the
 * state before or the one after. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/secret.h"
#include "hs/auth.h"
#include "hs/format.h"
#include "hs/slug.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1 /* linux/fs.h */
#endif

/* The clients as they are, without what is odd about them. */
static int read_list(struct hs_auth_list *l, const struct hs_auth *a, struct nk_diag *diag)
{
    struct hs_findings findings = {0};
    int rc = hs_auth_list_read(l, a, &findings, diag);
    hs_findings_clear(&findings);
    return rc;
}

static int file_name(char *out, size_t max, const char *name, struct nk_diag *diag)
{
    int n = snprintf(out, max, "%s" HS_AUTH_EXTENSION, name);
    return n > 0 && (size_t)n < max ? 0 : nk_fail(diag, NK_ETOOBIG, "the name is too long");
}

static int write_key(const struct hs_auth *a, const char *name, unsigned flags,
                     const uint8_t pub[HS_PUBLIC_KEY], struct nk_diag *diag)
{
    char file[HS_SLUG_MAX + sizeof(HS_AUTH_EXTENSION)];
    struct hs_client key;
    struct hs_item item;
    struct nk_buf text;
    int rc = file_name(file, sizeof(file), name, diag);
    rc = rc < 0 ? rc : hs_client_from_public(&key, pub, diag);
    if (rc < 0) {
        return rc;
    }
    hs_item_from_client(&item, &key, NULL);
    nk_buf_init(&text, HS_FORMAT_MAX);
    rc = hs_format_write(&item, HS_AUTH, &text, diag);
    if (rc == 0 && !a->dry) {
        rc = hs_place_write(&a->on, file, flags, nk_buf_ptr(&text), nk_buf_len(&text), diag);
    }
    nk_buf_clear(&text);
    return rc;
}

/* --- the lock --------------------------------------------------------------------------------- */

void hs_auth_nobody(uint8_t pub[HS_PUBLIC_KEY])
{
    struct hs_client key;
    do {
        nk_random(pub, HS_PUBLIC_KEY);
        pub[HS_PUBLIC_KEY - 1] &= 0x7f; /* the sign bit is none of the key's (RFC 7748 5) */
    } while (hs_client_from_public(&key, pub, NULL) < 0);
}

int hs_auth_lock(struct hs_auth *a, struct nk_diag *diag)
{
    struct hs_auth_list l;
    uint8_t pub[HS_PUBLIC_KEY];
    if (a->kind != HS_AUTH_CTOR) {
        return 0;
    }
    int rc = read_list(&l, a, diag);
    if (rc < 0) {
        return rc;
    }
    bool there = false;
    if (a->on.fd < 0 && !a->dry) {
        rc = hs_place_sub(&a->on, &a->base, a->on_name, HS_PLACE_CREATE, diag);
    }
    for (size_t i = 0; i < l.n; i++) {
        there = there || (l.v[i].lock && l.v[i].enabled && l.v[i].readable && !l.v[i].problem);
    }
    hs_auth_list_clear(&l);
    hs_auth_nobody(pub);
    return rc < 0 || there ? rc : write_key(a, HS_AUTH_LOCK, HS_PLACE_OVERWRITE, pub, diag);
}

int hs_auth_unlock(struct hs_auth *a, struct nk_diag *diag)
{
    struct hs_auth_list l;
    int rc = read_list(&l, a, diag);
    if (rc < 0) {
        return rc;
    }
    size_t clients = l.counted;
    hs_auth_list_clear(&l);
    if (clients > 0) {
        nk_fail(diag, NK_EUSAGE, "%s has %zu client%s: it is not going to be public", a->base.path,
                clients, clients == 1 ? "" : "s");
        nk_hint(diag, "disable or remove them first");
        return NK_EUSAGE;
    }
    const char *file = HS_AUTH_LOCK HS_AUTH_EXTENSION;
    return hs_place_has(&a->on, file) && !a->dry ? hs_place_remove(&a->on, file, diag) : 0;
}

/* --- import ----------------------------------------------------------------------------------- */

static int check_new(const struct hs_auth_list *l, const char *name,
                     const uint8_t pub[HS_PUBLIC_KEY], struct nk_diag *diag)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct hs_auth_client *c = &l->v[i];
        bool same_key = c->readable && memcmp(c->pub, pub, sizeof(c->pub)) == 0;
        bool same_name = strcmp(c->name, name) == 0;
        if (same_key || same_name) {
            nk_fail(diag, -EEXIST, "there is a client '%s' with %s key already (%s%s)", c->name,
                    same_key      ? "this"
                    : c->readable ? "another"
                                  : "an unreadable",
                    c->enabled ? "" : "disabled: ", c->path);
            nk_hint(diag, same_key && !c->enabled ? "enable it"
                          : same_key              ? "there is nothing to do"
                                                  : "remove it first, or take another nickname");
            return -EEXIST;
        }
    }
    return 0;
}

int hs_auth_import(struct hs_auth *a, const char *name, const uint8_t pub[HS_PUBLIC_KEY],
                   struct nk_diag *diag)
{
    struct hs_auth_list l;
    int rc = hs_slug_check("nickname", name, diag);
    if (rc == 0 && strcmp(name, HS_AUTH_LOCK) == 0) {
        rc = nk_fail(diag, NK_EUSAGE, "the nickname '%s' is the one of netkit's lock", name);
    }
    rc = rc < 0 ? rc : read_list(&l, a, diag);
    if (rc < 0) {
        return rc;
    }
    rc = check_new(&l, name, pub, diag);
    hs_auth_list_clear(&l);
    rc = rc < 0 ? rc : hs_auth_lock(a, diag);
    return rc < 0 ? rc : write_key(a, name, 0, pub, diag);
}

/* --- moving and removing ---------------------------------------------------------------------- */

static int no_client(const struct hs_auth *a, const char *name, const char *state,
                     struct nk_diag *diag)
{
    nk_fail(diag, -ENOENT, "%s has no %sclient '%s'", a->base.path, state, name);
    nk_hint(diag, "auth list shows them");
    return -ENOENT;
}

static int check_not_lock(const char *name, struct nk_diag *diag)
{
    return strcmp(name, HS_AUTH_LOCK) != 0
               ? 0
               : nk_fail(diag, NK_EUSAGE, "'%s' is the lock that keeps the service closed", name);
}

/* The entry of the directory that a client's file is, or is in. */
static void entry_of(char *out, size_t max, const struct hs_auth_client *c)
{
    snprintf(out, max, "%.*s", (int)strcspn(c->file, "/"), c->file);
}

static int move_entry(const struct hs_place *from, const struct hs_place *to, const char *entry,
                      struct nk_diag *diag)
{
    if (syscall(SYS_renameat2, from->fd, entry, to->fd, entry, RENAME_NOREPLACE) < 0) {
        return nk_fail_sys(diag, -errno, "cannot move %s/%s to %s", from->path, entry, to->path);
    }
    if (fsync(to->fd) < 0 || fsync(from->fd) < 0) {
        return nk_fail_sys(diag, -errno, "cannot write %s to the disk", to->path);
    }
    return 0;
}

/* First look whether all can be moved, then do it. */
static int move_all(struct hs_auth *a, const struct hs_auth_list *l, const char *name, bool enable,
                    struct nk_diag *diag)
{
    const struct hs_place *from = enable ? &a->off : &a->on, *to = enable ? &a->on : &a->off;
    const struct hs_auth_client *c;
    char entry[NK_PATH_MAX];
    size_t n = 0;
    int rc = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; rc == 0 && (c = hs_auth_find(l, name, i)); i++) {
            if (c->enabled == enable) {
                continue;
            }
            entry_of(entry, sizeof(entry), c);
            if (pass == 0 && hs_place_has(to, entry)) {
                rc = nk_fail(diag, -EEXIST, "%s/%s exists, too", to->path, entry);
                nk_hint(diag, "remove one of the two");
            } else if (pass == 1 && !a->dry) {
                rc = move_entry(from, to, entry, diag);
            }
            n++;
        }
    }
    return rc < 0 || n > 0 ? rc : no_client(a, name, enable ? "disabled " : "enabled ", diag);
}

/* A file without a good key does not become one of tor's by being moved there. */
static int check_enable(const struct hs_auth_list *l, const char *name, struct nk_diag *diag)
{
    const struct hs_auth_client *c;
    for (size_t i = 0; (c = hs_auth_find(l, name, i)); i++) {
        if (!c->enabled && c->problem) {
            return nk_fail(diag, NK_EFORMAT, "%s: %s", c->path, c->problem);
        }
    }
    return 0;
}

/* A service that has no clients yet stays public when one is taken away that it does not have. */
static int keep_closed(struct hs_auth *a, const struct hs_auth_list *l, struct nk_diag *diag)
{
    return l->restricted ? hs_auth_lock(a, diag) : 0;
}

static int change(struct hs_auth *a, const char *name, bool enable, struct nk_diag *diag)
{
    struct hs_auth_list l;
    int rc = check_not_lock(name, diag);
    rc = rc < 0 ? rc : read_list(&l, a, diag);
    if (rc < 0) {
        return rc;
    }
    rc = enable ? check_enable(&l, name, diag) : keep_closed(a, &l, diag);
    rc = rc < 0 ? rc : move_all(a, &l, name, enable, diag);
    hs_auth_list_clear(&l);
    return rc < 0 || !enable ? rc : hs_auth_lock(a, diag);
}

int hs_auth_enable(struct hs_auth *a, const char *name, struct nk_diag *diag)
{
    return change(a, name, true, diag);
}

int hs_auth_disable(struct hs_auth *a, const char *name, struct nk_diag *diag)
{
    return change(a, name, false, diag);
}

static int remove_client(const struct hs_auth *a, const struct hs_auth_client *c,
                         struct nk_diag *diag)
{
    const struct hs_place *dir = c->enabled ? &a->on : &a->off;
    char entry[NK_PATH_MAX], file[2 * NK_PATH_MAX + sizeof(HS_AUTH_ARTI_FILE)];
    entry_of(entry, sizeof(entry), c);
    if (a->dry) {
        return 0;
    }
    if (strcmp(entry, c->file) == 0) {
        return hs_place_remove(dir, entry, diag);
    }
    const char *names[] = {HS_AUTH_ARTI_FILE, HS_AUTH_EXTENSION};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof(names) / sizeof(*names); i++) {
        snprintf(file, sizeof(file), "%s/%s%s", entry, i ? entry : "", names[i]);
        rc = hs_place_has(dir, file) ? hs_place_remove(dir, file, diag) : 0;
    }
    hs_place_drop(dir, entry);
    return rc;
}

int hs_auth_remove(struct hs_auth *a, const char *name, struct nk_diag *diag)
{
    struct hs_auth_list l;
    const struct hs_auth_client *c;
    int rc = check_not_lock(name, diag);
    rc = rc < 0 ? rc : read_list(&l, a, diag);
    if (rc < 0) {
        return rc;
    }
    rc = hs_auth_find(&l, name, 0) ? keep_closed(a, &l, diag) : no_client(a, name, "", diag);
    for (size_t i = 0; rc == 0 && (c = hs_auth_find(&l, name, i)); i++) {
        rc = remove_client(a, c, diag);
    }
    hs_auth_list_clear(&l);
    return rc;
}
