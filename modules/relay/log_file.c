/* SPDX-License-Identifier: MIT */
#include "relay/log_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "relay/log_index.h"

enum { NUMBER_DIGITS = 16, HEX = 16, FILE_MODE = 0600 };

static const char reserve_name[] = "reserve";
static const char clean_name[] = "clean";

static ssize_t system_write(void *ctx, int fd, const void *p, size_t n, off_t at)
{
    (void)ctx;
    return pwrite(fd, p, n, at);
}

static int system_sync(void *ctx, int fd)
{
    (void)ctx;
    return fdatasync(fd);
}

/* Without SYNC_FILE_RANGE_WAIT_*: an error of the disk stays for fdatasync to tell. */
static int system_start(void *ctx, int fd, off_t at, off_t n)
{
    (void)ctx;
    return sync_file_range(fd, at, n, SYNC_FILE_RANGE_WRITE);
}

static const struct relay_log_io system_io = {
    .write = system_write, .sync = system_sync, .start = system_start};

const struct relay_log_io *relay_log_io_system(void)
{
    return &system_io;
}

int relay_log_dir_open(const char *path, bool make, struct nk_diag *diag)
{
    int rc = make ? nk_mkdirs(path, diag) : 0;
    if (rc < 0) {
        return rc;
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? nk_fail_sys(diag, -errno, "cannot open the log's directory %s", path) : fd;
}

void relay_log_file_name(char out[RELAY_LOG_FILE_NAME], uint64_t number, const char *suffix)
{
    snprintf(out, RELAY_LOG_FILE_NAME, "%016" PRIx64 ".%.3s", number, suffix);
}

/* The number of NUMBER.suffix, 0 for any other name. */
static uint64_t number_of(const char *name, const char *suffix)
{
    char again[RELAY_LOG_FILE_NAME];
    if (strlen(name) < NUMBER_DIGITS) {
        return 0;
    }
    uint64_t number = strtoull(name, NULL, HEX);
    relay_log_file_name(again, number, suffix);
    return strcmp(name, again) == 0 ? number : 0;
}

static int ascending(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static int append(uint64_t **v, size_t *n, uint64_t number)
{
    uint64_t *more = realloc(*v, (*n + 1) * sizeof(**v));
    if (!more) {
        return -ENOMEM;
    }
    *v = more;
    more[(*n)++] = number;
    return 0;
}

int relay_log_list(int dir, const char *suffix, uint64_t **out, size_t *n)
{
    uint64_t *v = NULL;
    size_t count = 0;
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    int rc = 0;
    if (!d) {
        rc = -errno;
        if (fd >= 0) {
            close(fd);
        }
        return rc;
    }
    while (rc == 0) {
        errno = 0;
        struct dirent *e = readdir(d);
        if (!e) {
            rc = -errno;
            break;
        }
        uint64_t number = number_of(e->d_name, suffix);
        rc = number ? append(&v, &count, number) : 0;
    }
    closedir(d);
    if (rc < 0) {
        free(v);
        return rc;
    }
    if (count) {
        qsort(v, count, sizeof(*v), ascending);
    }
    *out = v;
    *n = count;
    return 0;
}

int relay_log_write_all(const struct relay_log_io *io, int fd, const void *p, size_t n, off_t at)
{
    const uint8_t *b = p;
    while (n) {
        ssize_t w = io->write(io->ctx, fd, b, n, at);
        if (w < 0 && errno != EINTR) {
            return -errno;
        }
        if (w == 0) {
            return -EIO; /* pwrite(2) does not say this of a regular file */
        }
        if (w > 0) {
            b += w;
            n -= (size_t)w;
            at += w;
        }
    }
    return 0;
}

int relay_log_start(const struct relay_log_io *io, int fd, off_t at, size_t n)
{
    if (!io->start || io->start(io->ctx, fd, at, (off_t)n) == 0) {
        return 0;
    }
    /* a kernel or file system that cannot do it: nothing is lost by that */
    return errno == ENOSYS || errno == EINVAL || errno == ESPIPE ? 0 : -errno;
}

int relay_log_sync(const struct relay_log_io *io, int fd)
{
    for (;;) {
        if (io->sync(io->ctx, fd) == 0) {
            return 0;
        }
        if (errno != EINTR) {
            return -errno;
        }
    }
}

static int sync_dir(int dir)
{
    return fsync(dir) < 0 ? -errno : 0;
}

int relay_log_create(const struct relay_log_io *io, int dir,
                     const struct relay_log_segment_head *head)
{
    char name[RELAY_LOG_FILE_NAME];
    uint8_t bytes[RELAY_LOG_SEGMENT_HEAD];
    relay_log_file_name(name, head->number, "log");
    relay_log_segment_head_write(bytes, head);
    int fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (fd < 0) {
        return -errno;
    }
    int rc = relay_log_write_all(io, fd, bytes, sizeof(bytes), 0);
    rc = rc < 0 ? rc : relay_log_sync(io, fd);
    rc = rc < 0 ? rc : sync_dir(dir);
    if (rc < 0) {
        unlinkat(dir, name, 0);
        close(fd);
        return rc;
    }
    return fd;
}

int relay_log_open_file(int dir, uint64_t number, const char *suffix, bool write)
{
    char name[RELAY_LOG_FILE_NAME];
    struct stat st;
    relay_log_file_name(name, number, suffix);
    int fd = openat(dir, name, (write ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    int rc = fstat(fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
    if (rc < 0) {
        close(fd);
        return rc;
    }
    return fd;
}

int relay_log_mapping_open(struct relay_log_mapping *m, int fd, size_t n)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return -errno;
    }
    size_t size = (size_t)st.st_size;
    *m = (struct relay_log_mapping){.n = n && n < size ? n : size};
    if (m->n == 0) {
        return 0;
    }
    void *p = mmap(NULL, m->n, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
        return -errno;
    }
    m->p = p;
    return 0;
}

void relay_log_mapping_close(struct relay_log_mapping *m)
{
    if (m->p) {
        munmap(m->p, m->n);
    }
    *m = (struct relay_log_mapping){0};
}

/* Contents into a temporary file, and that under the index's name: a crash leaves a whole one or
 * none, and none is made again. */
static int put_index(const struct relay_log_io *io, int dir, uint64_t number,
                     const struct nk_buf *idx)
{
    char name[RELAY_LOG_FILE_NAME], tmp[RELAY_LOG_FILE_NAME];
    relay_log_file_name(name, number, "idx");
    relay_log_file_name(tmp, number, "tmp");
    if (unlinkat(dir, tmp, 0) < 0 && errno != ENOENT) {
        return -errno;
    }
    int fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (fd < 0) {
        return -errno;
    }
    int rc = relay_log_write_all(io, fd, nk_buf_ptr(idx), nk_buf_len(idx), 0);
    rc = rc < 0 ? rc : relay_log_sync(io, fd);
    close(fd);
    if (rc == 0 && renameat(dir, tmp, dir, name) < 0) {
        rc = -errno;
    }
    if (rc < 0) {
        unlinkat(dir, tmp, 0);
    }
    return rc;
}

int relay_log_index_write(const struct relay_log_io *io, int dir, uint64_t number)
{
    struct relay_log_mapping m = {0};
    struct nk_buf idx;
    int fd = relay_log_open_file(dir, number, "log", false);
    int rc = fd < 0 ? fd : relay_log_mapping_open(&m, fd, 0);
    if (fd >= 0) {
        close(fd);
    }
    if (rc < 0) {
        return rc;
    }
    /* at most twice the segment: of a record that has no object, nothing is left out */
    nk_buf_init(&idx, 2 * m.n + RELAY_LOG_SEGMENT_HEAD + RELAY_LOG_CHECKPOINT_BYTES);
    rc = relay_log_index_build(m.p, m.n, &idx);
    rc = rc < 0 ? rc : put_index(io, dir, number, &idx);
    nk_buf_clear(&idx);
    relay_log_mapping_close(&m);
    return rc;
}

static int unlink_quietly(int dir, uint64_t number, const char *suffix)
{
    char name[RELAY_LOG_FILE_NAME];
    relay_log_file_name(name, number, suffix);
    return unlinkat(dir, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

int relay_log_remove(int dir, uint64_t number)
{
    int rc = unlink_quietly(dir, number, "log");
    rc = rc < 0 ? rc : unlink_quietly(dir, number, "idx");
    return rc < 0 ? rc : sync_dir(dir); /* one after the other: never a gap among what is left */
}

int relay_log_quarantine(int dir, uint64_t number)
{
    char name[RELAY_LOG_FILE_NAME], bad[RELAY_LOG_FILE_NAME];
    relay_log_file_name(name, number, "log");
    relay_log_file_name(bad, number, "bad");
    int rc = renameat(dir, name, dir, bad) < 0 ? -errno : 0;
    rc = rc < 0 ? rc : unlink_quietly(dir, number, "idx");
    return rc < 0 ? rc : sync_dir(dir);
}

/* A segment's header with nothing behind it: it has a version and a checksum already. */
int relay_log_clean_write(int dir, uint64_t versions)
{
    uint8_t bytes[RELAY_LOG_SEGMENT_HEAD];
    struct relay_log_segment_head h = {.file = RELAY_LOG_FILE_CLEAN, .epoch = versions};
    relay_log_segment_head_write(bytes, &h);
    int fd =
        openat(dir, clean_name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (fd < 0) {
        return -errno;
    }
    int rc = relay_log_write_all(&system_io, fd, bytes, sizeof(bytes), 0);
    rc = rc < 0 ? rc : relay_log_sync(&system_io, fd);
    close(fd);
    return rc < 0 ? rc : sync_dir(dir);
}

uint64_t relay_log_clean_take(int dir)
{
    uint8_t bytes[RELAY_LOG_SEGMENT_HEAD];
    struct relay_log_segment_head h;
    unsigned version;
    int fd = openat(dir, clean_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    ssize_t n = read(fd, bytes, sizeof(bytes));
    close(fd);
    if ((unlinkat(dir, clean_name, 0) < 0 && errno != ENOENT) || sync_dir(dir) < 0) {
        return 0; /* it could be found again after a crash */
    }
    bool good = n == (ssize_t)sizeof(bytes) &&
                relay_log_segment_head_read(bytes, sizeof(bytes), &h, &version) == 0 &&
                h.file == RELAY_LOG_FILE_CLEAN;
    return good ? h.epoch : 0;
}

int relay_log_reserve(int dir, bool keep)
{
    if (!keep) {
        return unlinkat(dir, reserve_name, 0) < 0 && errno != ENOENT ? -errno : 0;
    }
    int fd = openat(dir, reserve_name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (fd < 0) {
        return -errno;
    }
    int rc = -posix_fallocate(fd, 0, RELAY_LOG_RESERVE_BYTES);
    close(fd);
    if (rc < 0) {
        unlinkat(dir, reserve_name, 0);
    }
    return rc;
}
