/* SPDX-License-Identifier: MIT */
/*
 * Looking after what is stored: the checksums of sealed segments, a mebibyte a second on the disk
 * lane, all of them once a day. What the system still has in its cache is given up first, so that
 * it is the disk that is read. Damage is told at once; what becomes of the segment is decided at
 * the next start, as of one that is found then.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/app.h"
#include "core/work.h"
#include "relay/log_crc.h"
#include "relay/log_impl.h"

enum {
    STRETCH = 1024 * 1024, /* bytes looked at in one go */
    CHUNK = 64 * 1024,
    PAUSE_MS = 1000,           /* between two stretches */
    PASS_MS = 24 * 3600 * 1000 /* between two passes over all segments */
};

struct relay_log_scrub_job {
    struct relay_log *log; /* NULL: not wanted any more */
    int fd;
    uint64_t number, off, end;
    size_t left;        /* bytes of the record's body that were not looked at yet */
    uint32_t crc, want; /* of the record */
    uint64_t looked;    /* bytes, of this stretch */
    int rc;             /* NK_EFORMAT: damaged at `at`; -errno */
    uint64_t at;        /* where the record begins */
    uint8_t buf[CHUNK];
};

/* --- on the disk lane ------------------------------------------------------------------------- */

static int read_all(struct relay_log_scrub_job *j, size_t n)
{
    size_t have = 0;
    while (have < n) {
        ssize_t got = pread(j->fd, j->buf + have, n - have, (off_t)(j->off + have));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? -errno : NK_EFORMAT; /* it is shorter than it was */
        }
        have += (size_t)got;
    }
    j->off += n;
    j->looked += n;
    return 0;
}

static int begin_record(struct relay_log_scrub_job *j)
{
    j->at = j->off;
    int rc = j->end - j->off < RELAY_LOG_HEAD ? NK_EFORMAT : read_all(j, RELAY_LOG_HEAD);
    if (rc < 0) {
        return rc;
    }
    j->left = relay_log_get32(j->buf);
    j->want = relay_log_get32(j->buf + sizeof(uint32_t));
    j->crc = relay_log_record_crc(j->buf);
    return j->left <= j->end - j->off ? 0 : NK_EFORMAT;
}

static int go_on(struct relay_log_scrub_job *j)
{
    size_t n = j->left < CHUNK ? j->left : CHUNK;
    int rc = read_all(j, n);
    if (rc < 0) {
        return rc;
    }
    j->crc = relay_crc32c(j->crc, j->buf, n);
    j->left -= n;
    return 0;
}

static void on_run(void *job)
{
    struct relay_log_scrub_job *j = job;
    uint64_t from = j->off;
    bool open = j->left > 0; /* a record that began in an earlier stretch */
    (void)posix_fadvise(j->fd, (off_t)from, STRETCH, POSIX_FADV_DONTNEED); /* only advice */
    while (j->rc == 0 && j->off < j->end && j->looked < STRETCH) {
        j->rc = open ? 0 : begin_record(j);
        open = true;
        if (j->rc == 0 && j->left) {
            j->rc = go_on(j);
        }
        if (j->rc == 0 && j->left == 0) {
            j->rc = j->crc == j->want ? 0 : NK_EFORMAT;
            open = false;
        }
    }
    (void)posix_fadvise(j->fd, (off_t)from, (off_t)(j->off - from), POSIX_FADV_DONTNEED);
}

/* --- on the loop ------------------------------------------------------------------------------ */

static void job_free(struct relay_log_scrub_job *j)
{
    if (j) {
        close(j->fd);
        free(j);
    }
}

/* The next sealed segment above the last one; 0 when all have been looked at. */
static const struct relay_log_part *next_part(const struct relay_log *log)
{
    for (size_t i = 0; i + 1 < log->state.nparts; i++) {
        if (log->state.part[i].number > log->scrub.last) {
            return &log->state.part[i];
        }
    }
    return NULL;
}

static void done_with(struct relay_log *log)
{
    struct relay_log_scrub *s = &log->scrub;
    s->last = s->job->number;
    log->stats.scrubbed++;
    s->job->log = NULL; /* freed by on_drop, which comes next */
    s->job = NULL;
}

static void on_done(void *job)
{
    struct relay_log_scrub_job *j = job;
    struct relay_log *log = j->log;
    log->scrub.work = NULL;
    log->stats.scrubbed_bytes += j->looked;
    j->looked = 0;
    if (j->rc == NK_EFORMAT || j->rc == -EIO) {
        log->stats.damaged++;
        log->stats.damaged_last = j->number;
        nk_error(nk_app_log(log->conf.app), "relay",
                 "log %s: segment %016" PRIx64 " is damaged at %" PRIu64 ": %s", log->conf.dir,
                 j->number, j->at, nk_strerror(j->rc));
    }
    if (j->rc < 0 || j->off >= j->end) {
        done_with(log);
    }
    nk_timer_start(&log->scrub.timer, PAUSE_MS);
}

static void on_drop(void *job)
{
    struct relay_log_scrub_job *j = job;
    if (!j->log) {
        job_free(j);
    }
}

static const struct nk_work_ops scrub_ops = {.run = on_run, .done = on_done, .drop = on_drop};

static struct relay_log_scrub_job *job_new(struct relay_log *log, const struct relay_log_part *part)
{
    struct relay_log_scrub_job *j = malloc(sizeof(*j));
    int fd = j ? relay_log_open_file(log->dir, part->number, "log", false) : -1;
    if (fd < 0) {
        free(j);
        return NULL;
    }
    j->log = log;
    j->fd = fd;
    j->number = part->number;
    j->off = RELAY_LOG_SEGMENT_HEAD;
    j->end = part->bytes;
    j->left = 0;
    j->looked = 0;
    j->rc = 0;
    return j;
}

static void on_timer(void *owner)
{
    struct relay_log *log = owner;
    struct relay_log_scrub *s = &log->scrub;
    const struct relay_log_part *part = s->job ? NULL : next_part(log);
    if (s->work || log->stats.failed) {
        return;
    }
    if (!s->job && !part) { /* all of them: from the first again, tomorrow */
        s->last = 0;
        nk_timer_start(&s->timer, PASS_MS);
        return;
    }
    s->job = s->job ? s->job : job_new(log, part);
    if (!s->job || nk_work_submit(log->conf.app, NK_LANE_DISK, &scrub_ops, s->job, &s->work) < 0) {
        nk_timer_start(&s->timer, PASS_MS); /* without memory there are other worries */
    }
}

void relay_log_scrub_init(struct relay_log *log)
{
    nk_timer_init(&log->scrub.timer, log->conf.app, on_timer, log);
}

void relay_log_scrub_start(struct relay_log *log)
{
    if (!log->scrub.timer.armed && !log->scrub.work && log->state.nparts > 1) {
        nk_timer_start(&log->scrub.timer, PAUSE_MS);
    }
}

void relay_log_scrub_stop(struct relay_log *log)
{
    struct relay_log_scrub *s = &log->scrub;
    nk_timer_stop(&s->timer);
    if (s->work) {
        s->job->log = NULL; /* freed by on_drop */
        nk_work_cancel(s->work);
    } else {
        job_free(s->job);
    }
    s->work = NULL;
    s->job = NULL;
}
