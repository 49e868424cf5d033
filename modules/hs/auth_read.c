/* SPDX-License-Identifier: MIT */
/* Which clients a service has, and what its program would make of their files. */
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/secret.h"
#include "hs/auth.h"
#include "hs/format.h"
#include "hs/slug.h"
#include "hs/twins.h"

/* One reading of both directories. */
struct reading {
    const struct hs_auth *a;
    struct hs_auth_list *l;
    struct hs_findings *findings;
    const struct hs_place *dir; /* the one that is being read */
    bool enabled;
    struct nk_diag *diag;
};

static const char *program(const struct hs_auth *a)
{
    return a->kind == HS_AUTH_CTOR ? "tor" : "arti";
}

static void client_clear(struct hs_auth_client *c)
{
    free(c->name);
    free(c->file);
    free(c->path);
    free(c->problem);
}

void hs_auth_list_clear(struct hs_auth_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        client_clear(&l->v[i]);
    }
    free(l->v);
    *l = (struct hs_auth_list){0};
}

bool hs_auth_counts(const struct hs_auth_client *c)
{
    return c->enabled && c->readable && !c->problem && !c->lock;
}

/* --- one file --------------------------------------------------------------------------------- */

/* Could the program, which runs as the owner of the directory, read it? */
static bool owner_reads(const struct hs_place *dir, const struct stat *st)
{
    mode_t need = st->st_uid == dir->uid ? S_IRUSR : st->st_gid == dir->gid ? S_IRGRP : S_IROTH;
    return dir->uid == 0 || (st->st_mode & need) != 0;
}

static int read_bytes(const struct reading *r, const char *file, struct nk_buf *out,
                      struct nk_diag *diag)
{
    struct stat st;
    /* tor follows links (secrets in containers are links), arti does not */
    int follow = r->a->kind == HS_AUTH_CTOR ? 0 : O_NOFOLLOW;
    int fd = openat(r->dir->fd, file, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | follow);
    if (fd < 0) {
        return errno == ELOOP && follow ? nk_fail(diag, NK_EFORMAT, "it is a symbolic link")
                                        : nk_fail_sys(diag, -errno, "it cannot be read");
    }
    int rc = 0;
    if (fstat(fd, &st) < 0) {
        rc = nk_fail_sys(diag, -errno, "it cannot be read");
    } else if (!S_ISREG(st.st_mode)) {
        rc = nk_fail(diag, NK_EFORMAT, "it is not a regular file");
    } else if (!owner_reads(r->dir, &st)) {
        rc = nk_fail(
            diag, NK_EBADMODE, "it belongs to user %lu with mode %03o: user %lu cannot read it",
            (unsigned long)st.st_uid, (unsigned)(st.st_mode & 0777), (unsigned long)r->dir->uid);
        nk_hint(diag, "chown it to the owner of its directory");
    } else {
        rc = nk_file_read_fd(fd, out, diag);
    }
    close(fd);
    return rc;
}

/* tor loads a key that opens the descriptor for everybody: the text decodes, the key is bad. */
static bool is_weak_line(const char *s, size_t n)
{
    uint8_t key[HS_PUBLIC_KEY];
    const char *colon = memrchr(s, ':', n);
    if (!colon) {
        return false;
    }
    const char *text = colon + 1 + strspn(colon + 1, " \t");
    size_t len = strcspn(text, " \t\r\n");
    return nk_base32_decode(key, sizeof(key), text, len) == HS_PUBLIC_KEY &&
           hs_client_from_public(&(struct hs_client){0}, key, NULL) < 0;
}

static int parse_auth(const struct reading *r, struct hs_auth_client *c, struct nk_buf *text,
                      struct nk_diag *diag)
{
    struct hs_auth_oddities odd;
    const char *s = nk_buf_str(text);
    if (!s) {
        return nk_fail(diag, -ENOMEM, "out of memory");
    }
    int rc = hs_auth_line_parse(s, nk_buf_len(text), c->pub, &odd, diag);
    if (rc < 0) {
        if (c->enabled && is_weak_line(s, nk_buf_len(text))) {
            hs_find_diag(r->findings, HS_ERROR, c->path, "key", diag);
        }
        return rc;
    }
    c->readable = true;
    if (r->a->kind == HS_AUTH_ARTI && (odd.spaces || odd.trailing_bits)) {
        return nk_fail(diag, NK_EFORMAT, "%s, which tor takes and arti does not",
                       odd.spaces ? "there are spaces around the fields"
                                  : "there are bits behind the key that are not zero");
    }
    return 0;
}

