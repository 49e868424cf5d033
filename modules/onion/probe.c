/* SPDX-License-Identifier: MIT */
#include "onion/probe.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/app.h"
#include "core/registry.h"

enum {
    PATIENCE_MS =
        60 * 1000, /* of one probe: tor itself does not answer for a service that is gone */
    DEAD = 2       /* so many probes in a row */
};

static void look(void *owner);

static void drop(struct onion_probe *p)
{
    nk_timer_stop(&p->timer);
    nk_stream_close(p->stream);
    p->stream = NULL;
}

static void finish(struct onion_probe *p, bool alive, const char *why)
{
    drop(p);
    p->done++;
    p->failed += !alive;
    p->dead = alive ? 0 : p->dead + 1;
    nk_debug(nk_app_log(p->app), "onion", "probe: %s", why);
    if (p->dead < DEAD) {
        p->timer.fn = look;
        nk_timer_start(&p->timer, p->interval_ms);
    } else {
        p->on_dead(p->owner);
    }
}

static void on_patience(void *owner)
{
    finish(owner, false, "no answer");
}

static void on_stream(void *owner, struct nk_stream *s, unsigned events)
{
    struct onion_probe *p = owner;
    struct nk_diag diag = {0};
    if (events & NK_CONNECTED) {
        finish(p, true, "reached");
    } else if (events & NK_CLOSED) {
        int rc = nk_stream_error(s, &diag);
        finish(p, rc == -ECONNREFUSED || rc == -ECONNRESET, diag.text);
    }
}

static void look(void *owner)
{
    struct onion_probe *p = owner;
    char text[256];
    struct nk_endpoint *ep = NULL;
    struct nk_diag diag;
    (void)snprintf(text, sizeof(text), "tor:%s:%u,isolate=probe-%" PRIu64 "%s%s", p->address,
                   p->port, p->done, p->socks ? ",socks=" : "", p->socks ? p->socks : "");
    int rc = nk_endpoint_parse(text, NK_EP_CONNECT, &ep, &diag);
    rc = rc < 0 ? rc : nk_dial(p->app, ep, on_stream, p, &p->stream, &diag);
    nk_endpoint_free(ep);
    if (rc < 0) {
        nk_warn(nk_app_log(p->app), "onion", "cannot probe: %s", diag.text);
        nk_timer_start(&p->timer, p->interval_ms);
        return;
    }
    p->timer.fn = on_patience;
    nk_timer_start(&p->timer, PATIENCE_MS);
}

void onion_probe_init(struct onion_probe *p, struct nk_app *app, uint64_t interval_ms,
                      const char *socks, void (*on_dead)(void *), void *owner)
{
    *p = (struct onion_probe){
        .app = app, .interval_ms = interval_ms, .socks = socks, .on_dead = on_dead, .owner = owner};
    nk_timer_init(&p->timer, app, look, p);
}

void onion_probe_start(struct onion_probe *p, const char *address, uint16_t port)
{
    if (p->interval_ms == 0) {
        return;
    }
    drop(p);
    (void)snprintf(p->address, sizeof(p->address), "%s", address);
    p->port = port;
    p->dead = 0;
    p->timer.fn = look;
    nk_timer_start(&p->timer, p->interval_ms);
}

void onion_probe_stop(struct onion_probe *p)
{
    drop(p);
}
