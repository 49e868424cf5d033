/* SPDX-License-Identifier: MIT */
/* A running log: what is put, when it is written, and what follows when it counts. */
#include "relay/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/app.h"
#include "core/clock.h"
#include "relay/log_impl.h"

enum {
    PENDING_MIN = 64,
    RETRY_MS = 500,
    FULL_ROTATE_BYTES = 64 * 1024,
    MEAN_SHIFT = 3,
    EARLY_PART = 2 /* of the last batch; less waits for more */
};
#define PRODUCER_MS ((uint64_t)3600 * 1000)
#define NS_PER_US 1000u

static struct nk_log *log_of(const struct relay_log *log)
{
    return nk_app_log(log->conf.app);
}

/* --- putting ---------------------------------------------------------------------------------- */

/* What must be written whatever happens; the rest can be refused. */
static bool must_write(const struct relay_log_entry *e)
{
    return !e->obj;
}

/* Consumed or leased items that follow on from the last entry become part of it. */
static bool merge(struct relay_log *log, const struct relay_log_entry *e)
{
    if (log->pending.n == 0) {
        return false;
    }
    struct relay_log_entry *last = &log->pending.v[log->pending.n - 1].e;
    uint32_t max = e->type == RELAY_LOG_LEASE ? RELAY_LOG_LEASE_COUNT_MAX : UINT32_MAX;
    if (last->type != e->type || last->group != e->group ||
        last->range.first + last->range.count != e->range.first ||
        last->range.count > max - e->range.count || last->range.tries != e->range.tries ||
        last->range.until_ms != e->range.until_ms || last->range.delay_ms != e->range.delay_ms ||
        (e->type == RELAY_LOG_LEASE && memcmp(last->tag, e->tag, RELAY_LOG_TAG) != 0)) {
        return false;
    }
    last->range.count += e->range.count;
    return true;
}

static bool is_range(uint8_t type)
{
    return type >= RELAY_LOG_ACK && type <= RELAY_LOG_DROP;
}

/* A RETAIN of the same group that still waits is overtaken: the newer object takes its place. */
static bool replace_retain(struct relay_log *log, const struct relay_log_entry *e, uint64_t *ticket)
{
    struct relay_log_group *g = e->group;
    if (e->type != RELAY_LOG_RETAIN || (e->flags & RELAY_LOG_COPIED) ||
        g->retain_at >= log->pending.n) {
        return false;
    }
    struct relay_log_waiting *w = &log->pending.v[g->retain_at];
    if (w->ticket != g->retain_ticket || w->e.group != g || w->e.type != RELAY_LOG_RETAIN ||
        (w->e.flags & RELAY_LOG_COPIED)) {
        return false;
    }
    struct relay_object *old = w->e.obj;
    w->e = *e;
    w->e.obj = relay_object_ref(e->obj);
    relay_object_unref(old);
    *ticket = w->ticket;
    return true;
}

static int grow(struct relay_log_vector *p, size_t need)
{
    size_t cap = p->cap ? p->cap : PENDING_MIN;
    while (cap < need) {
        cap *= 2;
    }
    struct relay_log_waiting *v = cap == p->cap ? p->v : realloc(p->v, cap * sizeof(*v));
    if (!v) {
        return -ENOMEM;
    }
    p->v = v;
    p->cap = cap;
    return 0;
}

/* What is known of leases changes at once: it is about items that count already. */
static int apply_now(struct relay_log *log, const struct relay_log_entry *e)
{
    struct relay_log_state *s = &log->state;
    switch (e->type) {
    case RELAY_LOG_ACK:
    case RELAY_LOG_DROP:
        relay_log_state_remove(s, e->group, e->range.first, e->range.count);
        return 0;
    case RELAY_LOG_LEASE:
        return relay_log_state_lease(s, e->group, e->tag, &e->range);
    case RELAY_LOG_RELEASE:
        relay_log_state_release(s, e->group, &e->range);
        return 0;
    case RELAY_LOG_ENQUEUE:
        return e->flags & RELAY_LOG_COPIED ? 0 : relay_log_items_reserve(&e->group->items);
    default:
        return 0;
    }
}

