/* SPDX-License-Identifier: MIT */
/* The log engine: operations, and what happens to them when their records count. */
#include "relay/engine_log.h"

#include <stdlib.h>

#include "core/app.h"
#include "core/clock.h"

/* Operations carried out per turn, and the time they may take, as in the memory engine. */
enum { TURN_OPS = 4096, LOOK_OPS = 16, HELD_MIN = 64, SWEEP_MS = 1000 };
#define TURN_NS UINT64_C(2000000) /* four times in a turn, at most */

/* What waits in one queue, or is held by the whole relay, before further objects wait in the log
 * alone: enough that consumers who keep up never touch it. */
#define BACKLOG_BYTES ((uint64_t)1024 * 1024)
#define MEMORY_BYTES ((size_t)32 * 1024 * 1024)

static struct relay_engine_log *el(struct relay_engine_queue *base)
{
    return (struct relay_engine_log *)base;
}

static void tell(const struct relay_op *op, int status)
{
    if (op->token && op->m && !op->m->gone) {
        op->m->ops->done(op->m->owner, op->token, status);
    }
}

/* --- the ring of those that wait -------------------------------------------------------------- */

static struct relay_held *held_at(const struct relay_engine_log *e, size_t i)
{
    return &e->held[(e->held_head + i) & (e->held_cap - 1)];
}

int relay_el_hold(struct relay_engine_log *e, const struct relay_held *h)
{
    if (e->held_n == e->held_cap) {
        size_t cap = e->held_cap ? e->held_cap * 2 : HELD_MIN;
        struct relay_held *v = malloc(cap * sizeof(*v));
        if (!v) {
            return -ENOMEM;
        }
        for (size_t i = 0; i < e->held_n; i++) {
            v[i] = *held_at(e, i);
        }
        free(e->held);
        e->held = v;
        e->held_cap = cap;
        e->held_head = 0;
    }
    *held_at(e, e->held_n++) = *h;
    if (h->op.m) {
        h->op.m->busy++;
    }
    return 0;
}

static bool held_pop(struct relay_engine_log *e, uint64_t ticket, struct relay_held *out)
{
    if (e->held_n == 0 || held_at(e, 0)->ticket > ticket) {
        return false;
    }
    *out = *held_at(e, 0);
    e->held_head = (e->held_head + 1) & (e->held_cap - 1);
    e->held_n--;
    if (out->op.m) {
        out->op.m->busy--;
    }
    return true;
}

/* --- operations ------------------------------------------------------------------------------- */

int relay_el_put(struct relay_engine_log *e, const struct relay_log_entry *entry)
{
    uint64_t ticket;
    int rc = relay_log_put(e->log, entry, &ticket);
    e->ticket = rc == 0 && ticket > e->ticket ? ticket : e->ticket;
    return rc;
}

/* Tell `status` when everything before it is through; at once when there is nothing. */
static void finish(struct relay_engine_log *e, struct relay_op *op, int status, bool refused)
{
    struct relay_held h = {.op = *op, .ticket = e->ticket, .status = status, .refused = refused};
    bool through = op->m && op->m->busy == 0 && (refused || relay_log_counts(e->log, e->ticket));
    if (!op->token || !op->m || op->m->gone || through || relay_el_hold(e, &h) < 0) {
        tell(op, status);
        relay_op_release(op);
    }
}

static int admit(struct relay_engine_log *e, struct relay_held *h, struct relay_log_entry *entry)
{
    struct relay_op *op = &h->op;
    int rc = e->failed ? -EIO
                       : relay_queue_admit(e->base.q, op->g, op->obj, &op->u.put, &h->seq,
                                           &h->expires_ms);
    if (rc != 0) {
        return rc;
    }
    *entry = (struct relay_log_entry){.type = RELAY_LOG_ENQUEUE,
                                      .flags = op->obj->flags,
                                      .group = relay_el_group(e, op->g),
                                      .seq = h->seq,
                                      .object = {.copies = op->u.put.copies,
                                                 .producer = op->u.put.producer,
                                                 .producer_seq = op->u.put.producer_seq,
                                                 .expires_ms = h->expires_ms},
                                      .obj = op->obj};
    h->run = true;
    rc = relay_el_hold(e, h);
    if (rc == 0) {
        rc = entry->group ? relay_el_put(e, entry) : -ENOMEM;
        if (rc == 0) {
            held_at(e, e->held_n - 1)->ticket = e->ticket;
            return 0;
        }
        e->held_n--;
        op->m->busy--;
    }
    relay_queue_retract(e->base.q, op->g, op->obj, &op->u.put);
    return rc;
}

