/* SPDX-License-Identifier: MIT */
#include "relay/endpoint_progress.h"

#include <inttypes.h>
#include <stdio.h>
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

static void show(struct relay_endpoint_progress *p, uint64_t now)
{
    struct relay_client_state s;
    char text[256];
    relay_client_state(p->client, &s);
    double seconds = (double)(now - p->started_ms) / 1000.0;
    uint64_t moved = s.sent > s.received ? s.sent : s.received;
    double mib = (double)moved / MIB, rate = seconds > 0 ? mib / seconds : 0;
    int n = 0;
    if (p->mode == MODE_JSON) {
        n = snprintf(text, sizeof(text),
                     "{\"sent\":%" PRIu64 ",\"received\":%" PRIu64
                     ",\"queued\":%zu,\"unsettled\":%" PRIu64 "}\n",
                     s.sent, s.received, s.queued, s.published - s.settled);
    } else {
        n = snprintf(text, sizeof(text),
                     "%s%.1f MiB, %.1f MiB/s; %.1f MiB wait, %" PRIu64 " object(s) not confirmed%s",
                     p->mode == MODE_BAR ? "\r" : "", mib, rate, (double)s.queued / MIB,
                     s.published - s.settled, p->mode == MODE_BAR ? "\033[K" : "\n");
        p->shown = p->mode == MODE_BAR;
    }
    tell(p, text, n < (int)sizeof(text) ? n : (int)sizeof(text) - 1);
}

static void on_timer(void *owner)
{
    struct relay_endpoint_progress *p = owner;
    show(p, nk_now_ms(p->timer.app));
    nk_timer_start(&p->timer, pause_of(p));
}

void relay_endpoint_progress_start(struct relay_endpoint_progress *p,
                                   const struct relay_endpoint_session *s)
{
    const struct nk_globals *g = s->ctx->globals;
    p->client = s->client;
    p->fd = g->progress_fd > 0 ? (int)g->progress_fd : STDERR_FILENO;
    p->mode = g->progress;
    if (p->mode == MODE_AUTO) {
        p->mode = isatty(p->fd) && !g->quiet ? MODE_BAR : MODE_NONE;
    }
    if (p->mode == MODE_NONE) {
        return;
    }
    p->started_ms = nk_now_ms(s->app);
    nk_timer_init(&p->timer, s->app, on_timer, p);
    nk_timer_start(&p->timer, FIRST_MS);
}

void relay_endpoint_progress_stop(struct relay_endpoint_progress *p)
{
    if (!p->timer.app) {
        return;
    }
    nk_timer_stop(&p->timer);
    if (p->shown) {
        tell(p, "\r\033[K", 4);
    }
}
