/* SPDX-License-Identifier: MIT */
#include "hs/keystore.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hs/entries.h"
#include "hs/trust.h"

#define STATE_LOCK "../state.lock" /* arti's, in the directory above its keystore */

enum { DEPTH_MAX = 8 }; /* of directories; keys are four deep at most */

/* --- is it in use? ---------------------------------------------------------------------------- */

bool hs_keystore_in_use(const struct hs_place *p)
{
    int fd = openat(p->fd, STATE_LOCK, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    struct flock region = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    bool held = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
    held = held || (fcntl(fd, F_GETLK, &region) == 0 && region.l_type != F_UNLCK);
    close(fd);
    return held;
}

int hs_keystore_state_dir(char out[NK_PATH_MAX], const char *dir)
{
    char *real = realpath(dir, NULL); /* "." has no name to look at */
    const char *path = real ? real : dir;
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') {
        n--;
    }
    const size_t tail = strlen(HS_KEYSTORE_DIR);
    int rc = n < tail || strncmp(path + n - tail, HS_KEYSTORE_DIR, tail) != 0 ||
                     (n > tail && path[n - tail - 1] != '/')
                 ? -ENOENT
                 : 0;
    if (rc == 0) {
        int len = snprintf(out, NK_PATH_MAX, "%.*s", n > tail ? (int)(n - tail) : 1,
                           n > tail ? path : ".");
        rc = len < 0 || len >= NK_PATH_MAX ? NK_ETOOBIG : 0;
    }
    free(real);
    return rc;
}

/* --- what is in it ---------------------------------------------------------------------------- */

/* On the way through the directories. */
struct walk {
    struct hs_names *out;
    bool dirs;
    char name[NK_PATH_MAX]; /* of the directory it is in, with '/' behind; "" at the top */
};

