/* SPDX-License-Identifier: MIT */
#include "relay/queue.h"

#include <limits.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "relay/queue_core.h"
#include "relay/wire_native.h"

enum { TRIM_WORK = 8192 /* entries dropped for a limit in one go */ };

struct relay_queue *relay_queue_new(void)
{
    struct relay_queue *q = calloc(1, sizeof(*q));
    if (q) {
        randombytes_buf(&q->epoch, sizeof(q->epoch));
        q->epoch |= !q->epoch; /* 0 means unknown */
        randombytes_buf(&q->hash, sizeof(q->hash));
        q->hash |= 1;
        randombytes_buf(q->key, sizeof(q->key));
    }
    return q;
}

uint64_t relay_queue_epoch(const struct relay_queue *q)
{
    return q->epoch;
}

void relay_queue_observe(struct relay_queue *q, const struct relay_queue_journal *journal,
                         void *owner)
{
    q->journal = journal;
    q->observer = owner;
}

/* --- group state ------------------------------------------------------------------------------ */

struct relay_group_state *relay_core_state(struct relay_queue *q, struct relay_group *g)
{
    struct relay_group_state *st = g->state;
    if (st || (st = calloc(1, sizeof(*st))) == NULL) {
        return st;
    }
    st->q = q;
    st->group = relay_group_ref(g);
    if (q->floor > RELAY_SEQ_MAX / 2) { /* begin again: what members know means nothing any more */
        q->floor = 0;
        q->epoch++;
    }
    st->version = st->seq = q->floor;
    st->next = q->groups;
    if (st->next) {
        st->next->prev = st;
    }
    q->groups = st;
    g->state = st;
    return st;
}

static void state_release(struct relay_group_state *st)
{
    st->group->state = NULL;
    relay_object_unref(st->retained);
    relay_core_copies_clear(st);
    relay_fifo_clear(&st->fifo);
    relay_wheel_leave(&st->q->wheel, &st->sweep);
    relay_group_unref(st->group);
    free(st);
}

void relay_core_tidy(struct relay_group_state *st)
{
    struct relay_queue *q = st->q;
    if (st->touched || st->nseats || st->retained || st->queued || st->copies.n || st->nproducers ||
        st->reserved) {
        return;
    }
    q->floor = st->version > q->floor ? st->version : q->floor;
    q->floor = st->seq > q->floor ? st->seq : q->floor;
    *(st->prev ? &st->prev->next : &q->groups) = st->next;
    if (st->next) {
        st->next->prev = st->prev;
    }
    state_release(st);
}

void relay_queue_free(struct relay_queue *q)
{
    if (!q) {
        return;
    }
    relay_core_members_free(q);
    relay_core_producers_free(q);
    for (struct relay_group_state *st = q->groups, *next; st; st = next) {
        next = st->next;
        state_release(st);
    }
    relay_core_slabs_free(q);
    free(q);
}

/* --- the line of those who wait --------------------------------------------------------------- */

void relay_core_line_leave(struct relay_seat *s)
{
    if (!s->in_line) {
        return;
    }
    *(s->line_prev ? &s->line_prev->line_next : &s->group->line_first) = s->line_next;
    *(s->line_next ? &s->line_next->line_prev : &s->group->line_last) = s->line_prev;
    s->line_prev = s->line_next = NULL;
    s->in_line = false;
}

static void tell_drain(struct relay_seat *s, const struct relay_drain *d, int status)
{
    if (d->token && !s->member->gone) {
        s->member->ops->done(s->member->owner, d->token, status);
    }
}

/* What a drain asked for was handed out, here or elsewhere: say so. */
static void drains_met(struct relay_seat *s, uint64_t front)
{
    struct relay_drain *d;
    while ((d = s->drains) != NULL && (d->mark < front || d->left == 0)) {
        s->drains = d->next;
        s->group->ndrains--;
        tell_drain(s, d, 0);
        free(d);
    }
    if (s->drain < front) {
        s->drain = 0;
    }
}

