/* SPDX-License-Identifier: MIT */
/*
 * log_impl - what the parts of a running log share: log.c (putting and committing), log_write.c
 * (the job on the log's thread), log_open.c (a restart), log_compact.c, log_chore.c (the disk
 * lane).
 */
#ifndef NK_RELAY_LOG_IMPL_H
#define NK_RELAY_LOG_IMPL_H

#include "base/buf.h"
#include "core/app.h"
#include "core/timer.h"
#include "core/work.h"
#include "relay/log.h"

#define RELAY_LOG_BATCH_BYTES ((uint64_t)8 * 1024 * 1024) /* of one commit, or one object */
#define RELAY_LOG_STAGING ((size_t)256 * 1024)            /* bytes written by one pwrite */

/* An entry that waits or is being written. */
struct relay_log_waiting {
    struct relay_log_entry e;
    uint64_t ticket;
    uint64_t at; /* offset of its body in the segment, once planned */
    bool declares;
};

struct relay_log_vector {
    struct relay_log_waiting *v;
    size_t n, cap;
};

/* A stretch of the arena and the object behind it. */
struct relay_log_piece {
    size_t off, len;
    const struct relay_object *obj; /* NULL: the arena's bytes are whole records */
};

/* What the log's thread gets; it touches nothing else. */
struct relay_log_job {
    struct relay_log *log; /* NULL: it was closed meanwhile */
    const struct relay_log_io *io;
    int dir, fd;
    bool rotate, sync, release_reserve;
    struct relay_log_segment_head head; /* of the new segment */
    uint64_t at, end;                   /* where the batch goes */
    uint64_t seal;                      /* rotate: length of the old segment */
    struct nk_buf arena;
    struct relay_log_piece *piece;
    size_t pieces, piece_cap;
    uint8_t *staging;
    size_t staged;
    /* results */
    int rc, new_fd;
    bool rotated;
    uint64_t sync_ns;
};

/* Work for the disk lane. */
enum relay_log_chore { RELAY_LOG_CHORE_INDEX, RELAY_LOG_CHORE_REMOVE, RELAY_LOG_CHORE_RESERVE };
struct relay_log_chore_job;

struct relay_log_compaction {
    bool running, all;    /* all: asked for, whatever it is worth */
    uint64_t until;       /* all: segments up to this */
    uint64_t run;         /* counts compactions; see relay_log_producer.moving */
    uint64_t segment;     /* being carried over */
    uint64_t off;         /* next byte of it to look at */
    uint64_t ticket;      /* of the newest copy; go on when it counts */
    uint64_t stuck;       /* a segment that did not become empty */
    struct nk_work *work; /* reads the next stretch */
    struct relay_log_read *read;
};

/* Looking after sealed segments. */
struct relay_log_scrub {
    struct nk_timer timer;
    struct relay_log_scrub_job *job; /* the segment that is being looked at */
    struct nk_work *work;            /* a stretch of it is */
    uint64_t last;                   /* the one before */
};

/* The newest segment as far as objects of it were asked for. */
struct relay_log_view {
    struct relay_object *object; /* NULL: not mapped */
    uint64_t segment;
    size_t next; /* where the item behind the one last asked for is, if it is of the same group */
};

struct relay_log {
    struct relay_log_conf conf;
    const struct relay_log_io *io;
    int dir, fd; /* fd: the newest segment */
    uint64_t epoch;
    uint64_t versions; /* relay_log_version_epoch */
    uint64_t size;     /* of the newest segment, as far as it counts */
    uint64_t durable;  /* bytes of it that are known to be on the disk */
    struct relay_log_state state;
    struct relay_log_view view;
    struct relay_log_scrub scrub;
    struct relay_log_vector pending, flight, spare;
    uint64_t ticket;   /* the last one given out */
    uint64_t reported; /* committed() was told about all up to this */
    struct relay_log_job *job;
    struct nk_work *work; /* the job is under way */
    struct nk_defer kick;
    struct nk_timer retry, sync_timer;
    bool sync_due, rotate_due, reserve, closing;
    bool outdated; /* the newest segment has an older format: nothing is added to it */
    struct relay_log_compaction compaction;
    struct relay_log_chore_job *chores; /* under way */
    struct relay_log_stats stats;
};

/* relay_log_job_run - write and make durable. On the log's thread. */
void relay_log_job_run(void *job);

/* relay_log_job_new - NULL when memory is missing. relay_log_job_free - NULL is fine. */
struct relay_log_job *relay_log_job_new(struct relay_log *log);
void relay_log_job_free(struct relay_log_job *job);

/* relay_log_plan - move what goes into the next batch from pending to flight and encode it. 0 or
 * -ENOMEM (nothing was moved). */
int relay_log_plan(struct relay_log *log);

/* relay_log_chore - do it on the disk lane; a failure is logged, nothing depends on it.
 * relay_log_chores_leave - the log goes: what is under way ends, the rest is left to the next
 * start.
 */
void relay_log_chore(struct relay_log *log, enum relay_log_chore chore, uint64_t number);
void relay_log_chores_leave(struct relay_log *log);

/* relay_log_scrub_start - look at the sealed segments, if there are any; what is under way goes on.
 * relay_log_scrub_init comes first, relay_log_scrub_stop last. */
void relay_log_scrub_init(struct relay_log *log);
void relay_log_scrub_start(struct relay_log *log);
void relay_log_scrub_stop(struct relay_log *log);

/* relay_log_view_clear - the newest segment needs not be mapped any more. */
void relay_log_view_clear(struct relay_log *log);

/* relay_log_publisher - who sent a retained object, as it is written down; NULL: not known. */
const char *relay_log_publisher(const struct relay_log *log, const struct relay_object *o);

/* relay_log_kick - start a batch at the end of this turn, if there is anything to do. */
void relay_log_kick(struct relay_log *log);

/* relay_log_tidy - drop the oldest segments that nothing lives in, and start a compaction if it is
 * worth it. */
void relay_log_tidy(struct relay_log *log);

/* relay_log_compact_next - go on with a compaction whose copies count. relay_log_compact_stop. */
void relay_log_compact_next(struct relay_log *log);
void relay_log_compact_stop(struct relay_log *log);

/* relay_log_load - read the directory into log->state and open the newest segment. As
 * relay_log_open. */
int relay_log_load(struct relay_log *log, struct nk_diag *diag);

#endif
