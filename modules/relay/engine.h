/* SPDX-License-Identifier: MIT */
/*
 * engine - where a relay's objects live. The vtable is the queue, not the store: the relay hands
 * over what endpoints ask for and hears what is to be delivered; it never dispatches anything
 * itself.
 *
 * Every operation is asynchronous and may fail. It returns 0 when it was taken on (then, if token
 * is not 0, done(token, status) comes exactly once, later, unless the member was detached before)
 * or a negative code (then nothing happens). Operations of one member on one group keep their
 * order; so do the deliveries of one group. Nothing is called from inside an operation.
 */
#ifndef NK_RELAY_ENGINE_H
#define NK_RELAY_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "relay/object.h"
#include "relay/queue.h"
#include "relay/queue_group.h"

struct nk_app;
struct relay_engine;

/* What an engine can do beyond the tlspyo semantics; configuration that needs more is refused. */
enum relay_engine_caps {
    RELAY_CAP_DURABLE = 1, /* what was completed survives the end of the process */
    RELAY_CAP_TTL = 2,     /* objects expire */
    RELAY_CAP_LEASE = 4,   /* leases end, NACK with a delay, dead letters */
    RELAY_CAP_DEDUP = 8,   /* a producer's object is taken once */
    RELAY_CAP_RESUME = 16  /* absent members */
};

struct relay_engine_ops {
    const char *name;
    unsigned caps;
    void (*free)(struct relay_engine *e);
    int (*attach)(struct relay_engine *e, const struct relay_member_ops *ops, void *owner,
                  struct relay_member **out);
    int (*resume)(struct relay_engine *e, struct relay_member *m, const uint8_t tag[RELAY_TAG],
                  uint64_t keep_ms, uint64_t token);
    void (*detach)(struct relay_engine *e, struct relay_member *m);
    int (*watch)(struct relay_engine *e, struct relay_member *m, struct relay_group *const *g,
                 const struct relay_known *known, size_t n, uint64_t token);
    int (*unwatch)(struct relay_engine *e, struct relay_member *m, struct relay_group *g,
                   uint64_t token);
    int (*retain)(struct relay_engine *e, struct relay_member *m, struct relay_group *g,
                  struct relay_object *o, const struct relay_put *put, uint64_t token);
    int (*enqueue)(struct relay_engine *e, struct relay_member *m, struct relay_group *g,
                   struct relay_object *o, const struct relay_put *put, uint64_t token);
    int (*demand)(struct relay_engine *e, struct relay_member *m, struct relay_group *g, int64_t n,
                  uint64_t token);
    int (*cancel)(struct relay_engine *e, struct relay_member *m, struct relay_group *g,
                  uint64_t token);
    int (*settle)(struct relay_engine *e, struct relay_member *m, struct relay_group *g,
                  uint64_t first, uint32_t count, enum relay_settle how, uint64_t ms,
                  uint64_t token);
    void (*pause)(struct relay_engine *e, struct relay_member *m, bool paused);
    int (*purge)(struct relay_engine *e, struct relay_member *m, struct relay_group *g,
                 uint64_t token);
};

/* Embedded first in every engine. */
struct relay_engine {
    const struct relay_engine_ops *ops;
    void (*worked)(void *arg); /* NULL: nobody wants to know */
    void *worked_arg;
};

/* relay_engine_on_worked - fn(arg) runs whenever the engine has changed its queues, also by itself
 * (objects expire, records were committed): what waits for room may look again. It must not call
 * the engine. NULL: nobody wants to know any more. */
static inline void relay_engine_on_worked(struct relay_engine *e, void (*fn)(void *arg), void *arg)
{
    e->worked = fn;
    e->worked_arg = arg;
}

/* relay_engine_free - the engine and all it holds; every member must be detached. NULL is fine. */
static inline void relay_engine_free(struct relay_engine *e)
{
    if (e) {
        e->ops->free(e);
    }
}

/* relay_engine_attach - a new member, in no group yet. 0 or -ENOMEM. */
static inline int relay_engine_attach(struct relay_engine *e, const struct relay_member_ops *ops,
                                      void *owner, struct relay_member **out)
{
    return e->ops->attach(e, ops, owner, out);
}

/* relay_engine_resume - m can be found by this tag from now on. Done is 1 when an absent (or still
 * present) member had that tag: its seats, credit, delivered counts (relay_queue_seats) and leases
 * are m's now, and deliveries go on; else 0. m must be in no group yet. After it, detach leaves m
 * absent for keep_ms, and only then gone; absent members miss broadcasts. keep_ms = 0 takes all
 * that back: m, whose tag it must be, is gone when it is detached; this may come right before that.
 */