static int parse_arti(struct hs_auth_client *c, const struct nk_buf *text, struct nk_diag *diag)
{
    const struct hs_hints hints = {.format = HS_ARTI_PUBLIC, .kind = HS_CLIENT};
    struct hs_item item;
    int rc = hs_format_read_as(nk_buf_ptr(text), nk_buf_len(text), &hints, &item, diag);
    if (rc == 0) {
        memcpy(c->pub, item.client.pub, sizeof(c->pub));
        c->readable = true;
        hs_item_wipe(&item);
    }
    return rc;
}

/* It says nothing about the file: a good one must not be taken for broken, and its service for
 * open. */
static bool is_ours(int rc)
{
    return rc == -ENOMEM || rc == -EMFILE || rc == -ENFILE || rc == -EIO;
}

/* Fill in key or problem. */
static int parse_client(const struct reading *r, struct hs_auth_client *c)
{
    struct nk_diag why = {0};
    struct nk_buf text;
    nk_buf_init(&text, HS_FORMAT_MAX);
    int rc = read_bytes(r, c->file, &text, &why);
    if (rc == 0) {
        const char *slash = strrchr(c->file, '/');
        bool arti = strcmp(slash ? slash + 1 : c->file, HS_AUTH_ARTI_FILE) == 0;
        rc = arti ? parse_arti(c, &text, &why) : parse_auth(r, c, &text, &why);
    }
    nk_buf_clear(&text);
    if (rc == 0 && r->a->kind == HS_AUTH_ARTI && !hs_slug_ok(c->name, strlen(c->name))) {
        rc = hs_slug_check("name", c->name, &why);
    }
    if (rc == 0 || is_ours(rc)) {
        return rc;
    }
    c->problem = strdup(why.text);
    hs_find_diag(r->findings, c->enabled ? HS_WARNING : HS_NOTE, c->path, NULL, &why);
    if (c->enabled && !why.hint[0]) {
        hs_find_remedy(r->findings, "%s passes over it; replace or remove it", program(r->a));
    }
    return c->problem ? 0 : -ENOMEM;
}

static int add_file(const struct reading *r, const char *name, size_t len, const char *file)
{
    struct hs_auth_list *l = r->l;
    struct hs_auth_client c = {.enabled = r->enabled};
    char path[NK_PATH_MAX];
    int rc = nk_path_join(path, sizeof(path), r->dir->path, file);
    if (rc < 0) {
        return nk_fail(r->diag, rc, "the path %s/%s is too long", r->dir->path, file);
    }
    c.name = strndup(name, len);
    c.file = strdup(file);
    c.path = strdup(path);
    rc = c.name && c.file && c.path ? 0 : -ENOMEM;
    if (rc == 0) {
        c.lock = strcmp(c.name, HS_AUTH_LOCK) == 0;
        rc = parse_client(r, &c);
    }
    struct hs_auth_client *v = rc < 0 ? NULL : realloc(l->v, (l->n + 1) * sizeof(*v));
    if (!v) {
        client_clear(&c);
        return nk_fail_sys(r->diag, rc < 0 ? rc : -ENOMEM, "cannot read %s", path);
    }
    l->v = v;
    l->v[l->n++] = c;
    return 0;
}

/* --- a directory ------------------------------------------------------------------------------ */

