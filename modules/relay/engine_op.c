/* SPDX-License-Identifier: MIT */
#include "relay/engine_op.h"

#include <stdlib.h>

enum {
    CAP_MIN = 16,
    CAP_KEEP = 4096,
    PURGE_PART = 2048 /* entries dropped at a time, at most four times in a turn: about 2 ms */
};

int relay_ops_push(struct relay_ops *r, const struct relay_op *op)
{
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : CAP_MIN;
        struct relay_op *v = malloc(cap * sizeof(*v));
        if (!v) {
            return -ENOMEM;
        }
        for (size_t i = 0; i < r->n; i++) {
            v[i] = r->v[(r->head + i) & (r->cap - 1)];
        }
        free(r->v);
        *r = (struct relay_ops){.v = v, .n = r->n, .cap = cap};
    }
    r->v[(r->head + r->n++) & (r->cap - 1)] = *op;
    return 0;
}

bool relay_ops_pop(struct relay_ops *r, struct relay_op *out)
{
    if (r->n == 0) {
        if (r->cap > CAP_KEEP) {
            relay_ops_clear(r); /* a burst is over */
        }
        return false;
    }
    *out = r->v[r->head];
    r->head = (r->head + 1) & (r->cap - 1);
    r->n--;
    return true;
}

bool relay_ops_next(struct relay_ops *r, struct relay_queue *q, struct relay_op *out)
{
    if (r->n > 0) {
        const struct relay_op *first = &r->v[r->head];
        if (first->kind == RELAY_OP_PURGE && relay_queue_purge_part(q, first->g, PURGE_PART)) {
            return false;
        }
    }
    return relay_ops_pop(r, out);
}

struct relay_watch *relay_op_watch(struct relay_group *const *g, const struct relay_known *known,
                                   size_t n)
{
    struct relay_watch *v = n ? malloc(n * sizeof(*v)) : NULL;
    for (size_t i = 0; v && i < n; i++) {
        v[i] = (struct relay_watch){.group = relay_group_ref(g[i])};
        if (known) {
            v[i].known = known[i];
        }
    }
    return v;
}

void relay_op_release(struct relay_op *op)
{
    relay_object_unref(op->obj);
    relay_group_unref(op->g);
    if (op->kind == RELAY_OP_WATCH) {
        for (size_t i = 0; i < op->u.watch.n; i++) {
            relay_group_unref(op->u.watch.v[i].group);
        }
        free(op->u.watch.v);
    }
}

void relay_ops_clear(struct relay_ops *r)
{
    for (; r->n; r->n--) {
        relay_op_release(&r->v[r->head]);
        r->head = (r->head + 1) & (r->cap - 1);
    }
    free(r->v);
    *r = (struct relay_ops){0};
}

static void tell(const struct relay_op *op, int status)
{
    if (op->token && op->kind != RELAY_OP_LEAVE && op->m && !op->m->gone) {
        op->m->ops->done(op->m->owner, op->token, status);
    }
}

static int execute(struct relay_queue *q, const struct relay_op *op)
{
    switch (op->kind) {
    case RELAY_OP_RETAIN:
        return relay_queue_retain(q, op->g, op->obj, &op->u.put);
    case RELAY_OP_ENQUEUE:
        return relay_queue_enqueue(q, op->g, op->obj, &op->u.put);
    case RELAY_OP_DEMAND:
        return relay_queue_demand(q, op->m, op->g, op->u.n, op->token);
    case RELAY_OP_CANCEL:
        relay_queue_cancel(q, op->m, op->g);
        return 0;
    case RELAY_OP_SETTLE:
        return relay_queue_settle(q, op->m, op->g, op->u.settle.first, op->count, op->how,
                                  op->u.settle.ms);
    case RELAY_OP_UNWATCH:
        return relay_queue_unwatch(q, op->m, op->g);
    case RELAY_OP_PURGE:
        relay_queue_purge(q, op->g);
        return 0;
    case RELAY_OP_RESUME:
        if (op->u.resume.keep_ms == 0) { /* nothing is kept of it any more */
            op->m->keep_ms = 0;
            return 0;
        }
        return relay_queue_resume(q, op->m, op->u.resume.tag, op->u.resume.keep_ms);
    case RELAY_OP_WATCH:
        return relay_queue_join(q, op->m, op->u.watch.v, op->u.watch.n);
    case RELAY_OP_UNPAUSE:
        relay_queue_unpause(q, op->m);
        return 0;
    case RELAY_OP_LEAVE:
        if (!relay_queue_leave(q, op->m)) {
            free(op->m);
        }
        return 0;
    }
    return NK_EINTERNAL;
}

/* What follows from an operation once its member knows that it is done. */
static void follow_up(struct relay_queue *q, const struct relay_op *op, int rc)
{
    switch (op->kind) {
    case RELAY_OP_WATCH:
        relay_queue_replay(q, op->m, op->u.watch.v, op->u.watch.n);
        break;
    case RELAY_OP_RETAIN:
        if (rc == 0) { /* not when it is a duplicate */
            relay_queue_publish(q, op->g, op->obj);
        }
        break;
    case RELAY_OP_ENQUEUE:
        relay_queue_dispatch(q, op->g);
        break;
    case RELAY_OP_RESUME:
        relay_queue_unpause(q, op->m);
        break;
    default:
        break;
    }
}

void relay_op_run(struct relay_queue *q, struct relay_op *op)
{
    bool joins =
        op->kind == RELAY_OP_WATCH || (op->kind == RELAY_OP_RESUME && op->u.resume.keep_ms != 0);
    int rc = joins && op->m->gone ? NK_ECLOSED : execute(q, op);
    if (op->kind != RELAY_OP_DEMAND || rc != RELAY_QUEUE_LATER) {
        tell(op, rc);
    }
    if (rc >= 0) {
        follow_up(q, op, rc);
    }
    relay_op_release(op);
}

void relay_op_fail(struct relay_queue *q, struct relay_op *op, int status)
{
    switch (op->kind) {
    case RELAY_OP_UNPAUSE:
    case RELAY_OP_UNWATCH:
    case RELAY_OP_PURGE:
    case RELAY_OP_LEAVE:
        relay_op_run(q, op);
        return;
    default:
        tell(op, status);
        relay_op_release(op);
    }
}
