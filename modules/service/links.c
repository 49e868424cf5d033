/* SPDX-License-Identifier: MIT */
#include "service/links.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/secret.h"
#include "service/manpage.h"

const char *const links_default[] = {"tor",      "onion", "hsc",     "hss", "hs",   "ssh",
                                     "ssh-key",  "sftp",  "tunnel",  "tls", "cert", "relay",
                                     "endpoint", "run",   "forward", NULL};

bool links_exists(const char *name)
{
    const struct nk_cmds cmds = {nk_cmd_table, nk_cmd_count};
    return nk_cli_find(cmds, name) || nk_cli_has_children(cmds, name);
}

static bool resolve(const char *path, char *out)
{
    char real[PATH_MAX];
    if (!realpath(path, real) || strlen(real) >= NK_PATH_MAX || access(real, X_OK) < 0) {
        return false;
    }
    memcpy(out, real, strlen(real) + 1);
    return true;
}

/* As the shell would find it. */
static bool search_path(const char *name, char *out)
{
    const char *path = getenv("PATH");
    while (path && *path) {
        char file[PATH_MAX];
        size_t n = strcspn(path, ":");
        snprintf(file, sizeof(file), "%.*s/%s", (int)n, n ? path : ".", name);
        if (resolve(file, out)) {
            return true;
        }
        path += n + (path[n] == ':');
    }
    return false;
}

static bool find_self(char *out, const char *argv0)
{
    return resolve("/proc/self/exe", out) ||
           (strchr(argv0, '/') ? resolve(argv0, out) : *argv0 && search_path(argv0, out));
}

/* The path from directory `from` to file `to`, both absolute and without symlinks. */
static int relative_path(char *out, size_t max, const char *from, const char *to)
{
    size_t common = 0, used = 0;
    for (size_t i = 0;; i++) {
        bool end_from = from[i] == '\0' || from[i] == '/';
        bool end_to = to[i] == '\0' || to[i] == '/';
        if (end_from && end_to) {
            common = i;
        }
        if (from[i] == '\0' || from[i] != to[i]) {
            break;
        }
    }
    out[0] = '\0';
    for (const char *p = from + common; *p; p++) {
        if (*p == '/' && p[1]) {
            int w = snprintf(out + used, max - used, "../");
            if (w < 0 || (size_t)w >= max - used) {
                return NK_ETOOBIG;
            }
            used += (size_t)w;
        }
    }
    const char *rest = to + common + (to[common] == '/');
    int w = snprintf(out + used, max - used, "%s", rest);
    return w < 0 || (size_t)w >= max - used ? NK_ETOOBIG : 0;
}

int links_init(struct links *l, const char *argv0, struct nk_diag *diag)
{
    char dir[PATH_MAX];
    if (!find_self(l->self, argv0) || stat(l->self, &l->self_stat) < 0) {
        int rc = nk_fail(diag, -ENOENT, "cannot find this program's own file");
        nk_hint(diag, "call it by its full path");
        return rc;
    }
    if (!realpath(l->dir, dir)) {
        return nk_fail_sys(diag, -errno, "%s", l->dir);
    }
    struct stat st;
    if (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode)) {
        return nk_fail(diag, -ENOTDIR, "%s is no directory", l->dir);
    }
    if (!l->relative) {
        snprintf(l->target, sizeof(l->target), "%s", l->self);
        return 0;
    }
    /* "/" is the only directory that ends with a slash */
    return relative_path(l->target, sizeof(l->target), strcmp(dir, "/") == 0 ? "" : dir, l->self);
}

static void fail(struct links *l, const char *path, const char *what, const char *hint)
{
    struct nk_diag diag;
    nk_fail(&diag, NK_EFORMAT, "%s: %s", path, what);
    if (hint) {
        nk_hint(&diag, "%s", hint);
    }
    nk_cli_report(l->name, &diag, false);
    l->failed++;
}

static void done(struct links *l, const char *verb, const char *path)
{
    l->done++;
    if (!l->quiet) {
        bool kept = strcmp(verb, "kept") == 0;
        printf("%s%s %s\n", l->dry_run && !kept ? "would have " : "", verb, path);
    }
}

enum found { NOTHING, EXACT, OURS, FOREIGN };

