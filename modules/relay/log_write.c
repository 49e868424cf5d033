/* SPDX-License-Identifier: MIT */
/* One batch: what goes into it (on the loop), and writing it (on the log's thread). */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/app.h"
#include "core/clock.h"
#include "relay/log_crc.h"
#include "relay/log_impl.h"

enum { DIRECT_MIN = 256 * 1024, PIECES_MIN = 64 };
#define ARENA_MAX ((size_t)1 << 30)

struct relay_log_job *relay_log_job_new(struct relay_log *log)
{
    struct relay_log_job *j = calloc(1, sizeof(*j));
    uint8_t *staging = j ? malloc(RELAY_LOG_STAGING) : NULL;
    if (!staging) {
        free(j);
        return NULL;
    }
    j->log = log;
    j->staging = staging;
    j->io = log->io;
    nk_buf_init(&j->arena, ARENA_MAX);
    return j;
}

void relay_log_job_free(struct relay_log_job *j)
{
    if (j) {
        nk_buf_clear(&j->arena);
        free(j->piece);
        free(j->staging);
        free(j);
    }
}

/* --- the plan --------------------------------------------------------------------------------- */

static bool is_object(uint8_t type)
{
    return type == RELAY_LOG_ENQUEUE || type == RELAY_LOG_RETAIN;
}

const char *relay_log_publisher(const struct relay_log *log, const struct relay_object *o)
{
    const struct relay_publishers *p = log->conf.publishers;
    const char *name = p ? relay_publisher_name(p, o->publisher) : NULL;
    return name && strlen(name) <= UINT8_MAX ? name : NULL;
}

static size_t retain_part(const struct relay_log *log, const struct relay_log_entry *e,
                          uint8_t *out, uint8_t *flags)
{
    struct relay_log_object o = e->object;
    const char *name = relay_log_publisher(log, e->obj);
    o.name = (const uint8_t *)name;
    o.name_len = name ? (uint8_t)strlen(name) : 0;
    *flags |= name ? RELAY_LOG_NAMED : 0;
    return relay_log_object_fixed(e->type, &o, out);
}

/* Bytes of the body before the object, written to out (RELAY_LOG_FIXED_MAX bytes), and what they
 * add to the record's flags. */
static size_t fixed_part(const struct relay_log *log, const struct relay_log_entry *e, uint8_t *out,
                         uint8_t *flags)
{
    size_t n = 0;
    switch (e->type) {
    case RELAY_LOG_ENQUEUE:
        return relay_log_object_fixed(e->type, &e->object, out);
    case RELAY_LOG_RETAIN:
        return retain_part(log, e, out, flags);
    case RELAY_LOG_PRODUCER:
        relay_log_producer_write(out, e->object.producer, e->object.expires_ms);
        return RELAY_LOG_PRODUCER_BYTES;
    case RELAY_LOG_LEASE:
        memcpy(out, e->tag, RELAY_LOG_TAG);
        n = RELAY_LOG_TAG;
        break;
    case RELAY_LOG_RELEASE:
        if (e->range.until_ms) {
            *flags |= RELAY_LOG_DELAYED;
            relay_log_put64(out, e->range.until_ms);
            relay_log_put64(out + sizeof(uint64_t), e->range.delay_ms);
            n = RELAY_LOG_DELAY_BYTES;
        }
        break;
    case RELAY_LOG_PURGE:
        return 0;
    default:
        break;
    }
    return n + relay_log_range_write(e->type, &e->range, out + n);
}

static int add_piece(struct relay_log_job *j, size_t off, size_t len,
                     const struct relay_object *obj)
{
    if (j->pieces && !obj && !j->piece[j->pieces - 1].obj) {
        j->piece[j->pieces - 1].len += len; /* whole records follow one another in the arena */
        return 0;
    }
    if (j->pieces == j->piece_cap) {
        size_t cap = j->piece_cap ? j->piece_cap * 2 : PIECES_MIN;
        struct relay_log_piece *v = realloc(j->piece, cap * sizeof(*v));
        if (!v) {
            return -ENOMEM;
        }
        j->piece = v;
        j->piece_cap = cap;
    }
    j->piece[j->pieces++] = (struct relay_log_piece){.off = off, .len = len, .obj = obj};
    return 0;
}

/* A record of which everything is at hand. */
static int add_record(struct relay_log_job *j, const struct relay_log_record *r)
{
    uint8_t *p;
    size_t off = nk_buf_len(&j->arena), len = RELAY_LOG_HEAD + r->len;
    int rc = nk_buf_reserve(&j->arena, len, &p);
    if (rc < 0) {
        return rc;
    }
    relay_log_record_write(p, r);
    nk_buf_commit(&j->arena, len);
    rc = add_piece(j, off, len, NULL);
    j->end += rc == 0 ? len : 0;
    return rc;
}

