/* SPDX-License-Identifier: MIT */
/*
 * engine_op - one operation of an engine as a value, so that engines over the queue core can keep
 * it for later (until the turn's end, until it is on disk) and then carry it out.
 */
#ifndef NK_RELAY_ENGINE_OP_H
#define NK_RELAY_ENGINE_OP_H

#include "relay/engine.h"

enum relay_op_kind {
    RELAY_OP_RETAIN,
    RELAY_OP_ENQUEUE,
    RELAY_OP_DEMAND,
    RELAY_OP_CANCEL,
    RELAY_OP_SETTLE,
    RELAY_OP_UNWATCH,
    RELAY_OP_PURGE, /* the member may be NULL */
    /* about the member as a whole; op.g is NULL */
    RELAY_OP_WATCH,
    RELAY_OP_RESUME,
    RELAY_OP_UNPAUSE,
    RELAY_OP_LEAVE /* the member is freed, unless the queue keeps it */
};

/* Holds references to its group(s) and object. */
struct relay_op {
    enum relay_op_kind kind;
    enum relay_settle how; /* SETTLE */
    uint32_t count;        /* SETTLE */
    struct relay_member *m;
    struct relay_group *g;
    struct relay_object *obj; /* RETAIN, ENQUEUE */
    uint64_t token;
    union {
        struct relay_put put; /* RETAIN, ENQUEUE */
        int64_t n;            /* DEMAND */
        struct {
            uint64_t first, ms;
        } settle;
        struct {
            uint8_t tag[RELAY_TAG];
            uint64_t keep_ms;
        } resume;
        struct {
            struct relay_watch *v; /* heap, with references to the groups */
            size_t n;
        } watch;
    } u;
};

/* A first-in first-out ring of operations. */
struct relay_ops {
    struct relay_op *v;
    size_t head, n, cap;
};

/* relay_ops_push - append. 0 or -ENOMEM. relay_ops_pop - the oldest into *out, false when empty. */
int relay_ops_push(struct relay_ops *r, const struct relay_op *op);
bool relay_ops_pop(struct relay_ops *r, struct relay_op *out);

/* relay_ops_next - the same, but an operation that is much work is carried out in parts: false, and
 * it stays in front with the ring's n above 0, while there are parts left for other turns. */
bool relay_ops_next(struct relay_ops *r, struct relay_queue *q, struct relay_op *out);

/* relay_ops_clear - drop everything undone and free the ring. */
void relay_ops_clear(struct relay_ops *r);

/* relay_op_run - carry op out on q, tell its member, and release it. */
void relay_op_run(struct relay_queue *q, struct relay_op *op);

/* relay_op_fail - do not carry it out: tell its member `status` and release it. UNPAUSE, UNWATCH
 * and LEAVE cannot fail and are carried out. */
void relay_op_fail(struct relay_queue *q, struct relay_op *op, int status);

/* relay_op_release - give back what op refers to, but for the member. */
void relay_op_release(struct relay_op *op);

/* relay_op_watch - for WATCH: n groups with references, and what is known of them (NULL: nothing).
 * NULL when memory is missing (or n is 0). */
struct relay_watch *relay_op_watch(struct relay_group *const *g, const struct relay_known *known,
                                   size_t n);

#endif
