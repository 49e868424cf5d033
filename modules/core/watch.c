/* SPDX-License-Identifier: MIT */
/*
 * Order of closing matters to libuv: stop the handle, close the fd, then uv_close. Closing the fd
 * first leaves the handle registered under a number that the next socket may get.
 */
#include "core/app_internal.h"
#include "core/watch.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* One for every connection: its owner is the handle's data, its app the loop's. */
struct nk_watch {
    uv_poll_t poll; /* first */
    nk_watch_fn *fn;
    int fd;
    int inner; /* our own epoll set around a shared fd, else -1 */
    unsigned mask;
};

static struct nk_app *app_of(const struct nk_watch *w)
{
    return w->poll.loop->data;
}

static void inner_set(struct nk_watch *w, int op, unsigned mask)
{
    struct epoll_event ev = {.events = (mask & NK_READABLE ? (uint32_t)EPOLLIN : 0) |
                                       (mask & NK_WRITABLE ? (uint32_t)EPOLLOUT : 0)};
    (void)epoll_ctl(w->inner, op, w->fd, &ev); /* the descriptors were checked in open */
}

/* What a shared fd is ready for; an error or hang-up reads as both. */
static unsigned inner_ready(struct nk_watch *w)
{
    struct epoll_event ev;
    if (epoll_wait(w->inner, &ev, 1, 0) != 1) {
        return 0;
    }
    if (ev.events & (EPOLLERR | EPOLLHUP)) {
        return NK_READABLE | NK_WRITABLE;
    }
    return (ev.events & EPOLLIN ? (unsigned)NK_READABLE : 0) |
           (ev.events & EPOLLOUT ? (unsigned)NK_WRITABLE : 0);
}

static void on_poll(uv_poll_t *h, int status, int events)
{
    struct nk_watch *w = (struct nk_watch *)(void *)h;
    unsigned ready;
    nk_app_enter(h->loop->data);
    if (status < 0) {
        /* libuv says EBADF for every error condition and has stopped the handle; stopping it again
         * takes the fd out of the kernel's set too. The reason is the fd's own. */
        uv_poll_stop(h);
        w->mask = 0;
        ready = NK_READABLE | NK_WRITABLE;
    } else if (w->inner >= 0) {
        ready = inner_ready(w) & w->mask;
    } else {
        ready = (events & UV_READABLE ? (unsigned)NK_READABLE : 0) |
                (events & UV_WRITABLE ? (unsigned)NK_WRITABLE : 0);
    }
    if (ready) {
        w->fn(h->data, w, ready);
    }
}

static int open_inner(int fd)
{
    int inner = epoll_create1(EPOLL_CLOEXEC);
    if (inner < 0) {
        return -errno;
    }
    struct epoll_event ev = {.events = 0};
    if (epoll_ctl(inner, EPOLL_CTL_ADD, fd, &ev) < 0) {
        int rc = -errno;
        close(inner);
        return rc;
    }
    return inner;
}

int nk_watch_open(struct nk_app *app, int fd, unsigned flags, nk_watch_fn *fn, void *owner,
                  struct nk_watch **out)
{
    int inner = -1;
    struct nk_watch *w = calloc(1, sizeof(*w));
    if (!w) {
        return -ENOMEM;
    }
    if (flags & NK_WATCH_SHARED) {
        inner = open_inner(fd);
        if (inner < 0) {
            free(w);
            return inner;
        }
    }
    int rc = uv_poll_init(&app->loop, &w->poll, inner >= 0 ? inner : fd);
    if (rc < 0) {
        if (inner >= 0) {
            close(inner);
        }
        free(w);
        return rc;
    }
    w->poll.data = owner;
    w->fn = fn;
    w->fd = fd;
    w->inner = inner;
    app->watches++;
    *out = w;
    return 0;
}

void nk_watch_own(struct nk_watch *w, nk_watch_fn *fn, void *owner)
{
    w->fn = fn;
    w->poll.data = owner;
}

int nk_watch_set(struct nk_watch *w, unsigned mask)
{
    if (mask == w->mask) {
        return 0;
    }
    w->mask = mask;
    if (mask == 0) {
        if (w->inner >= 0) {
            inner_set(w, EPOLL_CTL_MOD, 0);
        }
        return uv_poll_stop(&w->poll);
    }
    if (w->inner >= 0) {
        inner_set(w, EPOLL_CTL_MOD, mask);
        return uv_poll_start(&w->poll, UV_READABLE, on_poll);
    }
    return uv_poll_start(
        &w->poll, (mask & NK_READABLE ? UV_READABLE : 0) | (mask & NK_WRITABLE ? UV_WRITABLE : 0),
        on_poll);
}

unsigned nk_watch_mask(const struct nk_watch *w)
{
    return w->mask;
}

int nk_watch_fd(const struct nk_watch *w)
{
    return w->fd;
}

static void on_closed(uv_handle_t *h)
{
    free(h);
}

int nk_watch_release(struct nk_watch *w)
{
    int fd = w->fd;
    uv_poll_stop(&w->poll);
    if (w->inner >= 0) {
        close(w->inner);
    }
    app_of(w)->watches--;
    uv_close((uv_handle_t *)&w->poll, on_closed);
    return fd;
}

void nk_watch_close(struct nk_watch *w)
{
    if (!w) {
        return;
    }
    int fd = w->fd;
    uv_poll_stop(&w->poll);
    if (w->inner >= 0) {
        inner_set(w, EPOLL_CTL_DEL, 0);
        close(w->inner);
    }
    close(fd); /* between stop and uv_close, see above */
    app_of(w)->watches--;
    uv_close((uv_handle_t *)&w->poll, on_closed);
}
