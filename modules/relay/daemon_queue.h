/* SPDX-License-Identifier: MIT */
/*
 * daemon_queue - the objects that wait in an endpoint daemon until a command takes them, pure.
 *
 * One line in the order of arrival, broadcasts and items mixed, as tlspyo's Endpoint has it.
 * Objects that are handed to a command are on loan: they come back to their old place when the
 * command does not confirm them. The bound drops the oldest waiting broadcasts; items are never
 * dropped here, because whoever asked the relay for them decides how many there are.
 */
#ifndef NK_RELAY_DAEMON_QUEUE_H
#define NK_RELAY_DAEMON_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "relay/client.h"

/* An object that arrived. */
struct relay_local_item {
    struct relay_local_item *prev, *next;
    uint64_t number; /* order of arrival */
    struct relay_client_lease lease;
    uint32_t group; /* handle, or RELAY_CLIENT_NO_GROUP */
    enum relay_client_kind kind;
    enum relay_content content;
    uint64_t seq;
    uint32_t tries;
    uint64_t came_ms, renew_ms; /* the daemon's: when it came, when its lease is to be renewed */
    bool lost;                  /* on loan, and the relay has given it to somebody else meanwhile */
    size_t meta_len;            /* of its metadata's block, which stands before the data; 0: none */
    size_t len;                 /* of the object */
    uint8_t data[];             /* the block, then the object */
};

struct relay_local_list {
    struct relay_local_item *first, *last;
    uint64_t n;
};

struct relay_local_limits {
    uint64_t max_items; /* waiting and on loan; 0 = no limit */
    uint64_t max_bytes; /* the same */
};

struct relay_local_counters {
    uint64_t received; /* put into the queue */
    uint64_t taken;    /* confirmed by a command */
    uint64_t dropped;  /* broadcasts, for the limits */
    uint64_t skipped;  /* left out by get-last */
    uint64_t returned; /* came back from a command */
    uint64_t lost;     /* given to somebody else after the connection was lost */
};

struct relay_local {
    struct relay_local_limits limits;
    struct relay_local_counters count;
    struct relay_local_list waiting;
    uint64_t broadcasts, broadcast_bytes; /* of the waiting ones */
    uint64_t items;                       /* waiting and on loan, everything */
    uint64_t bytes;                       /* of these */
    uint64_t next_number;
};

/* Called for an object that leaves the queue for good, before it is freed. */
typedef void relay_local_fn(void *arg, const struct relay_local_item *it);

/* relay_local_init - empty. relay_local_clear - free what waits; lists on loan are the borrowers'.
 */
void relay_local_init(struct relay_local *q, const struct relay_local_limits *limits);
void relay_local_clear(struct relay_local *q);

/* relay_local_put - append a copy of the delivery, then drop the oldest broadcasts while the limits
 * are exceeded (`dropped` is called for each; the new one is kept when it is the only one). 0 or
 * -ENOMEM. */
int relay_local_put(struct relay_local *q, const struct relay_client_object *d,
                    relay_local_fn *dropped, void *arg);

/* relay_local_room - how many more items fit, if waiting broadcasts give way: 0 when a limit is
 * reached, UINT64_MAX without one. */
uint64_t relay_local_room(const struct relay_local *q);

/* relay_local_take - move up to max of the oldest into loan (which may hold some already). */
void relay_local_take(struct relay_local *q, uint64_t max, struct relay_local_list *loan);

/* relay_local_take_last - the newest max, oldest of them first; everything older is skipped
 * (`skipped` is called for each). max 0 takes all. */
void relay_local_take_last(struct relay_local *q, uint64_t max, struct relay_local_list *loan,
                           relay_local_fn *skipped, void *arg);

/* relay_local_confirm - the loan is settled: `done` for each, then it is freed. */
void relay_local_confirm(struct relay_local *q, struct relay_local_list *loan, relay_local_fn *done,
                         void *arg);

/* relay_local_return - the loan comes back to its old places, except for what is `lost`. */
void relay_local_return(struct relay_local *q, struct relay_local_list *loan);

/* relay_local_sweep - of what waits, remove what `gone` says (`lost` counts); of what is on loan,
 * mark it (call it for each loan with relay_local_sweep_loan). Returns how many. */
uint64_t relay_local_sweep(struct relay_local *q,
                           bool (*gone)(void *arg, const struct relay_local_item *it), void *arg);
uint64_t relay_local_sweep_loan(struct relay_local *q, struct relay_local_list *loan,
                                bool (*gone)(void *arg, const struct relay_local_item *it),
                                void *arg);

/* relay_local_is_item - may the relay have leased it to us (not certainly a broadcast)? */
bool relay_local_is_item(const struct relay_local_item *it);

#endif
