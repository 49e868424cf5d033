/* SPDX-License-Identifier: MIT */
/* A restart: the segments and indexes of a directory become a log's state again. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/secret.h"
#include "core/app.h"
#include "core/clock.h"
#include "relay/log_impl.h"
#include "relay/log_index.h"

/* The names in the directory. */
struct listing {
    uint64_t *log, *bad, *idx, *tmp;
    size_t nlog, nbad, nidx, ntmp;
};

static bool contains(const uint64_t *v, size_t n, uint64_t number)
{
    for (size_t i = 0; i < n; i++) {
        if (v[i] == number) {
            return true;
        }
    }
    return false;
}

static int damaged(struct relay_log *log, uint64_t number, const char *what, struct nk_diag *diag)
{
    nk_fail(diag, NK_EFORMAT, "log %s: segment %016" PRIx64 " %s", log->conf.dir, number, what);
    nk_hint(diag, "'netkit relay log verify' says more; --log-damage quarantine starts without it "
                  "(what it held is lost)");
    return NK_EFORMAT;
}

static int newer(struct relay_log *log, uint64_t number, unsigned version, struct nk_diag *diag)
{
    return nk_fail(diag, NK_EVERSION,
                   "log %s: segment %016" PRIx64 " has format %u, this netkit knows %d: it was "
                   "written by a newer one",
                   log->conf.dir, number, version, RELAY_LOG_VERSION);
}

/* --- one file --------------------------------------------------------------------------------- */

/* Apply every record. What relay_log_scan_next or relay_log_state_apply says. */
static int apply_all(struct relay_log *log, struct relay_log_scan *scan)
{
    struct relay_log_record r;
    uint64_t now = (uint64_t)nk_wall_ms(log->conf.app);
    size_t at;
    int rc;
    while ((rc = relay_log_scan_next(scan, &r, &at)) == 1) {
        rc = relay_log_state_apply(&log->state, &r, at + RELAY_LOG_HEAD, now);
        if (rc < 0) {
            return rc;
        }
    }
    return rc;
}

/* The index of a sealed segment: 0, or whatever is wrong with it. */
static int apply_index(struct relay_log *log, const struct relay_log_segment_head *h,
                       uint64_t covers)
{
    struct relay_log_mapping m;
    struct relay_log_scan scan;
    int fd = relay_log_open_file(log->dir, h->number, "idx", false);
    int rc = fd < 0 ? fd : relay_log_mapping_open(&m, fd, 0);
    if (fd >= 0) {
        close(fd);
    }
    if (rc < 0) {
        return rc;
    }
    if (m.p) {
        (void)madvise(m.p, m.n, MADV_SEQUENTIAL);
    }
    rc = relay_log_index_check(m.p, m.n, h, covers);
    if (rc == 0) {
        relay_log_scan_init(&scan, m.p, m.n);
        rc = apply_all(log, &scan);
    }
    relay_log_mapping_close(&m);
    return rc;
}

static int add_part(struct relay_log *log, const struct relay_log_segment_head *h, uint64_t bytes)
{
    int rc = relay_log_state_part(&log->state, h->number, h->floor);
    if (rc == 0) {
        log->state.part[log->state.nparts - 1].bytes = bytes;
    }
    return rc;
}

/* Take a damaged segment out, when that is allowed: its objects are lost, what else could be read
 * of it stays. */
static int take_out(struct relay_log *log, uint64_t number, const char *what, struct nk_diag *diag)
{
    if (!log->conf.quarantine) {
        return damaged(log, number, what, diag);
    }
    int rc = relay_log_quarantine(log->dir, number);
    if (rc < 0) {
        return nk_fail_sys(diag, rc, "log %s: segment %016" PRIx64, log->conf.dir, number);
    }
    relay_log_state_lose(&log->state, number);
    if (log->state.nparts && log->state.part[log->state.nparts - 1].number == number) {
        log->state.nparts--;
    }
    nk_error(nk_app_log(log->conf.app), "relay",
             "log %s: segment %016" PRIx64 " %s; renamed to .bad, its objects are lost",
             log->conf.dir, number, what);
    return 0;
}

/* Where the good part of the newest segment ends. */
static int good_end(struct relay_log *log, const struct relay_log_scan *scan, uint64_t number,
                    struct nk_diag *diag)
{
    if (!relay_log_torn(scan)) {
        return take_out(log, number, "is damaged", diag);
    }
    nk_info(nk_app_log(log->conf.app), "relay",
            "log %s: the last %zu bytes were not written completely and are dropped", log->conf.dir,
            scan->n - scan->off);
    log->size = scan->off;
    return 0;
}

