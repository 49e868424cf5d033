/* SPDX-License-Identifier: MIT */
/*
 * queue - what a relay does with objects, pure: members, retained broadcasts, shared queues,
 * standing credit, leases. Every engine is built on this core; it keeps all state in memory and is
 * synchronous, the engine around it makes the calls asynchronous (engine.h) and, perhaps, durable.
 *
 * Rules:
 * - A broadcast replaces the group's retained object and goes to every member, in the order of
 * their joining; a member that joins later gets the retained object of each of its groups, groups
 * in the order of their creation.
 * - A consumable waits in its group's queue until a member has demand for it. Demand is credit that
 *   stays until it is used. Members that wait stand in one line per group: who has waited longest
 *   since asking or since being served last is served next, one object at a time.
 * - A drain asks for what is queued now and leaves no credit.
 * - A delivered copy is a lease until it is settled. When its member leaves first, the copy goes
 * back to its old place in the queue.
 * - With max_consumables, producing beyond it drops the oldest copies (as a bounded deque does).
 * Only producing drops: what comes back from a dead member is kept beyond the limit.
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
enum relay_settle { RELAY_ACK, RELAY_NACK };

/* How a member hears from its engine; never from inside a call that it makes. */
struct relay_member_ops {
    /* An object, borrowed during the call. lease is 0 except for RELAY_ITEM. */
    void (*deliver)(void *owner, struct relay_group *g, struct relay_object *o,
                    enum relay_delivery kind, uint64_t lease);
    /* An operation that was given a token has ended: 0 or an error. */
    void (*done)(void *owner, uint64_t token, int status);
};

/* One participant. Zero it, set ops and owner. */
struct relay_member {
    const struct relay_member_ops *ops;
    void *owner;
    bool gone;                /* hears nothing any more */
    bool paused;              /* gets no consumables for now; others are served instead */
    struct relay_seat *seats; /* private */
};

/* relay_queue_new - NULL when memory is missing. relay_queue_free - forgets everything; members
 * that are still in it are left as they are. NULL is fine. */
struct relay_queue *relay_queue_new(void);
void relay_queue_free(struct relay_queue *q);

/*
 * relay_queue_join - make m a member of n groups (no group twice), or of none at all: NK_ELIMIT
 * when one is full, -EEXIST when m is in one of them already, -ENOMEM.
 */
int relay_queue_join(struct relay_queue *q, struct relay_member *m, struct relay_group *const *g,
                     size_t n);

/* relay_queue_replay - deliver the retained object of each of m's groups. */
void relay_queue_replay(struct relay_queue *q, struct relay_member *m);

/* relay_queue_leave - take m out of all groups; its leases go back. Must come before m is freed. */
void relay_queue_leave(struct relay_queue *q, struct relay_member *m);

/* relay_queue_retain - keep o (a reference) as g's last broadcast. 0 or -ENOMEM. Then
 * relay_queue_publish delivers it to every member; in between is the time to tell the sender. */
int relay_queue_retain(struct relay_queue *q, struct relay_group *g, struct relay_object *o);
void relay_queue_publish(struct relay_queue *q, struct relay_group *g);

/* relay_queue_enqueue - append `copies` (>= 1) of o to g's queue. 0, NK_ELIMIT (the count
 * overflows), -ENOMEM. Then relay_queue_dispatch serves who waits, and drops what is beyond
 * max_consumables. */
int relay_queue_enqueue(struct relay_queue *q, struct relay_group *g, struct relay_object *o,
                        uint64_t copies);
void relay_queue_dispatch(struct relay_queue *q, struct relay_group *g);

/* relay_queue_demand - n > 0: add credit; n < 0: drain; 0: nothing. A group that m is not in is
 * ignored. */
void relay_queue_demand(struct relay_queue *q, struct relay_member *m, struct relay_group *g,
                        int64_t n);

/* relay_queue_cancel - withdraw m's credit in g. */
void relay_queue_cancel(struct relay_queue *q, struct relay_member *m, struct relay_group *g);

/* relay_queue_settle - end a lease: done with (ACK) or back to its place in the queue (NACK).
 * Unknown leases are -ENOENT. Needs no memory, as relay_queue_leave: a copy that was handed out has
 * its room in the queue until it is settled. */
int relay_queue_settle(struct relay_queue *q, uint64_t lease, enum relay_settle how);

/* relay_queue_resume - m->paused was cleared: serve it again. */
void relay_queue_resume(struct relay_queue *q, struct relay_member *m);

/* Figures of one group; all zero when the queue has nothing of it. */
struct relay_queue_stats {
    uint64_t members, queued, leased, retained; /* retained: 0 or 1 */
    uint64_t broadcasts, produced, delivered, dropped, returned;
};
void relay_queue_stats(const struct relay_group *g, struct relay_queue_stats *out);

#endif
