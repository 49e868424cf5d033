/* SPDX-License-Identifier: MIT */
/*
 * log_file - the files of a log: names, creation, whole reads and writes, deletion. Everything here
 * blocks on the disk; it may be called on any thread.
 *
 * NUMBER.log is a segment, NUMBER.idx the index of a sealed one, NUMBER.bad a segment that was
 * damaged and taken out; NUMBER has 16 hexadecimal digits. `reserve` holds room so that what is
 * consumed can be written down when the disk is full. `clean` is there while no relay runs and the
 * last one ended in order.
 */
#ifndef NK_RELAY_LOG_FILE_H
#define NK_RELAY_LOG_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "relay/log_segment.h"

#define RELAY_LOG_FILE_NAME 24                       /* bytes of any of these names, with NUL */
#define RELAY_LOG_RESERVE_BYTES ((off_t)1024 * 1024) /* for about 29,000 acknowledgements */

/* The calls on which durability rests, so that tests can make them fail. */
struct relay_log_io {
    ssize_t (*write)(void *ctx, int fd, const void *p, size_t n, off_t at); /* as pwrite(2) */
    int (*sync)(void *ctx, int fd);                                         /* as fdatasync(2) */
    /* Begin to write n bytes at `at` to the disk without waiting for it; NULL: `sync` does it all.
     * As sync_file_range(2). */
    int (*start)(void *ctx, int fd, off_t at, off_t n);
    void *ctx;
};

/* relay_log_io_system - the system's own. */
const struct relay_log_io *relay_log_io_system(void);

/* relay_log_dir_open - open (and make, 0700) the directory. An fd, or -errno with diag filled. */
int relay_log_dir_open(const char *path, bool make, struct nk_diag *diag);

/* relay_log_file_name - the file's name; suffix is "log", "idx", "bad" or "tmp". */
void relay_log_file_name(char out[RELAY_LOG_FILE_NAME], uint64_t number, const char *suffix);

/* relay_log_list - numbers of the files with that suffix, ascending; free(*out). 0 or -errno. */
int relay_log_list(int dir, const char *suffix, uint64_t **out, size_t *n);

/* relay_log_write_all - n bytes at `at`, however many calls that takes. 0 or -errno. */
int relay_log_write_all(const struct relay_log_io *io, int fd, const void *p, size_t n, off_t at);

/* relay_log_start - let the disk begin with n bytes at `at` that were written. 0 or -errno. */
int relay_log_start(const struct relay_log_io *io, int fd, off_t at, size_t n);

/* relay_log_sync - make the file's contents durable. 0 or -errno. */
int relay_log_sync(const struct relay_log_io *io, int fd);

/* relay_log_create - a new segment with that header, durable, itself and its name. An fd for
 * reading and writing, or -errno; then no such file is left. */
int relay_log_create(const struct relay_log_io *io, int dir,
                     const struct relay_log_segment_head *head);

/* relay_log_open_file - an existing file of the log: a regular one, no link. An fd or -errno. */
int relay_log_open_file(int dir, uint64_t number, const char *suffix, bool write);

/* A whole file in memory, only to be read. */
struct relay_log_mapping {
    uint8_t *p; /* NULL when it is empty */
    size_t n;
};

/* relay_log_mapping_open - map the first n bytes (all when n is 0) of it. 0 or -errno.
 * relay_log_mapping_close - unmap; may be closed before. */
int relay_log_mapping_open(struct relay_log_mapping *m, int fd, size_t n);
void relay_log_mapping_close(struct relay_log_mapping *m);

/* relay_log_index_write - make the index of sealed segment `number`, by way of a temporary file.
 * 0, -errno, or what relay_log_index_build says. */
int relay_log_index_write(const struct relay_log_io *io, int dir, uint64_t number);

/* relay_log_remove - delete segment and index, durably. 0 or -errno; what is missing is fine. */
int relay_log_remove(int dir, uint64_t number);

/* relay_log_quarantine - rename the segment to .bad (durably) and delete its index. 0 or -errno. */
int relay_log_quarantine(int dir, uint64_t number);

/* relay_log_clean_write - note that the log is closed in order, under this epoch of versions. 0 or
 * -errno. relay_log_clean_take - the note of the last time, which is gone afterwards: the epoch, or
 * 0. */
int relay_log_clean_write(int dir, uint64_t versions);
uint64_t relay_log_clean_take(int dir);

/* relay_log_reserve - make the reserve if it is missing, or give its room back. 0 or -errno. */
int relay_log_reserve(int dir, bool keep);

#endif
