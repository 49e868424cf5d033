/* SPDX-License-Identifier: MIT */
/* What the files of the queue core share; nobody else includes it. */
#ifndef NK_RELAY_QUEUE_CORE_H
#define NK_RELAY_QUEUE_CORE_H

#include "relay/queue.h"
#include "relay/queue_fifo.h"

enum relay_copy_state {
    RELAY_COPY_LEASED,  /* a member has it: in its seat's list */
    RELAY_COPY_RETURNED /* waits again: in the group's heap */
};

/* One copy from its first delivery on. Coming back needs no memory: the same record waits. */
struct relay_copy {
    struct relay_object *obj; /* one reference */
    struct relay_group_state *group;
    uint64_t seq;
    uint32_t tries; /* deliveries so far */
    enum relay_copy_state state;
    struct relay_seat *seat;        /* LEASED */
    struct relay_copy *prev, *next; /* LEASED: the seat's list; RETURNED: the heap's siblings */
    struct relay_copy *child;       /* RETURNED */
};

/* seq -> copy, of one group: open addressing, at most half full. */
struct relay_copies {
    struct relay_copy_slot {
        uint64_t seq; /* 0: free */
        struct relay_copy *copy;
    } * slot;
    size_t cap, n; /* cap is a power of two */
};

struct relay_seat {
    struct relay_member *member;
    struct relay_group_state *group;
    struct relay_seat *next_of_member;
    struct relay_seat *prev, *next; /* order of joining the group */
    uint64_t credit;
    uint64_t drain; /* copies up to this number are asked for as well; 0 = none */
    struct relay_seat *line_prev, *line_next;
    bool in_line;
    struct relay_copy *leases;
    size_t nleases;
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
    uint64_t queued; /* copies that wait */
    uint64_t leased;
    uint64_t seq; /* of the newest copy */
    struct relay_seat *first, *last;
    size_t nseats;
    struct relay_seat *line_first, *line_last;
    struct relay_queue_stats count; /* the totals only */
    struct relay_group_state *prev, *next;
};

struct relay_queue {
    uint64_t epoch;
    uint64_t floor; /* versions and numbers of groups that were forgotten: new ones begin above */
    uint64_t hash;  /* random, odd */
    struct relay_group_state *groups;
    struct relay_copy *free_copies;
    struct relay_copy_slab *slabs;
    size_t used_copies, nslabs;
};

/* --- queue.c: groups -------------------------------------------------------------------------- */

/* The state of g, made if need be; NULL when memory is missing. */
struct relay_group_state *relay_core_state(struct relay_queue *q, struct relay_group *g);
/* Forget a group of which nothing is left. */
void relay_core_tidy(struct relay_group_state *st);
/* Serve the line. */
void relay_core_dispatch(struct relay_group_state *st);
/* m's seat in g, or NULL. */
struct relay_seat *relay_core_seat(const struct relay_member *m, const struct relay_group *g);
void relay_core_line_leave(struct relay_seat *s);

/* --- queue_lease.c: copies -------------------------------------------------------------------- */

/* Is anything waiting, and the number of the first one. */
bool relay_core_front(const struct relay_group_state *st, uint64_t *seq);
/* Take the front copy out of the queue and lease it to the seat; NULL when memory is missing (it
 * stays where it was). There must be one. */
struct relay_copy *relay_core_lease(struct relay_seat *s);
/* End a lease: put the copy back. The caller dispatches. */
void relay_core_return(struct relay_copy *c);
/* Drop up to n copies from the front; returns how many. */
uint64_t relay_core_drop_front(struct relay_group_state *st, uint64_t n);
/* The copies of a group that ends, and the memory of them all. */
void relay_core_copies_clear(struct relay_group_state *st);
void relay_core_slabs_free(struct relay_queue *q);

#endif
