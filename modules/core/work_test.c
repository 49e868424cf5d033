/* SPDX-License-Identifier: MIT */
#include "core/clock.h"
#include "core/work.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "core/app.h"

enum { PATIENCE_MS = 60000 };
enum { TURN_MS = 5000 }; /* a turn ends by an event long before; a lost one fails the test */

/* A job that can be held inside run: it writes a byte to entered, then reads one from gate. */
struct job {
    int entered[2], gate[2]; /* pipes; gate[0] < 0: run does not wait */
    pthread_t loop;
    int ran, done, dropped;
    int order, *next_order;
    bool off_loop, blocked_signals;
    size_t stack;
};

static void job_run(void *arg)
{
    struct job *j = arg;
    char byte = 'x';
    sigset_t mask;
    pthread_attr_t attr;
    void *base;
    j->off_loop = !pthread_equal(pthread_self(), j->loop);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    j->blocked_signals = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGCHLD) == 1;
    if (pthread_getattr_np(pthread_self(), &attr) == 0) {
        pthread_attr_getstack(&attr, &base, &j->stack);
        pthread_attr_destroy(&attr);
    }
    if (j->gate[0] >= 0) {
        if (write(j->entered[1], &byte, 1) != 1 || read(j->gate[0], &byte, 1) != 1) {
            return;
        }
    }
    j->ran++;
}

static void job_done(void *arg)
{
    struct job *j = arg;
    j->done++;
    if (j->next_order) {
        j->order = ++*j->next_order;
    }
}

static void job_drop(void *arg)
{
    struct job *j = arg;
    j->dropped++;
}

static const struct nk_work_ops ops = {job_run, job_done, job_drop};

static void job_init(struct job *j, bool held)
{
    *j = (struct job){.entered = {-1, -1}, .gate = {-1, -1}, .loop = pthread_self()};
    if (held) {
        assert_int_equal(pipe(j->entered), 0);
        assert_int_equal(pipe(j->gate), 0);
    }
}

static void job_wait_entered(struct job *j)
{
    char byte;
    assert_int_equal(read(j->entered[0], &byte, 1), 1);
}

static void job_let_go(struct job *j)
{
    assert_int_equal(write(j->gate[1], "g", 1), 1);
}

static void job_clear(struct job *j)
{
    for (int i = 0; i < 2; i++) {
        if (j->gate[i] >= 0) {
            close(j->gate[i]);
            close(j->entered[i]);
        }
    }
}

static struct nk_app *new_app(void)
{
    struct nk_app *app;
    struct nk_app_conf conf = {0};
    assert_int_equal(nk_app_new(&app, &conf, NULL), 0);
    return app;
}

static void turn_until(struct nk_app *app, const int *flag)
{
    /* by the clock: every other job that ends may end a turn, too */
    uint64_t end = nk_now_ms(app) + PATIENCE_MS;
    while (!*flag && nk_now_ms(app) < end) {
        nk_app_turn(app, TURN_MS);
    }
    assert_true(*flag);
}

static void runs_on_a_thread_and_ends_on_the_loop(void **state)
{
    (void)state;
    struct nk_app *app = new_app();
    for (int lane = 0; lane < NK_LANE_COUNT; lane++) {
        struct job j;
        struct nk_work *w;
        job_init(&j, false);
        assert_int_equal(nk_work_submit(app, (enum nk_lane)lane, &ops, &j, &w), 0);
        assert_int_equal(j.done + j.dropped, 0);
        assert_int_equal(nk_app_run(app), 0); /* ends when nothing is pending */
        assert_int_equal(j.ran, 1);
        assert_int_equal(j.done, 1);
        assert_int_equal(j.dropped, 1);
        assert_true(j.off_loop);
        assert_true(j.blocked_signals);
        assert_true(j.stack > 0 && j.stack <= 300U * 1024);
    }
    nk_app_free(app);
}

static void disk_keeps_order(void **state)
{
    (void)state;
    enum { N = 20 };
    struct nk_app *app = new_app();
    struct job jobs[N];
    struct nk_work *w;
    int order = 0;
    for (int i = 0; i < N; i++) {
        job_init(&jobs[i], false);
        jobs[i].next_order = &order;
        assert_int_equal(nk_work_submit(app, NK_LANE_DISK, &ops, &jobs[i], &w), 0);
    }
    nk_app_run(app);
    for (int i = 0; i < N; i++) {
        assert_int_equal(jobs[i].order, i + 1);
    }
    nk_app_free(app);
}

/* Both threads of a lane are held and a third job waits; the other lanes go on. Then the waiting
 * and a running job are cancelled. */
