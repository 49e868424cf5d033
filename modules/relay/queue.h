/* SPDX-License-Identifier: MIT */
/*
 * queue - what a relay does with objects, pure: members, retained broadcasts, shared queues,
 * standing credit, leases. Every engine is built on this core; it keeps all state in memory and is
 * synchronous, the engine around it makes the calls asynchronous (engine.h) and, perhaps, durable.
 *
 * Rules:
 * - A broadcast gets the group's next version, replaces the group's retained object and goes to
 *   every member, in the order of their joining; a member that joins later gets the retained object
 *   of each of its groups, groups in the order of their creation, unless it knows that version.
 * - A consumable waits in its group's queue until a member has demand for it. Its n copies have the
 *   sequence numbers seq .. seq + n - 1. Demand is credit that stays until it is used. Members that
 *   wait stand in one line per group: who has waited longest since asking or since being served
 *   last is served next, one object at a time.
 * - A drain asks for what is queued now, or for so many of it, and leaves no credit.
 * - A delivered copy is a lease until it is settled; its name is (group, seq). When its member
 *   leaves first, or the group's lease time is over, the copy goes back to its old place in the
 *   queue. After max_deliveries it goes to the group of dead letters instead.
 * - A member with a tag that leaves is absent: it keeps its seats, credit and leases for its grace,
 *   and whoever comes with that tag in time takes them over. It misses broadcasts.
 * - With max_consumables or max_bytes, producing beyond it drops the oldest copies (as a bounded
 *   deque does), or is refused, as the group's policy says. Only producing drops: what comes back
 *   from a dead member is kept beyond the limit.
 * - Time comes in through relay_queue_tick only.
 */
#ifndef NK_RELAY_QUEUE_H
#define NK_RELAY_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "relay/object.h"
#include "relay/queue_group.h"
#include "relay/queue_wheel.h"

struct relay_queue;
struct relay_seat; /* one member in one group */

enum relay_delivery { RELAY_RETAINED, RELAY_BROADCAST, RELAY_ITEM };

enum relay_settle {
    RELAY_ACK,    /* done with */
    RELAY_NACK,   /* back to its place in the queue, after `ms` */
    RELAY_EXTEND, /* `ms` more from now on, instead of what was left */
    RELAY_DEAD,   /* to the dead letters at once */
    RELAY_RETURN  /* it was not handed out after all: back, and that was no delivery */
};

/* What a delivery is called. */
struct relay_mark {
    uint64_t seq;   /* broadcast: version (of the first frame of a run); item: its number */
    uint64_t epoch; /* of the versions: another one when the relay has forgotten the old */
    uint32_t tries; /* item: how often it was delivered before */
};

#define RELAY_SEQ_MAX ((UINT64_C(1) << 56) - 1) /* numbers have 7 bytes on the wire */
#define RELAY_COPIES_MAX ((uint64_t)UINT32_MAX) /* of one object at a time */

/* What a producer says about an object. */
struct relay_put {
    uint64_t copies;   /* 1 .. RELAY_COPIES_MAX */
    uint64_t producer; /* id, 0 = none: no deduplication */
    uint64_t
        producer_seq;    /* ascends; what is not above the highest that was taken is a duplicate */
    uint64_t expires_ms; /* wall clock, 0 = the group's ttl from now on, or never */
    bool force;          /* take it beyond the group's limits: its producer cannot be told */
};

/* The last broadcast that a member has seen of a group. epoch 0: none. */
struct relay_known {
    uint64_t epoch, version;
};

/* A group to join, and what is known of it. */
struct relay_watch {
    struct relay_group *group;
    struct relay_known known;
};

enum relay_member_flags {
    RELAY_MEMBER_UNTIMED =
        1 /* its leases do not end by themselves: it knows nothing of lease times */
};

/* How a member hears from its engine; never from inside a call that it makes. */
struct relay_member_ops {
    unsigned flags; /* enum relay_member_flags */
    /* An object, borrowed during the call. Only broadcasts can be runs (o->frames > 0). */
    void (*deliver)(void *owner, struct relay_group *g, struct relay_object *o,
                    enum relay_delivery kind, const struct relay_mark *mark);
    /* An operation that was given a token has ended: 0 or above, or an error. */
    void (*done)(void *owner, uint64_t token, int status);
};