static int apply_segment(struct relay_log *log, const struct relay_log_mapping *m, bool newest,
                         const struct relay_log_segment_head *h, struct nk_diag *diag)
{
    struct relay_log_scan scan;
    int rc = newest ? -ENOENT : apply_index(log, h, m->n);
    if (rc == -ENOMEM) {
        return nk_fail_sys(diag, rc, "log %s", log->conf.dir);
    }
    if (rc == 0) {
        return 0;
    }
    relay_log_scan_init(&scan, m->p, m->n);
    rc = apply_all(log, &scan);
    log->size = scan.off;
    if (rc == 0) {
        if (!newest) {
            relay_log_chore(log, RELAY_LOG_CHORE_INDEX, h->number);
        }
        return 0;
    }
    if (rc == -ENOMEM) {
        return nk_fail_sys(diag, rc, "log %s", log->conf.dir);
    }
    if (rc == NK_EVERSION) {
        return nk_fail(diag, rc,
                       "log %s: segment %016" PRIx64 " has a record at %zu that this netkit does "
                       "not know",
                       log->conf.dir, h->number, scan.off);
    }
    if (newest && scan.off < scan.n) {
        return good_end(log, &scan, h->number, diag);
    }
    return take_out(log, h->number, "is damaged", diag);
}

/* Its header: 1 when there is none because the file was just being made. */
static int read_header(struct relay_log *log, uint64_t number, const struct relay_log_mapping *m,
                       bool newest, struct relay_log_segment_head *h, struct nk_diag *diag)
{
    unsigned version = 0;
    int rc = relay_log_segment_head_read(m->p, m->n, h, &version);
    if (rc == NK_EVERSION) {
        return newer(log, number, version, diag);
    }
    if (rc < 0 && newest && m->n <= RELAY_LOG_SEGMENT_HEAD) {
        return 1;
    }
    if (rc == 0 && (h->file != RELAY_LOG_FILE_SEGMENT || h->number != number)) {
        rc = NK_EFORMAT;
    }
    if (rc == 0 && log->epoch && log->epoch != h->epoch) {
        return damaged(log, number, "belongs to another log", diag);
    }
    if (rc == 0) {
        log->epoch = h->epoch;
        log->outdated = version < RELAY_LOG_VERSION;
    }
    return rc;
}

static int load_one(struct relay_log *log, uint64_t number, bool newest, struct nk_diag *diag)
{
    struct relay_log_segment_head h;
    struct relay_log_mapping m = {0};
    int fd = relay_log_open_file(log->dir, number, "log", false);
    int rc = fd < 0 ? fd : relay_log_mapping_open(&m, fd, 0);
    if (fd >= 0) {
        close(fd);
    }
    if (rc < 0) {
        return nk_fail_sys(diag, rc, "log %s: segment %016" PRIx64, log->conf.dir, number);
    }
    rc = read_header(log, number, &m, newest, &h, diag);
    if (rc == 1) {
        rc = relay_log_remove(log->dir, number);
        rc = rc < 0 ? nk_fail_sys(diag, rc, "log %s", log->conf.dir) : 0;
    } else if (rc == NK_EFORMAT && (!diag || diag->code != NK_EFORMAT)) {
        rc = take_out(log, number, "has no good header", diag);
    } else if (rc == 0) {
        rc = add_part(log, &h, m.n);
        rc = rc < 0 ? nk_fail_sys(diag, rc, "log %s", log->conf.dir)
                    : apply_segment(log, &m, newest, &h, diag);
    }
    relay_log_mapping_close(&m);
    return rc;
}

/* --- the directory ---------------------------------------------------------------------------- */

static int list_all(struct relay_log *log, struct listing *l, struct nk_diag *diag)
{
    int rc = relay_log_list(log->dir, "log", &l->log, &l->nlog);
    rc = rc < 0 ? rc : relay_log_list(log->dir, "bad", &l->bad, &l->nbad);
    rc = rc < 0 ? rc : relay_log_list(log->dir, "idx", &l->idx, &l->nidx);
    rc = rc < 0 ? rc : relay_log_list(log->dir, "tmp", &l->tmp, &l->ntmp);
    return rc < 0 ? nk_fail_sys(diag, rc, "log %s", log->conf.dir) : 0;
}

static void listing_clear(struct listing *l)
{
    free(l->log);
    free(l->bad);
    free(l->idx);
    free(l->tmp);
}

/* Segments go oldest first, so one that is missing between others was not ours to delete. */
static int check_gaps(struct relay_log *log, const struct listing *l, struct nk_diag *diag)
{
    for (size_t i = 1; i < l->nlog; i++) {
        for (uint64_t n = l->log[i - 1] + 1; n < l->log[i]; n++) {
            if (contains(l->bad, l->nbad, n) || log->conf.quarantine) {
                continue;
            }
            return damaged(log, n, "is missing", diag);
        }
    }
    return 0;
}