void relay_core_drains_end(struct relay_seat *s, int status)
{
    struct relay_drain *d;
    while ((d = s->drains) != NULL) {
        s->drains = d->next;
        s->group->ndrains--;
        tell_drain(s, d, status);
        free(d);
    }
    s->drain = 0;
}

static bool wants(struct relay_seat *s)
{
    uint64_t front;
    if (s->member->paused || s->member->gone) {
        return false;
    }
    if (s->drain || s->drains) {
        (void)relay_core_front(s->group, &front);
        drains_met(s, front);
    }
    return s->credit || s->drain || s->drains;
}

void relay_core_line_join(struct relay_seat *s)
{
    if (s->in_line || !wants(s)) {
        return;
    }
    s->line_prev = s->group->line_last;
    *(s->line_prev ? &s->line_prev->line_next : &s->group->line_first) = s;
    s->group->line_last = s;
    s->in_line = true;
}

/* Who pays for this copy: the oldest drain, if it asked for it, else another, else the credit. */
static void charge(struct relay_seat *s, uint64_t seq)
{
    struct relay_drain *d = s->drains;
    if (d && seq <= d->mark) {
        d->left -= d->left != UINT64_MAX;
    } else if (s->drain < seq) {
        s->credit--;
    }
}

/* Hand the front copy to the seat. */
static bool serve(struct relay_seat *s)
{
    struct relay_group_state *st = s->group;
    struct relay_copy *c = relay_core_lease(s);
    if (!c) {
        return false;
    }
    charge(s, c->seq);
    s->delivered++;
    s->delivered_bytes += c->obj->total;
    st->count.delivered++;
    st->count.redelivered += c->tries > 1;
    struct relay_mark mark = {.seq = c->seq, .epoch = st->q->epoch, .tries = c->tries - 1};
    s->member->ops->deliver(s->member->owner, st->group, c->obj, RELAY_ITEM, &mark);
    return true;
}

/* Others have taken what those still in the line wanted to drain. */
static void end_met_drains(struct relay_group_state *st)
{
    for (struct relay_seat *s = st->line_first, *next; s && st->ndrains; s = next) {
        next = s->line_next;
        if (s->drains && !wants(s)) {
            relay_core_line_leave(s);
        }
    }
}

static void touch(struct relay_group_state *st)
{
    if (!st->touched) {
        st->touched = true;
        st->next_touched = st->q->touched;
        st->q->touched = st;
    }
}

void relay_core_dispatch(struct relay_group_state *st)
{
    uint64_t front;
    if (st->q->ticking) {
        touch(st);
        return;
    }
    bool any = st->line_first != NULL;
    while (st->line_first && relay_core_front(st, &front) == RELAY_FRONT_READY) {
        struct relay_seat *s = st->line_first;
        relay_core_line_leave(s);
        if (!wants(s)) {
            continue;
        }
        bool served = serve(s);
        relay_core_line_join(s);
        if (!served) {
            return; /* memory is missing: the next event of this group tries again */
        }
    }
    if (any && st->ndrains) {
        end_met_drains(st);
    }
}

/* --- broadcasts ------------------------------------------------------------------------------- */

/* The last frame of a run as an object of its own, its versions written. */
static struct relay_object *last_of_run(struct relay_object *run, uint64_t version)
{
    size_t at = relay_run_stamp(run->bytes, run->len, version);
    uint8_t flags = run->bytes[at + RELAY_NATIVE_HEAD - 1];
    struct relay_object *last =
        relay_object_slice(run, at + RELAY_NATIVE_HEAD, run->len - at - RELAY_NATIVE_HEAD);
    if (!last) {
        return NULL;
    }
    last->headroom = false; /* the frame's own header, which is still to be sent */
    last->flags = flags & (RELAY_OBJECT_META | RELAY_OBJECT_CONTENT);
    struct relay_object *kept = relay_object_keep(last);
    relay_object_unref(last);
    return kept;
}

/* Is it new? As relay_core_broadcaster. */
static int admit_broadcast(struct relay_group_state *st, const struct relay_put *put)
{
    int rc =
        put && put->producer ? relay_core_broadcaster(st, put->producer, put->producer_seq) : 0;
    st->count.duplicates += rc == 1;
    return rc;
}

