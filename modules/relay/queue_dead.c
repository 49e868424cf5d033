/* SPDX-License-Identifier: MIT */
/* Dead letters: copies that were delivered too often, or that a consumer wants to be rid of. */
#include <stdlib.h>
#include <string.h>

#include "relay/queue_core.h"
#include "relay/wire_meta.h"

/* The object's own entries of metadata, if any: where they end, and how many bytes they are. */
static size_t own_meta(const struct relay_object *o, struct relay_meta *m)
{
    bool any = (o->flags & RELAY_OBJECT_META) && relay_meta_get(o->bytes, o->len, m) == 0;
    return any ? m->len - RELAY_META_PREFIX : 0;
}

/* What follows the block of metadata, as a chain that shares the object's memory. */
static int append_rest(struct relay_object *head, struct relay_object *o, size_t off)
{
    struct relay_object *last = head;
    for (; o; o = o->more, off = 0) {
        struct relay_object *s = relay_object_slice(o, off, o->len - off);
        if (!s) {
            return -ENOMEM;
        }
        s->headroom = false; /* the bytes in front are the original's */
        relay_object_chain(head, last, s);
        last = s;
    }
    return 0;
}

/*
 * The object with two more entries of metadata: where it comes from and why. What it says of these
 * already (it died before) stays. Without memory, or without room for them: the object as it is.
 */
static struct relay_object *with_origin(struct relay_object *o, const struct relay_group *from,
                                        const char *reason)
{
    struct relay_meta m = {0};
    size_t own = own_meta(o, &m), why = strlen(reason);
    size_t room = own + from->len + why + RELAY_META_PREFIX + 2 * RELAY_META_ENTRY;
    if ((o->flags & RELAY_OBJECT_META && !m.len) || m.origin.p) {
        return relay_object_ref(o);
    }
    struct relay_object *head = relay_object_new(o->memory, room);
    if (!head) {
        return relay_object_ref(o);
    }
    struct relay_meta_writer w;
    relay_meta_begin(&w, head->bytes, room);
    if (own) { /* entries are copied as they are */
        memcpy(head->bytes + RELAY_META_PREFIX, o->bytes + RELAY_META_PREFIX, own);
        w.len += own;
    }
    relay_meta_add(&w, RELAY_META_ORIGIN, from->name, from->len);
    relay_meta_add(&w, RELAY_META_REASON, reason, why);
    size_t len = relay_meta_end(&w);
    head->len = len;
    head->total = len;
    head->flags = o->flags | RELAY_OBJECT_META;
    if (len == 0 || append_rest(head, o, own ? own + RELAY_META_PREFIX : 0) < 0) {
        relay_object_unref(head);
        return relay_object_ref(o);
    }
    return head;
}

static struct relay_group *letters_of(struct relay_group *g)
{
    struct relay_group *to = NULL;
    const char *name = g->set.dead_letter;
    if (!name || relay_groups_get(g->owner, name, strlen(name), &to) < 0) {
        return NULL;
    }
    if (to == g) {
        relay_group_unref(to);
        return NULL;
    }
    return to;
}

static int move(struct relay_copy *c, struct relay_group *to, const char *reason)
{
    struct relay_queue *q = c->group->q;
    const struct relay_put put = {.copies = 1, .force = true};
    struct relay_object *o = with_origin(c->obj, c->group->group, reason);
    uint64_t seq, expires;
    int rc = relay_queue_admit(q, to, o, &put, &seq, &expires);
    if (rc == 0) {
        rc = relay_queue_place(q, to, o, &put, seq, expires);
        if (rc < 0) {
            relay_queue_retract(q, to, o, &put);
        }
    }
    if (rc == 0) {
        c->group->count.dead++;
        if (q->journal && q->journal->dead) {
            q->journal->dead(q->observer, c->group->group, c->seq, to, seq, expires, o);
        }
    }
    relay_object_unref(o);
    return rc;
}

void relay_core_dead(struct relay_copy *c, const char *reason)
{
    struct relay_group_state *st = c->group;
    struct relay_queue *q = st->q;
    struct relay_group *to = letters_of(st->group);
    int rc = to ? move(c, to, reason) : -ENOENT;
    if (rc < 0) {
        relay_core_dropped(st, c->seq, 1, RELAY_DROP_DEAD);
    }
    relay_core_copy_end(c);
    if (to) {
        relay_queue_dispatch(q, to);
        relay_group_unref(to);
    }
}
