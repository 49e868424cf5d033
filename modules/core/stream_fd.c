/* SPDX-License-Identifier: MIT */
/*
 * Streams over one descriptor. The watcher's mask follows the interest lazily: READABLE stays armed
 * until it fires while nobody wants it (then `again` remembers it), WRITABLE is armed by a write
 * that did not fit and disarmed when it fires unasked. A steady reader or writer causes no
 * epoll_ctl.
 */
#include "core/app_internal.h"
#include "core/gather.h"
#include "core/resolve.h"
#include "core/stream_fd.h"
#include "core/watch.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* What a terminal or pipe surely takes once poll() says it is writable (WAKEUP_CHARS of Linux's tty
 * layer; PIPE_BUF is more). */
enum { SURE_WRITE = 256 };

enum { DO_NOT_WAIT = 0x8 /* RWF_NOWAIT of linux/fs.h, which not every C library names */ };

/* What NK_TUNE_GATHER needs. */
struct gathering {
    struct nk_gather g;
    struct nk_timer late;
};

struct fd_stream {
    struct nk_stream s;
    const char *name;
    struct nk_watch *w; /* NULL while connecting, and after the shutdown of a write-only pipe */
    void (*cancel)(void *arg);
    void *cancel_arg;
    struct gathering *gathering; /* NULL: was not asked for */
    uint64_t drained; /* turn in which a socket gave less than asked: nothing is left, until epoll
                         says so */
    int read_error;   /* sticky, 0 = none */
    int write_error;  /* the same */
    bool socket;
    bool shared;     /* the description may be blocking and is not ours to change */
    bool ended;      /* end of stream was read */
    bool want_write; /* a write did not fit: WRITABLE is due when it would */
    bool shut;       /* no more writes */
};

static struct fd_stream *of(struct nk_stream *s)
{
    return (struct fd_stream *)s;
}

/* Arms what the interest needs and is not remembered as due already. */
static void arm(struct fd_stream *f)
{
    unsigned mask = nk_watch_mask(f->w), want = mask;
    if ((f->s.interest & NK_READABLE) && !f->s.again) {
        want |= NK_READABLE;
    }
    if ((f->s.interest & NK_WRITABLE) && f->want_write) {
        want |= NK_WRITABLE;
    }
    nk_watch_set(f->w, want);
}

static void on_ready(void *owner, struct nk_watch *w, unsigned ready)
{
    struct fd_stream *f = owner;
    unsigned mask = nk_watch_mask(w);
    if (ready & NK_READABLE) {
        if ((f->s.interest & NK_READABLE) && (mask & NK_READABLE)) {
            nk_stream_raise(&f->s, NK_READABLE);
        } else {
            mask &= ~(unsigned)NK_READABLE;
            nk_stream_again(&f->s);
        }
    }
    if (ready & NK_WRITABLE) {
        if (f->want_write) {
            f->want_write = false;
            nk_stream_raise(&f->s, NK_WRITABLE);
        } else {
            mask &= ~(unsigned)NK_WRITABLE;
        }
    }
    nk_watch_set(w, mask);
}

/* --- gathering -------------------------------------------------------------------------------- */

/* The kernel is told; a socket that knows no such thing is read as ever. */
static void gather_set(const struct fd_stream *f)
{
    int least = f->gathering->g.least > 0 ? (int)f->gathering->g.least : 1;
    if (setsockopt(nk_watch_fd(f->w), SOL_SOCKET, SO_RCVLOWAT, &least, sizeof(least)) < 0) {
        f->gathering->g.least = 0;
    }
    if (f->gathering->g.least == 0) {
        nk_timer_stop(&f->gathering->late);
    }
}

/* From now on nobody looks before the kernel says so, but for this. While nobody wants to read, it
 * does not count. */
static void gather_wait(struct fd_stream *f)
{
    if (f->gathering && f->gathering->g.least > 0) {
        if (f->s.interest & NK_READABLE) {
            nk_timer_start(&f->gathering->late, NK_GATHER_LATE_MS);
        } else {
            nk_timer_stop(&f->gathering->late);
        }
    }
}

