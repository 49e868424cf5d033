/* SPDX-License-Identifier: MIT */
/* The memory engine: operations wait in a ring until the end of the loop's turn. */
#include "relay/engine.h"

#include <stdlib.h>

#include "core/app.h"
#include "core/clock.h"
#include "relay/engine_queue.h"

/* Operations carried out per turn, and the time they may take; more wait for the next, so that
 * nothing holds up the loop. */
enum { TURN_OPS = 4096, LOOK_OPS = 16 /* between two looks at the clock */ };
#define TURN_NS UINT64_C(2000000) /* four times in a turn, at most */

struct engine_memory {
    struct relay_engine_queue base; /* first */
    struct nk_app *app;
    struct relay_ops ring;
    struct nk_defer defer;
    struct relay_eq_clock clock;
};

static void on_turn_end(void *owner)
{
    struct engine_memory *e = owner;
    struct relay_op op;
    relay_eq_clock_tick(&e->clock, e->base.q);
    uint64_t start = nk_now_ns(e->app);
    for (int i = 1; i <= TURN_OPS && relay_ops_next(&e->ring, e->base.q, &op); i++) {
        relay_op_run(e->base.q, &op);
        if (i % LOOK_OPS == 0 && nk_now_ns(e->app) - start > TURN_NS) {
            break; /* settling a range may be much work */
        }
    }
    if (e->ring.n) {
        nk_app_defer(e->app, &e->defer);
    }
    relay_eq_clock_arm(&e->clock, e->base.q);
}

static int submit(struct relay_engine_queue *base, const struct relay_op *op)
{
    struct engine_memory *e = (struct engine_memory *)base;
    int rc = relay_ops_push(&e->ring, op);
    if (rc == 0) {
        nk_app_defer(e->app, &e->defer);
    }
    return rc;
}

static void free_memory(struct relay_engine *engine)
{
    struct engine_memory *e = (struct engine_memory *)engine;
    struct relay_op op;
    nk_app_defer_cancel(e->app, &e->defer);
    relay_eq_clock_stop(&e->clock);
    while (relay_ops_pop(&e->ring, &op)) { /* members are freed by their LEAVE */
        relay_op_run(e->base.q, &op);
    }
    relay_ops_clear(&e->ring);
    relay_queue_free(e->base.q);
    free(e);
}

static const struct relay_engine_ops memory_ops = {
    .name = "memory",
    .caps = RELAY_ENGINE_QUEUE_CAPS,
    .free = free_memory,
    RELAY_ENGINE_QUEUE_OPS,
};

int relay_engine_memory(struct nk_app *app, struct relay_engine **out)
{
    struct engine_memory *e = calloc(1, sizeof(*e));
    struct relay_queue *q = e ? relay_queue_new() : NULL;
    if (!q) {
        free(e);
        return -ENOMEM;
    }
    e->base.engine.ops = &memory_ops;
    e->base.q = q;
    e->base.submit = submit;
    e->app = app;
    e->defer.fn = on_turn_end;
    e->defer.owner = e;
    relay_eq_clock_init(&e->clock, &e->base.engine, app, on_turn_end, e);
    *out = &e->base.engine;
    return 0;
}
