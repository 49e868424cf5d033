/* SPDX-License-Identifier: MIT */
/*
 * backlog - objects of one group that wait for one member that does not keep up, and the group's
 * policy for them. Pure.
 *
 * Broadcasts are what the policy is about: block (the default; the caller lets the group's
 * producers wait), conflate (only the newest waits), drop-oldest, disconnect. Consumables are never
 * dropped here: each is a lease. Order is kept.
 */
#ifndef NK_RELAY_BACKLOG_H
#define NK_RELAY_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/object.h"
#include "relay/queue.h"
#include "relay/queue_group.h"

struct relay_backlog_entry {
    struct relay_object *obj; /* one reference; NULL: it was dropped */
    uint64_t seq;             /* as in relay_mark; of a run's first frame */
    uint64_t off;             /* bytes that were handed on already: it cannot be dropped any more */
    uint32_t tries;
    uint8_t kind; /* enum relay_delivery */
};

/* Zero it. */
struct relay_backlog {
    struct relay_backlog_entry *v; /* ring; cap is a power of two */
    uint32_t head, n, cap;
    uint64_t bytes;                       /* of everything that waits, fragments' heads excluded */
    uint64_t broadcasts, broadcast_bytes; /* frames of runs count one each */
};

enum relay_backlog_verdict {
    RELAY_BACKLOG_TAKEN,
    RELAY_BACKLOG_FULL,      /* taken, and beyond the limit: producers must wait */
    RELAY_BACKLOG_DISCONNECT /* not taken: the member is too slow for its group */
};

/* What a backlog may hold. */
struct relay_backlog_limits {
    enum relay_policy policy;
    uint64_t count; /* broadcasts, 0 = any number */
    uint64_t bytes; /* theirs */
};

/* relay_backlog_limits_of - of this group; max_backlog is the relay's own limit in bytes. */
struct relay_backlog_limits relay_backlog_limits_of(const struct relay_group *g,
                                                    uint64_t max_backlog);

/*
 * relay_backlog_push - append an object (a reference is taken). *dropped gets how many broadcasts
 * went for it. A verdict, or -ENOMEM (nothing was taken).
 */
int relay_backlog_push(struct relay_backlog *b, const struct relay_backlog_limits *l,
                       struct relay_object *o, enum relay_delivery kind,
                       const struct relay_mark *mark, uint64_t *dropped);

/* relay_backlog_front - what goes next, NULL when nothing waits. */
struct relay_backlog_entry *relay_backlog_front(struct relay_backlog *b);

/* relay_backlog_advance - n more bytes of the front entry were handed on; when that was all of it,
 * it is gone. */
void relay_backlog_advance(struct relay_backlog *b, uint64_t n);

/* relay_backlog_low - has it shrunk to half of its limits? */
bool relay_backlog_low(const struct relay_backlog *b, const struct relay_backlog_limits *l);

/* relay_backlog_clear - drop everything and free the memory. */
void relay_backlog_clear(struct relay_backlog *b);

#endif