static void gather_late(void *owner)
{
    struct fd_stream *f = owner;
    if (nk_gather_late(&f->gathering->g)) {
        gather_set(f); /* what is there is reported again */
    }
}

static void gather_read(struct fd_stream *f, size_t n)
{
    if (f->gathering && nk_gather_read(&f->gathering->g, n, nk_now_ms(f->s.app))) {
        gather_set(f);
    }
    gather_wait(f);
}

static void gather_wrote(struct fd_stream *f)
{
    if (f->gathering && nk_gather_wrote(&f->gathering->g)) {
        gather_set(f);
    }
}

static int gather_ask(struct fd_stream *f, int value)
{
    if (!value || f->gathering) {
        return 0;
    }
    f->gathering = calloc(1, sizeof(*f->gathering));
    if (!f->gathering) {
        return -ENOMEM;
    }
    nk_timer_init(&f->gathering->late, f->s.app, gather_late, f);
    return 0;
}

/* --- reading and writing ---------------------------------------------------------------------- */

/* Descriptions that may block: the kernel's own "do not wait", else only what poll() promises. */

static bool ready_now(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, 0) == 1;
}

static ssize_t shared_read(int fd, void *p, size_t n)
{
    struct iovec iov = {.iov_base = p, .iov_len = n};
    ssize_t got = syscall(SYS_preadv2, fd, &iov, 1, -1L, -1L, DO_NOT_WAIT);
    if (got < 0 && errno == EOPNOTSUPP) {
        if (!ready_now(fd, POLLIN)) {
            errno = EAGAIN;
            return -1;
        }
        got = read(fd, p, n); /* returns what is there */
    }
    return got;
}

static ssize_t shared_writev(int fd, const struct iovec *iov, int n)
{
    ssize_t put = syscall(SYS_pwritev2, fd, iov, (unsigned long)n, -1L, -1L, DO_NOT_WAIT);
    if (put >= 0 || errno != EOPNOTSUPP) {
        return put;
    }
    for (int i = 0; i < n; i++) { /* a first small piece of the first buffer that has any */
        if (iov[i].iov_len > 0 && ready_now(fd, POLLOUT)) {
            size_t len = iov[i].iov_len < SURE_WRITE ? iov[i].iov_len : SURE_WRITE;
            return write(fd, iov[i].iov_base, len);
        }
    }
    errno = EAGAIN;
    return -1;
}

static ssize_t receive_some(const struct fd_stream *f, void *p, size_t n)
{
    int fd = nk_watch_fd(f->w);
    if (f->socket) {
        return recv(fd, p, n, MSG_DONTWAIT);
    }
    return f->shared ? shared_read(fd, p, n) : read(fd, p, n);
}

/* What a read returns when it needs no system call. */
static bool read_is_known(const struct fd_stream *f, ssize_t *out)
{
    if (!f->w) {
        *out = f->read_error ? f->read_error : NK_EAGAIN;
    } else if (f->read_error || f->ended) {
        *out = f->read_error;
    } else if (f->drained == f->s.app->turn && (nk_watch_mask(f->w) & NK_READABLE)) {
        *out = NK_EAGAIN; /* saves a system call per event */
    } else {
        return false;
    }
    return true;
}

/* The system call gave `got` (and errno) of n wanted bytes; `all` of what is there if less. */
static ssize_t was_read(struct fd_stream *f, ssize_t got, size_t n, bool all)
{
    if (got < 0 && errno != EAGAIN) {
        return f->read_error = -errno;
    }
    if (got == 0) {
        f->ended = true;
        nk_watch_set(f->w, nk_watch_mask(f->w) & ~(unsigned)NK_READABLE);
        return 0;
    }
    if (got > 0) {
        gather_read(f, (size_t)got);
    }
    if (got == (ssize_t)n && !(nk_watch_mask(f->w) & NK_READABLE)) {
        nk_stream_again(&f->s); /* there may be more, and the watcher would not tell */
    } else if (got != (ssize_t)n) {
        f->drained = all && f->socket && got > 0 ? f->s.app->turn : 0;
        arm(f);
    }
    return got < 0 ? NK_EAGAIN : got;
}

