/* SPDX-License-Identifier: MIT */
#include "ssh/kex_work.h"

#include <stdlib.h>

#include "core/work.h"

struct job {
    struct ssh_kex_task *task;
    ssh_kex_work_fn *fn;
    void *owner;
};

static void run(void *arg)
{
    const struct job *j = arg;
    ssh_kex_task_run(j->task);
}

static void done(void *arg)
{
    struct job *j = arg;
    struct ssh_kex_task *task = j->task;
    j->task = NULL;
    j->fn(j->owner, task);
}

static void drop(void *arg)
{
    struct job *j = arg;
    ssh_kex_task_free(j->task);
    free(j);
}

int ssh_kex_work_start(struct nk_app *app, struct ssh_kex_task *task, ssh_kex_work_fn *fn,
                       void *owner, struct nk_work **out)
{
    static const struct nk_work_ops ops = {.run = run, .done = done, .drop = drop};
    struct job *j = calloc(1, sizeof(*j));
    if (!j) {
        return -ENOMEM;
    }
    *j = (struct job){.task = task, .fn = fn, .owner = owner};
    int rc = nk_work_submit(app, NK_LANE_CRYPTO, &ops, j, out);
    if (rc < 0) {
        free(j);
    }
    return rc;
}
