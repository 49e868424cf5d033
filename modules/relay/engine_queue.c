/* SPDX-License-Identifier: MIT */
#include "relay/engine_queue.h"

#include <stdlib.h>

static struct relay_engine_queue *eq(struct relay_engine *e)
{
    return (struct relay_engine_queue *)e;
}

/* Take references for what op points to, and hand it over or give them back. */
static int submit(struct relay_engine *e, struct relay_op op)
{
    if (op.kind != RELAY_OP_WATCH && op.u.g) {
        relay_group_ref(op.u.g);
    }
    if (op.obj) {
        relay_object_ref(op.obj);
    }
    int rc = eq(e)->submit(eq(e), &op);
    if (rc < 0) {
        if (op.kind != RELAY_OP_WATCH) {
            relay_group_unref(op.u.g);
        }
        relay_object_unref(op.obj);
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
    struct relay_op op = {.kind = RELAY_OP_LEAVE, .m = m};
    if (submit(e, op) < 0) {
        /* operations of m may still wait, so the struct itself has to stay: a small leak, once,
         * when memory has run out */
        relay_queue_leave(eq(e)->q, m);
    }
}

int relay_eq_watch(struct relay_engine *e, struct relay_member *m, struct relay_group *const *g,
                   size_t n, uint64_t token)
{
    struct relay_op op = {.kind = RELAY_OP_WATCH, .m = m, .token = token};
    op.u.groups.v = relay_op_groups(g, n);
    op.u.groups.n = n;
    if (n && !op.u.groups.v) {
        return -ENOMEM;
    }
    int rc = submit(e, op);
    if (rc < 0) {
        for (size_t i = 0; i < n; i++) {
            relay_group_unref(op.u.groups.v[i]);
        }
        free(op.u.groups.v);
    }
    return rc;
}

int relay_eq_retain(struct relay_engine *e, struct relay_member *m, struct relay_group *g,
                    struct relay_object *o, uint64_t token)
{
    struct relay_op op = {.kind = RELAY_OP_RETAIN, .m = m, .u.g = g, .obj = o, .token = token};
    return submit(e, op);
}

int relay_eq_enqueue(struct relay_engine *e, struct relay_member *m, struct relay_group *g,
                     struct relay_object *o, uint64_t copies, uint64_t token)
{
    struct relay_op op = {.kind = RELAY_OP_ENQUEUE, .m = m, .u.g = g, .obj = o, .token = token};
    op.n = copies;
    return submit(e, op);
}

int relay_eq_demand(struct relay_engine *e, struct relay_member *m, struct relay_group *g,
                    int64_t n, uint64_t token)
{
    struct relay_op op = {.kind = RELAY_OP_DEMAND, .m = m, .u.g = g, .token = token};
    op.n = (uint64_t)n;
    return submit(e, op);
}

int relay_eq_cancel(struct relay_engine *e, struct relay_member *m, struct relay_group *g,
                    uint64_t token)
{
    return submit(e, (struct relay_op){.kind = RELAY_OP_CANCEL, .m = m, .u.g = g, .token = token});
}

int relay_eq_settle(struct relay_engine *e, struct relay_member *m, uint64_t lease,
                    enum relay_settle how, uint64_t token)
{
    struct relay_op op = {.kind = RELAY_OP_SETTLE, .m = m, .how = how, .n = lease, .token = token};
    return submit(e, op);
}

void relay_eq_pause(struct relay_engine *e, struct relay_member *m, bool paused)
{
    bool resume = m->paused && !paused;
    m->paused = paused;
    if (resume && submit(e, (struct relay_op){.kind = RELAY_OP_RESUME, .m = m}) < 0) {
        m->paused = true; /* asked again at the next occasion */
    }
}
