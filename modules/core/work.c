/* SPDX-License-Identifier: MIT */
/*
 * Each lane has its own lock, queue and threads. A finished (or cancelled) job goes to one list for
 * the whole pool and wakes the loop through one uv_async. What threads touch lives in `struct
 * nk_pool`, which is counted: a thread that is still inside a job when the application ends keeps
 * it, finds `closed` set when it comes back, and leaves without touching the loop.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "core/app_internal.h"
#include "core/work.h"

#define CRYPTO_THREADS_MAX 8
#define SEARCH_THREADS_MAX 1024
#define DNS_THREADS 2
#define DISK_THREADS 1
#define STACK_BYTES (256 * 1024)

enum work_state { WORK_QUEUED, WORK_RUNNING, WORK_FINISHED };

struct nk_work {
    const struct nk_work_ops *ops;
    void *job;
    struct lane *lane;
    enum work_state state; /* under the lane's lock */
    bool cancelled;        /* the loop thread's */
    struct nk_work *next, *prev;
};

/* One thread of a lane. */
struct worker {
    struct lane *lane;
    uv_thread_t thread;
    bool running; /* inside a job; under the lane's lock */
    bool join;    /* found waiting when the lane was closed; the loop thread's */
};

struct lane {
    struct nk_pool *pool;
    uv_mutex_t lock;
    uv_cond_t wake;
    uv_cond_t finished; /* a job's state became WORK_FINISHED */
    struct nk_work *head, *tail;
    unsigned queued, idle, threads, max;
    bool closed;
    struct worker *workers; /* max of them */
};

struct nk_pool {
    struct nk_app *app;
    struct lane lanes[NK_LANE_COUNT];
    uv_async_t *async; /* freed by the loop when it has been closed */
    unsigned pending;  /* submitted, neither done nor cancelled; the loop thread's */
    uv_mutex_t lock;   /* protects what follows */
    struct nk_work *done, *done_last;
    bool closed;
    unsigned refs; /* the application and each thread */
};

static void lane_clear(struct lane *l)
{
    uv_cond_destroy(&l->finished);
    uv_cond_destroy(&l->wake);
    uv_mutex_destroy(&l->lock);
    free(l->workers);
}

static void pool_unref(struct nk_pool *p)
{
    uv_mutex_lock(&p->lock);
    bool last = --p->refs == 0;
    uv_mutex_unlock(&p->lock);
    if (!last) {
        return;
    }
    for (int i = 0; i < NK_LANE_COUNT; i++) {
        lane_clear(&p->lanes[i]);
    }
    uv_mutex_destroy(&p->lock);
    free(p);
}

/* Hand w to the loop. On any thread. Returns false when there is no loop any more. */
static bool push_done(struct nk_pool *p, struct nk_work *w)
{
    uv_mutex_lock(&p->lock);
    bool alive = !p->closed;
    if (alive) {
        w->next = NULL;
        if (p->done_last) {
            p->done_last->next = w;
        } else {
            p->done = w;
        }
        p->done_last = w;
        uv_async_send(p->async);
    }
    uv_mutex_unlock(&p->lock);
    return alive;
}

static void queue_add(struct lane *l, struct nk_work *w)
{
    w->next = NULL;
    w->prev = l->tail;
    if (l->tail) {
        l->tail->next = w;
    } else {
        l->head = w;
    }
    l->tail = w;
    l->queued++;
}

static void queue_remove(struct lane *l, struct nk_work *w)
{
    if (w->prev) {
        w->prev->next = w->next;
    } else {
        l->head = w->next;
    }
    if (w->next) {
        w->next->prev = w->prev;
    } else {
        l->tail = w->prev;
    }
    l->queued--;
}

static void worker_main(void *arg)
{
    struct worker *me = arg;
    struct lane *l = me->lane;
    struct nk_pool *p = l->pool;
    uv_mutex_lock(&l->lock);
    while (!l->closed) {
        struct nk_work *w = l->head;
        if (!w) {
            l->idle++;
            uv_cond_wait(&l->wake, &l->lock);
            l->idle--;
            continue;
        }
        queue_remove(l, w);
        w->state = WORK_RUNNING;
        me->running = true;
        uv_mutex_unlock(&l->lock);
        w->ops->run(w->job);
        uv_mutex_lock(&l->lock);
        me->running = false;
        w->state = WORK_FINISHED;
        uv_cond_broadcast(&l->finished);
        uv_mutex_unlock(&l->lock);
        if (!push_done(p, w)) {
            /* drop belongs to the loop, which is gone: the job stays, as the process is ending */
            free(w);
        }
        uv_mutex_lock(&l->lock);
    }
    uv_mutex_unlock(&l->lock);
    pool_unref(p);
}

