/* SPDX-License-Identifier: MIT */
/* What the files of the queue core share; nobody else includes it. */
#ifndef NK_RELAY_QUEUE_CORE_H
#define NK_RELAY_QUEUE_CORE_H

#include "relay/queue.h"
#include "relay/queue_fifo.h"
#include "relay/queue_wheel.h"

/* What an entry of the wheel is about (relay_due.what). */
enum relay_due_what {
    RELAY_DUE_LEASE,    /* a copy: its lease is over */
    RELAY_DUE_DELAY,    /* a copy: it may be handed out again */
    RELAY_DUE_EXPIRE,   /* a copy that came back: its life is over */
    RELAY_DUE_SWEEP,    /* a group: something in its ring may have expired */
    RELAY_DUE_ABSENT,   /* a member: its grace is over */
    RELAY_DUE_PRODUCERS /* the queue: a producer was not heard for long */
};

enum relay_copy_state {
    RELAY_COPY_LEASED,   /* a member has it: in its seat's list */
    RELAY_COPY_RETURNED, /* waits again: in the group's heap */
    RELAY_COPY_DELAYED   /* will wait again later */
};

/* One copy from its first delivery on. Coming back needs no memory: the same record waits. */
struct relay_copy {
    struct relay_object *obj; /* one reference */
    struct relay_group_state *group;
    uint64_t seq, expires_ms;
    uint32_t tries;          /* deliveries so far */
    uint8_t state;           /* enum relay_copy_state */
    uint8_t rank;            /* RETURNED: length of the way to the right, this one included */
    struct relay_seat *seat; /* LEASED */
    struct relay_copy *prev, *next; /* LEASED: the seat's list; RETURNED: parent, right child */
    struct relay_copy *child;       /* RETURNED: the left child */
    struct relay_copy *next_in_bucket;
    struct relay_due due;
};

/* seq -> copy, of one group: chains, about one copy for each bucket. */
struct relay_copies {
    struct relay_copy **bucket;
    size_t cap, n; /* cap is 0 or a power of two */
    size_t purged; /* a purge under way has been through so many buckets */
};

/* A drain that somebody wants to know the end of, or that has a limit: `left` more copies, with
 * numbers up to `mark`. What is handed out counts for the oldest one. */
struct relay_drain {
    struct relay_drain *next;
    uint64_t mark, left, token; /* left: UINT64_MAX = no limit */
};

struct relay_seat {
    struct relay_member *member;
    struct relay_group_state *group;
    struct relay_seat *next_of_member;
    struct relay_seat *prev, *next; /* order of joining the group */
    uint64_t credit;
    uint64_t drain;             /* all copies up to this number are asked for as well; 0 = none */
    struct relay_drain *drains; /* oldest first; those with a limit are no part of `drain` */
    struct relay_seat *line_prev, *line_next;
    bool in_line;
    struct relay_copy *leases, *oldest; /* the newest one, and the one handed out first */
    size_t nleases;
    uint64_t delivered, delivered_bytes;
};

/* The highest numbers of one producer in one group: of items, and of broadcasts. */
struct relay_producer {
    struct relay_group_state *group;
    uint64_t id, seq, broadcast, used_ms;
    struct relay_producer *next;          /* in its bucket */
    struct relay_producer *older, *newer; /* by the time of use */
};

struct relay_producers {
    struct relay_producer **bucket;
    size_t nbuckets, n;
    struct relay_producer *oldest, *newest;
    struct relay_due due;
};

/* What hangs off relay_group.state while there is anything to remember. */
struct relay_group_state {
    struct relay_queue *q;
    struct relay_group *group;
    struct relay_object *retained;
    uint64_t version; /* of the newest broadcast */
    struct relay_fifo fifo;
    struct relay_copy *returned; /* heap: the one with the smallest seq */
    struct relay_copies copies;
    uint64_t queued;                   /* copies that wait */
    uint64_t delayed;                  /* of these, in DELAYED */
    uint64_t bytes;                    /* of what waits */
    uint64_t reserved, reserved_bytes; /* admitted, not placed yet */
    uint64_t leased;
    uint64_t seq;       /* of the newest copy */
    uint64_t expire_ms; /* wall clock: nothing in the ring expires before; 0 = nothing at all */
    uint64_t sweep_at, sweep_min; /* a sweep under way: next entry (as fifo.popped counts) */
    struct relay_due sweep;
    struct relay_seat *first, *last;
    size_t nseats, nabsent, ndrains, nproducers;
    struct relay_seat *line_first, *line_last;
    bool touched, produced; /* to be dispatched at the tick's end; and trimmed */
    bool purged;            /* relay_queue_purge_part is through with it */
    struct relay_group_state *next_touched;
    struct relay_queue_stats count; /* the totals only */
    struct relay_group_state *prev, *next;
};

struct relay_queue {
    uint64_t epoch;
    uint64_t floor; /* versions and numbers of groups that were forgotten: new ones begin above */
    uint64_t hash;  /* random, odd */
    unsigned char key[16]; /* of keyed hashes */
    uint64_t now_ms, wall_ms;
    struct relay_wheel wheel;
    bool ticking;  /* what becomes free now is handed out together, so that it is in order */
    unsigned work; /* that may still be done in this tick */
    struct relay_group_state *touched;
    struct relay_group_state *groups;
    struct relay_copy *free_copies;
    struct relay_copy_slab *slabs;
    size_t used_copies, nslabs;
    struct relay_member *abandoned; /* by next_tag */
    struct relay_member **tag;      /* buckets */
    size_t ntags, tag_buckets;
    struct relay_producers producers;
    const struct relay_queue_journal *journal;
    void *observer;
};

