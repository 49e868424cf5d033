/* SPDX-License-Identifier: MIT */
/*
 * engine_queue - the vtable of engines over the queue core: every operation becomes a struct
 * relay_op that is handed to `submit`, which decides when it is carried out.
 */
#ifndef NK_RELAY_ENGINE_QUEUE_H
#define NK_RELAY_ENGINE_QUEUE_H

#include "core/timer.h"
#include "relay/engine.h"
#include "relay/engine_op.h"

struct relay_engine_queue {
    struct relay_engine engine; /* first */
    struct relay_queue *q;
    /* take over op (copied; its references move) for later; 0 or -ENOMEM */
    int (*submit)(struct relay_engine_queue *e, const struct relay_op *op);
};

/* The part of a vtable that is the same for all of them; name, caps and free remain. detach never
 * loses a member: when `submit` fails, it leaves its groups at once. */
#define RELAY_ENGINE_QUEUE_OPS                                                                     \
    .attach = relay_eq_attach, .resume = relay_eq_resume, .detach = relay_eq_detach,               \
    .watch = relay_eq_watch, .unwatch = relay_eq_unwatch, .retain = relay_eq_retain,               \
    .enqueue = relay_eq_enqueue, .demand = relay_eq_demand, .cancel = relay_eq_cancel,             \
    .settle = relay_eq_settle, .pause = relay_eq_pause, .purge = relay_eq_purge

/* What the queue core is capable of. */
#define RELAY_ENGINE_QUEUE_CAPS                                                                    \
    (RELAY_CAP_TTL | RELAY_CAP_LEASE | RELAY_CAP_DEDUP | RELAY_CAP_RESUME)

/* The functions behind RELAY_ENGINE_QUEUE_OPS; documented in engine.h. */
int relay_eq_attach(struct relay_engine *e, const struct relay_member_ops *ops, void *owner,
                    struct relay_member **out);
int relay_eq_resume(struct relay_engine *e, struct relay_member *m, const uint8_t tag[RELAY_TAG],
                    uint64_t keep_ms, uint64_t token);
void relay_eq_detach(struct relay_engine *e, struct relay_member *m);
int relay_eq_watch(struct relay_engine *e, struct relay_member *m, struct relay_group *const *g,
                   const struct relay_known *known, size_t n, uint64_t token);
int relay_eq_unwatch(struct relay_engine *e, struct relay_member *m, struct relay_group *g,
                     uint64_t token);
int relay_eq_retain(struct relay_engine *e, struct relay_member *m, struct relay_group *g,
                    struct relay_object *o, const struct relay_put *put, uint64_t token);
int relay_eq_enqueue(struct relay_engine *e, struct relay_member *m, struct relay_group *g,
                     struct relay_object *o, const struct relay_put *put, uint64_t token);
int relay_eq_demand(struct relay_engine *e, struct relay_member *m, struct relay_group *g,
                    int64_t n, uint64_t token);
int relay_eq_cancel(struct relay_engine *e, struct relay_member *m, struct relay_group *g,
                    uint64_t token);
int relay_eq_settle(struct relay_engine *e, struct relay_member *m, struct relay_group *g,
                    uint64_t first, uint32_t count, enum relay_settle how, uint64_t ms,
                    uint64_t token);
void relay_eq_pause(struct relay_engine *e, struct relay_member *m, bool paused);
int relay_eq_purge(struct relay_engine *e, struct relay_member *m, struct relay_group *g,
                   uint64_t token);

/*
 * The time of an engine: one timer for all that happens in the queue by itself. init before use;
 * tick at the beginning of each batch of operations; arm at its end, which also runs the engine's
 * `worked`; stop before the engine goes.
 * `wake` is run when there is something to do (not NULL: to tick and arm).
 */
struct relay_eq_clock {
    const struct relay_engine *engine;
    struct nk_app *app;
    struct nk_timer timer;
    uint64_t armed_ms;                  /* 0: not armed */
    uint64_t ticked_ms, ticked_wall_ms; /* of the last tick: one for each millisecond is enough */
};
void relay_eq_clock_init(struct relay_eq_clock *c, const struct relay_engine *engine,
                         struct nk_app *app, void (*wake)(void *owner), void *owner);
void relay_eq_clock_tick(struct relay_eq_clock *c, struct relay_queue *q);
void relay_eq_clock_arm(struct relay_eq_clock *c, const struct relay_queue *q);
void relay_eq_clock_stop(struct relay_eq_clock *c);

#endif
