/* SPDX-License-Identifier: MIT */
#include "core/app_internal.h"

#include <time.h>

enum { NS_PER_MS = 1000000, MS_PER_S = 1000 };

uint64_t nk_now_ns(const struct nk_app *app)
{
    return app->origin_ns + (uv_hrtime() - app->origin_ns) * app->scale + app->skipped_ns;
}

uint64_t nk_now_ms(const struct nk_app *app)
{
    return app->now_ns / NS_PER_MS;
}

static struct timespec wall_now(void)
{
    struct timespec ts = {0, 0};
    (void)clock_gettime(CLOCK_REALTIME, &ts); /* cannot fail for this clock */
    return ts;
}

int64_t nk_wall_s(const struct nk_app *app)
{
    int64_t ms = nk_wall_ms(app);
    return ms / MS_PER_S - (ms % MS_PER_S < 0); /* rounded down, as tv_sec is */
}

int64_t nk_wall_ms(const struct nk_app *app)
{
    struct timespec ts = wall_now();
    return (int64_t)ts.tv_sec * MS_PER_S + ts.tv_nsec / NS_PER_MS + (app ? app->wall_set_ms : 0);
}

void nk_clock_set_wall(struct nk_app *app, int64_t by_ms)
{
    app->wall_set_ms += by_ms;
}

void nk_clock_skip(struct nk_app *app, uint64_t ms)
{
    app->skipped_ns += ms * NS_PER_MS;
    nk_app_tick(app);
}
