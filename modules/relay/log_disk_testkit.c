/* SPDX-License-Identifier: MIT */
#include "relay/log_disk_testkit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "relay/log_file.h"

bool lt_dir_make(char dir[RELAY_LOG_TESTKIT_DIR])
{
    snprintf(dir, RELAY_LOG_TESTKIT_DIR, "/tmp/netkit-log-XXXXXX");
    return mkdtemp(dir);
}

static bool unlink_all(int fd, const char *suffix)
{
    uint64_t *v;
    size_t n;
    if (relay_log_list(fd, suffix, &v, &n) < 0) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        char name[RELAY_LOG_FILE_NAME];
        relay_log_file_name(name, v[i], suffix);
        unlinkat(fd, name, 0);
    }
    free(v);
    return true;
}

bool lt_dir_remove(const char *dir)
{
    static const char *const suffixes[] = {"log", "bad", "idx", "tmp"};
    int fd = relay_log_dir_open(dir, false, NULL);
    bool listed = fd >= 0;
    for (size_t i = 0; listed && i < sizeof(suffixes) / sizeof(*suffixes); i++) {
        listed = unlink_all(fd, suffixes[i]);
    }
    if (fd >= 0) {
        (void)relay_log_reserve(fd, false);
        (void)relay_log_clean_take(fd);
        close(fd);
    }
    return listed && rmdir(dir) == 0;
}

static ssize_t disk_write(void *ctx, int fd, const void *p, size_t n, off_t at)
{
    struct lt_disk *d = ctx;
    if (d->fail_write) {
        errno = d->fail_write;
        return -1;
    }
    if (d->room == 0) {
        errno = ENOSPC;
        return -1;
    }
    if (d->seed) {
        d->seed = d->seed * 1103515245u + 12345u;
        n = n > 1 ? 1 + (d->seed >> 8) % n : n;
    }
    n = n < d->room ? n : d->room;
    d->room -= n;
    return pwrite(fd, p, n, at);
}

static int disk_sync(void *ctx, int fd)
{
    struct lt_disk *d = ctx;
    (void)fd;
    d->syncs++;
    if (d->fail_sync) {
        errno = d->fail_sync;
        return -1;
    }
    return 0;
}

struct relay_log_io lt_disk_io(struct lt_disk *d)
{
    return (struct relay_log_io){.write = disk_write, .sync = disk_sync, .ctx = d};
}
