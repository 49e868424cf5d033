/* SPDX-License-Identifier: MIT */
#include "hs/vanity_progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/codec.h"
#include "core/app.h"
#include "core/clock.h"

#define FIRST_MS 1000u
#define BAR_MS 500u
#define JSON_MS 1000u
#define PLAIN_MS 10000u
#define YEAR_S (365.25 * 86400)

/* The order of --progress. */
enum mode { MODE_AUTO, MODE_BAR, MODE_PLAIN, MODE_JSON, MODE_NONE };

char *hs_vanity_count_text(char *out, size_t max, double n)
{
    static const struct {
        double from;
        const char *unit;
    } units[] = {{1e18, " quintillion"}, {1e15, " quadrillion"}, {1e12, " trillion"},
                 {1e9, " billion"},      {1e6, " million"},      {1e3, " thousand"}};
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
        if (n >= units[i].from) {
            (void)snprintf(out, max, "%.1f%s", n / units[i].from, units[i].unit);
            return out;
        }
    }
    (void)snprintf(out, max, "%.0f", n);
    return out;
}

char *hs_vanity_time_text(char *out, size_t max, double seconds)
{
    if (seconds >= 2 * YEAR_S) {
        char n[48];
        (void)snprintf(out, max, "%s years", hs_vanity_count_text(n, sizeof(n), seconds / YEAR_S));
        return out;
    }
    /* below a second in milliseconds, above it in whole ones */
    const double ms = seconds < 1 ? seconds * 1e3 : (double)(uint64_t)seconds * 1e3;
    return nk_format_duration(out, max, (uint64_t)ms);
}

static uint64_t pause_of(const struct hs_vanity_progress *p)
{
    return p->mode == MODE_BAR ? BAR_MS : p->mode == MODE_JSON ? JSON_MS : PLAIN_MS;
}

/* What cannot be written is not worth an error. */
static void tell(const struct hs_vanity_progress *p, const char *text, int n, size_t max)
{
    const size_t len = n < 0 ? 0 : (size_t)n < max ? (size_t)n : max - 1;
    if (write(p->fd, text, len) < 0) {
        return;
    }
}

static void show(struct hs_vanity_progress *p, uint64_t now)
{
    char text[256], keys[48], left[64];
    const double seconds = (double)(now - p->begun_ms) / 1000.0;
    const double rate = seconds > 0 ? (double)*p->tried / seconds : 0;
    const uint64_t missing = p->wanted > *p->found ? p->wanted - *p->found : 0;
    const double eta = rate > 0 ? (double)missing / p->odds / rate : 0;
    int n = 0;
    if (p->mode == MODE_JSON) {
        n = snprintf(text, sizeof(text),
                     "{\"tried\":%" PRIu64 ",\"keys_per_s\":%.0f,\"found\":%" PRIu64
                     ",\"wanted\":%" PRIu64 ",\"expected_s\":%.1f}\n",
                     *p->tried, rate, *p->found, p->wanted, eta);
    } else {
        const char *time = rate > 0 ? hs_vanity_time_text(left, sizeof(left), eta) : "?";
        n = snprintf(text, sizeof(text),
                     "%s%s keys, %.1f million/s; %" PRIu64 " of %" PRIu64
                     " found, on average %s to go%s",
                     p->mode == MODE_BAR ? "\r" : "",
                     hs_vanity_count_text(keys, sizeof(keys), (double)*p->tried), rate / 1e6,
                     *p->found, p->wanted, time, p->mode == MODE_BAR ? "\033[K" : "\n");
        p->shown = p->mode == MODE_BAR;
    }
    tell(p, text, n, sizeof(text));
}

static void on_timer(void *owner)
{
    struct hs_vanity_progress *p = owner;
    show(p, nk_now_ms(p->timer.app));
    nk_timer_start(&p->timer, pause_of(p));
}

void hs_vanity_progress_start(struct hs_vanity_progress *p, struct nk_app *app,
                              const struct nk_globals *globals)
{
    p->fd = globals->progress_fd > 0 ? (int)globals->progress_fd : STDERR_FILENO;
    p->mode = globals->progress;
    if (p->mode == MODE_AUTO) {
        p->mode = isatty(p->fd) && !globals->quiet ? MODE_BAR : MODE_NONE;
    }
    if (p->mode == MODE_NONE) {
        return;
    }
    p->begun_ms = nk_now_ms(app);
    nk_timer_init(&p->timer, app, on_timer, p);
    nk_timer_start(&p->timer, FIRST_MS);
}

void hs_vanity_progress_clean(struct hs_vanity_progress *p)
{
    if (p->shown) {
        static const char clean[] = "\r\033[K";
        tell(p, clean, (int)sizeof(clean) - 1, sizeof(clean));
        p->shown = false;
    }
}

void hs_vanity_progress_stop(struct hs_vanity_progress *p)
{
    if (p->timer.app) {
        nk_timer_stop(&p->timer);
        hs_vanity_progress_clean(p);
    }
}