#define RELAY_TAG 16 /* bytes of a member's tag */

/* One participant. Zero it, set ops and owner. With a tag it must come from malloc. */
struct relay_member {
    const struct relay_member_ops *ops;
    void *owner;
    bool gone;                /* hears nothing any more */
    bool paused;              /* gets no consumables for now; others are served instead */
    struct relay_seat *seats; /* private from here on */
    size_t nseats;
    bool tagged, absent;
    uint8_t tag[RELAY_TAG];
    uint64_t keep_ms;
    struct relay_member *next_tag;
    struct relay_due due; /* absent: the end of its grace */
    uint32_t busy;        /* the engine's: operations that wait for the disk */
};

/* What an engine has to remember for a restart, told as it happens. Any of them may be NULL. */
struct relay_queue_journal {
    /* a copy was handed out, for the tries-th time; tag of the member or NULL */
    void (*lease)(void *owner, struct relay_group *g, uint64_t seq, uint32_t tries,
                  const uint8_t *tag);
    /* it came back, and waits so long before it is handed out again */
    void (*release)(void *owner, struct relay_group *g, uint64_t seq, uint32_t tries,
                    uint64_t delay_ms);
    /* copies are done with */
    void (*ack)(void *owner, struct relay_group *g, uint64_t first, uint64_t count);
    /* copies were dropped */
    void (*drop)(void *owner, struct relay_group *g, uint64_t first, uint64_t count,
                 enum relay_drop why);
    /* copy seq of g is o (borrowed), number to_seq, in `to` now, until expires_ms (0: for good) */
    void (*dead)(void *owner, struct relay_group *g, uint64_t seq, struct relay_group *to,
                 uint64_t to_seq, uint64_t expires_ms, struct relay_object *o);
};

/* relay_queue_new - NULL when memory is missing. relay_queue_free - forgets everything; members
 * that are still in it are left as they are, absent ones are freed. NULL is fine. */
struct relay_queue *relay_queue_new(void);
void relay_queue_free(struct relay_queue *q);

/* relay_queue_observe - who hears of it from now on (borrowed; NULL: nobody). */
void relay_queue_observe(struct relay_queue *q, const struct relay_queue_journal *journal,
                         void *owner);

/*
 * relay_queue_tick - it is now_ms (monotonic) and wall_ms (since 1970): end leases, graces, delays
 * and lives that are over. Comes before other calls of a turn. Returns when it wants to be called
 * again at the latest, UINT64_MAX never; now_ms when there is more to do than fits one turn.
 * relay_queue_next - the same without doing anything.
 */
uint64_t relay_queue_tick(struct relay_queue *q, uint64_t now_ms, uint64_t wall_ms);
uint64_t relay_queue_next(const struct relay_queue *q);

/* relay_queue_epoch - of the versions that this queue gives. */
uint64_t relay_queue_epoch(const struct relay_queue *q);

/*
 * relay_queue_join - make m a member of n groups, or of none at all: NK_ELIMIT when one is full,
 * -ENOMEM. Groups that m is in already are fine. w gets into the order of the groups' creation.
 */
int relay_queue_join(struct relay_queue *q, struct relay_member *m, struct relay_watch *w,
                     size_t n);

/* relay_queue_replay - deliver the retained objects of these groups, where m is in them and does
 * not know that version already. */
void relay_queue_replay(struct relay_queue *q, struct relay_member *m, const struct relay_watch *w,
                        size_t n);

/* relay_queue_unwatch - take m out of one group; its leases there go back. -ENOENT: not in it. */
int relay_queue_unwatch(struct relay_queue *q, struct relay_member *m, struct relay_group *g);

/*
 * relay_queue_leave - m hears nothing from now on. Without a tag (or with keep_ms = 0) it is out of
 * all groups and its leases go back: false, m is the caller's. With one it is absent: true, m
 * belongs to the queue, which frees it.
 */
bool relay_queue_leave(struct relay_queue *q, struct relay_member *m);

/* relay_queue_abandon - m leaves, tag or not, and belongs to the queue, which frees it at its own
 * end: for an engine without memory to remember that operations still name it. */
void relay_queue_abandon(struct relay_queue *q, struct relay_member *m);

