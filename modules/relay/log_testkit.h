/* SPDX-License-Identifier: MIT */
/* log_testkit - directories for the logs of tests. */
#ifndef NK_RELAY_LOG_TESTKIT_H
#define NK_RELAY_LOG_TESTKIT_H

#define RELAY_LOG_TESTKIT_DIR 64

/* relay_log_testkit_make - a new directory. */
void relay_log_testkit_make(char dir[RELAY_LOG_TESTKIT_DIR]);

/* relay_log_testkit_remove - with all that a log leaves in it, and nothing else. */
void relay_log_testkit_remove(const char *dir);

#endif
