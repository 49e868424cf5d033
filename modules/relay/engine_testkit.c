/* SPDX-License-Identifier: MIT */
#include "relay/engine_testkit.h"

#include <stdlib.h>
#include <string.h>

#include "core/app.h"
#include "relay/engine_log.h"
#include "relay/engine_queue.h"

struct chaos {
    struct relay_engine_queue base; /* first */
    struct nk_app *app;
    struct relay_engine_chaos conf;
    uint32_t rnd;
    struct relay_op *v; /* waiting, in order of arrival */
    size_t n, cap;
    struct nk_defer defer;
    struct relay_eq_clock clock;
};

static unsigned roll(struct chaos *c, unsigned bound)
{
    c->rnd ^= c->rnd << 13; /* xorshift32 */
    c->rnd ^= c->rnd >> 17;
    c->rnd ^= c->rnd << 5;
    return c->rnd % bound;
}

static bool touches(const struct relay_op *op, const struct relay_group *g)
{
    if (op->kind != RELAY_OP_WATCH) {
        return op->g == g;
    }
    for (size_t i = 0; i < op->u.watch.n; i++) {
        if (op->u.watch.v[i].group == g) {
            return true;
        }
    }
    return false;
}

/* May b overtake a, which came earlier? Only when neither member nor group is the same, or the
 * groups differ and none of the two is about the member as a whole. */
static bool independent(const struct relay_op *a, const struct relay_op *b)
{
    if (a->m && a->m == b->m && (!a->g || !b->g)) {
        return false;
    }
    if (a->kind == RELAY_OP_WATCH) {
        for (size_t i = 0; i < a->u.watch.n; i++) {
            if (touches(b, a->u.watch.v[i].group)) {
                return false;
            }
        }
        return true;
    }
    return !a->g || !touches(b, a->g);
}

static bool can_fail(const struct relay_op *op)
{
    return op->kind == RELAY_OP_RETAIN || op->kind == RELAY_OP_ENQUEUE ||
           op->kind == RELAY_OP_WATCH || op->kind == RELAY_OP_RESUME;
}

static bool blocked(const struct chaos *c, size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (!independent(&c->v[j], &c->v[i])) {
            return true;
        }
    }
    return false;
}

static void on_turn_end(void *owner)
{
    struct chaos *c = owner;
    relay_eq_clock_tick(&c->clock, c->base.q);
    for (size_t i = 0; i < c->n;) {
        if (roll(c, 100) < c->conf.delay_percent || blocked(c, i)) {
            i++;
            continue;
        }
        struct relay_op op = c->v[i];
        memmove(&c->v[i], &c->v[i + 1], (--c->n - i) * sizeof(op));
        if (can_fail(&op) && roll(c, 1000) < c->conf.fail_permille) {
            relay_op_fail(c->base.q, &op, -EIO);
        } else {
            relay_op_run(c->base.q, &op);
        }
    }
    if (c->n) {
        nk_app_defer(c->app, &c->defer);
    }
    relay_eq_clock_arm(&c->clock, c->base.q);
}

static int submit(struct relay_engine_queue *base, const struct relay_op *op)
{
    struct chaos *c = (struct chaos *)base;
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 16;
        struct relay_op *v = realloc(c->v, cap * sizeof(*v));
        if (!v) {
            return -ENOMEM;
        }
        c->v = v;
        c->cap = cap;
    }
    c->v[c->n++] = *op;
    nk_app_defer(c->app, &c->defer);
    return 0;
}

static void free_chaos(struct relay_engine *engine)
{
    struct chaos *c = (struct chaos *)engine;
    nk_app_defer_cancel(c->app, &c->defer);
    relay_eq_clock_stop(&c->clock);
    for (size_t i = 0; i < c->n; i++) {
        relay_op_run(c->base.q, &c->v[i]);
    }
    free(c->v);
    relay_queue_free(c->base.q);
    free(c);
}

static const struct relay_engine_ops chaos_ops = {
    .name = "chaos",
    .caps = RELAY_ENGINE_QUEUE_CAPS,
    .free = free_chaos,
    RELAY_ENGINE_QUEUE_OPS,
};

int relay_engine_chaos_new(struct nk_app *app, const struct relay_engine_chaos *conf,
                           struct relay_engine **out)
{
    struct chaos *c = calloc(1, sizeof(*c));
    struct relay_queue *q = c ? relay_queue_new() : NULL;
    if (!q) {
        free(c);
        return -ENOMEM;
    }
    c->base.engine.ops = &chaos_ops;
    c->base.q = q;
    c->base.submit = submit;
    c->app = app;
    c->conf = *conf;
    c->rnd = conf->seed ? conf->seed : 1;
    c->defer.fn = on_turn_end;
    c->defer.owner = c;
    relay_eq_clock_init(&c->clock, &c->base.engine, app, on_turn_end, c);
    *out = &c->base.engine;
    return 0;
}

void relay_engine_chaos_fail(struct relay_engine *e, unsigned permille)
{
    ((struct chaos *)e)->conf.fail_permille = permille;
}

int relay_engine_testkit_open(enum relay_engine_kind over, const struct relay_engine_chaos *chaos,
                              struct nk_app *app, struct relay_groups *groups,
                              struct relay_memory *memory, char dir[RELAY_LOG_TESTKIT_DIR],
                              struct relay_engine **out)
{
    const struct relay_engine_log_conf log = {
        .app = app, .dir = dir, .groups = groups, .memory = memory};
    if (over == RELAY_OVER_LOG) {
        relay_log_testkit_make(dir);
        return relay_engine_log(&log, out, NULL);
    }
    return over == RELAY_OVER_CHAOS ? relay_engine_chaos_new(app, chaos, out)
                                    : relay_engine_memory(app, out);
}
