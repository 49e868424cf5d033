/* SPDX-License-Identifier: MIT */
/*
 * The launcher process: one poll loop over its connection to netkit and a signalfd. Every signal is
 * blocked all the time, so nothing interrupts it: SIGCHLD is read from the signalfd, and as PID 1
 * so are the signals that are passed on to netkit; those of a terminal (Ctrl-C) are meant for
 * netkit, which ends and thereby ends the launcher.
 *
 * A report that the connection cannot take now stays in its child's record: the launcher never
 * waits for netkit, and so never stops reaping.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "core/launch_wire.h"
#include "core/launcher.h"
#include "core/launcher_internal.h"

#define GRACE_MS 2000 /* from TERM to KILL for a child that nobody wants any more */

/* What is still to be told about a child. */
enum child_report { REPORT_NONE, REPORT_STARTED = 1, REPORT_FAILED = 2, REPORT_ENDED = 4 };

struct child {
    uint32_t id;
    pid_t pid;      /* 0: does not run (any more) */
    int32_t status; /* errno of a failed start, else of waitpid */
    int32_t started_pid;
    unsigned report;
    unsigned flags;
    bool released;
    int64_t kill_ms; /* when to KILL it; 0 = never */
    char *scratch;   /* to be removed at its end, or NULL */
    struct child *next;
};

struct server {
    int conn; /* -1 once netkit is gone */
    int signals;
    int null_fd;
    pid_t main_pid; /* netkit, while it runs and we are PID 1 */
    bool pid1;
    bool closing;
    int main_status; /* exit status to end with as PID 1 */
    struct launch_env env;
    struct child *children;
    char *message; /* LAUNCH_MESSAGE_MAX bytes */
};

static int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static struct child *find_id(struct server *s, uint32_t id)
{
    struct child *c = s->children;
    while (c && c->id != id) {
        c = c->next;
    }
    return c;
}

static void child_signal(const struct child *c, int signum)
{
    if (c->pid > 0) {
        kill(-c->pid, signum);
    }
}

/* TERM now, KILL when the grace is over. */
static void child_end(struct child *c)
{
    if (c->pid > 0 && c->kill_ms == 0) {
        child_signal(c, SIGTERM);
        child_signal(c, SIGCONT); /* a stopped one would not see it */
        c->kill_ms = now_ms() + GRACE_MS;
    }
}

/* --- reports ---------------------------------------------------------------------------------- */

/* Returns false when the connection is full; the report then waits for POLLOUT. */
static bool send_report(struct server *s, const struct child *c, enum child_report what)
{
    struct launch_reply reply = {.id = c->id};
    switch (what) {
    case REPORT_STARTED:
        reply.kind = LAUNCH_STARTED;
        reply.value = c->started_pid;
        break;
    case REPORT_FAILED:
        reply.kind = LAUNCH_FAILED;
        reply.value = c->status;
        break;
    default:
        reply.kind = LAUNCH_ENDED;
        reply.value = c->status;
        break;
    }
    ssize_t n;
    do {
        n = send(s->conn, &reply, sizeof(reply), MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    /* any other error means that netkit is gone, which poll tells us too */
    return n >= 0 || errno != EAGAIN;
}

/* Send what can be sent. Returns true when something has to wait. */
static bool flush_reports(struct server *s)
{
    static const enum child_report order[] = {REPORT_STARTED, REPORT_FAILED, REPORT_ENDED};
    for (struct child *c = s->children; c; c = c->next) {
        if (c->released || s->conn < 0) {
            c->report = REPORT_NONE;
        }
        for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
            if (!(c->report & order[i])) {
                continue;
            }
            if (!send_report(s, c, order[i])) {
                return true;
            }
            c->report &= ~(unsigned)order[i];
        }
    }
    return false;
}

/* Forget children that have ended and been reported. */
static void sweep(struct server *s)
{
    for (struct child **at = &s->children; *at;) {
        struct child *c = *at;
        if (c->pid == 0 && c->report == REPORT_NONE) {
            *at = c->next;
            free(c->scratch);
            free(c);
        } else {
            at = &c->next;
        }
    }
}

/* --- children --------------------------------------------------------------------------------- */

static void main_ended(struct server *s, int status)
{
    s->main_pid = 0;
    s->main_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Before the end is reported: who hears of it finds the directory gone. */
static void remove_scratch(struct child *c)
{
    if (c->scratch) {
        (void)nk_remove_tree(c->scratch); /* nobody to tell; what is left is in a private place */
        free(c->scratch);
        c->scratch = NULL;
    }
}

static void reap(struct server *s)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == s->main_pid) {
            main_ended(s, status);
            continue;
        }
        struct child *c = s->children;
        while (c && c->pid != pid) {
            c = c->next;
        }
        if (c) { /* else an orphan that was given to us */
            c->pid = 0;
            c->status = status;
            c->report |= REPORT_ENDED;
            remove_scratch(c);
        }
    }
}