static void full_lane_and_cancel(void **state)
{
    (void)state;
    struct nk_app *app = new_app();
    struct job held[2], waiting, other;
    struct nk_work *w[2], *ww, *wo;
    for (int i = 0; i < 2; i++) {
        job_init(&held[i], true);
        assert_int_equal(nk_work_submit(app, NK_LANE_DNS, &ops, &held[i], &w[i]), 0);
        job_wait_entered(&held[i]);
    }
    job_init(&waiting, false);
    assert_int_equal(nk_work_submit(app, NK_LANE_DNS, &ops, &waiting, &ww), 0);
    job_init(&other, false);
    assert_int_equal(nk_work_submit(app, NK_LANE_DISK, &ops, &other, &wo), 0);
    turn_until(app, &other.dropped);
    assert_int_equal(waiting.ran, 0);

    nk_work_cancel(ww);
    assert_int_equal(waiting.dropped, 0); /* not from inside the call */
    turn_until(app, &waiting.dropped);
    assert_int_equal(waiting.ran + waiting.done, 0);

    nk_work_cancel(w[0]);
    nk_work_cancel(w[0]);
    nk_app_turn(app, 0);
    assert_int_equal(held[0].dropped, 0); /* the thread still has it */
    job_let_go(&held[0]);
    turn_until(app, &held[0].dropped);
    assert_int_equal(held[0].ran, 1);
    assert_int_equal(held[0].done, 0);

    job_let_go(&held[1]);
    turn_until(app, &held[1].dropped);
    assert_int_equal(held[1].done, 1);
    nk_app_free(app);
    job_clear(&held[0]);
    job_clear(&held[1]);
}

static void cancelled_jobs_do_not_keep_the_loop(void **state)
{
    (void)state;
    static struct job j; /* the thread may outlive this function */
    struct nk_app *app = new_app();
    struct nk_work *w;
    job_init(&j, true);
    assert_int_equal(nk_work_submit(app, NK_LANE_DNS, &ops, &j, &w), 0);
    job_wait_entered(&j);
    nk_work_cancel(w);
    nk_work_cancel(NULL);
    assert_int_equal(nk_app_run(app), 0);
    assert_int_equal(j.dropped, 0);
    job_let_go(&j);
    nk_app_free(app);
    /* let go before the end, but dropped or left behind: both are allowed here */
    assert_int_equal(j.done, 0);
}

/* The thread is inside a job when the application ends, another job waits behind it. */
static void stuck_thread_is_left_behind(void **state)
{
    (void)state;
    static struct job stuck; /* the thread outlives this function */
    struct nk_app *app = new_app();
    struct job behind;
    struct nk_work *w;
    job_init(&stuck, true);
    assert_int_equal(nk_work_submit(app, NK_LANE_DISK, &ops, &stuck, &w), 0);
    job_wait_entered(&stuck);
    job_init(&behind, false);
    assert_int_equal(nk_work_submit(app, NK_LANE_DISK, &ops, &behind, &w), 0);
    nk_app_free(app); /* returns */
    assert_int_equal(behind.dropped, 1);
    assert_int_equal(behind.ran + behind.done, 0);
    assert_int_equal(stuck.done + stuck.dropped, 0);
    job_let_go(&stuck);
}

/* A thousand jobs, every third one cancelled at once or a little later. */
static void exactly_one_end(void **state)
{
    (void)state;
    enum { N = 1000 };
    struct nk_app *app = new_app();
    struct job *jobs = calloc(N, sizeof(*jobs));
    struct nk_work *w, *last = NULL;
    assert_non_null(jobs);
    for (int i = 0; i < N; i++) {
        job_init(&jobs[i], false);
        assert_int_equal(nk_work_submit(app, (enum nk_lane)(i % NK_LANE_COUNT), &ops, &jobs[i], &w),
                         0);
        if (i % 3 == 0) {
            nk_work_cancel(w);
        } else if (i % 3 == 1) {
            last = w;
        } else if (i % 30 == 29) {
            nk_work_cancel(last); /* of the pair before; no turn in between, so it is still valid */
        }
    }
    for (int i = 0; i < N; i++) {
        turn_until(app, &jobs[i].dropped);
        assert_int_equal(jobs[i].dropped, 1);
        bool cancelled = i % 3 == 0 || (i % 3 == 1 && (i + 1) % 30 == 29);
        assert_int_equal(jobs[i].done, cancelled ? 0 : 1);
    }
    nk_app_free(app);
    free(jobs);
}

/* Waiting ends with the job out of all threads: one that runs has run, one that waits never does.
 */
static void wait_for_the_thread(void **state)
{
    (void)state;
    struct nk_app *app = new_app();
    struct job running, queued;
    struct nk_work *first, *second;
    job_init(&running, true);
    job_init(&queued, false);
    assert_int_equal(nk_work_submit(app, NK_LANE_LOG, &ops, &running, &first), 0);
    assert_int_equal(nk_work_submit(app, NK_LANE_LOG, &ops, &queued, &second), 0);
    job_wait_entered(&running);
    assert_false(nk_work_wait(second));
    job_let_go(&running);
    assert_true(nk_work_wait(first));
    assert_int_equal(running.ran, 1);
    assert_int_equal(running.done + running.dropped, 0);
    nk_work_cancel(second);
    turn_until(app, &queued.dropped);
    turn_until(app, &running.dropped);
    assert_int_equal(running.done, 1);
    assert_int_equal(queued.ran + queued.done, 0);
    job_clear(&running);
    nk_app_free(app);
}

int nk_test_core_work(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_on_a_thread_and_ends_on_the_loop),
        cmocka_unit_test(disk_keeps_order),
        cmocka_unit_test(full_lane_and_cancel),
        cmocka_unit_test(cancelled_jobs_do_not_keep_the_loop),
        cmocka_unit_test(stuck_thread_is_left_behind),
        cmocka_unit_test(exactly_one_end),
        cmocka_unit_test(wait_for_the_thread),
    };
    return cmocka_run_group_tests_name("core/work", tests, NULL, NULL);
}