int relay_queue_retain(struct relay_queue *q, struct relay_group *g, struct relay_object *o,
                       const struct relay_put *put)
{
    struct relay_group_state *st = relay_core_state(q, g);
    int rc = st ? admit_broadcast(st, put) : -ENOMEM;
    if (rc != 0) {
        if (st) {
            relay_core_tidy(st);
        }
        return rc;
    }
    struct relay_object *kept = o->frames ? last_of_run(o, st->version + 1) : relay_object_keep(o);
    if (!kept) {
        if (put && put->producer) {
            relay_core_broadcaster_undo(st, put->producer, put->producer_seq);
        }
        relay_core_tidy(st);
        return -ENOMEM;
    }
    relay_object_unref(st->retained);
    st->retained = kept;
    st->version += o->frames ? o->frames : 1;
    st->count.broadcasts += o->frames ? o->frames : 1;
    return 0;
}

void relay_queue_publish(struct relay_queue *q, struct relay_group *g, struct relay_object *o)
{
    const struct relay_group_state *st = g->state;
    if (!st) {
        return;
    }
    struct relay_mark mark = {.seq = st->version - (o->frames ? o->frames - 1 : 0),
                              .epoch = q->epoch};
    for (struct relay_seat *s = st->first; s; s = s->next) {
        struct relay_member *m = s->member;
        if (!m->gone) {
            m->ops->deliver(m->owner, g, o, RELAY_BROADCAST, &mark);
        }
    }
}

void relay_queue_replay(struct relay_queue *q, struct relay_member *m, const struct relay_watch *w,
                        size_t n)
{
    for (size_t i = 0; i < n && !m->gone; i++) {
        const struct relay_group_state *st = w[i].group->state;
        if (!st || !st->retained || !relay_core_seat(m, w[i].group)) {
            continue;
        }
        struct relay_mark mark = {.seq = st->version, .epoch = q->epoch};
        if (w[i].known.epoch != mark.epoch || w[i].known.version != mark.seq) {
            m->ops->deliver(m->owner, st->group, st->retained, RELAY_RETAINED, &mark);
        }
    }
}

/* --- consumables ------------------------------------------------------------------------------ */

void relay_core_dropped(struct relay_group_state *st, uint64_t first, uint64_t count,
                        enum relay_drop why)
{
    const struct relay_queue_journal *j = st->q->journal;
    st->group->drop[why] += count;
    if (j && j->drop) {
        j->drop(st->q->observer, st->group, first, count, why);
    }
}

static bool refuses(const struct relay_group *g)
{
    return g->set.policy == RELAY_POLICY_BLOCK || g->set.policy == RELAY_POLICY_DISCONNECT;
}

/* Would so much more be beyond the limits? What a waiting member takes at once never is. */
static bool beyond(const struct relay_group_state *st, uint64_t copies, uint64_t bytes)
{
    const struct relay_group_settings *set = &st->group->set;
    uint64_t queued = st->queued + st->reserved;
    if (queued == 0 && st->line_first) {
        return false;
    }
    return (set->max_consumables != RELAY_UNLIMITED &&
            queued + copies > (uint64_t)set->max_consumables) ||
           (set->max_bytes && st->bytes + st->reserved_bytes + bytes > set->max_bytes);
}

uint64_t relay_queue_backlog(const struct relay_group *g)
{
    const struct relay_group_state *st = g->state;
    return st && !st->line_first ? st->bytes : 0;
}

bool relay_queue_full(const struct relay_group *g)
{
    return g->state && g->set.policy == RELAY_POLICY_BLOCK && beyond(g->state, 1, 1);
}

/* Drop the oldest copies beyond the limits. */
static void trim(struct relay_group_state *st)
{
    const struct relay_group_settings *set = &st->group->set;
    uint64_t max =
        set->max_consumables == RELAY_UNLIMITED ? UINT64_MAX : (uint64_t)set->max_consumables;
    if (refuses(st->group)) {
        return;
    }
    /* a limit that was lowered is reached in steps */
    unsigned work = TRIM_WORK;
    while (st->queued - st->delayed > max && work-- > 0 &&
           relay_core_drop_front(st, st->queued - st->delayed - max, RELAY_DROP_LIMIT)) {
    }
    work = TRIM_WORK;
    while (set->max_bytes && st->bytes > set->max_bytes && work-- > 0 &&
           relay_core_drop_front(st, UINT64_MAX, RELAY_DROP_LIMIT)) {
    }
}