static int check_put(const struct relay_log *log, const struct relay_log_entry *e)
{
    if (log->stats.failed) {
        return -EIO;
    }
    if (e->obj && e->obj->total >= RELAY_LOG_BODY_MAX - RELAY_LOG_FIXED_MAX) {
        return NK_ETOOBIG;
    }
    return e->obj && log->stats.full && !(e->flags & RELAY_LOG_COPIED) ? -ENOSPC : 0;
}

int relay_log_put(struct relay_log *log, const struct relay_log_entry *e, uint64_t *ticket)
{
    struct relay_log_vector *p = &log->pending;
    int rc = check_put(log, e);
    rc = rc < 0 ? rc : grow(p, p->n + 1);
    rc = rc < 0 ? rc : apply_now(log, e);
    if (rc < 0) {
        return rc;
    }
    if (e->type == RELAY_LOG_ENQUEUE && e->seq + e->object.copies - 1 > log->state.floor) {
        log->state.floor = e->seq + e->object.copies - 1; /* the next segment's header says so */
    }
    uint64_t mine = log->ticket;
    if (!(is_range(e->type) && merge(log, e)) && !replace_retain(log, e, &mine)) {
        mine = ++log->ticket;
        p->v[p->n] = (struct relay_log_waiting){.e = *e, .ticket = mine};
        e->group->refs++;
        if (e->obj) {
            relay_object_ref(e->obj);
        }
        if (e->type == RELAY_LOG_RETAIN && !(e->flags & RELAY_LOG_COPIED)) {
            e->group->retain_at = p->n;
            e->group->retain_ticket = mine;
        }
        p->n++;
        relay_log_kick(log);
    }
    *ticket = mine;
    return 0;
}

/* Tickets ascend, but for what was put off because the disk was full: that stands first. */
bool relay_log_counts(const struct relay_log *log, uint64_t ticket)
{
    return ticket <= log->reported && !(log->pending.n && log->pending.v[0].ticket <= ticket) &&
           !(log->flight.n && log->flight.v[0].ticket <= ticket);
}

uint64_t relay_log_version_epoch(const struct relay_log *log)
{
    return log->versions;
}

bool relay_log_idle(const struct relay_log *log)
{
    return !log->work && log->pending.n == 0;
}

struct relay_log_state *relay_log_state(struct relay_log *log)
{
    return &log->state;
}

/* --- when a batch counts ---------------------------------------------------------------------- */

static void count_enqueue(struct relay_log *log, const struct relay_log_waiting *w,
                          uint64_t segment)
{
    const struct relay_log_entry *e = &w->e;
    bool copied = e->flags & RELAY_LOG_COPIED;
    struct relay_log_item item = {.first = e->seq,
                                  .copies = e->object.copies,
                                  .expires_ms = e->object.expires_ms,
                                  .segment = segment,
                                  .off = w->at + RELAY_LOG_ENQUEUE_FIXED,
                                  .len = (uint32_t)e->obj->total,
                                  .flags = e->flags & (RELAY_LOG_META | RELAY_LOG_CONTENT)};
    if (copied) { /* unless it was consumed meanwhile */
        size_t i = relay_log_items_find(&e->group->items, e->seq);
        if (i == e->group->items.n || relay_log_items_at(&e->group->items, i)->first != e->seq) {
            return;
        }
        log->stats.compacted++;
    } else {
        relay_log_items_unreserve(&e->group->items);
    }
    if (relay_log_state_enqueue(&log->state, e->group, &item, copied) < 0) {
        log->state.blurred = true; /* not with the room that was reserved */
    }
    if (e->object.producer && !copied &&
        relay_log_state_producer(&log->state, e->group, e->object.producer, e->object.producer_seq,
                                 (uint64_t)nk_wall_ms(log->conf.app), segment) < 0) {
        nk_warn(log_of(log), "relay", "no memory to remember a producer");
    }
}

