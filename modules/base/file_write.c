/* SPDX-License-Identifier: MIT */
/* Writing: whole files that appear at once or not at all, directories, locks, paths. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/file.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1 /* linux/fs.h */
#endif

#define RANDOM_BYTES 8
#define TEMP_FORM NK_FILE_TEMP_PREFIX "%s" NK_FILE_TEMP_SUFFIX

_Static_assert(NK_FILE_TEMP_SIZE >= sizeof TEMP_FORM + NK_HEX_SIZE(RANDOM_BYTES), "names fit");

int nk_path_join(char *out, size_t max, const char *dir, const char *name)
{
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/')
        n--;
    bool slash = n > 0 && dir[n - 1] != '/';
    if (n + slash + strlen(name) >= max)
        return NK_ETOOBIG;
    snprintf(out, max, "%.*s%s%s", (int)n, dir, slash ? "/" : "", name);
    return 0;
}

/* Open the directory of path; name becomes its last part. */
static int open_dir(struct nk_file_draft *d, const char *path, struct nk_diag *diag)
{
    char dir[NK_PATH_MAX];
    const char *slash = strrchr(path, '/');
    int rc = nk_file_dir(dir, sizeof(dir), path);
    if (rc < 0)
        return nk_fail_sys(diag, rc, "cannot write %s", path);
    d->name = slash ? slash + 1 : path;
    if (!*d->name)
        return nk_fail(diag, -EINVAL, "cannot write '%s': no file name", path);
    d->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->dir < 0)
        return nk_fail_sys(diag, -errno, "cannot write %s: directory %s", path, dir);
    return 0;
}

static int write_all(int fd, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t r = write(fd, p, n);
        if (r < 0 && errno != EINTR)
            return -errno;
        if (r > 0) {
            p += r;
            n -= (size_t)r;
        }
    }
    return 0;
}

static int set_owner(int dir, int fd, unsigned flags)
{
    struct stat st;
    if ((flags & NK_FILE_OF_DIR) == 0 || geteuid() != 0)
        return 0;
    return fstat(dir, &st) < 0 || fchown(fd, st.st_uid, st.st_gid) < 0 ? -errno : 0;
}

