/* SPDX-License-Identifier: MIT */
/*
 * clock - the only place where time enters. Monotonic time for everything that waits; wall-clock
 * time separately for certificates, TTLs on disk and logs. In tests the clock runs scaled.
 */
#ifndef NK_CORE_CLOCK_H
#define NK_CORE_CLOCK_H

#include <stdint.h>

struct nk_app;

/* nk_now_ms - monotonic milliseconds, scaled, sampled once per loop turn. */
uint64_t nk_now_ms(const struct nk_app *app);

/* nk_now_ns - monotonic nanoseconds read now (a system call); scaled. For measuring. */
uint64_t nk_now_ns(const struct nk_app *app);

/* nk_wall_s / nk_wall_ms - seconds / milliseconds since 1970-01-01 UTC. Not scaled. app may be
 * NULL: the system's clock, for what has no app. */
int64_t nk_wall_s(const struct nk_app *app);
int64_t nk_wall_ms(const struct nk_app *app);

/* For tests; nothing else calls them, so that a release program does not even contain them.
 * nk_clock_set_wall - the wall clock of this app alone is set by_ms forward, or back when negative,
 * as an administrator or NTP would; monotonic time does not notice.
 * nk_clock_skip - so many scaled milliseconds have passed, on the monotonic clock alone, as after a
 * pause of the program. What is due fires in the next turn. Not within a turn. */
void nk_clock_set_wall(struct nk_app *app, int64_t by_ms);
void nk_clock_skip(struct nk_app *app, uint64_t ms);

#endif