/* fork and exec; returns 0 and the pid, or the errno. */
static int spawn(const struct launch_spec *spec, pid_t *out)
{
    int pipe_fds[2], error = 0, status;
    pid_t self = getpid();
    if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
        return errno;
    }
    /* not fork: it runs the handlers that libraries registered, and libuv's (where a loop existed
     * before the launcher did) closes descriptors by numbers that are ours here */
    pid_t pid = _Fork();
    if (pid < 0) {
        error = errno;
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        return error;
    }
    if (pid == 0) {
        launch_exec(spec, self, pipe_fds[1]);
    }
    close(pipe_fds[1]);
    /* end of file: exec closed the other end */
    ssize_t n;
    do {
        n = read(pipe_fds[0], &error, sizeof(error));
    } while (n < 0 && errno == EINTR);
    close(pipe_fds[0]);
    if (n == (ssize_t)sizeof(error)) {
        waitpid(pid, &status, 0);
        return error;
    }
    *out = pid;
    return 0;
}

static int start_child(struct server *s, uint32_t id, const struct launch_spec *spec)
{
    struct child *c = calloc(1, sizeof(*c));
    if (!c) {
        return -ENOMEM;
    }
    if (spec->scratch && !(c->scratch = strdup(spec->scratch))) {
        free(c);
        return -ENOMEM;
    }
    c->id = id;
    c->flags = spec->flags;
    int error = spawn(spec, &c->pid);
    c->started_pid = (int32_t)c->pid;
    c->status = error;
    c->report = error ? REPORT_FAILED : REPORT_STARTED;
    if (error) {
        remove_scratch(c);
    }
    /* kept in the order of starting, so that reports are too */
    struct child **at = &s->children;
    while (*at) {
        at = &(*at)->next;
    }
    *at = c;
    return 0;
}

/* --- requests --------------------------------------------------------------------------------- */

/* Cut the strings of a start request apart. text ends with NUL. Returns false when they do not
 * match the header's counts. */
static bool split_strings(char *text, size_t n, char **out, size_t count)
{
    char *end = text + n;
    for (size_t i = 0; i < count; i++) {
        if (text == end) {
            return false;
        }
        out[i] = text;
        text += strlen(text) + 1;
    }
    return text == end;
}

static bool map_fds(const struct server *s, const struct launch_request *r, const int *fds,
                    size_t nfds, struct launch_spec *spec)
{
    spec->nfds = r->nfds;
    for (size_t i = 0; i < r->nfds; i++) {
        int32_t at = r->fds[i];
        if (at == LAUNCH_FD_NULL) {
            spec->fds[i] = s->null_fd;
        } else if (at == LAUNCH_FD_CLOSED) {
            spec->fds[i] = LAUNCH_FD_CLOSED;
        } else if (at >= 0 && (size_t)at < nfds) {
            spec->fds[i] = fds[at];
        } else {
            return false;
        }
    }
    return true;
}

