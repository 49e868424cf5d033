/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdlib.h>

#include "core/app_internal.h"
#include "core/signal.h"

struct nk_signal {
    uv_signal_t handle;
    struct nk_app *app;
    nk_signal_fn *fn;
    void *owner;
};

static void on_signal(uv_signal_t *h, int signum)
{
    struct nk_signal *s = h->data;
    nk_app_enter(s->app);
    s->fn(s->owner, signum);
}

static void on_closed(uv_handle_t *h)
{
    free(h->data);
}

int nk_signal_watch(struct nk_app *app, int signum, nk_signal_fn *fn, void *owner,
                    struct nk_signal **out)
{
    struct nk_signal *s = calloc(1, sizeof(*s));
    if (!s) {
        return -ENOMEM;
    }
    int rc = uv_signal_init(&app->loop, &s->handle);
    if (rc) {
        free(s);
        return rc;
    }
    s->handle.data = s;
    s->app = app;
    s->fn = fn;
    s->owner = owner;
    rc = uv_signal_start(&s->handle, on_signal, signum);
    if (rc) {
        uv_close((uv_handle_t *)&s->handle, on_closed);
        return rc;
    }
    uv_unref((uv_handle_t *)&s->handle);
    *out = s;
    return 0;
}

void nk_signal_close(struct nk_signal *s)
{
    if (s) {
        uv_signal_stop(&s->handle);
        uv_close((uv_handle_t *)&s->handle, on_closed);
    }
}

/* --- one-shot commands ------------------------------------------------------------------------ */

static const int guarded[] = {SIGTERM, SIGINT, SIGHUP};
enum { GUARDED = sizeof(guarded) / sizeof(guarded[0]) };

struct guard {
    struct nk_app *app;
    struct nk_signal *signals[GUARDED];
};

static const char slot_key = 'g'; /* its address names our slot */

static void on_end(void *owner, int signum)
{
    struct guard *g = owner;
    nk_app_stop(g->app, NK_EXIT_SIGNAL + signum);
}

static void guard_release(void *value)
{
    struct guard *g = value;
    for (size_t i = 0; i < GUARDED; i++) {
        nk_signal_close(g->signals[i]);
    }
    free(g);
}

static int guard_watch(struct guard *g)
{
    for (size_t i = 0; i < GUARDED; i++) {
        struct sigaction now;
        if (sigaction(guarded[i], NULL, &now) == 0 && now.sa_handler == SIG_IGN) {
            continue;
        }
        int rc = nk_signal_watch(g->app, guarded[i], on_end, g, &g->signals[i]);
        if (rc) {
            return rc;
        }
    }
    return 0;
}

int nk_signal_oneshot_guard(struct nk_app *app)
{
    if (nk_app_slot(app, &slot_key)) {
        return 0;
    }
    struct guard *g = calloc(1, sizeof(*g));
    if (!g) {
        return -ENOMEM;
    }
    g->app = app;
    int rc = guard_watch(g);
    if (rc == 0) {
        rc = nk_app_slot_set(app, &slot_key, g, guard_release);
    }
    if (rc) {
        guard_release(g);
    }
    return rc;
}
