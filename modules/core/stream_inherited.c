/* SPDX-License-Identifier: MIT */
/*
 * Descriptors from outside. Their file description may be shared with the parent or siblings, and
 * O_NONBLOCK belongs to the description: setting it would break the other users (a shell's
 * terminal).
 *
 *   socket           used in place with MSG_DONTWAIT, behind an epoll set of our own
 *   pipe, terminal   opened anew through /proc/self/fd: a description of our own, non-blocking;
 *                    where that fails (no /proc, no permission) used in place with RWF_NOWAIT or,
 * if the kernel cannot, in pieces that cannot block after poll() file, /dev/null  through lane disk
 */
#include "core/app_internal.h"
#include "core/stream_fd.h"
#include "core/watch.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* A description of our own for the pipe or terminal at fd, or -1. */
static int reopen(int fd, bool writing)
{
    char path[40];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, (writing ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static bool has_access(int fd, bool writing)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && ((flags & O_ACCMODE) == O_RDWR ||
                          (flags & O_ACCMODE) == (writing ? O_WRONLY : O_RDONLY));
}

/* One direction over fd, which is taken only on success. */
static int open_half(struct nk_app *app, int fd, bool writing, const char *name,
                     struct nk_stream **out)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return -errno;
    }
    int rc = -EPERM;
    if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
        int own = reopen(fd, writing);
        if (own >= 0) {
            rc = nk_stream_over_fd(app, own, 0, name, out);
            close(rc == 0 ? fd : own);
        }
    }
    if (rc < 0) {
        rc = nk_stream_over_fd(app, fd, NK_WATCH_SHARED, name, out);
    }
    return rc == -EPERM ? nk_stream_over_file(app, fd, writing, out) : rc;
}

static int open_both(struct nk_app *app, int rfd, int wfd, const char *name, struct nk_stream **out)
{
    struct nk_stream *in = NULL, *put = NULL;
    int rc = open_half(app, rfd, false, name, &in);
    if (rc < 0) {
        close(rfd);
        close(wfd);
        return rc;
    }
    rc = open_half(app, wfd, true, name, &put);
    if (rc < 0) {
        close(wfd);
        nk_stream_close(in);
        return rc;
    }
    return nk_stream_join(app, in, put, out);
}

/* The same descriptor for both: a socket is one stream; of others the access mode decides. */
static int open_same(struct nk_app *app, int fd, const char *name, struct nk_stream **out)
{
    struct stat st;
    int rc;
    if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode)) {
        rc = nk_stream_over_fd(app, fd, NK_WATCH_SHARED, name, out);
    } else if (has_access(fd, false) && has_access(fd, true)) {
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        if (copy >= 0) {
            return open_both(app, fd, copy, name, out);
        }
        rc = -errno;
    } else {
        rc = open_half(app, fd, has_access(fd, true), name, out);
    }
    if (rc < 0) {
        close(fd);
    }
    return rc;
}

int nk_stream_from_inherited(struct nk_app *app, int rfd, int wfd, const char *name,
                             struct nk_stream **out, struct nk_diag *diag)
{
    int rc;
    if (rfd == wfd) {
        rc = open_same(app, rfd, name, out);
    } else if (rfd >= 0 && wfd >= 0) {
        rc = open_both(app, rfd, wfd, name, out);
    } else {
        int fd = rfd >= 0 ? rfd : wfd;
        rc = open_half(app, fd, rfd < 0, name, out);
        if (rc < 0) {
            close(fd);
        }
    }
    return rc < 0 ? nk_fail_sys(diag, rc, "%s", name) : 0;
}