static ssize_t fd_read(struct nk_stream *s, void *p, size_t n)
{
    struct fd_stream *f = of(s);
    ssize_t got;
    if (read_is_known(f, &got)) {
        return got;
    }
    do {
        got = receive_some(f, p, n);
    } while (got < 0 && errno == EINTR);
    return was_read(f, got, n, true);
}

static ssize_t send_some(const struct fd_stream *f, const struct iovec *iov, int n)
{
    ssize_t put;
    do {
        if (f->socket) {
            struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n};
            put = sendmsg(nk_watch_fd(f->w), &m, MSG_DONTWAIT | MSG_NOSIGNAL);
        } else if (f->shared) {
            put = shared_writev(nk_watch_fd(f->w), iov, n);
        } else {
            put = writev(nk_watch_fd(f->w), iov, n);
        }
    } while (put < 0 && errno == EINTR);
    return put < 0 ? -errno : put;
}

/* Why nothing can be written now; 0 when it can be tried. */
static int no_write(struct fd_stream *f)
{
    if (f->write_error || f->shut) {
        return f->write_error ? f->write_error : -EPIPE;
    }
    f->want_write = f->want_write || !f->w;
    return f->w ? 0 : NK_EAGAIN;
}

/* The system call put that many of n bytes, or failed. */
static ssize_t was_written(struct fd_stream *f, ssize_t put, size_t n)
{
    if (put > 0) {
        gather_wrote(f);
    }
    if (put == (ssize_t)n) {
        return put;
    }
    if (put < 0 && put != NK_EAGAIN) {
        return f->write_error = (int)put;
    }
    f->want_write = true;
    arm(f);
    return put;
}

static ssize_t fd_writev(struct nk_stream *s, const struct iovec *iov, int n)
{
    struct fd_stream *f = of(s);
    size_t total = 0;
    int rc = no_write(f);
    if (rc < 0) {
        return rc;
    }
    for (int i = 0; i < n; i++) {
        total += iov[i].iov_len;
    }
    return was_written(f, send_some(f, iov, n), total);
}

/* A description that may block would: splice() has no "do not wait" for the socket. */
static ssize_t fd_splice(struct nk_stream *s, int pipe, size_t n, bool out)
{
    struct fd_stream *f = of(s);
    ssize_t done = 0;
    if (!f->socket || f->shared) {
        return NK_EUNSUPPORTED;
    }
    if (n == 0 || (out && (done = no_write(f)) < 0) || (!out && read_is_known(f, &done))) {
        return done;
    }
    int fd = nk_watch_fd(f->w), in = out ? pipe : fd, to = out ? fd : pipe;
    do {
        done = splice(in, NULL, to, NULL, n, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    } while (done < 0 && errno == EINTR);
    if (done < 0 && !out && errno == EINVAL) {
        return NK_EUNSUPPORTED;
    }
    /* less than was asked for may be all that fits into the pipe's slots */
    return out ? was_written(f, done < 0 ? -errno : done, n) : was_read(f, done, n, false);
}

static int shut_now(struct fd_stream *f)
{
    int fd = nk_watch_fd(f->w);
    if (f->socket) {
        /* a peer that is gone already has its end of stream */
        return shutdown(fd, SHUT_WR) < 0 && errno != ENOTCONN ? -errno : 0;
    }
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) != O_WRONLY) {
        return NK_EUNSUPPORTED; /* a terminal or device has no half-close */
    }
    nk_watch_close(f->w);
    f->w = NULL;
    f->read_error = -EBADF;
    return 0;
}

static int fd_shutdown(struct nk_stream *s)
{
    struct fd_stream *f = of(s);
    if (f->shut) {
        return 0;
    }
    f->shut = true;
    return f->w ? shut_now(f) : 0;
}

