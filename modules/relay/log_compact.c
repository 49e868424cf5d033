/* SPDX-License-Identifier: MIT */
/*
 * Dropping and compaction. Segments go oldest first; what still lives in the oldest is read a
 * stretch at a time on the disk lane, put again at the log's end, and waited for before the next
 * stretch: compaction never has more than one stretch in memory and never delays a commit.
 */
#include <stdlib.h>
#include <unistd.h>

#include "core/app.h"
#include "relay/log_impl.h"

enum {
    STRETCH = 1024 * 1024, /* bytes read at a time; more for one long record */
    WORTH = 4,             /* compact when less than a quarter is alive */
    WORTH_PARTS = 4        /* ... of the whole log, when it has more segments than this */
};

struct relay_log_read {
    struct relay_log *log; /* NULL: not wanted any more */
    bool inside;           /* its work is just being told of, and dropped behind that */
    int fd;
    uint64_t off, end;
    uint8_t *buf;
    size_t cap, n;
    int rc;
};

static void on_read(void *job)
{
    struct relay_log_read *r = job;
    size_t want = r->cap;
    r->n = 0;
    for (;;) {
        while (r->n < want && r->off + r->n < r->end) {
            uint64_t left = r->end - r->off - r->n;
            size_t now = want - r->n < left ? want - r->n : (size_t)left;
            ssize_t got = pread(r->fd, r->buf + r->n, now, (off_t)(r->off + r->n));
            if (got <= 0) {
                r->rc = got < 0 ? -errno : -EIO;
                return;
            }
            r->n += (size_t)got;
        }
        if (r->n < RELAY_LOG_HEAD) {
            return;
        }
        want = RELAY_LOG_HEAD + (size_t)relay_log_get32(r->buf);
        if (want <= r->cap || want > r->end - r->off) {
            return;
        }
        uint8_t *more = realloc(r->buf, want);
        if (!more) {
            r->rc = -ENOMEM;
            return;
        }
        r->buf = more;
        r->cap = want;
    }
}

/* --- carrying over ---------------------------------------------------------------------------- */

static int put(struct relay_log *log, const struct relay_log_entry *e)
{
    return relay_log_put(log, e, &log->compaction.ticket);
}

static int put_lease(struct relay_log *log, const struct relay_log_lease *l)
{
    struct relay_log_entry e = {.type = RELAY_LOG_LEASE,
                                .group = l->group,
                                .range = {.first = l->seq, .count = 1, .tries = l->tries}};
    bool leased = l->leased;
    for (size_t i = 0; i < RELAY_LOG_TAG; i++) {
        e.tag[i] = l->tag[i];
    }
    int rc = put(log, &e);
    if (rc == 0 && !leased) {
        e.type = RELAY_LOG_RELEASE;
        e.range.tries = 0;
        e.range.until_ms = l->until_ms;
        e.range.delay_ms = l->delay_ms;
        rc = put(log, &e);
    }
    return rc;
}

static int put_leases(struct relay_log *log, struct relay_log_group *g,
                      const struct relay_log_item *it)
{
    struct relay_log_state *s = &log->state;
    int rc = 0;
    if (it->copies <= s->lease_cap) {
        for (uint64_t i = 0; rc == 0 && g->leases && i < it->copies; i++) {
            const struct relay_log_lease *l = relay_log_state_lease_find(s, g, it->first + i);
            rc = l ? put_lease(log, l) : 0;
        }
        return rc;
    }
    for (size_t i = 0; rc == 0 && g->leases && i < s->lease_cap; i++) {
        const struct relay_log_lease *l = &s->lease[i];
        if (l->group == g && l->seq - it->first < it->copies) {
            rc = put_lease(log, l);
        }
    }
    return rc;
}

static int put_object(struct relay_log *log, struct relay_log_entry *e,
                      const struct relay_log_object *o)
{
    e->obj = relay_object_copy(log->conf.memory, o->bytes, o->len);
    if (!e->obj) {
        return -ENOMEM;
    }
    if (o->name && log->conf.publishers) {
        e->obj->publisher =
            relay_publisher(log->conf.publishers, (const char *)o->name, o->name_len);
    }
    e->flags |= RELAY_LOG_COPIED;
    int rc = put(log, e);
    relay_object_unref(e->obj);
    return rc;
}