/*
 * relay_queue_resume - m can be found by this tag from now on, and is kept for keep_ms after it
 * left. 1: another member had that tag, absent or not; its seats, credit and leases are m's now,
 * and relay_queue_unpause serves them. 0: nobody had. -EINVAL: m has seats already; -ENOMEM.
 */
int relay_queue_resume(struct relay_queue *q, struct relay_member *m, const uint8_t tag[RELAY_TAG],
                       uint64_t keep_ms);

/* One member in one group. */
struct relay_seat_stats {
    uint64_t credit;                     /* standing */
    uint64_t delivered, delivered_bytes; /* items, since m or who it resumed joined */
    uint64_t leased;
};
/* relay_queue_seat - false when m is not in g. relay_queue_seats - fn for each group of m; fn must
 * not change m's groups. */
bool relay_queue_seat(const struct relay_member *m, const struct relay_group *g,
                      struct relay_seat_stats *out);
void relay_queue_seats(const struct relay_member *m,
                       void (*fn)(void *arg, struct relay_group *g,
                                  const struct relay_seat_stats *s),
                       void *arg);

/* relay_queue_retain - keep o (a reference, or a copy of a run's last frame) as g's last broadcast
 * and give it its version. 0; 1 when put (of which only producer and number count; may be NULL)
 * says that it was taken before; -ENOMEM. After a 0 relay_queue_publish delivers the same o to
 * every member; in between is the time to tell the sender. */
int relay_queue_retain(struct relay_queue *q, struct relay_group *g, struct relay_object *o,
                       const struct relay_put *put);
void relay_queue_publish(struct relay_queue *q, struct relay_group *g, struct relay_object *o);

/* relay_queue_retained - g's last broadcast (borrowed; a run's last frame as an object of its own)
 * and its version, or NULL. */
struct relay_object *relay_queue_retained(const struct relay_group *g, uint64_t *version);

/*
 * relay_queue_enqueue - append put->copies of o to g's queue. 0, 1 (a duplicate: nothing happened),
 * NK_ELIMIT (the queue is full and the policy says to refuse; too many copies; out of numbers),
 * -ETIMEDOUT (it has expired), -ENOMEM. Then relay_queue_dispatch serves who waits, and drops what
 * is beyond the limits.
 */
int relay_queue_enqueue(struct relay_queue *q, struct relay_group *g, struct relay_object *o,
                        const struct relay_put *put);
void relay_queue_dispatch(struct relay_queue *q, struct relay_group *g);

/*
 * The same in two steps, for an engine that writes o down in between: admit decides and gives the
 * numbers *seq .. *seq + copies - 1 and the time at which it ends (*expires_ms, 0 never); place
 * makes it so (0, -ENOMEM), in the order of admission within a group; retract takes the admission
 * back, so that the producer can try again with the same number.
 */
int relay_queue_admit(struct relay_queue *q, struct relay_group *g, const struct relay_object *o,
                      const struct relay_put *put, uint64_t *seq, uint64_t *expires_ms);
int relay_queue_place(struct relay_queue *q, struct relay_group *g, struct relay_object *o,
                      const struct relay_put *put, uint64_t seq, uint64_t expires_ms);
void relay_queue_retract(struct relay_queue *q, struct relay_group *g, const struct relay_object *o,
                         const struct relay_put *put);

/* relay_queue_backlog - bytes that wait in g and that nobody has asked for. */
uint64_t relay_queue_backlog(const struct relay_group *g);

/* relay_queue_full - would an object be refused for the policy BLOCK? Producers should wait. */
bool relay_queue_full(const struct relay_group *g);

#define RELAY_DRAIN_ALL INT64_MIN /* relay_queue_demand: everything that is queued now */
#define RELAY_QUEUE_LATER 2       /* relay_queue_demand: done() comes by itself */

/* relay_queue_demand - n > 0: add credit; RELAY_DRAIN_ALL: drain; any other n < 0: drain, but at
 * most -n copies; 0: nothing. 0; RELAY_QUEUE_LATER: a drain with a token, m->ops->done(token, 0)
 * comes when what is queued now, or so much of it, was handed out, or -ECANCELED when the drain is
 * cancelled; -ENOENT: m is not in g; -ENOMEM. */