static void fd_close(struct nk_stream *s)
{
    struct fd_stream *f = of(s);
    void (*cancel)(void *) = f->cancel;
    f->cancel = NULL;
    if (cancel) {
        cancel(f->cancel_arg);
    }
    if (f->gathering) {
        nk_timer_stop(&f->gathering->late);
        free(f->gathering);
    }
    nk_watch_close(f->w);
    f->w = NULL;
    nk_stream_done(s);
}

static void fd_interest(struct nk_stream *s)
{
    if (of(s)->w) {
        arm(of(s));
        gather_wait(of(s));
    }
}

static int answer_text(void *out, size_t *n, const char *text)
{
    size_t len = strlen(text) + 1;
    if (*n == 0) {
        return -ENOENT;
    }
    snprintf(out, *n, "%s", text);
    *n = len < *n ? len : *n;
    return 0;
}

static int answer_int(void *out, size_t *n, int v)
{
    if (*n < sizeof(v)) {
        return -ENOENT;
    }
    memcpy(out, &v, sizeof(v));
    *n = sizeof(v);
    return 0;
}

static bool peer_cred(int fd, struct ucred *cred)
{
    socklen_t len = sizeof(*cred);
    struct nk_addr a = {.len = sizeof(a.ss)};
    return getsockname(fd, (struct sockaddr *)&a.ss, &a.len) == 0 && a.ss.ss_family == AF_UNIX &&
           getsockopt(fd, SOL_SOCKET, SO_PEERCRED, cred, &len) == 0 && len == sizeof(*cred) &&
           cred->pid != 0;
}

static int query_addr(int fd, bool peer, void *out, size_t *n)
{
    struct nk_addr a = {.len = sizeof(a.ss)};
    struct ucred cred;
    char text[160];
    int rc = peer ? getpeername(fd, (struct sockaddr *)&a.ss, &a.len)
                  : getsockname(fd, (struct sockaddr *)&a.ss, &a.len);
    if (rc < 0) {
        return -ENOENT;
    }
    if (peer && a.ss.ss_family == AF_UNIX && peer_cred(fd, &cred)) {
        snprintf(text, sizeof(text), "unix:uid=%u", (unsigned)cred.uid);
    } else {
        nk_addr_format(text, sizeof(text), &a);
    }
    return answer_text(out, n, text);
}

static int query_uid(int fd, enum nk_query what, void *out, size_t *n)
{
    struct ucred cred;
    char text[32];
    if (!peer_cred(fd, &cred)) {
        return -ENOENT;
    }
    if (what == NK_Q_IDENTITY) {
        snprintf(text, sizeof(text), "uid=%u", (unsigned)cred.uid);
        return answer_text(out, n, text);
    }
    int64_t uid = cred.uid;
    if (*n < sizeof(uid)) {
        return -ENOENT;
    }
    memcpy(out, &uid, sizeof(uid));
    *n = sizeof(uid);
    return 0;
}

static int fd_query(struct nk_stream *s, enum nk_query what, void *out, size_t *n)
{
    struct fd_stream *f = of(s);
    if (what == NK_Q_ENCRYPTED) {
        return answer_int(out, n, 0);
    }
    if (!f->w) {
        return -ENOENT;
    }
    int fd = nk_watch_fd(f->w);
    switch (what) {
    case NK_Q_FD:
        return answer_int(out, n, fd);
    case NK_Q_PEER:
    case NK_Q_LOCAL:
        return f->socket ? query_addr(fd, what == NK_Q_PEER, out, n) : answer_text(out, n, f->name);
    case NK_Q_UID:
    case NK_Q_IDENTITY:
        return f->socket ? query_uid(fd, what, out, n) : -ENOENT;
    default:
        return -ENOENT;
    }
}