static void count_retain(struct relay_log *log, const struct relay_log_waiting *w, uint64_t segment)
{
    const struct relay_log_entry *e = &w->e;
    const struct relay_log_retained *have = &e->group->retained;
    if ((e->flags & RELAY_LOG_COPIED) &&
        !(have->segment && have->epoch == e->object.epoch && have->version == e->seq)) {
        return; /* replaced meanwhile */
    }
    const char *name = relay_log_publisher(log, e->obj);
    uint8_t name_len = name ? (uint8_t)strlen(name) : 0;
    struct relay_log_retained r = {.segment = segment,
                                   .epoch = e->object.epoch,
                                   .version = e->seq,
                                   .off = w->at + relay_log_fixed_len(e->type, name, name_len),
                                   .len = (uint32_t)e->obj->total,
                                   .flags = e->flags & (RELAY_LOG_META | RELAY_LOG_CONTENT),
                                   .named = name != NULL,
                                   .name_len = name_len};
    relay_log_state_retain(&log->state, e->group, &r);
}

static void count_one(struct relay_log *log, const struct relay_log_waiting *w, uint64_t segment)
{
    const struct relay_log_entry *e = &w->e;
    switch (e->type) {
    case RELAY_LOG_ENQUEUE:
        count_enqueue(log, w, segment);
        break;
    case RELAY_LOG_RETAIN:
        count_retain(log, w, segment);
        break;
    case RELAY_LOG_PRODUCER:
        if (relay_log_state_producer(&log->state, e->group, e->object.producer, e->seq,
                                     e->object.expires_ms, segment) < 0) {
            log->state.blurred = true;
        }
        break;
    case RELAY_LOG_PURGE:
        relay_log_state_purge(&log->state, e->group, e->seq, e->flags & RELAY_LOG_RETAINED);
        break;
    default:
        break;
    }
}

static void let_go(struct relay_log *log, struct relay_log_waiting *w)
{
    relay_object_unref(w->e.obj);
    w->e.group->refs--;
    relay_log_state_tidy(&log->state, w->e.group);
}

static uint64_t last_ticket(const struct relay_log *log, const struct relay_log_vector *f)
{
    uint64_t last = log->reported;
    for (size_t i = 0; i < f->n; i++) {
        last = f->v[i].ticket > last ? f->v[i].ticket : last;
    }
    return last;
}

static void tell(struct relay_log *log, uint64_t ticket, int status)
{
    log->reported = ticket;
    log->conf.ops->committed(log->conf.owner, ticket, status);
}

/* The file is longer by this batch. */
static void grown(struct relay_log *log, const struct relay_log_job *j)
{
    struct relay_log_part *part = &log->state.part[log->state.nparts - 1];
    log->size = part->bytes = j->end;
    log->durable = j->sync ? j->end : log->durable;
    log->stats.records += log->flight.n;
    log->stats.commits += log->flight.n > 0;
    if (!j->sync && log->conf.sync == RELAY_LOG_SYNC_INTERVAL && !log->sync_timer.armed) {
        nk_timer_start(&log->sync_timer, log->conf.sync_ms);
    }
    log->sync_due = log->sync_due && !j->sync;
}

/* What was written in `segment` counts. */
static void batch_counts(struct relay_log *log, struct relay_log_vector *f, uint64_t segment)
{
    uint64_t last = last_ticket(log, f);
    bool any = f->n > 0;
    for (size_t i = 0; i < f->n; i++) {
        count_one(log, &f->v[i], segment);
        let_go(log, &f->v[i]);
    }
    f->n = 0;
    if (any) {
        tell(log, last, 0);
    }
}

/* Nothing of the flight was written: objects are refused, the rest goes to the front of the line.
 */
