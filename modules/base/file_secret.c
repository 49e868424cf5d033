/* SPDX-License-Identifier: MIT */
#include "base/file_secret.h"

#include "base/file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool by_others(const struct stat *st)
{
    return (st->st_mode & (S_IWGRP | S_IWOTH)) != 0;
}

/* Nobody but root and us could have made it or can change it. */
static bool is_safe(const struct stat *st)
{
    return (st->st_uid == 0 || st->st_uid == geteuid()) && !by_others(st);
}

static int bad_mode(const char *what, const char *path, const struct stat *st, const char *why,
                    struct nk_diag *diag)
{
    return nk_fail(diag, NK_EBADMODE, "%s %s (owner uid %u, mode %04o) %s", what, path,
                   (unsigned)st->st_uid, (unsigned)st->st_mode & 07777u, why);
}

/* --- directories ------------------------------------------------------------------------------ */

/* On the way from "/" to a file. */
struct walk {
    char path[PATH_MAX]; /* as far as it has come */
    int fd;              /* of that directory */
    dev_t dev;           /* of the one above it */
    bool shared;         /* passed a volume that everybody may write to */
    bool below_shared;   /* the next one has to be safe by itself */
    struct stat volume;  /* that volume, and where it is */
    char at[PATH_MAX];
};

static int refuse_directory(const struct walk *w, const struct stat *st, struct nk_diag *diag)
{
    int rc = bad_mode("directory", w->path, st, "can be written by others", diag);
    if (st->st_uid == geteuid()) {
        nk_hint(diag, "chmod go-w %s", w->path);
    } else {
        nk_hint(diag,
                "have its owner run 'chmod go-w %s' (or chmod +t), or keep the file below a "
                "directory that only uid %u or root can write to",
                w->path, (unsigned)geteuid());
    }
    return rc;
}

static int refuse_volume(const struct walk *w, struct nk_diag *diag)
{
    int rc = bad_mode("volume", w->at, &w->volume, "can be written by others", diag);
    nk_hint(diag,
            "keep the file in a directory of its own there that belongs to uid %u or root and only "
            "its owner can write to, as 'mkdir -m 700 %s/secrets' makes it; or mount the volume "
            "with less rights",
            (unsigned)geteuid(), strcmp(w->at, "/") == 0 ? "" : w->at);
    return rc;
}

/* w has come to this directory. */
static int check_directory(struct walk *w, struct nk_diag *diag)
{
    struct stat st;
    if (fstat(w->fd, &st) < 0) {
        return nk_fail_sys(diag, -errno, "cannot check %s", w->path);
    }
    bool mounted = st.st_dev != w->dev;
    w->dev = st.st_dev;
    if (w->below_shared && !is_safe(&st)) {
        return refuse_volume(w, diag);
    }
    w->below_shared = false;
    if (!by_others(&st) || (st.st_mode & S_ISVTX) != 0) {
        return 0;
    }
    if (!mounted || (st.st_uid != 0 && st.st_uid != geteuid())) {
        return refuse_directory(w, &st, diag);
    }
    w->shared = w->below_shared = true;
    w->volume = st;
    memcpy(w->at, w->path, sizeof(w->at));
    return 0;
}

/* Into a directory below; takes the place of the one before. */
static int enter(struct walk *w, const char *name, struct nk_diag *diag)
{
    size_t n = strlen(w->path);
    int fd = openat(w->fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int rc = fd < 0 ? -errno : 0;
    snprintf(w->path + n, sizeof(w->path) - n, "%s%s", n > 1 ? "/" : "", name);
    if (rc < 0) {
        return nk_fail_sys(diag, rc, "cannot check %s", w->path);
    }
    close(w->fd);
    w->fd = fd;
    return check_directory(w, diag);
}

/* To the directory `real`, which has no links in it; with_last = false: to the one above. w->fd is
 * open afterwards, or -1. */
static int walk_to(struct walk *w, const char *real, bool with_last, struct nk_diag *diag)
{
    char names[PATH_MAX], *rest = names, *name;
    struct stat root;
    *w = (struct walk){.path = "/", .fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)};
    if (w->fd < 0 || fstat(w->fd, &root) < 0) {
        return nk_fail_sys(diag, -errno, "cannot check /");
    }
    w->dev = root.st_dev; /* the root directory is no volume that somebody mounted for us */
    int rc = check_directory(w, diag);
    snprintf(names, sizeof(names), "%s", real);
    while (rc == 0 && (name = strsep(&rest, "/")) != NULL) {
        if (*name && (with_last || rest)) {
            rc = enter(w, name, diag);
        }
    }
    return rc;
}