/* Start one more thread. Signals are for the loop's thread only: they are blocked in the new one.
 */
static int lane_grow(struct lane *l)
{
    struct worker *me = &l->workers[l->threads];
    uv_thread_options_t options = {.flags = UV_THREAD_HAS_STACK_SIZE, .stack_size = STACK_BYTES};
    sigset_t all, before;
    me->lane = l;
    uv_mutex_lock(&l->pool->lock);
    l->pool->refs++;
    uv_mutex_unlock(&l->pool->lock);
    sigfillset(&all);
    sigdelset(&all, SIGBUS); /* it is about the thread itself: nk_signal_bus */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = uv_thread_create_ex(&me->thread, &options, worker_main, me);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc) {
        pool_unref(l->pool);
        return -EAGAIN;
    }
    l->threads++;
    return 0;
}

static void finish(struct nk_pool *p, struct nk_work *w)
{
    if (!w->cancelled) {
        if (--p->pending == 0) {
            uv_unref((uv_handle_t *)p->async);
        }
        /* from here on a cancel inside done changes nothing */
        w->cancelled = true;
        w->ops->done(w->job);
    }
    w->ops->drop(w->job);
    free(w);
}

static void on_async(uv_async_t *async)
{
    struct nk_pool *p = async->data;
    nk_app_enter(p->app);
    uv_mutex_lock(&p->lock);
    struct nk_work *w = p->done;
    p->done = p->done_last = NULL;
    uv_mutex_unlock(&p->lock);
    while (w) {
        struct nk_work *next = w->next;
        finish(p, w);
        w = next;
    }
}

static void on_async_closed(uv_handle_t *h)
{
    free(h);
}

static void drop_all(struct nk_work *w)
{
    while (w) {
        struct nk_work *next = w->next;
        w->ops->drop(w->job);
        free(w);
        w = next;
    }
}

/* End the lane's threads: those that wait end at once and are joined, the others are left behind.
 */
static void lane_close(struct lane *l)
{
    uv_mutex_lock(&l->lock);
    l->closed = true;
    struct nk_work *queued = l->head;
    l->head = l->tail = NULL;
    for (unsigned i = 0; i < l->threads; i++) {
        l->workers[i].join = !l->workers[i].running;
    }
    uv_cond_broadcast(&l->wake);
    uv_mutex_unlock(&l->lock);
    for (unsigned i = 0; i < l->threads; i++) {
        if (l->workers[i].join) {
            uv_thread_join(&l->workers[i].thread);
        } else {
            uv_thread_detach(&l->workers[i].thread);
        }
    }
    drop_all(queued);
}

/* The application ends: nothing of ours may call it back. */
static void pool_release(void *value)
{
    struct nk_pool *p = value;
    for (int i = 0; i < NK_LANE_COUNT; i++) {
        lane_close(&p->lanes[i]);
    }
    uv_mutex_lock(&p->lock);
    p->closed = true;
    struct nk_work *done = p->done;
    p->done = p->done_last = NULL;
    uv_mutex_unlock(&p->lock);
    drop_all(done);
    uv_close((uv_handle_t *)p->async, on_async_closed);
    pool_unref(p);
}

unsigned nk_work_threads(enum nk_lane lane)
{
    const unsigned cores = uv_available_parallelism();
    switch (lane) {
    case NK_LANE_DNS:
        return DNS_THREADS;
    case NK_LANE_CRYPTO:
        return cores < CRYPTO_THREADS_MAX ? cores : CRYPTO_THREADS_MAX;
    case NK_LANE_SEARCH:
        return cores < SEARCH_THREADS_MAX ? cores : SEARCH_THREADS_MAX;
    default:
        return DISK_THREADS;
    }
}