/* The temporary file, whole and on disk; removed again on failure. */
static int write_temp(struct nk_file_draft *d, const void *p, size_t n)
{
    unsigned flags = d->flags;
    mode_t mode = flags & NK_FILE_PUBLIC ? 0644 : 0600;
    uint8_t random[RANDOM_BYTES];
    char hex[NK_HEX_SIZE(RANDOM_BYTES)];
    nk_random(random, sizeof random);
    nk_hex_encode(hex, random, sizeof random);
    snprintf(d->temp, sizeof d->temp, TEMP_FORM, hex);
    int fd = openat(d->dir, d->temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int r = fchmod(fd, mode) < 0 ? -errno : 0; /* whatever the umask */
    if (r == 0)
        r = set_owner(d->dir, fd, flags);
    if (r == 0)
        r = write_all(fd, p, n);
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    if (close(fd) < 0 && r == 0) /* network file systems report late */
        r = -errno;
    if (r < 0)
        unlinkat(d->dir, d->temp, 0);
    return r;
}

/* Give the temporary file its name. */
static int take_name(const struct nk_file_draft *d)
{
    if (d->flags & NK_FILE_OVERWRITE)
        return renameat(d->dir, d->temp, d->dir, d->name) < 0 ? -errno : 0;
    if (syscall(SYS_renameat2, d->dir, d->temp, d->dir, d->name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != ENOSYS && errno != EINVAL)
        return -errno;
    /* A kernel or file system without renameat2: a hard link refuses to replace as well. */
    if (linkat(d->dir, d->temp, d->dir, d->name, 0) < 0)
        return -errno;
    unlinkat(d->dir, d->temp, 0);
    return 0;
}

static int sync_dir(int dir)
{
    if (fsync(dir) == 0 || errno == EINVAL || errno == EROFS)
        return 0; /* some file systems cannot sync directories */
    return -errno;
}

static int write_draft(struct nk_file_draft *d, const void *p, size_t n)
{
    struct stat st;
    if (fstatat(d->dir, d->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if ((d->flags & NK_FILE_OVERWRITE) == 0)
            return -EEXIST;
        if (S_ISDIR(st.st_mode))
            return -EISDIR;
    }
    return write_temp(d, p, n);
}

static int publish(const struct nk_file_draft *d)
{
    int r = take_name(d);
    if (r < 0) {
        unlinkat(d->dir, d->temp, 0);
        return r;
    }
    return sync_dir(d->dir);
}

static void close_draft(struct nk_file_draft *d)
{
    close(d->dir);
    d->dir = -1;
}

int nk_file_draft(struct nk_file_draft *d, const char *path, unsigned flags, const void *p,
                  size_t n, struct nk_diag *diag)
{
    *d = (struct nk_file_draft){.dir = -1, .flags = flags, .name = "", .path = path};
    int r = open_dir(d, path, diag);
    if (r < 0)
        return r;
    r = write_draft(d, p, n);
    if (r < 0) {
        close_draft(d);
        return nk_fail_sys(diag, r, "cannot write %s", path);
    }
    return 0;
}

int nk_file_publish(struct nk_file_draft *d, struct nk_diag *diag)
{
    int r = publish(d);
    close_draft(d);
    return r < 0 ? nk_fail_sys(diag, r, "cannot write %s", d->path) : 0;
}

void nk_file_discard(struct nk_file_draft *d)
{
    if (d->dir >= 0) {
        unlinkat(d->dir, d->temp, 0);
        close_draft(d);
    }
}

int nk_file_write(const char *path, unsigned flags, const void *p, size_t n, struct nk_diag *diag)
{
    struct nk_file_draft d;
    int r = nk_file_draft(&d, path, flags, p, n, diag);
    return r < 0 ? r : nk_file_publish(&d, diag);
}

int nk_file_write_at(int dir, const char *name, unsigned flags, const void *p, size_t n)
{
    struct nk_file_draft d = {.dir = dir, .flags = flags, .name = name};
    int r = write_draft(&d, p, n);
    return r < 0 ? r : publish(&d);
}

static int make_dir(const char *path)
{
    struct stat st;
    if (mkdir(path, 0700) == 0)
        return 0;
    int r = -errno;
    if (stat(path, &st) == 0) /* also where mkdir fails with EROFS or EACCES on what exists */
        return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
    return r;
}

int nk_mkdirs(const char *path, struct nk_diag *diag)
{
    char part[NK_PATH_MAX];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof part)
        return nk_fail_sys(diag, n == 0 ? -ENOENT : -ENAMETOOLONG, "cannot create '%.64s'", path);
    memcpy(part, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        char end = part[i];
        part[i] = '\0';
        int r = make_dir(part);
        if (r < 0)
            return nk_fail_sys(diag, r, "cannot create directory %s", part);
        part[i] = end;
    }
    return 0;
}

/* The holder writes its pid into the lock file, for people. */
static int locked_by_other(int fd, const char *path, struct nk_diag *diag)
{
    char pid[24] = "";
    ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
    uint64_t number;
    pid[n > 0 ? n : 0] = '\0';
    pid[strcspn(pid, "\n")] = '\0';
    if (nk_parse_u64(pid, &number) < 0)
        return nk_fail(diag, NK_ELOCKED, "%s is locked by another process", path);
    return nk_fail(diag, NK_ELOCKED, "%s is locked by process %" PRIu64, path, number);
}

/* The pid is a convenience; the lock holds without it, and a full disk must not stop a start. */
static void note_pid(int fd)
{
    char pid[24];
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)n, 0) != n)
        return;
}

static int take_lock(int fd, const char *path, struct nk_diag *diag)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return nk_fail_sys(diag, -errno, "cannot lock %s", path);
    if (!S_ISREG(st.st_mode))
        return nk_fail(diag, -EINVAL, "cannot lock %s: not a regular file", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return locked_by_other(fd, path, diag);
        return nk_fail_sys(diag, -errno, "cannot lock %s", path);
    }
    note_pid(fd);
    return 0;
}

int nk_lock_open(const char *path, int *out, struct nk_diag *diag)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0)
        return nk_fail_sys(diag, -errno, "cannot open %s", path);
    int r = take_lock(fd, path, diag);
    if (r < 0) {
        close(fd);
        return r;
    }
    *out = fd;
    return 0;
}
