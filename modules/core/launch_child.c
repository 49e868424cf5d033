/* SPDX-License-Identifier: MIT */
/*
 * What happens between fork and exec. The launcher was forked before netkit put on its sandbox, so
 * a child has neither our seccomp filter nor our Landlock rules; and it gets no descriptor of ours
 * but those of its request.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/launch_wire.h"

#define FIRST_SAFE_FD 32 /* descriptors are moved above every number that a child can ask for */
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin" /* when PATH is unset */
#define FD_LOOP_MAX 65536 /* bound of the loop that stands in for close_range before Linux 5.9 */

#ifndef SYS_close_range
#define SYS_close_range 436 /* the same number on every architecture */
#endif
#define CLOSE_RANGE_MARK 4u /* CLOSE_RANGE_CLOEXEC of linux/close_range.h, Linux 5.11 */

_Static_assert(FIRST_SAFE_FD > NK_PROCESS_FDS, "targets must be below the safe numbers");

int launch_null(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
        return fd;
    }
    fd = memfd_create("null", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd >= 0) {
        (void)fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    }
    return fd;
}

void launch_close_from(int first, bool cloexec_only)
{
    if (syscall(SYS_close_range, (unsigned)first, ~0u, cloexec_only ? CLOSE_RANGE_MARK : 0u) == 0) {
        return;
    }
    struct rlimit limit;
    rlim_t end = FD_LOOP_MAX;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < end) {
        end = limit.rlim_cur;
    }
    for (int fd = first; (rlim_t)fd < end; fd++) {
        if (!cloexec_only) {
            close(fd);
        } else {
            (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
        }
    }
}

/* --- environment ------------------------------------------------------------------------------ */

static bool starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* A configuration variable of ours, which may hold a secret: NETKIT_<SECTION>__<KEY>. */
static bool is_config(const char *entry)
{
    const char *two = strstr(entry, "__");
    const char *equals = strchr(entry, '=');
    return starts(entry, "NETKIT_") && two && (!equals || two < equals);
}

/* Variables by which the service manager speaks to exactly one process. */
static bool is_manager(const char *entry)
{
    return starts(entry, "NOTIFY_SOCKET=") || starts(entry, "WATCHDOG_USEC=") ||
           starts(entry, "WATCHDOG_PID=");
}

int launch_env_take(struct launch_env *env)
{
    size_t n = 0, all = 0, plain = 0;
    while (environ && environ[n]) {
        n++;
    }
    env->all = calloc(n + 1, sizeof(char *));
    env->plain = calloc(n + 1, sizeof(char *));
    if (!env->all || !env->plain) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        char *entry = environ[i];
        if (starts(entry, "LISTEN_")) {
            continue; /* the descriptors it speaks of are not handed over */
        }
        if (is_config(entry)) {
            /* /proc/<launcher>/environ shows the original place */
            char *copy = strdup(entry);
            if (!copy) {
                return -ENOMEM;
            }
            explicit_bzero(entry, strlen(entry));
            env->all[all++] = copy;
            continue;
        }
        env->all[all++] = entry;
        if (!is_manager(entry)) {
            env->plain[plain++] = entry;
        }
    }
    return 0;
}

/* --- the child -------------------------------------------------------------------------------- */

_Noreturn static void give_up(int error_fd, int error)
{
    ssize_t n = write(error_fd, &error, sizeof(error));
    (void)n; /* the launcher is gone if this fails: nobody to tell */
    _exit(127);
}

/* Bring the request's descriptors to 0..nfds-1, whatever the numbers overlap. Returns error_fd's
 * new number, or -errno. */
static int arrange_fds(const struct launch_spec *spec, int error_fd)
{
    int safe[NK_PROCESS_FDS];
    int error_safe = fcntl(error_fd, F_DUPFD_CLOEXEC, FIRST_SAFE_FD);
    if (error_safe < 0) {
        return -errno;
    }
    for (size_t i = 0; i < spec->nfds; i++) {
        safe[i] = -1;
        if (spec->fds[i] >= 0) {
            safe[i] = fcntl(spec->fds[i], F_DUPFD_CLOEXEC, FIRST_SAFE_FD);
            if (safe[i] < 0) {
                return -errno;
            }
        }
    }
    for (size_t i = 0; i < spec->nfds; i++) {
        if (safe[i] < 0) {
            close((int)i);
        } else if (dup2(safe[i], (int)i) < 0) {
            return -errno;
        }
    }
    /* everything else ends with exec, error_safe among it: that is how success is told */
    launch_close_from((int)spec->nfds, true);
    return error_safe;
}

static void default_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int s = 1; s < NSIG; s++) {
        (void)sigaction(s, &action, NULL); /* KILL, STOP and the C library's own are refused */
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static const char *path_of(char *const *env)
{
    for (; *env; env++) {
        if (starts(*env, "PATH=")) {
            return *env + strlen("PATH=");
        }
    }
    return DEFAULT_PATH;
}

/*
 * execve along PATH. Written here because the C library's search falls back to /bin/sh for files
 * without a known format, and takes empty entries as the current directory. Returns the errno.
 */
static int exec_search(char *const *argv, char *const *env)
{
    char file[PATH_MAX];
    size_t name = strlen(argv[0]);
    int error = ENOENT;
    if (strchr(argv[0], '/')) {
        execve(argv[0], argv, env);
        return errno;
    }
    if (name == 0) {
        return ENOENT;
    }
    for (const char *dir = path_of(env), *end; dir; dir = *end ? end + 1 : NULL) {
        end = strchrnul(dir, ':');
        size_t n = (size_t)(end - dir);
        if (n == 0 || *dir != '/' || n + name + 2 > sizeof(file)) {
            continue;
        }
        memcpy(file, dir, n);
        file[n] = '/';
        memcpy(file + n + 1, argv[0], name + 1);
        execve(file, argv, env);
        if (errno == EACCES) {
            error = EACCES; /* as execvp: remembered, but a later directory may have the program */
        } else if (errno != ENOENT && errno != ENOTDIR) {
            return errno;
        }
    }
    return error;
}

/* Another user for good. The kernel forgets the parent-death signal with it. */
static int become(const struct launch_spec *spec, pid_t launcher)
{
    if (setgroups(0, NULL) < 0 || setgid(spec->gid) < 0 || setuid(spec->uid) < 0) {
        return -1;
    }
    if (!(spec->flags & LAUNCH_DETACH)) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != launcher) {
            _exit(127);
        }
    }
    return 0;
}

_Noreturn void launch_exec(const struct launch_spec *spec, pid_t launcher, int error_fd)
{
    if (spec->flags & LAUNCH_DETACH) {
        (void)setsid();
    } else {
        (void)setpgid(0, 0);
        /* should the launcher be killed, nobody could end the child any more */
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != launcher) {
            _exit(127);
        }
    }
    int safe = arrange_fds(spec, error_fd);
    if (safe < 0) {
        give_up(error_fd, -safe);
    }
    if (spec->flags & LAUNCH_FOREGROUND && isatty(0)) {
        (void)tcsetpgrp(0, getpgrp()); /* SIGTTOU is still blocked here */
    }
    if ((spec->flags & LAUNCH_BECOME) && become(spec, launcher) < 0) {
        give_up(safe, errno);
    }
    if (spec->cwd && chdir(spec->cwd) < 0) {
        give_up(safe, errno);
    }
    default_signals();
    give_up(safe, exec_search(spec->argv, spec->env));
}