static int admit(struct relay_group_state *st, const struct relay_object *o,
                 const struct relay_put *put, uint64_t expires_ms)
{
    const struct relay_queue *q = st->q;
    if (put->copies == 0 || put->copies > RELAY_COPIES_MAX ||
        put->copies > RELAY_SEQ_MAX - st->seq ||
        (refuses(st->group) && !put->force && beyond(st, put->copies, o->total))) {
        st->count.refused++;
        return NK_ELIMIT;
    }
    if (expires_ms && expires_ms <= q->wall_ms) {
        st->group->drop[RELAY_DROP_EXPIRED] += put->copies;
        return -ETIMEDOUT;
    }
    int rc = put->producer ? relay_core_producer(st, put->producer, put->producer_seq) : 0;
    st->count.duplicates += rc == 1;
    return rc;
}

int relay_queue_admit(struct relay_queue *q, struct relay_group *g, const struct relay_object *o,
                      const struct relay_put *put, uint64_t *seq, uint64_t *expires_ms)
{
    struct relay_group_state *st = relay_core_state(q, g);
    if (!st) {
        return -ENOMEM;
    }
    uint64_t expires = put->expires_ms;
    if (!expires && g->set.ttl_ms) {
        expires = q->wall_ms + g->set.ttl_ms;
    }
    int rc = admit(st, o, put, expires);
    if (rc) {
        relay_core_tidy(st);
        return rc;
    }
    *seq = st->seq + 1;
    *expires_ms = expires;
    st->seq += put->copies;
    st->reserved += put->copies;
    st->reserved_bytes += o->total;
    return 0;
}

void relay_queue_retract(struct relay_queue *q, struct relay_group *g, const struct relay_object *o,
                         const struct relay_put *put)
{
    struct relay_group_state *st = g->state;
    (void)q;
    st->reserved -= put->copies;
    st->reserved_bytes -= o->total;
    if (put->producer) {
        relay_core_producer_undo(st, put->producer, put->producer_seq);
    }
    relay_core_tidy(st);
}

int relay_queue_place(struct relay_queue *q, struct relay_group *g, struct relay_object *o,
                      const struct relay_put *put, uint64_t seq, uint64_t expires_ms)
{
    struct relay_group_state *st = g->state;
    struct relay_item *item = relay_fifo_add(&st->fifo);
    (void)q;
    if (!item) {
        return -ENOMEM;
    }
    item->obj = relay_object_ref(o);
    item->seq = seq;
    item->copies = put->copies;
    item->expires_ms = expires_ms;
    st->reserved -= put->copies;
    st->reserved_bytes -= o->total;
    st->queued += put->copies;
    st->bytes += o->total;
    st->count.produced += put->copies;
    if (expires_ms) {
        relay_core_expires(st, expires_ms);
    }
    return 0;
}

int relay_queue_enqueue(struct relay_queue *q, struct relay_group *g, struct relay_object *o,
                        const struct relay_put *put)
{
    uint64_t seq, expires;
    int rc = relay_queue_admit(q, g, o, put, &seq, &expires);
    if (rc == 0) {
        rc = relay_queue_place(q, g, o, put, seq, expires);
        if (rc < 0) {
            relay_queue_retract(q, g, o, put);
        }
    }
    return rc;
}

void relay_queue_dispatch(struct relay_queue *q, struct relay_group *g)
{
    struct relay_group_state *st = g->state;
    if (st && q->ticking) {
        touch(st);
        st->produced = true;
    } else if (st) {
        relay_core_dispatch(st);
        trim(st);
        relay_core_tidy(st);
    }
}

void relay_core_dispatch_touched(struct relay_queue *q)
{
    struct relay_group_state *st;
    while ((st = q->touched) != NULL) {
        q->touched = st->next_touched;
        st->touched = false;
        relay_core_dispatch(st);
        if (st->produced) {
            st->produced = false;
            trim(st);
        }
        relay_core_tidy(st);
    }
}

