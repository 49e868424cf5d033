/* SPDX-License-Identifier: MIT */
/* log_testkit - directories for the logs of tests, and a running log on a disk that may fail. */
#ifndef NK_RELAY_LOG_TESTKIT_H
#define NK_RELAY_LOG_TESTKIT_H

#include "core/app.h"
#include "relay/log.h"
#include "relay/log_disk_testkit.h"

/* relay_log_testkit_make - a new directory. */
void relay_log_testkit_make(char dir[RELAY_LOG_TESTKIT_DIR]);

/* relay_log_testkit_remove - with all that a log leaves in it, and nothing else. */
void relay_log_testkit_remove(const char *dir);

enum { LT_PATIENCE = 4000, LT_TURN_MS = 1000, LT_CLOCK_SCALE = 100, LT_SEGMENT = 16 * 1024 };

struct lt_world {
    struct nk_app *app;
    struct relay_log *log;
    struct relay_memory memory;
    struct relay_log_conf conf;
    struct relay_log_io io;
    struct lt_disk disk;
    char dir[RELAY_LOG_TESTKIT_DIR];
    uint64_t committed;
    int status, fatal;
    unsigned refusals;
};

/* lt_world_new - an empty log with segments of LT_SEGMENT bytes in a new directory.
 * lt_world_free - nothing may be left. */
struct lt_world *lt_world_new(void);
void lt_world_free(struct lt_world *w);

/* lt_open_log - as relay_log_open says. lt_close_log - at once. lt_reopen - both, which must go. */
int lt_open_log(struct lt_world *w);
void lt_close_log(struct lt_world *w);
void lt_reopen(struct lt_world *w);

/* lt_settle - until all is written, or the log has failed. */
void lt_settle(struct lt_world *w);

/* lt_group - by its name, made when it is not there. */
struct relay_log_group *lt_group(struct lt_world *w, const char *name);

/* lt_put_item - a text; returns as relay_log_put. lt_put_range - LEASE, ACK and their kin, which
 * must be taken. */
int lt_put_item(struct lt_world *w, const char *name, uint64_t seq, uint64_t copies,
                const char *text);
void lt_put_range(struct lt_world *w, uint8_t type, const char *name, uint64_t first,
                  uint32_t count);

#endif
