/* SPDX-License-Identifier: MIT */
#include "core/app_internal.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
    NS_PER_MS = 1000000,
    TURN_PASSES = 4, /* over the deferred calls, in one turn */
    LAST_PASSES = 4  /* deferred calls that defer again, in nk_app_free */
};

#define PREAUTH_BYTES ((size_t)64 * 1024 * 1024) /* shared by unauthenticated connections */
#define HANDSHAKE_NS ((uint64_t)8 * NS_PER_MS)   /* handshake work per turn */

static void sample(struct nk_app *app)
{
    app->now_ns = nk_now_ns(app);
}

void nk_app_enter(struct nk_app *app)
{
    if (!app->in_turn) {
        app->in_turn = true;
        sample(app);
    }
}

void nk_app_tick(struct nk_app *app)
{
    if (!app->in_turn) {
        sample(app);
    }
}

/* --- the turn --------------------------------------------------------------------------------- */

static void on_wake(uv_timer_t *t)
{
    (void)t; /* it only ends the poll; what is due runs in check */
}

static void on_idle(uv_idle_t *t)
{
    (void)t; /* its presence makes the poll return at once */
}

/* Real milliseconds of libuv's clock at which scaled time reaches due_ms, rounded up. */
static uint64_t real_ms(const struct nk_app *app, uint64_t due_ms)
{
    uint64_t due_ns = due_ms * NS_PER_MS, zero_ns = app->origin_ns + app->skipped_ns;
    uint64_t ahead = due_ns > zero_ns ? due_ns - zero_ns : 0;
    return (app->origin_ns + (ahead + app->scale - 1) / app->scale + NS_PER_MS - 1) / NS_PER_MS;
}

static void sync_wake(struct nk_app *app)
{
    uint64_t at = app->timers ? real_ms(app, app->timers->due_ms) : 0;
    if (at == app->wake_ms && (at == 0 || uv_is_active((uv_handle_t *)&app->wake))) {
        return;
    }
    app->wake_ms = at;
    if (at == 0) {
        uv_timer_stop(&app->wake);
        return;
    }
    uint64_t now = uv_now(&app->loop);
    uv_timer_start(&app->wake, on_wake, at > now ? at - now : 0, 0);
}

void nk_app_sync(struct nk_app *app)
{
    sync_wake(app);
    bool busy = app->ready[0].first || app->defers || app->dead;
    if (busy != (uv_is_active((uv_handle_t *)&app->idle) != 0)) {
        if (busy) {
            uv_idle_start(&app->idle, on_idle);
        } else {
            uv_idle_stop(&app->idle);
        }
    }
}

static void on_prepare(uv_prepare_t *h)
{
    struct nk_app *app = h->data;
    app->turn++;
    app->handshake_ns = 0;
    nk_app_sync(app);
}

/* Entries added while a pass runs come after defers_stop and run in the next pass; after the last
 * one they wait for the next turn. Layers (a queue, its connections, their filters) thus pass work
 * down within one turn, and whoever defers itself again and again still lets the loop poll. */
static void run_defers(struct nk_app *app)
{
    for (int pass = 0; pass < TURN_PASSES && app->defers; pass++) {
        app->defers_stop = app->defers_last;
        while (app->defers_stop) {
            struct nk_defer *d = app->defers;
            nk_app_defer_cancel(app, d); /* moves defers_stop to NULL when d is the last one */
            d->fn(d->owner);
        }
    }
}

static void on_check(uv_check_t *h)
{
    struct nk_app *app = h->data;
    nk_app_enter(app);
    nk_timers_run(app);
    nk_streams_run(app);
    run_defers(app);
    nk_streams_reap(app);
    app->in_turn = false;
    nk_app_sync(app);
}