/* The head and fixed part of a record whose object the thread appends and sums up. */
static int add_object(struct relay_log_job *j, struct relay_log_record r, const uint8_t *fixed,
                      size_t fixed_len, const struct relay_object *obj)
{
    uint8_t *p;
    size_t off = nk_buf_len(&j->arena), len = RELAY_LOG_HEAD + fixed_len;
    int rc = nk_buf_reserve(&j->arena, len, &p);
    if (rc < 0) {
        return rc;
    }
    r.len = fixed_len + (size_t)obj->total;
    relay_log_record_head(p, &r);
    memcpy(p + RELAY_LOG_HEAD, fixed, fixed_len);
    nk_buf_commit(&j->arena, len);
    rc = add_piece(j, off, len, obj);
    j->end += rc == 0 ? RELAY_LOG_HEAD + r.len : 0;
    return rc;
}

static uint64_t size_of(const struct relay_log_waiting *w, uint64_t segment)
{
    uint64_t n = RELAY_LOG_HEAD + (w->e.obj ? w->e.obj->total : 0) +
                 (w->e.type == RELAY_LOG_RETAIN ? RELAY_LOG_FIXED_MAX : RELAY_LOG_ENQUEUE_FIXED);
    return n + (w->e.group->declared == segment ? 0 : RELAY_LOG_HEAD + w->e.group->len);
}

static int encode(const struct relay_log *log, struct relay_log_job *j, struct relay_log_waiting *w,
                  uint64_t segment)
{
    struct relay_log_entry *e = &w->e;
    struct relay_log_group *g = e->group;
    uint8_t fixed[RELAY_LOG_FIXED_MAX];
    int rc = 0;
    w->declares = g->declared != segment;
    if (w->declares) {
        struct relay_log_record name = {.type = RELAY_LOG_GROUP,
                                        .group = g->id,
                                        .seq = g->last,
                                        .body = g->name,
                                        .len = g->len};
        rc = add_record(j, &name);
    }
    struct relay_log_record r = {
        .type = e->type, .flags = e->flags, .group = g->id, .seq = e->seq, .body = fixed};
    r.len = fixed_part(log, e, fixed, &r.flags);
    w->at = j->end + RELAY_LOG_HEAD;
    if (rc == 0) {
        rc = e->obj ? add_object(j, r, fixed, r.len, e->obj) : add_record(j, &r);
    }
    if (rc == 0) {
        g->declared = segment;
    }
    return rc;
}

/* Take the first n of pending as flight. */
static int take(struct relay_log *log, size_t n)
{
    struct relay_log_vector *p = &log->pending, *f = &log->flight;
    if (n == p->n) {
        struct relay_log_vector was = *f;
        *f = *p;
        *p = was;
        p->n = 0;
        return 0;
    }
    if (f->cap < n) {
        struct relay_log_waiting *v = realloc(f->v, n * sizeof(*v));
        if (!v) {
            return -ENOMEM;
        }
        f->v = v;
        f->cap = n;
    }
    memcpy(f->v, p->v, n * sizeof(*f->v));
    f->n = n;
    p->n -= n;
    memmove(p->v, p->v + n, p->n * sizeof(*p->v));
    for (size_t i = 0; i < p->n; i++) { /* where a later RETAIN would look for it */
        p->v[i].e.group->retain_at =
            p->v[i].e.type == RELAY_LOG_RETAIN ? i : p->v[i].e.group->retain_at;
    }
    return 0;
}

static void undeclare(struct relay_log_waiting *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (v[i].declares) {
            v[i].e.group->declared = 0;
        }
    }
}

static void begin(struct relay_log *log)
{
    struct relay_log_job *j = log->job;
    struct relay_log_part *part = &log->state.part[log->state.nparts - 1];
    const struct relay_log_vector *p = &log->pending;
    uint64_t limit = log->conf.segment_bytes;
    uint64_t first = p->n ? size_of(&p->v[0], part->number) + RELAY_LOG_CHECKPOINT_BYTES : 0;
    bool used = log->size > RELAY_LOG_SEGMENT_HEAD;
    j->rotate = log->outdated || (used && (log->rotate_due || log->size + first > limit));
    j->rotated = j->release_reserve = false;
    j->rc = 0;
    j->new_fd = -1;
    j->sync_ns = 0;
    j->pieces = 0;
    j->staged = 0;
    j->dir = log->dir;
    j->fd = log->fd;
    j->seal = log->size;
    j->sync = log->conf.sync == RELAY_LOG_SYNC_ALWAYS || log->sync_due;
    j->head = (struct relay_log_segment_head){.number = part->number + 1,
                                              .epoch = log->epoch,
                                              .floor = log->state.floor,
                                              .created_ms = (uint64_t)nk_wall_ms(log->conf.app)};
    j->at = j->end = j->rotate ? RELAY_LOG_SEGMENT_HEAD : log->size;
    nk_buf_reset(&j->arena);
}

