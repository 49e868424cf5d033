/* SPDX-License-Identifier: MIT */
#include "hs/ctor_dir.h"

#include <string.h>

#include "hs/format.h"
#include "hs/trust.h"

/* --- reading ---------------------------------------------------------------------------------- */

/* One of the files; *has says whether it exists. */
static int read_file(const struct hs_place *p, const char *name, enum hs_format format, bool *has,
                     struct hs_item *out, struct nk_diag *diag)
{
    struct nk_buf b;
    struct hs_hints hints = {.format = format, .kind = HS_IDENTITY};
    nk_buf_init_secret(&b, HS_PLACE_FILE_MAX + 1);
    *has = hs_place_has(p, name);
    int rc = *has ? hs_place_read(p, name, &b, diag) : 0;
    if (rc == 0 && *has) {
        rc = hs_format_read_as(nk_buf_ptr(&b), nk_buf_len(&b), &hints, out, diag);
        if (rc < 0) {
            nk_fail_context(diag, "%s/%s", p->path, name);
        }
    }
    nk_buf_clear(&b);
    return rc;
}

int hs_ctor_place_read(const struct hs_place *p, struct hs_identity *out, struct nk_diag *diag)
{
    bool has_secret = false, has_public = false;
    struct nk_diag own = {0};
    struct hs_item secret, public;
    diag = diag ? diag : &own;
    int rc = read_file(p, HS_CTOR_SECRET_FILE, HS_CTOR_SECRET, &has_secret, &secret, diag);
    if (rc < 0) {
        return rc;
    }
    rc = read_file(p, HS_CTOR_PUBLIC_FILE, HS_CTOR_PUBLIC, &has_public, &public, diag);
    if (rc == 0 && !has_secret && !has_public) {
        rc = nk_fail(diag, -ENOENT, "%s has no key: neither %s nor %s", p->path,
                     HS_CTOR_SECRET_FILE, HS_CTOR_PUBLIC_FILE);
    }
    if (rc == 0 && has_secret && has_public &&
        !hs_identity_same(&secret.identity, &public.identity)) {
        rc = nk_fail(diag, NK_EFORMAT, "%s: %s is not the public half of %s", p->path,
                     HS_CTOR_PUBLIC_FILE, HS_CTOR_SECRET_FILE);
        nk_hint(diag, "remove %s/%s if the secret key is the right one", p->path,
                HS_CTOR_PUBLIC_FILE);
    }
    if (rc == 0) {
        *out = has_secret ? secret.identity : public.identity;
    }
    if (has_secret) {
        hs_item_wipe(&secret);
    }
    return rc;
}

int hs_ctor_dir_read(const char *path, struct hs_identity *out, struct nk_diag *diag)
{
    struct hs_place p;
    int rc = hs_place_open(&p, path, 0, diag);
    rc = rc < 0 ? rc : hs_trust_require(&p, false, diag);
    rc = rc < 0 ? rc : hs_ctor_place_read(&p, out, diag);
    hs_place_close(&p);
    return rc;
}

/* --- writing ---------------------------------------------------------------------------------- */

/* In the order in which they are written. */
static const struct {
    const char *name;
    enum hs_format format;
} files[] = {{HS_CTOR_PUBLIC_FILE, HS_CTOR_PUBLIC},
             {HS_CTOR_HOSTNAME_FILE, HS_HOSTNAME},
             {HS_CTOR_SECRET_FILE, HS_CTOR_SECRET}};

enum { FILES = sizeof(files) / sizeof(files[0]) };

/* Whatever is there must be what an interrupted write of the same key has left. */
static int check_free(const struct hs_place *p, const struct hs_identity *k, struct nk_diag *diag)
{
    struct hs_identity found;
    int rc = hs_place_has(p, HS_CTOR_SECRET_FILE) ? -EEXIST : hs_ctor_place_read(p, &found, NULL);
    if (rc == -ENOENT || (rc == 0 && hs_identity_same(&found, k))) {
        return 0;
    }
    nk_fail(diag, -EEXIST, "%s has a key", p->path);
    nk_hint(diag, "'netkit hs show %s' shows it; choose another directory", p->path);
    return -EEXIST;
}

static int write_files(const struct hs_place *p, const struct hs_identity *k, bool *made,
                       struct nk_diag *diag)
{
    int rc = 0;
    struct hs_item item;
    hs_item_from_identity(&item, k);
    for (size_t i = 0; rc == 0 && i < FILES; i++) {
        struct nk_buf b;
        nk_buf_init_secret(&b, HS_PLACE_FILE_MAX);
        bool there = hs_place_has(p, files[i].name);
        /* tor writes the hostname at every start, so one that is there may be another one's */
        unsigned flags = files[i].format == HS_HOSTNAME ? (unsigned)HS_PLACE_OVERWRITE : 0;
        rc = hs_format_write(&item, files[i].format, &b, diag);
        if (rc == 0 && (!there || flags)) {
            rc = hs_place_write(p, files[i].name, flags, nk_buf_ptr(&b), nk_buf_len(&b), diag);
            made[i] = rc == 0 && !there;
        }
        nk_buf_clear(&b);
    }
    hs_item_wipe(&item);
    return rc;
}

int hs_ctor_dir_write(const char *path, const struct hs_identity *k, struct nk_diag *diag)
{
    struct hs_place p;
    bool made[FILES] = {false};
    if (!k->has_secret) {
        return nk_fail(diag, NK_EUNSUPPORTED, "%s: the key has no secret half", path);
    }
    int rc = hs_place_open(&p, path, HS_PLACE_CREATE | HS_PLACE_LOCK, diag);
    rc = rc < 0 ? rc : hs_trust_require(&p, false, diag);
    rc = rc < 0 ? rc : check_free(&p, k, diag);
    rc = rc < 0 ? rc : write_files(&p, k, made, diag);
    for (size_t i = FILES; rc < 0 && i > 0; i--) {
        if (made[i - 1]) {
            hs_place_remove(&p, files[i - 1].name, NULL);
        }
    }
    hs_place_close(&p);
    return rc;
}
