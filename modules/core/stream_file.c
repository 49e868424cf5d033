/* SPDX-License-Identifier: MIT */
/*
 * Streams over what epoll refuses: regular files and devices such as /dev/null. One piece at a time
 * is read or written by a job in lane disk, at the description's own offset, so the loop never
 * waits for a disk.
 *
 * The one exception is close with a piece still unwritten: the process may end right after, so
 * close waits for that piece (or writes it itself when no thread has taken it yet).
 */
#include "core/app_internal.h"
#include "core/stream_fd.h"
#include "core/work.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 128 * 1024 };

struct job {
    struct file_stream *f; /* the loop's */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool taken, finished; /* under lock */
    int fd;
    bool writing, close_fd;
    size_t len; /* to write; or what was read */
    int error;
    uint8_t data[PIECE];
};

struct file_stream {
    struct nk_stream s;
    int fd;
    bool writing;         /* this end is for writing, else for reading */
    struct nk_work *work; /* a job is under way */
    struct job *job;
    uint8_t *data; /* read, not yet taken: data[off..len) */
    size_t off, len;
    bool ended, shut, want_write;
    int error; /* sticky */
};

static struct file_stream *of(struct nk_stream *s)
{
    return (struct file_stream *)s;
}

static void transfer(struct job *j)
{
    if (!j->writing) {
        ssize_t n;
        do {
            n = read(j->fd, j->data, PIECE);
        } while (n < 0 && errno == EINTR);
        j->error = n < 0 ? -errno : 0;
        j->len = n < 0 ? 0 : (size_t)n;
        return;
    }
    for (size_t done = 0; done < j->len;) {
        ssize_t n = write(j->fd, j->data + done, j->len - done);
        if (n < 0 && errno != EINTR) {
            j->error = -errno;
            return;
        }
        done += n > 0 ? (size_t)n : 0;
    }
}

/* True for the one caller that does the work. */
static bool take(struct job *j)
{
    pthread_mutex_lock(&j->lock);
    bool mine = !j->taken;
    j->taken = true;
    pthread_mutex_unlock(&j->lock);
    return mine;
}

static void job_run(void *arg)
{
    struct job *j = arg;
    if (take(j)) {
        transfer(j);
        pthread_mutex_lock(&j->lock);
        j->finished = true;
        pthread_cond_signal(&j->changed);
        pthread_mutex_unlock(&j->lock);
    }
}

static void job_done(void *arg)
{
    struct job *j = arg;
    struct file_stream *f = j->f;
    f->work = NULL;
    f->job = NULL;
    f->error = j->error;
    if (f->writing) {
        if (f->want_write) {
            f->want_write = false;
            nk_stream_raise(&f->s, NK_WRITABLE);
        }
        return;
    }
    f->ended = j->error == 0 && j->len == 0;
    if (j->len > 0) {
        memcpy(f->data, j->data, j->len);
    }
    f->off = 0;
    f->len = j->len;
    nk_stream_again(&f->s);
}

static void job_drop(void *arg)
{
    struct job *j = arg;
    if (j->close_fd) {
        close(j->fd);
    }
    pthread_mutex_destroy(&j->lock);
    pthread_cond_destroy(&j->changed);
    free(j);
}

/* Starts a job with the len bytes of iov (writing) or to read the next piece. */
static int submit(struct file_stream *f, const struct iovec *iov, int n)
{
    static const struct nk_work_ops ops = {.run = job_run, .done = job_done, .drop = job_drop};
    struct job *j = malloc(sizeof(*j));
    if (!j) {
        return -ENOMEM;
    }
    memset(j, 0, offsetof(struct job, data));
    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->changed, NULL);
    j->f = f;
    j->fd = f->fd;
    j->writing = f->writing;
    for (int i = 0; i < n && j->len < PIECE; i++) {
        size_t room = PIECE - j->len, want = iov[i].iov_len;
        memcpy(j->data + j->len, iov[i].iov_base, want < room ? want : room);
        j->len += want < room ? want : room;
    }
    size_t len = j->len;
    int rc = nk_work_submit(f->s.app, NK_LANE_DISK, &ops, j, &f->work);
    if (rc < 0) {
        job_drop(j);
        return rc;
    }
    f->job = j;
    return (int)len;
}