static bool same_name(const char *a, const char *b)
{
    size_t n = strcspn(a, "=");
    return strncmp(a, b, n) == 0 && (b[n] == '=' || b[n] == '\0');
}

/* `base` without the names that `more` has, and `more`; free() it. NULL when memory is missing. */
static char **merge_env(char *const *base, char *const *more)
{
    size_t nbase = 0, nmore = 0, n = 0;
    while (base[nbase]) {
        nbase++;
    }
    while (more[nmore]) {
        nmore++;
    }
    char **out = calloc(nbase + nmore + 1, sizeof(*out));
    for (size_t i = 0; out && i < nbase; i++) {
        size_t j = 0;
        while (j < nmore && !same_name(more[j], base[i])) {
            j++;
        }
        if (j == nmore) {
            out[n++] = base[i];
        }
    }
    if (out) {
        memcpy(out + n, more, nmore * sizeof(*out));
    }
    return out;
}

/* Returns false when the message is malformed. */
static bool on_start(struct server *s, const struct launch_request *r, char *text, const int *fds,
                     size_t nfds)
{
    struct launch_spec spec = {.flags = r->flags, .uid = r->uid, .gid = r->gid};
    bool has_cwd = r->flags & LAUNCH_HAS_CWD, has_scratch = r->flags & LAUNCH_HAS_SCRATCH;
    if (r->argc < 1 || r->argc > NK_PROCESS_ARGS || r->envc > NK_PROCESS_ARGS || r->nfds < 3 ||
        r->nfds > NK_PROCESS_FDS || r->bytes < 1 || text[r->bytes - 1] != '\0' ||
        find_id(s, r->id) || !map_fds(s, r, fds, nfds, &spec)) {
        return false;
    }
    /* argv and env are ended by NULL each: two more places, two for the directories */
    char *strings[NK_PROCESS_ARGS * 2 + 4] = {NULL};
    size_t count = (size_t)r->argc + r->envc + has_cwd + has_scratch;
    if (!split_strings(text, r->bytes, strings, count)) {
        return false;
    }
    spec.scratch = has_scratch ? strings[count - 1] : NULL;
    spec.cwd = has_cwd ? strings[count - 1 - has_scratch] : NULL;
    memmove(strings + r->argc + 1, strings + r->argc, r->envc * sizeof(*strings));
    strings[r->argc] = NULL;
    strings[r->argc + 1 + r->envc] = NULL;
    spec.argv = strings;
    spec.env = (r->flags & LAUNCH_HAS_ENV)   ? strings + r->argc + 1
               : (r->flags & LAUNCH_ENV_ALL) ? s->env.all
                                             : s->env.plain;
    char **merged = NULL;
    if ((r->flags & LAUNCH_ENV_ADD) && (r->flags & LAUNCH_HAS_ENV)) {
        merged = merge_env((r->flags & LAUNCH_ENV_ALL) ? s->env.all : s->env.plain, spec.env);
        if (!merged) {
            return false;
        }
        spec.env = merged;
    }
    bool ok = start_child(s, r->id, &spec) == 0;
    free(merged);
    return ok;
}

static bool on_request(struct server *s, size_t n, const int *fds, size_t nfds)
{
    struct launch_request r;
    if (n < sizeof(r)) {
        return false;
    }
    memcpy(&r, s->message, sizeof(r));
    if (r.bytes != n - sizeof(r)) {
        return false;
    }
    struct child *c = find_id(s, r.id);
    switch (r.kind) {
    case LAUNCH_START:
        return on_start(s, &r, s->message + sizeof(r), fds, nfds);
    case LAUNCH_KILL:
        if (c) {
            child_signal(c, r.signum);
        }
        return true;
    case LAUNCH_RELEASE:
        if (c) {
            c->released = true;
            if (!(c->flags & LAUNCH_DETACH)) {
                child_end(c);
            }
        }
        return true;
    default:
        return false;
    }
}

