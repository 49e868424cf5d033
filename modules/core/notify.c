/* SPDX-License-Identifier: MIT */
#include "core/notify.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/codec.h"
#include "core/app.h"
#include "core/timer.h"

enum {
    RETRY_MS = 100, /* until a full queue of the manager is tried again */
    MESSAGE_MAX = 64,
    WATCHDOG_MIN_US = 2000 /* half of it is the timer's smallest step */
};

struct nk_notify {
    struct nk_app *app;
    int fd;
    char waiting[MESSAGE_MAX]; /* the state that could not be told yet; "" = none */
    struct nk_timer retry, watchdog;
    uint64_t watchdog_ms; /* 0: no watchdog */
};

static bool try_send(struct nk_notify *n, const char *text)
{
    ssize_t sent;
    do {
        sent = send(n->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno != EAGAIN && errno != ENOBUFS) {
        nk_debug(nk_app_log(n->app), "core", "service manager: %s", nk_strerror(-errno));
    }
    return sent >= 0 || (errno != EAGAIN && errno != ENOBUFS);
}

static void on_retry(void *owner)
{
    struct nk_notify *n = owner;
    if (try_send(n, n->waiting)) {
        n->waiting[0] = '\0';
    } else {
        nk_timer_start(&n->retry, RETRY_MS);
    }
}

void nk_notify_send(struct nk_notify *n, enum nk_notify_state state)
{
    struct timespec ts;
    if (!n) {
        return;
    }
    switch (state) {
    case NK_NOTIFY_READY:
        snprintf(n->waiting, sizeof(n->waiting), "READY=1");
        break;
    case NK_NOTIFY_RELOADING:
        /* Type=notify-reload wants the kernel's own clock, whatever ours is */
        clock_gettime(CLOCK_MONOTONIC, &ts);
        snprintf(n->waiting, sizeof(n->waiting), "RELOADING=1\nMONOTONIC_USEC=%llu",
                 (unsigned long long)ts.tv_sec * 1000000 + (unsigned long long)ts.tv_nsec / 1000);
        break;
    case NK_NOTIFY_STOPPING:
        snprintf(n->waiting, sizeof(n->waiting), "STOPPING=1");
        break;
    }
    nk_timer_stop(&n->retry);
    on_retry(n);
}

static void on_watchdog(void *owner)
{
    struct nk_notify *n = owner;
    (void)try_send(n, "WATCHDOG=1"); /* the next one makes up for one that is lost */
    nk_timer_start(&n->watchdog, n->watchdog_ms);
}

static int open_socket(const char *name, int *out, struct nk_diag *diag)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t n = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || n < 2 || n >= sizeof(to.sun_path)) {
        return nk_fail(diag, NK_ECONFIG, "NOTIFY_SOCKET '%.120s' is neither a path nor @name",
                       name);
    }
    memcpy(to.sun_path, name, n);
    if (name[0] == '@') {
        to.sun_path[0] = '\0'; /* abstract namespace: the length counts, not a terminator */
    }
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return nk_fail_sys(diag, -errno, "service manager");
    }
    if (connect(fd, (const struct sockaddr *)&to, len) < 0) {
        int rc = nk_fail_sys(diag, -errno, "service manager at %s", name);
        close(fd);
        return rc;
    }
    *out = fd;
    return 0;
}

/* Half of $WATCHDOG_USEC in ms, 0 when there is none for us. */
static int watchdog_interval(uint64_t *out, struct nk_diag *diag)
{
    const char *usec = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    uint64_t us, for_pid;
    *out = 0;
    if (!usec) {
        return 0;
    }
    if (pid && (nk_parse_u64(pid, &for_pid) < 0 || for_pid != (uint64_t)getpid())) {
        return 0;
    }
    if (nk_parse_u64(usec, &us) < 0 || us < WATCHDOG_MIN_US || us > UINT32_MAX * UINT64_C(1000)) {
        return nk_fail(diag, NK_ECONFIG, "WATCHDOG_USEC '%.40s' cannot be used", usec);
    }
    *out = us / 2000;
    return 0;
}

int nk_notify_open(struct nk_app *app, struct nk_notify **out, struct nk_diag *diag)
{
    const char *name = getenv("NOTIFY_SOCKET");
    uint64_t watchdog_ms;
    int fd = -1;
    *out = NULL;
    if (!name || !*name) {
        return 0;
    }
    int rc = watchdog_interval(&watchdog_ms, diag);
    if (rc == 0) {
        rc = open_socket(name, &fd, diag);
    }
    if (rc) {
        return rc;
    }
    struct nk_notify *n = calloc(1, sizeof(*n));
    if (!n) {
        close(fd);
        return nk_fail_sys(diag, -ENOMEM, "service manager");
    }
    n->app = app;
    n->fd = fd;
    n->watchdog_ms = watchdog_ms;
    nk_timer_init(&n->retry, app, on_retry, n);
    nk_timer_init(&n->watchdog, app, on_watchdog, n);
    if (watchdog_ms) {
        on_watchdog(n);
    }
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    *out = n;
    return 0;
}

void nk_notify_close(struct nk_notify *n)
{
    if (n) {
        nk_timer_stop(&n->retry);
        nk_timer_stop(&n->watchdog);
        close(n->fd);
        free(n);
    }
}