static void walk_end(struct walk *w)
{
    if (w->fd >= 0) {
        close(w->fd);
    }
}

/* Who may write where a link is decides what it leads to. */
static int check_link(const char *link, struct nk_diag *diag)
{
    char dir[PATH_MAX], real[PATH_MAX];
    struct walk w;
    int rc = nk_file_dir(dir, sizeof(dir), link);
    if (rc == 0 && !realpath(dir, real)) {
        rc = -errno;
    }
    if (rc < 0) {
        return nk_fail_sys(diag, rc, "cannot check the directory of %s", link);
    }
    rc = walk_to(&w, real, true, diag);
    if (rc == 0 && w.below_shared) {
        rc = refuse_volume(&w, diag);
    }
    walk_end(&w);
    return rc;
}

/* Every link that is written in the path. */
static int check_links(const char *path, struct nk_diag *diag)
{
    char part[PATH_MAX];
    struct stat st;
    size_t len = strlen(path);
    for (size_t n = 1; n <= len && len < sizeof(part); n++) {
        if (path[n] != '/' && path[n] != '\0') {
            continue;
        }
        snprintf(part, sizeof(part), "%.*s", (int)n, path);
        int rc = lstat(part, &st) == 0 && S_ISLNK(st.st_mode) ? check_link(part, diag) : 0;
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* --- the file --------------------------------------------------------------------------------- */

static bool is_below(const char *path, const char *dir)
{
    char real[PATH_MAX];
    if (!dir || !*dir || !realpath(dir, real)) {
        return false;
    }
    size_t n = strlen(real);
    return strncmp(path, real, n) == 0 && path[n] == '/';
}

/* Where a container or service manager hands out secrets with the mode bits of its own choice. */
static bool is_handed_out(const char *real)
{
    return is_below(real, getenv("CREDENTIALS_DIRECTORY")) || is_below(real, "/run/secrets");
}

static int check_file(const char *path, const char *real, const struct stat *st,
                      struct nk_diag *diag)
{
    const char *why = NULL;
    if (by_others(st)) {
        why = "can be written by others";
    } else if ((st->st_mode & (S_IRWXG | S_IRWXO)) != 0 && st->st_uid == geteuid() &&
               !is_handed_out(real)) {
        why = "can be read by others";
    }
    if (!why) {
        return 0;
    }
    bad_mode("secret file", path, st, why, diag);
    nk_hint(diag, "chmod 600 %s", path);
    return NK_EBADMODE;
}

static int open_checked(const struct walk *w, const char *name, const struct stat *was, int *out,
                        struct nk_diag *diag)
{
    struct stat st;
    int fd = openat(w->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        int rc = nk_fail_sys(diag, -errno, "cannot open %s/%s", w->path, name);
        if (fd >= 0) {
            close(fd);
        }
        return rc;
    }
    int rc = 0;
    if (st.st_dev != was->st_dev || st.st_ino != was->st_ino) {
        rc = nk_fail(diag, NK_EBADMODE, "%s/%s was replaced while it was opened", w->path, name);
    } else if (w->shared && !is_safe(&st)) {
        rc = bad_mode("secret file", name, &st, "is neither ours nor root's", diag);
        nk_hint(diag, "below %s, which others can write to, it has to belong to uid %u or root",
                w->at, (unsigned)geteuid());
    } else if (w->below_shared) {
        rc = refuse_volume(w, diag);
    }
    if (rc < 0) {
        close(fd);
        return rc;
    }
    *out = fd;
    return 0;
}

int nk_file_secret_open(const char *path, int fd, int *out, struct nk_diag *diag)
{
    char real[PATH_MAX];
    struct stat st;
    struct walk w;
    if (fstat(fd, &st) < 0 || !realpath(path, real)) {
        return nk_fail_sys(diag, -errno, "cannot check %s", path);
    }
    int rc = check_file(path, real, &st, diag);
    rc = rc < 0 ? rc : check_links(path, diag);
    if (rc < 0) {
        return rc;
    }
    rc = walk_to(&w, real, false, diag);
    rc = rc < 0 ? rc : open_checked(&w, strrchr(real, '/') + 1, &st, out, diag);
    walk_end(&w);
    return rc;
}
