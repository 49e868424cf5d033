/* SPDX-License-Identifier: MIT */
#include "hs/changes.h"

#include <errno.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/watch.h"

enum {
    PATIENCE = 10, /* what does not pause is reported after so many times the pause */
    EVENTS = 4096  /* bytes of the kernel's events that are read at once */
};

/* What a reader of the directory would see differently. */
#define CHANGES                                                                                    \
    (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ATTRIB |            \
     IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

static void on_pause(void *owner)
{
    struct hs_changes *c = owner;
    c->first_ms = 0;
    c->fn(c->owner);
}

/* Wait until it pauses, but not for ever. */
static void on_change(void *owner, struct nk_watch *w, unsigned ready)
{
    struct hs_changes *c = owner;
    char buf[EVENTS];
    uint64_t now = nk_now_ms(c->app);
    bool any = false;
    (void)ready;
    while (read(nk_watch_fd(w), buf, sizeof(buf)) > 0) {
        any = true;
    }
    if (!any) {
        return;
    }
    if (c->first_ms == 0) {
        c->first_ms = now;
    }
    uint64_t last = c->first_ms + PATIENCE * c->pause_ms;
    nk_timer_start(&c->pause, last <= now                ? 0
                              : c->pause_ms < last - now ? c->pause_ms
                                                         : last - now);
}

int hs_changes_open(struct hs_changes *c, struct nk_app *app, uint64_t pause_ms,
                    void (*fn)(void *owner), void *owner, struct nk_diag *diag)
{
    *c = (struct hs_changes){.pause_ms = pause_ms, .app = app, .fn = fn, .owner = owner};
    nk_timer_init(&c->pause, app, on_pause, c);
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    int rc = fd < 0 ? -errno : nk_watch_open(app, fd, 0, on_change, c, &c->watch);
    if (rc < 0 && fd >= 0) {
        close(fd);
    }
    rc = rc < 0 ? rc : nk_watch_set(c->watch, NK_READABLE);
    if (rc < 0) {
        hs_changes_close(c);
    }
    return rc < 0 ? nk_fail_sys(diag, rc, "cannot watch directories") : 0;
}

int hs_changes_add(const struct hs_changes *c, const char *dir)
{
    return inotify_add_watch(nk_watch_fd(c->watch), dir, CHANGES) < 0 ? -errno : 0;
}

void hs_changes_soon(struct hs_changes *c, uint64_t ms)
{
    nk_timer_start(&c->pause, ms);
}

void hs_changes_stop(struct hs_changes *c)
{
    nk_timer_stop(&c->pause);
}

void hs_changes_close(struct hs_changes *c)
{
    if (c->app) {
        nk_timer_stop(&c->pause);
    }
    nk_watch_close(c->watch);
    c->watch = NULL;
}
