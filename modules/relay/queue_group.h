/* SPDX-License-Identifier: MIT */
/*
 * queue_group - the groups a relay knows: names, numbers and limits, pure.
 *
 * A group is created by the first HELLO or object that names it and forgotten when nobody refers to
 * it any more (no member, nothing retained, nothing queued); configured groups stay. Its u32 id is
 * the same for every connection as long as the group lives.
 */
#ifndef NK_RELAY_QUEUE_GROUP_H
#define NK_RELAY_QUEUE_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct relay_groups;

#define RELAY_UNLIMITED (-1)

/* What happens to broadcasts for a member that does not keep up, and to a queue that is full. */
enum relay_policy {
    RELAY_POLICY_AUTO,        /* broadcasts: block; queue: drop the oldest, as tlspyo's deque */
    RELAY_POLICY_BLOCK,       /* producers wait */
    RELAY_POLICY_CONFLATE,    /* only the newest broadcast waits; queue: drop the oldest */
    RELAY_POLICY_DROP_OLDEST, /* the oldest go */
    RELAY_POLICY_DISCONNECT   /* the slow member goes; queue: the producer is refused */
};

/* Why an object was dropped. The last three are about broadcasts for one member. */
enum relay_drop {
    RELAY_DROP_LIMIT,      /* the oldest of a full queue */
    RELAY_DROP_EXPIRED,    /* its time to live was over */
    RELAY_DROP_DEAD,       /* delivered too often, and there is no group for dead letters */
    RELAY_DROP_PURGED,     /* by an administrator */
    RELAY_DROP_CONFLATED,  /* a newer one took its place */
    RELAY_DROP_BACKLOG,    /* the oldest of a full backlog */
    RELAY_DROP_DISCONNECT, /* its member was disconnected for being slow */
    RELAY_DROPS
};

/* relay_drop_name - "limit", "expired" .. */
const char *relay_drop_name(unsigned why);

/* [group NAME] */
struct relay_group_settings {
    int64_t max_count;       /* members at one time, or RELAY_UNLIMITED */
    int64_t max_consumables; /* queued copies, or RELAY_UNLIMITED */
    uint64_t max_bytes;      /* of queued objects, 0 = no limit */
    enum relay_policy policy;
    uint64_t backlog_count;  /* broadcasts that may wait for one member, 0 = no limit */
    uint64_t backlog_bytes;  /* their bytes, 0 = the relay's max_backlog */
    uint64_t ttl_ms;         /* of consumables that come without their own, 0 = for ever */
    uint64_t lease_ms;       /* after which a copy that was handed out goes back, 0 = never */
    uint32_t max_deliveries; /* of one copy, then it is dead; 0 = no limit */
    const char *dead_letter; /* group of dead copies, or NULL: they are dropped */
};

struct relay_group {
    uint32_t id;     /* from 1 */
    uint64_t serial; /* order of creation */
    struct relay_group_settings set;
    unsigned round; /* of the configuration that lists it; 0: none does */
    uint32_t full;  /* members whose connection holds as much as it may: broadcasts wait */
    void *state;    /* the engine's, NULL when it has none */
    uint64_t drop[RELAY_DROPS]; /* by reason, since the group was made */
    void *journal;              /* the log engine's, NULL when the log knows nothing of it */
    uint32_t refs;              /* private from here on */
    char *dead_letter;
    struct relay_groups *owner;
    struct relay_group *next;
    uint64_t hash;
    size_t len;
    uint8_t name[]; /* len bytes, any; followed by a NUL that is not counted */
};

struct relay_groups_conf {
    size_t max_groups; /* more are refused with NK_ELIMIT */
    bool listed_only;  /* names that are not configured are refused with NK_EAUTH */
};

/* relay_groups_new - NULL when memory is missing. relay_groups_free - every group must have been
 * given back except for the configured ones; NULL is fine. */
struct relay_groups *relay_groups_new(const struct relay_groups_conf *conf);
void relay_groups_free(struct relay_groups *gs);

/* relay_groups_configure - a group that always exists, with settings (copied; NULL: no limits). 0,
 * -EEXIST when that name was configured since the last relay_groups_renew, NK_ELIMIT, -ENOMEM. */
int relay_groups_configure(struct relay_groups *gs, const void *name, size_t len,
                           const struct relay_group_settings *set);

/*
 * relay_groups_renew - begin a new configuration: conf holds from now on, and what is configured
 * until relay_groups_sweep gets new limits, also where the group exists. Members and objects beyond
 * them stay; the next ones meet them.
 */
void relay_groups_renew(struct relay_groups *gs, const struct relay_groups_conf *conf);

/* relay_groups_sweep - groups that were not configured since the last relay_groups_renew are like
 * any other from now on: without limits, and gone with their last reference. */
void relay_groups_sweep(struct relay_groups *gs);

/* relay_groups_find - the group of that name (borrowed), or NULL. */
struct relay_group *relay_groups_find(const struct relay_groups *gs, const void *name, size_t len);

/* relay_groups_get - the same, creating it if need be, with a reference for the caller. 0,
 * NK_EAUTH, NK_ELIMIT, -ENOMEM. */
int relay_groups_get(struct relay_groups *gs, const void *name, size_t len,
                     struct relay_group **out);

/* relay_groups_count - how many exist now. relay_groups_each - call fn for every one of them, in no
 * particular order; fn must not create or release groups. */
size_t relay_groups_count(const struct relay_groups *gs);
void relay_groups_each(const struct relay_groups *gs,
                       void (*fn)(void *arg, const struct relay_group *g), void *arg);

static inline struct relay_group *relay_group_ref(struct relay_group *g)
{
    g->refs++;
    return g;
}

/* relay_group_unref - give one reference back; the last one frees. NULL is fine. */
void relay_group_unref(struct relay_group *g);

#endif