static inline int relay_engine_resume(struct relay_engine *e, struct relay_member *m,
                                      const uint8_t tag[RELAY_TAG], uint64_t keep_ms,
                                      uint64_t token)
{
    return e->ops->resume(e, m, tag, keep_ms, token);
}

/* relay_engine_detach - m hears nothing from now on and is dead for the caller; what it asked for
 * still happens, then it leaves its groups and what it had not settled goes back to its queue. */
static inline void relay_engine_detach(struct relay_engine *e, struct relay_member *m)
{
    e->ops->detach(e, m);
}

/* relay_engine_watch - join n groups, or none if one is full (NK_ELIMIT); after done(0) come the
 * retained objects, except those that are known[i] (known may be NULL) already, then everything
 * else. A group that m is in already only gets its retained object again, by the same rule. */
static inline int relay_engine_watch(struct relay_engine *e, struct relay_member *m,
                                     struct relay_group *const *g, const struct relay_known *known,
                                     size_t n, uint64_t token)
{
    return e->ops->watch(e, m, g, known, n, token);
}

/* relay_engine_unwatch - leave one group; what m had not settled goes back. -ENOENT: not in it. */
static inline int relay_engine_unwatch(struct relay_engine *e, struct relay_member *m,
                                       struct relay_group *g, uint64_t token)
{
    return e->ops->unwatch(e, m, g, token);
}

/* relay_engine_retain - broadcast o (an object or a run) and keep it, or its last frame, as the
 * group's last. It goes out at once; done means stored: 0; 1 it was delivered before (put's
 * producer and number, a run's last; put may be NULL). The versions of a run are written into it.
 */
static inline int relay_engine_retain(struct relay_engine *e, struct relay_member *m,
                                      struct relay_group *g, struct relay_object *o,
                                      const struct relay_put *put, uint64_t token)
{
    return e->ops->retain(e, m, g, o, put, token);
}

/* relay_engine_enqueue - put copies of o into the group's queue. Done means stored: 0; 1 it was
 * taken before (producer and number); NK_ELIMIT the queue is full; -ETIMEDOUT it has expired;
 * -ENOSPC, -EIO .. */
static inline int relay_engine_enqueue(struct relay_engine *e, struct relay_member *m,
                                       struct relay_group *g, struct relay_object *o,
                                       const struct relay_put *put, uint64_t token)
{
    return e->ops->enqueue(e, m, g, o, put, token);
}

/* relay_engine_demand - n > 0: standing credit; RELAY_DRAIN_ALL: what is queued now, another n < 0:
 * at most -n of it; done (0) when that was handed out, -ECANCELED when it was cancelled. -ENOENT: m
 * is not in g. */
static inline int relay_engine_demand(struct relay_engine *e, struct relay_member *m,
                                      struct relay_group *g, int64_t n, uint64_t token)
{
    return e->ops->demand(e, m, g, n, token);
}

/* relay_engine_cancel - withdraw m's credit in g, and its drains. */
static inline int relay_engine_cancel(struct relay_engine *e, struct relay_member *m,
                                      struct relay_group *g, uint64_t token)
{
    return e->ops->cancel(e, m, g, token);
}

/* relay_engine_settle - end m's leases on [first, first + count) of g, see relay_queue_settle.
 * -ENOENT when one of them is not m's; nothing happens to that one. */
static inline int relay_engine_settle(struct relay_engine *e, struct relay_member *m,
                                      struct relay_group *g, uint64_t first, uint32_t count,
                                      enum relay_settle how, uint64_t ms, uint64_t token)
{
    return e->ops->settle(e, m, g, first, count, how, ms, token);
}

/* relay_engine_pause - while paused m gets no consumables (what is already under way excepted); its
 * credit stands. May be called from deliver. */
static inline void relay_engine_pause(struct relay_engine *e, struct relay_member *m, bool paused)
{
    e->ops->pause(e, m, paused);
}

/* relay_engine_purge - drop what waits in g and what is retained, not what is leased. m hears done;
 * without a token it may be NULL. */
static inline int relay_engine_purge(struct relay_engine *e, struct relay_member *m,
                                     struct relay_group *g, uint64_t token)
{
    return e->ops->purge(e, m, g, token);
}

/* relay_engine_memory - everything in memory, gone with the process. 0 or -ENOMEM. */
int relay_engine_memory(struct nk_app *app, struct relay_engine **out);

#endif