static void enqueue(struct relay_engine_log *e, struct relay_op *op)
{
    struct relay_held h = {.op = *op};
    struct relay_log_entry entry;
    int rc = admit(e, &h, &entry);
    if (rc != 0) {
        finish(e, op, rc, true);
    }
}

static void retain(struct relay_engine_log *e, struct relay_op *op)
{
    struct relay_queue *q = e->base.q;
    struct relay_log_entry entry = {.type = RELAY_LOG_RETAIN};
    int rc = e->failed ? -EIO : relay_queue_retain(q, op->g, op->obj, &op->u.put);
    if (rc != 0) {
        finish(e, op, rc, true);
        return;
    }
    relay_queue_publish(q, op->g, op->obj);
    entry.obj = relay_queue_retained(op->g, &entry.seq);
    entry.group = relay_el_group(e, op->g);
    if (entry.obj && entry.group) {
        entry.flags = entry.obj->flags;
        entry.object.epoch = relay_queue_epoch(q);
        rc = relay_el_put(e, &entry);
    } else {
        rc = -ENOMEM;
    }
    finish(e, op, rc, rc < 0);
}

static void settle(struct relay_engine_log *e, struct relay_op *op)
{
    e->unwritten = false;
    int rc = relay_queue_settle(e->base.q, op->m, op->g, op->u.settle.first, op->count, op->how,
                                op->u.settle.ms);
    rc = rc == 0 && e->unwritten ? -ENOMEM : rc; /* after a restart it may come again */
    finish(e, op, rc, e->failed);
}

static void purge(struct relay_engine_log *e, struct relay_op *op)
{
    struct relay_log_entry entry = {.type = RELAY_LOG_PURGE, .flags = RELAY_LOG_RETAINED};
    relay_queue_purge(e->base.q, op->g); /* what waited is told to the journal */
    entry.group = relay_el_group(e, op->g);
    int rc = entry.group ? relay_el_put(e, &entry) : -ENOMEM;
    finish(e, op, rc, rc < 0);
}

static void run_now(struct relay_engine_log *e, struct relay_op *op)
{
    bool leaves = op->kind == RELAY_OP_LEAVE || op->kind == RELAY_OP_UNWATCH;
    relay_op_run(e->base.q, op);
    if (leaves && !e->sweep.armed) {
        nk_timer_start(&e->sweep, SWEEP_MS);
    }
}

static void start(struct relay_engine_log *e, struct relay_op *op)
{
    struct relay_held h = {.op = *op, .ticket = e->ticket, .run = true};
    switch (op->kind) {
    case RELAY_OP_ENQUEUE:
        enqueue(e, op);
        break;
    case RELAY_OP_RETAIN:
        retain(e, op);
        break;
    case RELAY_OP_SETTLE:
        settle(e, op);
        break;
    case RELAY_OP_PURGE:
        purge(e, op);
        break;
    default: /* not before what its member asked for earlier */
        if (!op->m || op->m->busy == 0 || relay_el_hold(e, &h) < 0) {
            run_now(e, op);
        }
    }
}

static void on_turn_end(void *owner)
{
    struct relay_engine_log *e = owner;
    struct relay_op op;
    relay_eq_clock_tick(&e->clock, e->base.q);
    uint64_t begun = nk_now_ns(e->conf.app);
    for (int i = 1; i <= TURN_OPS && relay_ops_next(&e->ring, e->base.q, &op); i++) {
        start(e, &op);
        if (i % LOOK_OPS == 0 && nk_now_ns(e->conf.app) - begun > TURN_NS) {
            break; /* settling a range may be much work */
        }
    }
    relay_el_tidy(e);
    relay_eq_clock_arm(&e->clock, e->base.q);
    if (e->ring.n) {
        nk_app_defer(e->conf.app, &e->defer);
    }
}

