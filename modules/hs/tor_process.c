/* SPDX-License-Identifier: MIT */
#include "hs/tor_process.h"

#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/file.h"

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424 /* the same on every architecture since Linux 5.1 */
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434 /* Linux 5.3 */
#endif

enum { STATUS_MAX = 16384, PID_FILE_MAX = 64 };

static int read_pid_file(const char *path, int64_t *pid, struct nk_diag *diag)
{
    struct nk_buf text;
    nk_buf_init(&text, PID_FILE_MAX);
    int rc = nk_file_read(path, 0, &text, diag);
    char *s = rc == 0 ? (char *)(uintptr_t)nk_buf_str(&text) : NULL;
    if (rc == 0 && s) {
        s[strcspn(s, " \t\r\n")] = '\0';
        rc = nk_parse_i64(s, pid);
        rc =
            rc < 0 || *pid <= 0 ? nk_fail(diag, NK_EFORMAT, "%s: no number of a process", path) : 0;
    } else if (rc == 0) {
        rc = nk_fail(diag, -ENOMEM, "out of memory");
    }
    nk_buf_clear(&text);
    return rc;
}

/* The value of a line of /proc/PID/status, or "". */
static const char *field(const char *status, const char *name)
{
    const char *at = strstr(status, name);
    return at ? at + strlen(name) + strspn(at + strlen(name), " \t") : "";
}

static int check_status(const char *status, pid_t pid, uid_t uid, struct nk_diag *diag)
{
    const char *name = field(status, "Name:"), *ids = field(status, "\nUid:");
    char *end = NULL;
    (void)strtoul(ids, &end, 10); /* the real one; the effective one follows */
    unsigned long effective = strtoul(end, NULL, 10);
    unsigned long long caught = strtoull(field(status, "\nSigCgt:"), NULL, 16);
    if (strncmp(name, "tor\n", 4) != 0) {
        nk_fail(diag, NK_EAUTH, "process %d is no tor but '%.*s'", (int)pid,
                (int)strcspn(name, "\n"), name);
        nk_hint(diag, "an old PidFile may name a process that has nothing to do with tor");
        return NK_EAUTH;
    }
    if (effective != uid) {
        nk_fail(diag, NK_EAUTH, "tor %d runs as user %lu, the directories belong to user %lu",
                (int)pid, effective, (unsigned long)uid);
        nk_hint(diag, "it is another tor, or it could not read them");
        return NK_EAUTH;
    }
    if (!(caught & (1ULL << (SIGHUP - 1)))) {
        nk_fail(diag, -EAGAIN, "tor %d does not catch SIGHUP yet, which would end it", (int)pid);
        nk_hint(diag, "it is still starting and reads its directories by itself");
        return -EAGAIN;
    }
    return 0;
}

static int check_process(pid_t pid, uid_t uid, struct nk_diag *diag)
{
    char path[64];
    struct nk_buf text;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    nk_buf_init(&text, STATUS_MAX);
    int rc = nk_file_read(path, 0, &text, diag);
    const char *status = rc == 0 ? nk_buf_str(&text) : NULL;
    if (rc == -ENOENT || rc == -ESRCH) {
        rc = nk_fail(diag, -ESRCH, "there is no process %d: tor does not run", (int)pid);
    } else if (status) {
        rc = check_status(status, pid, uid, diag);
    } else if (rc == 0) {
        rc = nk_fail(diag, -ENOMEM, "out of memory");
    }
    nk_buf_clear(&text);
    return rc;
}

int hs_tor_find(struct hs_tor *t, const struct hs_tor_conf *conf, struct nk_diag *diag)
{
    int64_t pid = conf->pid;
    *t = (struct hs_tor){.pidfd = -1};
    if ((pid != 0) == (conf->pid_file != NULL)) {
        return nk_fail(diag, NK_EUSAGE, "give tor's --pid or its --pid-file%s",
                       pid ? ", not both" : "");
    }
    int rc = conf->pid_file ? read_pid_file(conf->pid_file, &pid, diag) : 0;
    if (rc == 0 && pid > INT_MAX) {
        rc = nk_fail(diag, -ESRCH, "there is no process %" PRId64, pid);
    }
    if (rc < 0) {
        return rc;
    }
    /* opened before the checks: afterwards the number cannot become another process's */
    int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0u);
    if (fd < 0 && errno != ENOSYS && errno != EPERM) {
        return nk_fail(diag, -ESRCH, "there is no process %" PRId64 ": tor does not run", pid);
    }
    t->pid = (pid_t)pid;
    t->pidfd = fd;
    rc = check_process(t->pid, conf->uid, diag);
    if (rc < 0) {
        hs_tor_close(t);
    }
    return rc;
}

int hs_tor_reload(const struct hs_tor *t, struct nk_diag *diag)
{
    int rc = t->pidfd >= 0 ? (int)syscall(SYS_pidfd_send_signal, t->pidfd, SIGHUP, NULL, 0u)
                           : kill(t->pid, SIGHUP);
    return rc < 0 ? nk_fail_sys(diag, -errno, "cannot send SIGHUP to tor %d", (int)t->pid) : 0;
}

void hs_tor_close(struct hs_tor *t)
{
    if (t->pidfd >= 0) {
        close(t->pidfd);
    }
    *t = (struct hs_tor){.pidfd = -1};
}