static void batch_refused(struct relay_log *log, int status)
{
    struct relay_log_vector *f = &log->flight, *p = &log->pending;
    uint64_t last = last_ticket(log, f);
    size_t keep = 0;
    for (size_t i = 0; i < f->n; i++) {
        struct relay_log_waiting *w = &f->v[i];
        w->e.group->declared = w->declares ? 0 : w->e.group->declared;
        if (must_write(&w->e)) {
            f->v[keep++] = *w;
            continue;
        }
        log->stats.refused += !(w->e.flags & RELAY_LOG_COPIED);
        if (w->e.type == RELAY_LOG_ENQUEUE && !(w->e.flags & RELAY_LOG_COPIED)) {
            relay_log_items_unreserve(&w->e.group->items);
        }
        let_go(log, w);
    }
    f->n = 0;
    if (keep && grow(p, p->n + keep) == 0) {
        memmove(p->v + keep, p->v, p->n * sizeof(*p->v));
        memcpy(p->v, f->v, keep * sizeof(*p->v));
        p->n += keep;
        for (size_t i = 0; i < p->n; i++) {
            if (p->v[i].e.type == RELAY_LOG_RETAIN) {
                p->v[i].e.group->retain_at = i;
            }
        }
    } else if (keep) {
        /* what is not written down will be found undone after a restart, no worse */
        for (size_t i = 0; i < keep; i++) {
            let_go(log, &f->v[i]);
        }
    }
    relay_log_compact_stop(log);
    tell(log, last, status);
}

static void failed(struct relay_log *log, int code)
{
    if (log->stats.failed) {
        return;
    }
    log->stats.failed = true;
    relay_log_compact_stop(log);
    nk_error(log_of(log), "relay", "the log in %s cannot be written any more: %s", log->conf.dir,
             nk_strerror(code));
    log->conf.ops->fatal(log->conf.owner, code);
}

static void filled_up(struct relay_log *log, int code)
{
    bool released = log->reserve && log->job->release_reserve;
    if (!log->stats.full) {
        log->stats.full = true;
        nk_error(log_of(log), "relay", "the log in %s has no room: %s", log->conf.dir,
                 nk_strerror(code));
    }
    log->reserve = log->reserve && !released;
    const struct relay_log_part *part = &log->state.part[log->state.nparts - 1];
    log->rotate_due = part->live == 0 && log->size > FULL_ROTATE_BYTES;
    batch_refused(log, code);
    if (released && log->pending.n) {
        relay_log_kick(log);
    } else {
        nk_timer_start(&log->retry, RETRY_MS);
    }
}

/* The new segment is there, whatever became of the batch. */
static void rotated(struct relay_log *log, const struct relay_log_job *j)
{
    uint64_t sealed = log->state.part[log->state.nparts - 1].number;
    close(log->fd);
    relay_log_view_clear(log);
    log->fd = j->new_fd;
    log->size = log->durable = RELAY_LOG_SEGMENT_HEAD;
    log->rotate_due = log->outdated = false;
    if (relay_log_state_part(&log->state, j->head.number, j->head.floor) < 0) {
        failed(log, -ENOMEM);
        return;
    }
    log->state.part[log->state.nparts - 1].bytes = log->size;
    relay_log_chore(log, RELAY_LOG_CHORE_INDEX, sealed);
    relay_log_scrub_start(log);
    uint64_t wall = (uint64_t)nk_wall_ms(log->conf.app), age = log->conf.producer_ms;
    relay_log_state_forget_producers(&log->state, wall > age ? wall - age : 0); /* no clock yet */
}

static void measure(struct relay_log *log, const struct relay_log_job *j)
{
    uint64_t us = j->sync_ns / NS_PER_US;
    if (!j->sync) {
        return;
    }
    log->stats.syncs++;
    log->stats.sync_us_max = us > log->stats.sync_us_max ? us : log->stats.sync_us_max;
    uint64_t mean = log->stats.sync_us_mean;
    log->stats.sync_us_mean = mean ? mean - (mean >> MEAN_SHIFT) + (us >> MEAN_SHIFT) : us;
}