#define RELAY_OF(ptr, type, field) ((type *)(void *)((char *)(ptr)-offsetof(type, field)))

/* --- queue.c: groups, the line ------------------------------------------------------------------
 */

/* The state of g, made if need be; NULL when memory is missing. */
struct relay_group_state *relay_core_state(struct relay_queue *q, struct relay_group *g);
/* Forget a group of which nothing is left. */
void relay_core_tidy(struct relay_group_state *st);
/* Serve the line, now or at the end of the tick. */
void relay_core_dispatch(struct relay_group_state *st);
/* The tick's end. */
void relay_core_dispatch_touched(struct relay_queue *q);
void relay_core_line_join(struct relay_seat *s);
void relay_core_line_leave(struct relay_seat *s);
/* End all drains of the seat; those with a token are told status unless the member is gone. */
void relay_core_drains_end(struct relay_seat *s, int status);
/* Copies are gone for this reason: counters and journal. */
void relay_core_dropped(struct relay_group_state *st, uint64_t first, uint64_t count,
                        enum relay_drop why);

/* --- queue_member.c -----------------------------------------------------------------------------
 */

/* m's seat in g, or NULL. */
struct relay_seat *relay_core_seat(const struct relay_member *m, const struct relay_group *g);
/* Make one; -ENOMEM. */
int relay_core_seat_add(struct relay_queue *q, struct relay_member *m, struct relay_group *g);
/* The grace of an absent member is over: as far as the tick's work goes; the rest at once. */
void relay_core_forget(struct relay_queue *q, struct relay_member *m);
/* Who has this tag, or NULL; give m a tag (-ENOMEM). m becomes absent. */
struct relay_member *relay_core_tag_find(const struct relay_queue *q, const uint8_t *tag);
int relay_core_tag_add(struct relay_queue *q, struct relay_member *m, const uint8_t *tag,
                       uint64_t keep_ms);
void relay_core_absent(struct relay_queue *q, struct relay_member *m);
void relay_core_members_free(struct relay_queue *q);

/* --- queue_lease.c: copies ----------------------------------------------------------------------
 */

enum relay_front {
    RELAY_FRONT_NONE,  /* nothing is there to be handed out */
    RELAY_FRONT_READY, /* this copy */
    RELAY_FRONT_LATER  /* so much has expired in front of it that a sweep must clear it away first;
                          none has a smaller number */
};
/* What is there to be handed out, and the number of the first one (but for NONE). Drops some of
 * what has expired. */
enum relay_front relay_core_front(struct relay_group_state *st, uint64_t *seq);
/* Drop what has expired of those that came back, as far as *work goes, which it reduces. */
void relay_core_expire_returned(struct relay_group_state *st, unsigned *work);
/* Take the front copy out of the queue and lease it to the seat; NULL when memory is missing (it
 * stays where it was). There must be one. */
struct relay_copy *relay_core_lease(struct relay_seat *s);
/* End a lease: put the copy back, where it waits delay_ms. Or to the dead letters, when it was
 * delivered too often. The caller dispatches. */
void relay_core_return(struct relay_copy *c, uint64_t delay_ms);
/* Drop up to n copies from the front; returns how many, 0 when there is nothing (yet). */
uint64_t relay_core_drop_front(struct relay_group_state *st, uint64_t n, enum relay_drop why);
/* A record with nothing in it yet, entered by its number; NULL when memory is missing. */
struct relay_copy *relay_core_copy_new(struct relay_group_state *st, uint64_t seq);
/* Forget a record that is in no list; its object's reference is given back. */
void relay_core_copy_end(struct relay_copy *c);
/* A record whose object waits from now on; or whose member is s. */
void relay_core_wait(struct relay_copy *c, uint64_t delay_ms);
void relay_core_hand_out(struct relay_copy *c, struct relay_seat *s);
/* A copy's time has come, whatever it waited for. */
void relay_core_copy_due(struct relay_copy *c);
/* Drop what waits: the ring and the records, as far as *work goes, which it reduces. True when all
 * of it is gone. */
bool relay_core_purge(struct relay_group_state *st, unsigned *work);
/* The copies of a group that ends, and the memory of them all. */
void relay_core_copies_clear(struct relay_group_state *st);
void relay_core_slabs_free(struct relay_queue *q);

/* --- queue_dead.c -------------------------------------------------------------------------------
 */

/* The record (in no list) goes to the dead letters. */
void relay_core_dead(struct relay_copy *c, const char *reason);

/* --- queue_time.c -------------------------------------------------------------------------------
 */

/* When (monotonic) to look at something that expires at wall clock time expires_ms. */
uint64_t relay_core_expiry(const struct relay_queue *q, uint64_t expires_ms);
/* An entry that expires was appended to the ring. */
void relay_core_expires(struct relay_group_state *st, uint64_t expires_ms);
/* Much has expired at the front: clear it away from the next tick on. */
void relay_core_hurry(struct relay_group_state *st);

/* --- queue_producer.c ---------------------------------------------------------------------------
 */

/* 0: seq is new, and is the highest now; 1: it is not; -ENOMEM. */
int relay_core_producer(struct relay_group_state *st, uint64_t id, uint64_t seq);
/* seq was not taken after all. */
void relay_core_producer_undo(struct relay_group_state *st, uint64_t id, uint64_t seq);
/* The same two of broadcasts. */
int relay_core_broadcaster(struct relay_group_state *st, uint64_t id, uint64_t seq);
void relay_core_broadcaster_undo(struct relay_group_state *st, uint64_t id, uint64_t seq);
void relay_core_producers_due(struct relay_queue *q);
void relay_core_producers_free(struct relay_queue *q);

#endif
