/* SPDX-License-Identifier: MIT */
/* Putting together again what a queue was before a restart. */
#include <stdlib.h>
#include <string.h>

#include "relay/queue_core.h"

void relay_queue_restore_epoch(struct relay_queue *q, uint64_t epoch, uint64_t floor)
{
    q->epoch = epoch;
    q->floor = floor > q->floor ? floor : q->floor;
}

static bool valid(const struct relay_restore *item, bool record)
{
    return item->copies >= 1 && item->copies <= RELAY_COPIES_MAX && item->seq >= 1 &&
           item->seq <= RELAY_SEQ_MAX - item->copies + 1 && (!record || item->copies == 1);
}

static void seen(struct relay_group_state *st, const struct relay_restore *item)
{
    uint64_t last = item->seq + item->copies - 1;
    st->seq = last > st->seq ? last : st->seq;
}

static int push(struct relay_group_state *st, const struct relay_restore *item)
{
    const struct relay_fifo *f = &st->fifo;
    const struct relay_item *last = f->n ? relay_fifo_at(f, f->n - 1) : NULL;
    if (last && last->seq + last->copies > item->seq) {
        return -EINVAL;
    }
    struct relay_item *entry = relay_fifo_add(&st->fifo);
    if (!entry) {
        return -ENOMEM;
    }
    *entry = (struct relay_item){.obj = relay_object_ref(item->obj),
                                 .seq = item->seq,
                                 .copies = item->copies,
                                 .expires_ms = item->expires_ms};
    st->queued += item->copies;
    st->bytes += item->obj->total;
    if (item->expires_ms) {
        relay_core_expires(st, item->expires_ms);
    }
    return 0;
}

static struct relay_copy *record(struct relay_group_state *st, const struct relay_restore *item)
{
    struct relay_copy *c = relay_core_copy_new(st, item->seq);
    if (c) {
        c->obj = relay_object_ref(item->obj);
        c->expires_ms = item->expires_ms;
        c->tries = item->tries;
    }
    return c;
}

int relay_queue_restore_item(struct relay_queue *q, struct relay_group *g,
                             const struct relay_restore *item)
{
    if (!valid(item, item->tries != 0)) {
        return -EINVAL;
    }
    struct relay_group_state *st = relay_core_state(q, g);
    if (!st) {
        return -ENOMEM;
    }
    int rc = 0;
    if (item->tries) {
        struct relay_copy *c = record(st, item);
        if (c) {
            relay_core_wait(c, item->delay_ms);
        }
        rc = c ? 0 : -ENOMEM;
    } else {
        rc = push(st, item);
    }
    if (rc == 0) {
        seen(st, item);
        st->count.produced += item->copies;
    } else {
        relay_core_tidy(st);
    }
    return rc;
}

/* The member with this tag, made as an absent one if need be. */
static struct relay_member *member_of(struct relay_queue *q, const uint8_t *tag, uint64_t keep_ms)
{
    struct relay_member *m = relay_core_tag_find(q, tag);
    if (m || (m = calloc(1, sizeof(*m))) == NULL) {
        return m;
    }
    if (relay_core_tag_add(q, m, tag, keep_ms) < 0) {
        free(m);
        return NULL;
    }
    relay_core_absent(q, m);
    return m;
}

int relay_queue_restore_lease(struct relay_queue *q, struct relay_group *g,
                              const struct relay_restore *item, const uint8_t tag[RELAY_TAG],
                              uint64_t keep_ms)
{
    if (!valid(item, true) || item->tries == 0) {
        return -EINVAL;
    }
    struct relay_member *m = member_of(q, tag, keep_ms);
    if (!m) {
        return -ENOMEM;
    }
    struct relay_seat *s = relay_core_seat(m, g);
    if (!s) {
        if (relay_core_seat_add(q, m, g) < 0) {
            return -ENOMEM;
        }
        s = m->seats;
        s->group->nabsent += m->absent;
    }
    struct relay_copy *c = record(s->group, item);
    if (!c) {
        return -ENOMEM;
    }
    relay_core_hand_out(c, s);
    seen(s->group, item);
    s->group->count.produced++;
    return 0;
}

int relay_queue_restore_retained(struct relay_queue *q, struct relay_group *g,
                                 struct relay_object *o, uint64_t version)
{
    struct relay_group_state *st = relay_core_state(q, g);
    if (!st) {
        return -ENOMEM;
    }
    relay_object_ref(o);
    relay_object_unref(st->retained);
    st->retained = o;
    st->version = version > st->version ? version : st->version;
    return 0;
}

int relay_queue_restore_producer(struct relay_queue *q, struct relay_group *g, uint64_t producer,
                                 uint64_t seq)
{
    struct relay_group_state *st = relay_core_state(q, g);
    if (!st) {
        return -ENOMEM;
    }
    int rc = relay_core_producer(st, producer, seq);
    relay_core_tidy(st);
    return rc < 0 ? rc : 0;
}
