/* SPDX-License-Identifier: MIT */
#include "relay/endpoint_progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "core/app.h"
#include "core/clock.h"

#define MIB (1024.0 * 1024.0)

static void put_json(const struct relay_endpoint_progress *p, char *text, size_t max,
                     const struct relay_client_state *s)
{
    char total[48] = "";
    if (p->total > 0) {
        (void)snprintf(total, sizeof(total), ",\"total\":%" PRIu64, p->total);
    }
    (void)snprintf(text, max,
                   "{\"sent\":%" PRIu64 ",\"received\":%" PRIu64
                   ",\"queued\":%zu,\"unsettled\":%" PRIu64 "%s}",
                   s->sent, s->received, s->queued, s->published - s->settled, total);
}

static void put_text(const struct relay_endpoint_progress *p, char *text, size_t max,
                     const struct relay_client_state *s, double seconds)
{
    uint64_t moved = s->sent > s->received ? s->sent : s->received;
    double mib = (double)moved / MIB, rate = seconds > 0 ? mib / seconds : 0;
    char rest[96] = "";
    if (p->total > 0) {
        unsigned percent = (unsigned)(moved >= p->total ? 100 : moved * 100 / p->total);
        (void)snprintf(rest, sizeof(rest), " of %.1f MiB, %u %%", (double)p->total / MIB, percent);
    }
    (void)snprintf(text, max,
                   "%.1f MiB%s, %.1f MiB/s; %.1f MiB wait, %" PRIu64 " object(s) not confirmed",
                   mib, rest, rate, (double)s->queued / MIB, s->published - s->settled);
}

static void show(struct relay_endpoint_progress *p, uint64_t now,
                 const struct relay_client_state *s)
{
    char text[256];
    if (p->out.mode == NK_PROGRESS_JSON) {
        put_json(p, text, sizeof(text), s);
    } else {
        put_text(p, text, sizeof(text), s, (double)(now - p->started_ms) / 1000.0);
    }
    nk_progress_say(&p->out, text);
}

static void on_timer(void *owner)
{
    struct relay_endpoint_progress *p = owner;
    struct relay_client_state s;
    relay_client_state(p->client, &s);
    show(p, nk_now_ms(p->timer.app), &s);
    nk_timer_start(&p->timer, nk_progress_pause_ms(&p->out));
}

void relay_endpoint_progress_start(struct relay_endpoint_progress *p,
                                   const struct relay_endpoint_session *s, bool quiet)
{
    p->client = s->client;
    nk_progress_open(&p->out, s->ctx->globals, quiet);
    if (p->out.mode == NK_PROGRESS_NONE) {
        return;
    }
    p->started_ms = nk_now_ms(s->app);
    nk_timer_init(&p->timer, s->app, on_timer, p);
    nk_timer_start(&p->timer, NK_PROGRESS_FIRST_MS);
}

/* --- without a loop --------------------------------------------------------------------------- */

static uint64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void relay_endpoint_progress_open(struct relay_endpoint_progress *p, const struct nk_globals *g)
{
    *p = (struct relay_endpoint_progress){.started_ms = now_ms()};
    p->next_ms = p->started_ms + NK_PROGRESS_FIRST_MS;
    nk_progress_open(&p->out, g, false);
}

void relay_endpoint_progress_tick(struct relay_endpoint_progress *p, uint64_t sent,
                                  uint64_t received)
{
    uint64_t now = p->out.mode == NK_PROGRESS_NONE ? 0 : now_ms();
    if (now >= p->next_ms && p->out.mode != NK_PROGRESS_NONE) {
        const struct relay_client_state s = {.sent = sent, .received = received};
        p->next_ms = now + nk_progress_pause_ms(&p->out);
        show(p, now, &s);
    }
}

void relay_endpoint_progress_stop(struct relay_endpoint_progress *p)
{
    if (p->timer.app) {
        nk_timer_stop(&p->timer);
    }
    nk_progress_clean(&p->out);
}
