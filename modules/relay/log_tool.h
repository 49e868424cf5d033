/* SPDX-License-Identifier: MIT */
/* log_tool - the log of a relay that does not run, for `netkit relay log ..`: under the relay's own
 * lock, segment by segment. */
#ifndef NK_RELAY_LOG_TOOL_H
#define NK_RELAY_LOG_TOOL_H

#include "base/cmd.h"
#include "base/file.h"
#include "relay/log_file.h"

#define RELAY_LOG_TYPES (RELAY_LOG_CHECKPOINT + 1)

struct relay_log_tool {
    char path[NK_PATH_MAX];
    int dir, lock;
    uint64_t *number; /* of the segments, ascending */
    size_t n;
};

enum relay_log_tool_index { RELAY_LOG_INDEX_NONE, RELAY_LOG_INDEX_GOOD, RELAY_LOG_INDEX_BAD };

/* What was found in one segment. */
struct relay_log_tool_segment {
    struct relay_log_segment_head head;
    uint64_t bytes, good; /* good: up to where it could be read */
    uint64_t records[RELAY_LOG_TYPES];
    int error; /* 0, or what stands at `good` */
    bool torn; /* it is the newest and was only being written there: not damage */
    enum relay_log_tool_index index;
};

/* relay_log_tool_open - lock the relay's folder below the state directory of ctx and list the
 * segments. NK_ELOCKED when a relay has it, -ENOENT when there is no log; ctx->diag is filled. */
int relay_log_tool_open(struct relay_log_tool *t, struct nk_cmd_ctx *ctx);

/* relay_log_tool_close - may be called after a failure. */
void relay_log_tool_close(struct relay_log_tool *t);

/* relay_log_tool_read - read segment i and its index, and hand every record to fn (may be NULL).
 * 0, whatever state it is in, or -errno when it cannot be read at all. */
int relay_log_tool_read(const struct relay_log_tool *t, size_t i,
                        struct relay_log_tool_segment *out,
                        void (*fn)(void *arg, const struct relay_log_record *r, size_t at),
                        void *arg);

#endif
