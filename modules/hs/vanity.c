/* SPDX-License-Identifier: MIT */
/*
 * Each thread's search is a job that runs for a slice of keys and is submitted again from the loop:
 * so nothing is shared while it runs, and the search ends within a slice.
 */
#include "hs/vanity.h"

#include <stdlib.h>
#include <string.h>

#include "core/app.h"
#include "core/work.h"

#define SLICE_KEYS ((uint64_t)1 << 19) /* per centre: 50 to 100 ms in both kernels */
#define SLICE_HITS 8                   /* a slice ends early with these */

struct worker {
    struct hs_vanity *vanity;
    struct hs_vanity_search *search;
    struct nk_work *work; /* NULL while no job is submitted */
    /* what the last slice gave; the thread's until the job is done */
    struct hs_vanity_hit hits[SLICE_HITS];
    unsigned nhits;
    uint64_t tried;
    int status;
};

struct hs_vanity {
    struct nk_app *app;
    struct hs_vanity_conf conf;
    struct hs_vanity_table *table;
    struct worker *workers;
    uint64_t tried;
    bool stopped, failed;
};

static void job_run(void *job)
{
    struct worker *w = job;
    w->status = hs_vanity_search_run(w->search, SLICE_KEYS * w->vanity->conf.kernel->centres,
                                     w->hits, SLICE_HITS, &w->nhits, &w->tried);
}

static void fail(struct hs_vanity *v, int status)
{
    v->stopped = true;
    if (!v->failed) {
        v->failed = true;
        v->conf.ops->on_fail(v->conf.owner, status);
    }
}

/* Hand out what a finished slice gave, once. */
static void harvest(struct worker *w)
{
    struct hs_vanity *v = w->vanity;
    v->tried += w->tried;
    w->tried = 0;
    for (unsigned i = 0; i < w->nhits; i++) {
        v->conf.ops->on_hit(v->conf.owner, &w->hits[i]);
        hs_identity_wipe(&w->hits[i].identity);
    }
    w->nhits = 0;
    v->conf.ops->on_slice(v->conf.owner);
}

static int submit(struct worker *w);

static void job_done(void *job)
{
    struct worker *w = job;
    struct hs_vanity *v = w->vanity;
    w->work = NULL;
    harvest(w);
    if (w->status < 0) {
        fail(v, w->status);
        return;
    }
    int rc = v->stopped ? 0 : submit(w);
    if (rc < 0) {
        fail(v, rc);
    }
}

/* The job is a part of the search, and stays. */
static void job_drop(void *job)
{
    (void)job;
}

static int submit(struct worker *w)
{
    static const struct nk_work_ops ops = {.run = job_run, .done = job_done, .drop = job_drop};
    return nk_work_submit(w->vanity->app, NK_LANE_SEARCH, &ops, w, &w->work);
}

int hs_vanity_start(struct nk_app *app, const struct hs_vanity_conf *conf, struct hs_vanity **out)
{
    struct hs_vanity *v = calloc(1, sizeof(*v));
    if (!v) {
        return -ENOMEM;
    }
    v->app = app;
    v->conf = *conf;
    v->workers = calloc(conf->threads, sizeof(*v->workers));
    int rc = v->workers ? hs_vanity_table_new(&v->table) : -ENOMEM;
    for (unsigned i = 0; v->workers && i < conf->threads && rc == 0; i++) {
        struct worker *w = &v->workers[i];
        w->vanity = v;
        rc = hs_vanity_search_new(&w->search, conf->kernel, v->table, conf->filter);
    }
    for (unsigned i = 0; v->workers && i < conf->threads && rc == 0; i++) {
        rc = submit(&v->workers[i]);
    }
    if (rc < 0) {
        hs_vanity_free(v);
        return rc;
    }
    *out = v;
    return 0;
}

void hs_vanity_stop(struct hs_vanity *v)
{
    v->stopped = true;
}

void hs_vanity_free(struct hs_vanity *v)
{
    if (!v) {
        return;
    }
    v->stopped = true;
    for (unsigned i = 0; v->workers && i < v->conf.threads; i++) {
        struct worker *w = &v->workers[i];
        if (w->work) {
            const bool ran = nk_work_wait(w->work);
            nk_work_cancel(w->work);
            w->work = NULL;
            if (ran) {
                harvest(w);
            }
        }
        hs_vanity_search_free(w->search);
    }
    free(v->workers);
    free(v->table);
    free(v);
}

uint64_t hs_vanity_tried(const struct hs_vanity *v)
{
    return v->tried;
}