bool nk_app_turn(struct nk_app *app, int wait_ms)
{
    nk_app_sync(app);
    if (wait_ms > 0) {
        uv_update_time(&app->loop);
        uv_timer_start(&app->guard, on_wake, (uint64_t)wait_ms, 0);
    }
    uv_run(&app->loop, wait_ms == 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
    uv_timer_stop(&app->guard);
    nk_app_sync(app);
    return uv_loop_alive(&app->loop) != 0;
}

int nk_app_run(struct nk_app *app)
{
    while (!app->stopping) {
        nk_app_sync(app);
        uv_run(&app->loop, UV_RUN_ONCE);
        nk_app_sync(app); /* uv_run may have ended with the wake-up of timers that are due now */
        if (!uv_loop_alive(&app->loop)) {
            break;
        }
    }
    int code = app->exit_code;
    app->stopping = false;
    app->exit_code = 0;
    return code;
}

void nk_app_stop(struct nk_app *app, int code)
{
    app->stopping = true;
    app->exit_code = code;
}

uint64_t nk_app_turn_id(const struct nk_app *app)
{
    return app->turn;
}

bool nk_app_handshake_slot(struct nk_app *app)
{
    return app->handshake_ns < HANDSHAKE_NS;
}

void nk_app_handshake_spent(struct nk_app *app, uint64_t ns)
{
    app->handshake_ns += ns;
}

/* --- deferred calls --------------------------------------------------------------------------- */

void nk_app_defer(struct nk_app *app, struct nk_defer *d)
{
    if (d->pending) {
        return;
    }
    d->pending = true;
    d->next = NULL;
    d->prev = app->defers_last;
    *(app->defers_last ? &app->defers_last->next : &app->defers) = d;
    app->defers_last = d;
}

void nk_app_defer_cancel(struct nk_app *app, struct nk_defer *d)
{
    if (!d->pending) {
        return;
    }
    if (d == app->defers_stop) {
        app->defers_stop = d->prev;
    }
    *(d->prev ? &d->prev->next : &app->defers) = d->next;
    *(d->next ? &d->next->prev : &app->defers_last) = d->prev;
    d->pending = false;
    d->prev = d->next = NULL;
}

/* --- birth and death -------------------------------------------------------------------------- */

static void init_handles(struct nk_app *app)
{
    /* these cannot fail: they only link into the loop */
    uv_prepare_init(&app->loop, &app->prepare);
    uv_check_init(&app->loop, &app->check);
    uv_idle_init(&app->loop, &app->idle);
    uv_timer_init(&app->loop, &app->wake);
    uv_timer_init(&app->loop, &app->guard);
    app->prepare.data = app->check.data = app;
    uv_prepare_start(&app->prepare, on_prepare);
    uv_check_start(&app->check, on_check);
    uv_unref((uv_handle_t *)&app->prepare);
    uv_unref((uv_handle_t *)&app->check);
    uv_unref((uv_handle_t *)&app->guard);
}

int nk_app_new(struct nk_app **out, const struct nk_app_conf *conf, struct nk_diag *diag)
{
    struct nk_app *app = calloc(1, sizeof(*app));
    if (!app) {
        return nk_fail_sys(diag, -ENOMEM, "event loop");
    }
    app->conf = *conf;
    app->scale = conf->clock_scale ? conf->clock_scale : 1;
    int rc = uv_loop_init(&app->loop); /* libuv's codes are -errno here */
    if (rc < 0) {
        free(app);
        return nk_fail_sys(diag, rc, "event loop");
    }
    /* a peer that goes away is an error code, never a signal; also for pipes, which know no flag */
    signal(SIGPIPE, SIG_IGN);
    app->loop.data = app;
    init_handles(app);
    app->turn = 1; /* 0 means "in no turn yet" in streams */
    app->origin_ns = uv_hrtime();
    sample(app);
    nk_budget_init(&app->budget, NULL, SIZE_MAX);
    nk_preauth_pool_init(&app->preauth,
                         conf->preauth_bytes ? (size_t)conf->preauth_bytes : PREAUTH_BYTES);
    *out = app;
    return 0;
}

static void close_leftover(uv_handle_t *h, void *arg)
{
    (void)arg;
    if (!uv_is_closing(h)) {
        uv_close(h, NULL);
    }
}

static void report_leftovers(const struct nk_app *app)
{
    if (app->streams || app->listeners || app->timers) {
        nk_warn(app->conf.log, "core", "left open: %zu streams, %zu listeners, %s", app->streams,
                app->listeners, app->timers ? "timers" : "no timers");
    }
}

void nk_app_free(struct nk_app *app)
{
    if (!app) {
        return;
    }
    while (app->slots) {
        struct nk_slot *slot = app->slots;
        app->slots = slot->next;
        if (slot->release) {
            slot->release(slot->value);
        }
        free(slot);
    }
    for (int i = 0; app->defers && i < LAST_PASSES; i++) {
        run_defers(app);
    }
    nk_streams_reap(app);
    report_leftovers(app);
    uv_walk(&app->loop, close_leftover, NULL);
    while (uv_run(&app->loop, UV_RUN_NOWAIT) != 0) {
    }
    uv_loop_close(&app->loop);
    free(app);
}

/* --- what hangs off it ------------------------------------------------------------------------ */

struct nk_log *nk_app_log(const struct nk_app *app)
{
    return app->conf.log;
}

struct nk_launcher *nk_app_launcher(const struct nk_app *app)
{
    return app->conf.launcher;
}

const char *nk_app_state_dir(const struct nk_app *app)
{
    return app->conf.state_dir;
}

const struct nk_conf *nk_app_ini(const struct nk_app *app)
{
    return app->conf.ini;
}

void nk_app_set_ini(struct nk_app *app, const struct nk_conf *ini)
{
    app->conf.ini = ini;
}

struct nk_budget *nk_app_budget(struct nk_app *app)
{
    return &app->budget;
}

struct nk_preauth_pool *nk_app_preauth(struct nk_app *app)
{
    return &app->preauth;
}

void *nk_app_slot(const struct nk_app *app, const void *key)
{
    for (const struct nk_slot *s = app->slots; s; s = s->next) {
        if (s->key == key) {
            return s->value;
        }
    }
    return NULL;
}

int nk_app_slot_set(struct nk_app *app, const void *key, void *value, void (*release)(void *value))
{
    for (const struct nk_slot *s = app->slots; s; s = s->next) {
        if (s->key == key) {
            return -EEXIST;
        }
    }
    struct nk_slot *slot = malloc(sizeof(*slot));
    if (!slot) {
        return -ENOMEM;
    }
    *slot = (struct nk_slot){.key = key, .value = value, .release = release, .next = app->slots};
    app->slots = slot;
    return 0;
}
