/* SPDX-License-Identifier: MIT */
/* Reading: bounded, never waiting for a FIFO, and careful with what holds secrets. */
#include "base/file.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP (64 * 1024) /* bytes asked for per read(2) */

static void drop_appended(struct nk_buf *out, size_t len)
{
    if (out->secret && out->data && out->len > len)
        nk_wipe(out->data + out->off + len, out->len - len);
    out->len = len;
}

static ssize_t read_retrying(int fd, void *p, size_t n)
{
    for (;;) {
        ssize_t r = read(fd, p, n);
        if (r >= 0)
            return r;
        if (errno == EAGAIN) { /* an inherited descriptor may be non-blocking */
            struct pollfd wait = {.fd = fd, .events = POLLIN};
            poll(&wait, 1, -1);
        } else if (errno != EINTR) {
            return -errno;
        }
    }
}

/* Append everything that fd still holds; on failure out is as it was. */
static int read_all(int fd, const char *name, struct nk_buf *out, struct nk_diag *diag)
{
    size_t before = out->len;
    for (;;) {
        uint8_t extra, *to = &extra;
        size_t room = out->max - out->len;
        size_t want = room < READ_STEP ? room : READ_STEP;
        int r = want > 0 ? nk_buf_reserve(out, want, &to) : 0;
        ssize_t n = r < 0 ? r : read_retrying(fd, to, want > 0 ? want : 1);
        if (n == 0)
            return 0;
        if (n > 0 && want > 0) {
            nk_buf_commit(out, (size_t)n);
            continue;
        }
        drop_appended(out, before);
        if (n < 0)
            return nk_fail_sys(diag, (int)n, "cannot read %s", name);
        return nk_fail(diag, NK_ETOOBIG, "%s is larger than %zu bytes", name, out->max - before);
    }
}

int nk_file_read_fd(int fd, struct nk_buf *out, struct nk_diag *diag)
{
    char name[24] = "standard input";
    if (fd != STDIN_FILENO)
        snprintf(name, sizeof name, "descriptor %d", fd);
    return read_all(fd, name, out, diag);
}

static bool is_below(const char *path, const char *dir)
{
    char real[PATH_MAX];
    if (!dir || !*dir || !realpath(dir, real))
        return false;
    size_t n = strlen(real);
    return strncmp(path, real, n) == 0 && path[n] == '/';
}

/* Where a container or service manager hands out secrets with the mode bits of its own choice. */
static bool is_handed_out(const char *real)
{
    return is_below(real, getenv("CREDENTIALS_DIRECTORY")) || is_below(real, "/run/secrets");
}

static int bad_mode(const char *what, const char *path, const struct stat *st, const char *why,
                    struct nk_diag *diag)
{
    return nk_fail(diag, NK_EBADMODE, "%s %s (owner uid %u, mode %04o) %s", what, path,
                   (unsigned)st->st_uid, (unsigned)st->st_mode & 07777u, why);
}

/* Who may write to a directory can put another file in the place of the one we trust; where the
 * sticky bit is set only owners can. */
static int check_parents(const char *real, struct nk_diag *diag)
{
    char dir[PATH_MAX];
    struct stat st;
    snprintf(dir, sizeof dir, "%s", real);
    for (char *slash = strrchr(dir, '/'); slash; slash = strrchr(dir, '/')) {
        slash[slash == dir ? 1 : 0] = '\0';
        if (stat(dir, &st) < 0)
            return nk_fail_sys(diag, -errno, "cannot check %s", dir);
        if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (st.st_mode & S_ISVTX) == 0) {
            bad_mode("directory", dir, &st, "can be written by others", diag);
            nk_hint(diag, "chmod go-w %s", dir);
            return NK_EBADMODE;
        }
        if (slash == dir)
            break;
    }
    return 0;
}

static int check_secret_file(const char *path, const struct stat *st, struct nk_diag *diag)
{
    char real[PATH_MAX];
    const char *why = NULL;
    if (!realpath(path, real))
        return nk_fail_sys(diag, -errno, "cannot check %s", path);
    if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
        why = "can be written by others";
    else if ((st->st_mode & (S_IRWXG | S_IRWXO)) != 0 && st->st_uid == geteuid() &&
             !is_handed_out(real))
        why = "can be read by others";
    if (why) {
        bad_mode("secret file", path, st, why, diag);
        nk_hint(diag, "chmod 600 %s", path);
        return NK_EBADMODE;
    }
    return check_parents(real, diag);
}

static int check_opened(int fd, const char *path, unsigned flags, struct nk_diag *diag)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return nk_fail_sys(diag, -errno, "cannot check %s", path);
    if (S_ISDIR(st.st_mode))
        return nk_fail_sys(diag, -EISDIR, "cannot read %s", path);
    if (!S_ISREG(st.st_mode))
        return nk_fail(diag, -EINVAL, "%s is not a regular file", path);
    return flags & NK_FILE_SECRET ? check_secret_file(path, &st, diag) : 0;
}

static bool no_such_file(int r)
{
    return r == -ENOENT || r == -ENOTDIR || r == -EISDIR || r == -EINVAL;
}

int nk_file_read(const char *path, unsigned flags, struct nk_buf *out, struct nk_diag *diag)
{
    if (strcmp(path, "-") == 0)
        return nk_file_read_fd(STDIN_FILENO, out, diag);
    /* Without O_NONBLOCK opening a FIFO would wait for its writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int r = fd < 0 ? nk_fail_sys(diag, -errno, "cannot open %s", path)
                   : check_opened(fd, path, flags, diag);
    if (r == 0)
        r = read_all(fd, path, out, diag);
    if (fd >= 0)
        close(fd);
    if ((flags & NK_FILE_CONFIG) != 0 && no_such_file(r))
        r = nk_fail(diag, NK_ECONFIG, "%s", diag ? diag->text : "");
    return r;
}

/* Length without one LF or CRLF at the end. */
static size_t without_newline(const uint8_t *p, size_t n)
{
    if (n > 0 && p[n - 1] == '\n')
        n--;
    else
        return n;
    return n > 0 && p[n - 1] == '\r' ? n - 1 : n;
}

int nk_file_read_secret(const char *path, bool line, struct nk_secret *out, struct nk_diag *diag)
{
    struct nk_buf buf;
    nk_buf_init_secret(&buf, NK_SECRET_MAX);
    int r = nk_file_read(path, NK_FILE_SECRET | NK_FILE_CONFIG, &buf, diag);
    if (r == 0) {
        size_t n = buf.len;
        if (line)
            n = without_newline(nk_buf_ptr(&buf), n);
        if (n == 0)
            r = nk_fail(diag, NK_ECONFIG, "%s is empty", path);
        else
            r = nk_secret_set(out, nk_buf_ptr(&buf), n);
        if (r == -ENOMEM)
            nk_fail_sys(diag, r, "guarded memory for %s", path);
    }
    nk_buf_clear(&buf);
    return r;
}
