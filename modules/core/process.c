/* SPDX-License-Identifier: MIT */
/*
 * netkit's end of the launcher's connection: requests go out at once, or wait (with duplicates of
 * their descriptors) for a full connection; reports are matched to processes by id.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/app_internal.h"
#include "core/launch_wire.h"
#include "core/launcher_internal.h"
#include "core/process.h"
#include "core/watch.h"

struct nk_process {
    struct link *link;
    uint32_t id;
    pid_t pid;
    bool ended; /* fn ran, or is about to */
    void (*on_start)(void *owner);
    nk_process_exit_fn *fn;
    void *owner;
    struct nk_process *next, *prev;
};

/* A request that waits. */
struct request {
    struct request *next;
    size_t len, nfds;
    int fds[NK_PROCESS_FDS];
    char bytes[];
};

/* What an app keeps about its launcher. */
struct link {
    struct nk_app *app;
    struct nk_launcher *launcher;
    struct nk_watch *watch; /* NULL: the launcher has died */
    struct nk_process *processes;
    struct request *queue, *queue_last;
};

static const char slot_key = 'p'; /* its address names our slot */

/* --- sending ---------------------------------------------------------------------------------- */

/* One datagram. 0, -EAGAIN, or the error. */
static int send_now(const struct link *k, const void *p, size_t n, const int *fds, size_t nfds)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(NK_PROCESS_FDS * sizeof(int))];
    } control = {.space = {0}};
    struct iovec iov = {(void *)(uintptr_t)p, n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (nfds > 0) {
        msg.msg_control = control.space;
        msg.msg_controllen = (socklen_t)CMSG_SPACE(nfds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = (socklen_t)CMSG_LEN(nfds * sizeof(int));
        memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
    }
    ssize_t sent;
    do {
        sent = sendmsg(k->launcher->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

static void request_free(struct request *r)
{
    while (r->nfds > 0) {
        close(r->fds[--r->nfds]);
    }
    free(r);
}

static int enqueue(struct link *k, const void *p, size_t n, const int *fds, size_t nfds)
{
    struct request *r = malloc(sizeof(*r) + n);
    if (!r) {
        return -ENOMEM;
    }
    *r = (struct request){.len = n};
    memcpy(r->bytes, p, n);
    for (; r->nfds < nfds; r->nfds++) {
        int fd = fcntl(fds[r->nfds], F_DUPFD_CLOEXEC, 3);
        if (fd < 0) {
            int rc = -errno;
            request_free(r);
            return rc;
        }
        r->fds[r->nfds] = fd;
    }
    *(k->queue_last ? &k->queue_last->next : &k->queue) = r;
    k->queue_last = r;
    return 0;
}

/* Watch while somebody waits for a report, or a request for room. */
static void update_watch(struct link *k)
{
    unsigned mask = k->queue ? NK_WRITABLE : 0;
    for (const struct nk_process *p = k->processes; p; p = p->next) {
        if (!p->ended) {
            mask |= NK_READABLE;
            break;
        }
    }
    if (k->watch) {
        (void)nk_watch_set(k->watch, mask);
    }
}

static int request_send(struct link *k, const void *p, size_t n, const int *fds, size_t nfds)
{
    int rc = k->queue ? -EAGAIN : send_now(k, p, n, fds, nfds);
    if (rc == -EAGAIN) {
        rc = enqueue(k, p, n, fds, nfds);
        update_watch(k);
    }
    return rc == -EPIPE || rc == -ECONNRESET ? NK_ECLOSED : rc;
}

static void flush_queue(struct link *k)
{
    while (k->queue) {
        struct request *r = k->queue;
        if (send_now(k, r->bytes, r->len, r->fds, r->nfds) == -EAGAIN) {
            return;
        }
        /* other errors mean that the launcher has died: reading tells, and ends every process */
        k->queue = r->next;
        if (!k->queue) {
            k->queue_last = NULL;
        }
        request_free(r);
    }
}

/* --- receiving -------------------------------------------------------------------------------- */

static void process_end(struct nk_process *p, const struct nk_process_exit *how)
{
    p->ended = true;
    p->pid = 0;
    p->fn(p->owner, how); /* may close p */
}

static void on_reply(struct link *k, const struct launch_reply *r)
{
    struct nk_process *p = k->processes;
    while (p && p->id != r->id) {
        p = p->next;
    }
    if (!p || p->ended) {
        return; /* closed while the report was under way */
    }
    struct nk_process_exit how = {0};
    switch (r->kind) {
    case LAUNCH_STARTED:
        p->pid = r->value;
        if (p->on_start) {
            p->on_start(p->owner);
        }
        return;
    case LAUNCH_FAILED:
        how.error = -r->value;
        break;
    default:
        if (WIFSIGNALED(r->value)) {
            how.signal = WTERMSIG(r->value);
        } else {
            how.status = WEXITSTATUS(r->value);
        }
        break;
    }
    process_end(p, &how);
}

/* The launcher has died: nothing more will be heard of its children. */
static void on_lost(struct link *k)
{
    struct nk_process_exit how = {.error = NK_ECLOSED};
    nk_error(nk_app_log(k->app), "core", "the launcher process has died");
    (void)nk_watch_release(k->watch); /* the descriptor is the launcher's object's */
    k->watch = NULL;
    for (struct nk_process *p = k->processes; p;) {
        if (p->ended) {
            p = p->next;
        } else {
            process_end(p, &how);
            p = k->processes; /* whatever fn closed */
        }
    }
}

static void on_ready(void *owner, struct nk_watch *w, unsigned ready)
{
    struct link *k = owner;
    struct launch_reply reply;
    (void)w;
    (void)ready;
    flush_queue(k);
    for (;;) {
        ssize_t n = recv(k->launcher->fd, &reply, sizeof(reply), MSG_DONTWAIT);
        if (n == (ssize_t)sizeof(reply)) {
            on_reply(k, &reply);
        } else if (n < 0 && errno == EAGAIN) {
            break;
        } else if (n >= 0 || errno != EINTR) {
            on_lost(k);
            break;
        }
    }
    update_watch(k);
}

/* --- the link --------------------------------------------------------------------------------- */

static void link_release(void *value)
{
    struct link *k = value;
    while (k->queue) {
        struct request *r = k->queue;
        k->queue = r->next;
        request_free(r);
    }
    while (k->processes) {
        struct nk_process *p = k->processes;
        k->processes = p->next;
        free(p);
    }
    if (k->watch) {
        (void)nk_watch_release(k->watch);
    }
    free(k);
}

static int link_open(struct nk_app *app, struct link **out)
{
    struct nk_launcher *l = nk_app_launcher(app);
    struct link *k = nk_app_slot(app, &slot_key);
    if (k) {
        *out = k;
        return k->watch ? 0 : NK_ECLOSED;
    }
    k = calloc(1, sizeof(*k));
    if (!k) {
        return -ENOMEM;
    }
    k->app = app;
    k->launcher = l;
    int rc = nk_watch_open(app, l->fd, 0, on_ready, k, &k->watch);
    if (rc == 0) {
        rc = nk_app_slot_set(app, &slot_key, k, link_release);
    }
    if (rc) {
        link_release(k);
        return rc;
    }
    *out = k;
    return 0;
}

int nk_process_prepare(struct nk_app *app)
{
    struct link *k;
    int rc = nk_app_launcher(app) ? link_open(app, &k) : NK_EUNSUPPORTED;
    return rc == NK_ECLOSED ? 0 : rc;
}

/* --- start ------------------------------------------------------------------------------------ */

/* Add the strings of a list to the message; text may be NULL to count only. */
static bool add_strings(char *const *list, char *text, size_t *at, uint32_t *count)
{
    for (*count = 0; list[*count]; ++*count) {
        size_t n = strlen(list[*count]) + 1;
        if (*count >= NK_PROCESS_ARGS || n > NK_PROCESS_BYTES - *at) {
            return false;
        }
        if (text) {
            memcpy(text + *at, list[*count], n);
        }
        *at += n;
    }
    return true;
}

/* All strings of spec into text (NULL: count only). Returns false when they are too many. */
static bool add_all(const struct nk_process_spec *spec, char *text, struct launch_request *r)
{
    const char *given[] = {spec->cwd, spec->scratch};
    char *directories[3] = {NULL};
    size_t at = 0, n = 0;
    for (size_t i = 0; i < 2; i++) {
        if (given[i]) {
            directories[n++] = (char *)(uintptr_t)given[i];
        }
    }
    uint32_t one;
    bool ok = add_strings(spec->argv, text, &at, &r->argc) &&
              (!spec->env || add_strings(spec->env, text, &at, &r->envc)) &&
              add_strings(directories, text, &at, &one);
    r->bytes = (uint32_t)at;
    return ok;
}

/* Fill r's map; the descriptors that go along are put into out. Returns their number. */
static size_t map_fds(const struct nk_process_spec *spec, struct launch_request *r, int *out)
{
    static const int standard[] = {0, 1, 2};
    const int *fds = spec->nfds ? spec->fds : standard;
    size_t n = 0;
    r->nfds = (uint32_t)(spec->nfds ? spec->nfds : 3);
    for (size_t i = 0; i < r->nfds; i++) {
        /* one of ours may be closed when netkit was started that way */
        if (fds[i] < 0 || (spec->nfds == 0 && fcntl(fds[i], F_GETFD) < 0)) {
            r->fds[i] = i < 3 ? LAUNCH_FD_NULL : LAUNCH_FD_CLOSED;
        } else {
            r->fds[i] = (int32_t)n;
            out[n++] = fds[i];
        }
    }
    return n;
}

static int send_start(struct link *k, uint32_t id, const struct nk_process_spec *spec,
                      struct nk_diag *diag)
{
    int fds[NK_PROCESS_FDS];
    struct launch_request r = {.kind = LAUNCH_START, .id = id};
    r.flags = (spec->detach ? (uint32_t)LAUNCH_DETACH : 0) |
              (spec->foreground ? (uint32_t)LAUNCH_FOREGROUND : 0) |
              (spec->env ? (uint32_t)LAUNCH_HAS_ENV : 0) |
              (spec->env_all ? (uint32_t)LAUNCH_ENV_ALL : 0) |
              (spec->env_add ? (uint32_t)LAUNCH_ENV_ADD : 0) |
              (spec->become ? (uint32_t)LAUNCH_BECOME : 0) |
              (spec->cwd ? (uint32_t)LAUNCH_HAS_CWD : 0) |
              (spec->scratch ? (uint32_t)LAUNCH_HAS_SCRATCH : 0);
    if (!add_all(spec, NULL, &r)) {
        return nk_fail(diag, NK_ETOOBIG,
                       "the arguments and environment of '%s' are more than %d words or %d bytes",
                       spec->argv[0], NK_PROCESS_ARGS, NK_PROCESS_BYTES);
    }
    r.uid = (uint32_t)spec->uid;
    r.gid = (uint32_t)spec->gid;
    size_t nfds = map_fds(spec, &r, fds);
    char *message = malloc(sizeof(r) + r.bytes);
    if (!message) {
        return nk_fail_sys(diag, -ENOMEM, "starting '%s'", spec->argv[0]);
    }
    memcpy(message, &r, sizeof(r));
    (void)add_all(spec, message + sizeof(r), &r);
    int rc = request_send(k, message, sizeof(r) + r.bytes, fds, nfds);
    free(message);
    return rc ? nk_fail_sys(diag, rc, "starting '%s'", spec->argv[0]) : 0;
}

int nk_process_start(struct nk_app *app, const struct nk_process_spec *spec, nk_process_exit_fn *fn,
                     void *owner, struct nk_process **out, struct nk_diag *diag)
{
    struct link *k;
    if (!spec->argv || !spec->argv[0] || (spec->nfds != 0 && spec->nfds < 3) ||
        spec->nfds > NK_PROCESS_FDS) {
        return nk_fail(diag, NK_EUSAGE, "no program to start, or a wrong number of descriptors");
    }
    if (!nk_app_launcher(app)) {
        return nk_fail(diag, NK_EUNSUPPORTED,
                       "'%s' cannot be started: this command starts no programs", spec->argv[0]);
    }
    int rc = link_open(app, &k);
    if (rc) {
        return nk_fail_sys(diag, rc, "launcher");
    }
    struct nk_process *p = calloc(1, sizeof(*p));
    if (!p) {
        return nk_fail_sys(diag, -ENOMEM, "starting '%s'", spec->argv[0]);
    }
    *p = (struct nk_process){.link = k, .id = k->launcher->next_id++, .on_start = spec->on_start};
    p->fn = fn;
    p->owner = owner;
    rc = send_start(k, p->id, spec, diag);
    if (rc) {
        free(p);
        return rc;
    }
    p->next = k->processes;
    if (p->next) {
        p->next->prev = p;
    }
    k->processes = p;
    update_watch(k);
    *out = p;
    return 0;
}

int nk_process_kill(struct nk_process *p, int signum)
{
    struct launch_request r = {.kind = LAUNCH_KILL, .id = p->id, .signum = signum};
    return p->ended ? -ESRCH : request_send(p->link, &r, sizeof(r), NULL, 0);
}

pid_t nk_process_pid(const struct nk_process *p)
{
    return p->pid;
}

void nk_process_close(struct nk_process *p)
{
    if (!p) {
        return;
    }
    struct link *k = p->link;
    struct launch_request r = {.kind = LAUNCH_RELEASE, .id = p->id};
    if (!p->ended && k->watch) {
        int rc = request_send(k, &r, sizeof(r), NULL, 0);
        if (rc) { /* the launcher's end ends its children as well */
            nk_debug(nk_app_log(k->app), "core", "release of process %u: %s", p->id,
                     nk_strerror(rc));
        }
    }
    *(p->prev ? &p->prev->next : &k->processes) = p->next;
    if (p->next) {
        p->next->prev = p->prev;
    }
    free(p);
    update_watch(k);
}
