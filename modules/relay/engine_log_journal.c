/* SPDX-License-Identifier: MIT */
/* What the queue core does by itself, written down; and which groups the log knows. */
#include <string.h>

#include "core/app.h"
#include "core/clock.h"
#include "relay/engine_log.h"

/* --- groups ----------------------------------------------------------------------------------- */

static void bind_groups(struct relay_group *g, struct relay_log_group *lg)
{
    lg->refs++;
    lg->owner = relay_group_ref(g);
    g->journal = lg;
}

struct relay_log_group *relay_el_group(struct relay_engine_log *e, struct relay_group *g)
{
    if (!g->journal) {
        struct relay_log_group *lg =
            relay_log_state_group(relay_log_state(e->log), g->name, g->len);
        if (!lg) {
            return NULL;
        }
        bind_groups(g, lg);
    }
    return g->journal;
}

static void unbind(struct relay_engine_log *e, struct relay_log_group *lg)
{
    struct relay_group *g = lg->owner;
    g->journal = NULL;
    lg->owner = NULL;
    relay_group_unref(g);
    lg->refs--;
    relay_log_state_tidy(relay_log_state(e->log), lg);
}

/* Nothing of it is in the log or under way, and only we still know the group. */
static bool is_idle(const struct relay_log_group *lg)
{
    const struct relay_group *g = lg->owner;
    return g && g->refs == 1 && lg->refs == 1 && lg->items.n == 0 && !lg->retained.segment &&
           lg->leases == 0;
}

void relay_el_idle(struct relay_engine_log *e, struct relay_log_group *lg)
{
    if (!lg->listed && lg->items.n == 0 && !lg->retained.segment) {
        lg->listed = true;
        lg->refs++; /* it must not go while it is in the list */
        lg->next_listed = e->idle;
        e->idle = lg;
    }
}

void relay_el_tidy(struct relay_engine_log *e)
{
    while (e->idle) {
        struct relay_log_group *lg = e->idle;
        e->idle = lg->next_listed;
        lg->listed = false;
        lg->refs--;
        if (is_idle(lg)) {
            unbind(e, lg);
        } else {
            relay_log_state_tidy(relay_log_state(e->log), lg);
        }
    }
}

void relay_el_sweep(struct relay_engine_log *e)
{
    for (struct relay_log_group *lg = relay_log_state(e->log)->groups, *next; lg; lg = next) {
        next = lg->next;
        if (is_idle(lg)) {
            unbind(e, lg);
        }
    }
}

void relay_el_unbind_all(struct relay_engine_log *e)
{
    relay_el_tidy(e);
    for (struct relay_log_group *lg = relay_log_state(e->log)->groups, *next; lg; lg = next) {
        next = lg->next;
        if (lg->owner) {
            unbind(e, lg);
        }
    }
}

/* --- the journal ------------------------------------------------------------------------------ */

/* What cannot be written down for want of memory is found undone after a restart. */
static void put(struct relay_engine_log *e, const struct relay_log_entry *entry)
{
    int rc = relay_el_put(e, entry);
    e->unwritten |= rc < 0;
    if (rc < 0 && rc != -EIO) {
        nk_warn(nk_app_log(e->conf.app), "relay", "the log could not take a record: %s",
                nk_strerror(rc));
    }
}

void relay_el_drop(struct relay_engine_log *e, struct relay_log_group *lg, uint8_t type,
                   uint64_t first, uint64_t count)
{
    while (count) {
        uint32_t n = count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
        struct relay_log_entry entry = {
            .type = type, .group = lg, .range = {.first = first, .count = n}};
        put(e, &entry);
        first += n;
        count -= n;
    }
    relay_el_idle(e, lg);
}

static void gone(void *owner, struct relay_group *g, uint8_t type, uint64_t first, uint64_t count)
{
    struct relay_engine_log *e = owner;
    struct relay_log_group *lg = relay_el_group(e, g);
    if (lg) {
        relay_el_drop(e, lg, type, first, count);
    }
}

static void on_ack(void *owner, struct relay_group *g, uint64_t first, uint64_t count)
{
    gone(owner, g, RELAY_LOG_ACK, first, count);
}

static void on_drop(void *owner, struct relay_group *g, uint64_t first, uint64_t count,
                    enum relay_drop why)
{
    (void)why;
    gone(owner, g, RELAY_LOG_DROP, first, count);
}

static void on_lease(void *owner, struct relay_group *g, uint64_t seq, uint32_t tries,
                     const uint8_t *tag)
{
    struct relay_engine_log *e = owner;
    struct relay_log_entry entry = {.type = RELAY_LOG_LEASE,
                                    .group = relay_el_group(e, g),
                                    .range = {.first = seq, .count = 1, .tries = tries}};
    if (tag) {
        memcpy(entry.tag, tag, RELAY_LOG_TAG);
    }
    if (entry.group) {
        put(e, &entry);
    }
}

static void on_release(void *owner, struct relay_group *g, uint64_t seq, uint32_t tries,
                       uint64_t delay_ms)
{
    struct relay_engine_log *e = owner;
    uint64_t now = (uint64_t)nk_wall_ms(e->conf.app);
    struct relay_log_entry entry = {.type = RELAY_LOG_RELEASE,
                                    .group = relay_el_group(e, g),
                                    .range = {.first = seq, .count = 1}};
    (void)tries;
    if (delay_ms) {
        entry.range.until_ms = delay_ms < UINT64_MAX - now ? now + delay_ms : UINT64_MAX;
        entry.range.delay_ms = delay_ms;
    }
    if (entry.group) {
        put(e, &entry);
    }
}

/* The dead letter is written first; its copy goes when that counts. Never neither of them. */
static void on_dead(void *owner, struct relay_group *g, uint64_t seq, struct relay_group *to,
                    uint64_t to_seq, uint64_t expires_ms, struct relay_object *o)
{
    struct relay_engine_log *e = owner;
    struct relay_held h = {.op = {.kind = RELAY_OP_ENQUEUE}, .from = relay_el_group(e, g)};
    struct relay_log_entry entry = {.type = RELAY_LOG_ENQUEUE,
                                    .flags = o->flags,
                                    .group = relay_el_group(e, to),
                                    .seq = to_seq,
                                    .object = {.copies = 1, .expires_ms = expires_ms},
                                    .obj = o};
    if (!h.from || !entry.group) {
        return;
    }
    int rc = relay_el_put(e, &entry);
    h.ticket = e->ticket;
    h.from_seq = seq;
    if (rc == 0 && relay_el_hold(e, &h) == 0) {
        h.from->refs++;
    } else if (rc == 0) {
        relay_el_drop(e, h.from, RELAY_LOG_DROP, seq, 1);
    }
}

const struct relay_queue_journal relay_el_journal = {
    .lease = on_lease,
    .release = on_release,
    .ack = on_ack,
    .drop = on_drop,
    .dead = on_dead,
};