static bool wanted(const struct relay_log *log)
{
    return !log->work && !log->stats.failed && (log->pending.n || log->sync_due);
}

static void on_done(void *job);

static void on_drop(void *job)
{
    struct relay_log_job *j = job;
    if (!j->log) {
        relay_log_job_free(j);
    }
}

static const struct nk_work_ops job_ops = {
    .run = relay_log_job_run, .done = on_done, .drop = on_drop};

/* Hand the next batch to the thread. On failure it may be in flight already. */
static int begin_next(struct relay_log *log)
{
    int rc = relay_log_plan(log);
    return rc < 0 ? rc : nk_work_submit(log->conf.app, NK_LANE_LOG, &job_ops, log->job, &log->work);
}

static void begin_failed(struct relay_log *log, int rc)
{
    if (log->flight.n) {
        batch_refused(log, rc);
    }
    nk_timer_start(&log->retry, RETRY_MS);
}

/* Enough waits to be worth a sync of its own. The few objects that came behind a large batch are
 * better off with those that its receipts will bring: they are begun at the end of the turn. */
static bool worthwhile(const struct relay_log *log, size_t flown)
{
    return log->pending.n >= flown / EARLY_PART;
}

/* The disk goes on with the next batch while the loop looks after this one. */
static void succeeded(struct relay_log *log, const struct relay_log_job *j)
{
    struct relay_log_vector f = log->flight;
    uint64_t segment = log->state.part[log->state.nparts - 1].number;
    measure(log, j);
    grown(log, j);
    log->flight = log->spare;
    log->spare = (struct relay_log_vector){0};
    bool early = wanted(log) && worthwhile(log, f.n) && !log->closing && !log->stats.full &&
                 !log->retry.armed;
    int rc = early ? begin_next(log) : 0;
    batch_counts(log, &f, segment);
    log->spare = f;
    if (rc < 0) {
        begin_failed(log, rc);
    }
    relay_log_tidy(log);
    relay_log_compact_next(log);
    if (log->stats.full && log->pending.n == 0) {
        nk_timer_start(&log->retry, 0);
    }
}

/* The thread is done with the job. */
static void finish(struct relay_log *log)
{
    struct relay_log_job *j = log->job;
    log->work = NULL;
    if (j->rotated) {
        rotated(log, j);
    }
    if (log->stats.failed) {
        return;
    }
    if (j->rc == -ENOSPC || j->rc == -EDQUOT) {
        filled_up(log, j->rc);
    } else if (j->rc < 0) {
        failed(log, j->rc);
    } else {
        succeeded(log, j);
    }
}

static void on_done(void *job)
{
    struct relay_log *log = ((struct relay_log_job *)job)->log;
    finish(log);
    if (wanted(log) && !log->retry.armed) {
        relay_log_kick(log);
    }
}

static void on_kick(void *owner)
{
    struct relay_log *log = owner;
    int rc = wanted(log) ? begin_next(log) : 0;
    if (rc < 0) {
        begin_failed(log, rc);
    }
}

void relay_log_kick(struct relay_log *log)
{
    nk_app_defer(log->conf.app, &log->kick);
}

/* Perhaps there is room now. The reserve comes first: it takes care that objects do not use up what
 * consuming them needs. */
static void on_retry(void *owner)
{
    struct relay_log *log = owner;
    if (log->pending.n) {
        relay_log_kick(log);
    } else if (log->stats.full) {
        relay_log_chore(log, RELAY_LOG_CHORE_RESERVE, 0);
    }
}

static void on_sync_timer(void *owner)
{
    struct relay_log *log = owner;
    log->sync_due = true;
    relay_log_kick(log);
}

/* --- ends ------------------------------------------------------------------------------------- */

