/* SPDX-License-Identifier: MIT */
/* From the log into the queue, at a start. */
#include <stdlib.h>
#include <string.h>
#include <sodium.h>

#include "base/secret.h"
#include "core/app.h"
#include "core/clock.h"
#include "relay/engine_log.h"

enum { COPY_MAX = 64 * 1024 }; /* a smaller retained object does not keep its segment mapped */

/* One restart: the segments that are mapped, in step with the log's parts. */
struct restore {
    struct relay_engine_log *e;
    struct relay_log_state *state;
    struct relay_object **map;
    uint64_t objects, refused;
};

/* The object at `off` of a segment (a reference), or NULL. */
static struct relay_object *object_at(struct restore *r, uint64_t segment, uint64_t off,
                                      uint32_t len, uint8_t flags)
{
    const struct relay_log_part *part = relay_log_state_part_find(r->state, segment);
    size_t i = part ? (size_t)(part - r->state->part) : 0;
    if (!part) {
        return NULL;
    }
    if (!r->map[i]) {
        r->map[i] = relay_log_map(r->e->log, segment);
    }
    if (!r->map[i] || off + len > r->map[i]->len) {
        return NULL;
    }
    struct relay_object *o = relay_object_slice(r->map[i], (size_t)off, len);
    if (o) {
        o->flags = flags;
    }
    return o;
}

static bool nobody(const uint8_t tag[RELAY_LOG_TAG])
{
    static const uint8_t zero[RELAY_LOG_TAG];
    return memcmp(tag, zero, RELAY_LOG_TAG) == 0;
}

/* How much is left of a delay; never more than it was, wherever the wall clock has gone since. */
static uint64_t still_waits(const struct relay_engine_log *e, const struct relay_log_lease *l)
{
    uint64_t now = (uint64_t)nk_wall_ms(e->conf.app);
    uint64_t left = l->until_ms > now ? l->until_ms - now : 0;
    return left < l->delay_ms ? left : l->delay_ms;
}

static int restore_one(struct restore *r, struct relay_group *g, struct relay_log_group *lg,
                       const struct relay_log_lease *l, struct relay_restore item)
{
    struct relay_queue *q = r->e->base.q;
    item.seq = l->seq;
    item.copies = 1;
    item.tries = l->tries;
    item.delay_ms = l->leased ? 0 : still_waits(r->e, l);
    if (l->leased && !nobody(l->tag)) {
        return relay_queue_restore_lease(q, g, &item, l->tag, r->e->conf.grace_ms);
    }
    (void)lg;
    return relay_queue_restore_item(q, g, &item);
}

/* Copies that were handed out before are restored one by one, the others together. */
static int restore_item(struct restore *r, struct relay_group *g, struct relay_log_group *lg,
                        const struct relay_log_item *it, struct relay_object *o)
{
    struct relay_restore item = {.obj = o, .expires_ms = it->expires_ms};
    uint64_t from = it->first, end = it->first + it->copies;
    int rc = 0;
    for (uint64_t seq = from; rc == 0 && lg->leases && seq < end; seq++) {
        const struct relay_log_lease *l = relay_log_state_lease_find(r->state, lg, seq);
        if (!l) {
            continue;
        }
        item.seq = from;
        item.copies = seq - from;
        item.tries = 0;
        rc = seq > from ? relay_queue_restore_item(r->e->base.q, g, &item) : 0;
        rc = rc < 0 ? rc : restore_one(r, g, lg, l, item);
        from = seq + 1;
    }
    if (rc == 0 && from < end) {
        item.seq = from;
        item.copies = end - from;
        item.tries = 0;
        rc = relay_queue_restore_item(r->e->base.q, g, &item);
    }
    return rc;
}

/* Who sent it, so that its rights can be looked at when it is delivered. */
static uint32_t publisher_of(struct restore *r, const struct relay_log_retained *v)
{
    struct relay_publishers *known = r->e->conf.publishers;
    if (!v->named || !known) {
        return 0;
    }
    struct relay_object *name = object_at(r, v->segment, v->off - v->name_len, v->name_len, 0);
    uint32_t number = name ? relay_publisher(known, (const char *)name->bytes, name->len) : 0;
    relay_object_unref(name);
    return number;
}