static void unlink_name(struct relay_log *log, uint64_t number, const char *suffix)
{
    char name[RELAY_LOG_FILE_NAME];
    relay_log_file_name(name, number, suffix);
    (void)unlinkat(log->dir, name, 0); /* it would be made again, or passed over */
}

/* Indexes whose segment has gone, the newest segment's, and what was being written. */
static void sweep(struct relay_log *log, const struct listing *l)
{
    uint64_t newest = log->state.part[log->state.nparts - 1].number;
    for (size_t i = 0; i < l->nidx; i++) {
        if (!contains(l->log, l->nlog, l->idx[i]) || l->idx[i] >= newest) {
            unlink_name(log, l->idx[i], "idx");
        }
    }
    for (size_t i = 0; i < l->ntmp; i++) {
        unlink_name(log, l->tmp[i], "tmp");
    }
}

/* The next segment is begun: there is none, or the newest was taken out. */
static int begin_segment(struct relay_log *log, uint64_t number, struct nk_diag *diag)
{
    struct relay_log_segment_head h = {.number = number,
                                       .floor = log->state.floor,
                                       .created_ms = (uint64_t)nk_wall_ms(log->conf.app)};
    while (log->epoch == 0) {
        nk_random(&log->epoch, sizeof(log->epoch));
    }
    h.epoch = log->epoch;
    int fd = relay_log_create(log->io, log->dir, &h);
    if (fd < 0) {
        return nk_fail_sys(diag, fd, "log %s: cannot begin segment %016" PRIx64, log->conf.dir,
                           number);
    }
    log->fd = fd;
    log->size = log->durable = RELAY_LOG_SEGMENT_HEAD;
    log->outdated = false;
    int rc = add_part(log, &h, log->size);
    return rc < 0 ? nk_fail_sys(diag, rc, "log") : 0;
}

/* Go on behind the last good record. */
static int continue_segment(struct relay_log *log, struct nk_diag *diag)
{
    struct relay_log_part *part = &log->state.part[log->state.nparts - 1];
    int rc = log->fd = relay_log_open_file(log->dir, part->number, "log", true);
    if (rc >= 0) {
        rc = ftruncate(log->fd, (off_t)log->size) < 0 ? -errno : relay_log_sync(log->io, log->fd);
    }
    if (rc < 0) {
        return nk_fail_sys(diag, rc, "log %s: segment %016" PRIx64, log->conf.dir, part->number);
    }
    part->bytes = log->durable = log->size;
    return 0;
}

static uint64_t highest(const struct listing *l)
{
    uint64_t n = l->nlog ? l->log[l->nlog - 1] : 0;
    return l->nbad && l->bad[l->nbad - 1] > n ? l->bad[l->nbad - 1] : n;
}

static int load_all(struct relay_log *log, const struct listing *l, struct nk_diag *diag)
{
    int rc = check_gaps(log, l, diag);
    for (size_t i = 0; rc == 0 && i < l->nlog; i++) {
        rc = load_one(log, l->log[i], i + 1 == l->nlog, diag);
    }
    if (rc < 0) {
        return rc;
    }
    uint64_t newest = l->nlog ? l->log[l->nlog - 1] : 0;
    bool readable = log->state.nparts && log->state.part[log->state.nparts - 1].number == newest;
    rc = readable ? continue_segment(log, diag) : begin_segment(log, highest(l) + 1, diag);
    if (rc == 0) {
        sweep(log, l);
    }
    return rc;
}

/* Groups that were named, but of which nothing is left. */
static void forget_empty(struct relay_log_state *s)
{
    for (struct relay_log_group *g = s->groups, *next; g; g = next) {
        next = g->next;
        relay_log_state_tidy(s, g);
    }
}

int relay_log_load(struct relay_log *log, struct nk_diag *diag)
{
    struct listing l = {0};
    int rc = log->dir = relay_log_dir_open(log->conf.dir, true, diag);
    rc = rc < 0 ? rc : list_all(log, &l, diag);
    rc = rc < 0 ? rc : load_all(log, &l, diag);
    listing_clear(&l);
    if (rc < 0) {
        return rc;
    }
    forget_empty(&log->state);
    log->versions = relay_log_clean_take(log->dir);
    while (log->versions == 0) {
        nk_random(&log->versions, sizeof(log->versions));
    }
    rc = relay_log_reserve(log->dir, true);
    log->reserve = rc == 0;
    log->stats.full = rc == -ENOSPC || rc == -EDQUOT;
    if (rc < 0) {
        nk_warn(nk_app_log(log->conf.app), "relay", "log %s: no room is kept in reserve: %s",
                log->conf.dir, nk_strerror(rc));
        nk_timer_start(&log->retry, 0);
    }
    relay_log_tidy(log);
    relay_log_scrub_start(log);
    return 0;
}