static size_t take_fds(struct msghdr *msg, int *fds)
{
    size_t n = 0;
    /* Descriptors arrive in one header, the only one (and musl's CMSG_NXTHDR does not compile
     * without sign conversions). */
    struct cmsghdr *c = CMSG_FIRSTHDR(msg);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
        n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds, CMSG_DATA(c), n * sizeof(int));
    }
    return n;
}

/* One message. Returns false when there was none; a lost or unusable connection is closed. */
static bool receive(struct server *s)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(NK_PROCESS_FDS * sizeof(int))];
    } control;
    int fds[NK_PROCESS_FDS];
    struct iovec iov = {s->message, LAUNCH_MESSAGE_MAX};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.space,
                         .msg_controllen = sizeof(control.space)};
    ssize_t n = recvmsg(s->conn, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    bool ok = n > 0 && !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
    size_t nfds = n > 0 ? take_fds(&msg, fds) : 0;
    ok = ok && on_request(s, (size_t)n, fds, nfds);
    while (nfds > 0) {
        close(fds[--nfds]);
    }
    if (!ok) {
        close(s->conn);
        s->conn = -1;
    }
    return ok;
}

/* --- the loop --------------------------------------------------------------------------------- */

/* As PID 1: what comes from outside is for netkit. With netkit gone, the wait for the rest is over.
 */
