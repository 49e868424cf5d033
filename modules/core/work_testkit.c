/* SPDX-License-Identifier: MIT */
#include "core/work_testkit.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/app.h"

/* As many jobs as there are threads, and none ends before all have begun. */
struct meeting {
    pthread_barrier_t all_here;
    unsigned dropped;
};

static void wait_for_all(void *job)
{
    struct meeting *m = job;
    (void)pthread_barrier_wait(&m->all_here);
}

static void on_done(void *job)
{
    (void)job;
}

static void on_drop(void *job)
{
    struct meeting *m = job;
    m->dropped++;
}

void nk_kit_work_settle(struct nk_app *app, enum nk_lane lane)
{
    static const struct nk_work_ops ops = {.run = wait_for_all, .done = on_done, .drop = on_drop};
    const unsigned n = nk_work_threads(lane);
    struct meeting m = {.dropped = 0};
    struct nk_work *w;
    assert_int_equal(pthread_barrier_init(&m.all_here, NULL, n), 0);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(nk_work_submit(app, lane, &ops, &m, &w), 0);
    }
    while (m.dropped < n) {
        (void)nk_app_turn(app, -1);
    }
    assert_int_equal(pthread_barrier_destroy(&m.all_here), 0);
}
