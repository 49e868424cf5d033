/* SPDX-License-Identifier: MIT */
#include "hs/reread.h"

#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

struct hs_reread_dir {
    int wd[2]; /* of the directory and of authorized_clients in it; -1: not there */
    bool seen;
};

enum { EVENTS = 4096 /* bytes of events that are read at once */ };

/* tor lists the directories and opens files in them. */
#define READING (IN_OPEN | IN_ACCESS | IN_CLOSE_NOWRITE | IN_ONLYDIR)

static int add_watch(int fd, const char *dir, const char *name)
{
    char path[NK_PATH_MAX];
    return nk_path_join(path, sizeof(path), dir, name) < 0 ? -1
                                                           : inotify_add_watch(fd, path, READING);
}

int hs_reread_open(struct hs_reread *r, const struct hs_targets *targets, struct nk_diag *diag)
{
    *r = (struct hs_reread){.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), .n = targets->n};
    if (r->fd < 0) {
        return nk_fail_sys(diag, -errno, "cannot watch for tor's reading");
    }
    r->v = calloc(r->n + 1, sizeof(*r->v));
    if (!r->v) {
        hs_reread_close(r);
        return nk_fail(diag, -ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < r->n; i++) {
        const struct hs_target *t = &targets->v[i];
        r->v[i].wd[0] = add_watch(r->fd, t->path, "");
        r->v[i].wd[1] = t->service ? add_watch(r->fd, t->path, HS_AUTH_DIR) : -1;
        if (r->v[i].wd[0] < 0) {
            int rc = nk_fail_sys(diag, -errno, "cannot watch %s", t->path);
            hs_reread_close(r);
            return rc;
        }
    }
    return 0;
}

static void take_events(struct hs_reread *r)
{
    _Alignas(struct inotify_event) char buf[EVENTS];
    ssize_t n;
    while ((n = read(r->fd, buf, sizeof(buf))) > 0) {
        const struct inotify_event *e;
        for (char *p = buf; p < buf + n; p += sizeof(*e) + e->len) {
            e = (const struct inotify_event *)(void *)p;
            for (size_t i = 0; i < r->n; i++) {
                struct hs_reread_dir *d = &r->v[i];
                d->seen = d->seen || e->wd == d->wd[0] || e->wd == d->wd[1];
            }
        }
    }
}

void hs_reread_skip(struct hs_reread *r, size_t i)
{
    r->v[i].seen = true;
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static const char *missing(const struct hs_reread *r, const struct hs_targets *targets)
{
    for (size_t i = 0; i < r->n; i++) {
        if (!r->v[i].seen) {
            return targets->v[i].path;
        }
    }
    return NULL;
}

int hs_reread_wait(struct hs_reread *r, const struct hs_targets *targets, const struct hs_tor *tor,
                   uint64_t ms, struct nk_diag *diag)
{
    uint64_t end = now_ms() + ms;
    const char *dir;
    while (take_events(r), (dir = missing(r, targets))) {
        struct pollfd fds[2] = {{.fd = r->fd, .events = POLLIN},
                                {.fd = tor->pidfd, .events = POLLIN}};
        uint64_t now = now_ms();
        if (now >= end) {
            nk_fail(diag, -ETIMEDOUT, "tor was told, but did not read %s again", dir);
            nk_hint(diag,
                    "is it named in its torrc? With Sandbox 1 tor does not read it at a reload");
            return -ETIMEDOUT;
        }
        uint64_t left = end - now < INT_MAX ? end - now : INT_MAX;
        if (poll(fds, 2, (int)left) < 0 && errno != EINTR) {
            return nk_fail_sys(diag, -errno, "cannot wait for tor");
        }
        if (fds[1].revents) {
            nk_fail(diag, NK_ECLOSED, "tor %d ended at the reload", (int)tor->pid);
            nk_hint(diag, "its log says why; 'tor --verify-config' may, too");
            return NK_ECLOSED;
        }
    }
    return 0;
}

void hs_reread_close(struct hs_reread *r)
{
    if (r->fd >= 0) {
        close(r->fd);
    }
    free(r->v);
    *r = (struct hs_reread){.fd = -1};
}
