/* SPDX-License-Identifier: MIT */
#include "relay/engine_queue.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

static struct relay_engine_queue *eq(struct relay_engine *e)
{
    return (struct relay_engine_queue *)e;
}

/* Take references for what op points to, and hand it over or give them back. */
static int submit(struct relay_engine *e, const struct relay_op *op)
{
    if (op->g) {
        relay_group_ref(op->g);
    }
    if (op->obj) {
        relay_object_ref(op->obj);
    }
    int rc = eq(e)->submit(eq(e), op);
    if (rc < 0) {
        relay_group_unref(op->g);
        relay_object_unref(op->obj);
    }
    return rc;
}

int relay_eq_attach(struct relay_engine *e, const struct relay_member_ops *ops, void *owner,
                    struct relay_member **out)
{
    (void)e;
    struct relay_member *m = calloc(1, sizeof(*m));
    if (!m) {
        return -ENOMEM;
    }
    m->ops = ops;
    m->owner = owner;
    *out = m;
    return 0;
}

void relay_eq_detach(struct relay_engine *e, struct relay_member *m)
{
    m->gone = true;
    if (submit(e, &(struct relay_op){.kind = RELAY_OP_LEAVE, .m = m}) < 0) {
        relay_queue_abandon(eq(e)->q, m); /* operations of m may still wait */
    }
}

int relay_eq_resume(struct relay_engine *e, struct relay_member *m, const uint8_t tag[RELAY_TAG],
                    uint64_t keep_ms, uint64_t token)
{
    struct relay_op op = {.kind = RELAY_OP_RESUME, .m = m, .token = token};
    memcpy(op.u.resume.tag, tag, RELAY_TAG);
    op.u.resume.keep_ms = keep_ms;
    return submit(e, &op);
}

int relay_eq_watch(struct relay_engine *e, struct relay_member *m, struct relay_group *const *g,
                   const struct relay_known *known, size_t n, uint64_t token)
{
    struct relay_op op = {.kind = RELAY_OP_WATCH, .m = m, .token = token};
    op.u.watch.v = relay_op_watch(g, known, n);
    op.u.watch.n = n;
    if (n && !op.u.watch.v) {
        return -ENOMEM;
    }
    int rc = submit(e, &op);
    if (rc < 0) {
        relay_op_release(&op);
    }
    return rc;
}

int relay_eq_unwatch(struct relay_engine *e, struct relay_member *m, struct relay_group *g,
                     uint64_t token)
{
    const struct relay_op op = {.kind = RELAY_OP_UNWATCH, .m = m, .g = g, .token = token};
    return submit(e, &op);
}

int relay_eq_retain(struct relay_engine *e, struct relay_member *m, struct relay_group *g,
                    struct relay_object *o, const struct relay_put *put, uint64_t token)
{
    struct relay_op op = {.kind = RELAY_OP_RETAIN, .m = m, .g = g, .obj = o, .token = token};
    if (put) {
        op.u.put = *put;
    }
    return submit(e, &op);
}

int relay_eq_enqueue(struct relay_engine *e, struct relay_member *m, struct relay_group *g,
                     struct relay_object *o, const struct relay_put *put, uint64_t token)
{
    const struct relay_op op = {
        .kind = RELAY_OP_ENQUEUE, .m = m, .g = g, .obj = o, .token = token, .u.put = *put};
    return submit(e, &op);
}

int relay_eq_demand(struct relay_engine *e, struct relay_member *m, struct relay_group *g,
                    int64_t n, uint64_t token)
{
    const struct relay_op op = {.kind = RELAY_OP_DEMAND, .m = m, .g = g, .token = token, .u.n = n};
    return submit(e, &op);
}

int relay_eq_cancel(struct relay_engine *e, struct relay_member *m, struct relay_group *g,
                    uint64_t token)
{
    const struct relay_op op = {.kind = RELAY_OP_CANCEL, .m = m, .g = g, .token = token};
    return submit(e, &op);
}

int relay_eq_settle(struct relay_engine *e, struct relay_member *m, struct relay_group *g,
                    uint64_t first, uint32_t count, enum relay_settle how, uint64_t ms,
                    uint64_t token)
{
    const struct relay_op op = {.kind = RELAY_OP_SETTLE,
                                .m = m,
                                .g = g,
                                .how = how,
                                .count = count,
                                .token = token,
                                .u.settle = {.first = first, .ms = ms}};
    return submit(e, &op);
}

void relay_eq_pause(struct relay_engine *e, struct relay_member *m, bool paused)
{
    bool resume = m->paused && !paused;
    m->paused = paused;
    if (resume && submit(e, &(struct relay_op){.kind = RELAY_OP_UNPAUSE, .m = m}) < 0) {
        m->paused = true; /* asked again at the next occasion */
    }
}

int relay_eq_purge(struct relay_engine *e, struct relay_member *m, struct relay_group *g,
                   uint64_t token)
{
    const struct relay_op op = {.kind = RELAY_OP_PURGE, .m = m, .g = g, .token = token};
    return submit(e, &op);
}

/* --- time ---------------------------------------------------------------------------------------
 */

void relay_eq_clock_init(struct relay_eq_clock *c, const struct relay_engine *engine,
                         struct nk_app *app, void (*wake)(void *owner), void *owner)
{
    c->engine = engine;
    c->app = app;
    c->armed_ms = 0;
    nk_timer_init(&c->timer, app, wake, owner);
}

void relay_eq_clock_tick(struct relay_eq_clock *c, struct relay_queue *q)
{
    uint64_t now = nk_now_ms(c->app), wall = (uint64_t)nk_wall_ms(c->app);
    if (now == c->ticked_ms && wall == c->ticked_wall_ms) {
        return; /* this turn's share of what time brings is done */
    }
    c->ticked_ms = now;
    c->ticked_wall_ms = wall;
    relay_queue_tick(q, now, wall);
}

static void arm_timer(struct relay_eq_clock *c, const struct relay_queue *q)
{
    uint64_t now = nk_now_ms(c->app), next = relay_queue_next(q);
    if (!c->timer.armed) {
        c->armed_ms = UINT64_MAX;
    }
    if (next == UINT64_MAX || c->armed_ms <= next) {
        return; /* a timer that comes too early finds nothing to do and is armed again */
    }
    c->armed_ms = next;
    nk_timer_start(&c->timer, next > now ? next - now : 0);
}

void relay_eq_clock_arm(struct relay_eq_clock *c, const struct relay_queue *q)
{
    arm_timer(c, q);
    if (c->engine->worked) {
        c->engine->worked(c->engine->worked_arg);
    }
}

void relay_eq_clock_stop(struct relay_eq_clock *c)
{
    nk_timer_stop(&c->timer);
}
