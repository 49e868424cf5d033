/* SPDX-License-Identifier: MIT */
/* What a log leaves to the disk lane: indexes, deletions, the reserve. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/app.h"
#include "relay/log_impl.h"

enum { RETRY_MS = 500 };

struct relay_log_chore_job {
    struct relay_log *log; /* NULL: it was closed meanwhile */
    struct relay_log_chore_job *next, *prev;
    const struct relay_log_io *io;
    enum relay_log_chore chore;
    uint64_t number;
    int dir, rc; /* dir: our own */
    struct nk_work *work;
};

static void on_run(void *job)
{
    struct relay_log_chore_job *c = job;
    switch (c->chore) {
    case RELAY_LOG_CHORE_INDEX:
        c->rc = relay_log_index_write(c->io, c->dir, c->number);
        break;
    case RELAY_LOG_CHORE_REMOVE:
        c->rc = relay_log_remove(c->dir, c->number);
        break;
    case RELAY_LOG_CHORE_RESERVE:
        c->rc = relay_log_reserve(c->dir, true);
        break;
    }
}

static void on_reserve(struct relay_log *log, int rc)
{
    if (rc < 0) {
        if (log->stats.full) {
            nk_timer_start(&log->retry, RETRY_MS);
        }
        return;
    }
    log->reserve = true;
    if (log->stats.full) {
        log->stats.full = false;
        nk_info(nk_app_log(log->conf.app), "relay", "the log in %s has room again", log->conf.dir);
        relay_log_tidy(log);
    }
}

static void on_done(void *job)
{
    const struct relay_log_chore_job *c = job;
    struct relay_log *log = c->log;
    if (log && c->chore == RELAY_LOG_CHORE_RESERVE) {
        on_reserve(log, c->rc);
    } else if (log && c->rc < 0 && c->rc != -ENOENT && c->rc != -ENOSPC) {
        /* -ENOENT: the segment went before it got its index */
        nk_warn(nk_app_log(log->conf.app), "relay", "the log's segment %016llx: %s: %s",
                (unsigned long long)c->number,
                c->chore == RELAY_LOG_CHORE_INDEX ? "no index" : "not deleted", nk_strerror(c->rc));
    }
}

static void on_drop(void *job)
{
    struct relay_log_chore_job *c = job;
    if (c->log) {
        *(c->prev ? &c->prev->next : &c->log->chores) = c->next;
        if (c->next) {
            c->next->prev = c->prev;
        }
    }
    close(c->dir);
    free(c);
}

static const struct nk_work_ops chore_ops = {.run = on_run, .done = on_done, .drop = on_drop};

void relay_log_chore(struct relay_log *log, enum relay_log_chore chore, uint64_t number)
{
    struct relay_log_chore_job *c = calloc(1, sizeof(*c));
    int dir = c ? fcntl(log->dir, F_DUPFD_CLOEXEC, 0) : -1;
    if (dir < 0) {
        free(c);
        nk_warn(nk_app_log(log->conf.app), "relay", "no memory to tidy up the log");
        return;
    }
    *c = (struct relay_log_chore_job){.log = log,
                                      .next = log->chores,
                                      .io = log->io,
                                      .chore = chore,
                                      .number = number,
                                      .dir = dir};
    if (nk_work_submit(log->conf.app, NK_LANE_DISK, &chore_ops, c, &c->work) < 0) {
        close(dir);
        free(c);
        nk_warn(nk_app_log(log->conf.app), "relay", "no memory to tidy up the log");
        return;
    }
    if (c->next) {
        c->next->prev = c;
    }
    log->chores = c;
}

void relay_log_chores_leave(struct relay_log *log)
{
    for (struct relay_log_chore_job *c = log->chores, *next; c; c = next) {
        next = c->next;
        c->log = NULL;
        (void)nk_work_wait(c->work); /* the directory may be opened again at once */
        nk_work_cancel(c->work);
    }
    log->chores = NULL;
}
