/* SPDX-License-Identifier: MIT */
#include "core/app_internal.h"

#include <time.h>

enum { NS_PER_MS = 1000000, MS_PER_S = 1000 };

uint64_t nk_now_ns(const struct nk_app *app)
{
    return app->origin_ns + (uv_hrtime() - app->origin_ns) * app->scale;
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
    (void)app;
    return (int64_t)wall_now().tv_sec;
}

int64_t nk_wall_ms(const struct nk_app *app)
{
    (void)app;
    struct timespec ts = wall_now();
    return (int64_t)ts.tv_sec * MS_PER_S + ts.tv_nsec / NS_PER_MS;
}
