/* SPDX-License-Identifier: MIT */
/*
 * log - a running log: records are put on the loop, written by one job at a time on a thread of
 * their own, and count together when that job is done (group commit): everything that was put while
 * one fdatasync ran is written and made durable by the next.
 *
 * Errors. A full disk refuses the objects of that batch (-ENOSPC) and nothing else: what was
 * consumed, leased or purged stays put and is written as soon as there is room. Any other error of
 * the disk ends the log for good: nothing is reported as durable any more (`fatal`), because after
 * a failed fdatasync nobody knows what is.
 */
#ifndef NK_RELAY_LOG_H
#define NK_RELAY_LOG_H

#include "base/json.h"
#include "base/log.h"
#include "relay/log_file.h"
#include "relay/log_state.h"
#include "relay/object.h"
#include "relay/publishers.h"

struct nk_app;
struct relay_log;

#define RELAY_LOG_SEGMENT_BYTES ((uint64_t)64 * 1024 * 1024) /* a larger object has its own */

enum relay_log_sync_mode {
    RELAY_LOG_SYNC_ALWAYS,   /* a batch counts when fdatasync returned */
    RELAY_LOG_SYNC_INTERVAL, /* when it is written; fdatasync every sync_ms */
    RELAY_LOG_SYNC_OFF       /* when it is written; the system decides when it is on the disk */
};

struct relay_log_ops {
    /* Everything with this ticket or a lower one that was not told of before counts (status 0); or
     * (-ENOSPC, -ENOMEM) the objects among it were refused, and the rest waits for a later call. */
    void (*committed)(void *owner, uint64_t ticket, int status);
    /* The disk failed; once. Nothing is committed any more. */
    void (*fatal)(void *owner, int code);
};

struct relay_log_conf {
    struct nk_app *app;
    const char *dir;
    struct relay_memory *memory;         /* of the objects that are mapped */
    struct relay_publishers *publishers; /* names of RETAINed objects' publishers; may be NULL */
    enum relay_log_sync_mode sync;
    uint64_t sync_ms;
    uint64_t segment_bytes;        /* 0: RELAY_LOG_SEGMENT_BYTES */
    bool quarantine;               /* take a damaged segment out and go on without it */
    uint64_t producer_ms;          /* producers not heard for so long are forgotten; 0: one hour */
    const struct relay_log_io *io; /* NULL: the system's */
    const struct relay_log_ops *ops;
    void *owner;
};

/*
 * relay_log_open - read what is there (blocks; about 0.2 s for 1 GB) and get ready to write. A torn
 * end of the newest segment is cut off. Errors, with diag: NK_EFORMAT (a segment is damaged or
 * missing: nothing was changed unless conf->quarantine), NK_EVERSION (written by a newer netkit),
 * -errno.
 */
int relay_log_open(const struct relay_log_conf *conf, struct relay_log **out, struct nk_diag *diag);

/* relay_log_close - write what was put, as far as the disk allows, and free. Blocks for one write.
 * No callback comes any more. NULL is fine. */
void relay_log_close(struct relay_log *log);

/* relay_log_state - what is in it; the caller may look, and keep group->refs and group->owner. */
struct relay_log_state *relay_log_state(struct relay_log *log);

/* relay_log_map - the bytes of a segment as one object (a reference for the caller), or NULL with
 * memory missing or the file unreadable. Those of the newest one go as far as they did when the log
 * was opened. */
struct relay_object *relay_log_map(struct relay_log *log, uint64_t segment);

/*
 * relay_log_view - an object of the newest segment that counts since the last call of committed, as
 * it lies there (a reference for the caller), so that whoever keeps it needs no memory for its
 * bytes. NULL when it is not there, or memory is missing.
 */
struct relay_object *relay_log_view(struct relay_log *log, const struct relay_log_group *g,
                                    uint64_t seq);

/* One thing to write down. Of a RETAIN the publisher is the one of obj. */
struct relay_log_entry {
    uint8_t type;  /* ENQUEUE, RETAIN, ACK, LEASE, RELEASE, DROP, PRODUCER or PURGE */
    uint8_t flags; /* META and CONTENT; COPIED; RETAINED */
    struct relay_log_group *group;
    uint64_t seq;                   /* ENQUEUE, RETAIN, PURGE, PRODUCER */
    struct relay_log_object object; /* ENQUEUE, RETAIN: all but bytes, off and len. PRODUCER: the
                                       producer's fields, expires_ms is when it was heard */
    struct relay_object *obj;       /* ENQUEUE, RETAIN: a reference is taken */
    struct relay_log_range range;   /* the others */
    uint8_t tag[RELAY_LOG_TAG];     /* LEASE */
};

/*
 * relay_log_put - write e down with the next batch; committed(*ticket or higher) tells when it
 * counts. ACK, DROP, LEASE and RELEASE are in relay_log_state at once, the others when they count.
 * Of several RETAINs of one group in a batch only the last is written. 0; -ENOMEM; for objects
 * NK_ETOOBIG, and -ENOSPC while the disk is full; -EIO after `fatal`.
 */
int relay_log_put(struct relay_log *log, const struct relay_log_entry *e, uint64_t *ticket);

/* relay_log_counts - true when everything up to that ticket counts, or was refused. */
bool relay_log_counts(const struct relay_log *log, uint64_t ticket);

/* relay_log_version_epoch - under which versions of retained objects are given since this start:
 * the same as before when the log was closed in order, else a new one, because versions may have
 * been seen that were never stored. Not 0. */
uint64_t relay_log_version_epoch(const struct relay_log *log);

/* relay_log_idle - true when everything that was put counts (or never will). */
bool relay_log_idle(const struct relay_log *log);

/* relay_log_compact - carry over what is alive in all but the newest segment, whatever that is
 * worth; relay_log_compacting - still at it. */
void relay_log_compact(struct relay_log *log);
bool relay_log_compacting(const struct relay_log *log);

struct relay_log_stats {
    uint64_t segments, bytes, live_bytes, commits, records, syncs, compacted, refused;
    uint64_t sync_us_mean, sync_us_max; /* of fdatasync; the mean moves with an eighth of each */
    uint64_t scrubbed, scrubbed_bytes;  /* sealed segments whose checksums were looked at again */
    uint64_t damaged, damaged_last;     /* of these; the number of the last one */
    bool full, failed;
};

/* relay_log_stats - figures of the moment. */
void relay_log_stats(const struct relay_log *log, struct relay_log_stats *out);

#endif