static int submit(struct relay_engine_queue *base, const struct relay_op *op)
{
    struct relay_engine_log *e = el(base);
    int rc = relay_ops_push(&e->ring, op);
    if (rc == 0) {
        nk_app_defer(e->conf.app, &e->defer);
    }
    return rc;
}

/* --- when records count ----------------------------------------------------------------------- */

/* The object as it will wait: of a long queue as it lies in the log, so that memory is bounded
 * whatever comes. */
static struct relay_object *waiting(struct relay_engine_log *e, const struct relay_held *h)
{
    const struct relay_op *op = &h->op;
    bool much = relay_queue_backlog(op->g) > BACKLOG_BYTES || e->conf.memory->used > MEMORY_BYTES;
    struct relay_object *o =
        much && op->g->journal ? relay_log_view(e->log, op->g->journal, h->seq) : NULL;
    if (!o) {
        return relay_object_ref(op->obj);
    }
    o->publisher = op->obj->publisher;
    return o;
}

static void place(struct relay_engine_log *e, struct relay_held *h)
{
    struct relay_op *op = &h->op;
    struct relay_object *o = waiting(e, h);
    int rc = relay_queue_place(e->base.q, op->g, o, &op->u.put, h->seq, h->expires_ms);
    relay_object_unref(o);
    if (rc < 0) {
        /* stored, but there is no memory to hand it out: it comes back with the next start */
        nk_error(nk_app_log(e->conf.app), "relay", "no memory for an object that was stored");
    }
    tell(op, 0);
    relay_queue_dispatch(e->base.q, op->g);
    relay_op_release(op);
}

static void counts(struct relay_engine_log *e, struct relay_held *h)
{
    if (h->from) { /* the dead letter is there, so its copy can go */
        relay_el_drop(e, h->from, RELAY_LOG_DROP, h->from_seq, 1);
        h->from->refs--;
        relay_el_idle(e, h->from);
        relay_op_release(&h->op);
    } else if (h->op.kind == RELAY_OP_ENQUEUE && h->run) {
        place(e, h);
    } else if (h->run) {
        run_now(e, &h->op);
    } else {
        tell(&h->op, h->status);
        relay_op_release(&h->op);
    }
}

/* The disk is full. Objects are refused; what was consumed is written down later, and done then. */
static void is_refused(struct relay_engine_log *e, struct relay_held *h, int status)
{
    struct relay_op *op = &h->op;
    if (h->from) { /* after a restart it is where it was, and comes here again */
        h->from->refs--;
        relay_op_release(op);
    } else if (op->kind == RELAY_OP_ENQUEUE && h->run) {
        relay_queue_retract(e->base.q, op->g, op->obj, &op->u.put);
        tell(op, status);
        relay_op_release(op);
    } else if (op->kind == RELAY_OP_RETAIN && !h->refused) {
        tell(op, status);
        relay_op_release(op);
    } else if (h->run || h->refused) {
        counts(e, h);
    } else {
        h->ticket = e->ticket;
        if (relay_el_hold(e, h) < 0) {
            tell(op, status);
            relay_op_release(op);
        }
    }
}

static void on_committed(void *owner, uint64_t ticket, int status)
{
    struct relay_engine_log *e = owner;
    struct relay_held h;
    relay_eq_clock_tick(&e->clock, e->base.q);
    for (size_t n = e->held_n; n && held_pop(e, ticket, &h); n--) {
        if (status < 0) {
            is_refused(e, &h, status);
        } else {
            counts(e, &h);
        }
    }
    relay_el_tidy(e);
    relay_eq_clock_arm(&e->clock, e->base.q);
}