/* Remember who wants so many of what is there now, and to know when they were handed out. */
static int add_drain(struct relay_seat *s, uint64_t most, uint64_t token)
{
    struct relay_drain *d = malloc(sizeof(*d)), **at = &s->drains;
    if (!d) {
        return -ENOMEM;
    }
    *d = (struct relay_drain){.mark = s->group->seq, .left = most, .token = token};
    while (*at) {
        at = &(*at)->next;
    }
    *at = d;
    s->group->ndrains++;
    return 0;
}

int relay_queue_demand(struct relay_queue *q, struct relay_member *m, struct relay_group *g,
                       int64_t n, uint64_t token)
{
    struct relay_seat *s = relay_core_seat(m, g);
    (void)q;
    if (!s) {
        return -ENOENT;
    }
    if (n > 0) {
        uint64_t room = UINT64_MAX - s->credit;
        s->credit += (uint64_t)n < room ? (uint64_t)n : room;
    } else if (n < 0) {
        uint64_t most = n == RELAY_DRAIN_ALL ? UINT64_MAX : (uint64_t)-n;
        if ((token || most != UINT64_MAX) && add_drain(s, most, token) < 0) {
            return -ENOMEM;
        }
        if (most == UINT64_MAX) {
            s->drain = s->group->seq ? s->group->seq : 1;
        }
    }
    relay_core_line_join(s);
    relay_core_dispatch(s->group);
    return n < 0 && token ? RELAY_QUEUE_LATER : 0;
}

void relay_queue_cancel(struct relay_queue *q, struct relay_member *m, struct relay_group *g)
{
    struct relay_seat *s = relay_core_seat(m, g);
    (void)q;
    if (s) {
        s->credit = 0;
        relay_core_drains_end(s, -ECANCELED);
        relay_core_line_leave(s);
    }
}

void relay_queue_unpause(struct relay_queue *q, struct relay_member *m)
{
    (void)q;
    for (struct relay_seat *s = m->seats; s && !m->paused; s = s->next_of_member) {
        relay_core_line_join(s);
        relay_core_dispatch(s->group);
    }
}

bool relay_queue_purge_part(struct relay_queue *q, struct relay_group *g, unsigned work)
{
    struct relay_group_state *st = g->state;
    (void)q;
    if (st) {
        st->purged = relay_core_purge(st, &work);
    }
    return st && !st->purged;
}

uint64_t relay_queue_purge(struct relay_queue *q, struct relay_group *g)
{
    struct relay_group_state *st = g->state;
    uint64_t before = g->drop[RELAY_DROP_PURGED];
    if (!st) {
        return 0;
    }
    while (!st->purged) {
        (void)relay_queue_purge_part(q, g, UINT_MAX);
    }
    st->purged = false;
    relay_object_unref(st->retained);
    st->retained = NULL;
    relay_core_dispatch(st); /* drains have ended */
    relay_core_tidy(st);
    return g->drop[RELAY_DROP_PURGED] - before;
}

void relay_queue_stats(const struct relay_group *g, struct relay_queue_stats *out)
{
    const struct relay_group_state *st = g->state;
    memset(out, 0, sizeof(*out));
    if (st) {
        *out = st->count;
        out->members = st->nseats;
        out->absent = st->nabsent;
        out->queued = st->queued;
        out->delayed = st->delayed;
        out->bytes = st->bytes;
        out->leased = st->leased;
        out->retained = st->retained != NULL;
        out->producers = st->nproducers;
        out->epoch = st->q->epoch;
        out->version = st->version;
    }
    for (size_t i = 0; i < RELAY_DROPS; i++) {
        out->drop[i] = g->drop[i];
        out->dropped += g->drop[i];
    }
}

struct relay_object *relay_queue_retained(const struct relay_group *g, uint64_t *version)
{
    const struct relay_group_state *st = g->state;
    if (!st || !st->retained) {
        return NULL;
    }
    *version = st->version;
    return st->retained;
}
