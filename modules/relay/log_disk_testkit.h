/* SPDX-License-Identifier: MIT */
/*
 * log_disk_testkit - what is under a log of tests and fuzz targets: a directory, and a disk that
 * fails as it is told to.
 */
#ifndef NK_RELAY_LOG_DISK_TESTKIT_H
#define NK_RELAY_LOG_DISK_TESTKIT_H

#include "relay/log.h"

#define RELAY_LOG_TESTKIT_DIR 64

/* lt_dir_make - a new directory. lt_dir_remove - with all that a log leaves in it; false when there
 * is anything else, which stays. */
bool lt_dir_make(char dir[RELAY_LOG_TESTKIT_DIR]);
bool lt_dir_remove(const char *dir);

struct lt_disk {
    size_t room;   /* bytes that may still be written */
    int fail_sync; /* errno of every sync from now on */
    int fail_write;
    unsigned seed; /* not 0: writes are short at random */
    unsigned syncs;
};

/* lt_disk_io - a log's way to disk d. Nothing is really synced. */
struct relay_log_io lt_disk_io(struct lt_disk *d);

#endif
