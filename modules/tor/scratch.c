/* SPDX-License-Identifier: MIT */
#include "tor/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

enum {
    ATTEMPTS = 8,   /* to hold a new one before somebody who sweeps takes it */
    SWEEP_MAX = 32, /* directories that one start removes */
    OTHERS = 077
};

/* A directory of ours, held: its descriptor; -errno otherwise. */
static int hold(int base, const char *name)
{
    struct stat st;
    int fd = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    bool ours = fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & OTHERS) == 0;
    /* where there are no such locks nobody can sweep either */
    if (ours && flock(fd, LOCK_EX | LOCK_NB) < 0)
        ours = errno != EWOULDBLOCK;
    /* removed between the two calls? */
    if (ours && fstat(fd, &st) == 0 && st.st_nlink > 0)
        return fd;
    close(fd);
    return -EBUSY;
}

static bool is_name(const char *name)
{
    const size_t n = strlen(TOR_SCRATCH_PREFIX);
    return strncmp(name, TOR_SCRATCH_PREFIX, n) == 0 && strlen(name + n) == TOR_SCRATCH_RANDOM;
}

static void remove_stale(int base, const char *path, const char *name)
{
    char whole[NK_PATH_MAX];
    int fd = hold(base, name);
    /* a lock that was really taken: asking once more is no change */
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
        nk_path_join(whole, sizeof whole, path, name) == 0)
        (void)nk_remove_tree(whole);
    if (fd >= 0)
        close(fd);
}

void tor_scratch_sweep(const char *base)
{
    struct stat st;
    DIR *dir = opendir(base);
    if (!dir)
        return;
    bool safe = fstat(dirfd(dir), &st) == 0 &&
                ((st.st_mode & (S_IWGRP | S_IWOTH)) == 0 || (st.st_mode & S_ISVTX) != 0);
    const struct dirent *e;
    for (int n = 0; safe && n < SWEEP_MAX && (e = readdir(dir));) {
        if (is_name(e->d_name)) {
            remove_stale(dirfd(dir), base, e->d_name);
            n++;
        }
    }
    closedir(dir);
}

int tor_scratch_make(const char *base, char *out, size_t max, int *lock, struct nk_diag *diag)
{
    int fd = -EBUSY;
    tor_scratch_sweep(base);
    for (int i = 0; fd == -EBUSY && i < ATTEMPTS; i++) {
        int n = snprintf(out, max, "%s/" TOR_SCRATCH_PREFIX "XXXXXX", base);
        if (n < 0 || (size_t)n >= max)
            return nk_fail(diag, NK_ETOOBIG, "path too long: %s", base);
        if (!mkdtemp(out))
            return nk_fail_sys(diag, -errno, "a temporary directory in %s", base);
        fd = hold(AT_FDCWD, out);
        if (fd == -ENOENT)
            fd = -EBUSY; /* swept before we held it */
        if (fd < 0)
            (void)rmdir(out);
    }
    if (fd < 0)
        return nk_fail_sys(diag, fd, "a temporary directory in %s", base);
    *lock = fd;
    return 0;
}