static int carry_items(struct relay_log *log, struct relay_log_group *g,
                       const struct relay_log_record *r, const struct relay_log_object *o,
                       uint64_t off)
{
    int rc = 0;
    uint64_t end = r->seq + o->copies;
    for (size_t i = relay_log_items_find(&g->items, r->seq); rc == 0 && i < g->items.n; i++) {
        struct relay_log_item it = *relay_log_items_at(&g->items, i);
        if (it.first >= end) {
            break;
        }
        if (it.segment != log->compaction.segment || it.off != off) {
            continue;
        }
        struct relay_log_entry e = {.type = RELAY_LOG_ENQUEUE,
                                    .flags = it.flags,
                                    .group = g,
                                    .seq = it.first,
                                    .object = {.copies = it.copies, .expires_ms = it.expires_ms}};
        rc = put_object(log, &e, o);
        rc = rc < 0 ? rc : put_leases(log, g, &it);
    }
    return rc;
}

static int carry_producer(struct relay_log *log, struct relay_log_group *g, uint64_t id)
{
    struct relay_log_producer *p = relay_log_state_producer_find(&log->state, g, id);
    if (!p || p->segment != log->compaction.segment || p->moving == log->compaction.run) {
        return 0;
    }
    p->moving = log->compaction.run;
    struct relay_log_entry e = {.type = RELAY_LOG_PRODUCER,
                                .group = g,
                                .seq = p->seq,
                                .object = {.producer = id, .expires_ms = p->seen_ms}};
    return put(log, &e);
}

static int carry_retained(struct relay_log *log, struct relay_log_group *g,
                          const struct relay_log_object *o, uint64_t off)
{
    const struct relay_log_retained *have = &g->retained;
    if (have->segment != log->compaction.segment || have->off != off) {
        return 0;
    }
    struct relay_log_entry e = {.type = RELAY_LOG_RETAIN,
                                .flags = have->flags,
                                .group = g,
                                .seq = have->version,
                                .object = {.epoch = have->epoch}};
    return put_object(log, &e, o);
}

/* body_at: where the record's body begins in its segment. */
static int carry(struct relay_log *log, const struct relay_log_record *r, uint64_t body_at)
{
    struct relay_log_group *g = relay_log_state_by_id(&log->state, r->group);
    struct relay_log_object o;
    uint64_t id, seen;
    if (!g) {
        return 0;
    }
    if (r->type == RELAY_LOG_PRODUCER && relay_log_producer_read(r, &id, &seen) == 0) {
        return carry_producer(log, g, id);
    }
    if ((r->type != RELAY_LOG_ENQUEUE && r->type != RELAY_LOG_RETAIN) ||
        relay_log_object_read(r, &o) < 0) {
        return 0;
    }
    if (r->type == RELAY_LOG_RETAIN) {
        return carry_retained(log, g, &o,
                              body_at + relay_log_fixed_len(r->type, o.name, o.name_len));
    }
    int rc = carry_items(log, g, r, &o, body_at + RELAY_LOG_ENQUEUE_FIXED);
    return rc == 0 && o.producer ? carry_producer(log, g, o.producer) : rc;
}

/* --- stretch after stretch -------------------------------------------------------------------- */

static void read_free(struct relay_log_read *r)
{
    if (r) {
        close(r->fd);
        free(r->buf);
        free(r);
    }
}

void relay_log_compact_stop(struct relay_log *log)
{
    struct relay_log_compaction *c = &log->compaction;
    if (c->work || (c->read && c->read->inside)) {
        c->read->log = NULL; /* freed by on_drop */
        nk_work_cancel(c->work);
    } else {
        read_free(c->read);
    }
    c->work = NULL;
    c->read = NULL;
    c->running = false;
}

static void done_with(struct relay_log *log)
{
    struct relay_log_compaction *c = &log->compaction;
    const struct relay_log_part *part = relay_log_state_part_find(&log->state, c->segment);
    relay_log_compact_stop(log);
    if (part && part->live) {
        c->stuck = c->segment; /* not tried again */
        nk_warn(nk_app_log(log->conf.app), "relay",
                "the log's segment %016llx could not be compacted", (unsigned long long)c->segment);
    }
    relay_log_tidy(log);
}