static int lane_init(struct lane *l, struct nk_pool *p, enum nk_lane which)
{
    l->pool = p;
    l->max = nk_work_threads(which);
    l->workers = calloc(l->max, sizeof(*l->workers));
    if (!l->workers) {
        return -ENOMEM;
    }
    if (uv_mutex_init(&l->lock)) {
        free(l->workers);
        return -ENOMEM;
    }
    if (uv_cond_init(&l->wake)) {
        uv_mutex_destroy(&l->lock);
        free(l->workers);
        return -ENOMEM;
    }
    if (uv_cond_init(&l->finished)) {
        uv_cond_destroy(&l->wake);
        uv_mutex_destroy(&l->lock);
        free(l->workers);
        return -ENOMEM;
    }
    return 0;
}

static int pool_init_lanes(struct nk_pool *p)
{
    int made = 0;
    if (uv_mutex_init(&p->lock)) {
        return -ENOMEM;
    }
    while (made < NK_LANE_COUNT && lane_init(&p->lanes[made], p, (enum nk_lane)made) == 0) {
        made++;
    }
    if (made == NK_LANE_COUNT) {
        return 0;
    }
    while (made-- > 0) {
        lane_clear(&p->lanes[made]);
    }
    uv_mutex_destroy(&p->lock);
    return -ENOMEM;
}

static const char slot_key = 'w'; /* its address names our slot */

static int pool_open(struct nk_app *app, struct nk_pool **out)
{
    struct nk_pool *p = calloc(1, sizeof(*p));
    if (!p) {
        return -ENOMEM;
    }
    p->app = app;
    p->refs = 1;
    p->async = malloc(sizeof(*p->async));
    if (!p->async || pool_init_lanes(p)) {
        free(p->async);
        free(p);
        return -ENOMEM;
    }
    int rc = uv_async_init(&app->loop, p->async, on_async);
    if (rc) {
        free(p->async);
        p->async = NULL;
        pool_unref(p);
        return rc;
    }
    p->async->data = p;
    uv_unref((uv_handle_t *)p->async);
    rc = nk_app_slot_set(app, &slot_key, p, pool_release);
    if (rc) {
        pool_release(p);
        return rc;
    }
    *out = p;
    return 0;
}

int nk_work_submit(struct nk_app *app, enum nk_lane lane, const struct nk_work_ops *ops, void *job,
                   struct nk_work **out)
{
    struct nk_pool *p = nk_app_slot(app, &slot_key);
    int rc = p ? 0 : pool_open(app, &p);
    if (rc) {
        return rc;
    }
    struct nk_work *w = calloc(1, sizeof(*w));
    if (!w) {
        return -ENOMEM;
    }
    struct lane *l = &p->lanes[lane];
    *w = (struct nk_work){.ops = ops, .job = job, .lane = l, .state = WORK_QUEUED};
    uv_mutex_lock(&l->lock);
    if (l->queued >= l->idle && l->threads < l->max) {
        rc = lane_grow(l);
    }
    if (l->threads == 0) {
        uv_mutex_unlock(&l->lock);
        free(w);
        return rc;
    }
    queue_add(l, w);
    uv_cond_signal(&l->wake);
    uv_mutex_unlock(&l->lock);
    if (p->pending++ == 0) {
        uv_ref((uv_handle_t *)p->async);
    }
    *out = w;
    return 0;
}

void nk_work_cancel(struct nk_work *w)
{
    if (!w || w->cancelled) {
        return;
    }
    struct lane *l = w->lane;
    struct nk_pool *p = l->pool;
    w->cancelled = true;
    if (--p->pending == 0) {
        uv_unref((uv_handle_t *)p->async);
    }
    uv_mutex_lock(&l->lock);
    bool queued = w->state == WORK_QUEUED;
    if (queued) {
        queue_remove(l, w);
        w->state = WORK_FINISHED;
    }
    uv_mutex_unlock(&l->lock);
    if (queued) {
        (void)push_done(p, w);
    }
}

bool nk_work_wait(struct nk_work *w)
{
    struct lane *l = w->lane;
    uv_mutex_lock(&l->lock);
    bool queued = w->state == WORK_QUEUED;
    if (queued) {
        queue_remove(l, w);
        w->state = WORK_FINISHED;
    }
    while (w->state != WORK_FINISHED) {
        uv_cond_wait(&l->finished, &l->lock);
    }
    uv_mutex_unlock(&l->lock);
    if (queued) {
        (void)push_done(l->pool, w);
    }
    return !queued;
}