int relay_log_plan(struct relay_log *log)
{
    struct relay_log_job *j = log->job;
    struct relay_log_vector *p = &log->pending;
    begin(log);
    uint64_t segment = log->state.part[log->state.nparts - 1].number + j->rotate;
    uint8_t mark[RELAY_LOG_CHECKPOINT_BYTES];
    relay_log_checkpoint_write(mark, j->at, j->rotate ? j->at : log->durable);
    int rc = p->n ? nk_buf_put(&j->arena, mark, sizeof(mark)) : 0;
    rc = rc < 0 || !p->n ? rc : add_piece(j, 0, sizeof(mark), NULL);
    j->end += p->n ? sizeof(mark) : 0;
    size_t n = 0;
    while (rc == 0 && n < p->n) {
        uint64_t more = size_of(&p->v[n], segment);
        if (n && (j->end + more > log->conf.segment_bytes ||
                  j->end - j->at + more > RELAY_LOG_BATCH_BYTES)) {
            break;
        }
        rc = encode(log, j, &p->v[n], segment);
        j->sync |= (p->v[n].e.flags & RELAY_LOG_COPIED) && is_object(p->v[n].e.type);
        j->release_reserve |= !p->v[n].e.obj || (p->v[n].e.flags & RELAY_LOG_COPIED);
        n += rc == 0;
    }
    rc = rc < 0 ? rc : take(log, n);
    if (rc < 0) {
        undeclare(p->v, n);
        log->flight.n = 0;
    }
    return rc;
}

/* --- the thread ------------------------------------------------------------------------------- */

/* The disk works on what is written while the rest of the batch is summed up and copied. */
static int begin_sync(const struct relay_log_job *j, uint64_t at, size_t n)
{
    return j->sync && at + n < j->end ? relay_log_start(j->io, j->fd, (off_t)at, n) : 0;
}

static int flush(struct relay_log_job *j, uint64_t *at)
{
    int rc = relay_log_write_all(j->io, j->fd, j->staging, j->staged, (off_t)*at);
    rc = rc < 0 ? rc : begin_sync(j, *at, j->staged);
    *at += j->staged;
    j->staged = 0;
    return rc;
}

/* Small pieces are gathered, so that one call writes many; large ones go as they are. */
static int put_bytes(struct relay_log_job *j, const uint8_t *p, size_t n, uint64_t *at)
{
    int rc = 0;
    if (n >= DIRECT_MIN) {
        rc = flush(j, at);
        rc = rc < 0 ? rc : relay_log_write_all(j->io, j->fd, p, n, (off_t)*at);
        rc = rc < 0 ? rc : begin_sync(j, *at, n);
        *at += n;
        return rc;
    }
    while (rc == 0 && n) {
        size_t room = RELAY_LOG_STAGING - j->staged;
        size_t now = n < room ? n : room;
        memcpy(j->staging + j->staged, p, now);
        j->staged += now;
        p += now;
        n -= now;
        rc = j->staged == RELAY_LOG_STAGING ? flush(j, at) : 0;
    }
    return rc;
}

static int put_piece(struct relay_log_job *j, const struct relay_log_piece *piece, uint64_t *at)
{
    uint8_t *head = nk_buf_ptr(&j->arena) + piece->off;
    if (!piece->obj) {
        return put_bytes(j, head, piece->len, at);
    }
    uint32_t crc = relay_log_record_crc(head);
    crc = relay_crc32c(crc, head + RELAY_LOG_HEAD, piece->len - RELAY_LOG_HEAD);
    for (const struct relay_object *o = piece->obj; o; o = o->more) {
        crc = relay_crc32c(crc, o->bytes, o->len);
    }
    relay_log_record_seal(head, crc);
    int rc = put_bytes(j, head, piece->len, at);
    for (const struct relay_object *o = piece->obj; rc == 0 && o; o = o->more) {
        rc = put_bytes(j, o->bytes, o->len, at);
    }
    return rc;
}

/* The old segment is complete, and so durable; then the next one begins. */
static int rotate(struct relay_log_job *j)
{
    int rc = ftruncate(j->fd, (off_t)j->seal) < 0 ? -errno : 0;
    rc = rc < 0 ? rc : relay_log_sync(j->io, j->fd);
    int fd = rc < 0 ? rc : relay_log_create(j->io, j->dir, &j->head);
    if (fd < 0) {
        return fd;
    }
    j->new_fd = j->fd = fd;
    j->rotated = true;
    return 0;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void relay_log_job_run(void *arg)
{
    struct relay_log_job *j = arg;
    uint64_t at = j->at;
    int rc = j->rotate ? rotate(j) : 0;
    for (size_t i = 0; rc == 0 && i < j->pieces; i++) {
        rc = put_piece(j, &j->piece[i], &at);
    }
    rc = rc < 0 ? rc : flush(j, &at);
    if (rc == -ENOSPC || rc == -EDQUOT) {
        /* what was written of the batch is nothing; the room goes to what must be written down */
        if ((!j->rotate || j->rotated) && ftruncate(j->fd, (off_t)j->at) < 0) {
            rc = -errno;
        }
        if (j->release_reserve) {
            (void)relay_log_reserve(j->dir, false);
        }
        j->rc = rc;
        return;
    }
    if (rc == 0 && j->sync) {
        uint64_t start = now_ns();
        rc = relay_log_sync(j->io, j->fd);
        j->sync_ns = now_ns() - start;
        /* the reason no longer matters: after a failed sync nobody knows what is on the disk */
        rc = rc < 0 ? -EIO : 0;
    }
    j->rc = rc;
}
