/* SPDX-License-Identifier: MIT */
/* Reading: bounded, never waiting for a FIFO, and careful with what holds secrets. */
#include "base/file.h"
#include "base/file_secret.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP (64 * 1024) /* bytes asked for per read(2) */

int nk_file_dir(char *out, size_t max, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *from = slash ? path : ".";
    size_t n = slash && slash != path ? (size_t)(slash - path) : 1;
    if (n >= max) {
        return -ENAMETOOLONG;
    }
    memcpy(out, from, n);
    out[n] = '\0';
    return 0;
}

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

static int check_opened(int fd, const char *path, struct nk_diag *diag)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return nk_fail_sys(diag, -errno, "cannot check %s", path);
    if (S_ISDIR(st.st_mode))
        return nk_fail_sys(diag, -EISDIR, "cannot read %s", path);
    return S_ISREG(st.st_mode) ? 0 : nk_fail(diag, -EINVAL, "%s is not a regular file", path);
}

/* Replaces *fd by a descriptor of the same file that can be trusted. */
static int check_secret(int *fd, const char *path, struct nk_diag *diag)
{
    int checked;
    int r = nk_file_secret_open(path, *fd, &checked, diag);
    if (r == 0) {
        close(*fd);
        *fd = checked;
    }
    return r;
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
    int r =
        fd < 0 ? nk_fail_sys(diag, -errno, "cannot open %s", path) : check_opened(fd, path, diag);
    if (r == 0 && (flags & NK_FILE_SECRET) != 0)
        r = check_secret(&fd, path, diag);
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
