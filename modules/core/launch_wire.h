/* SPDX-License-Identifier: MIT */
/*
 * launch_wire - the messages between core/process and the launcher, and what the launcher's files
 * share. One message is one SOCK_SEQPACKET datagram between two processes of the same program, so
 * fields are in native order; all lengths are checked nevertheless, since the launcher is outside
 * of the sandbox that the sender lives in.
 */
#ifndef NK_CORE_LAUNCH_WIRE_H
#define NK_CORE_LAUNCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/process.h"

enum launch_kind {
    LAUNCH_START = 1, /* request: start a program; strings and descriptors come along */
    LAUNCH_KILL,      /* request: signal its process group */
    LAUNCH_RELEASE,   /* request: nobody waits for it any more: end it unless it is detached */
    LAUNCH_STARTED,   /* reply: value is the pid */
    LAUNCH_FAILED,    /* reply: value is the errno of fork, chdir or exec */
    LAUNCH_ENDED      /* reply: value is the status of waitpid */
};

enum launch_flags {
    LAUNCH_DETACH = 1,     /* own session; survives us */
    LAUNCH_FOREGROUND = 2, /* becomes the foreground group of the terminal on its fd 0 */
    LAUNCH_HAS_ENV = 4,    /* envc entries instead of the inherited environment */
    LAUNCH_ENV_ALL = 8,    /* inherited: netkit's own variables too */
    LAUNCH_HAS_CWD = 16,
    LAUNCH_HAS_SCRATCH = 32,
    LAUNCH_BECOME = 128, /* uid and gid count */
    LAUNCH_ENV_ADD = 64  /* the entries are added to the inherited environment */
};

enum { LAUNCH_FD_NULL = -1, LAUNCH_FD_CLOSED = -2 };

/* A request; a START is followed by `bytes` bytes: argc + envc strings, the current and
 * the scratch directory as far as there are any, each ended by NUL. */
struct launch_request {
    uint32_t kind;
    uint32_t id;
    uint32_t flags;
    int32_t signum; /* KILL */
    uint32_t argc, envc, nfds, bytes;
    uint32_t uid, gid;
    int32_t fds[NK_PROCESS_FDS]; /* index into the descriptors that came along, or LAUNCH_FD_* */
};

struct launch_reply {
    uint32_t kind;
    uint32_t id;
    int32_t value;
};

#define LAUNCH_MESSAGE_MAX (sizeof(struct launch_request) + NK_PROCESS_BYTES)

/* The environments that children inherit (launch_child.c). */
struct launch_env {
    char **plain; /* without netkit's own variables */
    char **all;   /* without the socket activation ones only: for `netkit run -- CMD` */
};

/* launch_env_take - split `environ` into both and wipe the original values of variables that may
 * hold secrets. 0 or -ENOMEM. */
int launch_env_take(struct launch_env *env);

/* A start request in the launcher. */
struct launch_spec {
    char **argv;
    char *const *env;
    const char *cwd;     /* or NULL */
    const char *scratch; /* or NULL */
    uid_t uid;           /* both with LAUNCH_BECOME */
    gid_t gid;
    int fds[NK_PROCESS_FDS]; /* ours, or LAUNCH_FD_CLOSED */
    size_t nfds;
    unsigned flags;
};

/* launch_exec - the life of a fresh child between fork and exec. Writes an errno to error_fd when
 * it fails. Only async-signal-safe calls. */
_Noreturn void launch_exec(const struct launch_spec *spec, pid_t launcher, int error_fd);

/* launch_close_from - close every descriptor >= first (CLOEXEC only: mark it instead). */
void launch_close_from(int first, bool cloexec_only);

/* launch_null - a descriptor that reads as empty: /dev/null, or a sealed memory file where there is
 * no /dev (writing to it fails). CLOEXEC. Negative when neither can be had. */
int launch_null(void);

/* launch_serve - the launcher's loop. main_pid: netkit, when we are PID 1; else 0. */
_Noreturn void launch_serve(int conn, pid_t main_pid);

#endif
