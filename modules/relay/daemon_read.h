/* SPDX-License-Identifier: MIT */
/* daemon_read - the common part of `netkit endpoint pop`, `get-last` and `receive-all`. */
#ifndef NK_RELAY_DAEMON_READ_H
#define NK_RELAY_DAEMON_READ_H

#include "relay/daemon_ask.h"
#include "relay/endpoint_files.h"

struct relay_daemon_read_conf {
    char *name;
    int64_t max_items;
    bool block;
    int format;
    char *dir;
};

/* The rows, without and with --max-items. */
extern const struct nk_opt relay_daemon_read_rows[];
#define RELAY_DAEMON_READ_ROWS NK_OPT_SHARED(relay_daemon_read_rows)

#define RELAY_DAEMON_MAX_ROW                                                                       \
    {                                                                                              \
        .name = "max-items", .short_name = 'n', .type = NK_OPT_INT,                                \
        .offset = NK_FIELD(struct relay_daemon_read_conf, max_items), .arg = "N", .def = "1",      \
        .min = 1, .max = INT64_MAX, .flags = NK_OPT_CLI_ONLY, .help = "At most so many objects"    \
    }

/* relay_daemon_read_run - all of run(): ask, print, and confirm when the output is written. */
int relay_daemon_read_run(struct nk_cmd_ctx *ctx, enum relay_daemon_mode mode);

#endif
