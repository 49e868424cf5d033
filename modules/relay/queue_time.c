/* SPDX-License-Identifier: MIT */
/* What happens by itself: leases, delays, graces and lives end. */
#include <stddef.h>

#include "relay/queue_core.h"

enum {
    TICK_WORK = 4096,       /* entries of the wheel and of rings looked at in one call: 2 ms */
    RECHECK_MS = 60 * 1000, /* the wall clock may be set: look at least so often */
    SWEEP_PAUSE_MS = 1      /* between two parts of a sweep */
};

uint64_t relay_core_expiry(const struct relay_queue *q, uint64_t expires_ms)
{
    uint64_t left = expires_ms > q->wall_ms ? expires_ms - q->wall_ms : 1;
    return q->now_ms + (left < RECHECK_MS ? left : RECHECK_MS);
}

void relay_core_expires(struct relay_group_state *st, uint64_t expires_ms)
{
    struct relay_queue *q = st->q;
    if (st->expire_ms && st->expire_ms <= expires_ms) {
        return;
    }
    st->expire_ms = expires_ms;
    if (!st->sweep_at) { /* else the sweep that is under way comes to it */
        relay_wheel_leave(&q->wheel, &st->sweep);
        st->sweep.what = RELAY_DUE_SWEEP;
        relay_wheel_enter(&q->wheel, &st->sweep, relay_core_expiry(q, expires_ms));
    }
}

static void expire_entry(struct relay_group_state *st, struct relay_item *item)
{
    struct relay_object *obj = item->obj;
    st->queued -= item->copies;
    st->bytes -= obj->total;
    relay_core_dropped(st, item->seq, item->copies, RELAY_DROP_EXPIRED);
    item->obj = NULL;
    item->copies = 0;
    relay_object_unref(obj);
}

void relay_core_hurry(struct relay_group_state *st)
{
    struct relay_queue *q = st->q;
    if (!st->sweep_at) { /* else it comes to the front when it has been through */
        relay_wheel_leave(&q->wheel, &st->sweep);
        st->sweep.what = RELAY_DUE_SWEEP;
        relay_wheel_enter(&q->wheel, &st->sweep, q->now_ms);
    }
}

/* One entry of the ring: nothing is left of it when its life is over. */
static void sweep_entry(struct relay_group_state *st, struct relay_item *item)
{
    if (!item->copies || !item->expires_ms) {
        return;
    }
    if (item->expires_ms <= st->q->wall_ms) {
        expire_entry(st, item);
    } else if (!st->sweep_min || item->expires_ms < st->sweep_min) {
        st->sweep_min = item->expires_ms;
    }
}

/* Look at the next entries of the ring; later ones in later turns. Places count from 1. */
static bool sweep_ring(struct relay_group_state *st)
{
    struct relay_queue *q = st->q;
    struct relay_fifo *f = &st->fifo;
    uint64_t end = f->popped + 1 + f->n;
    uint64_t at = st->sweep_at > f->popped ? st->sweep_at : f->popped + 1;
    for (; at < end && q->work > 0; at++, q->work--) {
        struct relay_item *item = relay_fifo_at(f, (size_t)(at - f->popped - 1));
        sweep_entry(st, item);
        if (!item->copies && at == f->popped + 1) {
            relay_fifo_pop(f); /* nobody has to go through them at the front again */
        }
    }
    st->sweep_at = at;
    return at == end;
}

static void sweep(struct relay_group_state *st)
{
    struct relay_queue *q = st->q;
    if (!st->sweep_at) {
        st->sweep_at = st->fifo.popped + 1;
        st->sweep_min = 0;
    }
    relay_core_expire_returned(st, &q->work);
    if (sweep_ring(st)) {
        st->sweep_at = 0;
        st->expire_ms = st->sweep_min;
        if (st->expire_ms) {
            relay_wheel_enter(&q->wheel, &st->sweep, relay_core_expiry(q, st->expire_ms));
        }
    } else {
        relay_wheel_enter(&q->wheel, &st->sweep, q->now_ms + SWEEP_PAUSE_MS);
    }
    relay_core_dispatch(st); /* what was behind them; drains end */
    relay_core_tidy(st);
}

static void happen(struct relay_queue *q, struct relay_due *d)
{
    switch ((enum relay_due_what)d->what) {
    case RELAY_DUE_LEASE:
    case RELAY_DUE_DELAY:
    case RELAY_DUE_EXPIRE:
        relay_core_copy_due(RELAY_OF(d, struct relay_copy, due));
        break;
    case RELAY_DUE_SWEEP:
        sweep(RELAY_OF(d, struct relay_group_state, sweep));
        break;
    case RELAY_DUE_ABSENT:
        relay_core_forget(q, RELAY_OF(d, struct relay_member, due));
        break;
    case RELAY_DUE_PRODUCERS:
        relay_core_producers_due(q);
        break;
    }
}

uint64_t relay_queue_next(const struct relay_queue *q)
{
    return relay_wheel_next(&q->wheel);
}

uint64_t relay_queue_tick(struct relay_queue *q, uint64_t now_ms, uint64_t wall_ms)
{
    struct relay_due *d;
    q->now_ms = now_ms > q->now_ms ? now_ms : q->now_ms;
    q->wall_ms = wall_ms;
    q->ticking = true;
    q->work = TICK_WORK;
    while ((d = relay_wheel_pop(&q->wheel, q->now_ms, &q->work)) != NULL) {
        happen(q, d);
    }
    q->ticking = false;
    relay_core_dispatch_touched(q);
    uint64_t next = relay_queue_next(q);
    return next > q->now_ms ? next : q->now_ms;
}