static int restore_retained(struct restore *r, struct relay_group *g,
                            const struct relay_log_retained *v)
{
    struct relay_object *o = object_at(r, v->segment, v->off, v->len, v->flags);
    if (o && v->len <= COPY_MAX) {
        struct relay_object *copy = relay_object_copy(r->e->conf.memory, o->bytes, o->len);
        relay_object_unref(o);
        o = copy;
        if (o) {
            o->flags = v->flags;
        }
    }
    if (o) {
        o->publisher = publisher_of(r, v);
    }
    int rc = o ? relay_queue_restore_retained(r->e->base.q, g, o, v->version) : -ENOMEM;
    relay_object_unref(o);
    return rc;
}

static int restore_contents(struct restore *r, struct relay_group *g, struct relay_log_group *lg)
{
    int rc = lg->retained.segment ? restore_retained(r, g, &lg->retained) : 0;
    for (size_t i = 0; rc == 0 && i < lg->items.n; i++) {
        const struct relay_log_item *it = relay_log_items_at(&lg->items, i);
        struct relay_object *o = object_at(r, it->segment, it->off, it->len, it->flags);
        rc = o ? restore_item(r, g, lg, it, o) : -ENOMEM;
        relay_object_unref(o);
        r->objects += it->copies;
    }
    return rc;
}

/* A group that the configuration does not allow any more keeps what it has, in the log only. */
static int restore_group(struct restore *r, struct relay_log_group *lg)
{
    struct relay_group *g;
    int rc = relay_groups_get(r->e->conf.groups, lg->name, lg->len, &g);
    if (rc == NK_EAUTH || rc == NK_ELIMIT) {
        r->refused++;
        return 0;
    }
    if (rc < 0) {
        return rc;
    }
    bool bound = relay_el_group(r->e, g) == lg;
    rc = bound ? restore_contents(r, g, lg) : NK_EINTERNAL;
    relay_group_unref(g);
    return rc;
}

static int restore_producers(struct restore *r)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < r->state->producer_cap; i++) {
        const struct relay_log_producer *p = &r->state->producer[i];
        if (p->group && p->group->owner) {
            rc = relay_queue_restore_producer(r->e->base.q, p->group->owner, p->id, p->seq);
        }
    }
    return rc;
}

static int restore_all(struct restore *r)
{
    int rc = 0;
    /* the last one of the list is the oldest; groups get back the order of their creation */
    struct relay_log_group *lg = r->state->groups;
    while (lg && lg->next) {
        lg = lg->next;
    }
    for (; rc == 0 && lg; lg = lg->prev) {
        rc = restore_group(r, lg);
    }
    return rc < 0 ? rc : restore_producers(r);
}

int relay_el_restore(struct relay_engine_log *e, struct nk_diag *diag)
{
    struct restore r = {.e = e, .state = relay_log_state(e->log)};
    size_t parts = r.state->nparts;
    uint64_t epoch = relay_log_version_epoch(e->log);
    r.map = calloc(parts, sizeof(struct relay_object *));
    if (!r.map) {
        return nk_fail_sys(diag, -ENOMEM, "relay");
    }
    relay_queue_restore_epoch(e->base.q, epoch, r.state->floor);
    int rc = restore_all(&r);
    for (size_t i = 0; i < parts; i++) {
        relay_object_unref(r.map[i]);
    }
    free(r.map);
    if (r.refused) {
        nk_warn(nk_app_log(e->conf.app), "relay",
                "%llu groups of the log are not allowed any more; their objects stay in the log",
                (unsigned long long)r.refused);
    }
    if (rc == 0 && r.objects) {
        nk_info(nk_app_log(e->conf.app), "relay", "%llu objects wait as before",
                (unsigned long long)r.objects);
    }
    return rc < 0 ? nk_fail_sys(diag, rc, "cannot restore the relay's queues") : 0;
}