/* Nobody is told anything any more: it is not known what is on the disk. */
static void on_fatal(void *owner, int code)
{
    struct relay_engine_log *e = owner;
    e->failed = true;
    if (e->conf.fatal) {
        e->conf.fatal(e->conf.owner, code);
    }
}

static const struct relay_log_ops log_ops = {.committed = on_committed, .fatal = on_fatal};

/* --- the engine ------------------------------------------------------------------------------- */

static void on_sweep(void *owner)
{
    relay_el_sweep(owner);
}

/* Whoever waits hears nothing any more; members are freed by their LEAVE. */
static void drop_held(struct relay_engine_log *e)
{
    struct relay_held h;
    while (held_pop(e, UINT64_MAX, &h)) {
        if (h.from) {
            h.from->refs--;
        }
        if (h.op.kind == RELAY_OP_LEAVE) {
            relay_op_run(e->base.q, &h.op);
        } else {
            relay_op_release(&h.op);
        }
    }
    free(e->held);
}

static void free_log(struct relay_engine *engine)
{
    struct relay_engine_log *e = (struct relay_engine_log *)engine;
    struct relay_op op;
    while (e->log && relay_ops_pop(&e->ring, &op)) {
        start(e, &op);
    }
    relay_ops_clear(&e->ring);
    drop_held(e);
    if (e->log) {
        relay_queue_observe(e->base.q, NULL, NULL);
        relay_el_unbind_all(e);
    }
    relay_log_close(e->log);
    relay_queue_free(e->base.q);
    nk_app_defer_cancel(e->conf.app, &e->defer);
    nk_timer_stop(&e->sweep);
    relay_eq_clock_stop(&e->clock);
    free(e);
}

static const struct relay_engine_ops log_engine_ops = {
    .name = "log",
    .caps = RELAY_CAP_DURABLE | RELAY_ENGINE_QUEUE_CAPS,
    .free = free_log,
    RELAY_ENGINE_QUEUE_OPS,
};

static int open_log(struct relay_engine_log *e, struct nk_diag *diag)
{
    struct relay_log_conf conf = {.app = e->conf.app,
                                  .dir = e->conf.dir,
                                  .memory = e->conf.memory,
                                  .publishers = e->conf.publishers,
                                  .sync = e->conf.sync,
                                  .sync_ms = e->conf.sync_ms,
                                  .segment_bytes = e->conf.segment_bytes,
                                  .quarantine = e->conf.quarantine,
                                  .io = e->conf.io,
                                  .ops = &log_ops,
                                  .owner = e};
    relay_eq_clock_tick(&e->clock, e->base.q); /* what is restored begins to age now */
    int rc = relay_log_open(&conf, &e->log, diag);
    rc = rc < 0 ? rc : relay_el_restore(e, diag);
    if (rc == 0) {
        relay_queue_observe(e->base.q, &relay_el_journal, e);
        nk_app_defer(e->conf.app, &e->defer); /* the clock of what was restored */
    }
    return rc;
}

int relay_engine_log(const struct relay_engine_log_conf *conf, struct relay_engine **out,
                     struct nk_diag *diag)
{
    struct relay_engine_log *e = calloc(1, sizeof(*e));
    struct relay_queue *q = e ? relay_queue_new() : NULL;
    if (!q) {
        free(e);
        return nk_fail_sys(diag, -ENOMEM, "relay");
    }
    e->base.engine.ops = &log_engine_ops;
    e->base.q = q;
    e->base.submit = submit;
    e->conf = *conf;
    e->defer = (struct nk_defer){.fn = on_turn_end, .owner = e};
    nk_timer_init(&e->sweep, conf->app, on_sweep, e);
    relay_eq_clock_init(&e->clock, &e->base.engine, conf->app, on_turn_end, e);
    int rc = open_log(e, diag);
    if (rc < 0) {
        free_log(&e->base.engine);
        return rc;
    }
    *out = &e->base.engine;
    return 0;
}

void relay_engine_log_stats(const struct relay_engine *engine, struct relay_log_stats *out)
{
    relay_log_stats(((const struct relay_engine_log *)engine)->log, out);
}