int relay_log_open(const struct relay_log_conf *conf, struct relay_log **out, struct nk_diag *diag)
{
    struct relay_log *log = calloc(1, sizeof(*log));
    if (!log) {
        return nk_fail_sys(diag, -ENOMEM, "log");
    }
    log->conf = *conf;
    log->io = conf->io ? conf->io : relay_log_io_system();
    log->dir = log->fd = -1;
    if (!log->conf.segment_bytes) {
        log->conf.segment_bytes = RELAY_LOG_SEGMENT_BYTES;
    }
    if (!log->conf.producer_ms) {
        log->conf.producer_ms = PRODUCER_MS;
    }
    relay_log_scrub_init(log);
    nk_timer_init(&log->retry, conf->app, on_retry, log);
    nk_timer_init(&log->sync_timer, conf->app, on_sync_timer, log);
    log->kick = (struct nk_defer){.fn = on_kick, .owner = log};
    log->job = relay_log_job_new(log);
    int rc = log->job ? relay_log_load(log, diag) : nk_fail_sys(diag, -ENOMEM, "log");
    if (rc < 0) {
        relay_log_close(log);
        return rc;
    }
    *out = log;
    return 0;
}

static void nobody_committed(void *owner, uint64_t ticket, int status)
{
    (void)owner, (void)ticket, (void)status;
}

static void nobody_fatal(void *owner, int code)
{
    (void)owner, (void)code;
}

static const struct relay_log_ops nobody = {.committed = nobody_committed, .fatal = nobody_fatal};

/* Write here and now what still waits, as far as that goes; nobody hears of it. */
static void write_rest(struct relay_log *log)
{
    log->conf.ops = &nobody;
    log->sync_due = log->durable < log->size && log->conf.sync != RELAY_LOG_SYNC_OFF;
    while (!log->stats.failed && !log->stats.full && (log->pending.n || log->sync_due) &&
           relay_log_plan(log) == 0) {
        relay_log_job_run(log->job);
        finish(log);
    }
    if (!log->stats.failed && !log->pending.n) {
        (void)relay_log_clean_write(log->dir, log->versions); /* only costs a replay */
    }
}

static void vector_clear(struct relay_log_vector *p)
{
    for (size_t i = 0; i < p->n; i++) {
        relay_object_unref(p->v[i].e.obj);
    }
    free(p->v);
}

/* The job's memory is the work's until that has been dropped. One that no thread has begun is done
 * here. */
static void end_work(struct relay_log *log)
{
    struct nk_work *work = log->work;
    struct relay_log_job *j = log->job;
    if (!work || !j) {
        return;
    }
    log->conf.ops = &nobody;
    if (!nk_work_wait(work)) {
        relay_log_job_run(j);
    }
    nk_work_cancel(work);
    finish(log);
    j->log = NULL; /* freed by on_drop */
    log->job = relay_log_job_new(log);
}

void relay_log_close(struct relay_log *log)
{
    if (!log) {
        return;
    }
    log->closing = true;
    end_work(log);
    if (log->job && log->fd >= 0) {
        write_rest(log);
    }
    relay_log_compact_stop(log);
    relay_log_chores_leave(log);
    nk_timer_stop(&log->retry);
    nk_timer_stop(&log->sync_timer);
    nk_app_defer_cancel(log->conf.app, &log->kick);
    relay_log_job_free(log->job);
    relay_log_scrub_stop(log);
    relay_log_view_clear(log);
    vector_clear(&log->pending);
    vector_clear(&log->flight);
    vector_clear(&log->spare);
    relay_log_state_clear(&log->state);
    if (log->fd >= 0) {
        close(log->fd);
    }
    if (log->dir >= 0) {
        close(log->dir);
    }
    free(log);
}

void relay_log_stats(const struct relay_log *log, struct relay_log_stats *out)
{
    *out = log->stats;
    out->segments = log->state.nparts;
    out->live_bytes = relay_log_state_live(&log->state, &out->bytes);
}
