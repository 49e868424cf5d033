/* SPDX-License-Identifier: MIT */
/*
 * log_state - what the records of a log add up to: groups, the places of their living objects,
 * leases, producers, and how much of each segment is alive. Pure; the same code serves a restart
 * (every record is applied in order) and the running log (each is applied when it counts).
 *
 * Rules that make it come out right:
 * - Segments go oldest first, so that no record outlives one that undoes it. What is alive in the
 *   oldest is written again at the end (RELAY_LOG_COPIED) before it goes.
 * - A segment names every group that its records use, so it needs no older one.
 * - An ENQUEUE or RETAIN that was copied only moves what is known already.
 * - What names an unknown item is no error: its item went with an older segment.
 */
#ifndef NK_RELAY_LOG_STATE_H
#define NK_RELAY_LOG_STATE_H

#include "relay/log_items.h"
#include "relay/log_record.h"

/* How often an item was handed out, and to whom it is now. */
struct relay_log_lease {
    struct relay_log_group *group; /* NULL: empty slot */
    uint64_t seq;
    uint32_t tries;
    bool leased;
    uint64_t until_ms, delay_ms; /* not leased: as in struct relay_log_range */
    uint8_t tag[RELAY_LOG_TAG];
};

/* The highest number heard of one producer in one group. */
struct relay_log_producer {
    struct relay_log_group *group; /* NULL: empty slot */
    uint64_t id, seq;
    uint64_t seen_ms; /* wall clock */
    uint64_t segment; /* where that is written */
    uint64_t moving;  /* the running log's: the compaction that has carried it over */
};

struct relay_log_retained {
    uint64_t segment; /* 0: nothing is retained */
    uint64_t epoch, version, off;
    uint32_t len;
    uint8_t flags;
    bool named; /* its publisher's name, name_len bytes, ends where the object begins */
    uint8_t name_len;
};

struct relay_log_group {
    uint32_t id;
    uint64_t last;     /* last item number given out */
    uint64_t declared; /* newest segment that has its name */
    struct relay_log_items items;
    struct relay_log_retained retained;
    size_t leases, producers;
    uint64_t retain_ticket; /* the running log's: where its newest RETAIN waits */
    size_t retain_at;
    uint32_t refs; /* the engine's, while it uses the group */
    void *owner;   /* the engine's own, as the next two */
    struct relay_log_group *next_listed;
    bool listed;
    struct relay_log_group *by_id, *by_name, *next, *prev; /* private */
    size_t len;
    uint8_t name[];
};

/* One file of the log. */
struct relay_log_part {
    uint64_t number;
    uint64_t bytes;
    uint64_t live_bytes; /* of records that are still needed */
    uint64_t live;       /* their number */
    uint64_t floor;
};

struct relay_log_state {
    struct relay_log_group **by_id, **by_name; /* nbuckets each, a power of two */
    size_t nbuckets, ngroups;
    struct relay_log_group *groups; /* all */
    uint32_t last_id;
    uint64_t floor;              /* highest item number ever given out */
    struct relay_log_part *part; /* oldest first, without gaps except for quarantined ones */
    size_t nparts, part_cap;
    struct relay_log_lease *lease; /* hash table; lease_cap is 0 or a power of two */
    size_t nleases, lease_cap;
    struct relay_log_producer *producer; /* the same */
    size_t nproducers, producer_cap;
    bool blurred; /* memory was missing: some of what is counted as alive is not */
};

/* relay_log_state_clear - forget everything. */
void relay_log_state_clear(struct relay_log_state *s);

/* relay_log_state_group - the group of that name; made (and given an id) if need be. NULL when
 * memory is missing, or the ids are used up. */
struct relay_log_group *relay_log_state_group(struct relay_log_state *s, const void *name,
                                              size_t len);

/* relay_log_state_by_id - the group whose records have that number, or NULL. */
struct relay_log_group *relay_log_state_by_id(const struct relay_log_state *s, uint32_t id);

/* relay_log_state_tidy - forget g when nothing of it is left and nobody uses it. */
void relay_log_state_tidy(struct relay_log_state *s, struct relay_log_group *g);

/* relay_log_state_part - append an empty segment with that number. 0 or -ENOMEM.
 * relay_log_state_part_find - the one with that number, or NULL. relay_log_state_part_drop - forget
 * the oldest. */
int relay_log_state_part(struct relay_log_state *s, uint64_t number, uint64_t floor);
struct relay_log_part *relay_log_state_part_find(const struct relay_log_state *s, uint64_t number);
void relay_log_state_part_drop(struct relay_log_state *s);

/*
 * relay_log_state_apply - a record of the newest part, whose body begins at offset at_body of the
 * segment (of a stub it says so itself); now_ms is the wall clock for producers that are heard.
 * 0, NK_EFORMAT (a group that was not named), -ENOMEM.
 */
int relay_log_state_apply(struct relay_log_state *s, const struct relay_log_record *r,
                          uint64_t at_body, uint64_t now_ms);

/* relay_log_state_enqueue, relay_log_state_retain - the same for an object whose group is at hand;
 * copied: it only moves. The first cannot fail when relay_log_items_reserve was called for it
 * (unreserve just before). */
int relay_log_state_enqueue(struct relay_log_state *s, struct relay_log_group *g,
                            const struct relay_log_item *item, bool copied);
void relay_log_state_retain(struct relay_log_state *s, struct relay_log_group *g,
                            const struct relay_log_retained *r);

/* relay_log_state_remove - items of the range are gone, and their leases. */
void relay_log_state_remove(struct relay_log_state *s, struct relay_log_group *g, uint64_t first,
                            uint64_t count);

/* relay_log_state_lease - they are handed out; relay_log_state_release - they are not any more.
 * 0 or -ENOMEM. Items that are not known are passed over. */
int relay_log_state_lease(struct relay_log_state *s, struct relay_log_group *g,
                          const uint8_t tag[RELAY_LOG_TAG], const struct relay_log_range *range);
void relay_log_state_release(struct relay_log_state *s, struct relay_log_group *g,
                             const struct relay_log_range *range);

/* relay_log_state_lease_find - what is known of one item, or NULL: never handed out. */
struct relay_log_lease *relay_log_state_lease_find(const struct relay_log_state *s,
                                                   const struct relay_log_group *g, uint64_t seq);

/* relay_log_state_producer - id was heard with seq, written in `segment`. 0 or -ENOMEM. */
int relay_log_state_producer(struct relay_log_state *s, struct relay_log_group *g, uint64_t id,
                             uint64_t seq, uint64_t seen_ms, uint64_t segment);

/* relay_log_state_producer_find - or NULL. */
struct relay_log_producer *relay_log_state_producer_find(const struct relay_log_state *s,
                                                         const struct relay_log_group *g,
                                                         uint64_t id);

/* relay_log_state_forget_producers - those not heard since before_ms (wall clock). */
void relay_log_state_forget_producers(struct relay_log_state *s, uint64_t before_ms);

/* relay_log_state_purge - everything up to number seq; what is retained, too. */
void relay_log_state_purge(struct relay_log_state *s, struct relay_log_group *g, uint64_t seq,
                           bool retained);

/* relay_log_state_lose - forget what is alive in a segment that is damaged. */
void relay_log_state_lose(struct relay_log_state *s, uint64_t segment);

/* relay_log_state_live - bytes of records that are needed, over all parts; *bytes: of all parts. */
uint64_t relay_log_state_live(const struct relay_log_state *s, uint64_t *bytes);

#endif
