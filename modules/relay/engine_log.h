/* SPDX-License-Identifier: MIT */
/*
 * engine_log - the engine whose objects survive: the queue core, and a log of everything that
 * changes in it.
 *
 * - ENQUEUE is admitted (it gets its numbers), written down, and goes into the queue when that
 *   counts; then it is done.
 * - RETAIN goes out at once and is done when it counts; of many in one commit the last is stored.
 * - SETTLE and PURGE happen at once and are done when they count. What the queue does by itself
 *   (hand out, take back, drop) is written down along the way and delays nobody.
 * - Everything else waits only for what the same member asked for before.
 */
#ifndef NK_RELAY_ENGINE_LOG_H
#define NK_RELAY_ENGINE_LOG_H

#include "core/app.h"
#include "core/timer.h"
#include "relay/engine_queue.h"
#include "relay/log.h"

struct relay_engine_log_conf {
    struct nk_app *app;
    const char *dir;
    struct relay_groups *groups; /* borrowed; what was stored comes back into it */
    struct relay_memory *memory;
    struct relay_publishers *publishers; /* NULL: who sent what is retained is not stored */
    enum relay_log_sync_mode sync;
    uint64_t sync_ms;
    uint64_t segment_bytes; /* 0: the usual */
    bool quarantine;
    uint64_t grace_ms;             /* how long leases wait for their sessions after a restart */
    const struct relay_log_io *io; /* NULL: the system's */
    void (*fatal)(void *owner, int code); /* the disk failed: the relay should end */
    void *owner;
};

/* relay_engine_log - open the log and restore what is in it (blocks). As relay_log_open. */
int relay_engine_log(const struct relay_engine_log_conf *conf, struct relay_engine **out,
                     struct nk_diag *diag);

/* relay_engine_log_stats - figures of the log of an engine made by relay_engine_log. */
void relay_engine_log_stats(const struct relay_engine *e, struct relay_log_stats *out);

/* --- what the files of this engine share ------------------------------------------------------ */

/* An operation whose records are under way, or that waits for one before it. */
struct relay_held {
    struct relay_op op; /* kind RELAY_OP_RETAIN with m = NULL and `from`: a dead letter */
    uint64_t ticket;
    uint64_t seq, expires_ms;     /* ENQUEUE: as admitted */
    int status;                   /* what to tell: SETTLE, refused ENQUEUE */
    bool refused;                 /* it failed before it came to the log */
    bool run;                     /* carry it out when its turn comes */
    struct relay_log_group *from; /* dead letter: where the copy was, number from_seq */
    uint64_t from_seq;
};

struct relay_engine_log {
    struct relay_engine_queue base; /* first */
    struct relay_engine_log_conf conf;
    struct relay_log *log;
    struct relay_ops ring;   /* as they came, until the turn's end */
    struct relay_held *held; /* ring; cap is a power of two */
    size_t held_head, held_n, held_cap;
    uint64_t ticket; /* of the newest record of ours */
    struct relay_eq_clock clock;
    struct nk_defer defer;
    struct relay_log_group *idle; /* perhaps nothing is left of them */
    struct nk_timer sweep;
    bool failed;
    bool unwritten; /* something that was done could not be written down */
};

/* relay_el_group - the log's side of g (bound to it until nothing is left); NULL: no memory. */
struct relay_log_group *relay_el_group(struct relay_engine_log *e, struct relay_group *g);

/* relay_el_idle - look at lg at the turn's end: perhaps nothing is left of it. relay_el_tidy - do
 * so. relay_el_sweep - look at all. */
void relay_el_idle(struct relay_engine_log *e, struct relay_log_group *lg);
void relay_el_tidy(struct relay_engine_log *e);
void relay_el_sweep(struct relay_engine_log *e);

/* relay_el_unbind_all - the engine ends. */
void relay_el_unbind_all(struct relay_engine_log *e);

/* relay_el_journal - what the queue core tells (struct relay_queue_journal). */
extern const struct relay_queue_journal relay_el_journal;

/* relay_el_hold - append to the ring. 0 or -ENOMEM. */
int relay_el_hold(struct relay_engine_log *e, const struct relay_held *h);

/* relay_el_put - write down; the ticket becomes the newest. As relay_log_put. */
int relay_el_put(struct relay_engine_log *e, const struct relay_log_entry *entry);

/* relay_el_drop - write down that a copy is gone. */
void relay_el_drop(struct relay_engine_log *e, struct relay_log_group *lg, uint8_t type,
                   uint64_t first, uint64_t count);

/* relay_el_restore - from the log into the queue. 0 or negative, with diag. */
int relay_el_restore(struct relay_engine_log *e, struct nk_diag *diag);

#endif