static int fd_tune(struct nk_stream *s, enum nk_tune what, int value)
{
    static const struct {
        int level, option;
    } options[] = {
        [NK_TUNE_NODELAY] = {IPPROTO_TCP, TCP_NODELAY},
        [NK_TUNE_QUICKACK] = {IPPROTO_TCP, TCP_QUICKACK},
        [NK_TUNE_NOTSENT_LOWAT] = {IPPROTO_TCP, TCP_NOTSENT_LOWAT},
        [NK_TUNE_SNDBUF] = {SOL_SOCKET, SO_SNDBUF},
        [NK_TUNE_RCVBUF] = {SOL_SOCKET, SO_RCVBUF},
        [NK_TUNE_RESET] = {SOL_SOCKET, SO_LINGER},
    };
    struct fd_stream *f = of(s);
    const struct linger at_once = {.l_onoff =
                                       value}; /* and l_linger 0: socket(7), RFC 9293 3.10.5 */
    bool reset = what == NK_TUNE_RESET;
    if (what == NK_TUNE_GATHER && f->w && f->socket && !f->shared) {
        return gather_ask(f, value);
    }
    if (!f->w || !f->socket || (size_t)what >= sizeof(options) / sizeof(options[0])) {
        return -ENOENT;
    }
    if (setsockopt(nk_watch_fd(f->w), options[what].level, options[what].option,
                   reset ? (const void *)&at_once : &value,
                   reset ? sizeof(at_once) : sizeof(value)) < 0) {
        return errno == EOPNOTSUPP || errno == ENOPROTOOPT ? -ENOENT : -errno;
    }
    return 0;
}

static const struct nk_stream_ops fd_ops = {
    .name = "fd",
    .read = fd_read,
    .writev = fd_writev,
    .shutdown = fd_shutdown,
    .close = fd_close,
    .query = fd_query,
    .interest = fd_interest,
    .tune = fd_tune,
    .splice = fd_splice,
};

int nk_stream_pending(struct nk_app *app, const char *name, void (*cancel)(void *arg), void *arg,
                      struct nk_stream **out)
{
    struct fd_stream *f = calloc(1, sizeof(*f));
    if (!f) {
        return -ENOMEM;
    }
    nk_stream_init(&f->s, &fd_ops, app);
    f->name = name;
    f->cancel = cancel;
    f->cancel_arg = arg;
    *out = &f->s;
    return 0;
}

void nk_stream_attach(struct nk_stream *s, struct nk_watch *take_w)
{
    struct fd_stream *f = of(s);
    struct stat st;
    f->cancel = NULL;
    f->w = take_w;
    f->socket = fstat(nk_watch_fd(take_w), &st) == 0 && S_ISSOCK(st.st_mode);
    nk_watch_own(take_w, on_ready, f);
    nk_watch_set(take_w, 0); /* what a connection attempt watched for is not ours */
    if (f->shut) {
        f->write_error = shut_now(f);
    }
    nk_stream_raise(s, NK_CONNECTED | (f->want_write ? (unsigned)NK_WRITABLE : 0));
    f->want_write = false;
    fd_interest(s);
}

void nk_stream_pending_fail(struct nk_stream *s, int error, const struct nk_diag *why)
{
    of(s)->cancel = NULL;
    nk_stream_fail(s, error, why);
}

int nk_stream_over_fd(struct nk_app *app, int fd, unsigned watch_flags, const char *name,
                      struct nk_stream **out)
{
    struct nk_watch *w;
    struct nk_stream *s;
    int rc = nk_watch_open(app, fd, watch_flags, on_ready, NULL, &w);
    if (rc < 0) {
        return rc;
    }
    rc = nk_stream_pending(app, name, NULL, NULL, &s);
    if (rc < 0) {
        nk_watch_release(w);
        return rc;
    }
    of(s)->shared = (watch_flags & NK_WATCH_SHARED) != 0;
    nk_stream_attach(s, w);
    *out = s;
    return 0;
}

int nk_stream_from_fd(struct nk_app *app, int fd, const char *name, struct nk_stream **out)
{
    int rc = nk_stream_over_fd(app, fd, 0, name, out);
    if (rc < 0) {
        close(fd);
    }
    return rc;
}