static void read_ahead(struct file_stream *f)
{
    if (f->writing || f->work || f->off < f->len || f->ended || f->error) {
        return;
    }
    f->len = f->off = 0;
    if (!f->data && !(f->data = malloc(PIECE))) {
        f->error = -ENOMEM;
    } else {
        f->error = submit(f, NULL, 0);
    }
    if (f->error) {
        nk_stream_again(&f->s);
    }
}

static ssize_t file_read(struct nk_stream *s, void *p, size_t n)
{
    struct file_stream *f = of(s);
    if (f->writing) {
        return 0; /* there is nothing to read from an output */
    }
    if (f->off == f->len) {
        if (f->error || f->ended) {
            return f->error;
        }
        read_ahead(f);
        return f->error ? f->error : NK_EAGAIN;
    }
    n = n < f->len - f->off ? n : f->len - f->off;
    memcpy(p, f->data + f->off, n);
    f->off += n;
    if (f->off < f->len) {
        nk_stream_again(s);
    } else {
        read_ahead(f);
    }
    return (ssize_t)n;
}

static ssize_t file_writev(struct nk_stream *s, const struct iovec *iov, int n)
{
    struct file_stream *f = of(s);
    size_t total = 0;
    if (f->error) {
        return f->error;
    }
    if (!f->writing || f->shut) {
        return -EPIPE;
    }
    if (f->work) {
        f->want_write = true;
        return NK_EAGAIN;
    }
    for (int i = 0; i < n; i++) {
        total += iov[i].iov_len;
    }
    int put = total ? submit(f, iov, n) : 0;
    if (put >= 0 && (size_t)put < total) {
        f->want_write = true;
    }
    return put;
}

static int file_shutdown(struct nk_stream *s)
{
    of(s)->shut = true;
    return 0;
}

static void finish_write(struct job *j)
{
    if (take(j)) {
        transfer(j);
        return;
    }
    pthread_mutex_lock(&j->lock);
    while (!j->finished) {
        pthread_cond_wait(&j->changed, &j->lock);
    }
    pthread_mutex_unlock(&j->lock);
}

static void file_close(struct nk_stream *s)
{
    struct file_stream *f = of(s);
    if (f->work) {
        if (f->writing) {
            finish_write(f->job);
        }
        f->job->close_fd = true; /* a thread may still be reading from it */
        nk_work_cancel(f->work);
    } else {
        close(f->fd);
    }
    free(f->data);
    nk_stream_done(s);
}

static int file_query(struct nk_stream *s, enum nk_query what, void *out, size_t *n)
{
    (void)s;
    if (what == NK_Q_ENCRYPTED && *n >= sizeof(int)) {
        memset(out, 0, sizeof(int));
        *n = sizeof(int);
        return 0;
    }
    return -ENOENT;
}

static void file_interest(struct nk_stream *s)
{
    if (s->interest & NK_READABLE) {
        if (of(s)->writing) {
            nk_stream_again(s);
        } else {
            read_ahead(of(s));
        }
    }
}

static const struct nk_stream_ops file_ops = {
    .name = "file",
    .read = file_read,
    .writev = file_writev,
    .shutdown = file_shutdown,
    .close = file_close,
    .query = file_query,
    .interest = file_interest,
};

int nk_stream_over_file(struct nk_app *app, int fd, bool writing, struct nk_stream **out)
{
    struct file_stream *f = calloc(1, sizeof(*f));
    if (!f) {
        return -ENOMEM;
    }
    nk_stream_init(&f->s, &file_ops, app);
    f->fd = fd;
    f->writing = writing;
    nk_stream_raise(&f->s, NK_CONNECTED);
    *out = &f->s;
    return 0;
}