static bool is_dir(const struct hs_place *p, const char *name)
{
    struct stat st;
    return fstatat(p->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by DEPTH_MAX */
static int walk_dir(struct walk *w, const struct hs_place *p, unsigned depth, struct nk_diag *diag)
{
    struct hs_names names;
    size_t base = strlen(w->name);
    int rc = hs_place_list(p, &names, diag);
    for (size_t i = 0; rc == 0 && i < names.n; i++) {
        bool dir = is_dir(p, names.v[i]);
        int n =
            snprintf(w->name + base, sizeof(w->name) - base, "%s%s", names.v[i], dir ? "/" : "");
        if (n < 0 || (size_t)n >= sizeof(w->name) - base || depth == DEPTH_MAX) {
            rc = nk_fail(diag, NK_ETOOBIG, "%s: directories that are too deep", p->path);
            break;
        }
        rc = !dir || w->dirs ? hs_names_add(w->out, w->name) : 0;
        rc = rc < 0 ? nk_fail_sys(diag, rc, "list of %s", p->path) : 0;
        struct hs_place sub;
        if (rc == 0 && dir) {
            rc = hs_place_sub(&sub, p, names.v[i], 0, diag);
            rc = rc < 0 ? rc : walk_dir(w, &sub, depth + 1, diag);
            hs_place_close(&sub);
        }
    }
    w->name[base] = '\0';
    hs_names_clear(&names);
    return rc;
}

int hs_keystore_files(const struct hs_place *p, bool dirs, struct hs_names *out,
                      struct nk_diag *diag)
{
    struct hs_names l = {0};
    struct walk w = {.out = &l, .dirs = dirs};
    int rc = walk_dir(&w, p, 0, diag);
    if (rc < 0) {
        hs_names_clear(&l);
    }
    *out = l;
    return rc;
}

static int fill(const struct hs_place *p, struct hs_client_entry *e, const struct hs_artipath *path)
{
    struct hs_item item;
    struct nk_diag diag;
    e->has_address = true;
    memcpy(e->address, path->address, sizeof(e->address));
    memcpy(e->client, path->client, sizeof(e->client));
    int rc = hs_keystore_read(p, e->name, path, &item, &diag);
    if (rc < 0) {
        return hs_entry_problem(e, &diag);
    }
    memcpy(e->key.pub, item.client.pub, sizeof(e->key.pub));
    hs_item_wipe(&item);
    return 0;
}

int hs_keystore_list(const struct hs_place *p, struct hs_client_entries *out, struct nk_diag *diag)
{
    struct hs_names names;
    struct hs_client_entries l = {0};
    int rc = hs_keystore_files(p, false, &names, diag);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; rc == 0 && i < names.n; i++) {
        struct hs_artipath path;
        struct nk_diag why;
        if (strncmp(names.v[i], "client/", strlen("client/")) != 0) {
            continue;
        }
        int known = hs_artipath_parse(names.v[i], &path, &why);
        struct hs_client_entry *e = hs_entries_add(&l, names.v[i]);
        if (!e) {
            rc = -ENOMEM;
        } else if (known == 0 && path.role == HS_ROLE_CLIENT) {
            rc = fill(p, e, &path);
        } else {
            if (known == 0) {
                nk_fail(&why, NK_EFORMAT, "is no client's key");
            }
            nk_fail_context(&why, "%s/%s", p->path, names.v[i]);
            rc = hs_entry_problem(e, &why);
        }
    }
    hs_names_clear(&names);
    if (rc < 0) {
        hs_client_entries_clear(&l);
        return nk_fail_sys(diag, rc, "list of %s", p->path);
    }
    *out = l;
    return 0;
}

int hs_keystore_services(const struct hs_place *p, struct hs_names *out, struct nk_diag *diag)
{
    struct hs_place hss;
    struct hs_names l;
    *out = (struct hs_names){0};
    if (!hs_place_has(p, "hss")) {
        return 0;
    }
    int rc = hs_place_sub(&hss, p, "hss", 0, diag);
    rc = rc < 0 ? rc : hs_place_list(&hss, &l, diag);
    for (size_t i = 0; rc == 0 && i < l.n; i++) {
        if (is_dir(&hss, l.v[i]) && hs_slug_ok(l.v[i], strlen(l.v[i]))) {
            rc = hs_names_add(out, l.v[i]);
            rc = rc < 0 ? nk_fail_sys(diag, rc, "list of %s", hss.path) : 0;
        }
    }
    if (hss.fd >= 0) {
        hs_names_clear(&l);
    }
    hs_place_close(&hss);
    if (rc < 0) {
        hs_names_clear(out);
    }
    return rc;
}

/* --- files ------------------------------------------------------------------------------------ */

int hs_keystore_read(const struct hs_place *p, const char *name, const struct hs_artipath *path,
                     struct hs_item *out, struct nk_diag *diag)
{
    const struct hs_role_info *info = hs_role_info(path->role);
    struct nk_buf b;
    struct hs_item item;
    int rc = hs_entry_read(p, name, info->form, &b, &item, diag);
    nk_buf_clear(&b);
    if (rc < 0) {
        return rc;
    }
    if (item.kind != info->kind) {
        hs_item_wipe(&item);
        return nk_fail(diag, NK_EFORMAT, "%s/%s: the key in it is no %s", p->path, name,
                       info->kind == HS_CLIENT ? "x25519 key" : "ed25519 key");
    }
    *out = item;
    return 0;
}

/* The directory and the last part of a name. */
static const char *split(const char *name, char dir[NK_PATH_MAX])
{
    const char *slash = strrchr(name, '/');
    snprintf(dir, NK_PATH_MAX, "%.*s", slash ? (int)(slash - name) : 0, name);
    return slash ? slash + 1 : name;
}

int hs_keystore_write(const struct hs_place *p, const char *name, unsigned flags,
                      const struct hs_item *item, struct nk_diag *diag)
{
    char dir[NK_PATH_MAX];
    struct hs_place sub = {.fd = -1};
    struct nk_buf b;
    const char *file = split(name, dir);
    nk_buf_init_secret(&b, HS_PLACE_FILE_MAX);
    int rc = hs_format_write(item, HS_ARTI_PRIVATE, &b, diag);
    rc = rc < 0 ? rc : hs_place_sub(&sub, p, dir, HS_PLACE_CREATE, diag);
    rc = rc < 0 ? rc : hs_place_write(&sub, file, flags, nk_buf_ptr(&b), nk_buf_len(&b), diag);
    nk_buf_clear(&b);
    if (rc < 0 && sub.fd >= 0) {
        hs_place_drop(p, dir);
    }
    hs_place_close(&sub);
    return rc;
}

int hs_keystore_remove(const struct hs_place *p, const char *name, struct nk_diag *diag)
{
    char dir[NK_PATH_MAX];
    split(name, dir);
    int rc = hs_place_remove(p, name, diag);
    if (rc == 0) {
        hs_place_drop(p, dir);
    }
    return rc;
}

/* --- identities ------------------------------------------------------------------------------- */

static int read_role(const struct hs_place *p, const char *service, enum hs_role role, bool *has,
                     struct hs_item *out, struct nk_diag *diag)
{
    char name[NK_PATH_MAX];
    const struct hs_role_info *info = hs_role_info(role);
    struct hs_artipath path = {.role = role};
    snprintf(name, sizeof(name), "hss/%s/%s.%s", service, info->slug, info->type);
    *has = hs_place_has(p, name);
    return *has ? hs_keystore_read(p, name, &path, out, diag) : 0;
}

static int read_identity(const struct hs_place *p, const char *service, struct hs_identity *out,
                         struct nk_diag *diag)
{
    bool has_secret = false, has_public = false;
    struct hs_item secret, public;
    int rc = read_role(p, service, HS_ROLE_ID, &has_secret, &secret, diag);
    if (rc < 0) {
        return rc;
    }
    rc = read_role(p, service, HS_ROLE_ID_PUBLIC, &has_public, &public, diag);
    if (rc == 0 && !has_secret && !has_public) {
        rc = nk_fail(diag, -ENOENT, "%s has no identity of a service '%s'", p->path, service);
    }
    if (rc == 0 && has_secret && has_public &&
        !hs_identity_same(&secret.identity, &public.identity)) {
        rc = nk_fail(diag, NK_EFORMAT,
                     "%s/hss/%s: the public identity is another one's than the "
                     "secret one",
                     p->path, service);
    }
    if (rc == 0) {
        *out = has_secret ? secret.identity : public.identity;
    }
    if (has_secret) {
        hs_item_wipe(&secret);
    }
    return rc;
}

int hs_keystore_identity_read(const char *dir, const char *service, struct hs_identity *out,
                              struct nk_diag *diag)
{
    struct hs_store s;
    int rc = hs_slug_check("service", service, diag);
    if (rc < 0) {
        return rc;
    }
    rc = hs_store_open(&s, HS_STORE_ARTI, dir, HS_STORE_READ, diag);
    rc = rc < 0 ? rc : read_identity(&s.place, service, out, diag);
    hs_store_close(&s);
    return rc;
}

int hs_keystore_identity_write(const char *dir, const char *service, const struct hs_identity *k,
                               struct nk_diag *diag)
{
    struct hs_store s;
    struct hs_item item;
    char name[NK_PATH_MAX];
    int rc = hs_slug_check("service", service, diag);
    if (rc < 0) {
        return rc;
    }
    if (!k->has_secret) {
        return nk_fail(diag, NK_EUNSUPPORTED, "service '%s': the key has no secret half", service);
    }
    rc = hs_artipath_identity(name, sizeof(name), service);
    rc = rc < 0 ? nk_fail_sys(diag, rc, "service '%s'", service)
                : hs_store_open(&s, HS_STORE_ARTI, dir, HS_STORE_CREATE, diag);
    if (rc < 0) {
        return rc;
    }
    hs_item_from_identity(&item, k);
    if (hs_place_has(&s.place, name)) {
        rc = nk_fail(diag, -EEXIST, "the service '%s' has a key in %s", service, s.place.path);
        nk_hint(diag, "'netkit hss -n %s onion-address --keystore %s' shows its address", service,
                s.place.path);
    } else {
        rc = hs_keystore_write(&s.place, name, 0, &item, diag);
    }
    hs_item_wipe(&item);
    hs_store_close(&s);
    return rc;
}
