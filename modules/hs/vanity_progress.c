/* SPDX-License-Identifier: MIT */
#include "hs/vanity_progress.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/codec.h"
#include "core/app.h"
#include "core/clock.h"

#define YEAR_S (365.25 * 86400)

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

static void show(struct hs_vanity_progress *p, uint64_t now)
{
    char text[256], keys[48], left[64];
    const double seconds = (double)(now - p->begun_ms) / 1000.0;
    const double rate = seconds > 0 ? (double)*p->tried / seconds : 0;
    const uint64_t missing = p->wanted > *p->found ? p->wanted - *p->found : 0;
    const double eta = rate > 0 ? (double)missing / p->odds / rate : 0;
    if (p->out.mode == NK_PROGRESS_JSON) {
        (void)snprintf(text, sizeof(text),
                       "{\"tried\":%" PRIu64 ",\"keys_per_s\":%.0f,\"found\":%" PRIu64
                       ",\"wanted\":%" PRIu64 ",\"expected_s\":%.1f}",
                       *p->tried, rate, *p->found, p->wanted, eta);
    } else {
        (void)snprintf(
            text, sizeof(text),
            "%s keys, %.1f million/s; %" PRIu64 " of %" PRIu64 " found, on average %s to go",
            hs_vanity_count_text(keys, sizeof(keys), (double)*p->tried), rate / 1e6, *p->found,
            p->wanted, rate > 0 ? hs_vanity_time_text(left, sizeof(left), eta) : "?");
    }
    nk_progress_say(&p->out, text);
}

static void on_timer(void *owner)
{
    struct hs_vanity_progress *p = owner;
    show(p, nk_now_ms(p->timer.app));
    nk_timer_start(&p->timer, nk_progress_pause_ms(&p->out));
}

void hs_vanity_progress_start(struct hs_vanity_progress *p, struct nk_app *app,
                              const struct nk_globals *globals)
{
    nk_progress_open(&p->out, globals, false);
    if (p->out.mode != NK_PROGRESS_NONE) {
        p->begun_ms = nk_now_ms(app);
        nk_timer_init(&p->timer, app, on_timer, p);
        nk_timer_start(&p->timer, NK_PROGRESS_FIRST_MS);
    }
}

void hs_vanity_progress_clean(struct hs_vanity_progress *p)
{
    nk_progress_clean(&p->out);
}

void hs_vanity_progress_stop(struct hs_vanity_progress *p)
{
    if (p->timer.app) {
        nk_timer_stop(&p->timer);
    }
    nk_progress_clean(&p->out);
}