int relay_queue_demand(struct relay_queue *q, struct relay_member *m, struct relay_group *g,
                       int64_t n, uint64_t token);

/* relay_queue_cancel - withdraw m's credit in g, and its drains. */
void relay_queue_cancel(struct relay_queue *q, struct relay_member *m, struct relay_group *g);

/*
 * relay_queue_settle - end m's leases on [first, first + count) of g, or give them more time. The
 * work is bounded by what m holds, whatever count is; UINT32_MAX is all from first on. ms: NACK:
 * how long the copies shall wait; EXTEND: the time from now on, 0 = the group's lease time (leases
 * without an end stay so). -ENOENT when one of them is not m's; nothing happens to that one, the
 * others are settled. Needs no memory, as relay_queue_leave.
 */
int relay_queue_settle(struct relay_queue *q, struct relay_member *m, struct relay_group *g,
                       uint64_t first, uint32_t count, enum relay_settle how, uint64_t ms);

/* relay_queue_unpause - m->paused was cleared, or it was resumed: serve it again. */
void relay_queue_unpause(struct relay_queue *q, struct relay_member *m);

/* relay_queue_purge_part - drop at most `work` entries of what waits in g, delayed ones included:
 * true when there may be more of them, false when nothing is left for relay_queue_purge but to say
 * so, which comes next. */
bool relay_queue_purge_part(struct relay_queue *q, struct relay_group *g, unsigned work);

/* relay_queue_purge - drop what waits in g (not what is leased) and what is retained. Returns how
 * many copies that were. */
uint64_t relay_queue_purge(struct relay_queue *q, struct relay_group *g);

/* Figures of one group; all zero when the queue has nothing of it. */
struct relay_queue_stats {
    uint64_t epoch, version;              /* of the newest broadcast; 0 = none known */
    uint64_t members, absent;             /* absent ones are members, too */
    uint64_t queued, delayed;             /* delayed ones are queued, too */
    uint64_t bytes;                       /* of what is queued; copies of one object count once */
    uint64_t leased, retained, producers; /* retained: 0 or 1 */
    uint64_t broadcasts, produced, delivered, redelivered, acked;
    uint64_t returned;  /* copies that came back, for whatever reason */
    uint64_t timed_out; /* of these: the lease was over */
    uint64_t dead;      /* went to the dead letters */
    uint64_t duplicates, refused;
    uint64_t dropped; /* all reasons; each in drop */
    uint64_t drop[RELAY_DROPS];
};
void relay_queue_stats(const struct relay_group *g, struct relay_queue_stats *out);

/* --- after a restart (queue_restore.c) -------------------------------------------------------- */

/* One entry of a queue as it was. */
struct relay_restore {
    struct relay_object *obj; /* a reference is taken */
    uint64_t seq, copies;     /* copies must be 1 when tries is not 0 */
    uint64_t expires_ms;
    uint32_t tries;
    uint64_t delay_ms; /* with tries: it waits so long before it is handed out */
};

/* relay_queue_restore_epoch - of the versions that will be restored and given; not 0. The numbers
 * of all groups are above `floor`. */
void relay_queue_restore_epoch(struct relay_queue *q, uint64_t epoch, uint64_t floor);

/* relay_queue_restore_item - an entry that waits. Those with tries = 0 must ascend by number within
 * a group. 0, -EINVAL, -ENOMEM. */
int relay_queue_restore_item(struct relay_queue *q, struct relay_group *g,
                             const struct relay_restore *item);

/* relay_queue_restore_lease - one copy that the member with this tag has; the member is absent and
 * keeps it for keep_ms from the next tick on. 0, -EINVAL, -ENOMEM. */
int relay_queue_restore_lease(struct relay_queue *q, struct relay_group *g,
                              const struct relay_restore *item, const uint8_t tag[RELAY_TAG],
                              uint64_t keep_ms);

/* relay_queue_restore_retained - g's last broadcast. 0 or -ENOMEM. */
int relay_queue_restore_retained(struct relay_queue *q, struct relay_group *g,
                                 struct relay_object *o, uint64_t version);

/* relay_queue_restore_producer - the highest number of a producer that was taken. 0 or -ENOMEM. */
int relay_queue_restore_producer(struct relay_queue *q, struct relay_group *g, uint64_t producer,
                                 uint64_t seq);

#endif