/* arti's design has a directory for each client; its own form wins over tor's. */
static int add_two_level(const struct reading *r, const char *name)
{
    char own[NK_PATH_MAX], line[NK_PATH_MAX], path[NK_PATH_MAX];
    snprintf(own, sizeof(own), "%s/" HS_AUTH_ARTI_FILE, name);
    snprintf(line, sizeof(line), "%s/%s" HS_AUTH_EXTENSION, name, name);
    bool has_own = hs_place_has(r->dir, own), has_line = hs_place_has(r->dir, line);
    int rc = nk_path_join(path, sizeof(path), r->dir->path, name);
    if (rc < 0) {
        return nk_fail(r->diag, rc, "the path %s/%s is too long", r->dir->path, name);
    }
    if (!has_own && !has_line) {
        hs_find(r->findings, HS_WARNING, path, NULL, "there is no key of a client in it");
        return 0;
    }
    if (has_own && has_line) {
        hs_find(r->findings, HS_WARNING, path, NULL,
                "it has " HS_AUTH_ARTI_FILE " and %s" HS_AUTH_EXTENSION "; the first one counts",
                name);
    }
    hs_find(r->findings, HS_NOTE, path, NULL,
            "arti of today reads files NAME.auth only, not a directory for each client");
    return add_file(r, name, strlen(name), has_own ? own : line);
}

static bool has_extension(const char *name)
{
    size_t n = strlen(name), ext = sizeof(HS_AUTH_EXTENSION) - 1;
    return n >= ext && strcmp(name + n - ext, HS_AUTH_EXTENSION) == 0;
}

