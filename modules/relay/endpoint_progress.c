/* SPDX-License-Identifier: MIT */
#include "relay/endpoint_progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "core/app.h"
#include "core/clock.h"

#define FIRST_MS 1000u
#define BAR_MS 500u
#define JSON_MS 1000u
#define PLAIN_MS 5000u
#define MIB (1024.0 * 1024.0)

/* The order of --progress. */
enum mode { MODE_AUTO, MODE_BAR, MODE_PLAIN, MODE_JSON, MODE_NONE };

static uint64_t pause_of(const struct relay_endpoint_progress *p)
{
    return p->mode == MODE_BAR ? BAR_MS : p->mode == MODE_JSON ? JSON_MS : PLAIN_MS;
}

/* What cannot be written is not worth an error. */
static void tell(const struct relay_endpoint_progress *p, const char *text, int n)
{
    if (n > 0 && write(p->fd, text, (size_t)n) < 0) {
        return;
    }
}

static int put_json(const struct relay_endpoint_progress *p, char *text, size_t max,
                    const struct relay_client_state *s)
{
    char total[48] = "";
    if (p->total > 0) {
        (void)snprintf(total, sizeof(total), ",\"total\":%" PRIu64, p->total);
    }
    return snprintf(text, max,
                    "{\"sent\":%" PRIu64 ",\"received\":%" PRIu64
                    ",\"queued\":%zu,\"unsettled\":%" PRIu64 "%s}\n",
                    s->sent, s->received, s->queued, s->published - s->settled, total);
}

static int put_text(const struct relay_endpoint_progress *p, char *text, size_t max,
                    const struct relay_client_state *s, double seconds)
{
    uint64_t moved = s->sent > s->received ? s->sent : s->received;
    double mib = (double)moved / MIB, rate = seconds > 0 ? mib / seconds : 0;
    bool bar = p->mode == MODE_BAR;
    char rest[96] = "";
    if (p->total > 0) {
        unsigned percent = (unsigned)(moved >= p->total ? 100 : moved * 100 / p->total);
        (void)snprintf(rest, sizeof(rest), " of %.1f MiB, %u %%", (double)p->total / MIB, percent);
    }
    return snprintf(
        text, max, "%s%.1f MiB%s, %.1f MiB/s; %.1f MiB wait, %" PRIu64 " object(s) not confirmed%s",
        bar ? "\r" : "", mib, rest, rate, (double)s->queued / MIB, s->published - s->settled,
        bar ? "\033[K" : "\n");
}

static void show(struct relay_endpoint_progress *p, uint64_t now,
                 const struct relay_client_state *s)
{
    char text[256];
    double seconds = (double)(now - p->started_ms) / 1000.0;
    int n = p->mode == MODE_JSON ? put_json(p, text, sizeof(text), s)
                                 : put_text(p, text, sizeof(text), s, seconds);
    p->shown = p->mode == MODE_BAR;
    tell(p, text, n < (int)sizeof(text) ? n : (int)sizeof(text) - 1);
}

static void on_timer(void *owner)
{
    struct relay_endpoint_progress *p = owner;
    struct relay_client_state s;
    relay_client_state(p->client, &s);
    show(p, nk_now_ms(p->timer.app), &s);
    nk_timer_start(&p->timer, pause_of(p));
}

static void resolve(struct relay_endpoint_progress *p, const struct nk_globals *g, bool quiet)
{
    p->fd = g->progress_fd > 0 ? (int)g->progress_fd : STDERR_FILENO;
    p->mode = g->progress;
    if (p->mode == MODE_AUTO) {
        p->mode = isatty(p->fd) && !g->quiet && !quiet ? MODE_BAR : MODE_NONE;
    }
}

void relay_endpoint_progress_start(struct relay_endpoint_progress *p,
                                   const struct relay_endpoint_session *s, bool quiet)
{
    p->client = s->client;
    resolve(p, s->ctx->globals, quiet);
    if (p->mode == MODE_NONE) {
        return;
    }
    p->started_ms = nk_now_ms(s->app);
    nk_timer_init(&p->timer, s->app, on_timer, p);
    nk_timer_start(&p->timer, FIRST_MS);
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
    p->next_ms = p->started_ms + FIRST_MS;
    resolve(p, g, false);
}

void relay_endpoint_progress_tick(struct relay_endpoint_progress *p, uint64_t sent,
                                  uint64_t received)
{
    uint64_t now = p->mode == MODE_NONE ? 0 : now_ms();
    if (now >= p->next_ms && p->mode != MODE_NONE) {
        const struct relay_client_state s = {.sent = sent, .received = received};
        p->next_ms = now + pause_of(p);
        show(p, now, &s);
    }
}

void relay_endpoint_progress_stop(struct relay_endpoint_progress *p)
{
    if (p->timer.app) {
        nk_timer_stop(&p->timer);
    }
    if (p->shown) {
        tell(p, "\r\033[K", 4);
        p->shown = false;
    }
}