static void on_stretch(void *job)
{
    struct relay_log_read *r = job;
    struct relay_log *log = r->log;
    struct relay_log_compaction *c = &log->compaction;
    struct relay_log_record record;
    size_t used, at = 0;
    int rc = r->rc;
    r->inside = true;
    c->work = NULL;
    c->ticket = 0;
    while (rc == 0 && at < r->n) {
        rc = relay_log_record_read(r->buf + at, r->n - at, &record, &used);
        if (rc == NK_ETRUNC && at) {
            rc = 0;
            break; /* goes on in the next stretch */
        }
        rc = rc < 0 ? rc : carry(log, &record, c->off + at + RELAY_LOG_HEAD);
        at += rc == 0 ? used : 0;
    }
    c->off += at;
    if (rc < 0) {
        nk_warn(nk_app_log(log->conf.app), "relay", "compaction of the log's segment %016llx: %s",
                (unsigned long long)c->segment, nk_strerror(rc));
        c->stuck = rc == NK_EFORMAT || rc == NK_ETRUNC || rc == -EIO ? c->segment : c->stuck;
        relay_log_compact_stop(log);
    } else if (!c->ticket) {
        relay_log_compact_next(log);
    }
}

static void on_drop(void *job)
{
    struct relay_log_read *r = job;
    r->inside = false;
    if (!r->log) {
        read_free(r);
    }
}

static const struct nk_work_ops read_ops = {.run = on_read, .done = on_stretch, .drop = on_drop};

void relay_log_compact_next(struct relay_log *log)
{
    struct relay_log_compaction *c = &log->compaction;
    if (!c->running || c->work || c->ticket > log->reported) {
        return;
    }
    c->read->off = c->off;
    if (c->off >= c->read->end) {
        done_with(log);
    } else if (nk_work_submit(log->conf.app, NK_LANE_DISK, &read_ops, c->read, &c->work) < 0) {
        relay_log_compact_stop(log);
    }
}

static void start(struct relay_log *log, const struct relay_log_part *part)
{
    struct relay_log_compaction *c = &log->compaction;
    struct relay_log_read *r = calloc(1, sizeof(*r));
    if (!r) {
        return;
    }
    r->log = log;
    r->end = part->bytes;
    r->cap = STRETCH;
    r->buf = malloc(STRETCH);
    r->fd = relay_log_open_file(log->dir, part->number, "log", false);
    if (!r->buf || r->fd < 0) {
        if (r->fd < 0) {
            c->stuck = part->number;
            free(r->buf);
            free(r);
        } else {
            read_free(r);
        }
        return;
    }
    c->read = r;
    c->running = true;
    c->run++;
    c->segment = part->number;
    c->off = RELAY_LOG_SEGMENT_HEAD;
    c->ticket = 0;
    relay_log_compact_next(log);
}

static bool worth(const struct relay_log *log)
{
    const struct relay_log_compaction *c = &log->compaction;
    const struct relay_log_part *oldest = &log->state.part[0];
    if (oldest->number == c->stuck) {
        return false;
    }
    if (c->all && oldest->number <= c->until) {
        return true;
    }
    uint64_t all, live = relay_log_state_live(&log->state, &all);
    return oldest->live_bytes < oldest->bytes / WORTH ||
           (log->state.nparts > WORTH_PARTS && live < all / WORTH);
}

void relay_log_tidy(struct relay_log *log)
{
    struct relay_log_state *s = &log->state;
    if (log->compaction.running || log->stats.failed) {
        return;
    }
    while (s->nparts > 1 && s->part[0].live == 0) {
        relay_log_chore(log, RELAY_LOG_CHORE_REMOVE, s->part[0].number);
        relay_log_state_part_drop(s);
    }
    if (s->nparts > 1 && worth(log)) {
        start(log, &s->part[0]);
    } else {
        log->compaction.all = false;
    }
}

void relay_log_compact(struct relay_log *log)
{
    log->compaction.all = true;
    log->compaction.until = log->state.part[log->state.nparts - 1].number;
    log->compaction.stuck = 0;
    log->rotate_due = log->sync_due = true; /* the newest is compacted as well */
    relay_log_kick(log);
}

bool relay_log_compacting(const struct relay_log *log)
{
    return log->compaction.running || log->compaction.all;
}