/* What stands at path? */
static enum found look(const struct links *l, const char *path)
{
    struct stat st, to;
    char text[NK_PATH_MAX];
    if (lstat(path, &st) < 0) {
        return NOTHING;
    }
    bool same = stat(path, &to) == 0 && to.st_dev == l->self_stat.st_dev &&
                to.st_ino == l->self_stat.st_ino;
    if (!S_ISLNK(st.st_mode)) {
        /* the binary itself may carry the name */
        return !same ? FOREIGN : l->hard ? EXACT : st.st_nlink > 1 ? OURS : FOREIGN;
    }
    ssize_t n = readlink(path, text, sizeof(text) - 1);
    text[n < 0 ? 0 : n] = '\0';
    if (strcmp(text, l->target) == 0) {
        return l->hard ? OURS : EXACT;
    }
    return same ? OURS : FOREIGN;
}

/* A new link under a temporary name, renamed over whatever is there. */
static int put_link(const struct links *l, const char *path)
{
    char tmp[NK_PATH_MAX + 32];
    snprintf(tmp, sizeof(tmp), "%s.tmp%08x", path, nk_random_u32(UINT32_MAX));
    int rc = l->hard ? link(l->self, tmp) : symlink(l->target, tmp);
    if (rc == 0 && rename(tmp, path) < 0) {
        int err = errno;
        unlink(tmp);
        errno = err;
        return -1;
    }
    return rc;
}

void links_add(struct links *l, const char *name)
{
    char full[128], path[NK_PATH_MAX];
    snprintf(full, sizeof(full), "%s%s", l->prefix, name);
    if (nk_path_join(path, sizeof(path), l->dir, full) < 0) {
        fail(l, l->dir, "the path is too long", NULL);
        return;
    }
    enum found found = look(l, path);
    struct stat st;
    if (found == EXACT) {
        done(l, "kept", path);
    } else if (found == FOREIGN && lstat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        fail(l, path, "is a directory", NULL);
    } else if (found == FOREIGN && !l->force) {
        fail(l, path, "exists and does not lead to this program", "--force replaces it");
    } else if (!l->dry_run && put_link(l, path) < 0) {
        fail(l, path, nk_strerror(-errno), NULL);
    } else {
        done(l, found == NOTHING ? "linked" : "replaced", path);
    }
}

void links_remove(struct links *l, const char *name)
{
    char full[128], path[NK_PATH_MAX];
    snprintf(full, sizeof(full), "%s%s", l->prefix, name);
    if (nk_path_join(path, sizeof(path), l->dir, full) < 0) {
        return;
    }
    enum found found = look(l, path);
    if (found != EXACT && found != OURS) {
        return;
    }
    if (!l->dry_run && unlink(path) < 0) {
        fail(l, path, nk_strerror(-errno), NULL);
    } else {
        done(l, "removed", path);
    }
}

/* Is there a file at path that is not ours? *same: it has exactly these contents. */
static bool is_foreign(const char *path, const void *p, size_t n, bool *same)
{
    struct nk_buf buf;
    struct nk_diag diag;
    nk_buf_init(&buf, SERVICE_TEXT_MAX);
    int rc = nk_file_read(path, 0, &buf, &diag);
    bool foreign =
        rc != -ENOENT && (rc < 0 || !service_generated(nk_buf_ptr(&buf), nk_buf_len(&buf)));
    *same = rc == 0 && nk_buf_len(&buf) == n && n > 0 && memcmp(nk_buf_ptr(&buf), p, n) == 0;
    nk_buf_clear(&buf);
    return foreign;
}

void links_put_file(struct links *l, const char *dir, const char *name, const void *p, size_t n)
{
    char path[NK_PATH_MAX];
    struct nk_diag diag = {0};
    bool same;
    if (nk_path_join(path, sizeof(path), dir, name) < 0) {
        fail(l, dir, "the path is too long", NULL);
    } else if (is_foreign(path, p, n, &same) && !l->force) {
        fail(l, path, "exists and was not written by netkit", "--force replaces it");
    } else if (same) {
        done(l, "kept", path);
    } else if (!l->dry_run &&
               nk_file_write(path, NK_FILE_OVERWRITE | NK_FILE_PUBLIC, p, n, &diag) < 0) {
        nk_cli_report(l->name, &diag, false);
        l->failed++;
    } else {
        done(l, "written", path);
    }
}

void links_drop_file(struct links *l, const char *dir, const char *name)
{
    char path[NK_PATH_MAX];
    bool same;
    struct stat st;
    if (nk_path_join(path, sizeof(path), dir, name) < 0 || lstat(path, &st) < 0 ||
        is_foreign(path, NULL, 0, &same)) {
        return;
    }
    if (!l->dry_run && unlink(path) < 0) {
        fail(l, path, nk_strerror(-errno), NULL);
    } else {
        done(l, "removed", path);
    }
}
