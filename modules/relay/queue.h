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
 * - A drain asks for what is queued now and leaves no credit.
 * - A delivered copy is a lease until it is settled; its name is (group, seq). When its member
 *   leaves first, the copy goes back to its old place in the queue.
 * - With max_consumables, producing beyond it drops the oldest copies (as a bounded deque does).
 *   Only producing drops: what comes back from a dead member is kept beyond the limit.
 */
#ifndef NK_RELAY_QUEUE_H
#define NK_RELAY_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "relay/object.h"
#include "relay/queue_group.h"

struct relay_queue;
struct relay_seat; /* one member in one group */

enum relay_delivery { RELAY_RETAINED, RELAY_BROADCAST, RELAY_ITEM };

enum relay_settle {
    RELAY_ACK,    /* done with */
    RELAY_NACK,   /* back to its place in the queue, after `ms` */
    RELAY_EXTEND, /* `ms` more from now on, instead of what was left */
    RELAY_DEAD    /* to the dead letters at once */
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
    uint64_t expires_ms; /* wall clock, 0 = never */
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

/* How a member hears from its engine; never from inside a call that it makes. */
struct relay_member_ops {
    /* An object, borrowed during the call. Only broadcasts can be runs (o->frames > 0). */
    void (*deliver)(void *owner, struct relay_group *g, struct relay_object *o,
                    enum relay_delivery kind, const struct relay_mark *mark);
    /* An operation that was given a token has ended: 0 or above, or an error. */
    void (*done)(void *owner, uint64_t token, int status);
};

/* One participant. Zero it, set ops and owner. */
struct relay_member {
    const struct relay_member_ops *ops;
    void *owner;
    bool gone;                /* hears nothing any more */
    bool paused;              /* gets no consumables for now; others are served instead */
    struct relay_seat *seats; /* private from here on */
    size_t nseats;
};

/* relay_queue_new - NULL when memory is missing. relay_queue_free - forgets everything; members
 * that are still in it are left as they are. NULL is fine. */
struct relay_queue *relay_queue_new(void);
void relay_queue_free(struct relay_queue *q);

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

/* relay_queue_leave - take m out of all groups; its leases go back. Must come before m is freed. */
void relay_queue_leave(struct relay_queue *q, struct relay_member *m);

/* relay_queue_retain - keep o (a reference, or a copy of a run's last frame) as g's last broadcast
 * and give it its version. 0 or -ENOMEM. Then relay_queue_publish delivers the same o to every
 * member; in between is the time to tell the sender. */
int relay_queue_retain(struct relay_queue *q, struct relay_group *g, struct relay_object *o);
void relay_queue_publish(struct relay_queue *q, struct relay_group *g, struct relay_object *o);

/* relay_queue_enqueue - append put->copies of o to g's queue. 0, NK_ELIMIT (too many copies, or the
 * group has run out of numbers), -ENOMEM. Then relay_queue_dispatch serves who waits, and drops
 * what is beyond max_consumables. */
int relay_queue_enqueue(struct relay_queue *q, struct relay_group *g, struct relay_object *o,
                        const struct relay_put *put);
void relay_queue_dispatch(struct relay_queue *q, struct relay_group *g);

/* relay_queue_demand - n > 0: add credit; n < 0: drain; 0: nothing. A group that m is not in is
 * ignored. */
void relay_queue_demand(struct relay_queue *q, struct relay_member *m, struct relay_group *g,
                        int64_t n);

/* relay_queue_cancel - withdraw m's credit in g. */
void relay_queue_cancel(struct relay_queue *q, struct relay_member *m, struct relay_group *g);

/*
 * relay_queue_settle - end m's leases on [first, first + count) of g, or give them more time. The
 * work is bounded by what m holds, whatever count is. -ENOENT when one of them is not m's; nothing
 * happens to that one, the others are settled. Needs no memory, as relay_queue_leave.
 */
int relay_queue_settle(struct relay_queue *q, struct relay_member *m, struct relay_group *g,
                       uint64_t first, uint32_t count, enum relay_settle how, uint64_t ms);

/* relay_queue_unpause - m->paused was cleared: serve it again. */
void relay_queue_unpause(struct relay_queue *q, struct relay_member *m);

/* Figures of one group; all zero when the queue has nothing of it. */
struct relay_queue_stats {
    uint64_t members, queued, leased, retained; /* retained: 0 or 1 */
    uint64_t broadcasts, produced, delivered, acked, dropped, returned;
};
void relay_queue_stats(const struct relay_group *g, struct relay_queue_stats *out);

#endif