static void read_signals(struct server *s)
{
    struct signalfd_siginfo info;
    while (read(s->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        int signum = (int)info.ssi_signo;
        if (signum == SIGCHLD) {
            continue;
        }
        if (s->main_pid > 0) {
            kill(s->main_pid, signum);
            continue;
        }
        for (struct child *c = s->children; c; c = c->next) {
            c->kill_ms = 1;
        }
    }
}

/* Whether this child keeps the launcher from ending. As PID 1 our end is everybody's end. */
static bool holds(const struct server *s, const struct child *c)
{
    return c->pid > 0 && (s->pid1 || !(c->flags & LAUNCH_DETACH));
}

static void begin_closing(struct server *s)
{
    s->closing = true;
    for (struct child *c = s->children; c; c = c->next) {
        if (holds(s, c)) {
            child_end(c);
        }
    }
}

/* KILL what is due. Returns the milliseconds to the next one, -1 for none. */
static int run_deadlines(struct server *s)
{
    int64_t now = now_ms(), next = -1;
    for (struct child *c = s->children; c; c = c->next) {
        if (c->pid == 0 || c->kill_ms == 0 || c->kill_ms == INT64_MAX) {
            continue;
        }
        if (c->kill_ms <= now) {
            child_signal(c, SIGKILL);
            c->kill_ms = INT64_MAX;
        } else if (next < 0 || c->kill_ms - now < next) {
            next = c->kill_ms - now;
        }
    }
    return (int)next;
}

static bool finished(const struct server *s)
{
    if (!s->closing) {
        return false;
    }
    for (const struct child *c = s->children; c; c = c->next) {
        if (holds(s, c)) {
            return false;
        }
    }
    return true;
}

_Noreturn static void serve(struct server *s)
{
    for (;;) {
        reap(s);
        bool gone = s->pid1 ? s->main_pid == 0 : s->conn < 0;
        if (gone && !s->closing) {
            begin_closing(s);
            reap(s);
        }
        bool full = flush_reports(s);
        sweep(s);
        if (finished(s)) {
            _exit(s->main_status);
        }
        struct pollfd polls[2] = {
            {.fd = s->signals, .events = POLLIN},
            {.fd = s->conn, .events = (short)(full ? POLLIN | POLLOUT : POLLIN)}};
        if (poll(polls, 2, run_deadlines(s)) < 0) {
            continue; /* EINTR cannot be, as all signals are blocked; ENOMEM passes */
        }
        if (polls[0].revents) {
            read_signals(s);
        }
        if (polls[1].revents & (POLLIN | POLLHUP | POLLERR)) {
            receive(s);
        }
    }
}

static int open_signals(bool pid1)
{
    static const int forwarded[] = {SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM, SIGWINCH};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    for (size_t i = 0; pid1 && i < sizeof(forwarded) / sizeof(forwarded[0]); i++) {
        sigaddset(&set, forwarded[i]);
    }
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Keep nothing of what netkit was started with but the connection: pipes of its stdin and stdout
 * must see their end when netkit ends. */
static void only_keep(int *conn)
{
    enum { KEPT = 3 };
    if (*conn == KEPT || dup3(*conn, KEPT, O_CLOEXEC) == KEPT) {
        *conn = KEPT;
        launch_close_from(KEPT + 1, false);
    }
}

_Noreturn void launch_serve(int conn, pid_t main_pid)
{
    struct server s = {.conn = conn, .main_pid = main_pid, .pid1 = main_pid > 0};
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    signal(SIGCHLD, SIG_DFL); /* inherited SIG_IGN would reap without us */
    (void)prctl(PR_SET_NAME, "nk-launcher");
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    only_keep(&s.conn);
    s.signals = open_signals(s.pid1);
    s.null_fd = launch_null();
    s.message = malloc(LAUNCH_MESSAGE_MAX);
    if (s.signals < 0 || !s.message || launch_env_take(&s.env)) {
        _exit(NK_EXIT_INTERNAL); /* netkit sees the closed connection */
    }
    for (int fd = 0; fd < 3 && s.null_fd >= 0; fd++) {
        if (s.null_fd != fd) {
            (void)dup2(s.null_fd, fd);
        }
    }
    serve(&s);
}

/* --- netkit's side ---------------------------------------------------------------------------- */

/* We were PID 1 and are a child now: variables that name the one process they are for follow us. */
static int move_pid_variables(void)
{
    static const char *const names[] = {"LISTEN_PID", "WATCHDOG_PID"};
    char text[16];
    snprintf(text, sizeof(text), "%ld", (long)getpid());
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = getenv(names[i]);
        if (value && strcmp(value, "1") == 0 && setenv(names[i], text, 1) < 0) {
            return -errno;
        }
    }
    return 0;
}

/* In netkit, just forked from PID 1. A group of its own, so that Ctrl-C reaches it once: from the
 * terminal and not through PID 1 again. */
static int settle_below_pid1(void)
{
    (void)setpgid(0, 0);
    if (isatty(0)) {
        (void)tcsetpgrp(0, getpgrp()); /* SIGTTOU is blocked here */
    }
    return move_pid_variables();
}

int nk_launcher_start(struct nk_launcher **out, struct nk_diag *diag)
{
    int fds[2], rc = 0;
    sigset_t all, before;
    bool pid1 = getpid() == 1;
    struct nk_launcher *l = calloc(1, sizeof(*l));
    if (!l) {
        return nk_fail_sys(diag, -ENOMEM, "launcher");
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
        rc = nk_fail_sys(diag, -errno, "launcher: socket pair");
        free(l);
        return rc;
    }
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before); /* none may be lost, or end us halfway */
    pid_t pid = fork();
    if (pid < 0) {
        rc = nk_fail_sys(diag, -errno, "launcher: fork");
    } else if (pid == 0 && !pid1) {
        launch_serve(fds[1], 0);
    } else if (pid > 0 && pid1) {
        launch_serve(fds[1], pid);
    } else if (pid1) {
        rc = settle_below_pid1();
        if (rc) {
            nk_fail_sys(diag, rc, "launcher: environment");
        }
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(fds[1]);
    if (rc) {
        close(fds[0]);
        free(l);
        return rc;
    }
    l->fd = fds[0];
    l->next_id = 1;
    *out = l;
    return 0;
}

void nk_launcher_free(struct nk_launcher *l)
{
    if (l) {
        close(l->fd);
        free(l);
    }
}