static int add_entry(const struct reading *r, const char *name)
{
    struct stat st;
    char path[NK_PATH_MAX];
    if (fstatat(r->dir->fd, name, &st, 0) < 0 &&
        fstatat(r->dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return errno == ENOENT
                   ? 0
                   : nk_fail_sys(r->diag, -errno, "cannot look at %s/%s", r->dir->path, name);
    }
    bool dir = S_ISDIR(st.st_mode), leftover = hs_is_leftover(name);
    if (has_extension(name) && !dir) {
        size_t n = strlen(name) - (sizeof(HS_AUTH_EXTENSION) - 1);
        return n ? add_file(r, name, n, name) : add_file(r, name, strlen(name), name);
    }
    if (dir && r->a->kind == HS_AUTH_ARTI && name[0] != '.') {
        return add_two_level(r, name);
    }
    if (r->enabled && nk_path_join(path, sizeof(path), r->dir->path, name) == 0) {
        hs_find(r->findings, leftover ? HS_NOTE : HS_WARNING, path, "name", "%s: %s passes over it",
                leftover ? "an interrupted write left it"
                : dir    ? "it is a directory"
                         : "it does not end in .auth",
                program(r->a));
        hs_find_remedy(r->findings, "remove it");
    }
    return 0;
}

static int read_dir(struct reading *r, const struct hs_place *dir, bool enabled)
{
    struct hs_names names;
    if (dir->fd < 0) {
        return 0;
    }
    r->dir = dir;
    r->enabled = enabled;
    int rc = hs_place_list(dir, &names, r->diag);
    for (size_t i = 0; rc == 0 && i < names.n; i++) {
        rc = add_entry(r, names.v[i]);
    }
    r->l->tried = r->l->tried || (enabled && names.n > 0);
    r->l->intended = r->l->intended || names.n > 0;
    hs_names_clear(&names);
    return rc;
}

/* --- the whole -------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    const struct hs_auth_client *x = a, *y = b;
    int names = strcmp(x->name, y->name);
    return names ? names : (int)y->enabled - (int)x->enabled;
}

static int find_doubles(const struct reading *r)
{
    const struct hs_auth_list *l = r->l;
    struct hs_twin *v = calloc(l->n + 1, sizeof(*v));
    size_t n = 0;
    if (!v) {
        return nk_fail_sys(r->diag, -ENOMEM, "clients of %s", r->a->base.path);
    }
    for (size_t i = 0; i < l->n; i++) {
        if (l->v[i].readable && l->v[i].enabled) {
            v[n++] = (struct hs_twin){.key = l->v[i].pub, .index = i};
        }
    }
    hs_twins_find(v, n);
    for (size_t i = 0; i < n; i++) {
        if (v[i].first != v[i].index) {
            hs_find(r->findings, HS_WARNING, l->v[v[i].index].path, "key",
                    "it is the same as that of '%s': taking one away does not shut it out",
                    l->v[v[i].first].name);
        }
    }
    free(v);
    return 0;
}

static int judge(const struct reading *r)
{
    struct hs_auth_list *l = r->l;
    bool ctor = r->a->kind == HS_AUTH_CTOR;
    l->restricted = !ctor;
    for (size_t i = 0; i < l->n; i++) {
        const struct hs_auth_client *c = &l->v[i];
        l->restricted = l->restricted || (c->enabled && c->readable && !c->problem);
        l->counted += hs_auth_counts(c);
    }
    int rc = find_doubles(r);
    if (l->counted > HS_AUTH_MANY) {
        hs_find(r->findings, HS_WARNING, r->a->on.path, NULL,
                "%zu clients: a descriptor has room for about %d", l->counted, HS_AUTH_MANY);
    }
    return rc;
}

void hs_auth_judge_open(const struct hs_auth_list *l, const struct hs_auth *a,
                        struct hs_findings *findings)
{
    if (!l->restricted && l->intended) {
        hs_find(findings, HS_ERROR, a->base.path, HS_AUTH_DIR,
                "no client's key in it is good: tor would open the service to everybody");
        hs_find_remedy(findings, "import a client, or 'netkit hs apply --restrict'");
    }
}

void hs_auth_judge_setting(const struct hs_auth_list *l, const struct hs_auth *a, bool enabled,
                           struct hs_findings *findings)
{
    bool ctor = a->kind == HS_AUTH_CTOR;
    if (!enabled && l->counted > 0) {
        hs_find(findings, HS_WARNING, a->on.path, "enabled",
                "%zu client%s there, but the configuration does not restrict the service: %s",
                l->counted, l->counted == 1 ? " is" : "s are",
                ctor ? "tor does it all the same" : "everybody gets in");
    } else if (enabled && l->counted == 0) {
        hs_find(findings, HS_WARNING, a->base.path, "enabled",
                "the service is to be restricted and has no client: %s",
                l->restricted ? "nobody gets in" : "tor lets everybody in");
        if (!l->restricted) {
            hs_find_remedy(findings, "'netkit hs apply --restrict' closes it");
        }
    }
}

int hs_auth_list_read(struct hs_auth_list *l, const struct hs_auth *a, struct hs_findings *findings,
                      struct nk_diag *diag)
{
    struct reading r = {.a = a, .l = l, .findings = findings, .diag = diag};
    *l = (struct hs_auth_list){0};
    int rc = read_dir(&r, &a->on, true);
    rc = rc < 0 ? rc : read_dir(&r, &a->off, false);
    if (rc < 0) {
        hs_auth_list_clear(l);
        return rc;
    }
    if (l->n > 1) {
        qsort(l->v, l->n, sizeof(*l->v), by_name);
    }
    rc = judge(&r);
    if (rc < 0) {
        hs_auth_list_clear(l);
    }
    return rc;
}

const struct hs_auth_client *hs_auth_find(const struct hs_auth_list *l, const char *name, size_t i)
{
    for (size_t k = 0; k < l->n; k++) {
        if (strcmp(l->v[k].name, name) == 0 && i-- == 0) {
            return &l->v[k];
        }
    }
    return NULL;
}

/* --- what the service sees -------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
    return memcmp(a, b, HS_PUBLIC_KEY);
}

int hs_auth_digest(uint8_t out[HS_AUTH_DIGEST], const struct hs_auth_list *l)
{
    uint8_t(*keys)[HS_PUBLIC_KEY] = calloc(l->n + 1, sizeof(*keys));
    size_t n = 0, kept = 0;
    if (!keys) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < l->n; i++) {
        if (l->v[i].enabled && l->v[i].readable && !l->v[i].problem) {
            memcpy(keys[n++], l->v[i].pub, HS_PUBLIC_KEY);
        }
    }
    qsort(keys, n, sizeof(*keys), by_key);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || memcmp(keys[i], keys[kept - 1], HS_PUBLIC_KEY) != 0) {
            memmove(keys[kept++], keys[i], HS_PUBLIC_KEY);
        }
    }
    crypto_generichash(out, HS_AUTH_DIGEST, keys[0], kept * HS_PUBLIC_KEY, NULL, 0);
    free(keys);
    return 0;
}
