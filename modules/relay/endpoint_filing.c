/* SPDX-License-Identifier: MIT */
/* Objects into files, a batch at a time, on the disk's thread. */
#include <stdlib.h>

#include "core/work.h"
#include "relay/endpoint_files.h"

/* What the thread works on; nothing else touches it meanwhile. */
struct relay_endpoint_filing_job {
    struct relay_endpoint_filing *f; /* the loop's only */
    const char *dir;
    struct relay_endpoint_file *first;
    uint64_t counter;
    size_t n, bytes;
    int status;
    struct nk_diag diag;
};

static void free_list(struct relay_endpoint_file *first)
{
    while (first) {
        struct relay_endpoint_file *f = first;
        first = f->next;
        relay_endpoint_file_free(f);
    }
}

static void run_job(void *arg)
{
    struct relay_endpoint_filing_job *job = arg;
    for (struct relay_endpoint_file *f = job->first; f && job->status == 0; f = f->next) {
        job->status = relay_endpoint_file_write(f, job->dir, &job->counter, &job->diag);
    }
}

static void drop_job(void *arg)
{
    struct relay_endpoint_filing_job *job = arg;
    free_list(job->first);
    free(job);
}

static int begin(struct relay_endpoint_filing *f);

static void job_done(void *arg)
{
    struct relay_endpoint_filing_job *job = arg;
    struct relay_endpoint_filing *f = job->f;
    struct relay_endpoint_file *list = job->first;
    f->job = NULL;
    f->work = NULL;
    f->n -= job->n;
    f->bytes -= job->bytes;
    f->counter = job->counter;
    if (job->status < 0) {
        f->on_failed(f->owner, &job->diag);
        return;
    }
    job->first = NULL;
    struct nk_diag why = {0};
    int status = f->first ? begin(f) : 0;
    f->on_written(f->owner, list);
    if (status < 0) {
        (void)nk_fail_sys(&why, status, "writing files");
        f->on_failed(f->owner, &why);
    }
}

static const struct nk_work_ops ops = {.run = run_job, .done = job_done, .drop = drop_job};

/* All that waits is the next batch. */
static int begin(struct relay_endpoint_filing *f)
{
    struct relay_endpoint_filing_job *job = calloc(1, sizeof(*job));
    if (!job) {
        return -ENOMEM;
    }
    *job = (struct relay_endpoint_filing_job){.f = f,
                                              .dir = f->dir,
                                              .first = f->first,
                                              .counter = f->counter,
                                              .n = f->n,
                                              .bytes = f->bytes};
    int status = nk_work_submit(f->app, NK_LANE_DISK, &ops, job, &f->work);
    if (status < 0) {
        f->work = NULL;
        free(job);
        return status;
    }
    f->job = job;
    f->first = NULL;
    f->last = &f->first;
    return 0;
}

void relay_endpoint_filing_open(struct relay_endpoint_filing *f, struct nk_app *app,
                                const char *dir)
{
    f->app = app;
    f->dir = dir;
    f->first = NULL;
    f->last = &f->first;
}

int relay_endpoint_filing_add(struct relay_endpoint_filing *f,
                              struct relay_endpoint_file *take_file)
{
    take_file->next = NULL;
    *f->last = take_file;
    f->last = &take_file->next;
    f->n++;
    f->bytes += take_file->len;
    return f->job ? 0 : begin(f);
}

void relay_endpoint_filing_close(struct relay_endpoint_filing *f)
{
    if (f->work) {
        (void)nk_work_wait(f->work); /* a file is whole, or was not begun */
        nk_work_cancel(f->work);
    }
    free_list(f->first);
    *f = (struct relay_endpoint_filing){0};
}
